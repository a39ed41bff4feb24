package local_test

import (
	"path/filepath"
	"testing"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/local"
)

var passphrase = []byte("correct horse battery")

// hosted remembers where the keystore lies, so that it can be opened again.
type hosted struct {
	*local.Keystore
	dir     string
	options local.Options
}

func create(t *testing.T, o local.Options) hosted {
	t.Helper()
	o.KDF = local.CheapKDF()
	dir := filepath.Join(t.TempDir(), "keystore")
	k, err := local.Create(t.Context(), dir, passphrase, o)
	if err != nil {
		t.Fatal(err)
	}
	h := hosted{k, dir, o}
	return h
}

func (h hosted) reopen(t *testing.T) hosted {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	k, err := local.Open(h.dir, h.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Unlock(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	return hosted{k, h.dir, h.options}
}

func TestContract(t *testing.T) {
	keytest.Run(t, keytest.Options{
		Open: func(t *testing.T, clock *keytest.Clock) keytest.Backend {
			return create(t, local.Options{Engine: engine.Config{Now: clock.Now}})
		},
		Reopen:      func(t *testing.T, b keytest.Backend) keytest.Backend { return b.(hosted).reopen(t) },
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	})
}
