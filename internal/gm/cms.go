package gm

import (
	"bytes"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of SignedData messages.
const (
	MaxSignedDataSize = 4 << 20 // whole message, in bytes
	maxCMSCerts       = 64
	maxCMSAttributes  = 64
)

// Content types and attributes of the two families: GB/T 35275-2017 (GM/T
// 0010) and CMS (RFC 5652). A message may mix them.
var (
	OIDGMData       = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2, 1}
	OIDGMSignedData = asn1.ObjectIdentifier{1, 2, 156, 10197, 6, 1, 4, 2, 2}
	OIDData         = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	OIDSignedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

	OIDAttrContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	OIDAttrMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	OIDAttrSigningTime   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
)

var (
	// ErrCMS says that bytes are not a SignedData of one SM2 signer in DER, or
	// that its signer's certificate is not inside.
	ErrCMS = errors.New("not a SignedData message of GB/T 35275 or CMS")
	// ErrCMSDigest says that a SignedData belongs to another message.
	ErrCMSDigest = errors.New("SignedData was made over another message")
)

// Attribute is one signed or unsigned attribute; Values holds whole DER values.
type Attribute struct {
	ID     asn1.ObjectIdentifier
	Values [][]byte
}

// SignedData is a parsed SignedData message with exactly one signer. It is
// immutable; parsing judges no signature.
type SignedData struct {
	Raw         []byte
	OuterType   asn1.ObjectIdentifier // OIDGMSignedData or OIDSignedData
	ContentType asn1.ObjectIdentifier // of the encapsulated content
	Content     []byte                // nil when the message is detached
	// Certificates are those whose key can be read; Unreadable counts others.
	Certificates []*Certificate
	Unreadable   int

	IssuerRaw       []byte   // names the signer's certificate together with
	Serial          *big.Int // the serial number,
	SubjectKeyID    []byte   // or this does (Serial is nil then)
	DigestOID       asn1.ObjectIdentifier
	SignatureOID    asn1.ObjectIdentifier
	SignedAttrs     []Attribute // nil when the signature is over the content itself
	SigningTime     time.Time   // claimed; zero when absent
	Signature       []byte
	UnsignedAttrs   []Attribute
	attrsSet        []byte // DER SET OF, what the signature covers
	messageDigest   []byte
	attrContentType asn1.ObjectIdentifier
}

// ParseSignedData reads a ContentInfo that holds a SignedData with exactly one
// signer: DER only, nothing behind it. The error wraps ErrCMS.
func ParseSignedData(der []byte) (*SignedData, error) {
	if len(der) > MaxSignedDataSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrCMS, MaxSignedDataSize)
	}
	s := &SignedData{Raw: bytes.Clone(der)}
	if what := s.parse(s.Raw); what != "" {
		return nil, fmt.Errorf("%w: malformed at %s", ErrCMS, what)
	}
	return s, nil
}

func contextTag(n uint8) casn1.Tag { return casn1.Tag(n).ContextSpecific().Constructed() }

// parse returns what could not be read, or nothing.
func (s *SignedData) parse(der []byte) string {
	in := cryptobyte.String(der)
	var info, wrapped, sd, digests, encap, signers cryptobyte.String
	var version int64
	if !in.ReadASN1(&info, casn1.SEQUENCE) || !in.Empty() || !info.ReadASN1ObjectIdentifier(&s.OuterType) ||
		!info.ReadASN1(&wrapped, contextTag(0)) || !info.Empty() {
		return "ContentInfo"
	}
	if !s.OuterType.Equal(OIDGMSignedData) && !s.OuterType.Equal(OIDSignedData) {
		return "contentType " + s.OuterType.String()
	}
	if !wrapped.ReadASN1(&sd, casn1.SEQUENCE) || !wrapped.Empty() || !sd.ReadASN1Integer(&version) || version < 1 || version > 5 {
		return "SignedData version"
	}
	if !sd.ReadASN1(&digests, casn1.SET) {
		return "digestAlgorithms"
	}
	if !sd.ReadASN1(&encap, casn1.SEQUENCE) || !encap.ReadASN1ObjectIdentifier(&s.ContentType) {
		return "encapContentInfo"
	}
	if !encap.Empty() {
		var explicit, octets cryptobyte.String
		if !encap.ReadASN1(&explicit, contextTag(0)) || !encap.Empty() ||
			!explicit.ReadASN1(&octets, casn1.OCTET_STRING) || !explicit.Empty() {
			return "eContent"
		}
		s.Content = append([]byte{}, octets...)
	}
	var certs cryptobyte.String
	var hasCerts bool
	if !sd.ReadOptionalASN1(&certs, &hasCerts, contextTag(0)) {
		return "certificates"
	}
	if what := s.parseCertificates(certs); what != "" {
		return what
	}
	if !sd.SkipOptionalASN1(contextTag(1)) {
		return "crls"
	}
	if !sd.ReadASN1(&signers, casn1.SET) || !sd.Empty() {
		return "signerInfos"
	}
	return s.parseSigner(signers)
}

