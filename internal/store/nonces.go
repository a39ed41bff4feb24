package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/identity"
)

const (
	noncesPerBatch = 512 // used in one transaction
	purgePerBatch  = 256 // ended ones removed with it
	// purgeAfter is how long an ended nonce is kept still, so that a clock that
	// jumps ahead by up to this much and comes back opens no window.
	purgeAfter = time.Hour
)

var errClosed = errors.New("closed")

// Nonces remembers used nonces; it is identity.Nonces. Calls that arrive while
// a transaction is being written share the next one, so that the disk is
// synced once for many.
type Nonces struct {
	db     *sql.DB
	insert *sql.Stmt
	purge  *sql.Stmt

	mu     sync.Mutex
	open   *nonceBatch // collects until it is written
	closed bool

	writing sync.WaitGroup
	flush   sync.Mutex // held while a batch is written
}

type nonceUse struct {
	app, nonce string
	until      int64
	replayed   bool // valid when the batch is done without error
}

type nonceBatch struct {
	uses []*nonceUse
	done chan struct{}
	err  error // valid when done is closed
}

func newNonces(ctx context.Context, db *sql.DB) (*Nonces, error) {
	n := &Nonces{db: db}
	var err error
	if n.insert, err = db.PrepareContext(ctx, "INSERT INTO nonces (app, nonce, until) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"); err != nil {
		return nil, err
	}
	n.purge, err = db.PrepareContext(ctx, `DELETE FROM nonces WHERE (app, nonce) IN
		(SELECT app, nonce FROM nonces WHERE until < ? ORDER BY until LIMIT ?)`)
	return n, err
}

// Nonces returns the store's nonces.
func (s *Store) Nonces() *Nonces { return s.nonces }

// Use implements identity.Nonces. When ctx ends while the outcome is open the
// nonce counts as used.
func (n *Nonces) Use(ctx context.Context, app, nonce string, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return failed("use nonce", err)
	}
	u := &nonceUse{app: app, nonce: nonce, until: stamp(until)}
	b, err := n.join(ctx, u)
	if err != nil {
		return failed("use nonce", err)
	}
	select {
	case <-b.done:
	case <-ctx.Done():
		return failed("use nonce", ctx.Err())
	}
	switch {
	case b.err != nil:
		return failed("use nonce", b.err)
	case u.replayed:
		return identity.ErrReplayed
	}
	return nil
}

// join puts u into the batch that collects, or begins one. A batch is written
// in a goroutine of its own: whoever began it may go, the others may not.
func (n *Nonces) join(ctx context.Context, u *nonceUse) (*nonceBatch, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errClosed
	}
	if n.open == nil || len(n.open.uses) == noncesPerBatch {
		b := &nonceBatch{done: make(chan struct{})}
		n.open = b
		n.writing.Go(func() { n.write(context.WithoutCancel(ctx), b) })
	}
	n.open.uses = append(n.open.uses, u)
	return n.open, nil
}

// close waits for what is being written and refuses everything after.
func (n *Nonces) close() {
	n.mu.Lock()
	n.closed = true
	n.mu.Unlock()
	n.writing.Wait()
}

func (n *Nonces) write(ctx context.Context, b *nonceBatch) {
	n.flush.Lock()
	defer n.flush.Unlock()
	n.mu.Lock()
	if n.open == b {
		n.open = nil
	}
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, 2*busyTimeout)
	defer cancel()
	b.err = n.transact(ctx, b.uses)
	close(b.done)
}

func (n *Nonces) transact(ctx context.Context, uses []*nonceUse) error {
	tx, err := n.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	err = n.insertAll(ctx, tx, uses)
	if err == nil {
		_, err = tx.StmtContext(ctx, n.purge).ExecContext(ctx, purgeBefore(uses), purgePerBatch)
	}
	if err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	return tx.Commit()
}

// purgeBefore tells the time by the nonces themselves, which end NonceLife
// after their use: the store has no clock that could differ from the verifier's.
func purgeBefore(uses []*nonceUse) int64 {
	latest := uses[0].until
	for _, u := range uses {
		latest = max(latest, u.until)
	}
	return latest - int64(identity.NonceLife+purgeAfter)
}

func (n *Nonces) insertAll(ctx context.Context, tx *sql.Tx, uses []*nonceUse) error {
	insert := tx.StmtContext(ctx, n.insert)
	for _, u := range uses {
		r, err := insert.ExecContext(ctx, u.app, u.nonce, u.until)
		if err != nil {
			return err
		}
		added, err := r.RowsAffected()
		if err != nil {
			return err
		}
		u.replayed = added == 0
	}
	return nil
}

// Purge removes the nonces that ended before now and returns how many. Use
// removes old ones too, a few each time.
func (n *Nonces) Purge(ctx context.Context, now time.Time) (int64, error) {
	r, err := n.db.ExecContext(ctx, "DELETE FROM nonces WHERE until < ?", stamp(now))
	if err != nil {
		return 0, failed("purge nonces", err)
	}
	count, err := r.RowsAffected()
	return count, failed("purge nonces", err)
}

var _ identity.Nonces = (*Nonces)(nil)
