package pki_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// house is an engine with a root, a maker CA, a maker and a signer.
type house struct {
	engine        *engine.Engine
	clock         *keytest.Clock
	root, makerCA *pki.Authority
	maker, signer *gm.Certificate
	from, until   time.Time
}

func subject(cn string) pkix.Name {
	return pkix.Name{Country: []string{"CN"}, Organization: []string{"吉林省测试"}, CommonName: cn}
}

func build(t testing.TB) *house {
	t.Helper()
	ctx := t.Context()
	h := &house{clock: keytest.NewClock()}
	h.engine = engine.New(&keytest.Memory{}, engine.Config{Now: h.clock.Now})
	h.from, h.until = h.clock.Now().Add(-time.Minute), h.clock.Now().AddDate(5, 0, 0)
	for name, p := range map[keys.Name]keys.Purpose{"root": keys.CA, "maker-ca": keys.CA, "maker": keys.SealMaker, "seal-rs": keys.Seal} {
		if _, err := h.engine.Create(ctx, name, p); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if h.root, err = pki.NewRoot(ctx, h.engine.Key("root"), h.engine, subject("测试根"), h.from, h.until.AddDate(10, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if _, err = h.root.Enrol(ctx, h.engine.Key("maker-ca"), h.engine, pki.SubCA, subject("制章 CA"), h.from, h.until.AddDate(1, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if h.makerCA, err = pki.Open(ctx, h.engine.Key("maker-ca")); err != nil {
		t.Fatal(err)
	}
	if h.maker, err = h.makerCA.Enrol(ctx, h.engine.Key("maker"), h.engine, pki.Maker, subject("制章人"), h.from, h.until); err != nil {
		t.Fatal(err)
	}
	if h.signer, err = h.root.Enrol(ctx, h.engine.Key("seal-rs"), h.engine, pki.Signer, subject("签章人"), h.from, h.until); err != nil {
		t.Fatal(err)
	}
	return h
}

func TestCertificatesAreTrustedInTheirRoleUnderTheRoot(t *testing.T) {
	h := build(t)
	anchors, err := trust.New(trust.Anchor{Cert: h.root.Certificate(), Roles: trust.Maker | trust.Signer})
	if err != nil {
		t.Fatal(err)
	}
	if v := anchors.Check(h.maker, h.makerCA.Chain(), trust.Maker, h.clock.Now()); v.Outcome != trust.Trusted || len(v.Chain) != 3 {
		t.Errorf("maker: %v %v", v.Outcome, v.Problems)
	}
	if v := anchors.Check(h.signer, nil, trust.Signer, h.clock.Now()); v.Outcome != trust.Trusted {
		t.Errorf("signer: %v %v", v.Outcome, v.Problems)
	}
	if v := anchors.Check(h.makerCA.Certificate(), nil, trust.Signer, h.clock.Now()); v.Outcome == trust.Trusted {
		t.Error("a CA is trusted as a signer")
	}
	want := gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment
	if h.maker.KeyUsage != want || h.signer.KeyUsage != want || h.maker.IsCA || !h.makerCA.Certificate().IsCA || h.makerCA.Certificate().MaxPathLen != 0 {
		t.Error("usages are not those of the profiles")
	}
}

func TestASealIsMadeAndASignatureUnderItComesFromTheEngine(t *testing.T) {
	h := build(t)
	ctx := t.Context()
	maker, err := keys.PinLive(ctx, h.engine.Key("maker"))
	if err != nil {
		t.Fatal(err)
	}
	esl, err := seal.Make(ctx, seal.MakeSpec{ID: "22010000000001", Name: "测试专用章", Kind: seal.Organisation, Created: h.clock.Now(),
		NotBefore: h.clock.Now(), NotAfter: h.clock.Now().AddDate(1, 0, 0), Signers: []*gm.Certificate{h.signer}, Maker: maker.Certificate(),
		Picture: []byte("\x89PNG\r\n\x1a\n…"), Width: 42, Height: 42}, maker)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ses.ParseSeal(esl)
	if err != nil {
		t.Fatal(err)
	}
	hash := gm.SM3([]byte("Signature.xml"))
	tbs, err := ses.TBS{Seal: s, Time: h.clock.Now(), DataHash: hash[:], PropertyInfo: "/Doc_0/Signs/Sign_0/Signature.xml"}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.PinLive(ctx, h.engine.Key("seal-rs"))
	if err != nil {
		t.Fatal(err)
	}
	sig, err := signer.WithID("use-1").SignTBS(ctx, tbs)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.signer.PublicKey.Verify(tbs, sig); err != nil {
		t.Error(err)
	}
	if _, err := maker.SignTBS(ctx, tbs); !errors.Is(err, keys.ErrPurpose) {
		t.Errorf("the maker's key signs documents: %v", err)
	}
}

func TestARequestFromOutsideIsAnsweredOnlyWhenItProvesItsKey(t *testing.T) {
	h := build(t)
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req, err := gm.CreateRequest(subject("外部"), k.Public(), k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	again, err := gm.ParseRequest(req.PEM())
	if err != nil {
		t.Fatal(err)
	}
	c, err := h.root.Issue(t.Context(), pki.Officer, again, h.from, h.until)
	if err != nil || !c.PublicKey.Equal(k.Public()) || c.Subject.CommonName != "外部" {
		t.Fatalf("%+v %v", c, err)
	}
	forged := *req
	forged.Raw = bytes.Clone(req.Raw)
	forged.Raw[len(forged.Raw)-3] ^= 1
	if _, err := h.root.Issue(t.Context(), pki.Officer, &forged, h.from, h.until); err == nil {
		t.Error("a request that does not prove its key was answered")
	}
	if _, err := h.root.Issue(t.Context(), pki.Profile(0), req, h.from, h.until); !errors.Is(err, pki.ErrProfile) {
		t.Errorf("no profile: %v", err)
	}
	if _, err := h.makerCA.Issue(t.Context(), pki.SubCA, req, h.from, h.until); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("a CA below the last: %v", err)
	}
	if _, err := h.root.Issue(t.Context(), pki.Signer, req, h.from, h.until.AddDate(100, 0, 0)); !errors.Is(err, keys.ErrClock) {
		t.Errorf("a certificate that outlives its CA: %v", err)
	}
}

func TestARootIsMadeOnceAndOnlyOfACAKey(t *testing.T) {
	h := build(t)
	if _, err := pki.NewRoot(t.Context(), h.engine.Key("root"), h.engine, subject("again"), h.from, h.until); !errors.Is(err, keys.ErrPurpose) {
		t.Errorf("again: %v", err)
	}
	if _, err := h.engine.Create(t.Context(), "young", keys.Seal); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.NewRoot(t.Context(), h.engine.Key("young"), h.engine, subject("x"), h.from, h.until); !errors.Is(err, keys.ErrPurpose) {
		t.Errorf("of a seal key: %v", err)
	}
	for _, n := range []keys.Name{"maker", "young", "none"} {
		if a, err := pki.Open(t.Context(), h.engine.Key(n)); a != nil || err == nil {
			t.Errorf("opened %s as a CA", n)
		}
	}
	var life failing
	if _, err := h.engine.Create(t.Context(), "second", keys.CA); err != nil {
		t.Fatal(err)
	}
	if a, err := pki.NewRoot(t.Context(), h.engine.Key("second"), life, subject("x"), h.from, h.until); a != nil || err == nil {
		t.Error("a root whose certificate was not installed was returned")
	}
}

// failing installs nothing.
type failing struct{}

func (failing) CSR(context.Context, keys.Name, int, pkix.Name) (*gm.Request, error) {
	return nil, errors.New("no")
}
func (failing) InstallCertificate(context.Context, keys.Name, int, []*gm.Certificate) (keys.Info, error) {
	return keys.Info{}, errors.New("no")
}

func TestARevocationListNamesWhatIsRevoked(t *testing.T) {
	h := build(t)
	l, err := h.root.RevocationList(t.Context(), big.NewInt(3), h.clock.Now(), h.clock.Now().AddDate(0, 0, 7),
		[]gm.RevokedEntry{{Serial: h.signer.Serial, At: h.clock.Now(), Reason: 1}})
	if err != nil || len(l.Revoked) != 1 || l.Revoked[0].Serial.Cmp(h.signer.Serial) != 0 {
		t.Fatalf("%+v %v", l, err)
	}
	if _, err := gm.ParseRevocationList(l.Raw, h.makerCA.Certificate()); err == nil {
		t.Error("the list passes under another CA")
	}
}

// A second opinion: OpenSSL with the default identity of SM2.
func TestOpenSSLAcceptsRequestsAndCertificates(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		testenv.Missing(t, "no openssl in PATH")
	}
	h := build(t)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	req, err := h.engine.CSR(t.Context(), "seal-rs", 1, subject("签章人"))
	if err != nil {
		t.Fatal(err)
	}
	const id = "distid:1234567812345678"
	// verify gives the identity to the first certificate only, so each link of
	// the chain is a call of its own.
	link := func(cert, issuer *gm.Certificate) []string {
		return []string{"verify", "-vfyopt", id, "-attime", strconv.FormatInt(h.clock.Now().Unix(), 10), "-partial_chain",
			"-trusted", write(issuer.SerialHex(), issuer.PEM()), write(cert.SerialHex(), cert.PEM())}
	}
	for name, args := range map[string][]string{
		"request":  {"req", "-verify", "-noout", "-vfyopt", id, "-in", write("req.pem", req.PEM())},
		"root":     link(h.root.Certificate(), h.root.Certificate()),
		"maker CA": link(h.makerCA.Certificate(), h.root.Certificate()),
		"maker":    link(h.maker, h.makerCA.Certificate()),
		"signer":   link(h.signer, h.root.Certificate()),
	} {
		if out, err := exec.Command(openssl, args...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", name, err, strings.TrimSpace(string(out)))
		}
	}
}
