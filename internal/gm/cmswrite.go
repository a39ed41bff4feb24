package gm

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// SignedDataTemplate is what CreateSignedData writes.
type SignedDataTemplate struct {
	// CMS chooses the object identifiers of RFC 5652; otherwise those of
	// GB/T 35275 are written.
	CMS bool
	// Document is what is signed. It is left outside unless Encapsulate is set.
	Document    []byte
	Encapsulate bool
	// ContentType of the document; nil means data of the chosen family.
	ContentType asn1.ObjectIdentifier
	// Certificates go inside; the first is the signer's.
	Certificates []*Certificate
	// OmitCertificates leaves all of them out: whoever verifies has them.
	OmitCertificates bool
	// SigningTime is written as a signed attribute unless it is zero.
	SigningTime time.Time
	// SignedAttrs are added to contentType, messageDigest and signingTime.
	SignedAttrs []Attribute
}

// CreateSignedData writes a SignedData message with signed attributes. sign
// receives the DER SET OF attributes, never a digest. The result is verified
// before it is returned.
func CreateSignedData(t SignedDataTemplate, sign SignFunc) ([]byte, error) {
	if len(t.Certificates) == 0 || t.Certificates[0].FormError != nil {
		return nil, errors.New("create SignedData: no well-formed signer certificate")
	}
	outer, contentType := OIDGMSignedData, OIDGMData
	if t.CMS {
		outer, contentType = OIDSignedData, OIDData
	}
	version := int64(1)
	if t.ContentType != nil {
		contentType, version = t.ContentType, 3 // RFC 5652 section 5.1
	}
	attrs, err := marshalAttributes(t, contentType)
	if err != nil {
		return nil, fmt.Errorf("create SignedData: %w", err)
	}
	sig, err := sign(bytes.Clone(attrs))
	if err != nil {
		return nil, fmt.Errorf("sign SignedData: %w", err)
	}
	implicit := bytes.Clone(attrs)
	implicit[0] = byte(contextTag(0))

	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(outer)
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(version)
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { addAlgorithm(b, OIDSM3) })
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(contentType)
					if t.Encapsulate {
						b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(t.Document) })
					}
				})
				if !t.OmitCertificates {
					b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
						for _, c := range t.Certificates {
							b.AddBytes(c.Raw)
						}
					})
				}
				b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(t.Certificates[0].RawIssuer)
							b.AddASN1BigInt(t.Certificates[0].Serial)
						})
						addAlgorithm(b, OIDSM3)
						b.AddBytes(implicit)
						addAlgorithm(b, OIDSM2Sign)
						b.AddASN1OctetString(sig)
					})
				})
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("create SignedData: %w", err)
	}
	s, err := ParseSignedData(der)
	if err != nil {
		return nil, err
	}
	s.Certificates = t.Certificates[:1] // also when none is inside
	if err := s.Verify(t.Document); err != nil {
		return nil, fmt.Errorf("check new SignedData: %w", err)
	}
	return der, nil
}

// marshalAttributes returns the DER SET OF signed attributes, sorted by their
// encodings as DER demands.
func marshalAttributes(t SignedDataTemplate, contentType asn1.ObjectIdentifier) ([]byte, error) {
	digest := SM3(t.Document)
	value := func(f func(*cryptobyte.Builder)) []byte {
		var b cryptobyte.Builder
		f(&b)
		der, err := b.Bytes()
		if err != nil {
			return nil // a bad identifier or time; found below when the message is read back
		}
		return der
	}
	list := []Attribute{
		{OIDAttrContentType, [][]byte{value(func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(contentType) })}},
		{OIDAttrMessageDigest, [][]byte{value(func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest[:]) })}},
	}
	if at := t.SigningTime.UTC(); !at.IsZero() {
		list = append(list, Attribute{OIDAttrSigningTime, [][]byte{value(func(b *cryptobyte.Builder) {
			if at.Year() >= 1950 && at.Year() < 2050 { // RFC 5652 section 11.3
				b.AddASN1UTCTime(at)
			} else {
				b.AddASN1GeneralizedTime(at)
			}
		})}})
	}
	var encoded [][]byte
	for _, a := range append(list, t.SignedAttrs...) {
		var b cryptobyte.Builder
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(a.ID)
			b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
				for _, v := range a.Values {
					b.AddBytes(v)
				}
			})
		})
		der, err := b.Bytes()
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, der)
	}
	slices.SortFunc(encoded, bytes.Compare)
	var b cryptobyte.Builder
	b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) {
		for _, e := range encoded {
			b.AddBytes(e)
		}
	})
	return b.Bytes()
}

func addAlgorithm(b *cryptobyte.Builder, id asn1.ObjectIdentifier) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(id) })
}
