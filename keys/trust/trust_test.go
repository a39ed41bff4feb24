package trust

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

var (
	from = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	mid  = from.AddDate(0, 6, 0)
	to   = from.AddDate(1, 0, 0)
)

const signs = gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment

// entity is a certificate with its key.
type entity struct {
	*gm.Certificate
	key *gm.PrivateKey
}

type option func(*gm.Template)

func ca(pathLen int) option {
	return func(t *gm.Template) { t.IsCA, t.MaxPathLen, t.KeyUsage = true, pathLen, gm.KeyUsageCertSign }
}
func usage(u gm.KeyUsage) option { return func(t *gm.Template) { t.KeyUsage = u } }
func dates(a, b time.Time) option {
	return func(t *gm.Template) { t.NotBefore, t.NotAfter = a, b }
}

func issue(t testing.TB, issuer *entity, name string, options ...option) *entity {
	t.Helper()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	tmpl := gm.Template{Subject: pkix.Name{Country: []string{"CN"}, CommonName: name}, NotBefore: from, NotAfter: to, KeyUsage: signs}
	for _, o := range options {
		o(&tmpl)
	}
	var parent *gm.Certificate
	sign := key.Sign
	if issuer != nil {
		parent, sign = issuer.Certificate, issuer.key.Sign
	}
	c, err := gm.CreateCertificate(tmpl, parent, key.Public(), sign)
	if err != nil {
		t.Fatal(err)
	}
	return &entity{c, key}
}

func anchors(t testing.TB, role Role, list ...*entity) *Anchors {
	t.Helper()
	var as []Anchor
	for _, e := range list {
		as = append(as, Anchor{e.Certificate, role})
	}
	a, err := New(as...)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func certs(list ...*entity) []*gm.Certificate {
	var out []*gm.Certificate
	for _, e := range list {
		out = append(out, e.Certificate)
	}
	return out
}

// is compares outcome and reasons, written "refused: expired, bad issuer".
func is(t *testing.T, name string, v Verdict, want string) {
	t.Helper()
	got := v.Outcome.String()
	for i, p := range v.Problems {
		got += [...]string{": ", ", "}[min(i, 1)] + p.Reason.String()
		if p.Cert == nil || p.Detail == "" {
			t.Errorf("%s: a problem without certificate or detail", name)
		}
	}
	if got != want {
		t.Errorf("%s: %s, want %s", name, got, want)
	}
	if (v.Outcome == Trusted) != (len(v.Problems) == 0) {
		t.Errorf("%s: outcome and problems contradict each other", name)
	}
}

func TestChainsOfOneToThreeAreTrusted(t *testing.T) {
	root := issue(t, nil, "root", ca(1))
	sub := issue(t, root, "sub", ca(0))
	direct, deep := issue(t, root, "direct"), issue(t, sub, "deep")
	a := anchors(t, anyRole, root)
	for range 2 { // the second round comes from the cache
		is(t, "direct", a.Check(direct.Certificate, nil, Signer, mid), "trusted")
		v := a.Check(deep.Certificate, certs(direct, sub), Maker, mid)
		is(t, "deep", v, "trusted")
		if len(v.Chain) != 3 || !v.Chain[2].Equal(root.Certificate) {
			t.Errorf("chain of %d", len(v.Chain))
		}
		is(t, "an anchor itself", a.Check(root.Certificate, nil, Signer, mid), "refused: wrong usage")
	}
	is(t, "leaf as anchor", anchors(t, Maker, direct).Check(direct.Certificate, nil, Maker, mid), "trusted")
}

func TestWithoutAPathTheAnswerIsUnknown(t *testing.T) {
	root, stranger := issue(t, nil, "root", ca(1)), issue(t, nil, "stranger", ca(1))
	sub := issue(t, root, "sub", ca(0))
	leaf := issue(t, sub, "leaf")
	var none *Anchors
	is(t, "nil anchors", none.Check(leaf.Certificate, certs(sub), Signer, mid), "unknown: no path")
	is(t, "no anchors", anchors(t, anyRole).Check(leaf.Certificate, certs(sub), Signer, mid), "unknown: no path")
	is(t, "other anchor", anchors(t, anyRole, stranger).Check(leaf.Certificate, certs(sub, root), Signer, mid), "unknown: no path")
	is(t, "intermediate is missing", anchors(t, anyRole, root).Check(leaf.Certificate, nil, Signer, mid), "unknown: no path")
	is(t, "self-signed", anchors(t, anyRole, root).Check(issue(t, nil, "self").Certificate, nil, Signer, mid), "unknown: no path")
	is(t, "expired besides", none.Check(leaf.Certificate, certs(sub), Signer, to.AddDate(0, 0, 1)), "refused: expired, no path")
}

func TestAnchorsServeTheirRoleOnly(t *testing.T) {
	makers, signers := issue(t, nil, "makers", ca(0)), issue(t, nil, "signers", ca(0))
	maker, signer := issue(t, makers, "maker"), issue(t, signers, "signer")
	a, err := New(Anchor{makers.Certificate, Maker}, Anchor{signers.Certificate, Signer})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // a cached chain must not leak into another role
		is(t, "maker", a.Check(maker.Certificate, nil, Maker, mid), "trusted")
		is(t, "maker as signer", a.Check(maker.Certificate, nil, Signer, mid), "unknown: no path")
		is(t, "signer", a.Check(signer.Certificate, nil, Signer, mid), "trusted")
		is(t, "signer as maker", a.Check(signer.Certificate, nil, Maker, mid), "unknown: no path")
	}
}

