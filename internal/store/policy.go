package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/policy/bundle"
)

var _ bundle.State = (*Store)(nil)

// LastPolicy returns the activation of a policy bundle with the highest
// sequence, nil when there was none.
func (s *Store) LastPolicy(ctx context.Context) (*bundle.Activation, error) {
	a, err := lastPolicy(s.read.QueryRowContext(ctx, selectLastPolicy))
	return a, failed("read last policy", err)
}

const selectLastPolicy = "SELECT sequence, name, digest, at FROM policy_activations ORDER BY sequence DESC LIMIT 1"

func lastPolicy(row *sql.Row) (*bundle.Activation, error) {
	var a bundle.Activation
	var sequence, at int64
	var digest []byte
	err := row.Scan(&sequence, &a.Name, &digest, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	copy(a.Digest[:], digest)
	a.Sequence, a.At = uint64(sequence), unstamp(at)
	return &a, nil
}

// PutPolicy remembers an activation. ErrState unless it has the name of the last
// one and a higher sequence.
func (s *Store) PutPolicy(ctx context.Context, a bundle.Activation) error {
	return s.transact(ctx, "put policy", func(tx *sql.Tx) error {
		last, err := lastPolicy(tx.QueryRowContext(ctx, selectLastPolicy))
		if err != nil {
			return err
		}
		if last != nil && (last.Name != a.Name || last.Sequence >= a.Sequence) {
			return fmt.Errorf("%w: policy %s number %d is behind %s number %d", ErrState, a.Name, a.Sequence, last.Name, last.Sequence)
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO policy_activations (sequence, name, digest, at) VALUES (?, ?, ?, ?)",
			int64(a.Sequence), a.Name, a.Digest[:], stamp(a.At))
		return err
	})
}
