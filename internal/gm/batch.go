package gm

import (
	"crypto/rand"
	"encoding/binary"
	"math/big"
	"math/bits"
)

// Hint is the y coordinate of the point k·G of a signature, big-endian. It is
// no secret: verification computes that point (s·G + t·P), and its x is in the
// signature. Whoever has y need not compute the point but can check it.
type Hint [32]byte

// batchFrom is the number of signatures from which VerifyBatch gains anything.
const batchFrom = 4

// VerifyBatch verifies signatures of one key over their messages. It returns
// nil when Verify would accept each of them, and otherwise what Verify says of
// each, nil for the good ones. hints has an entry for each signature; the zero
// Hint is none. Hints change how long it takes and nothing else: when one is
// missing or wrong the signatures are verified one by one.
//
// With hints the points R = (r − e, y) are known beforehand, and all equations
// s·G + t·P = R (GB/T 32918.2 section 7.1) are checked together, each multiplied
// by a random factor a of its own:
//
//	(Σ a·s)·G + (Σ a·t)·P − Σ a·R = 0
//
// If one of the equations does not hold, this one holds for at most one value of
// its a whatever the others are (the group has prime order), so a wrong
// signature passes with a probability of 2⁻⁶⁴ at most, not to be improved by
// trying offline, since the factors are drawn after the signatures are seen. If
// the sum is not 0, each signature is verified alone.
func (v *Verifier) VerifyBatch(messages, sigs [][]byte, hints []Hint) []error {
	if len(sigs) >= batchFrom && v.together(messages, sigs, hints) {
		return nil
	}
	var errs []error
	for i := range sigs {
		if err := v.Verify(messages[i], sigs[i]); err != nil {
			if errs == nil {
				errs = make([]error, len(sigs))
			}
			errs[i] = err
		}
	}
	return errs
}

// together reports whether all signatures are proven good by the one equation.
func (v *Verifier) together(messages, sigs [][]byte, hints []Hint) bool {
	table := v.taught(len(sigs))
	if table == nil {
		return false
	}
	factors := drawFactors(len(sigs))
	points := make([]affine, len(sigs))
	var sums, sumt wide
	for i, sig := range sigs {
		r, s, ok := parseSignature(sig)
		if !ok {
			return false
		}
		t := addOrder(r, s)
		if t == ([4]uint64{}) {
			return false
		}
		x, y := subOrder(r, v.digest(messages[i])), limbs(hints[i][:])
		if !less(x, prime) || !less(y, prime) {
			return false
		}
		points[i] = affine{toField(x), toField(y)}
		if !points[i].onCurve() {
			return false
		}
		a := factors[i].value()
		sums.addProduct(a, &s)
		sumt.addProduct(a, &t)
	}
	left := combined(baseComb(), sums.reduced(), table, sumt.reduced())
	right := multiply(points, factors)
	return left.equal(&right)
}

// wide is a number of 448 bits: room for 2⁶⁴ products of 128 by 256 bits.
type wide [7]uint64

// addProduct adds a·x; a has two limbs, least first.
func (w *wide) addProduct(a [2]uint64, x *[4]uint64) {
	for j, aj := range a {
		var carry, c uint64
		for i, xi := range x {
			hi, lo := bits.Mul64(aj, xi)
			lo, c = bits.Add64(lo, carry, 0)
			hi += c
			w[i+j], c = bits.Add64(w[i+j], lo, 0)
			carry = hi + c // aj·xi + carry + w[i+j] is below 2¹²⁸
		}
		for i := 4 + j; i < len(w); i++ {
			w[i], carry = bits.Add64(w[i], carry, 0)
		}
	}
}

// reduced returns w mod n.
func (w *wide) reduced() [4]uint64 {
	var b [8 * len(w)]byte
	for i, limb := range w {
		binary.BigEndian.PutUint64(b[len(b)-8-8*i:], limb)
	}
	n := new(big.Int).SetBytes(b[:])
	return limbs(n.Mod(n, order).FillBytes(make([]byte, 32)))
}

