package gm

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of OCSP messages (RFC 6960).
const (
	MaxOCSPRequest  = 16 << 10  // bytes
	MaxOCSPResponse = 256 << 10 // bytes
	MaxOCSPCerts    = 64        // certificates asked for, or answered, in one message
	maxOCSPNonce    = 128       // RFC 9654 section 2.1, octets
)

// ErrOCSP says that bytes are not an OCSP message of RFC 6960.
var ErrOCSP = errors.New("not an OCSP message of RFC 6960")

func badOCSP(what string) error { return fmt.Errorf("%w: malformed at %s", ErrOCSP, what) }

var (
	oidOCSPBasic = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 1}
	oidOCSPNonce = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 2}
)

// CertID names a certificate by its issuer and serial number (RFC 6960 section
// 4.1.1). Requesters choose the hash; an answer repeats it.
type CertID struct {
	HashOID    asn1.ObjectIdentifier
	NameHash   []byte // of the issuer's DER name
	KeyHash    []byte // of the issuer's public key, without tag and length
	Serial     *big.Int
	parameters bool // the hash algorithm is written with NULL parameters
}

// NewCertID names the certificate of issuer with this serial number, by SM3.
func NewCertID(issuer *Certificate, serial *big.Int) CertID {
	n, k := SM3(issuer.RawSubject), SM3(issuer.PublicKey.point[:])
	return CertID{HashOID: OIDSM3, NameHash: n[:], KeyHash: k[:], Serial: serial}
}

// IssuedBy reports whether the identifier is of a certificate of issuer. A hash
// function that is not known here is nobody's.
func (c CertID) IssuedBy(issuer *Certificate) bool {
	n, known := hashBy(c.HashOID, issuer.RawSubject)
	if !known {
		return false
	}
	k, _ := hashBy(c.HashOID, issuer.PublicKey.point[:])
	return bytes.Equal(n, c.NameHash) && bytes.Equal(k, c.KeyHash)
}

func readCertIDOCSP(in *cryptobyte.String) (CertID, bool) {
	var c CertID
	var seq, alg, name, key cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&c.HashOID) {
		return c, false
	}
	c.parameters = !alg.Empty()
	c.Serial = new(big.Int)
	if !parametersAbsent(alg) || !seq.ReadASN1(&name, casn1.OCTET_STRING) || !seq.ReadASN1(&key, casn1.OCTET_STRING) ||
		!seq.ReadASN1Integer(c.Serial) || !seq.Empty() || c.Serial.BitLen() > maxSerialBits || len(name) > 64 || len(key) > 64 {
		return c, false
	}
	c.NameHash, c.KeyHash = bytes.Clone(name), bytes.Clone(key)
	return c, true
}

func (c CertID) add(b *cryptobyte.Builder) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(c.HashOID)
			if c.parameters {
				b.AddBytes(asn1.NullBytes)
			}
		})
		b.AddASN1OctetString(c.NameHash)
		b.AddASN1OctetString(c.KeyHash)
		b.AddASN1BigInt(c.Serial)
	})
}

// OCSPRequest asks for the state of certificates. Signatures of requests are
// ignored: an answer depends on nobody's identity.
type OCSPRequest struct {
	Certs []CertID // 1 to MaxOCSPCerts
	Nonce []byte   // content of the nonce extension, nil when absent
}

// ParseOCSPRequest reads a DER OCSPRequest, nothing behind it. A critical
// extension other than the nonce is refused.
func ParseOCSPRequest(der []byte) (*OCSPRequest, error) {
	in := cryptobyte.String(der)
	var seq, tbs, list cryptobyte.String
	if len(der) > MaxOCSPRequest || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1(&tbs, casn1.SEQUENCE) ||
		!seq.SkipOptionalASN1(contextTag(0)) || !seq.Empty() {
		return nil, badOCSP("OCSPRequest")
	}
	if !skipVersion1(&tbs) || !tbs.SkipOptionalASN1(contextTag(1)) || !tbs.ReadASN1(&list, casn1.SEQUENCE) || list.Empty() {
		return nil, badOCSP("TBSRequest")
	}
	r := &OCSPRequest{}
	for !list.Empty() {
		var one cryptobyte.String
		if len(r.Certs) == MaxOCSPCerts || !list.ReadASN1(&one, casn1.SEQUENCE) {
			return nil, badOCSP("requestList")
		}
		id, ok := readCertIDOCSP(&one)
		if !ok || !one.SkipOptionalASN1(contextTag(0)) || !one.Empty() {
			return nil, badOCSP("reqCert")
		}
		r.Certs = append(r.Certs, id)
	}
	var ok bool
	if r.Nonce, ok = readOCSPExtensions(&tbs, contextTag(2)); !ok || !tbs.Empty() {
		return nil, badOCSP("requestExtensions")
	}
	return r, nil
}

