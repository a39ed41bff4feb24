package gm

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// assembled is a Certificate structure of the given parts, right or wrong.
func assembled(tbs []byte, alg asn1.ObjectIdentifier, sig, behind []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		addAlgorithm(b, alg)
		b.AddASN1BitString(sig)
		b.AddBytes(behind)
	})
	return b.BytesOrPanic()
}

func selfSigned(t *testing.T, usage KeyUsage) (*Certificate, *PrivateKey) {
	t.Helper()
	key, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c, err := CreateCertificate(Template{Subject: pkix.Name{Country: []string{"CN"}, CommonName: "测试"},
		NotBefore: from, NotAfter: from.AddDate(1, 0, 0), KeyUsage: usage}, nil, key.Public(), key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return c, key
}

// Whoever hands a certificate over can change what the issuer did not sign. If
// such a change gave a tolerated, "malformed" certificate, it would shed
// whatever the strict parser would have read.
func TestACertificateChangedOutsideItsSignedPartIsRefused(t *testing.T) {
	c, _ := selfSigned(t, KeyUsageCRLSign)
	for name, der := range map[string][]byte{
		"bytes behind the signature": assembled(c.RawTBS, OIDSM2WithSM3, c.Signature, []byte{5, 0}),
		"another outer algorithm":    assembled(c.RawTBS, OIDSM2Sign, c.Signature, nil),
		"bytes behind it all":        append(bytes.Clone(c.Raw), 0),
	} {
		if got, err := ParseCertificate(der); !errors.Is(err, ErrCertificate) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if again, err := ParseCertificate(assembled(c.RawTBS, OIDSM2WithSM3, c.Signature, nil)); err != nil || !again.Equal(c) {
		t.Errorf("unchanged: %v", err)
	}
}

// malformed spoils the country of the subject and signs the certificate again,
// as an authority with careless software would.
func malformed(t *testing.T, c *Certificate, key *PrivateKey, more func([]byte) []byte) *Certificate {
	t.Helper()
	tbs := bytes.Clone(c.RawTBS)
	at := bytes.LastIndex(tbs, []byte("\x13\x02CN"))
	tbs[at+2] = '_' // not in PrintableString
	if more != nil {
		tbs = more(tbs)
	}
	sig, err := key.Sign(tbs)
	if err != nil {
		t.Fatal(err)
	}
	out, err := ParseCertificate(assembled(tbs, OIDSM2WithSM3, sig, nil))
	if err != nil {
		return nil
	}
	if out.FormError == nil || out.CheckSignedBy(key.Public()) != nil {
		t.Fatal("the certificate is not malformed, or its signature does not hold")
	}
	return out
}

func TestAMalformedCertificateKeepsItsRestrictions(t *testing.T) {
	c, key := selfSigned(t, KeyUsageCRLSign)
	if bad := malformed(t, c, key, nil); bad == nil || bad.KeyUsage != KeyUsageCRLSign || len(bad.Critical) != 0 {
		t.Errorf("key usage: %+v", bad)
	}
	usage := []byte("\x06\x03\x55\x1d\x0f\x01\x01\xff\x04") // keyUsage, critical, OCTET STRING
	unknown := func(tbs []byte) []byte {
		at := bytes.Index(tbs, usage)
		tbs[at+4] = 0x63 // 2.5.29.99
		return tbs
	}
	if bad := malformed(t, c, key, unknown); bad == nil || bad.KeyUsage != 0 || len(bad.Critical) != 1 {
		t.Errorf("unknown critical extension: %+v", bad)
	}
	empty := func(tbs []byte) []byte {
		at := bytes.Index(tbs, usage) + len(usage)
		if tbs[at+1] != 3 {
			t.Fatalf("key usage of %d bytes", tbs[at+1])
		}
		tbs[at+3], tbs[at+4] = 0, 0
		return tbs
	}
	if bad := malformed(t, c, key, empty); bad != nil {
		t.Errorf("empty key usage: %+v", bad)
	}
	broken := func(tbs []byte) []byte {
		at := bytes.Index(tbs, usage)
		tbs[at+5] = 0x0c // no BOOLEAN
		return tbs
	}
	if bad := malformed(t, c, key, broken); bad != nil {
		t.Errorf("extensions that cannot be read: %+v", bad)
	}
}
