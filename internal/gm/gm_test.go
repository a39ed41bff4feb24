package gm

import (
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
	"time"

	"github.com/emmansun/gmsm/sm2"
	tjsm2 "github.com/tjfoc/gmsm/sm2"
	tjsm3 "github.com/tjfoc/gmsm/sm3"
)

func TestSM3MatchesTheStandardsExample(t *testing.T) {
	// GB/T 32905-2016 appendix A.1: "abc".
	const want = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
	got := SM3([]byte("a"), []byte("bc"))
	if hex.EncodeToString(got[:]) != want {
		t.Fatalf("SM3(abc) = %x", got)
	}
	if second := tjsm3.Sm3Sum([]byte("abc")); hex.EncodeToString(second) != want {
		t.Fatalf("second opinion disagrees: %x", second)
	}
}

func TestSignVerifiesAndSecondOpinionAgrees(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 { // the library refuses to sign the empty message
		msg := make([]byte, 1+i*17)
		sig, err := k.Sign(msg)
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Public().Verify(msg, sig); err != nil {
			t.Fatal(err)
		}
		tp := &tjsm2.PublicKey{Curve: tjsm2.P256Sm2(), X: k.key.X, Y: k.key.Y}
		if !tp.Verify(msg, sig) {
			t.Fatal("tjfoc/gmsm refuses our signature")
		}
		if err := k.Public().Verify(append(msg, 1), sig); !errors.Is(err, ErrSignature) {
			t.Fatalf("other message: %v", err)
		}
	}
}

func TestVerifyRefusesASignatureThatIsNotCanonical(t *testing.T) {
	k, _ := GenerateKey()
	sig, err := k.Sign([]byte("m"))
	if err != nil {
		t.Fatal(err)
	}
	one := big.NewInt(1)
	n1 := new(big.Int).Sub(order, one)
	raw := func(r, s *big.Int) []byte {
		b := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
		out, err := SignatureFromRaw(b)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, bad := range map[string][]byte{
		"trailing byte": append(append([]byte(nil), sig...), 0),
		"empty":         nil,
		"long length":   append([]byte{0x30, 0x81, sig[1]}, sig[2:]...),
		"r zero":        raw(new(big.Int), one),
		"s zero":        raw(one, new(big.Int)),
		"r is n":        raw(order, one),
		"r+s is n":      raw(one, n1),
		"leading zero":  {0x30, 8, 2, 3, 0, 0, 1, 2, 1, 1},
	} {
		if err := k.Public().Verify([]byte("m"), bad); !errors.Is(err, ErrSignatureForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSelfTestsOfTheLibraryPass(t *testing.T) {
	if err := sm2.SelfTest(); err != nil {
		t.Fatal(err)
	}
}

func TestCertificatesRequestsAndListsRoundTrip(t *testing.T) {
	ca, _ := GenerateKey()
	leaf, _ := GenerateKey()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	root, err := CreateCertificate(Template{Subject: pkix.Name{CommonName: "测试根"}, NotBefore: from, NotAfter: from.AddDate(10, 0, 0),
		KeyUsage: KeyUsageCertSign | KeyUsageCRLSign, IsCA: true, MaxPathLen: 1}, nil, ca.Public(), ca.Sign)
	if err != nil {
		t.Fatal(err)
	}
	req, err := CreateRequest(pkix.Name{CommonName: "签章人"}, leaf.Public(), leaf.Sign)
	if err != nil {
		t.Fatal(err)
	}
	c, err := CreateCertificate(Template{Subject: req.Subject, NotBefore: from, NotAfter: from.AddDate(1, 0, 0),
		KeyUsage: KeyUsageDigitalSignature | KeyUsageContentCommitment}, root, req.PublicKey, ca.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if c.IsCA || !root.IsCA || root.MaxPathLen != 1 || c.Subject.CommonName != "签章人" || !c.PublicKey.Equal(leaf.Public()) {
		t.Fatalf("unexpected certificate: %+v", c)
	}
	if err := c.CheckSignedBy(leaf.Public()); !errors.Is(err, ErrSignature) {
		t.Fatalf("wrong issuer accepted: %v", err)
	}
	crl, err := CreateRevocationList(big.NewInt(7), from, from.AddDate(0, 0, 7), []RevokedEntry{{Serial: c.Serial, At: from, Reason: 1}}, root, ca.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if len(crl.Revoked) != 1 || crl.Revoked[0].Serial.Cmp(c.Serial) != 0 {
		t.Fatalf("unexpected list: %+v", crl)
	}
	if _, err := ParseRevocationList(crl.Raw, c); err == nil {
		t.Fatal("a list of another issuer was accepted")
	}
	both, err := ParseCertificates(append(root.PEM(), c.PEM()...))
	if err != nil || len(both) != 2 {
		t.Fatalf("PEM: %v", err)
	}
	both, err = ParseCertificates(append(append([]byte(nil), root.Raw...), c.Raw...))
	if err != nil || len(both) != 2 {
		t.Fatalf("DER: %v", err)
	}
}

func TestPrivateKeyRoundTripsAndDoesNotPrintItself(t *testing.T) {
	k, _ := GenerateKey()
	p, err := k.MarshalPEM()
	if err != nil {
		t.Fatal(err)
	}
	k2, err := ParsePrivateKeyPEM(p)
	if err != nil {
		t.Fatal(err)
	}
	if !k2.Public().Equal(k.Public()) || k.String() != k.GoString() {
		t.Fatal("key changed")
	}
	pub, err := ParsePublicKeyPEM(k.Public().PEM())
	if err != nil || !pub.Equal(k.Public()) {
		t.Fatal(err)
	}
	ct, err := pub.Encrypt([]byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	pt, err := k2.Decrypt(ct)
	if err != nil || string(pt) != "secret" {
		t.Fatalf("%q %v", pt, err)
	}
}

func FuzzParseCertificate(f *testing.F) {
	k, _ := GenerateKey()
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := CreateCertificate(Template{Subject: pkix.Name{CommonName: "x"}, NotBefore: from, NotAfter: from.AddDate(1, 0, 0)}, nil, k.Public(), k.Sign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.Raw)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cs, err := ParseCertificates(data)
		if err != nil {
			return
		}
		for _, c := range cs {
			again, err := ParseCertificate(c.Raw)
			if err != nil || !again.Equal(c) || c.PublicKey == nil {
				t.Fatalf("parse is not stable: %v", err)
			}
		}
	})
}

func FuzzSignatureForm(f *testing.F) {
	k, _ := GenerateKey()
	sig, _ := k.Sign([]byte("m"))
	f.Add(sig)
	f.Fuzz(func(t *testing.T, data []byte) {
		if CheckSignature(data) == nil && !sameAfterReencoding(data) {
			t.Fatalf("accepted a second form of a signature: %x", data)
		}
	})
}

func sameAfterReencoding(sig []byte) bool {
	pos := 2
	var raw []byte
	for range 2 {
		n := int(sig[pos+1])
		v := new(big.Int).SetBytes(sig[pos+2 : pos+2+n])
		raw = append(raw, v.FillBytes(make([]byte, 32))...)
		pos += 2 + n
	}
	again, err := SignatureFromRaw(raw)
	return err == nil && string(again) == string(sig)
}
