package catalog

import (
	"context"
	"sync"
	"time"
)

// Quotas counts calls under grants. Implementations are shared by all calls of
// a process, or by several gateways; Take must be atomic. An error means that
// the count is unknown, and the call is refused.
type Quotas interface {
	// Take spends one call of the grant's quota at the given time, or says which
	// limit is spent and how long to wait; then nothing was spent.
	Take(ctx context.Context, id GrantID, limits Quota, at time.Time) (Spent, time.Duration, error)
}

// Spent says which limit of a quota stops a call.
type Spent uint8

// The results of Quotas.Take. Any other value refuses the call.
const (
	NotSpent Spent = iota + 1
	PerSecondSpent
	PerDaySpent
)

// MemoryQuotas counts in this process only, and from zero after a restart. It
// holds one counter for each grant that was ever used.
type MemoryQuotas struct {
	counters sync.Map // GrantID to *counter
}

// counter holds, for the rate, the generic cell rate algorithm (ITU-T I.371):
// tat is when the bucket would be empty again. Bursts reach one second's worth.
type counter struct {
	mu    sync.Mutex
	tat   time.Time
	day   int64 // days since 1970 in Asia/Shanghai
	calls int64 // on that day
}

// Take implements Quotas. A clock that goes back never gives calls back: an
// earlier day than the last one counts as the last one.
func (m *MemoryQuotas) Take(_ context.Context, id GrantID, limits Quota, at time.Time) (Spent, time.Duration, error) {
	v, ok := m.counters.Load(id)
	if !ok {
		v, _ = m.counters.LoadOrStore(id, &counter{})
	}
	c := v.(*counter)
	c.mu.Lock()
	defer c.mu.Unlock()
	if day := dayOf(at); day > c.day {
		c.day, c.calls = day, 0
	}
	if limits.PerDay > 0 && c.calls >= limits.PerDay {
		return PerDaySpent, max(dayStart(c.day+1).Sub(at), time.Second), nil
	}
	if limits.PerSecond > 0 {
		step := max(time.Second/time.Duration(limits.PerSecond), 1)
		tat := c.tat
		if tat.Before(at) {
			tat = at
		}
		if wait := tat.Add(step).Sub(at) - time.Second; wait > 0 {
			return PerSecondSpent, wait, nil
		}
		c.tat = tat.Add(step)
	}
	c.calls++
	return NotSpent, 0, nil
}

const (
	daySeconds   = 24 * 3600
	shanghaiEast = 8 * 3600
)

func dayOf(at time.Time) int64 { return (at.Unix() + shanghaiEast) / daySeconds }

func dayStart(day int64) time.Time { return time.Unix(day*daySeconds-shanghaiEast, 0) }
