package gm

import (
	"bytes"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// OCSPResponseStatus is the status of a whole response (RFC 6960 section
// 4.2.1): only a successful one carries answers.
type OCSPResponseStatus int

// The statuses.
const (
	OCSPSuccessful   OCSPResponseStatus = 0
	OCSPMalformed    OCSPResponseStatus = 1
	OCSPInternal     OCSPResponseStatus = 2
	OCSPTryLater     OCSPResponseStatus = 3
	OCSPUnauthorized OCSPResponseStatus = 6
)

// OCSPResponse is a successful response: a BasicOCSPResponse signed with SM2.
// Parsing judges no signature.
type OCSPResponse struct {
	Raw          []byte
	RawData      []byte // DER ResponseData, what is signed
	Data         *ResponseData
	SignatureOID asn1.ObjectIdentifier
	Signature    []byte
	Certificates []*Certificate // those whose key can be read
}

// OCSPError is the status of a response that carries no answers.
type OCSPError OCSPResponseStatus

func (e OCSPError) Error() string {
	names := [...]string{"successful", "malformedRequest", "internalError", "tryLater", "", "sigRequired", "unauthorized"}
	if e >= 0 && int(e) < len(names) && names[e] != "" {
		return "the OCSP responder answers " + names[e]
	}
	return fmt.Sprintf("the OCSP responder answers status %d", int(e))
}

// ParseOCSPResponse reads a DER OCSPResponse, nothing behind it. A response
// without answers gives an OCSPError; anything malformed wraps ErrOCSP.
func ParseOCSPResponse(der []byte) (*OCSPResponse, error) {
	if len(der) > MaxOCSPResponse {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrOCSP, MaxOCSPResponse)
	}
	r := &OCSPResponse{Raw: bytes.Clone(der)}
	in := cryptobyte.String(r.Raw)
	var seq, wrapped, body, basic, octets cryptobyte.String
	var status int
	var kind asn1.ObjectIdentifier
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Enum(&status) {
		return nil, badOCSP("OCSPResponse")
	}
	if OCSPResponseStatus(status) != OCSPSuccessful {
		if !seq.Empty() {
			return nil, badOCSP("OCSPResponse: a refusal with answers")
		}
		return nil, OCSPError(status)
	}
	if !seq.ReadASN1(&wrapped, contextTag(0)) || !seq.Empty() || !wrapped.ReadASN1(&body, casn1.SEQUENCE) || !wrapped.Empty() ||
		!body.ReadASN1ObjectIdentifier(&kind) || !kind.Equal(oidOCSPBasic) || !body.ReadASN1(&octets, casn1.OCTET_STRING) || !body.Empty() {
		return nil, badOCSP("responseBytes")
	}
	var data, alg cryptobyte.String
	var sig []byte
	if !octets.ReadASN1(&basic, casn1.SEQUENCE) || !octets.Empty() || !basic.ReadASN1Element(&data, casn1.SEQUENCE) ||
		!basic.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&r.SignatureOID) || !parametersAbsent(alg) ||
		!basic.ReadASN1BitStringAsBytes(&sig) {
		return nil, badOCSP("BasicOCSPResponse")
	}
	r.RawData, r.Signature = data, sig
	if basic.PeekASN1Tag(contextTag(0)) {
		var outer, list cryptobyte.String
		if !basic.ReadASN1(&outer, contextTag(0)) || !outer.ReadASN1(&list, casn1.SEQUENCE) || !outer.Empty() {
			return nil, badOCSP("certs")
		}
		for n := 0; !list.Empty(); n++ {
			var el cryptobyte.String
			if n == maxCMSCerts || !list.ReadASN1Element(&el, casn1.SEQUENCE) {
				return nil, badOCSP("certs")
			}
			if c, err := ParseCertificate(el); err == nil {
				r.Certificates = append(r.Certificates, c)
			}
		}
	}
	if !basic.Empty() {
		return nil, badOCSP("end of BasicOCSPResponse")
	}
	var err error
	r.Data, err = ParseResponseData(r.RawData)
	return r, err
}

