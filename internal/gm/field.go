package gm

import "math/bits"

// element is an element of the SM2 field GF(p), p = 2²⁵⁶ − 2²²⁴ − 2⁹⁶ + 2⁶⁴ − 1
// (GB/T 32918.5), in Montgomery form with R = 2²⁵⁶: four limbs, least first,
// always below p.
//
// Its operations take time that depends on their values, and the points built
// on it branch: for verification only, where everything is public. Nothing
// here may ever see a private key or a nonce.
type element [4]uint64

// prime is p.
var prime = element{prime0, prime1, prime2, prime3}

// The limbs of p.
const (
	prime0 uint64 = 0xffffffffffffffff
	prime1 uint64 = 0xffffffff00000000
	prime2 uint64 = 0xffffffffffffffff
	prime3 uint64 = 0xfffffffeffffffff
)

// rSquared is 2⁵¹² mod p, which brings a number into Montgomery form.
var rSquared = element{0x0000000200000003, 0x00000002ffffffff, 0x0000000100000001, 0x0000000400000002}

// one is R mod p.
var one = element{0x0000000000000001, 0x00000000ffffffff, 0x0000000000000000, 0x0000000100000000}

// reduced returns the limbs t with the carry c above them, a number below 2p,
// minus p when that is not negative. Written so that each limb is chosen by a
// conditional move: a branch that depends on random numbers is mispredicted so
// often that it would cost more.
func reduced(t0, t1, t2, t3, c uint64) element {
	s0, b := bits.Sub64(t0, prime0, 0)
	s1, b := bits.Sub64(t1, prime1, b)
	s2, b := bits.Sub64(t2, prime2, b)
	s3, b := bits.Sub64(t3, prime3, b)
	if c < b {
		s0 = t0
	}
	if c < b {
		s1 = t1
	}
	if c < b {
		s2 = t2
	}
	if c < b {
		s3 = t3
	}
	return element{s0, s1, s2, s3}
}

func (x *element) isZero() bool { return x[0]|x[1]|x[2]|x[3] == 0 }

func add(x, y *element) element {
	t0, c := bits.Add64(x[0], y[0], 0)
	t1, c := bits.Add64(x[1], y[1], c)
	t2, c := bits.Add64(x[2], y[2], c)
	t3, c := bits.Add64(x[3], y[3], c)
	return reduced(t0, t1, t2, t3, c)
}

func sub(x, y *element) element {
	t0, b := bits.Sub64(x[0], y[0], 0)
	t1, b := bits.Sub64(x[1], y[1], b)
	t2, b := bits.Sub64(x[2], y[2], b)
	t3, b := bits.Sub64(x[3], y[3], b)
	borrowed := -b // all ones: p is added
	t0, c := bits.Add64(t0, borrowed&prime0, 0)
	t1, c = bits.Add64(t1, borrowed&prime1, c)
	t2, c = bits.Add64(t2, borrowed&prime2, c)
	t3, _ = bits.Add64(t3, borrowed&prime3, c)
	return element{t0, t1, t2, t3}
}

