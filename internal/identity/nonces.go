package identity

import (
	"context"
	"errors"
	"sync"
	"time"
)

// ErrNoncesFull says that no further nonce can be remembered; calls are
// refused until old ones end.
var ErrNoncesFull = errors.New("nonce memory is full")

// MemoryNonces remembers nonces in this process: for one gateway, and for
// restarts after more than NonceLife. Several gateways, or one that restarts,
// share a store instead.
type MemoryNonces struct {
	now   func() time.Time
	limit int

	mu    sync.Mutex
	used  map[nonceKey]struct{}
	queue []expiry // in order of insertion; the oldest at head
	head  int
}

type nonceKey struct{ app, nonce string }

type expiry struct {
	key   nonceKey
	until time.Time
}

var _ Nonces = (*MemoryNonces)(nil)

// NewMemoryNonces returns an empty memory for at most limit nonces; now is the
// clock, nil means time.Now.
func NewMemoryNonces(limit int, now func() time.Time) *MemoryNonces {
	if now == nil {
		now = time.Now
	}
	return &MemoryNonces{now: now, limit: limit, used: map[nonceKey]struct{}{}}
}

// Use implements Nonces. It forgets only what has ended; when it is full of
// live nonces it returns ErrNoncesFull.
func (m *MemoryNonces) Use(_ context.Context, app, nonce string, until time.Time) error {
	now := m.now()
	k := nonceKey{app, nonce}
	m.mu.Lock()
	defer m.mu.Unlock()
	for m.head < len(m.queue) && m.queue[m.head].until.Before(now) {
		delete(m.used, m.queue[m.head].key)
		m.queue[m.head] = expiry{}
		m.head++
	}
	if m.head > 1024 && m.head > len(m.queue)/2 {
		m.queue = append([]expiry(nil), m.queue[m.head:]...)
		m.head = 0
	}
	if _, seen := m.used[k]; seen {
		return ErrReplayed
	}
	if len(m.used) >= m.limit {
		return ErrNoncesFull
	}
	m.used[k] = struct{}{}
	m.queue = append(m.queue, expiry{k, until})
	return nil
}
