package gm

import (
	"crypto/rand"
	"encoding/binary"
	"flag"
	"math/big"
	mathrand "math/rand/v2"
	"testing"

	tjsm2 "github.com/tjfoc/gmsm/sm2"
)

// tjfoc/gmsm verifies in more than a millisecond, so the whole comparison is
// asked for: go test ./internal/gm -run Peer -peer 10000.
var peer = flag.Int("peer", 300, "signatures to compare with tjfoc/gmsm, each way")

// A second implementation accepts what we sign and signs what we accept, over
// random keys and messages, and both refuse a signature over another message.
func TestAPeerImplementationAgreesOnRandomSignatures(t *testing.T) {
	const perKey = 25
	var seed [32]byte
	if _, err := rand.Read(seed[:]); err != nil {
		t.Fatal(err)
	}
	t.Logf("seed %x", seed)
	random := mathrand.NewChaCha8(seed)
	var ours *PrivateKey
	var theirs *tjsm2.PrivateKey
	for i := range *peer {
		if i%perKey == 0 {
			var err error
			if ours, err = GenerateKey(); err != nil {
				t.Fatal(err)
			}
			theirs = &tjsm2.PrivateKey{D: new(big.Int).SetBytes(ours.Bytes())}
			theirs.PublicKey = tjsm2.PublicKey{Curve: tjsm2.P256Sm2(), X: ours.key.X, Y: ours.key.Y}
		}
		var length [2]byte
		random.Read(length[:])
		message := make([]byte, 1+binary.BigEndian.Uint16(length[:])%2000)
		random.Read(message)

		sig, err := ours.Sign(message)
		if err != nil {
			t.Fatal(err)
		}
		if !theirs.PublicKey.Verify(message, sig) {
			t.Fatalf("%d: the peer refuses our signature %x over %x", i, sig, message)
		}
		other, err := theirs.Sign(rand.Reader, message, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.Public().Verify(message, other); err != nil {
			t.Fatalf("%d: the peer's signature %x over %x: %v", i, other, message, err)
		}
		message[0] ^= 1
		if theirs.PublicKey.Verify(message, sig) || ours.Public().Verify(message, other) == nil {
			t.Fatalf("%d: a signature over another message verifies", i)
		}
	}
}
