package vault_test

import (
	"crypto/rand"
	"testing"

	"github.com/emmansun/gmsm/sm2"
)

// peerSigner signs with the library's own SM2, as a program would that keeps
// its key in memory: the measure of everything else in BenchmarkVault.
func peerSigner(b *testing.B, message []byte) func() error {
	b.Helper()
	k, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	return func() error {
		_, err := k.Sign(rand.Reader, message, sm2.DefaultSM2SignerOpts)
		return err
	}
}