func (s *SignedData) parseCertificates(in cryptobyte.String) string {
	for n := 0; !in.Empty(); n++ {
		var el cryptobyte.String
		var tag casn1.Tag
		if n == maxCMSCerts || !in.ReadAnyASN1Element(&el, &tag) {
			return "certificates"
		}
		c, err := ParseCertificate(el)
		if err != nil {
			s.Unreadable++ // an RSA certificate of a chain, say: it can vouch for nobody here
			continue
		}
		s.Certificates = append(s.Certificates, c)
	}
	return ""
}

func (s *SignedData) parseSigner(in cryptobyte.String) string {
	var si, alg, sig cryptobyte.String
	var version int64
	if !in.ReadASN1(&si, casn1.SEQUENCE) || !in.Empty() || !si.ReadASN1Integer(&version) {
		return "signerInfos (exactly one is wanted)"
	}
	switch {
	case si.PeekASN1Tag(casn1.SEQUENCE):
		var sid, issuer cryptobyte.String
		s.Serial = new(big.Int)
		if !si.ReadASN1(&sid, casn1.SEQUENCE) || !sid.ReadASN1Element(&issuer, casn1.SEQUENCE) ||
			!sid.ReadASN1Integer(s.Serial) || !sid.Empty() {
			return "issuerAndSerialNumber"
		}
		s.IssuerRaw = issuer
	default:
		var id cryptobyte.String
		if !si.ReadASN1(&id, casn1.Tag(0).ContextSpecific()) || len(id) == 0 {
			return "signerIdentifier"
		}
		s.SubjectKeyID = id
	}
	if !si.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&s.DigestOID) || !parametersAbsent(alg) {
		return "digestAlgorithm"
	}
	if si.PeekASN1Tag(contextTag(0)) {
		var raw cryptobyte.String
		if !si.ReadASN1Element(&raw, contextTag(0)) {
			return "signedAttrs"
		}
		s.attrsSet = bytes.Clone(raw)
		s.attrsSet[0] = byte(casn1.SET) // RFC 5652 section 5.4: signed with the SET OF tag
		if what := s.parseSignedAttributes(raw); what != "" {
			return what
		}
	}
	if !si.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&s.SignatureOID) || !parametersAbsent(alg) {
		return "signatureAlgorithm"
	}
	if !si.ReadASN1(&sig, casn1.OCTET_STRING) {
		return "signature"
	}
	s.Signature = sig
	if si.PeekASN1Tag(contextTag(1)) {
		var raw cryptobyte.String
		var ok bool
		if !si.ReadASN1(&raw, contextTag(1)) {
			return "unsignedAttrs"
		}
		if s.UnsignedAttrs, ok = parseAttributes(raw); !ok {
			return "unsignedAttrs"
		}
	}
	if !si.Empty() {
		return "end of SignerInfo"
	}
	return ""
}

// parametersAbsent accepts absent parameters and NULL.
func parametersAbsent(alg cryptobyte.String) bool {
	var null cryptobyte.String
	return alg.Empty() || alg.ReadASN1(&null, casn1.NULL) && len(null) == 0 && alg.Empty()
}

func parseAttributes(in cryptobyte.String) ([]Attribute, bool) {
	var out []Attribute
	for !in.Empty() {
		var seq, values cryptobyte.String
		var a Attribute
		if len(out) == maxCMSAttributes || !in.ReadASN1(&seq, casn1.SEQUENCE) ||
			!seq.ReadASN1ObjectIdentifier(&a.ID) || !seq.ReadASN1(&values, casn1.SET) || !seq.Empty() {
			return nil, false
		}
		for !values.Empty() {
			var el cryptobyte.String
			var tag casn1.Tag
			if !values.ReadAnyASN1Element(&el, &tag) {
				return nil, false
			}
			a.Values = append(a.Values, el)
		}
		out = append(out, a)
	}
	return out, true
}

