package vault

import (
	"math/rand/v2"
	"sync"
	"time"
)

const (
	breakerFailures = 8                      // in a row, until it opens; a time-out counts as two
	breakerStreak   = 200 * time.Millisecond // since the first of them: a burst of losses is one
	breakerFirst    = time.Second            // how long it stays open at first
	breakerLongest  = 10 * time.Second       // and at most, so that recovery is noticed within it
)

// breaker spares a Vault that does not answer, and those who wait for it. After
// some failures in a row it is open: requests are refused at once. After a
// while one request is let through to try; its outcome closes the breaker or
// opens it for twice as long.
type breaker struct {
	mu       sync.Mutex
	failures int
	since    time.Time // the first of them
	span     time.Duration
	until    time.Time // open until then; zero: closed
	trying   bool      // the one request is under way
}

// allow reports whether a request may be sent, and otherwise when to ask again.
func (b *breaker) allow(now time.Time) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.until.IsZero():
		return 0, true
	case now.Before(b.until):
		return b.until.Sub(now), false
	case b.trying:
		return breakerFirst, false
	}
	b.trying = true
	return 0, true
}

// succeed notes that Vault answered, whatever the answer.
func (b *breaker) succeed() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures, b.span, b.until, b.trying = 0, 0, time.Time{}, false
}

// fail notes that Vault did not answer, or not as it should, and how much that
// counts. It reports whether that opened the breaker.
func (b *breaker) fail(now time.Time, count int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures == 0 {
		b.since = now
	}
	b.failures += count
	if b.trying || b.failures >= breakerFailures && now.Sub(b.since) >= breakerStreak && b.until.IsZero() {
		b.open(now)
		return true
	}
	return false
}

// trip opens the breaker at once.
func (b *breaker) trip(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open(now)
}

func (b *breaker) open(now time.Time) {
	b.span = min(max(2*b.span, breakerFirst), breakerLongest)
	b.until, b.trying = now.Add(jitter(b.span)), false
}

// abandon notes that a request was given up by its caller: that says nothing of
// Vault, but the try, if it was one, is over.
func (b *breaker) abandon() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

// jitter returns d less up to a quarter, so that many clients do not come back
// in step.
func jitter(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d/4)+1))
}
