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
// by a random number a of 64 bits of its own:
//
//	(Σ a·s)·G + (Σ a·t)·P − Σ a·R = 0
//
// If one of the equations does not hold, this one holds for at most one value of
// its a whatever the others are (the group has prime order), so a wrong
// signature passes with a probability of 2⁻⁶⁴, not to be improved by trying
// offline, since the numbers are drawn after the signatures are seen. If the
// sum is not 0, each signature is verified alone.
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
	random := make([]byte, 8*len(sigs))
	if _, err := rand.Read(random); err != nil {
		return false
	}
	points := make([]affine, len(sigs))
	factors := make([]uint64, len(sigs))
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
		factors[i] = binary.LittleEndian.Uint64(random[8*i:])
		sums.addProduct(factors[i], &s)
		sumt.addProduct(factors[i], &t)
	}
	left := combined(baseComb(), sums.reduced(), table, sumt.reduced())
	right := multiply(points, factors)
	return left.equal(&right)
}

// wide is a number of 384 bits: room for 2⁶⁴ products of 64 by 256 bits.
type wide [6]uint64

// addProduct adds a·x.
func (w *wide) addProduct(a uint64, x *[4]uint64) {
	var carry, c uint64
	for i, xi := range x {
		hi, lo := bits.Mul64(a, xi)
		lo, c = bits.Add64(lo, carry, 0)
		hi += c
		w[i], c = bits.Add64(w[i], lo, 0)
		carry = hi + c // a·xi + carry + w[i] is below 2¹²⁸
	}
	w[4], c = bits.Add64(w[4], carry, 0)
	w[5] += c
}

// reduced returns w mod n.
func (w *wide) reduced() [4]uint64 {
	var b [48]byte
	for i, limb := range w {
		binary.BigEndian.PutUint64(b[40-8*i:], limb)
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

// addJacobian adds q to p; as add, for a point with a z of its own.
func (p *jacobian) addJacobian(q *jacobian) {
	if q.z.isZero() {
		return
	}
	if p.z.isZero() {
		*p = *q
		return
	}
	pp, qq := sqr(&p.z), sqr(&q.z)
	u1, u2 := mul(&p.x, &qq), mul(&q.x, &pp)
	s1, s2 := mul(&p.y, &qq), mul(&q.y, &pp)
	s1, s2 = mul(&s1, &q.z), mul(&s2, &p.z)
	h, r := sub(&u2, &u1), sub(&s2, &s1)
	if h.isZero() {
		if r.isZero() {
			p.double()
		} else {
			*p = jacobian{}
		}
		return
	}
	hh := sqr(&h)
	hhh := mul(&h, &hh)
	v := mul(&u1, &hh)
	t := sqr(&r)
	t = sub(&t, &hhh)
	t = sub(&t, &v)
	p.x = sub(&t, &v)
	t = sub(&v, &p.x)
	t = mul(&r, &t)
	w := mul(&s1, &hhh)
	p.y = sub(&t, &w)
	t = mul(&p.z, &q.z)
	p.z = mul(&t, &h)
}

// bucketsFrom is the number of points from which buckets are cheaper than
// adding point by point.
const bucketsFrom = 24

// multiply returns Σ factors[i]·points[i].
func multiply(points []affine, factors []uint64) jacobian {
	if len(points) < bucketsFrom {
		return interleaved(points, factors)
	}
	return bucketed(points, factors)
}

// negated returns −p.
func negated(p *affine) affine { return affine{p.x, sub(&element{}, &p.y)} }

// interleaved is multiply for few points: factors in non-adjacent form, in which
// two thirds of the digits are 0 and the others 1 and −1, and doublings in
// common.
func interleaved(points []affine, factors []uint64) jacobian {
	// Where 3f and f differ, the digit is 1 if the bit is set in 3f and −1 if
	// it is set in f, one place further down. 3f has 66 bits, so there are 65
	// digits; the highest is kept apart.
	plus, minus := make([]uint64, len(factors)), make([]uint64, len(factors))
	var sum jacobian
	for i, f := range factors {
		hi, lo := bits.Mul64(f, 3)
		plus[i] = (lo &^ f) >> 1
		minus[i] = (f &^ lo) >> 1
		plus[i] |= hi << 63 // bit 64 of 3f; f has none there
		if hi>>1 != 0 {
			sum.add(&points[i])
		}
	}
	for j := 63; j >= 0; j-- {
		sum.double()
		for i := range points {
			switch {
			case plus[i]>>j&1 != 0:
				sum.add(&points[i])
			case minus[i]>>j&1 != 0:
				n := negated(&points[i])
				sum.add(&n)
			}
		}
	}
	return sum
}

// bucketed is multiply for many points, by Pippenger's method: the factors are
// cut into signed digits of some bits; for each digit position the points are
// added into the bucket of their digit, and Σ j·bucket[j] is taken by running
// sums.
func bucketed(points []affine, factors []uint64) jacobian {
	const width = 5
	const half = 1 << (width - 1)
	const digits = 64/width + 1 // the last takes the carry of the signed form too
	table := make([]int8, digits*len(points))
	for i, f := range factors {
		var carry int64
		for d := range digits {
			x := int64(f>>(d*width)&(1<<width-1)) + carry
			if carry = 0; x >= half && d < digits-1 {
				x, carry = x-2*half, 1
			}
			table[d*len(points)+i] = int8(x)
		}
	}
	var sum jacobian
	for d := digits - 1; d >= 0; d-- {
		for range width {
			sum.double()
		}
		var buckets [half + 1]jacobian
		for i, x := range table[d*len(points) : (d+1)*len(points)] {
			switch {
			case x > 0:
				buckets[x].add(&points[i])
			case x < 0:
				n := negated(&points[i])
				buckets[-x].add(&n)
			}
		}
		var running, all jacobian
		for j := half; j > 0; j-- {
			running.addJacobian(&buckets[j])
			all.addJacobian(&running)
		}
		sum.addJacobian(&all)
	}
	return sum
}
