package engine

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// parallelFrom is the batch size from which a batch is spread over the CPUs.
const parallelFrom = 4

// sign answers a batch: whole-batch faults first, then remembered answers,
// then check, sign and verify each item, then remember, then answer. An answer
// that could not be remembered under its ID is not given.
func (e *Engine) sign(ctx context.Context, name keys.Name, rs []keys.Request) ([]keys.Result, error) {
	if len(rs) == 0 || len(rs) > keys.MaxBatch {
		return nil, fmt.Errorf("%w, not %d", keys.ErrBatch, len(rs))
	}
	l := e.lock(name)
	l.RLock()
	defer l.RUnlock()
	r, err := e.load(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := active(r); err != nil {
		return nil, err
	}
	out := make([]keys.Result, len(rs))
	hashes := make([]requestHash, len(rs))
	for i, q := range rs {
		if out[i].Err = checkRequest(q); out[i].Err == nil && q.ID != "" {
			hashes[i] = hashRequest(q)
		}
	}
	claim, err := e.answers.claim(ctx, name, rs, hashes, out, e.config.Now())
	if err != nil {
		return nil, err
	}
	defer claim.release()

	now := e.config.Now()
	each(len(rs), func(i int) {
		if out[i].Err != nil || out[i].Signature.Value != nil { // refused, or remembered
			return
		}
		if out[i].Err = ctx.Err(); out[i].Err == nil {
			out[i].Signature, out[i].Err = e.signOne(r, rs[i], now)
		}
	})
	if err := claim.remember(ctx, out, now); err != nil {
		return nil, err
	}
	return out, nil
}

// signOne checks one request against the key and the clock, signs it and
// verifies the signature: a fault in the computation must not leave the
// engine, since it can betray the private key.
func (e *Engine) signOne(r *record, q keys.Request, now time.Time) (keys.Signature, error) {
	if !r.Purpose.Allows(q.Type) {
		return keys.Signature{}, fmt.Errorf("%w: a key for %s does not sign %s", keys.ErrPurpose, r.Purpose, q.Type)
	}
	v, err := r.version(q.KeyVersion)
	if err != nil {
		return keys.Signature{}, err
	}
	if err := e.check(v, q, now); err != nil {
		return keys.Signature{}, err
	}
	sig, err := v.private.Sign(q.Item)
	if err != nil {
		return keys.Signature{}, fmt.Errorf("sign with key %s: %w", r.Name, err)
	}
	if err := v.Public.Verify(q.Item, sig); err != nil {
		return keys.Signature{}, fmt.Errorf("%w: key %s: %w", keys.ErrFault, r.Name, err)
	}
	return keys.Signature{Value: sig, KeyVersion: v.Number, Fingerprint: v.Fingerprint()}, nil
}

// checkRequest checks the form of a request, whatever key it is for.
func checkRequest(q keys.Request) error {
	if _, err := keys.ParseType(string(q.Type)); err != nil {
		return err
	}
	if q.KeyVersion < 1 {
		return fmt.Errorf("%w: no key version is named", keys.ErrRequest)
	}
	if len(q.Item) == 0 || len(q.Item) > keys.MaxItemSize {
		return fmt.Errorf("%w: an item has 1 to %d bytes, not %d", keys.ErrRequest, keys.MaxItemSize, len(q.Item))
	}
	if len(q.ID) > keys.MaxID {
		return fmt.Errorf("%w: an id has at most %d bytes", keys.ErrRequest, keys.MaxID)
	}
	for i := range len(q.ID) {
		if q.ID[i] < 0x21 || q.ID[i] > 0x7e {
			return fmt.Errorf("%w: an id has only bytes 0x21 to 0x7E", keys.ErrRequest)
		}
	}
	return nil
}

// each calls f(0) … f(n-1), on all CPUs when there are enough of them.
func each(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	if n < parallelFrom || workers == 1 {
		for i := range n {
			f(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	wg.Wait()
}
