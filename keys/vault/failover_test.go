package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

// longestPause is how long signing may be interrupted when a node goes: what
// three nodes need to elect another on a loaded machine, and what the breaker
// adds to it.
const longestPause = 25 * time.Second

// failovers has the active node go in every way it can while signatures are
// made, and looks after each time at what the next one makes of the keys.
func failovers(t *testing.T, c *cluster) {
	client := c.client(t, nil, c.Addresses()...)
	create(t, client, "load-1", keys.Checkpoint)
	k := newKept(t, client)
	for _, way := range []struct {
		name string
		goes func(*testing.T, *testenv.Vault)
	}{
		{"killed", func(_ *testing.T, v *testenv.Vault) { v.Kill() }},
		{"sealed", func(t *testing.T, v *testenv.Vault) { v.Seal(t) }},
		{"stepped-down", func(t *testing.T, _ *testenv.Vault) { c.StepDown(t) }},
	} {
		t.Run(way.name, func(t *testing.T) {
			active := c.Active(t)
			k.change(t, active)
			l := startLoad(t, c, way.name)
			time.Sleep(300 * time.Millisecond)
			from := time.Now()
			way.goes(t, active)
			l.awaitProgress(t, 1)
			next := c.Active(t)
			l.awaitProgress(t, 3)
			t.Logf("%d signatures, all callers served again after %v", l.stop(), time.Since(from).Round(time.Millisecond))
			if next == active {
				t.Error("the same node is active")
			}
			l.check(t, client)
			records := made(t, c, "sealgate/sign/checkpoint/load-1")
			for _, id := range l.alone {
				if n := len(records[id]); n != 1 {
					t.Errorf("%d signatures left the nodes under %s", n, id)
				}
			}
			k.check(t, next)
			switch way.name {
			case "killed":
				active.Start(t)
				c.Rejoin(t, active)
			case "sealed":
				c.Rejoin(t, active)
			}
		})
	}
	if k.again == 0 {
		k.bringBack(t, c)
	}
}

// kept is keys that one active node has in memory while another changes them.
type kept struct {
	client  *vault.Client
	outside *keytest.Outside
	seen    map[*testenv.Vault]bool // has signed with the keys before the change
	changed *testenv.Vault          // the node that disabled and rotated
	again   int                     // nodes of seen that were asked after the change
}

func newKept(t *testing.T, client *vault.Client) *kept {
	t.Helper()
	k := &kept{client: client, outside: keytest.NewOutside(t, &keytest.Clock{}), seen: map[*testenv.Vault]bool{}}
	create(t, client, "kept-disabled", keys.Checkpoint)
	create(t, client, "kept-turned", keys.Seal)
	return k
}

func (k *kept) sign(t *testing.T, version int) (disabled, turned error) {
	t.Helper()
	_, disabled = k.client.Key("kept-disabled").Sign(t.Context(), headRequest(t, 1, ""))
	info, err := k.client.Info(t.Context(), "kept-turned")
	if err != nil {
		return disabled, err
	}
	item := keytest.DER(t, k.outside.TBS(k.outside.Seal(k.outside.SealInfo(info.Versions[version-1].Certificate)), 1))
	_, turned = k.client.Key("kept-turned").Sign(t.Context(), keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: version})
	return disabled, turned
}

// change has the active node sign with the keys at first; the second node that
// is asked disables one and rotates the other.
func (k *kept) change(t *testing.T, active *testenv.Vault) {
	t.Helper()
	if k.changed != nil {
		return
	}
	if disabled, turned := k.sign(t, 1); disabled != nil || turned != nil {
		t.Errorf("before the change: %v, %v", disabled, turned)
	}
	if k.seen[active] = true; len(k.seen) < 2 {
		return
	}
	if _, err := k.client.Disable(t.Context(), "kept-disabled"); err != nil {
		t.Fatal(err)
	}
	info, err := k.client.Rotate(t.Context(), "kept-turned")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.client.InstallCertificate(t.Context(), "kept-turned", 2, []*gm.Certificate{k.outside.Certify(info.Versions[1].Public)}); err != nil {
		t.Fatal(err)
	}
	k.changed = active
}

// check asks the node that has become active.
func (k *kept) check(t *testing.T, active *testenv.Vault) {
	t.Helper()
	if k.changed == nil {
		return
	}
	if k.seen[active] && active != k.changed {
		k.again++
	}
	eventually(t, longestPause, "answers", func() error { _, err := k.client.List(t.Context()); return err })
	if disabled, turned := k.sign(t, 1); !errors.Is(disabled, keys.ErrDisabled) || !errors.Is(turned, keys.ErrVersion) {
		t.Errorf("a key disabled at another node: %v, the old version of one rotated there: %v", disabled, turned)
	}
	if _, turned := k.sign(t, 2); turned != nil {
		t.Errorf("the new version: %v", turned)
	}
}

// bringBack has the node that signed before the change become active again. A
// node that steps down hands over to one with the newest entry: the other
// standby is stopped before that entry is written.
func (k *kept) bringBack(t *testing.T, c *cluster) {
	t.Helper()
	for _, other := range c.Standbys(t) {
		if k.seen[other] && other != k.changed {
			continue
		}
		other.Kill()
		create(t, k.client, "kept-newest", keys.Checkpoint)
		c.StepDown(t)
		k.check(t, c.Active(t))
		other.Start(t)
		c.Rejoin(t, other)
	}
	if k.again != 1 {
		t.Errorf("the node that had seen the keys before they were changed became active %d times", k.again)
	}
}

