package gm

import (
	"encoding/pem"
	"errors"
	"slices"
	"testing"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestAnswersOfCertificationAuthoritiesAreReadInEveryForm(t *testing.T) {
	ca := newParty(t, nil, "ca", asCA)
	signing, encryption := newParty(t, &ca, "signing", nil), newParty(t, &ca, "encryption", func(x *Template) { x.KeyUsage = 0 })
	bundle := func(kind []int) []byte {
		var b cryptobyte.Builder
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(kind)
			b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1Int64(1)
					b.AddASN1(casn1.SET, func(*cryptobyte.Builder) {})
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(OIDData) })
					b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddBytes(signing.cert.Raw); b.AddBytes(ca.cert.Raw) })
					b.AddASN1(casn1.SET, func(*cryptobyte.Builder) {})
				})
			})
		})
		return b.BytesOrPanic()
	}
	read := func(c *Certificate) *smx509.Certificate {
		x, err := smx509.ParseCertificate(c.Raw)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	double, err := smx509.MarshalCSRResponse([]*smx509.Certificate{read(signing.cert), read(ca.cert)}, encryption.key.key, []*smx509.Certificate{read(encryption.cert)})
	if err != nil {
		t.Fatal(err)
	}
	single, err := smx509.MarshalCSRResponse([]*smx509.Certificate{read(signing.cert)}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		data  []byte
		certs int
		key   bool
	}{
		"PEM chain":        {append(signing.cert.PEM(), ca.cert.PEM()...), 2, false},
		"DER":              {signing.cert.Raw, 1, false},
		"PKCS 7":           {bundle(OIDSignedData), 2, false},
		"GB/T 35275":       {bundle(OIDGMSignedData), 2, false},
		"PKCS 7 in PEM":    {pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: bundle(OIDSignedData)}), 2, false},
		"GM/T 0092 double": {double, 3, true},
		"GM/T 0092 single": {single, 1, false},
	} {
		a, err := ParseAnswer(c.data)
		if err != nil || len(a.Certificates) != c.certs || a.EncryptionKey != c.key || !slices.ContainsFunc(a.Certificates, signing.cert.Equal) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
	for name, data := range map[string][]byte{"nothing": nil, "rubbish": []byte("rubbish"), "request": []byte{0x30, 2, 0x31, 0}, "cut": double[:len(double)-1],
		"behind": append(bundle(OIDSignedData), 0), "other content": bundle(OIDData)} {
		if a, err := ParseAnswer(data); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %+v %v", name, a, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	ca := newParty(f, nil, "ca", asCA)
	x, err := smx509.ParseCertificate(ca.cert.Raw)
	if err != nil {
		f.Fatal(err)
	}
	double, err := smx509.MarshalCSRResponse([]*smx509.Certificate{x}, nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{double, ca.cert.Raw, ca.cert.PEM()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseAnswer(data)
		if err == nil && len(a.Certificates) == 0 || err != nil && !errors.Is(err, ErrAnswer) {
			t.Errorf("%+v %v", a, err)
		}
	})
}
