//lint:file-ignore SA1019 the plain curve arithmetic is the independent side of these comparisons

package gm

import (
	"bytes"
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

func bigOf(x [4]uint64) *big.Int {
	n := new(big.Int)
	for i := 3; i >= 0; i-- {
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(x[i]))
	}
	return n
}

func limbsOf(n *big.Int) [4]uint64 { return limbs(n.FillBytes(make([]byte, 32))) }

// edgy returns numbers below m, most of them near the places where carries are
// lost.
func edgy(r *rand.Rand, m *big.Int) *big.Int {
	n := new(big.Int)
	for range 4 {
		w := []uint64{0, 1, 1<<32 - 1, 1 << 32, 1<<64 - 1, 1<<64 - 1<<32, r.Uint64(), r.Uint64()}[r.IntN(8)]
		n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(w))
	}
	if r.IntN(4) == 0 {
		n.Sub(m, big.NewInt(int64(1+r.IntN(4))))
	}
	return n.Mod(n, m)
}

func TestFieldAgreesWithBigIntegers(t *testing.T) {
	p := sm2.P256().Params().P
	if bigOf(prime).Cmp(p) != 0 {
		t.Fatal("prime")
	}
	rInv := new(big.Int).ModInverse(new(big.Int).Lsh(big.NewInt(1), 256), p)
	r := rand.New(rand.NewPCG(1, 2))
	for range 200_000 {
		a, b := edgy(r, p), edgy(r, p)
		x, y := element(limbsOf(a)), element(limbsOf(b))
		check := func(op string, got element, want *big.Int) {
			t.Helper()
			if bigOf(got).Cmp(want.Mod(want, p)) != 0 {
				t.Fatalf("%x %s %x: %x, want %x", a, op, b, bigOf(got), want)
			}
		}
		check("+", add(&x, &y), new(big.Int).Add(a, b))
		check("-", sub(&x, &y), new(big.Int).Sub(a, b))
		product := new(big.Int).Mul(a, b)
		check("*", mul(&x, &y), product.Mul(product, rInv))
	}
	x := toField(limbsOf(big.NewInt(12345)))
	y := inverse(&x)
	if mul(&x, &y) != one {
		t.Error("inverse")
	}
}

func TestOrderArithmeticAgreesWithBigIntegers(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	top := new(big.Int).Lsh(big.NewInt(1), 256)
	for range 50_000 {
		a, b, c := edgy(r, order), edgy(r, order), edgy(r, top)
		want := new(big.Int).Add(a, b)
		if bigOf(addOrder(limbsOf(a), limbsOf(b))).Cmp(want.Mod(want, order)) != 0 {
			t.Fatalf("%x + %x", a, b)
		}
		want = new(big.Int).Sub(a, b)
		if bigOf(subOrder(limbsOf(a), limbsOf(b))).Cmp(want.Mod(want, order)) != 0 {
			t.Fatalf("%x - %x", a, b)
		}
		if bigOf(reduceOrder(limbsOf(c))).Cmp(new(big.Int).Mod(c, order)) != 0 {
			t.Fatalf("%x mod n", c)
		}
	}
}

// The multiples that additions and doublings can go wrong with: 0, ±1, powers
// of two, all bits set, and scalars that cancel.
func TestCombinedMultiplesAgreeWithTheLibrary(t *testing.T) {
	curve := sm2.P256()
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	table := newComb(affineFrom(k.public.point[1:]))
	scalars := []*big.Int{big.NewInt(0), big.NewInt(1), big.NewInt(2), new(big.Int).Sub(order, big.NewInt(1)), new(big.Int).Sub(order, big.NewInt(2))}
	for i := 1; i < 256; i += 5 {
		scalars = append(scalars, new(big.Int).Lsh(big.NewInt(1), uint(i)))
	}
	r := rand.New(rand.NewPCG(5, 6))
	for range 64 {
		scalars = append(scalars, edgy(r, order))
	}
	check := func(a *comb, s *big.Int, b *comb, u *big.Int, wantX, wantY *big.Int) {
		t.Helper()
		got := combined(a, limbsOf(s), b, limbsOf(u))
		if wantX.Sign() == 0 && wantY.Sign() == 0 {
			if !got.z.isZero() {
				t.Errorf("%x, %x: not infinite", s, u)
			}
			return
		}
		if got.z.isZero() {
			t.Fatalf("%x, %x: infinite", s, u)
		}
		at := toAffine([]jacobian{got})[0]
		var point [64]byte
		wantX.FillBytes(point[:32])
		wantY.FillBytes(point[32:])
		if at != affineFrom(point[:]) {
			t.Errorf("%x, %x: another point", s, u)
		}
	}
	for i, s := range scalars {
		u := scalars[(i*7+3)%len(scalars)]
		sx, sy := curve.ScalarBaseMult(s.FillBytes(make([]byte, 32)))
		ux, uy := curve.ScalarMult(k.key.X, k.key.Y, u.FillBytes(make([]byte, 32)))
		x, y := curve.Add(sx, sy, ux, uy)
		check(baseComb(), s, table, u, x, y)
		// The same table twice meets doublings and opposite points.
		neg := new(big.Int).Sub(order, s)
		neg.Mod(neg, order)
		check(baseComb(), s, baseComb(), neg, new(big.Int), new(big.Int))
		x, y = curve.Double(sx, sy)
		check(baseComb(), s, baseComb(), s, x, y)
	}
}

