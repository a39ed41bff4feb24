package store

import (
	"context"
	"time"
)

// SealChange is one change of a seal's state.
type SealChange struct {
	ID string // esID
	To SealState
	At time.Time
}

// SealChanges returns every change of any seal's state in the order in which they
// happened. That a seal was made is none.
func (s *Store) SealChanges(ctx context.Context) ([]SealChange, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT id, state, at FROM seal_states ORDER BY seq")
	if err != nil {
		return nil, failed("list changes of seals", err)
	}
	defer rows.Close()
	var out []SealChange
	for rows.Next() {
		var c SealChange
		var at int64
		if err := rows.Scan(&c.ID, &c.To, &at); err != nil {
			return nil, failed("list changes of seals", err)
		}
		c.At = unstamp(at)
		out = append(out, c)
	}
	return out, failed("list changes of seals", rows.Err())
}
