package gm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"
)

// signedBatch makes n hinted signatures of k over messages of their own.
func signedBatch(t testing.TB, k *PrivateKey, n int) (messages, sigs [][]byte, hints []Hint) {
	t.Helper()
	for i := range n {
		m := fmt.Appendf(nil, "message %d", i)
		sig, hint, err := k.SignHinted(m)
		if err != nil {
			t.Fatal(err)
		}
		messages, sigs, hints = append(messages, m), append(sigs, sig), append(hints, hint)
	}
	return messages, sigs, hints
}

func TestBatchesOfGoodSignaturesAreProvenTogether(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v := taught(k.Public())
	for _, n := range []int{0, 1, 3, batchFrom, 5, 17, 23, 24, 65, 256} {
		messages, sigs, hints := signedBatch(t, k, n)
		if errs := v.VerifyBatch(messages, sigs, hints); errs != nil {
			t.Errorf("%d: %v", n, errs)
		}
		if n >= batchFrom && !v.together(messages, sigs, hints) {
			t.Errorf("%d: not proven by the one equation", n)
		}
	}
}

// Whatever is spoilt and wherever, VerifyBatch says of each signature what
// Verify says, and the one equation never proves a wrong one.
func TestBatchVerificationAgreesWithVerifyOnSpoiltSignatures(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	other, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v := taught(k.Public())
	spoil := map[string]func(i int, messages, sigs [][]byte, hints []Hint){
		"a bit of the signature": func(i int, _, sigs [][]byte, _ []Hint) {
			sigs[i] = bytes.Clone(sigs[i])
			sigs[i][r.IntN(len(sigs[i]))] ^= 1 << r.IntN(8)
		},
		"the message":         func(i int, m, _ [][]byte, _ []Hint) { m[i] = append(bytes.Clone(m[i]), '!') },
		"another's signature": func(i int, m, sigs [][]byte, h []Hint) { sigs[i], h[i], _ = other.SignHinted(m[i]) },
		"two exchanged":       func(i int, _, sigs [][]byte, _ []Hint) { j := (i + 1) % len(sigs); sigs[i], sigs[j] = sigs[j], sigs[i] },
		"two hints exchanged": func(i int, _, _ [][]byte, h []Hint) { j := (i + 1) % len(h); h[i], h[j] = h[j], h[i] },
		"no signature":        func(i int, _, sigs [][]byte, _ []Hint) { sigs[i] = nil },
		"no hint":             func(i int, _, _ [][]byte, h []Hint) { h[i] = Hint{} },
		"a hint above p":      func(i int, _, _ [][]byte, h []Hint) { h[i] = Hint(bytes.Repeat([]byte{0xff}, 32)) },
		"the opposite point":  func(i int, _, _ [][]byte, h []Hint) { h[i] = opposite(h[i]) },
		"opposite, two of them": func(i int, _, _ [][]byte, h []Hint) {
			j := (i + 1) % len(h)
			h[i], h[j] = opposite(h[i]), opposite(h[j])
		},
	}
	for name, f := range spoil {
		for range 20 {
			n := batchFrom + r.IntN(80)
			messages, sigs, hints := signedBatch(t, k, n)
			f(r.IntN(n), messages, sigs, hints)
			bad := false
			errs := v.VerifyBatch(messages, sigs, hints)
			for i := range sigs {
				want := k.Public().Verify(messages[i], sigs[i])
				bad = bad || want != nil
				var got error
				if errs != nil {
					got = errs[i]
				}
				if !errors.Is(got, want) {
					t.Fatalf("%s: %d of %d: %v, Verify says %v", name, i, n, got, want)
				}
			}
			if bad && v.together(messages, sigs, hints) {
				t.Fatalf("%s: the one equation proved a wrong signature", name)
			}
		}
	}
}

// opposite is the y of −R: with it the equation is wrong by 2·a·R.
func opposite(h Hint) (out Hint) {
	p := bigOf(prime)
	p.Sub(p, new(big.Int).SetBytes(h[:])).FillBytes(out[:])
	return out
}

