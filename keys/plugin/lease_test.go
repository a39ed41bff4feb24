package plugin_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys/keytest"
)

// counted counts the writes of the lease, which fail when told to.
type counted struct {
	logical.Storage
	writes atomic.Int32
	fails  atomic.Bool
	slow   time.Duration
}

func (c *counted) Put(ctx context.Context, e *logical.StorageEntry) error {
	if e.Key != "active" {
		return c.Storage.Put(ctx, e)
	}
	c.writes.Add(1)
	time.Sleep(c.slow)
	if c.fails.Load() {
		return keytest.ErrHostile
	}
	return c.Storage.Put(ctx, e)
}

func TestASignatureWithoutAnIDLeavesOnlyWhileThisNodeIsKnownToBeActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBare(t)
		b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
		s := &counted{Storage: b.storage}
		data := map[string]any{"item": b.head(1), "key_version": 1}
		sign := func(path string, d map[string]any) error {
			resp, err := b.backend.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: d, Storage: s})
			if err == nil && (resp.IsError() || len(resp.Data) == 0) {
				t.Errorf("%v", resp)
			}
			if err != nil && (resp != nil || !strings.Contains(err.Error(), "SG-KEY-UNAVAILABLE")) {
				t.Errorf("%v %v", resp, err)
			}
			return err
		}
		want := func(when string, writes int32, good bool) {
			t.Helper()
			if err := sign("sign/checkpoint/c", data); (err == nil) != good {
				t.Errorf("%s: %v", when, err)
			}
			if n := s.writes.Swap(0); n != writes {
				t.Errorf("%s: %d writes, want %d", when, n, writes)
			}
		}
		want("first", 1, true)
		want("at once", 0, true)
		time.Sleep(200 * time.Millisecond)
		want("within the first half", 0, true)
		time.Sleep(100 * time.Millisecond)
		want("in the second half", 1, true)
		s.fails.Store(true)
		time.Sleep(200 * time.Millisecond)
		want("the quorum is gone, within the lease", 0, true)
		time.Sleep(400 * time.Millisecond)
		want("after the lease", 1, false)
		if err := sign("keys/c/csr", map[string]any{"version": 1, "common_name": "x"}); err == nil {
			t.Error("a certificate request was signed")
		}
		s.writes.Store(0)
		s.fails.Store(false)
		want("the quorum is back", 1, true)

		// Many at once: one renews in time, the others do not wait for it.
		time.Sleep(300 * time.Millisecond)
		s.slow = 50 * time.Millisecond
		var wg sync.WaitGroup
		var waited atomic.Int32
		for range 16 {
			wg.Go(func() {
				from := time.Now()
				if err := sign("sign/checkpoint/c", data); err != nil {
					t.Error(err)
				}
				if time.Since(from) > 0 {
					waited.Add(1)
				}
			})
		}
		wg.Wait()
		if s.writes.Load() != 1 || waited.Load() != 1 {
			t.Errorf("%d writes, %d of 16 waited", s.writes.Load(), waited.Load())
		}
	})
}

func TestWithoutTheLeaseVaultForwardsASignatureWithoutAnID(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	resp, err := b.backend.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: "sign/checkpoint/c",
		Data: map[string]any{"item": b.head(1), "key_version": 1}, Storage: readOnly{b.storage}})
	if resp != nil || err == nil || !strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
		t.Errorf("%v %v", resp, err)
	}
}