// load is callers that sign without pause and, like the product, ask again
// under the same id until they know.
type load struct {
	end  context.CancelFunc
	wg   sync.WaitGroup
	name string

	settled []atomic.Int64 // by caller

	mu     sync.Mutex
	signed map[string]signed // by id
	alone  []string          // ids that were sent in a request of their own
	faults []string
}

type signed struct {
	request keys.Request
	value   []byte
}

const (
	gatheredCallers = 6
	aloneCallers    = 3
	namelessCallers = 1 // without ids: nothing is repeated for them
)

func startLoad(t *testing.T, c *cluster, name string) *load {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	l := &load{end: end, name: name, signed: map[string]signed{}, settled: make([]atomic.Int64, gatheredCallers+aloneCallers+namelessCallers)}
	gathered := c.client(t, nil, c.Addresses()...)
	alone := c.client(t, func(c *vault.Config) { c.GatherWindow = -1 }, c.Addresses()...)
	head := checkpoint(t, 1) // one for all: only ids differ
	for i := range l.settled {
		client := gathered
		if i >= gatheredCallers {
			client = alone
		}
		l.wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				q := keys.Request{Type: keys.TypeCheckpoint, Item: head, KeyVersion: 1}
				if i < gatheredCallers+aloneCallers {
					q.ID = fmt.Sprintf("%s-%d-%d", name, i, n)
				}
				l.one(client.Key("load-1"), q, client == alone)
				l.settled[i].Add(1)
			}
		})
	}
	return l
}

// one asks for one signature until its outcome is known.
func (l *load) one(k keys.Key, q keys.Request, alone bool) {
	for from := time.Now(); ; {
		began := time.Now()
		s, err := k.Sign(context.Background(), q)
		if took := time.Since(began); took > vault.DefaultSignTimeout+1500*time.Millisecond {
			l.fault("a call took %v", took)
		}
		switch {
		case err == nil && q.ID == "":
			return
		case err == nil:
			l.mu.Lock()
			l.signed[q.ID] = signed{q, s.Value}
			if alone {
				l.alone = append(l.alone, q.ID)
			}
			l.mu.Unlock()
			return
		case len(s.Value) > 0:
			l.fault("a signature beside an error: %v", err)
			return
		case !errors.Is(err, keys.ErrOutcome) && !errors.Is(err, keys.ErrUnavailable) && !errors.Is(err, keys.ErrSealed):
			l.fault("%s: %v", q.ID, err)
			return
		case q.ID == "":
			time.Sleep(20 * time.Millisecond) // another one, then
			return
		case time.Since(from) > longestPause:
			l.fault("%s is not settled after %v: %v", q.ID, time.Since(from), err)
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *load) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.faults) < 10 {
		l.faults = append(l.faults, fmt.Sprintf(format, args...))
	}
}

// awaitProgress waits until every caller has settled n signatures more.
func (l *load) awaitProgress(t *testing.T, n int64) {
	t.Helper()
	goal := make([]int64, len(l.settled))
	for i := range goal {
		goal[i] = l.settled[i].Load() + n
	}
	eventually(t, longestPause, "all callers are served again", func() error {
		for i := range goal {
			if l.settled[i].Load() < goal[i] {
				return fmt.Errorf("caller %d waits", i)
			}
		}
		return nil
	})
}

func (l *load) stop() (signatures int) {
	l.end()
	l.wg.Wait()
	return len(l.signed)
}

// check asks the node that is active now for everything again: nothing was
// lost, and nothing was made twice.
func (l *load) check(t *testing.T, client *vault.Client) {
	t.Helper()
	for _, f := range l.faults {
		t.Error(f)
	}
	key := client.Key("load-1")
	for part := range slices.Chunk(slices.Collect(maps.Keys(l.signed)), keys.MaxBatch) {
		rs := make([]keys.Request, len(part))
		for i, id := range part {
			rs[i] = l.signed[id].request
		}
		out, err := key.SignBatch(t.Context(), rs)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range out {
			if r.Err != nil || !slices.Equal(r.Signature.Value, l.signed[part[i]].value) {
				t.Errorf("%s has another answer now: %v", part[i], r.Err)
			}
		}
		other := rs[0]
		other.Item = checkpoint(t, 2)
		if s, err := key.Sign(t.Context(), other); !errors.Is(err, keys.ErrIdempotency) || len(s.Value) > 0 {
			t.Errorf("another head under the same id: %v", err)
		}
	}
}

// made is the signatures that left the nodes' engines, by the id they were made
// under, as the audit logs of all nodes have them: the answers of requests with
// one id each, under an HMAC that is the same at every node.
func made(t *testing.T, c *cluster, path string) map[string]map[string]bool {
	t.Helper()
	out := map[string]map[string]bool{}
	for _, v := range c.Nodes {
		data, err := os.ReadFile(filepath.Join(filepath.Dir(v.LogPath()), auditFile))
		if errors.Is(err, os.ErrNotExist) {
			continue // never active
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			var e struct {
				Type    string
				Request struct {
					Path string
					Data struct{ IDs []string }
				}
				Response struct {
					Data struct{ Signatures, Errors []string }
				}
			}
			if json.Unmarshal(line, &e) != nil {
				continue // the last one of a node that was killed
			}
			if d := e.Response.Data; e.Type == "response" && e.Request.Path == path && len(e.Request.Data.IDs) == 1 && len(d.Signatures) == 1 && len(d.Errors) == 0 {
				id := e.Request.Data.IDs[0]
				if out[id] == nil {
					out[id] = map[string]bool{}
				}
				out[id][d.Signatures[0]] = true
			}
		}
	}
	return out
}
