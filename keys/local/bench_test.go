package local_test

import (
	"path/filepath"
	"testing"

	"github.com/sealgate/sealgate/keys/local"
)

// What a start costs the operator, with the parameters of real keystores.
func BenchmarkUnlockWithDefaultKDF(b *testing.B) {
	k, err := local.Create(b.Context(), filepath.Join(b.TempDir(), "k"), passphrase, local.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	for b.Loop() {
		k.Lock()
		if err := k.Unlock(b.Context(), passphrase); err != nil {
			b.Fatal(err)
		}
	}
}