// mul returns x·y/R: the product in eight limbs, then Montgomery's reduction.
// It is written out, because the compiler neither unrolls nor inlines it.
func mul(x, y *element) element {
	var c uint64
	y0, y1, y2, y3 := y[0], y[1], y[2], y[3]

	a := x[0]
	h0, t0 := bits.Mul64(a, y0)
	h1, t1 := bits.Mul64(a, y1)
	h2, t2 := bits.Mul64(a, y2)
	t4, t3 := bits.Mul64(a, y3)
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, h1, c)
	t3, c = bits.Add64(t3, h2, c)
	t4 += c

	a = x[1]
	h0, l0 := bits.Mul64(a, y0)
	h1, l1 := bits.Mul64(a, y1)
	h2, l2 := bits.Mul64(a, y2)
	t5, l3 := bits.Mul64(a, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t5 += c
	t1, c = bits.Add64(t1, l0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, l2, c)
	t4, c = bits.Add64(t4, l3, c)
	t5 += c

	a = x[2]
	h0, l0 = bits.Mul64(a, y0)
	h1, l1 = bits.Mul64(a, y1)
	h2, l2 = bits.Mul64(a, y2)
	t6, l3 := bits.Mul64(a, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t6 += c
	t2, c = bits.Add64(t2, l0, 0)
	t3, c = bits.Add64(t3, l1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, l3, c)
	t6 += c

	a = x[3]
	h0, l0 = bits.Mul64(a, y0)
	h1, l1 = bits.Mul64(a, y1)
	h2, l2 = bits.Mul64(a, y2)
	t7, l3 := bits.Mul64(a, y3)
	l1, c = bits.Add64(l1, h0, 0)
	l2, c = bits.Add64(l2, h1, c)
	l3, c = bits.Add64(l3, h2, c)
	t7 += c
	t3, c = bits.Add64(t3, l0, 0)
	t4, c = bits.Add64(t4, l1, c)
	t5, c = bits.Add64(t5, l2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 += c

	return reduce(t0, t1, t2, t3, t4, t5, t6, t7)
}

// sqr returns x²/R.
func sqr(x *element) element {
	var c uint64
	x0, x1, x2, x3 := x[0], x[1], x[2], x[3]

	// The products of different limbs, once each.
	h01, t1 := bits.Mul64(x0, x1)
	h02, t2 := bits.Mul64(x0, x2)
	h03, t3 := bits.Mul64(x0, x3)
	h12, l12 := bits.Mul64(x1, x2)
	h13, l13 := bits.Mul64(x1, x3)
	h23, l23 := bits.Mul64(x2, x3)
	t2, c = bits.Add64(t2, h01, 0)
	t3, c = bits.Add64(t3, h02, c)
	t4, c := bits.Add64(h03, l13, c)
	t5, c := bits.Add64(l23, 0, c)
	t6 := h23 + c
	t3, c = bits.Add64(t3, l12, 0)
	t4, c = bits.Add64(t4, h12, c)
	t5, c = bits.Add64(t5, h13, c)
	t6 += c

	// Twice them, and the squares.
	t7 := t6 >> 63
	t6 = t6<<1 | t5>>63
	t5 = t5<<1 | t4>>63
	t4 = t4<<1 | t3>>63
	t3 = t3<<1 | t2>>63
	t2 = t2<<1 | t1>>63
	t1 <<= 1
	h0, t0 := bits.Mul64(x0, x0)
	h1, l1 := bits.Mul64(x1, x1)
	h2, l2 := bits.Mul64(x2, x2)
	h3, l3 := bits.Mul64(x3, x3)
	t1, c = bits.Add64(t1, h0, 0)
	t2, c = bits.Add64(t2, l1, c)
	t3, c = bits.Add64(t3, h1, c)
	t4, c = bits.Add64(t4, l2, c)
	t5, c = bits.Add64(t5, h2, c)
	t6, c = bits.Add64(t6, l3, c)
	t7 += h3 + c

	return reduce(t0, t1, t2, t3, t4, t5, t6, t7)
}

// reduce returns t/R for a number t below p·R: four times the lowest limb q is
// made zero by adding q·p, and dropped. p was chosen well for that, since
// −p⁻¹ mod 2⁶⁴ is 1 and
//
//	q·p = q·2²⁵⁶ − q·2²²⁴ − q·2⁹⁶ + q·2⁶⁴ − q
//
// so that the limbs above q get q, 0, 0, q added, and q·2³² subtracted twice. The
// four lower limbs are reduced alone (the result of each step is below 2²⁵⁶, so
// nothing is carried out of it), and the upper ones added at the end.
func reduce(t0, t1, t2, t3, t4, t5, t6, t7 uint64) element {
	var b, c uint64

	u, v := t0<<32, t0>>32
	t1, c = bits.Add64(t1, t0, 0)
	t2, c = bits.Add64(t2, 0, c)
	t3, c = bits.Add64(t3, 0, c)
	t0 += c
	t1, b = bits.Sub64(t1, u, 0)
	t2, b = bits.Sub64(t2, v, b)
	t3, b = bits.Sub64(t3, u, b)
	t0, _ = bits.Sub64(t0, v, b)

	u, v = t1<<32, t1>>32
	t2, c = bits.Add64(t2, t1, 0)
	t3, c = bits.Add64(t3, 0, c)
	t0, c = bits.Add64(t0, 0, c)
	t1 += c
	t2, b = bits.Sub64(t2, u, 0)
	t3, b = bits.Sub64(t3, v, b)
	t0, b = bits.Sub64(t0, u, b)
	t1, _ = bits.Sub64(t1, v, b)

	u, v = t2<<32, t2>>32
	t3, c = bits.Add64(t3, t2, 0)
	t0, c = bits.Add64(t0, 0, c)
	t1, c = bits.Add64(t1, 0, c)
	t2 += c
	t3, b = bits.Sub64(t3, u, 0)
	t0, b = bits.Sub64(t0, v, b)
	t1, b = bits.Sub64(t1, u, b)
	t2, _ = bits.Sub64(t2, v, b)

	u, v = t3<<32, t3>>32
	t0, c = bits.Add64(t0, t3, 0)
	t1, c = bits.Add64(t1, 0, c)
	t2, c = bits.Add64(t2, 0, c)
	t3 += c
	t0, b = bits.Sub64(t0, u, 0)
	t1, b = bits.Sub64(t1, v, b)
	t2, b = bits.Sub64(t2, u, b)
	t3, _ = bits.Sub64(t3, v, b)

	t0, c = bits.Add64(t0, t4, 0)
	t1, c = bits.Add64(t1, t5, c)
	t2, c = bits.Add64(t2, t6, c)
	t3, c = bits.Add64(t3, t7, c)
	return reduced(t0, t1, t2, t3, c)
}

// inverse returns x⁻¹ by Fermat: x^(p−2). Zero gives zero.
func inverse(x *element) element {
	e := prime
	e[0] -= 2
	z := one
	for i := 255; i >= 0; i-- {
		z = sqr(&z)
		if e[i/64]>>(i%64)&1 == 1 {
			z = mul(&z, x)
		}
	}
	return z
}

// limbs reads 32 bytes, most significant first.
func limbs(b []byte) (x [4]uint64) {
	_ = b[31]
	for i := range x {
		for _, v := range b[24-8*i : 32-8*i] {
			x[i] = x[i]<<8 | uint64(v)
		}
	}
	return x
}

// less reports whether x < y.
func less(x, y [4]uint64) bool {
	_, b := bits.Sub64(x[0], y[0], 0)
	_, b = bits.Sub64(x[1], y[1], b)
	_, b = bits.Sub64(x[2], y[2], b)
	_, b = bits.Sub64(x[3], y[3], b)
	return b == 1
}

// toField brings a number below p into Montgomery form.
func toField(x [4]uint64) element { return mul((*element)(&x), &rSquared) }
