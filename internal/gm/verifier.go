package gm

import (
	"fmt"
	"math/bits"
	"sync"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Verifier verifies signatures of one public key, about three times as fast as
// PublicKey.Verify and with the same results, from tables of multiples of the
// key. Making one costs about ten verifications and 64 KiB: worth it for a key
// that is met often, such as the one of a key engine.
//
// It works on public values only, and takes time that depends on them. It is
// immutable and safe for concurrent use.
type Verifier struct {
	public *PublicKey
	za     [DigestSize]byte
	table  *comb
}

// NewVerifier prepares the verification of p's signatures.
func NewVerifier(p *PublicKey) (*Verifier, error) {
	za, err := sm2.CalculateZA(p.key, []byte(defaultID))
	if err != nil {
		return nil, fmt.Errorf("compute ZA: %w", err)
	}
	v := &Verifier{public: p, table: newComb(affineFrom(p.point[1:]))}
	copy(v.za[:], za)
	return v, nil
}

// Public returns the key.
func (v *Verifier) Public() *PublicKey { return v.public }

// Verify is PublicKey.Verify.
func (v *Verifier) Verify(message, sig []byte) error {
	r, s, ok := parseSignature(sig)
	if !ok {
		return ErrSignatureForm
	}
	t := addOrder(r, s)
	if t == ([4]uint64{}) {
		return ErrSignatureForm
	}
	h := sm3.New()
	h.Write(v.za[:])
	h.Write(message)
	var digest [DigestSize]byte
	e := reduceOrder(limbs(h.Sum(digest[:0])))

	// GB/T 32918.2 section 7.1: (x, y) = s·G + t·P, accept if r = e + x mod n.
	at := combined(baseComb(), s, v.table, t)
	if at.z.isZero() {
		return ErrSignature
	}
	zz := sqr(&at.z)
	x := subOrder(r, e) // x mod n; x itself is below p, so it is this or n more
	for {
		f := toField(x)
		if f = mul(&f, &zz); f == at.x {
			return nil
		}
		var c uint64
		x[0], c = bits.Add64(x[0], orderLimbs[0], 0)
		x[1], c = bits.Add64(x[1], orderLimbs[1], c)
		x[2], c = bits.Add64(x[2], orderLimbs[2], c)
		x[3], c = bits.Add64(x[3], orderLimbs[3], c)
		if c != 0 || !less(x, prime) {
			return ErrSignature
		}
	}
}

var orderLimbs = limbs(order.FillBytes(make([]byte, 32)))

// parseSignature reads what CheckSignature accepts, except that r + s = n is
// left to the caller.
func parseSignature(sig []byte) (r, s [4]uint64, ok bool) {
	in := cryptobyte.String(sig)
	var seq cryptobyte.String
	if len(sig) > MaxSignatureSize || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() {
		return r, s, false
	}
	for _, x := range []*[4]uint64{&r, &s} {
		var b []byte
		if !seq.ReadASN1Integer(&b) || len(b) > 32 {
			return r, s, false
		}
		var full [32]byte
		copy(full[32-len(b):], b)
		if *x = limbs(full[:]); *x == ([4]uint64{}) || !less(*x, orderLimbs) {
			return r, s, false
		}
	}
	return r, s, seq.Empty()
}

// Arithmetic modulo the order n, on numbers below n.

func addOrder(x, y [4]uint64) [4]uint64 {
	var c, b uint64
	var t, s [4]uint64
	for i := range t {
		t[i], c = bits.Add64(x[i], y[i], c)
	}
	for i := range s {
		s[i], b = bits.Sub64(t[i], orderLimbs[i], b)
	}
	if c < b {
		return t
	}
	return s
}

func subOrder(x, y [4]uint64) [4]uint64 {
	var b, c uint64
	var t [4]uint64
	for i := range t {
		t[i], b = bits.Sub64(x[i], y[i], b)
	}
	if b == 0 {
		return t
	}
	for i := range t {
		t[i], c = bits.Add64(t[i], orderLimbs[i], c)
	}
	return t
}

// reduceOrder reduces any 256-bit number, which is below 2n.
func reduceOrder(x [4]uint64) [4]uint64 {
	if less(x, orderLimbs) {
		return x
	}
	return subOrder(x, orderLimbs)
}

// baseComb is the table of the generator G.
var baseComb = sync.OnceValue(func() *comb {
	g := sm2.P256().Params()
	var point [64]byte
	g.Gx.FillBytes(point[:32])
	g.Gy.FillBytes(point[32:])
	return newComb(affineFrom(point[:]))
})
