package gm

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/sm3"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// learnAfter is how many signatures a Verifier verifies the ordinary way before
// it makes its table, which costs about as much as that many verifications.
const learnAfter = 25

// Verifier verifies signatures of one public key with the same results as
// PublicKey.Verify. When the key is met often, as the one of a key engine is,
// it makes a table of 64 KiB of the key's multiples and is then twice as fast.
//
// It works on public values only, and takes time that depends on them. It is
// safe for concurrent use.
type Verifier struct {
	public *PublicKey
	za     [DigestSize]byte
	seen   atomic.Int64
	table  atomic.Pointer[comb]
}

// NewVerifier returns a Verifier of p's signatures.
func NewVerifier(p *PublicKey) *Verifier {
	v := &Verifier{public: p}
	za, err := sm2.CalculateZA(p.key, []byte(defaultID))
	if err != nil {
		// Only an identity of more than 8 KiB cannot be hashed.
		panic("gm: ZA of the default identity: " + err.Error())
	}
	copy(v.za[:], za)
	return v
}

// Public returns the key.
func (v *Verifier) Public() *PublicKey { return v.public }

// Verify is PublicKey.Verify.
func (v *Verifier) Verify(message, sig []byte) error {
	table := v.taught(1)
	if table == nil {
		return v.public.Verify(message, sig)
	}
	return v.verify(table, message, sig)
}

// taught returns the table, or nil while fewer than learnAfter signatures were
// seen, n of them now.
func (v *Verifier) taught(n int) *comb {
	if table := v.table.Load(); table != nil {
		return table
	}
	before := v.seen.Add(int64(n)) - int64(n)
	if before >= learnAfter || before+int64(n) < learnAfter {
		return nil // not yet, or another call is making it
	}
	table := newComb(affineFrom(v.public.point[1:]))
	v.table.Store(table)
	return table
}

// digest returns e = SM3(ZA ‖ message) mod n.
func (v *Verifier) digest(message []byte) [4]uint64 {
	h := sm3.New()
	h.Write(v.za[:])
	h.Write(message)
	var digest [DigestSize]byte
	return reduceOrder(limbs(h.Sum(digest[:0])))
}

func (v *Verifier) verify(table *comb, message, sig []byte) error {
	r, s, ok := parseSignature(sig)
	if !ok {
		return ErrSignatureForm
	}
	t := addOrder(r, s)
	if t == ([4]uint64{}) {
		return ErrSignatureForm
	}
	e := v.digest(message)

	// GB/T 32918.2 section 7.1: (x, y) = s·G + t·P, accept if r = e + x mod n.
	at := combined(baseComb(), s, table, t)
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
