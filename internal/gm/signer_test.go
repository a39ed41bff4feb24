package gm

import (
	"crypto/rand"
	"flag"
	"math/big"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

var signatures = flag.Int("signatures", 3_000, "how many signatures TestSignerAgreesWithTheLibrary makes (1000000 for a release)")

func TestSignerAgreesWithTheLibrary(t *testing.T) {
	perKey := 100
	for done := 0; done < *signatures; done += perKey {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		msg := make([]byte, 40)
		for range perKey {
			rand.Read(msg)
			sig, err := k.Sign(msg)
			if err != nil {
				t.Fatal(err)
			}
			if !sm2.VerifyASN1WithSM2(&k.key.PublicKey, nil, msg, sig) {
				t.Fatalf("gmsm refuses %x", sig)
			}
			if err := CheckSignature(sig); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The equation of GB/T 32918.2 section 6.1 over big integers, for a fixed nonce.
func TestSignerMatchesTheEquationOfTheStandard(t *testing.T) {
	for range 200 {
		k, err := GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		var e [DigestSize]byte
		var z [entropySize]byte
		rand.Read(e[:])
		rand.Read(z[:])
		got, _, err := k.signer.signHash(e, z)
		if err != nil {
			t.Fatal(err)
		}
		kn := k.signer.nonce(e, z, 0)
		kInt := new(big.Int).SetBytes(kn[:])
		//lint:ignore SA1019 the plain curve arithmetic is the independent side of this comparison
		x1, _ := sm2.P256().ScalarBaseMult(kInt.Bytes())
		r := new(big.Int).Add(new(big.Int).SetBytes(e[:]), x1)
		r.Mod(r, order)
		d := new(big.Int).SetBytes(k.Bytes())
		s := new(big.Int).Mul(r, d)
		s.Sub(kInt, s)
		s.Mul(s, new(big.Int).ModInverse(new(big.Int).Add(d, big.NewInt(1)), order))
		s.Mod(s, order)
		want, err := SignatureFromRaw(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
		if err != nil || string(want) != string(got) {
			t.Fatalf("got %x want %x (%v)", got, want, err)
		}
	}
}

func TestZAIsThatOfTheStandard(t *testing.T) {
	k, err := GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	if want := zaOf(k.Public(), defaultID); k.signer.za != want {
		t.Fatalf("ZA %x, want %x", k.signer.za, want)
	}
}

func TestNonceDiffersWithHashRandomnessAndKey(t *testing.T) {
	a, _ := GenerateKey()
	b, _ := GenerateKey()
	var e0, e1 [DigestSize]byte
	var z0, z1 [entropySize]byte
	e1[0], z1[0] = 1, 1
	seen := map[string]bool{}
	for _, c := range []struct {
		k   *PrivateKey
		e   [DigestSize]byte
		z   [entropySize]byte
		try byte
	}{{a, e0, z0, 0}, {a, e1, z0, 0}, {a, e0, z1, 0}, {b, e0, z0, 0}, {a, e0, z0, 1}} {
		n := c.k.signer.nonce(c.e, c.z, c.try)
		seen[string(n[:])] = true
	}
	if len(seen) != 5 {
		t.Fatalf("%d distinct nonces of 5", len(seen))
	}
	want := HMACSM3(a.Bytes(), z1[:], e1[:], []byte{7})
	if got := a.signer.nonce(e1, z1, 7); got != want {
		t.Fatal("the nonce is not HMAC-SM3 under the private scalar")
	}
}

func BenchmarkSign(b *testing.B) {
	k, err := GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	msg := make([]byte, 256)
	b.Run("sealgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.Sign(msg); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("emmansun", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := k.key.Sign(rand.Reader, msg, sm2.DefaultSM2SignerOpts); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	k, err := GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	msg := make([]byte, 256)
	sig, err := k.Sign(msg)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("sealgate", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := k.Public().Verify(msg, sig); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("emmansun", func(b *testing.B) {
		for b.Loop() {
			if !sm2.VerifyASN1WithSM2(&k.key.PublicKey, nil, msg, sig) {
				b.Fatal("refused")
			}
		}
	})
}

func BenchmarkSM3(b *testing.B) {
	buf := make([]byte, 1<<20)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		SM3(buf)
	}
}