// skipVersion1 skips an explicit version, which may only be v1 (0).
func skipVersion1(in *cryptobyte.String) bool {
	if !in.PeekASN1Tag(contextTag(0)) {
		return true
	}
	var wrapped cryptobyte.String
	var version int64
	return in.ReadASN1(&wrapped, contextTag(0)) && wrapped.ReadASN1Integer(&version) && version == 0 && wrapped.Empty()
}

// readOCSPExtensions reads optional extensions under an explicit tag and
// returns the nonce.
func readOCSPExtensions(in *cryptobyte.String, tag casn1.Tag) ([]byte, bool) {
	if !in.PeekASN1Tag(tag) {
		return nil, true
	}
	var wrapped cryptobyte.String
	if !in.ReadASN1(&wrapped, tag) {
		return nil, false
	}
	list, ok := readExtensions(wrapped)
	if !ok {
		return nil, false
	}
	var nonce []byte
	for _, x := range list {
		switch {
		case x.id.Equal(oidOCSPNonce):
			v := cryptobyte.String(x.value)
			var octets cryptobyte.String
			if !v.ReadASN1(&octets, casn1.OCTET_STRING) || !v.Empty() || len(octets) == 0 || len(octets) > maxOCSPNonce {
				return nil, false
			}
			nonce = bytes.Clone(octets)
		case x.critical:
			return nil, false
		}
	}
	return nonce, true
}

func addOCSPNonce(b *cryptobyte.Builder, tag casn1.Tag, nonce []byte) {
	if nonce == nil {
		return
	}
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1ObjectIdentifier(oidOCSPNonce)
				b.AddASN1(casn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(nonce) })
			})
		})
	})
}

// Marshal returns the DER OCSPRequest.
func (r *OCSPRequest) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range r.Certs {
					b.AddASN1(casn1.SEQUENCE, id.add)
				}
			})
			addOCSPNonce(b, contextTag(2), r.Nonce)
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal OCSP request: %w", err)
	}
	return der, nil
}

// CertState is what an OCSP responder says of a certificate. The zero value
// says nothing.
type CertState uint8

// The states.
const (
	CertUnknown CertState = iota
	CertGood
	CertRevoked
)

// OCSPStatus is the answer about one certificate.
type OCSPStatus struct {
	ID                     CertID
	State                  CertState
	RevokedAt              time.Time // with CertRevoked
	Reason                 int       // RFC 5280 section 5.3.1; 0 also when none is given
	ThisUpdate, NextUpdate time.Time // NextUpdate is zero when newer information is always to be had
}

// ResponseData is what an OCSP responder signs (RFC 6960 section 4.2.1), with a
// responder that is named by its subject or by the hash of its key.
type ResponseData struct {
	ResponderName []byte // DER name, or nil
	ResponderKey  []byte // SHA-1 of its key as RFC 6960 has it, or nil
	ProducedAt    time.Time
	Statuses      []OCSPStatus
	Nonce         []byte // nil when absent
}

