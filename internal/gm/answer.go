package gm

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// maxAnswer bounds what a certification authority sends back, in bytes.
const maxAnswer = 1 << 20

// ErrAnswer says that bytes are not what a certification authority answers to a
// certificate request.
var ErrAnswer = errors.New("not the answer of a certification authority")

// Answer is what came back for a certificate request. No signature is judged.
type Answer struct {
	// Certificates are all whose key can be read, in the order of the answer;
	// among them may be an encryption certificate (double certificates of GB/T
	// 20518) and those of authorities.
	Certificates []*Certificate
	// EncryptionKey says that the answer also holds a private encryption key,
	// enveloped to the signing key. It is not opened: the key engines here take
	// no private key from outside.
	EncryptionKey bool
}

// ParseAnswer reads an answer: PEM or DER certificates, a PKCS #7 or GB/T 35275
// bundle of certificates (PEM too), or the answer of GM/T 0092 with signing and
// encryption certificate.
func ParseAnswer(data []byte) (*Answer, error) {
	if len(data) > maxAnswer {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrAnswer, maxAnswer)
	}
	a := &Answer{}
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		b, rest := pem.Decode(data)
		if b == nil || (b.Type != "PKCS7" && b.Type != "CMS") {
			return a, a.addPlain(data)
		}
		if len(bytes.TrimSpace(rest)) > 0 {
			return nil, fmt.Errorf("%w: something behind the bundle", ErrAnswer)
		}
		data = b.Bytes
	}
	in := cryptobyte.String(data)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) {
		return nil, fmt.Errorf("%w: neither PEM nor DER", ErrAnswer)
	}
	var ok bool
	switch {
	case seq.PeekASN1Tag(casn1.OBJECT_IDENTIFIER) && in.Empty():
		ok = a.addBundle(seq)
	case seq.PeekASN1Tag(casn1.SET) && in.Empty():
		ok = a.addDouble(seq)
	default:
		return a, a.addPlain(data)
	}
	if !ok || len(a.Certificates) == 0 {
		return nil, fmt.Errorf("%w: malformed, or without a certificate", ErrAnswer)
	}
	return a, nil
}

func (a *Answer) addPlain(data []byte) error {
	certs, err := ParseCertificates(data)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	a.Certificates = certs
	return nil
}

// addAll reads certificates one behind the other. One over another algorithm is
// passed over: it cannot be the one that was asked for.
func (a *Answer) addAll(in cryptobyte.String) bool {
	for !in.Empty() {
		var el cryptobyte.String
		if len(a.Certificates) == maxCMSCerts || !in.ReadASN1Element(&el, casn1.SEQUENCE) {
			return false
		}
		if c, err := ParseCertificate(el); err == nil {
			a.Certificates = append(a.Certificates, c)
		}
	}
	return true
}

// addBundle reads the certificates of a SignedData, signed or not.
func (a *Answer) addBundle(info cryptobyte.String) bool {
	var kind asn1.ObjectIdentifier
	var wrapped, sd, certs cryptobyte.String
	var present bool
	return info.ReadASN1ObjectIdentifier(&kind) && (kind.Equal(OIDSignedData) || kind.Equal(OIDGMSignedData)) &&
		info.ReadASN1(&wrapped, contextTag(0)) && info.Empty() && wrapped.ReadASN1(&sd, casn1.SEQUENCE) && wrapped.Empty() &&
		sd.SkipASN1(casn1.INTEGER) && sd.SkipASN1(casn1.SET) && sd.SkipASN1(casn1.SEQUENCE) &&
		sd.ReadOptionalASN1(&certs, &present, contextTag(0)) && present && a.addAll(certs)
}

// addDouble reads the answer of GM/T 0092: a SET of signing certificates, and
// optionally the enveloped encryption key [0] and the encryption certificates
// [1].
func (a *Answer) addDouble(seq cryptobyte.String) bool {
	var signing, encryption cryptobyte.String
	var present bool
	if !seq.ReadASN1(&signing, casn1.SET) || !a.addAll(signing) {
		return false
	}
	if seq.PeekASN1Tag(contextTag(0)) {
		a.EncryptionKey = true
		if !seq.SkipASN1(contextTag(0)) {
			return false
		}
	}
	return seq.ReadOptionalASN1(&encryption, &present, contextTag(1)) && (!present || a.addAll(encryption)) && seq.Empty()
}