func TestAWrongSignatureOnAPathIsRefused(t *testing.T) {
	root := issue(t, nil, "root", ca(1))
	fake := issue(t, nil, "root", ca(1)) // the same name, another key
	forged := issue(t, fake, "leaf")
	a := anchors(t, anyRole, root)
	if len(forged.AuthorityKeyID) > 0 {
		t.Log("the authority key identifier tells the two roots apart")
		forged.AuthorityKeyID = nil // a forger leaves it out
	}
	is(t, "forged", a.Check(forged.Certificate, nil, Signer, mid), "refused: bad signature")
	is(t, "both roots", anchors(t, anyRole, root, fake).Check(forged.Certificate, nil, Signer, mid), "trusted")
}

func TestIssuersMustBeAuthorities(t *testing.T) {
	root := issue(t, nil, "root", ca(0))
	noCA := issue(t, root, "no CA")
	tooDeep := issue(t, root, "too deep", ca(0))
	noCertSign := issue(t, nil, "no certSign", ca(0), usage(signs))
	a := anchors(t, anyRole, root, noCertSign)
	is(t, "issued by an end certificate", a.Check(issue(t, noCA, "x").Certificate, certs(noCA), Signer, mid), "refused: bad issuer, bad issuer")
	is(t, "path length", a.Check(issue(t, tooDeep, "x").Certificate, certs(tooDeep), Signer, mid), "refused: bad issuer")
	is(t, "key usage of the issuer", a.Check(issue(t, noCertSign, "x").Certificate, nil, Signer, mid), "refused: bad issuer")
}

func TestDatesOfEveryCertificateCountAtTheGivenTime(t *testing.T) {
	root := issue(t, nil, "root", ca(1))
	sub := issue(t, root, "sub", ca(0), dates(from, mid))
	leaf := issue(t, sub, "leaf")
	a := anchors(t, anyRole, root)
	at := func(when time.Time) Verdict { return a.Check(leaf.Certificate, certs(sub), Signer, when) }
	for range 2 {
		is(t, "first second", at(from), "trusted")
		is(t, "last second of sub", at(mid.Add(900*time.Millisecond)), "trusted")
		is(t, "sub has ended", at(mid.Add(time.Second)), "refused: expired")
		is(t, "all have ended", at(to.Add(time.Second)), "refused: expired, expired, expired")
		is(t, "before", at(from.Add(-time.Second)), "refused: not yet valid, not yet valid, not yet valid")
	}
}

