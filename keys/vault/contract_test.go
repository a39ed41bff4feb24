package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

var contractTests = []realTest{
	{"the contract of keys", func(t *testing.T, v *testenv.Vault) { contract(t, v, networkGood) }},
	{"the contract of keys when requests get lost", func(t *testing.T, v *testenv.Vault) { contract(t, v, networkNotDone) }},
	{"the contract of keys when answers get lost", func(t *testing.T, v *testenv.Vault) { contract(t, v, networkButDone) }},
	{"the contract of keys over a slow network", func(t *testing.T, v *testenv.Vault) { contract(t, v, networkSlow) }},
	{"the contract of keys when requests arrive twice", func(t *testing.T, v *testenv.Vault) { contract(t, v, networkDuplicated) }},
	{"every change of a key over a hostile network is done once or told as unknown", hostileChanges},
}

var mounts atomic.Int64

// contract runs keytest over mounts of the real server. Where answers get lost
// or requests arrive twice, all signing requests carry ids, since only those
// may be repeated, and only signing requests suffer: hostileChanges has the
// others.
func contract(t *testing.T, v *testenv.Vault, mode networkMode) {
	part := "/"
	if mode == networkButDone || mode == networkDuplicated {
		part = "/sign/"
	}
	openMount := func(t *testing.T, mount string) keytest.Backend {
		c := open(t, v, "admin", func(c *vault.Config) {
			c.Mount = mount
			hostile(c, part, mode)
		})
		if part == "/" {
			return struct {
				*vault.Client
				mountName
			}{c, mountName(mount)}
		}
		return struct {
			named
			mountName
		}{named{c, mount, &mounts}, mountName(mount)}
	}
	keytest.Run(t, keytest.Options{
		Open: func(t *testing.T, _ *keytest.Clock) keytest.Backend {
			mount := fmt.Sprintf("contract-%d", mounts.Add(1))
			v.MountEngine(t, mount, nil)
			t.Cleanup(func() { v.Must(t, http.MethodDelete, "sys/mounts/"+mount, nil) })
			return openMount(t, mount)
		},
		Reopen: func(t *testing.T, b keytest.Backend) keytest.Backend {
			mount := string(b.(interface{ Mount() mountName }).Mount())
			v.Must(t, http.MethodPut, "sys/plugins/reload/backend", map[string]any{"mounts": []string{mount + "/"}})
			return openMount(t, mount)
		},
		RealTime:    true,
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	})
}

type mountName string

func (m mountName) Mount() mountName { return m }

func hostileChanges(t *testing.T, v *testenv.Vault) {
	for name, mode := range networkModes() {
		t.Run(name, func(t *testing.T) {
			prefix := strings.ReplaceAll(name, " ", "-")
			var net *hostileNetwork
			c := open(t, v, "admin", func(c *vault.Config) { net = hostile(c, "/keys/", networkGood) })
			outside := keytest.NewOutside(t, &keytest.Clock{})
			// step makes one change over the hostile network and reads, over
			// a good one, whether it was done.
			step := func(what string, change func() error, done func(keys.Info) bool) {
				t.Helper()
				net.set(mode)
				err := change()
				net.set(networkGood)
				info, infoErr := c.Info(t.Context(), keys.Name(prefix))
				if infoErr != nil || !done(info) {
					t.Fatalf("%s: not done: %+v %v (%v)", what, info, infoErr, err)
				}
				switch {
				case mode == networkButDone && !errors.Is(err, keys.ErrOutcome):
					t.Errorf("%s: the lost answer gave %v", what, err)
				case mode == networkDuplicated && what == "create" && !errors.Is(err, keys.ErrExists):
					t.Errorf("%s: %v", what, err)
				case (mode == networkNotDone || mode == networkSlow) && err != nil:
					t.Errorf("%s: %v", what, err)
				}
			}
			k := keys.Name(prefix)
			step("create", func() error { _, err := c.Create(t.Context(), k, keys.Seal); return err },
				func(i keys.Info) bool { return len(i.Versions) == 1 && i.Live == 0 })
			info, err := c.Info(t.Context(), k)
			if err != nil {
				t.Fatal(err)
			}
			cert := outside.Certify(info.Versions[0].Public)
			step("install", func() error {
				_, err := c.InstallCertificate(t.Context(), k, 1, []*gm.Certificate{cert})
				return err
			}, func(i keys.Info) bool { return i.Live == 1 })
			step("rotate", func() error { _, err := c.Rotate(t.Context(), k); return err },
				func(i keys.Info) bool { return len(i.Versions) == 2 && i.Live == 1 })
			step("disable", func() error { _, err := c.Disable(t.Context(), k); return err },
				func(i keys.Info) bool { return i.State == keys.Disabled })
		})
	}
}
