package gm

import (
	"crypto/rand"
	"errors"
	"fmt"

	"filippo.io/bigmod"
	"github.com/emmansun/gmsm/ecdh"
	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
)

// signer computes SM2 signatures (GB/T 32918.2-2016 section 6.1) in constant
// time with respect to the private key and the nonce. The point k·G comes from
// gmsm's constant-time ecdh, arithmetic modulo the order from filippo.io/bigmod,
// and (1+d)⁻¹ is computed once for each key. docs/sm2-signer.md is its review note.
//
//	s = (1+d)⁻¹·(k − r·d) = (1+d)⁻¹·(k + r) − r   (mod n)
//
// so one multiplication is left for each signature, and d itself is not touched
// by it. The nonce is hedged: derived from d, the hash and fresh randomness, so
// that neither a broken random source nor a repeated hash alone gives away d.
type signer struct {
	za         [DigestSize]byte
	ipad, opad [64]byte    // HMAC blocks of d, for the nonce derivation only
	inv        *bigmod.Nat // (1+d)⁻¹ mod n
}

// entropySize is the fresh randomness of one signature in bytes. With it the
// seed's inner hash is two blocks.
const entropySize = 22

// maxNonceTries bounds the loop over k; a second try has probability 2⁻³².
const maxNonceTries = 8

var orderModulus = mustModulus(order.Bytes())

func mustModulus(b []byte) *bigmod.Modulus {
	m, err := bigmod.NewModulus(b)
	if err != nil {
		panic("gm: order of the SM2 curve: " + err.Error()) // a constant: cannot happen
	}
	return m
}

func newSigner(k *sm2.PrivateKey) (*signer, error) {
	za, err := sm2.CalculateZA(&k.PublicKey, []byte(defaultID))
	if err != nil {
		return nil, fmt.Errorf("compute ZA: %w", err)
	}
	s := &signer{}
	copy(s.za[:], za)
	var scalar [32]byte
	d, err := bigmod.NewNat().SetBytes(k.D.FillBytes(scalar[:]), orderModulus)
	if err != nil {
		return nil, ErrKey
	}
	copy(s.ipad[:], scalar[:])
	copy(s.opad[:], scalar[:])
	for i := range s.ipad {
		s.ipad[i] ^= 0x36
		s.opad[i] ^= 0x5c
	}
	clear(scalar[:])
	d.Add(bigmod.NewNat().SetUint(1).ExpandFor(orderModulus), orderModulus)
	if d.IsZero() == 1 {
		return nil, ErrKey // d = n-1 has no inverse; NewPrivateKey refuses it too
	}
	// Fermat: n is prime. Exp is constant-time in the base.
	two := order.Bytes()
	two[31] -= 2 // the order ends in 0x23
	s.inv = bigmod.NewNat().Exp(d, two, orderModulus)
	return s, nil
}

func (s *signer) sign(message []byte) (sig []byte, hint Hint, err error) {
	if len(message) == 0 {
		return nil, hint, errors.New("refusing to sign the empty message")
	}
	h := sm3.New()
	h.Write(s.za[:])
	h.Write(message)
	var e [DigestSize]byte
	h.Sum(e[:0])
	var z [entropySize]byte
	if _, err := rand.Read(z[:]); err != nil {
		return nil, hint, fmt.Errorf("draw nonce: %w", err)
	}
	return s.signHash(e, z)
}

// signHash signs e with the nonce derived from z. It is separate so that tests
// can fix both.
func (s *signer) signHash(e [DigestSize]byte, z [entropySize]byte) (sig []byte, hint Hint, err error) {
	en, err := bigmod.NewNat().SetOverflowingBytes(e[:], orderModulus)
	if err != nil {
		return nil, hint, fmt.Errorf("reduce hash: %w", err)
	}
	for try := range byte(maxNonceTries) {
		candidate := s.nonce(e, z, try)
		k, err := bigmod.NewNat().SetBytes(candidate[:], orderModulus)
		if err != nil {
			continue // not below n
		}
		point, err := ecdh.P256().NewPrivateKey(candidate[:])
		if err != nil {
			continue // 0 or n-1
		}
		kG := point.PublicKey().Bytes()
		x1 := kG[1:33]
		r, err := bigmod.NewNat().SetOverflowingBytes(x1, orderModulus)
		if err != nil {
			return nil, hint, fmt.Errorf("reduce coordinate: %w", err)
		}
		r.Add(en, orderModulus)
		if r.IsZero() == 1 {
			continue
		}
		sum := k.Add(r, orderModulus) // k + r
		if sum.IsZero() == 1 {
			continue // r + k = n
		}
		sum.Mul(s.inv, orderModulus)
		sum.Sub(r, orderModulus)
		if sum.IsZero() == 1 {
			continue
		}
		copy(hint[:], kG[33:])
		return marshalSignature(r.Bytes(orderModulus), sum.Bytes(orderModulus)), hint, nil
	}
	return nil, hint, errors.New("no usable nonce: the random source or the key is broken")
}

// nonce derives a candidate for k: HMAC-SM3(d, z ‖ e ‖ try). Candidates that
// are no scalar are rejected by the caller, so accepted ones are uniform; a
// rejection says nothing about the candidate that is accepted in the end.
func (s *signer) nonce(e [DigestSize]byte, z [entropySize]byte, try byte) [DigestSize]byte {
	var inner [64 + entropySize + DigestSize + 1]byte
	copy(inner[:], s.ipad[:])
	copy(inner[64:], z[:])
	copy(inner[64+entropySize:], e[:])
	inner[len(inner)-1] = try
	var outer [64 + DigestSize]byte
	copy(outer[:], s.opad[:])
	digest := sm3.Sum(inner[:])
	copy(outer[64:], digest[:])
	return sm3.Sum(outer[:])
}

// marshalSignature writes SEQUENCE{r, s} in DER; r and s are public.
func marshalSignature(r, s []byte) []byte {
	out := make([]byte, 2, MaxSignatureSize)
	out[0] = 0x30
	for _, v := range [][]byte{r, s} {
		for len(v) > 1 && v[0] == 0 {
			v = v[1:]
		}
		out = append(out, 0x02, byte(len(v)))
		if v[0] >= 0x80 {
			out[len(out)-1]++
			out = append(out, 0)
		}
		out = append(out, v...)
	}
	out[1] = byte(len(out) - 2)
	return out
}
