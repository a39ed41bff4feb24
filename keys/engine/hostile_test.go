package engine_test

import (
	"testing"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

func TestContractBehindAHostileWrapper(t *testing.T) {
	keytest.RunHostile(t, keytest.Options{
		Open: func(_ *testing.T, clock *keytest.Clock) keytest.Backend { return host(clock, &keytest.Memory{}) },
		Reopen: func(_ *testing.T, b keytest.Backend) keytest.Backend {
			h := b.(hosted)
			return hosted{engine.New(h.storage, h.config), h.storage, h.config}
		},
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	})
}
