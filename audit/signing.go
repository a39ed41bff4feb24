package audit

import (
	"context"
	"time"
)

// signTimeout bounds one call of the signer.
const signTimeout = 5 * time.Second

// storing is a signed checkpoint on its way to the disk.
type storing struct {
	signed *SignedCheckpoint
	done   chan error // capacity 1
}

func (s *storing) checkpoint() *SignedCheckpoint {
	if s == nil {
		return nil
	}
	return s.signed
}

// markDirty wakes the signer.
func (l *Ledger) markDirty() {
	select {
	case l.dirty <- struct{}{}:
	default:
	}
}

// signLoop keeps the checkpoints at their pace while there is something to
// sign. A failure is noted and tried again at the same pace, or after a second
// when the pace is faster: a signer in trouble is not helped by more calls.
func (l *Ledger) signLoop(ctx context.Context) {
	for {
		select {
		case <-l.dirty:
		case <-ctx.Done():
			return
		}
		pause := l.CheckpointEvery
		if err := l.sign(ctx, l.store); err != nil {
			pause = max(pause, time.Second)
			l.markDirty()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// sign makes a checkpoint of the durable tree, unless the newest one covers it,
// and stores it.
func (l *Ledger) sign(ctx context.Context, store func(context.Context, *SignedCheckpoint) error) error {
	ctx, cancel := context.WithTimeout(ctx, signTimeout)
	defer cancel()
	l.mu.Lock()
	h := &l.head
	if h.signed != nil && h.signed.Size == h.count {
		l.mu.Unlock()
		return nil
	}
	h.later = time.Time{}
	tree, err := h.tree()
	l.mu.Unlock()
	if err == nil {
		c := Checkpoint{Log: l.Log, Size: tree.End(), Time: l.Now().UTC()}
		copy(c.Root[:], rootOf(tree))
		var signed *SignedCheckpoint
		if signed, err = signCheckpoint(ctx, l.Signer, l.PublicKey, c); err == nil {
			err = store(ctx, signed)
		}
	}
	l.mu.Lock()
	l.head.err = err
	l.mu.Unlock()
	return err
}

// store hands the checkpoint to the committer and waits until it is durable.
func (l *Ledger) store(ctx context.Context, c *SignedCheckpoint) error {
	s := &storing{c, make(chan error, 1)}
	select {
	case l.signed <- s:
	case <-ctx.Done():
		return ctx.Err()
	}
	// The committer has it and answers; giving up here could let an older
	// checkpoint follow a newer one.
	return <-s.done
}

// lastCheckpoint signs what is left when the committer has ended.
func (l *Ledger) lastCheckpoint() error {
	return l.sign(context.Background(), func(_ context.Context, c *SignedCheckpoint) error {
		var b batch
		b.begin(c)
		return l.commit(&b, nil)
	})
}
