// Package gm is Sealgate's one door to the Chinese commercial cryptography
// algorithms: SM3 (GB/T 32905), SM2 signatures and encryption (GB/T 32918),
// and X.509 certificates, requests and revocation lists over them (GB/T 20518).
//
// It is the only package that imports github.com/emmansun/gmsm, so that a
// certified module can take its place here and nowhere else.
//
// What it refuses to do: it never returns a bool for a verification (errors
// only, so that nobody forgets to negate), never signs a caller's digest
// (messages only; ZA is always computed with the default user identity of
// GM/T 0009), never accepts a signature that is not the one DER form, and
// never compares secrets in variable time.
//
//	key, err := gm.GenerateKey()
//	sig, err := key.Sign(message)
//	err = key.Public().Verify(message, sig)
package gm

import (
	"crypto/hmac"
	"crypto/subtle"
	"encoding/asn1"
	"hash"

	"github.com/emmansun/gmsm/sm3"
)

// DigestSize is the length of an SM3 digest in bytes (GB/T 32905-2016).
const DigestSize = sm3.Size

// Object identifiers of GM/T 0006.
var (
	OIDSM2         = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301}
	OIDSM2Sign     = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 301, 1}
	OIDSM3         = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401}
	OIDSM3NoKey    = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401, 1}
	OIDSM3Keyed    = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 401, 2}
	OIDSM2WithSM3  = asn1.ObjectIdentifier{1, 2, 156, 10197, 1, 501}
	OIDECPublicKey = asn1.ObjectIdentifier{1, 2, 840, 10045, 2, 1}
)

// SM3 returns the SM3 digest of the concatenation of parts.
func SM3(parts ...[]byte) [DigestSize]byte {
	if len(parts) == 1 {
		return sm3.Sum(parts[0])
	}
	h := sm3.New()
	for _, p := range parts {
		h.Write(p)
	}
	var out [DigestSize]byte
	h.Sum(out[:0])
	return out
}

// NewSM3 returns a running SM3 hash.
func NewSM3() hash.Hash { return sm3.New() }

// HMACSM3 returns HMAC-SM3 (GB/T 15852.2) under key of the concatenation of parts.
func HMACSM3(key []byte, parts ...[]byte) [DigestSize]byte {
	h := hmac.New(sm3.New, key)
	for _, p := range parts {
		h.Write(p)
	}
	var out [DigestSize]byte
	h.Sum(out[:0])
	return out
}

// NewHMACSM3 returns a running HMAC-SM3 under key.
func NewHMACSM3(key []byte) hash.Hash { return hmac.New(sm3.New, key) }

// Equal compares two secrets or authenticators in constant time. Values of
// different length are unequal; the lengths are not secret.
func Equal(a, b []byte) bool { return subtle.ConstantTimeCompare(a, b) == 1 }
