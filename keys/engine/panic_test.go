package engine_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// panicking panics when an answer is written, after it let others queue up.
type panicking struct {
	keytest.Memory
	on atomic.Bool
}

func (p *panicking) Put(ctx context.Context, path string, value []byte) error {
	if strings.HasPrefix(path, engine.AnswerPrefix) && p.on.Load() {
		time.Sleep(20 * time.Millisecond)
		panic("storage")
	}
	return p.Memory.Put(ctx, path, value)
}

func TestStorageThatPanicsLeavesNobodyWaitingAndTheKeyUsable(t *testing.T) {
	clock := keytest.NewClock()
	m := &panicking{}
	e := engine.New(m, engine.Config{Now: clock.Now})
	if _, err := e.Create(t.Context(), "c", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	item, err := audit.Checkpoint{Log: "log", Size: 1, Time: clock.Now()}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	ask := func(id string) (s keys.Signature, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
			}
		}()
		return e.Key("c").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: id})
	}
	m.on.Store(true)
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			if s, err := ask(fmt.Sprintf("use-%d", i)); err == nil || s.Value != nil {
				t.Errorf("use-%d: a signature whose answer was not remembered", i)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("somebody waits for ever")
	}
	m.on.Store(false)
	if _, err := ask("use-1"); err != nil {
		t.Errorf("afterwards: %v", err)
	}
	if _, err := e.Disable(t.Context(), "c"); err != nil {
		t.Errorf("disable: %v", err)
	}
}
