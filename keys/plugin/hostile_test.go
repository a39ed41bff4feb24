package plugin_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// hostile is a logical.Storage that misbehaves as it is told: keytest.Hostile,
// one level further down.
type hostile struct {
	logical.Storage
	mode atomic.Int32
}

func (h *hostile) set(m keytest.Mode)     { h.mode.Store(int32(m)) }
func (h *hostile) is(m keytest.Mode) bool { return keytest.Mode(h.mode.Load()) == m }

func (h *hostile) write(f func() error) error {
	switch {
	case h.is(keytest.FailsNotDone):
		return keytest.ErrHostile
	case h.is(keytest.FailsButDone):
		return errors.Join(keytest.ErrHostile, f())
	case h.is(keytest.Duplicated):
		return errors.Join(f(), f())
	}
	return f()
}

func (h *hostile) Put(ctx context.Context, e *logical.StorageEntry) error {
	return h.write(func() error { return h.Storage.Put(ctx, e) })
}

func (h *hostile) Delete(ctx context.Context, path string) error {
	return h.write(func() error { return h.Storage.Delete(ctx, path) })
}

func (h *hostile) Get(ctx context.Context, path string) (*logical.StorageEntry, error) {
	if h.is(keytest.ReadsFail) {
		return nil, keytest.ErrHostile
	}
	return h.Storage.Get(ctx, path)
}

func (h *hostile) List(ctx context.Context, prefix string) ([]string, error) {
	if h.is(keytest.ReadsFail) {
		return nil, keytest.ErrHostile
	}
	return h.Storage.List(ctx, prefix)
}

func checkpointAt(t *testing.T, clock *keytest.Clock, size uint64) []byte {
	t.Helper()
	b, err := audit.Checkpoint{Log: "test-log", Size: size, Root: gm.SM3([]byte{byte(size)}), Time: clock.Now()}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Whatever the storage does to a write, what is answered is true and the next
// call finds one of the two states.
func TestAStorageThatFailsLeavesTheOldKeyOrTheNewOne(t *testing.T) {
	for name, mode := range keytest.Modes() {
		t.Run(name, func(t *testing.T) {
			clock := keytest.NewClock()
			h := &hostile{Storage: &logical.InmemStorage{}}
			m := mount(t, h, engine.Config{Now: clock.Now})
			ctx := t.Context()
			before, err := m.Create(ctx, "c", keys.Checkpoint)
			if err != nil {
				t.Fatal(err)
			}
			q := keys.Request{Type: keys.TypeCheckpoint, Item: checkpointAt(t, clock, 1), KeyVersion: 1, ID: "use-1"}

			h.set(mode)
			sig, err := m.Key("c").Sign(ctx, q)
			if err != nil && (len(sig.Value) > 0 || !errors.Is(err, keys.ErrUnavailable)) {
				t.Errorf("sign: %v", err)
			}
			_, rotateErr := m.Rotate(ctx, "c")
			if rotateErr != nil && !errors.Is(rotateErr, keys.ErrOutcome) && !errors.Is(rotateErr, keys.ErrUnavailable) {
				t.Errorf("rotate: %v", rotateErr)
			}

			h.set(keytest.Good)
			m.restart(t)
			after, err := m.Info(ctx, "c")
			if err != nil {
				t.Fatal(err)
			}
			if n := len(after.Versions); n != 1 && n != 2 || after.Live != n || !after.Versions[0].Public.Equal(before.Versions[0].Public) {
				t.Fatalf("after the failure: %+v", after)
			}
			if rotateErr == nil && after.Live != 2 {
				t.Error("a rotation that was reported is not there")
			}
			// The id works again, under the live version or as remembered.
			again, err := m.Key("c").Sign(ctx, q)
			switch {
			case len(sig.Value) > 0 && (err != nil || string(again.Value) != string(sig.Value)):
				t.Errorf("another answer than the one given: %v", err)
			case err != nil && !errors.Is(err, keys.ErrVersion):
				t.Errorf("sign again: %v", err)
			}
		})
	}
}
