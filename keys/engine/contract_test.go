package engine_test

import (
	"testing"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// hosted is an engine and the storage it can be opened over again.
type hosted struct {
	*engine.Engine
	storage engine.Storage
	config  engine.Config
}

func host(clock *keytest.Clock, s engine.Storage) hosted {
	c := engine.Config{Now: clock.Now}
	return hosted{engine.New(s, c), s, c}
}

// inMemory is the contract's way to an engine over storage in memory.
func inMemory() keytest.Options {
	return keytest.Options{
		Open: func(_ *testing.T, clock *keytest.Clock) keytest.Backend { return host(clock, &keytest.Memory{}) },
		Reopen: func(_ *testing.T, b keytest.Backend) keytest.Backend {
			h := b.(hosted)
			return hosted{engine.New(h.storage, h.config), h.storage, h.config}
		},
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	}
}

func TestContract(t *testing.T) { keytest.Run(t, inMemory()) }

func TestContractBehindAHostileWrapper(t *testing.T) { keytest.RunHostile(t, inMemory()) }

// A second contract run over a storage that repeats every write, as a retrying
// transport does.
func TestContractOverAStorageThatRepeatsWrites(t *testing.T) {
	keytest.Run(t, keytest.Options{
		Open: func(_ *testing.T, clock *keytest.Clock) keytest.Backend {
			h := &keytest.Hostile{Storage: &keytest.Memory{}}
			h.Set(keytest.Duplicated)
			return host(clock, h)
		},
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	})
}