func TestUsageOfTheLeafMustFitTheRole(t *testing.T) {
	root := issue(t, nil, "root", ca(0))
	a := anchors(t, anyRole, root)
	stamps := func(tm *gm.Template) { tm.TimeStamping = true }
	is(t, "encipherment only", a.Check(issue(t, root, "x", usage(gm.KeyUsageCRLSign)).Certificate, nil, Signer, mid), "refused: wrong usage")
	is(t, "no usage at all", a.Check(issue(t, root, "x", usage(0)).Certificate, nil, Signer, mid), "trusted")
	is(t, "signer as TSA", a.Check(issue(t, root, "x").Certificate, nil, TSA, mid), "refused: wrong usage")
	is(t, "TSA", a.Check(issue(t, root, "x", stamps).Certificate, nil, TSA, mid), "trusted")
}

func TestTheSearchEndsWhenIntermediatesAreHostile(t *testing.T) {
	root := issue(t, nil, "root", ca(-1))
	var loop []*entity
	for range 40 { // forty CAs of one name: every one may have issued every other
		loop = append(loop, issue(t, issue(t, nil, "loop", ca(-1)), "loop", ca(-1)))
	}
	for _, e := range loop {
		e.AuthorityKeyID = nil
	}
	leaf := issue(t, loop[0], "leaf")
	begin := time.Now()
	is(t, "loop", anchors(t, anyRole, root).Check(leaf.Certificate, certs(loop...), Signer, mid), "unknown: no path")
	if d := time.Since(begin); d > time.Second {
		t.Errorf("took %v", d)
	}
}

// revokes is a source that knows one revoked certificate.
type revokes struct{ serial string }

func (r revokes) Status(c, issuer *gm.Certificate, at time.Time) Revocation {
	if c.SerialHex() == r.serial {
		return Revocation{State: IsRevoked, At: mid}
	}
	return Revocation{State: CannotAnswer}
}

func TestRevocationIsAskedOnlyWhenConfigured(t *testing.T) {
	root := issue(t, nil, "root", ca(1))
	sub := issue(t, root, "sub", ca(0))
	leaf := issue(t, sub, "leaf")
	a := anchors(t, anyRole, root)
	check := func(a *Anchors) Verdict { return a.Check(leaf.Certificate, certs(sub), Signer, mid) }
	if v := check(a); v.Outcome != Trusted || v.Revocation.State != NotConfigured {
		t.Errorf("no source: %+v", v)
	}
	if v := check(a.WithRevocation(revokes{})); v.Outcome != Trusted || v.Revocation.State != CannotAnswer {
		t.Errorf("no answer: %+v", v)
	}
	is(t, "leaf revoked", check(a.WithRevocation(revokes{leaf.SerialHex()})), "refused: revoked")
	is(t, "issuer revoked", check(a.WithRevocation(revokes{sub.SerialHex()})), "refused: revoked")
}

