package gm

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TimestampToken is a parsed timestamp token: a SignedData around a TSTInfo
// (RFC 3161 section 2.4.2; GM/T 0033 with the identifiers of either family).
// Parsing judges no signature.
type TimestampToken struct {
	Signed *SignedData
	Info   *TSTInfo
	certID certID
}

// certID names the authority's certificate inside the signed attributes.
type certID struct {
	hash   asn1.ObjectIdentifier
	digest []byte
	issuer []byte // DER of the one directoryName of GeneralNames, nil when absent
	serial *big.Int
}

// ParseTimestampToken reads a token, or a whole TimeStampResp that grants one.
// Its signed attributes must name the authority's certificate. The error wraps
// ErrTimestamp.
func ParseTimestampToken(der []byte) (*TimestampToken, error) {
	if len(der) > MaxTimestampToken {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrTimestamp, MaxTimestampToken)
	}
	if beginsWithStatus(der) {
		r, err := ParseTimestampResponse(der)
		if err != nil {
			return nil, err
		}
		if r.Token == nil {
			return nil, badTimestamp("response without a token")
		}
		der = r.Token
	}
	s, err := ParseSignedData(der)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTimestamp, err)
	}
	if !s.ContentType.Equal(OIDTSTInfo) || s.Content == nil || s.SignedAttrs == nil {
		return nil, badTimestamp("SignedData: no TSTInfo, or no signed attributes")
	}
	t := &TimestampToken{Signed: s}
	if t.Info, err = ParseTSTInfo(s.Content); err != nil {
		return nil, err
	}
	for _, a := range s.SignedAttrs {
		v2 := a.ID.Equal(OIDAttrSigningCertificateV2)
		if !v2 && (!a.ID.Equal(OIDAttrSigningCertificate) || t.certID.hash != nil) {
			continue // when both are there, the newer counts
		}
		var ok bool
		if len(a.Values) != 1 {
			return nil, badTimestamp("signingCertificate")
		}
		if t.certID, ok = readCertID(a.Values[0], v2); !ok {
			return nil, badTimestamp("signingCertificate")
		}
	}
	if t.certID.hash == nil {
		return nil, badTimestamp("signedAttrs: no signingCertificate")
	}
	return t, nil
}

// beginsWithStatus tells a TimeStampResp, whose first member is a SEQUENCE,
// from a ContentInfo, whose first member is an OBJECT IDENTIFIER.
func beginsWithStatus(der []byte) bool {
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	return in.ReadASN1(&seq, casn1.SEQUENCE) && seq.PeekASN1Tag(casn1.SEQUENCE)
}

var (
	oidSHA1   = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512 = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
)

// hashBy hashes data for the comparison of identifiers of certificates and
// issuers, where messages of other makers use other functions than SM3.
// Nothing that is believed rests on it alone: the signature does.
func hashBy(id asn1.ObjectIdentifier, data []byte) ([]byte, bool) {
	switch {
	case IsSM3(id):
		h := SM3(data)
		return h[:], true
	case id.Equal(oidSHA1):
		h := sha1.Sum(data)
		return h[:], true
	case id.Equal(oidSHA256):
		h := sha256.Sum256(data)
		return h[:], true
	case id.Equal(oidSHA384):
		h := sha512.Sum384(data)
		return h[:], true
	case id.Equal(oidSHA512):
		h := sha512.Sum512(data)
		return h[:], true
	}
	return nil, false
}

// readCertID reads the first identifier of SigningCertificate or
// SigningCertificateV2: that of the signer.
func readCertID(der []byte, v2 bool) (certID, bool) {
	c := certID{hash: oidSHA1}
	in := cryptobyte.String(der)
	var outer, list, id, octets cryptobyte.String
	if !in.ReadASN1(&outer, casn1.SEQUENCE) || !in.Empty() || !outer.ReadASN1(&list, casn1.SEQUENCE) || !list.ReadASN1(&id, casn1.SEQUENCE) {
		return c, false
	}
	if v2 {
		c.hash = oidSHA256
		if id.PeekASN1Tag(casn1.SEQUENCE) {
			var alg cryptobyte.String
			if !id.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&c.hash) || !parametersAbsent(alg) {
				return c, false
			}
		}
	}
	if !id.ReadASN1(&octets, casn1.OCTET_STRING) {
		return c, false
	}
	c.digest = octets
	if !id.Empty() {
		var is, names, name, issuer cryptobyte.String
		c.serial = new(big.Int)
		if !id.ReadASN1(&is, casn1.SEQUENCE) || !is.ReadASN1(&names, casn1.SEQUENCE) || !names.ReadASN1(&name, contextTag(4)) ||
			!names.Empty() || !name.ReadASN1Element(&issuer, casn1.SEQUENCE) || !name.Empty() ||
			!is.ReadASN1Integer(c.serial) || !is.Empty() {
			return c, false
		}
		c.issuer = issuer
	}
	return c, id.Empty()
}

func (c certID) names(cert *Certificate) bool {
	digest, known := hashBy(c.hash, cert.Raw)
	return known && bytes.Equal(digest, c.digest) &&
		(c.serial == nil || c.serial.Cmp(cert.Serial) == 0 && bytes.Equal(c.issuer, cert.RawIssuer))
}

