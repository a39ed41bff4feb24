package local_test

import (
	"testing"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/local"
)

func TestContractBehindAHostileWrapper(t *testing.T) {
	keytest.RunHostile(t, keytest.Options{
		Open: func(t *testing.T, clock *keytest.Clock) keytest.Backend {
			return create(t, local.Options{Engine: engine.Config{Now: clock.Now}})
		},
		Reopen:      func(t *testing.T, b keytest.Backend) keytest.Backend { return b.(hosted).reopen(t) },
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	})
}
