package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

var batchTests = []realTest{
	{"concurrent signatures travel together", gathering},
	{"a structure above Vault's limit of a JSON string is signed", largeItem},
	{"a policy without patch is served by POST", withoutPatch},
	{"one refused item does not fail those that travel with it", refusedAmongOthers},
}

func gathering(t *testing.T, v *testenv.Vault) {
	var w *watcher
	c := open(t, v, "admin", func(c *vault.Config) {
		w = watch(c)
		c.GatherWindow = 100 * time.Millisecond // long enough for all to come back
	})
	create(t, c, "gather-1", keys.Checkpoint)
	const callers, each = 32, 20
	run := func(named bool) int {
		before := w.seen("/sign/")
		var wg sync.WaitGroup
		for i := range callers {
			wg.Go(func() {
				for j := range each {
					q := headRequest(t, uint64(i*each+j), "")
					if named {
						q.ID = fmt.Sprintf("gather-%d-%d", i, j)
					}
					if _, err := c.Key("gather-1").Sign(t.Context(), q); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		return w.seen("/sign/") - before
	}
	// Full shares: 16 in each of two requests, or 32 in one. To begin and to end,
	// and after each window, there are a few more.
	if n := run(false); n > callers*each/16+5 {
		t.Errorf("%d requests for %d signatures", n, callers*each)
	}
	if n := run(true); n > callers*each/32+5 {
		t.Errorf("%d requests for %d signatures with ids", n, callers*each)
	}
	// Alone, a caller does not wait for others.
	before := w.seen("/sign/")
	if _, err := c.Key("gather-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil || w.seen("/sign/") != before+1 {
		t.Error(err)
	}
}

func largeItem(t *testing.T, v *testenv.Vault) {
	c := open(t, v, "admin", nil)
	outside := keytest.NewOutside(t, &keytest.Clock{})
	info := create(t, c, "large-1", keys.Seal)
	seal := outside.SealInfo(info.Versions[0].Certificate)
	seal.Picture.Data = append(seal.Picture.Data, make([]byte, 2<<20)...)
	item := keytest.DER(t, outside.TBS(outside.Seal(seal), 1))
	p, err := keys.PinLive(t.Context(), c.Key("large-1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.SignTBS(t.Context(), item); err != nil {
		t.Errorf("%d bytes: %v", len(item), err)
	}
	// And many of them: more than one request holds.
	rs := make([]keys.Request, 6)
	for i := range rs {
		rs[i] = keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: 1}
	}
	out, err := c.Key("large-1").SignBatch(t.Context(), rs)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range out {
		if r.Err != nil {
			t.Errorf("%d: %v", i, r.Err)
		}
	}
}

func refusedAmongOthers(t *testing.T, v *testenv.Vault) {
	c := open(t, v, "admin", nil)
	create(t, c, "mixed-1", keys.Checkpoint)
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			q := headRequest(t, uint64(i), "")
			if i%8 == 0 {
				q.Item = []byte("rubbish")
			}
			_, err := c.Key("mixed-1").Sign(t.Context(), q)
			if i%8 == 0 && !errors.Is(err, keys.ErrItem) || i%8 != 0 && err != nil {
				t.Errorf("%d: %v", i, err)
			}
		})
	}
	wg.Wait()
}

// wrapToken asks for path with response wrapping and returns the token.
func wrapToken(t *testing.T, v *testenv.Vault, path string, body any) string {
	t.Helper()
	token, err := v.Wrap(t.Context(), path, body, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func withoutPatch(t *testing.T, v *testenv.Vault) {
	v.Must(t, http.MethodPut, "sys/policies/acl/post-only", map[string]string{"policy": strings.ReplaceAll(adminPolicy, `, "patch"`, "")})
	v.Role(t, "post-only", []string{"post-only"}, nil)
	var w *watcher
	c := open(t, v, "post-only", func(c *vault.Config) { w = watch(c) })
	create(t, c, "posted-1", keys.Checkpoint)
	for range 3 {
		if _, err := c.Key("posted-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.seen("/sign/"); n != 4 {
		t.Errorf("%d requests for 3 signatures, want one refused try more", n)
	}
}