// names reports whether the response names c as its responder.
func (d *ResponseData) names(c *Certificate) bool {
	if d.ResponderName != nil {
		return bytes.Equal(d.ResponderName, c.RawSubject)
	}
	h := sha1.Sum(c.PublicKey.point[:])
	sm3 := SM3(c.PublicKey.point[:]) // not of the RFC, but in use with SM2
	return bytes.Equal(d.ResponderKey, h[:]) || bytes.Equal(d.ResponderKey, sm3[:])
}

// VerifyFor checks that the response may speak for issuer's certificates: it is
// signed by issuer itself or by a responder whose certificate, inside the
// response, issuer signed, with the usage OCSPSigning, and which was valid when
// the response was produced (RFC 6960 section 4.2.2.2). It returns the
// certificate that signed, which is issuer or the delegate; whether a delegate
// was revoked is the caller's to ask.
func (r *OCSPResponse) VerifyFor(issuer *Certificate) (*Certificate, error) {
	if !r.SignatureOID.Equal(OIDSM2WithSM3) {
		return nil, fmt.Errorf("%w: signature algorithm %v", ErrSignature, r.SignatureOID)
	}
	if r.Data.names(issuer) {
		if err := issuer.PublicKey.Verify(r.RawData, r.Signature); err == nil {
			return issuer, nil
		}
	}
	for _, c := range r.Certificates {
		if !r.Data.names(c) || c.FormError != nil || !c.OCSPSigning || len(c.Critical) > 0 || !bytes.Equal(c.RawIssuer, issuer.RawSubject) ||
			r.Data.ProducedAt.Before(c.NotBefore) || r.Data.ProducedAt.After(c.NotAfter) {
			continue
		}
		if c.CheckSignedBy(issuer.PublicKey) == nil && c.PublicKey.Verify(r.RawData, r.Signature) == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("%w: neither by the issuer nor by a responder that it named", ErrSignature)
}

// CreateOCSPResponse signs answers. signer is the issuer's certificate or a
// delegate's, which then goes into the response; sign receives the DER
// ResponseData, never a digest. The responder is named by signer's subject. The
// result is verified under issuer before it is returned.
func CreateOCSPResponse(d ResponseData, issuer, signer *Certificate, sign SignFunc) (*OCSPResponse, error) {
	if len(d.Statuses) == 0 || len(d.Statuses) > MaxOCSPCerts {
		return nil, errors.New("create OCSP response: no answers, or too many")
	}
	d.ResponderName, d.ResponderKey = signer.RawSubject, nil
	d.ProducedAt = d.ProducedAt.UTC().Truncate(time.Second)
	tbs, err := d.Marshal()
	if err != nil {
		return nil, err
	}
	sig, err := sign(bytes.Clone(tbs))
	if err != nil {
		return nil, fmt.Errorf("sign OCSP response: %w", err)
	}
	var basic cryptobyte.Builder
	basic.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		addAlgorithm(b, OIDSM2WithSM3)
		b.AddASN1BitString(sig)
		if !signer.Equal(issuer) {
			b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddBytes(signer.Raw) })
			})
		}
	})
	inner, err := basic.Bytes()
	if err != nil {
		return nil, fmt.Errorf("create OCSP response: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(OCSPSuccessful))
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidOCSPBasic)
				b.AddASN1OctetString(inner)
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("create OCSP response: %w", err)
	}
	r, err := ParseOCSPResponse(der)
	if err != nil {
		return nil, err
	}
	if _, err := r.VerifyFor(issuer); err != nil {
		return nil, fmt.Errorf("check new OCSP response: %w", err)
	}
	return r, nil
}

// OCSPRefusal is the DER OCSPResponse of a status without answers. It is not
// signed; it tells a requester nothing but to ask elsewhere or later.
func OCSPRefusal(s OCSPResponseStatus) []byte { return []byte{0x30, 3, 0x0a, 1, byte(s)} }
