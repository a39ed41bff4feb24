package keytest

import (
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal/ses"
)

// Start is the time at which the tests' clock begins.
var Start = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// Clock is a clock that stands still until it is moved. The zero value shows
// the real time and cannot be moved: for backends in another process.
type Clock struct {
	mu sync.Mutex
	at time.Time
}

// NewClock returns a clock that stands at Start.
func NewClock() *Clock { return &Clock{at: Start} }

// Now returns the clock's time, in whole seconds as the structures hold it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		return time.Now().UTC().Truncate(time.Second)
	}
	return c.at
}

// Move turns the clock by d, or skips the test when it shows the real time.
func (c *Clock) Move(t testing.TB, d time.Duration) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() {
		t.Skip("this backend's clock cannot be moved")
	}
	c.at = c.at.Add(d)
}

// Outside is a CA outside the engine under test, with a seal maker, so that
// keys can be certified and seals made by somebody else.
type Outside struct {
	t      testing.TB
	clock  *Clock
	root   *gm.PrivateKey
	Root   *gm.Certificate
	maker  *gm.PrivateKey
	Maker  *gm.Certificate
	serial int64
}

// NewOutside makes the CA and its seal maker, valid for ten years from the
// clock's time.
func NewOutside(t testing.TB, clock *Clock) *Outside {
	t.Helper()
	o := &Outside{t: t, clock: clock, root: newKey(t), maker: newKey(t)}
	o.Root = o.issue(gm.Template{Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true, MaxPathLen: 2,
		KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign}, o.root.Public(), 10)
	o.Maker = o.issue(gm.Template{Subject: pkix.Name{CommonName: "Test Seal Maker"},
		KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, o.maker.Public(), 10)
	return o
}

func newKey(t testing.TB) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (o *Outside) issue(tmpl gm.Template, subject *gm.PublicKey, years int) *gm.Certificate {
	o.t.Helper()
	o.serial++
	tmpl.Serial = big.NewInt(1000 + o.serial)
	if tmpl.NotBefore.IsZero() {
		tmpl.NotBefore = o.clock.Now().Add(-time.Minute)
	}
	tmpl.NotAfter = tmpl.NotBefore.AddDate(years, 0, 0)
	c, err := gm.CreateCertificate(tmpl, o.Root, subject, o.root.Sign)
	if err != nil {
		o.t.Fatal(err)
	}
	return c
}

// Certify issues a certificate over subject with the usages of a signer.
func (o *Outside) Certify(subject *gm.PublicKey) *gm.Certificate {
	return o.issue(gm.Template{Subject: pkix.Name{CommonName: "Test Signer"},
		KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, subject, 2)
}

// CertifyAs issues a certificate from a template; its dates are filled in when
// they are zero.
func (o *Outside) CertifyAs(tmpl gm.Template, subject *gm.PublicKey) *gm.Certificate {
	return o.issue(tmpl, subject, 2)
}

// SealInfo is a sound eSealInfo that lists signers.
func (o *Outside) SealInfo(signers ...*gm.Certificate) ses.SealInfo {
	i := ses.SealInfo{VendorID: "SEALGATE", ID: "22010000000001",
		Property: ses.Property{Type: 1, Name: "测试专用章", ListType: ses.ListCertificates, Created: o.clock.Now(),
			NotBefore: o.clock.Now().Add(-time.Minute), NotAfter: o.clock.Now().AddDate(1, 0, 0)},
		Picture: ses.Picture{Type: "PNG", Data: []byte("\x89PNG picture"), Width: 42, Height: 42}}
	for _, c := range signers {
		i.Property.Certs = append(i.Property.Certs, c.Raw)
	}
	return i
}

// Seal makes a seal of info, signed by the outside maker.
func (o *Outside) Seal(info ses.SealInfo) *ses.Seal {
	o.t.Helper()
	return o.SealBy(info, o.Maker, o.maker)
}

// SealBy makes a seal of info that names maker, signed with key.
func (o *Outside) SealBy(info ses.SealInfo, maker *gm.Certificate, key *gm.PrivateKey) *ses.Seal {
	o.t.Helper()
	der, err := info.Marshal()
	if err != nil {
		o.t.Fatal(err)
	}
	sig, err := key.Sign(der)
	if err != nil {
		o.t.Fatal(err)
	}
	raw, err := ses.AssembleSeal(der, maker.Raw, sig)
	if err != nil {
		o.t.Fatal(err)
	}
	s, err := ses.ParseSeal(raw)
	if err != nil {
		o.t.Fatal(err)
	}
	return s
}

// TBS is a sound TBS_Sign under seal; salt makes it differ from others.
func (o *Outside) TBS(seal *ses.Seal, salt byte) ses.TBS {
	h := gm.SM3([]byte{salt})
	return ses.TBS{Seal: seal, Time: o.clock.Now(), DataHash: h[:], PropertyInfo: "/Doc_0/Signs/Sign_0/Signature.xml"}
}

// DER marshals a structure or ends the test.
func DER(t testing.TB, v interface{ Marshal() ([]byte, error) }) []byte {
	t.Helper()
	der, err := v.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

var errCaptured = errors.New("captured")

// Captured returns the to-be-signed structure that make hands to its SignFunc.
func Captured(t testing.TB, make func(gm.SignFunc) error) []byte {
	t.Helper()
	var tbs []byte
	err := make(func(b []byte) ([]byte, error) {
		tbs = append([]byte(nil), b...)
		return nil, errCaptured
	})
	if tbs == nil {
		t.Fatalf("nothing was to be signed: %v", err)
	}
	return tbs
}
