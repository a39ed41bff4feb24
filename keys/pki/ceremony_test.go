package pki_test

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

const plan = `ceremony: 吉林省电子印章根密钥仪式
present: [张三, 李四]
authorities:
  - {key: root, subject: {country: CN, province: 吉林省, organisation: 测试局, name: 电子印章根}, from: "2026-11-24", until: "2046-12-31", crl: ["http://pki.test/root.crl"]}
  - {key: maker-ca, issuer: root, subject: {country: CN, name: 制章 CA}, until: "2036-12-31", crl: ["http://pki.test/maker-ca.crl"], ocsp: ["http://pki.test/ocsp"]}
certificates:
  - {key: maker-1, issuer: maker-ca, profile: maker, subject: {country: CN, name: 制章人}, until: "2031-12-31"}
  - {key: seal-rs, issuer: root, profile: signer, subject: {country: CN, unit: 印章处, name: 省人社厅}, from: "2026-11-24", until: "2029-12-31"}
  - {key: tsa-1, issuer: root, profile: tsa, subject: {country: CN, name: 时间戳}, until: "2031-12-31"}
  - {key: officer-1, issuer: root, profile: officer, subject: {country: CN, name: 安全管理员甲}, until: "2028-12-31"}
  - {key: seal-status, issuer: maker-ca, profile: responder, subject: {country: CN, name: 印章状态}, until: "2027-11-30"}
`

func confirmed(context.Context, string, string) error { return nil }