// curveB is the coefficient b of y² = x³ − 3x + b.
var curveB = toField([4]uint64{0xddbcbd414d940e93, 0xf39789f515ab8f92, 0x4d5a9e4bcf6509a7, 0x28e9fa9e9d9f5e34})

func (p *affine) onCurve() bool {
	yy, xx := sqr(&p.y), sqr(&p.x)
	xxx := mul(&xx, &p.x)
	x3 := add(&p.x, &p.x)
	x3 = add(&x3, &p.x)
	xxx = sub(&xxx, &x3)
	return add(&xxx, &curveB) == yy
}

// equal reports whether p and q are the same point.
func (p *jacobian) equal(q *jacobian) bool {
	if p.z.isZero() || q.z.isZero() {
		return p.z.isZero() && q.z.isZero()
	}
	pp, qq := sqr(&p.z), sqr(&q.z)
	if mul(&p.x, &qq) != mul(&q.x, &pp) {
		return false
	}
	pp, qq = mul(&pp, &p.z), mul(&qq, &q.z)
	return mul(&p.y, &qq) == mul(&q.y, &pp)
}

// A factor is Σ ±2^position over factorWeight positions out of factorBits, no
// two of them neighbours, and the highest of them positive: a non-adjacent
// form. That form is unique, so different factors are different numbers, all
// positive and below the order, and there are
// C(factorBits−factorWeight+1, factorWeight)·2^(factorWeight−1) > 2⁶⁴ of them.
//
// Among ordinary numbers of 64 bits the same probability would cost 21
// additions each. Sparse ones need 13, and some doublings more, which all
// points of a batch share (Cheon and Lee, Use of Sparse and/or Complex Exponents
// in Batch Verification of Exponentiations, 2006).
type factor struct{ plus, minus [2]uint64 }

const (
	factorWeight = 13
	factorBits   = 109
)

// value returns the factor as a number, least limb first.
func (f *factor) value() (a [2]uint64) {
	var b uint64
	a[0], b = bits.Sub64(f.plus[0], f.minus[0], 0)
	a[1], _ = bits.Sub64(f.plus[1], f.minus[1], b)
	return a
}

// drawFactors draws n factors, each with the same probability.
func drawFactors(n int) []factor {
	const slots = factorBits - factorWeight + 1
	var buffer [512]byte
	rest := buffer[:0]
	draw := func(n int) []byte {
		if len(rest) < n {
			rand.Read(buffer[:]) // it always succeeds (or ends the process)
			rest = buffer[:]
		}
		drawn := rest[:n]
		rest = rest[n:]
		return drawn
	}
	factors := make([]factor, n)
	for i := range factors {
		// Which of the slots; the k-th from below becomes position slot + k.
		var chosen [2]uint64
		for k := 0; k < factorWeight; {
			slot := draw(1)[0] & 127
			if bit := uint64(1) << (slot % 64); slot < slots && chosen[slot/64]&bit == 0 {
				chosen[slot/64] |= bit
				k++
			}
		}
		signs := binary.BigEndian.Uint16(draw(2))
		f, k := &factors[i], 0
		for limb, set := range chosen {
			for ; set != 0; set &= set - 1 {
				position := limb*64 + bits.TrailingZeros64(set) + k
				if k++; k == factorWeight || signs>>k&1 == 0 {
					f.plus[position/64] |= 1 << (position % 64)
				} else {
					f.minus[position/64] |= 1 << (position % 64)
				}
			}
		}
	}
	return factors
}

// multiply returns Σ factors[i]·points[i], with doublings in common.
func multiply(points []affine, factors []factor) jacobian {
	var sum jacobian
	for j := factorBits - 1; j >= 0; j-- {
		sum.double()
		limb, bit := j/64, uint64(1)<<(j%64)
		for i := range factors {
			switch f := &factors[i]; {
			case f.plus[limb]&bit != 0:
				sum.add(&points[i])
			case f.minus[limb]&bit != 0:
				sum.add(&affine{points[i].x, sub(&element{}, &points[i].y)})
			}
		}
	}
	return sum
}
