package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/seal/server"
)

// wired is the store as the program hands it to the seal service.
type wired struct{ *store.Store }

func (w wired) BeginUse(ctx context.Context, u server.Use, staleBefore time.Time) (*server.Use, error) {
	holder, err := w.Store.BeginUse(ctx, store.Use{ID: u.ID, Caller: u.Caller, Key: u.Key, RequestSM3: u.RequestSM3,
		DocumentSM3: u.DocumentSM3, Seal: u.Seal, Begun: u.Begun}, staleBefore)
	if holder == nil {
		return nil, err
	}
	return &server.Use{ID: holder.ID, Caller: holder.Caller, Key: holder.Key, RequestSM3: holder.RequestSM3, DocumentSM3: holder.DocumentSM3,
		Seal: holder.Seal, Begun: holder.Begun, Finished: (*server.UseResult)(holder.Finished)}, nil
}

func (w wired) FinishUse(ctx context.Context, id string, r server.UseResult) error {
	err := w.Store.FinishUse(ctx, id, store.UseResult(r))
	if errors.Is(err, store.ErrUseLost) {
		return server.ErrUseLost
	}
	return err
}

var (
	_ server.UseStore     = wired{}
	_ server.StatusSource = (*store.Store)(nil)
)

func use(id, key string) server.Use {
	return server.Use{ID: id, Caller: "office", Key: key, RequestSM3: [32]byte{1}, DocumentSM3: [32]byte{2}, Seal: "seal-1", Begun: start}
}

func TestASealUseIsClaimedOnceAndItsResultKept(t *testing.T) {
	s, path := open(t)
	ctx := t.Context()
	var uses server.UseStore = wired{s}
	if holder, err := uses.BeginUse(ctx, use("r1", "k1"), start.Add(-time.Minute)); holder != nil || err != nil {
		t.Fatalf("%+v %v", holder, err)
	}
	holder, err := uses.BeginUse(ctx, use("r2", "k1"), start.Add(-time.Minute))
	if err != nil || holder == nil || holder.ID != "r1" || holder.Finished != nil || holder.RequestSM3 != [32]byte{1} || !holder.Begun.Equal(start) {
		t.Fatalf("%+v %v", holder, err)
	}
	result := server.UseResult{At: start.Add(time.Second), SealID: "22010001", ResultSM3: [32]byte{3}, Document: []byte("sealed")}
	if err := uses.FinishUse(ctx, "r2", result); !errors.Is(err, server.ErrUseLost) {
		t.Errorf("finished a use that has no claim: %v", err)
	}
	if err := uses.FinishUse(ctx, "r1", result); err != nil {
		t.Fatal(err)
	}
	if err := uses.FinishUse(ctx, "r1", result); !errors.Is(err, server.ErrUseLost) {
		t.Errorf("finished twice: %v", err)
	}
	if err := uses.DropUse(ctx, "r1"); err != nil {
		t.Error(err)
	}
	s.Close()
	uses = wired{reopen(t, path)}
	holder, err = uses.BeginUse(ctx, use("r3", "k1"), start.Add(time.Hour)) // long after: finished uses do not go stale
	if err != nil || holder == nil || holder.Finished == nil || !bytes.Equal(holder.Finished.Document, result.Document) ||
		holder.Finished.SealID != result.SealID || !holder.Finished.At.Equal(result.At) || holder.Finished.ResultSM3 != result.ResultSM3 {
		t.Fatalf("%+v %v", holder, err)
	}
	if _, err := uses.BeginUse(ctx, use("r1", "other"), start); !errors.Is(err, store.ErrExists) {
		t.Errorf("an id twice: %v", err)
	}
}

func TestAnUnfinishedUseIsReplacedOnlyWhenStaleOrDropped(t *testing.T) {
	s, _ := open(t)
	ctx := t.Context()
	uses := wired{s}
	begin := func(id string, stale time.Time, free bool) {
		t.Helper()
		holder, err := uses.BeginUse(ctx, use(id, "k"), stale)
		if err != nil || (holder == nil) != free {
			t.Errorf("%s: %+v %v", id, holder, err)
		}
	}
	begin("r1", start, true)
	begin("r2", start, false) // begun exactly then: not before
	begin("r3", start.Add(1), true)
	if err := uses.FinishUse(ctx, "r1", server.UseResult{At: start}); !errors.Is(err, server.ErrUseLost) {
		t.Errorf("the replaced use finished: %v", err)
	}
	if err := uses.DropUse(ctx, "r3"); err != nil {
		t.Fatal(err)
	}
	if err := uses.DropUse(ctx, "none"); err != nil {
		t.Error(err)
	}
	begin("r4", start, true)
	if err := uses.FinishUse(ctx, "r4", server.UseResult{At: start, SealID: "x"}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.ForgetUses(ctx, start); n != 0 || err != nil {
		t.Errorf("forgot %d too early, %v", n, err)
	}
	if n, err := s.ForgetUses(ctx, start.Add(1)); n != 1 || err != nil {
		t.Errorf("forgot %d, %v", n, err)
	}
	begin("r5", start, true)
}

func TestOfConcurrentClaimsExactlyOneWins(t *testing.T) {
	s, _ := open(t)
	uses := wired{s}
	var won atomic.Int64
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			holder, err := uses.BeginUse(t.Context(), use(fmt.Sprint("r", i), "k"), start)
			if err != nil {
				t.Error(err)
			} else if holder == nil {
				won.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d claims won", won.Load())
	}
}

func TestWhatFailsChangesNothing(t *testing.T) {
	s, path := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	uses := wired{s}
	_, err := uses.BeginUse(ctx, use("r", "k"), start)
	errs := []error{err, uses.FinishUse(ctx, "r", server.UseResult{}), uses.DropUse(ctx, "r"), s.PutSeal(ctx, seal(1)), s.SetSealState(ctx, "x", store.SealActive, start)}
	for i, err := range errs {
		var coded interface{ Code() string }
		if !errors.Is(err, context.Canceled) || !errors.As(err, &coded) || coded.Code() != "SG-STOP-STATE" {
			t.Errorf("call %d: %v", i, err)
		}
	}
	if rows(t, path, "seal_uses") != 0 || rows(t, path, "seals") != 0 {
		t.Error("something was stored")
	}
}