func TestACeremonyMakesEverythingInItsFileAndNothingElse(t *testing.T) {
	clock := keytest.NewClock()
	ks := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now})
	p, err := pki.ParsePlan([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	var asked []string
	r, err := p.Run(t.Context(), ks, pki.RunOptions{Now: clock.Now, Books: filepath.Join(dir, "books"), Confirm: func(_ context.Context, person, digest string) error {
		if digest != p.Digest() || len(digest) != 64 {
			t.Errorf("digest %q", digest)
		}
		if names, err := ks.List(t.Context()); err != nil || len(names) > 0 {
			t.Errorf("keys before everybody confirmed: %v %v", names, err)
		}
		asked = append(asked, person)
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(asked, " ") != "张三 李四" || !r.Transcript.Complete || len(r.Transcript.Steps) != 14 || len(r.Chains) != 7 {
		t.Errorf("%v %d steps, %d chains", asked, len(r.Transcript.Steps), len(r.Chains))
	}
	anchors, err := trust.New(trust.Anchor{Cert: r.Chains["root"][0], Roles: trust.Maker | trust.Signer | trust.TSA})
	if err != nil {
		t.Fatal(err)
	}
	for name, role := range map[keys.Name]trust.Role{"maker-1": trust.Maker, "seal-rs": trust.Signer, "tsa-1": trust.TSA, "officer-1": trust.Signer} {
		chain := r.Chains[name]
		if v := anchors.Check(chain[0], chain[1:], role, clock.Now()); v.Outcome != trust.Trusted {
			t.Errorf("%s: %v", name, v.Problems)
		}
	}
	maker := r.Chains["maker-1"]
	if len(maker) != 3 || maker[0].CRLURLs[0] != "http://pki.test/maker-ca.crl" || maker[0].OCSPURLs[0] != "http://pki.test/ocsp" || maker[1].CRLURLs[0] != "http://pki.test/root.crl" {
		t.Errorf("maker's chain %v", maker)
	}
	if end := maker[0].NotAfter.Format("2006-01-02T15:04:05Z"); end != "2031-12-31T15:59:59Z" {
		t.Errorf("the last day ends %s", end)
	}
	if !r.Chains["seal-status"][0].OCSPSigning {
		t.Error("no responder")
	}
	book, err := pki.OpenBook(filepath.Join(dir, "books", "maker-ca.json"), maker[1])
	if err != nil {
		t.Fatal(err)
	}
	if issued, _, _, err := book.State(maker[0].Serial); !issued || err != nil {
		t.Errorf("the maker's certificate is not in the book: %v", err)
	}
	if err := r.WriteFiles(filepath.Join(dir, "out")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "out", "transcript.txt"))
	if err != nil {
		t.Fatal(err)
	}
	digest := gm.SM3(mustRead(t, filepath.Join(dir, "out", "transcript.json")))
	for _, want := range []string{p.Digest(), "张三    签字", maker[0].SerialHex(), "制章人", hexOf(digest[:])} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the transcript does not say %q", want)
		}
	}
	if certs, err := gm.ParseCertificates(mustRead(t, filepath.Join(dir, "out", "maker-1.pem"))); err != nil || len(certs) != 3 {
		t.Errorf("%d certificates, %v", len(certs), err)
	}

	again, err := p.Run(t.Context(), ks, pki.RunOptions{Now: clock.Now, Confirm: confirmed})
	if err != nil {
		t.Fatalf("run again: %v", err)
	}
	for _, s := range again.Transcript.Steps {
		if !strings.HasSuffix(s.Act, "found") {
			t.Errorf("run again: %s %s", s.Key, s.Act)
		}
	}
	if !again.Chains["seal-rs"][0].Equal(r.Chains["seal-rs"][0]) {
		t.Error("another certificate")
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func hexOf(b []byte) string {
	const digits = "0123456789abcdef"
	var s strings.Builder
	for _, x := range b {
		s.WriteByte(digits[x>>4])
		s.WriteByte(digits[x&15])
	}
	return s.String()
}

func TestNobodyMakesAKeyBeforeEverybodyConfirmed(t *testing.T) {
	p, err := pki.ParsePlan([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	ks := engine.New(&keytest.Memory{}, engine.Config{})
	refuse := func(_ context.Context, person, _ string) error {
		if person == "李四" {
			return errors.New("the digest is not the one I reviewed")
		}
		return nil
	}
	for name, o := range map[string]pki.RunOptions{"refused": {Confirm: refuse}, "nobody asked": {}} {
		if _, err := p.Run(t.Context(), ks, o); !errors.Is(err, pki.ErrNotConfirmed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if names, err := ks.List(t.Context()); err != nil || len(names) > 0 {
		t.Errorf("%v %v", names, err)
	}
}

// interrupted is a keystore that stops after some acts.
type interrupted struct {
	pki.Keystore
	left *int
}

func (k interrupted) act() error {
	if *k.left--; *k.left < 0 {
		return errors.New("interrupted")
	}
	return nil
}

func (k interrupted) Create(ctx context.Context, n keys.Name, p keys.Purpose) (keys.Info, error) {
	if err := k.act(); err != nil {
		return keys.Info{}, err
	}
	return k.Keystore.Create(ctx, n, p)
}

func (k interrupted) CSR(ctx context.Context, n keys.Name, v int, s pkix.Name) (*gm.Request, error) {
	if err := k.act(); err != nil {
		return nil, err
	}
	return k.Keystore.CSR(ctx, n, v, s)
}

func (k interrupted) InstallCertificate(ctx context.Context, n keys.Name, v int, c []*gm.Certificate) (keys.Info, error) {
	if err := k.act(); err != nil {
		return keys.Info{}, err
	}
	return k.Keystore.InstallCertificate(ctx, n, v, c)
}

func TestACeremonyGoesOnWhereItWasInterrupted(t *testing.T) {
	p, err := pki.ParsePlan([]byte(plan))
	if err != nil {
		t.Fatal(err)
	}
	for stop := range 20 {
		clock := keytest.NewClock()
		ks := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now})
		o := pki.RunOptions{Now: clock.Now, Confirm: confirmed, Books: t.TempDir()}
		left := stop
		r, err := p.Run(t.Context(), interrupted{ks, &left}, o)
		if err == nil || r.Transcript.Complete {
			t.Fatalf("stop %d: not interrupted", stop)
		}
		if text, err := r.Transcript.Text(); err != nil || !strings.Contains(text, "NOT COMPLETE") {
			t.Errorf("stop %d: the transcript looks complete: %v", stop, err)
		}
		r, err = p.Run(t.Context(), ks, o)
		if err != nil || !r.Transcript.Complete || len(r.Chains) != 7 {
			t.Errorf("stop %d: %v", stop, err)
		}
	}
}

func TestACeremonyStopsAtWhatIsNotAsPlanned(t *testing.T) {
	run := func(text string, ks *engine.Engine, clock *keytest.Clock) error {
		p, err := pki.ParsePlan([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Run(t.Context(), ks, pki.RunOptions{Now: clock.Now, Confirm: confirmed})
		return err
	}
	fresh := func() (*engine.Engine, *keytest.Clock) {
		clock := keytest.NewClock()
		return engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now}), clock
	}
	for name, change := range map[string][2]string{
		"another name":    {"name: 制章人}", "name: 另一制章人}"},
		"another term":    {`until: "2029-12-31"`, `until: "2028-12-31"`},
		"another profile": {"profile: officer", "profile: signer"},
		"another issuer":  {"key: maker-1, issuer: maker-ca", "key: maker-1, issuer: root"},
	} {
		ks, clock := fresh()
		if err := run(plan, ks, clock); err != nil {
			t.Fatal(err)
		}
		if err := run(strings.Replace(plan, change[0], change[1], 1), ks, clock); !errors.Is(err, pki.ErrPlan) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ks, clock := fresh()
	if _, err := ks.Create(t.Context(), "root", keys.Seal); err != nil {
		t.Fatal(err)
	}
	if err := run(plan, ks, clock); !errors.Is(err, pki.ErrPlan) {
		t.Errorf("a key of another purpose: %v", err)
	}
}

func TestAnUnsoundPlanIsRefusedWithItsPlace(t *testing.T) {
	for name, c := range map[string]struct{ old, new string }{
		"one person":            {"[张三, 李四]", "[张三]"},
		"one person twice":      {"[张三, 李四]", "[张三, 张三]"},
		"no name":               {"ceremony: 吉林省电子印章根密钥仪式", `ceremony: ""`},
		"no such profile":       {"profile: maker", "profile: tls"},
		"no such issuer":        {"issuer: maker-ca, profile: maker", "issuer: other, profile: maker"},
		"an end certificate":    {"issuer: root, profile: tsa", "issuer: maker-1, profile: tsa"},
		"an issuer behind it":   {"{key: root, subject", "{key: root, issuer: maker-ca, subject"},
		"a key twice":           {"key: tsa-1", "key: seal-rs"},
		"outlives its issuer":   {`until: "2031-12-31"}`, `until: "2040-12-31"}`},
		"no end":                {`, until: "2046-12-31"`, ""},
		"before its issuer":     {`from: "2026-11-24", until: "2029-12-31"`, `from: "2026-11-23", until: "2029-12-31"`},
		"issuer without from":   {`from: "2026-11-24", until: "2046-12-31"`, `until: "2046-12-31"`},
		"a bad date":            {"2046-12-31", "2046-02-30"},
		"begins after its end":  {`from: "2026-11-24", until: "2029-12-31"`, `from: "2030-01-01", until: "2029-12-31"`},
		"no subject":            {"name: 制章人", "unit: 制章人"},
		"a bad key name":        {"key: tsa-1", "key: TSA"},
		"a bad address":         {"http://pki.test/ocsp", "ldap://pki.test/ocsp"},
		"two CAs of one name":   {"{country: CN, name: 制章 CA}", "{country: CN, province: 吉林省, organisation: 测试局, name: 电子印章根}"},
		"a third level":         {"certificates:", "  - {key: sub-ca, issuer: maker-ca, subject: {name: x}, until: \"2030-01-01\"}\ncertificates:"},
		"no certificate issuer": {"issuer: root, profile: officer", `issuer: "", profile: officer`},
	} {
		if !strings.Contains(plan, c.old) {
			t.Fatalf("%s: nothing to change", name)
		}
		if p, err := pki.ParsePlan([]byte(strings.Replace(plan, c.old, c.new, 1))); p != nil || err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	_, err := pki.ParsePlan([]byte(strings.Replace(plan, "profile: tsa", "profil: tsa", 1)))
	var at *config.Error
	if !errors.As(err, &at) || at.Line != 9 || at.Nearest != "profile" {
		t.Errorf("a mistyped key: %v", err)
	}
}

func TestTheAnswerOfALicensedCAIsInstalledWithItsChain(t *testing.T) {
	clock := keytest.NewClock()
	outside := build(t) // another house plays the licensed CA
	ks := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now})
	if _, err := ks.Create(t.Context(), "seal-x", keys.Seal); err != nil {
		t.Fatal(err)
	}
	req, err := ks.CSR(t.Context(), "seal-x", 1, subject("委托外部 CA"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := outside.makerCA.Issue(t.Context(), pki.Signer, req, clock.Now(), clock.Now().AddDate(2, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	var pem []byte // encryption certificate first, root before its CA: any order
	for _, x := range []*gm.Certificate{outside.signer, outside.root.Certificate(), outside.makerCA.Certificate(), c} {
		pem = append(pem, x.PEM()...)
	}
	if _, err := pki.InstallAnswer(t.Context(), ks.Key("seal-x"), ks, 1, outside.signer.PEM()); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("somebody else's certificate: %v", err)
	}
	if _, err := pki.InstallAnswer(t.Context(), ks.Key("seal-x"), ks, 1, []byte("rubbish")); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("rubbish: %v", err)
	}
	info, err := pki.InstallAnswer(t.Context(), ks.Key("seal-x"), ks, 1, pem)
	if err != nil {
		t.Fatal(err)
	}
	if v := info.Versions[0]; info.Live != 1 || !v.Certificate.Equal(c) || len(v.Chain) != 2 || !v.Chain[1].Equal(outside.root.Certificate()) {
		t.Errorf("%+v", info)
	}
}