// taught returns a Verifier that has its table.
func taught(p *PublicKey) *Verifier {
	v := NewVerifier(p)
	v.table.Store(newComb(affineFrom(p.point[1:])))
	return v
}

func TestVerifierLearnsAfterSomeSignaturesAndStaysRight(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	v := NewVerifier(k.Public())
	for i := range 2 * learnAfter {
		message := []byte{byte(i)}
		sig, err := k.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		if err := v.Verify(message, sig); err != nil {
			t.Fatal(err)
		}
		if err := v.Verify([]byte("other"), sig); !errors.Is(err, ErrSignature) {
			t.Fatalf("another message: %v", err)
		}
	}
	if v.table.Load() == nil {
		t.Error("no table was made")
	}
}

func TestVerifierAgreesWithTheLibraryOnEveryVector(t *testing.T) {
	n := 0
	for _, g := range readVectors(t).TestGroups {
		if g.Type != "SM2Verify" || g.ID != "" && g.ID != defaultID {
			continue
		}
		key, err := ParseSPKI(unhex(t, g.PublicKey))
		if err != nil {
			if key, err = NewPublicKey(unhex(t, g.PublicKey)); err != nil {
				continue
			}
		}
		v := taught(key)
		for _, c := range g.Tests {
			message, sig := unhex(t, c.Msg), unhex(t, c.Sig)
			if want, got := key.Verify(message, sig), v.Verify(message, sig); !errors.Is(got, want) {
				t.Errorf("%d %s: %v, the library says %v", c.TcID, c.Comment, got, want)
			}
			n++
		}
	}
	if n < 100 {
		t.Errorf("only %d vectors were tried", n)
	}
}

func TestVerifierAgreesWithTheLibraryOnRandomAndSpoiltSignatures(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	rounds := 200
	if testing.Short() {
		rounds = 10
	}
	for range rounds {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		v := taught(k.Public())
		for range 20 {
			message := make([]byte, 1+r.IntN(200))
			for i := range message {
				message[i] = byte(r.Uint32())
			}
			sig, err := k.Sign(message)
			if err != nil {
				t.Fatal(err)
			}
			if err := v.Verify(message, sig); err != nil {
				t.Fatalf("a good signature: %v", err)
			}
			bad := bytes.Clone(sig)
			bad[r.IntN(len(bad))] ^= 1 << r.IntN(8)
			if want, got := k.Public().Verify(message, bad), v.Verify(message, bad); !errors.Is(got, want) {
				t.Fatalf("%x: %v, the library says %v", bad, got, want)
			}
			message[0] ^= 1
			if err := v.Verify(message, sig); !errors.Is(err, ErrSignature) {
				t.Fatalf("another message: %v", err)
			}
		}
	}
}

func FuzzVerifierAgreesWithTheLibrary(f *testing.F) {
	k, err := NewPrivateKey(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	v := taught(k.Public())
	sig, err := k.Sign([]byte("message"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("message"), sig)
	f.Add([]byte("message"), append(bytes.Clone(sig), 0))
	f.Add([]byte{}, []byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	f.Fuzz(func(t *testing.T, message, sig []byte) {
		if want, got := k.Public().Verify(message, sig), v.Verify(message, sig); !errors.Is(got, want) || (got == nil) != (want == nil) {
			t.Fatalf("%v, the library says %v", got, want)
		}
	})
}

func BenchmarkVerifier(b *testing.B) {
	k, err := GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	msg := make([]byte, 256)
	sig, err := k.Sign(msg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			taught(k.Public())
		}
	})
	b.Run("verify", func(b *testing.B) {
		v := taught(k.Public())
		b.ReportAllocs()
		for b.Loop() {
			if err := v.Verify(msg, sig); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("field", func(b *testing.B) {
		x := toField(limbs(sig[:32]))
		y := x
		for b.Loop() {
			for range 100 {
				y = mul(&x, &y)
			}
		}
		if y.isZero() {
			b.Fatal("zero")
		}
	})
}
