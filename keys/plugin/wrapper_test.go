package plugin_test

import (
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

func TestContractBehindAHostileWrapper(t *testing.T) {
	keytest.RunHostile(t, options(func(t *testing.T, clock *keytest.Clock) *mounted {
		return mount(t, &logical.InmemStorage{}, engine.Config{Now: clock.Now})
	}))
}
