package plugin

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/sdk/logical"
)

// leaseLife is how long a successful write counts as proof that this node is
// the active one. It is less than the shortest time after which the others of
// a Raft cluster replace a node they do not hear of (one second, with
// performance_multiplier = 1).
const leaseLife = 500 * time.Millisecond

// leasePath is the entry that is written as proof. It holds nothing.
const leasePath = "active"

// lease keeps a node that hung and was replaced from signing from memory when
// it goes on: the key may have been disabled at the new active node, and this
// one serves requests for some milliseconds before it notices. Reading storage
// would not help, for it reads its own disk. A write succeeds only where a
// quorum agrees.
//
// Invariant: a signature leaves the engine only if, after it was made, the
// beginning of the last successful write is less than leaseLife ago. Until
// that ends nobody else is active, so Disable cannot have returned elsewhere.
// Both clocks of the host must agree that it has not ended. What remains is a
// host that is halted as a whole and whose clocks do not show it.
type lease struct {
	now     func() time.Time
	renewal sync.Mutex   // held by who writes
	since   atomic.Value // time.Time: the beginning of the last successful write
}

func (l *lease) age() time.Duration {
	since, ok := l.since.Load().(time.Time)
	if !ok {
		return leaseLife
	}
	now := l.now()
	return max(now.Sub(since), now.Round(0).Sub(since.Round(0)).Abs())
}

// confirm returns nil when this node is known to be the active one. One caller
// renews the lease when half of it is over, while others go on; when it has
// ended all wait.
func (l *lease) confirm(ctx context.Context, s logical.Storage) error {
	age := l.age()
	if age < leaseLife/2 {
		return nil
	}
	if !l.renewal.TryLock() {
		if age < leaseLife {
			return nil
		}
		l.renewal.Lock()
	}
	defer l.renewal.Unlock()
	if l.age() < leaseLife/2 {
		return nil // somebody has
	}
	from := l.now()
	if err := s.Put(ctx, &logical.StorageEntry{Key: leasePath, Value: []byte{'1'}}); err != nil {
		return err
	}
	l.since.Store(from)
	return nil
}