// ParseResponseData reads a DER ResponseData, nothing behind it.
func ParseResponseData(der []byte) (*ResponseData, error) {
	in := cryptobyte.String(der)
	var seq, id, list cryptobyte.String
	d := &ResponseData{}
	if len(der) > MaxOCSPResponse || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !skipVersion1(&seq) {
		return nil, badOCSP("ResponseData")
	}
	switch {
	case seq.PeekASN1Tag(contextTag(1)):
		var name cryptobyte.String
		if !seq.ReadASN1(&id, contextTag(1)) || !id.ReadASN1Element(&name, casn1.SEQUENCE) || !id.Empty() {
			return nil, badOCSP("responderID")
		}
		d.ResponderName = bytes.Clone(name)
	default:
		var key cryptobyte.String
		if !seq.ReadASN1(&id, contextTag(2)) || !id.ReadASN1(&key, casn1.OCTET_STRING) || !id.Empty() || len(key) == 0 || len(key) > 64 {
			return nil, badOCSP("responderID")
		}
		d.ResponderKey = bytes.Clone(key)
	}
	if !seq.ReadASN1GeneralizedTime(&d.ProducedAt) {
		return nil, badOCSP("producedAt")
	}
	if !seq.ReadASN1(&list, casn1.SEQUENCE) || list.Empty() {
		return nil, badOCSP("responses")
	}
	for !list.Empty() {
		var one cryptobyte.String
		if len(d.Statuses) == MaxOCSPCerts || !list.ReadASN1(&one, casn1.SEQUENCE) {
			return nil, badOCSP("responses")
		}
		s, ok := readOCSPStatus(one)
		if !ok {
			return nil, badOCSP("SingleResponse")
		}
		d.Statuses = append(d.Statuses, s)
	}
	var ok bool
	if d.Nonce, ok = readOCSPExtensions(&seq, contextTag(1)); !ok || !seq.Empty() {
		return nil, badOCSP("responseExtensions")
	}
	return d, nil
}

func readOCSPStatus(in cryptobyte.String) (OCSPStatus, bool) {
	var s OCSPStatus
	var ok bool
	if s.ID, ok = readCertIDOCSP(&in); !ok {
		return s, false
	}
	var body cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1(&body, &tag) {
		return s, false
	}
	switch tag {
	case casn1.Tag(0).ContextSpecific():
		s.State = CertGood
		ok = len(body) == 0
	case contextTag(1):
		s.State = CertRevoked
		ok = body.ReadASN1GeneralizedTime(&s.RevokedAt)
		if ok && !body.Empty() {
			var reason cryptobyte.String
			ok = body.ReadASN1(&reason, contextTag(0)) && reason.ReadASN1Enum(&s.Reason) && reason.Empty() && body.Empty()
		}
	case casn1.Tag(2).ContextSpecific():
		ok = len(body) == 0
	default:
		ok = false
	}
	if !ok || !in.ReadASN1GeneralizedTime(&s.ThisUpdate) {
		return s, false
	}
	if in.PeekASN1Tag(contextTag(0)) {
		var next cryptobyte.String
		if !in.ReadASN1(&next, contextTag(0)) || !next.ReadASN1GeneralizedTime(&s.NextUpdate) || !next.Empty() {
			return s, false
		}
	}
	if in.PeekASN1Tag(contextTag(1)) {
		var wrapped cryptobyte.String
		if !in.ReadASN1(&wrapped, contextTag(1)) {
			return s, false
		}
		if list, ok := readExtensions(wrapped); !ok || hasCritical(list) {
			return s, false
		}
	}
	return s, in.Empty()
}

// Marshal returns the DER ResponseData.
func (d *ResponseData) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		if d.ResponderName != nil {
			b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) { b.AddBytes(d.ResponderName) })
		} else {
			b.AddASN1(contextTag(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(d.ResponderKey) })
		}
		b.AddASN1GeneralizedTime(d.ProducedAt.UTC())
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, s := range d.Statuses {
				b.AddASN1(casn1.SEQUENCE, s.add)
			}
		})
		addOCSPNonce(b, contextTag(1), d.Nonce)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal ResponseData: %w", err)
	}
	return der, nil
}

func (s OCSPStatus) add(b *cryptobyte.Builder) {
	s.ID.add(b)
	switch s.State {
	case CertGood:
		b.AddASN1(casn1.Tag(0).ContextSpecific(), func(*cryptobyte.Builder) {})
	case CertRevoked:
		b.AddASN1(contextTag(1), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.RevokedAt.UTC())
			if s.Reason != 0 {
				b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
			}
		})
	default:
		b.AddASN1(casn1.Tag(2).ContextSpecific(), func(*cryptobyte.Builder) {})
	}
	b.AddASN1GeneralizedTime(s.ThisUpdate.UTC())
	if !s.NextUpdate.IsZero() {
		b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.NextUpdate.UTC()) })
	}
}
