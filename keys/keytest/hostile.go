package keytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// callMode is what stands between the contract and the backend does to calls.
type callMode int

const (
	callNotDone    callMode = iota // the first try of each signature has ended before it begins
	callButDone                    // each call is done and its answer lost; the caller asks again
	callSlow                       // each call waits
	callDuplicated                 // each signature is asked for twice at the same time, each idempotent change twice
)

// RunHostile runs the contract four more times, each with something hostile
// between it and the backend. As in the product, what may be repeated carries
// an id: every signature gets one.
func RunHostile(t *testing.T, o Options) {
	for name, mode := range map[string]callMode{"fails and not done": callNotDone, "fails but done": callButDone, "slow": callSlow, "duplicated": callDuplicated} {
		t.Run(name, func(t *testing.T) {
			h := o
			h.Open = func(t *testing.T, clock *Clock) Backend { return &behind{Backend: o.Open(t, clock), t: t, mode: mode} }
			if o.Reopen != nil {
				h.Reopen = func(t *testing.T, b Backend) Backend {
					old := b.(*behind)
					again := &behind{Backend: o.Reopen(t, old.Backend), t: t, mode: mode}
					again.asked.Store(old.asked.Load())
					return again
				}
			}
			Run(t, h)
		})
	}
}

type behind struct {
	Backend
	t     *testing.T
	mode  callMode
	asked atomic.Int64
}

// changed makes a change as the mode wants it made.
func (b *behind) changed(name keys.Name, repeatable bool, change func() (keys.Info, error)) (keys.Info, error) {
	if b.mode == callSlow {
		time.Sleep(time.Millisecond)
	}
	info, err := change()
	switch {
	case err != nil:
		return info, err
	case b.mode == callButDone:
		return b.Backend.Info(context.Background(), name) // what one does who has lost an answer
	case b.mode == callDuplicated && repeatable:
		return change()
	}
	return info, nil
}

func (b *behind) Create(ctx context.Context, name keys.Name, p keys.Purpose) (keys.Info, error) {
	return b.changed(name, false, func() (keys.Info, error) { return b.Backend.Create(ctx, name, p) })
}

func (b *behind) Rotate(ctx context.Context, name keys.Name) (keys.Info, error) {
	return b.changed(name, false, func() (keys.Info, error) { return b.Backend.Rotate(ctx, name) })
}

func (b *behind) Disable(ctx context.Context, name keys.Name) (keys.Info, error) {
	return b.changed(name, true, func() (keys.Info, error) { return b.Backend.Disable(ctx, name) })
}

func (b *behind) Destroy(ctx context.Context, name keys.Name) (keys.Info, error) {
	return b.changed(name, true, func() (keys.Info, error) { return b.Backend.Destroy(ctx, name) })
}

func (b *behind) InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error) {
	return b.changed(name, true, func() (keys.Info, error) { return b.Backend.InstallCertificate(ctx, name, version, certs) })
}

func (b *behind) Key(name keys.Name) keys.Key { return behindKey{b.Backend.Key(name), b} }

type behindKey struct {
	keys.Key
	b *behind
}

func (k behindKey) Sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	k.name(&r)
	return behindCall(ctx, k.b, func(ctx context.Context) (keys.Signature, error) { return k.Key.Sign(ctx, r) },
		func(x, y keys.Signature) bool { return agree(x.Value, y.Value) })
}

func (k behindKey) SignBatch(ctx context.Context, rs []keys.Request) ([]keys.Result, error) {
	rs = append([]keys.Request(nil), rs...)
	for i := range rs {
		k.name(&rs[i])
	}
	return behindCall(ctx, k.b, func(ctx context.Context) ([]keys.Result, error) { return k.Key.SignBatch(ctx, rs) },
		func(x, y []keys.Result) bool {
			for i := range x {
				if !agree(x[i].Signature.Value, y[i].Signature.Value) {
					return false
				}
			}
			return true
		})
}

// agree says that two answers to one id are not two signatures.
func agree(x, y []byte) bool { return len(x) == 0 || len(y) == 0 || bytes.Equal(x, y) }

func (k behindKey) name(r *keys.Request) {
	if r.ID == "" {
		r.ID = fmt.Sprintf("behind-%d", k.b.asked.Add(1))
	}
}

// behindCall asks for signatures as the mode wants it. Two answers to one id
// must be one answer, unless the key was stopped between them; an ended call may
// give what is remembered and signs nothing.
func behindCall[T any](ctx context.Context, b *behind, call func(context.Context) (T, error), same func(x, y T) bool) (T, error) {
	if b.mode == callSlow {
		time.Sleep(time.Millisecond)
		return call(ctx)
	}
	var first T
	var firstErr error
	var wg sync.WaitGroup
	switch b.mode {
	case callNotDone:
		ended, cancel := context.WithCancel(ctx)
		cancel()
		first, firstErr = call(ended)
	case callButDone:
		first, firstErr = call(ctx)
	case callDuplicated:
		wg.Go(func() { first, firstErr = call(ctx) })
	}
	out, err := call(ctx)
	wg.Wait()
	both := err == nil && firstErr == nil
	stopped := errors.Is(err, keys.ErrDisabled) || errors.Is(firstErr, keys.ErrDisabled)
	if both && !same(first, out) || b.mode != callNotDone && !stopped && (err == nil) != (firstErr == nil) {
		b.t.Errorf("one id, two answers: %v and %v", firstErr, err)
	}
	return out, err
}