// Two wrong signatures whose errors cancel in a plain sum must not cancel here:
// the factors are random. s+1 and s−1 leave Σs as it is.
func TestErrorsThatCancelInAPlainSumAreFound(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v := taught(k.Public())
	messages, sigs, hints := signedBatch(t, k, 8)
	shift := func(i int, by [4]uint64) {
		r, s, _ := parseSignature(sigs[i])
		sigs[i] = marshalSignature(bigOf(r).FillBytes(make([]byte, 32)), bigOf(addOrder(s, by)).FillBytes(make([]byte, 32)))
	}
	shift(0, [4]uint64{1})
	shift(1, limbsOf(new(big.Int).Sub(order, big.NewInt(1))))
	if v.together(messages, sigs, hints) {
		t.Fatal("proved two wrong signatures")
	}
	errs := v.VerifyBatch(messages, sigs, hints)
	for i := range sigs {
		if (errs[i] != nil) != (i < 2) {
			t.Errorf("%d: %v", i, errs[i])
		}
	}
}

func TestSumsOfMultiplesAgreeWithSingleOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	g := baseComb()
	for _, n := range []int{1, 2, 3, bucketsFrom - 1, bucketsFrom, 64, 130} {
		points := make([]affine, n)
		factors := make([]uint64, n)
		want, last := new(big.Int), big.NewInt(0)
		for i := range points {
			factors[i] = []uint64{0, 1, 1<<64 - 1, 0x7777777777777777, 0x8888888888888888, 0x1084210842108421, r.Uint64()}[r.IntN(7)]
			k := edgy(r, order)
			switch {
			case i%5 == 4 && i%2 == 0: // the same point again
				k.Set(last)
				points[i] = points[i-1]
			case i%5 == 4: // its opposite
				k.Sub(order, last)
				points[i] = points[i-1]
				points[i].y = sub(&element{}, &points[i].y)
			default:
				if k.Sign() == 0 {
					k.SetInt64(1)
				}
				points[i] = toAffine([]jacobian{combined(g, limbsOf(k), g, [4]uint64{})})[0]
			}
			last.Set(k)
			want.Add(want, k.Mul(k, new(big.Int).SetUint64(factors[i])))
		}
		expected := combined(g, limbsOf(want.Mod(want, order)), g, [4]uint64{})
		for name, f := range map[string]func([]affine, []uint64) jacobian{"interleaved": interleaved, "bucketed": bucketed, "multiply": multiply} {
			if got := f(points, factors); !got.equal(&expected) {
				t.Errorf("%s, %d points: another sum", name, n)
			}
		}
	}
	// Cancelling and doubling inside a bucket and between buckets.
	p := toAffine([]jacobian{combined(g, [4]uint64{7}, g, [4]uint64{})})[0]
	minus := affine{p.x, sub(&element{}, &p.y)}
	for name, c := range map[string]struct {
		points  []affine
		factors []uint64
		want    uint64
	}{
		"p and -p":      {[]affine{p, minus}, []uint64{5, 5}, 0},
		"p and p":       {[]affine{p, p}, []uint64{3, 3}, 42},
		"p, p and -p":   {[]affine{p, p, minus}, []uint64{9, 1, 9}, 7},
		"all the same":  {[]affine{p, p, p, p}, []uint64{1, 2, 3, 4}, 70},
		"zero factors":  {[]affine{p, p}, []uint64{0, 0}, 0},
		"factor 2^63":   {[]affine{p, minus}, []uint64{1 << 63, 1<<63 - 1}, 7},
		"factor 2^64-1": {[]affine{p, minus}, []uint64{1<<64 - 1, 1<<64 - 2}, 7},
	} {
		expected := combined(g, [4]uint64{c.want}, g, [4]uint64{})
		for way, f := range map[string]func([]affine, []uint64) jacobian{"interleaved": interleaved, "bucketed": bucketed} {
			if got := f(c.points, c.factors); !got.equal(&expected) {
				t.Errorf("%s, %s: another sum", way, name)
			}
		}
	}
}

func TestWideSumsAgreeWithBigIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 200 {
		var w wide
		want := new(big.Int)
		for range 300 {
			a, x := r.Uint64(), edgy(r, order)
			if r.IntN(3) == 0 {
				a = 1<<64 - 1
			}
			l := limbsOf(x)
			w.addProduct(a, &l)
			want.Add(want, x.Mul(x, new(big.Int).SetUint64(a)))
		}
		if bigOf(w.reduced()).Cmp(want.Mod(want, order)) != 0 {
			t.Fatal("another sum")
		}
	}
}

func BenchmarkVerifyBatch(b *testing.B) {
	k, err := GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	v := taught(k.Public())
	for _, n := range []int{8, 16, 32, 128, 256} {
		messages, sigs, hints := signedBatch(b, k, n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if errs := v.VerifyBatch(messages, sigs, hints); errs != nil {
					b.Fatal(errs)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sig")
		})
	}
}
