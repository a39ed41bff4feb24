package gm

// affine is a point of the curve that is not the infinite one.
type affine struct{ x, y element }

// affineFrom reads x ‖ y of a point that is known to be on the curve.
func affineFrom(b []byte) affine {
	return affine{toField(limbs(b[:32])), toField(limbs(b[32:64]))}
}

// jacobian is the point (x/z², y/z³), the infinite one when z is 0.
type jacobian struct{ x, y, z element }

// double doubles p (the curve has a = −3: dbl-2001-b of the Explicit-Formulas
// Database).
func (p *jacobian) double() {
	if p.z.isZero() {
		return
	}
	delta := sqr(&p.z)
	gamma := sqr(&p.y)
	beta := mul(&p.x, &gamma)
	t, u := sub(&p.x, &delta), add(&p.x, &delta)
	alpha := mul(&t, &u)
	t = add(&alpha, &alpha)
	alpha = add(&t, &alpha)
	beta = add(&beta, &beta)
	beta4 := add(&beta, &beta)
	beta8 := add(&beta4, &beta4)
	t = add(&p.y, &p.z)
	t = sqr(&t)
	t = sub(&t, &gamma)
	p.z = sub(&t, &delta)
	t = sqr(&alpha)
	p.x = sub(&t, &beta8)
	t = sub(&beta4, &p.x)
	t = mul(&alpha, &t)
	gamma = add(&gamma, &gamma)
	gamma = sqr(&gamma)
	gamma = add(&gamma, &gamma)
	p.y = sub(&t, &gamma)
}

// add adds q to p. All cases are right: p infinite, p = q, p = −q.
func (p *jacobian) add(q *affine) {
	if p.z.isZero() {
		p.x, p.y, p.z = q.x, q.y, one
		return
	}
	zz := sqr(&p.z)
	h := mul(&q.x, &zz)
	h = sub(&h, &p.x)
	zzz := mul(&zz, &p.z)
	r := mul(&q.y, &zzz)
	r = sub(&r, &p.y)
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
	v := mul(&p.x, &hh)
	t := sqr(&r)
	t = sub(&t, &hhh)
	t = sub(&t, &v)
	p.x = sub(&t, &v)
	t = sub(&v, &p.x)
	t = mul(&r, &t)
	u := mul(&p.y, &hhh)
	p.y = sub(&t, &u)
	p.z = mul(&p.z, &h)
}

// A comb (Lim and Lee, 1994) cuts a scalar of 256 bits into combTeeth rows of
// combRow bits and each row into combBlocks pieces of combStep bits. The bits
// of one column, one from each row, are an index into the table of the
// column's block. So combRow additions and combStep doublings make a
// multiplication.
const (
	combTeeth  = 8
	combBlocks = 4
	combRow    = 256 / combTeeth
	combStep   = combRow / combBlocks
)

// comb is the table of one point P: in block b, entry i is the sum of
// 2^(combRow·j + combStep·b)·P over the bits j of i. Entry 0 is not used.
type comb [combBlocks][1 << combTeeth]affine

func newComb(p affine) *comb {
	var sums [combBlocks][1 << combTeeth]jacobian
	power := jacobian{p.x, p.y, one}
	for i := range combTeeth * combBlocks {
		tooth, block := i/combBlocks, i%combBlocks
		at := toAffine([]jacobian{power})[0]
		for j := 1 << tooth; j < 2<<tooth; j++ {
			sums[block][j] = sums[block][j-1<<tooth]
			sums[block][j].add(&at)
		}
		for range combStep {
			power.double()
		}
	}
	c := new(comb)
	for b := range c {
		copy(c[b][1:], toAffine(sums[b][1:]))
	}
	return c
}

// toAffine divides all points by their z, with one inversion (Montgomery's
// trick). None of them is infinite: the order of the curve is prime and above
// every multiple taken here.
func toAffine(points []jacobian) []affine {
	products := make([]element, len(points))
	all := one
	for i := range points {
		products[i] = all
		all = mul(&all, &points[i].z)
	}
	inv := inverse(&all)
	out := make([]affine, len(points))
	for i := len(points) - 1; i >= 0; i-- {
		z := mul(&inv, &products[i])
		inv = mul(&inv, &points[i].z)
		zz := sqr(&z)
		out[i].x = mul(&points[i].x, &zz)
		zzz := mul(&zz, &z)
		out[i].y = mul(&points[i].y, &zzz)
	}
	return out
}

// index returns the bits of column step of a block, one from each row.
func index(scalar *[4]uint64, block, step int) (i uint) {
	for tooth := range combTeeth {
		bit := tooth*combRow + block*combStep + step
		i |= uint(scalar[bit/64]>>(bit%64)&1) << tooth
	}
	return i
}

// combined returns s·A + t·B for the points A and B of two tables.
func combined(a *comb, s [4]uint64, b *comb, t [4]uint64) jacobian {
	var sum jacobian
	for step := combStep - 1; step >= 0; step-- {
		sum.double()
		for block := range combBlocks {
			if i := index(&s, block, step); i != 0 {
				sum.add(&a[block][i])
			}
			if i := index(&t, block, step); i != 0 {
				sum.add(&b[block][i])
			}
		}
	}
	return sum
}
