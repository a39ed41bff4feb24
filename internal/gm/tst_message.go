package gm

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// TimestampRequest is a TimeStampReq (RFC 3161 section 2.4.1).
type TimestampRequest struct {
	HashOID asn1.ObjectIdentifier
	Imprint []byte
	Policy  asn1.ObjectIdentifier // nil when the requester has no wish
	Nonce   *big.Int              // nil when absent
	CertReq bool                  // the authority's certificate is wanted inside the token
	// HasExtensions says that the request carries extensions; none is known
	// here, so an authority refuses it.
	HasExtensions bool
}

// ParseTimestampRequest reads a DER TimeStampReq, nothing behind it.
func ParseTimestampRequest(der []byte) (*TimestampRequest, error) {
	in := cryptobyte.String(der)
	var seq, imprint cryptobyte.String
	var version int64
	if len(der) > MaxTimestampRequest || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 {
		return nil, badTimestamp("TimeStampReq version")
	}
	var i TSTInfo
	if !seq.ReadASN1(&imprint, casn1.SEQUENCE) || !i.readImprint(imprint) {
		return nil, badTimestamp("messageImprint")
	}
	r := &TimestampRequest{HashOID: i.HashOID, Imprint: i.Imprint}
	if seq.PeekASN1Tag(casn1.OBJECT_IDENTIFIER) && !seq.ReadASN1ObjectIdentifier(&r.Policy) {
		return nil, badTimestamp("reqPolicy")
	}
	if seq.PeekASN1Tag(casn1.INTEGER) {
		if r.Nonce = new(big.Int); !seq.ReadASN1Integer(r.Nonce) || r.Nonce.BitLen() > maxNonceBits {
			return nil, badTimestamp("nonce")
		}
	}
	if seq.PeekASN1Tag(casn1.BOOLEAN) && !seq.ReadASN1Boolean(&r.CertReq) {
		return nil, badTimestamp("certReq")
	}
	if seq.PeekASN1Tag(contextTag(0)) {
		r.HasExtensions = true
		if !seq.SkipASN1(contextTag(0)) {
			return nil, badTimestamp("extensions")
		}
	}
	if !seq.Empty() {
		return nil, badTimestamp("end of TimeStampReq")
	}
	return r, nil
}

// Marshal returns the DER TimeStampReq, without extensions.
func (r *TimestampRequest) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		addImprint(b, r.HashOID, r.Imprint)
		if r.Policy != nil {
			b.AddASN1ObjectIdentifier(r.Policy)
		}
		if r.Nonce != nil {
			b.AddASN1BigInt(r.Nonce)
		}
		if r.CertReq {
			b.AddASN1Boolean(true)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal TimeStampReq: %w", err)
	}
	return der, nil
}

// Values of TimestampResponse.Status and Failure (RFC 3161 section 2.4.2).
const (
	TimestampGranted         = 0
	TimestampGrantedWithMods = 1
	TimestampRejection       = 2

	TimestampNoFailure           = -1
	TimestampBadAlgorithm        = 0
	TimestampBadRequest          = 2
	TimestampBadDataFormat       = 5
	TimestampTimeNotAvailable    = 14
	TimestampUnacceptedPolicy    = 15
	TimestampUnacceptedExtension = 16
	TimestampSystemFailure       = 25
)

// TimestampResponse is a TimeStampResp.
type TimestampResponse struct {
	Status  int
	Text    string // of the refusal; the first of several
	Failure int    // the lowest bit of failInfo, TimestampNoFailure when absent
	Token   []byte // DER ContentInfo; nil unless granted
}

// ParseTimestampResponse reads a DER TimeStampResp, nothing behind it. A
// response that grants without a token, or refuses with one, is malformed.
func ParseTimestampResponse(der []byte) (*TimestampResponse, error) {
	in := cryptobyte.String(der)
	var seq, status, text, token cryptobyte.String
	r := &TimestampResponse{Failure: TimestampNoFailure}
	if len(der) > MaxTimestampToken || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1(&status, casn1.SEQUENCE) || !status.ReadASN1Integer(&r.Status) || r.Status < 0 || r.Status > 5 {
		return nil, badTimestamp("PKIStatusInfo")
	}
	if status.PeekASN1Tag(casn1.SEQUENCE) {
		var first cryptobyte.String
		if !status.ReadASN1(&text, casn1.SEQUENCE) || !text.ReadASN1(&first, casn1.UTF8String) {
			return nil, badTimestamp("statusString")
		}
		r.Text = string(first)
	}
	if status.PeekASN1Tag(casn1.BIT_STRING) {
		var bits asn1.BitString
		if !status.ReadASN1BitString(&bits) {
			return nil, badTimestamp("failInfo")
		}
		for i := range bits.BitLength {
			if bits.At(i) == 1 {
				r.Failure = i
				break
			}
		}
	}
	if !status.Empty() {
		return nil, badTimestamp("PKIStatusInfo")
	}
	if !seq.Empty() {
		if !seq.ReadASN1Element(&token, casn1.SEQUENCE) || !seq.Empty() {
			return nil, badTimestamp("timeStampToken")
		}
		r.Token = bytes.Clone(token)
	}
	if granted := r.Status <= TimestampGrantedWithMods; granted != (r.Token != nil) {
		return nil, badTimestamp("status and token contradict each other")
	}
	return r, nil
}

// Marshal returns the DER TimeStampResp.
func (r *TimestampResponse) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64(r.Status))
			if r.Text != "" {
				b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(casn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(r.Text)) })
				})
			}
			if r.Failure >= 0 {
				b.AddASN1(casn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddBytes(namedBit(r.Failure)) })
			}
		})
		b.AddBytes(r.Token)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal TimeStampResp: %w", err)
	}
	return der, nil
}

// namedBit is the content of a DER BIT STRING with one named bit set.
func namedBit(n int) []byte {
	out := make([]byte, 2+n/8)
	out[0] = byte(7 - n%8) // unused bits
	out[1+n/8] = 0x80 >> (n % 8)
	return out
}
