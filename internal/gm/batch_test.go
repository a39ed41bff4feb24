package gm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
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
	for _, n := range []int{1, 2, 3, 4, 16, 64, 130} {
		factors := drawFactors(n)
		points := make([]affine, n)
		want, last := new(big.Int), big.NewInt(0)
		for i := range points {
			if r.IntN(3) == 0 { // not drawn: at the ends of the range, or nothing
				factors[i] = []factor{{}, {plus: [2]uint64{1}}, {plus: [2]uint64{0, 1 << (factorBits - 1 - 64)}, minus: [2]uint64{1 << 63}}}[r.IntN(3)]
			}
			k := edgy(r, order)
			switch {
			case i%5 == 4 && i%2 == 0: // the same point again
				k.Set(last)
				points[i], factors[i] = points[i-1], factors[i-1]
			case i%5 == 4: // its opposite
				k.Sub(order, last)
				points[i], factors[i] = points[i-1], factors[i-1]
				points[i].y = sub(&element{}, &points[i].y)
			default:
				if k.Sign() == 0 {
					k.SetInt64(1)
				}
				points[i] = toAffine([]jacobian{combined(g, limbsOf(k), g, [4]uint64{})})[0]
			}
			last.Set(k)
			want.Add(want, k.Mul(k, bigFactor(&factors[i])))
		}
		expected := combined(g, limbsOf(want.Mod(want, order)), g, [4]uint64{})
		if got := multiply(points, factors); !got.equal(&expected) {
			t.Errorf("%d points: another sum", n)
		}
	}
}

// bigFactor is the factor by the definition of its form.
func bigFactor(f *factor) *big.Int {
	n := new(big.Int)
	for j := range factorBits {
		switch bit := uint64(1) << (j % 64); {
		case f.plus[j/64]&bit != 0:
			n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(j)))
		case f.minus[j/64]&bit != 0:
			n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(j)))
		}
	}
	return n
}

// The proof of a batch rests on this: more than 2⁶⁴ factors, no two of them the
// same number, each as probable as any other.
func TestFactorsAreUniqueSparseAndSpreadEvenly(t *testing.T) {
	forms := new(big.Int).Binomial(factorBits-factorWeight+1, factorWeight)
	if forms.Lsh(forms, factorWeight-1).BitLen() <= 64 {
		t.Fatalf("only %v factors", forms)
	}
	const n = 200_000
	factors := drawFactors(n)
	seen := map[[2]uint64]bool{}
	var at [factorBits]int
	negative := 0
	for i := range factors {
		f := &factors[i]
		all := [2]uint64{f.plus[0] | f.minus[0], f.plus[1] | f.minus[1]}
		weight := bits.OnesCount64(all[0]) + bits.OnesCount64(all[1])
		neighbours := all[0]&(all[0]>>1|all[1]<<63) | all[1]&(all[1]>>1)
		top := bits.Len64(f.minus[1]) > bits.Len64(f.plus[1])
		if weight != factorWeight || neighbours != 0 || top || f.plus[0]&f.minus[0]|f.plus[1]&f.minus[1] != 0 || all[1]>>(factorBits-64) != 0 {
			t.Fatalf("%x: not of the form", *f)
		}
		value := f.value()
		if want := bigFactor(f); want.Sign() <= 0 || bigOf([4]uint64{value[0], value[1]}).Cmp(want) != 0 {
			t.Fatalf("%x: value %x, want %v", *f, value, want)
		}
		if seen[value] {
			t.Fatal("the same factor twice")
		}
		seen[value] = true
		for j := range at {
			at[j] += int(all[j/64] >> (j % 64) & 1)
		}
		negative += bits.OnesCount64(f.minus[0]) + bits.OnesCount64(f.minus[1])
	}
	// Slot s is taken with probability 13/97; position j is slot j−k with k
	// taken below it, whose distribution is hypergeometric.
	slots := int64(factorBits - factorWeight + 1)
	for j := range int64(factorBits) {
		sum := new(big.Int)
		for k := range int64(factorWeight) {
			if s := j - k; s >= 0 && s < slots {
				ways := new(big.Int).Binomial(s, k)
				sum.Add(sum, ways.Mul(ways, new(big.Int).Binomial(slots-1-s, factorWeight-1-k)))
			}
		}
		p, _ := new(big.Rat).SetFrac(sum, new(big.Int).Binomial(slots, factorWeight)).Float64()
		if got, sigma := float64(at[j]), math.Sqrt(n*p*(1-p)); math.Abs(got-n*p) > 6*sigma {
			t.Errorf("position %d taken %v times, want %.0f", j, got, n*p)
		}
	}
	if got, want, sigma := float64(negative), n*(factorWeight-1)/2.0, math.Sqrt(n*(factorWeight-1)/4.0); math.Abs(got-want) > 6*sigma {
		t.Errorf("%v negative digits, want %.0f", got, want)
	}
}

func TestWideSumsAgreeWithBigIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 200 {
		var w wide
		want := new(big.Int)
		for range 300 {
			a, x := [2]uint64{r.Uint64(), r.Uint64()}, edgy(r, order)
			if r.IntN(3) == 0 {
				a = [2]uint64{1<<64 - 1, 1<<64 - 1}
			}
			l := limbsOf(x)
			w.addProduct(a, &l)
			want.Add(want, x.Mul(x, bigOf([4]uint64{a[0], a[1]})))
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