// parseSignedAttributes wants contentType and messageDigest exactly once with
// one value each, and no attribute twice (RFC 5652 section 11).
func (s *SignedData) parseSignedAttributes(raw cryptobyte.String) string {
	var body cryptobyte.String
	var ok bool
	if !raw.ReadASN1(&body, contextTag(0)) {
		return "signedAttrs"
	}
	if s.SignedAttrs, ok = parseAttributes(body); !ok || len(s.SignedAttrs) == 0 {
		return "signedAttrs"
	}
	seen := make(map[string]bool)
	for _, a := range s.SignedAttrs {
		id := a.ID.String()
		if seen[id] {
			return "signedAttrs: " + id + " twice"
		}
		seen[id] = true
		isContentType, isDigest, isTime := a.ID.Equal(OIDAttrContentType), a.ID.Equal(OIDAttrMessageDigest), a.ID.Equal(OIDAttrSigningTime)
		if !isContentType && !isDigest && !isTime {
			continue
		}
		if len(a.Values) != 1 {
			return "signedAttrs: " + id
		}
		v := cryptobyte.String(a.Values[0])
		var octets cryptobyte.String
		switch {
		case isContentType && v.ReadASN1ObjectIdentifier(&s.attrContentType) && v.Empty():
		case isDigest && v.ReadASN1(&octets, casn1.OCTET_STRING) && v.Empty():
			s.messageDigest = octets
		case isTime:
			t, err := readTime(&v)
			if err != nil || !v.Empty() {
				return "signedAttrs: signingTime"
			}
			s.SigningTime = t
		default:
			return "signedAttrs: " + id
		}
	}
	if s.attrContentType == nil || s.messageDigest == nil {
		return "signedAttrs: contentType and messageDigest are required"
	}
	return ""
}

// IsSM2WithSM3 reports whether the message declares SM3 digests and SM2
// signatures, under any of the object identifiers in use.
func (s *SignedData) IsSM2WithSM3() bool {
	return IsSM3(s.DigestOID) && (s.SignatureOID.Equal(OIDSM2Sign) || s.SignatureOID.Equal(OIDSM2WithSM3))
}

// IsSM3 reports whether id names plain SM3. One vendor writes the identifier
// of keyed SM3 for it.
func IsSM3(id asn1.ObjectIdentifier) bool {
	return id.Equal(OIDSM3) || id.Equal(OIDSM3NoKey) || id.Equal(OIDSM3Keyed)
}

// SignerCertificate returns the certificate that the signer identifier names.
// ErrCMS when it is not inside the message.
func (s *SignedData) SignerCertificate() (*Certificate, error) {
	for _, c := range s.Certificates {
		if s.Serial != nil && bytes.Equal(c.RawIssuer, s.IssuerRaw) && c.Serial.Cmp(s.Serial) == 0 ||
			s.Serial == nil && bytes.Equal(c.SubjectKeyID, s.SubjectKeyID) {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: the signer's certificate is not inside", ErrCMS)
}

// CheckMessage says whether the message belongs to document: nil or
// ErrCMSDigest. Content, when present, must be the document, its SM3 digest, or
// the base64 text of that digest; the messageDigest attribute, when present,
// must be the digest of the content (of the document when detached).
func (s *SignedData) CheckMessage(document []byte) error {
	digest := SM3(document)
	covered := document
	if s.Content != nil {
		covered = s.Content
		if !bytes.Equal(covered, document) && !bytes.Equal(covered, digest[:]) &&
			string(covered) != base64.StdEncoding.EncodeToString(digest[:]) {
			return fmt.Errorf("%w: content is neither it nor its digest", ErrCMSDigest)
		}
		digest = SM3(covered)
	}
	if s.attrsSet == nil {
		return nil // the signature itself is over the content
	}
	if !s.attrContentType.Equal(s.ContentType) {
		return fmt.Errorf("%w: contentType attribute differs from the content's type", ErrCMSDigest)
	}
	if !bytes.Equal(s.messageDigest, digest[:]) {
		return fmt.Errorf("%w: messageDigest differs", ErrCMSDigest)
	}
	return nil
}

// SignedMessage returns the bytes that the signature covers: the DER SET OF
// signed attributes; without attributes the content, or document when the
// message is detached. Only together with CheckMessage does a signature over
// it say anything about document.
func (s *SignedData) SignedMessage(document []byte) []byte {
	switch {
	case s.attrsSet != nil:
		return s.attrsSet
	case s.Content != nil:
		return s.Content
	}
	return document
}

// Verify does CheckMessage and then verifies the signature with the signer's
// own certificate. It says nothing about whether that certificate is trusted.
func (s *SignedData) Verify(document []byte) error {
	if !s.IsSM2WithSM3() {
		return fmt.Errorf("%w: algorithms %v, %v", ErrSignature, s.DigestOID, s.SignatureOID)
	}
	c, err := s.SignerCertificate()
	if err != nil {
		return err
	}
	if err := s.CheckMessage(document); err != nil {
		return err
	}
	return c.PublicKey.Verify(s.SignedMessage(document), s.Signature)
}
