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
		if out[i].Err = q.Check(); out[i].Err == nil && q.ID != "" {
			hashes[i] = hashRequest(q)
		}
	}
	claim, err := e.answers.claim(ctx, name, rs, hashes, out, e.config.Now())
	if err != nil {
		return nil, err
	}
	defer claim.release()

	now := e.config.Now()
	remembered := make([]bool, len(rs))
	each(len(rs), func(i int) {
		if remembered[i] = out[i].Signature.Value != nil; remembered[i] || out[i].Err != nil {
			return
		}
		if out[i].Err = ctx.Err(); out[i].Err == nil {
			out[i].Signature, out[i].Err = e.signOne(r, rs[i], now)
		}
	})
	if !e.config.CheckedOutside {
		verify(r, rs, out, remembered)
	}
	if err := claim.remember(ctx, out, now); err != nil {
		return nil, err
	}
	return out, nil
}

// signOne checks one request against the key and the clock, and signs it.
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
	message, err := q.Type.Message(q.Item)
	if err != nil {
		return keys.Signature{}, err
	}
	sig, hint, err := v.private.SignHinted(message)
	if err != nil {
		return keys.Signature{}, fmt.Errorf("sign with key %s: %w", r.Name, err)
	}
	_, fingerprint := v.prepared()
	return keys.Signature{Value: sig, KeyVersion: v.Number, Fingerprint: fingerprint, Hint: hint}, nil
}

// verify verifies what was signed just now, version by version: a fault in the
// computation must not leave the engine, since it can betray the private key
// (but see Config.CheckedOutside).
func verify(r *record, rs []keys.Request, out []keys.Result, remembered []bool) {
	fresh := map[int][]int{}
	for i := range out {
		if out[i].Err == nil && !remembered[i] {
			n := out[i].Signature.KeyVersion
			fresh[n] = append(fresh[n], i)
		}
	}
	for n, indices := range fresh {
		verifier, _ := r.Versions[n-1].prepared()
		keys.VerifyResults(verifier, rs, out, indices)
	}
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