// Names reports whether the signer identifier of the token names c.
func (t *TimestampToken) Names(c *Certificate) bool {
	s := t.Signed
	return s.Serial != nil && bytes.Equal(c.RawIssuer, s.IssuerRaw) && c.Serial.Cmp(s.Serial) == 0 ||
		s.Serial == nil && bytes.Equal(c.SubjectKeyID, s.SubjectKeyID)
}

// Verify checks that cert signed the token: algorithms, the digest of the
// TSTInfo, the certificate's identifier inside the signed attributes, the
// authority's name when it is given, the signature. It says nothing about
// whether cert is to be trusted. The error wraps ErrSignature or ErrCMSDigest.
func (t *TimestampToken) Verify(cert *Certificate) error {
	s := t.Signed
	switch {
	case !s.IsSM2WithSM3():
		return fmt.Errorf("%w: algorithms %v, %v", ErrSignature, s.DigestOID, s.SignatureOID)
	case !t.Names(cert) || !t.certID.names(cert):
		return fmt.Errorf("%w: the token names another certificate", ErrSignature)
	case t.Info.TSA != nil && t.Info.TSA[0] == byte(contextTag(4)) && !bytes.Equal(t.Info.TSA, DirectoryName(cert.RawSubject)):
		return fmt.Errorf("%w: the token names another authority than its certificate", ErrSignature)
	}
	if err := s.CheckMessage(s.Content); err != nil {
		return err
	}
	return cert.PublicKey.Verify(s.SignedMessage(s.Content), s.Signature)
}

// DirectoryName wraps a DER Name as a GeneralName.
func DirectoryName(name []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(contextTag(4), func(b *cryptobyte.Builder) { b.AddBytes(name) })
	return b.BytesOrPanic() // a parsed name: cannot fail
}

// TSTSignFunc signs a timestamp: it receives the DER TSTInfo and the DER SET OF
// signed attributes that name its digest, and signs the attributes. A key
// engine gets both as one TSTItem.
type TSTSignFunc func(info, attrs []byte) ([]byte, error)

// CreateTimestampToken signs info with the key of certs[0]. The certificates go
// into the token when embed is set; an authority does that when the request
// asked for it. The result is verified before it is returned.
func CreateTimestampToken(info *TSTInfo, certs []*Certificate, embed bool, sign TSTSignFunc) ([]byte, error) {
	if len(certs) == 0 {
		return nil, errors.New("create timestamp token: no certificate")
	}
	content, err := info.Marshal()
	if err != nil {
		return nil, err
	}
	der, err := CreateSignedData(SignedDataTemplate{CMS: true, Document: content, Encapsulate: true, ContentType: OIDTSTInfo,
		Certificates: certs, OmitCertificates: !embed,
		SignedAttrs: []Attribute{{OIDAttrSigningCertificateV2, [][]byte{signingCertificateV2(certs[0])}}},
	}, func(attrs []byte) ([]byte, error) { return sign(content, attrs) })
	if err != nil {
		return nil, fmt.Errorf("create timestamp token: %w", err)
	}
	t, err := ParseTimestampToken(der)
	if err != nil {
		return nil, err
	}
	if err := t.Verify(certs[0]); err != nil {
		return nil, fmt.Errorf("check new timestamp token: %w", err)
	}
	return der, nil
}

// signingCertificateV2 is the attribute value that names c by its SM3 digest.
func signingCertificateV2(c *Certificate) []byte {
	digest := c.Fingerprint()
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				addAlgorithm(b, OIDSM3)
				b.AddASN1OctetString(digest[:])
			})
		})
	})
	return b.BytesOrPanic() // fixed shape: cannot fail
}

// TSTItem joins what a key engine needs to see of a timestamp before it signs:
// SEQUENCE { TSTInfo, SET OF signed attributes }. The signature is over the
// attributes alone, as CMS wants it.
func TSTItem(info, attrs []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(info); b.AddBytes(attrs) })
	return b.Bytes()
}

// SplitTSTItem undoes TSTItem.
func SplitTSTItem(item []byte) (info, attrs []byte, err error) {
	in := cryptobyte.String(item)
	var seq, first, second cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Element(&first, casn1.SEQUENCE) ||
		!seq.ReadASN1Element(&second, casn1.SET) || !seq.Empty() {
		return nil, nil, badTimestamp("TSTItem")
	}
	return first, second, nil
}

// CheckTSTAttributes checks that attrs is, byte for byte, the SET OF signed
// attributes that CreateTimestampToken writes for info under the certificate:
// contentType TSTInfo, the digest of info, the certificate's digest.
func CheckTSTAttributes(info, attrs []byte, cert *Certificate) error {
	want, err := marshalAttributes(SignedDataTemplate{Document: info,
		SignedAttrs: []Attribute{{OIDAttrSigningCertificateV2, [][]byte{signingCertificateV2(cert)}}}}, OIDTSTInfo)
	if err != nil {
		return err
	}
	if !bytes.Equal(attrs, want) {
		return badTimestamp("signed attributes: not those of this TSTInfo and certificate")
	}
	return nil
}
