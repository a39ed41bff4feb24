package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/policy/bundle"
)

func activation(name string, sequence uint64) bundle.Activation {
	return bundle.Activation{Name: name, Sequence: sequence, Digest: [32]byte{byte(sequence)}, At: start.Add(time.Duration(sequence) * time.Hour)}
}

func TestPoliciesOnlyGoForwardAlsoAfterARestart(t *testing.T) {
	s, path := open(t)
	ctx := t.Context()
	if last, err := s.LastPolicy(ctx); last != nil || err != nil {
		t.Fatalf("%v %v", last, err)
	}
	for _, n := range []uint64{1, 2, 7} {
		if err := s.PutPolicy(ctx, activation("gateway", n)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = reopen(t, path)
	for _, a := range []bundle.Activation{activation("gateway", 7), activation("gateway", 6), activation("other", 8), activation("gateway", 0)} {
		if err := s.PutPolicy(ctx, a); !errors.Is(err, store.ErrState) {
			t.Errorf("%s %d: %v", a.Name, a.Sequence, err)
		}
	}
	last, err := s.LastPolicy(ctx)
	if err != nil || *last != activation("gateway", 7) {
		t.Errorf("%+v %v", last, err)
	}
}

func TestOfTwoPoliciesOfOneNumberOneIsKept(t *testing.T) {
	s, _ := open(t)
	var kept atomic.Int64
	var all sync.WaitGroup
	for i := range 16 {
		all.Go(func() {
			a := activation("gateway", 3)
			a.Digest[1] = byte(i)
			if s.PutPolicy(t.Context(), a) == nil {
				kept.Add(1)
			}
		})
	}
	all.Wait()
	if kept.Load() != 1 {
		t.Errorf("%d were kept", kept.Load())
	}
}
