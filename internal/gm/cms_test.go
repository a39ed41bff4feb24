package gm

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var cmsDay = time.Date(2026, 11, 24, 1, 59, 41, 0, time.UTC)

// cmsSigner returns a key with a certificate of its own.
func cmsSigner(t testing.TB) (*PrivateKey, *Certificate) {
	t.Helper()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	c, err := CreateCertificate(Template{Subject: pkix.Name{CommonName: "签名人"}, Serial: big.NewInt(3), NotBefore: cmsDay.AddDate(-1, 0, 0),
		NotAfter: cmsDay.AddDate(1, 0, 0), KeyUsage: KeyUsageDigitalSignature}, nil, k.Public(), k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return k, c
}

func TestSignedDataRoundTripsInBothFamilies(t *testing.T) {
	k, c := cmsSigner(t)
	doc := []byte("<Signature/>")
	for _, cms := range []bool{false, true} {
		for _, encapsulate := range []bool{false, true} {
			for _, contentType := range []asn1.ObjectIdentifier{nil, {1, 2, 840, 113549, 1, 9, 16, 1, 4}} {
				der, err := CreateSignedData(SignedDataTemplate{CMS: cms, Document: doc, Encapsulate: encapsulate, ContentType: contentType,
					Certificates: []*Certificate{c}, SigningTime: cmsDay,
					SignedAttrs: []Attribute{{ID: asn1.ObjectIdentifier{1, 2, 3}, Values: [][]byte{{5, 0}}}}}, k.Sign)
				if err != nil {
					t.Fatal(err)
				}
				s, err := ParseSignedData(der)
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Verify(doc); err != nil {
					t.Error(err)
				}
				if s.OuterType.Equal(OIDSignedData) != cms || (s.Content != nil) != encapsulate || !s.SigningTime.Equal(cmsDay) || len(s.SignedAttrs) != 4 {
					t.Errorf("%v %q %v %d", s.OuterType, s.Content, s.SigningTime, len(s.SignedAttrs))
				}
			}
		}
	}
}

// withoutAttributes writes the form (b): content is signed directly.
func withoutAttributes(t testing.TB, k *PrivateKey, c *Certificate, content []byte) []byte {
	t.Helper()
	sig, err := k.Sign(content)
	if err != nil {
		t.Fatal(err)
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(OIDGMSignedData)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, OIDSM3) })
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(OIDGMData)
					b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
				})
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddBytes(c.Raw) })
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(c.RawIssuer)
							b.AddASN1BigInt(c.Serial)
						})
						addAlgorithm(b, OIDSM3)
						addAlgorithm(b, OIDSM2WithSM3)
						b.AddASN1OctetString(sig)
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}

func TestContentFormWithoutAttributesVerifies(t *testing.T) {
	k, c := cmsSigner(t)
	doc := []byte("<Signature/>")
	digest := SM3(doc)
	for name, content := range map[string][]byte{
		"document": doc, "digest": digest[:], "base64": []byte(base64.StdEncoding.EncodeToString(digest[:])),
	} {
		s, err := ParseSignedData(withoutAttributes(t, k, c, content))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Verify(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := s.Verify([]byte("other")); !errors.Is(err, ErrCMSDigest) {
			t.Errorf("%s, other document: %v", name, err)
		}
	}
}

func TestSignedDataIsRefusedWhenAnythingIsChanged(t *testing.T) {
	k, c := cmsSigner(t)
	doc := []byte("<Signature/>")
	der, err := CreateSignedData(SignedDataTemplate{Document: doc, Certificates: []*Certificate{c}, SigningTime: cmsDay}, k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := k.Sign(doc)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string][]byte{
		"empty": nil, "bare signature": bare, "trailing byte": append(bytes.Clone(der), 0), "cut": der[:len(der)-1],
		"type data": bytes.Replace(der, []byte{4, 2, 2, 0xa0}, []byte{4, 2, 1, 0xa0}, 1), "too long": make([]byte, MaxSignedDataSize+1),
	} {
		if _, err := ParseSignedData(bad); !errors.Is(err, ErrCMS) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := ParseSignedData(der)
	if err != nil {
		t.Fatal(err)
	}
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		s, err := ParseSignedData(bad)
		if err != nil || s.Verify(doc) != nil {
			continue
		}
		// What the signature does not cover may change: version numbers, and
		// the certificate outside its key and number.
		if !bytes.Equal(s.attrsSet, good.attrsSet) || !bytes.Equal(s.Signature, good.Signature) ||
			!s.Certificates[0].PublicKey.Equal(c.PublicKey) || s.Content != nil {
			t.Errorf("bit flip in byte %d was not noticed", i)
		}
	}
	other, _ := cmsSigner(t)
	if _, err := CreateSignedData(SignedDataTemplate{Document: doc, Certificates: []*Certificate{c}}, other.Sign); !errors.Is(err, ErrSignature) {
		t.Errorf("signed with another key: %v", err)
	}
}

func TestSignedAttributesMustBindTheDocument(t *testing.T) {
	k, c := cmsSigner(t)
	for name, attrs := range map[string][]Attribute{
		"digest twice":       {{OIDAttrMessageDigest, [][]byte{{4, 1, 0}}}},
		"content type twice": {{OIDAttrContentType, [][]byte{{6, 1, 42}}}},
		"unreadable value":   {{asn1.ObjectIdentifier{1, 2, 3}, [][]byte{{4, 9, 0}}}},
	} {
		_, err := CreateSignedData(SignedDataTemplate{Document: []byte("x"), Certificates: []*Certificate{c}, SignedAttrs: attrs}, k.Sign)
		if !errors.Is(err, ErrCMS) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzParseSignedData asserts that what parses keeps its bytes, and that
// nothing but a message made with the seed's key verifies.
func FuzzParseSignedData(f *testing.F) {
	k, c := cmsSigner(f)
	doc := []byte("<Signature/>")
	der, err := CreateSignedData(SignedDataTemplate{Document: doc, Certificates: []*Certificate{c}, SigningTime: cmsDay}, k.Sign)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Add(withoutAttributes(f, k, c, doc))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseSignedData(data)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Raw, data) {
			t.Fatal("raw bytes are not the input")
		}
		if err := s.Verify([]byte("a document that nobody signed")); err == nil {
			t.Fatal("a document that nobody signed verifies")
		}
	})
}