func TestLoadReadsFilesAndFoldersWithRoles(t *testing.T) {
	dir := t.TempDir()
	root, makers := issue(t, nil, "root", ca(0)), issue(t, nil, "makers", ca(0))
	write := func(name string, data []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("root.pem", root.PEM())
	write("maker/makers.cer", makers.Raw)
	write("readme.txt", []byte("not a certificate"))
	write(".hidden", []byte("neither"))
	a, err := Load(dir)
	if err != nil || a.Len() != 2 {
		t.Fatalf("%d anchors, %v", a.Len(), err)
	}
	maker := issue(t, makers, "m").Certificate
	is(t, "maker", a.Check(maker, nil, Maker, mid), "trusted")
	is(t, "restricted", a.Check(maker, nil, Signer, mid), "unknown: no path")
	is(t, "unrestricted", a.Check(issue(t, root, "x").Certificate, nil, TSA|Signer, mid), "trusted")

	one, err := Load(filepath.Join(dir, "maker", "makers.cer"))
	if err != nil || one.Len() != 1 {
		t.Fatalf("%v", err)
	}
	is(t, "a file serves every role", one.Check(maker, nil, Signer, mid), "trusted")

	for name, make := range map[string]func() string{
		"absent":           func() string { return filepath.Join(dir, "nowhere") },
		"not certificates": func() string { return filepath.Join(dir, "readme.txt") },
		"empty folder":     func() string { return t.TempDir() },
		"unknown folder":   func() string { write("sub/signers/a.cer", root.Raw); return filepath.Join(dir, "sub") },
		"broken file":      func() string { write("bad/a.cer", root.Raw[:50]); return filepath.Join(dir, "bad") },
	} {
		if a, err := Load(make()); err == nil || a != nil || !strings.Contains(err.Error(), ErrAnchors.Error()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkCheckOfAChainOfThree(b *testing.B) {
	root := issue(b, nil, "root", ca(1))
	sub := issue(b, root, "sub", ca(0))
	leaf := issue(b, sub, "leaf")
	others := certs(sub)
	for _, cached := range []bool{false, true} {
		b.Run(fmt.Sprintf("cached=%v", cached), func(b *testing.B) {
			a := anchors(b, anyRole, root)
			for b.Loop() {
				if !cached {
					clear(a.cache)
				}
				if a.Check(leaf.Certificate, others, Signer, mid).Outcome != Trusted {
					b.Fatal("not trusted")
				}
			}
		})
	}
}

// spoilt is e with a subject that the strict parser refuses, signed anew by the
// issuer's key.
func spoilt(t *testing.T, e, issuer *entity) *gm.Certificate {
	t.Helper()
	tbs := bytes.Clone(e.RawTBS)
	tbs[bytes.LastIndex(tbs, []byte("\x13\x02CN"))+2] = '_' // not in PrintableString
	sig, err := issuer.key.Sign(tbs)
	if err != nil {
		t.Fatal(err)
	}
	bits, err := asn1.Marshal(asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)})
	if err != nil {
		t.Fatal(err)
	}
	rest := bytes.TrimPrefix(e.Raw[4:], e.RawTBS)
	body := append(append(tbs, rest[:2+int(rest[1])]...), bits...)
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: body})
	if err != nil {
		t.Fatal(err)
	}
	c, err := gm.ParseCertificate(der)
	if err != nil || c.FormError == nil {
		t.Fatalf("%v, %v", c, err)
	}
	return c
}

func TestAMalformedLeafIsHeldToItsUsage(t *testing.T) {
	root := issue(t, nil, "根", ca(0))
	a := anchors(t, Maker|Signer|TSA, root)
	is(t, "may sign", a.Check(spoilt(t, issue(t, root, "甲"), root), nil, Signer, mid), "trusted")
	is(t, "may not sign", a.Check(spoilt(t, issue(t, root, "乙", usage(gm.KeyUsageCRLSign)), root), nil, Maker, mid), "refused: wrong usage")
	is(t, "no timestamps", a.Check(spoilt(t, issue(t, root, "丙"), root), nil, TSA, mid), "refused: wrong usage")
}

func TestMalformedLeavesDoNotFillTheCache(t *testing.T) {
	root := issue(t, nil, "根", ca(0))
	a := anchors(t, Signer, root)
	a.Check(spoilt(t, issue(t, root, "甲"), root), nil, Signer, mid)
	if len(a.cache) != 0 {
		t.Errorf("%d chains of malformed certificates are kept", len(a.cache))
	}
	a.Check(issue(t, root, "乙").Certificate, nil, Signer, mid)
	if len(a.cache) != 1 {
		t.Errorf("%d chains are kept, want 1", len(a.cache))
	}
}
