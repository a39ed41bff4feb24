package vault

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
)

// secretPause is how long a failed read is the answer to everybody who asks.
const secretPause = time.Second

// secretCache keeps secrets for a bounded time, as Secrets says. One read of
// each runs at a time, for all who ask, and goes on when they have left.
type secretCache struct {
	age  time.Duration
	read func(config.SecretRef) ([]byte, error) // bounded in time by itself
	fail func(config.SecretRef, error)          // told of the first failure after a success

	mu   sync.Mutex
	held map[config.SecretRef]*heldSecret
}

type heldSecret struct {
	value   []byte        // nil: none
	asked   time.Time     // when the question was sent that value answers
	failure error         // of the last read, nil when it succeeded
	notYet  time.Time     // no read before
	running chan struct{} // a read is under way; closed when it ends
}

func newSecretCache(age time.Duration, read func(config.SecretRef) ([]byte, error), fail func(config.SecretRef, error)) *secretCache {
	return &secretCache{age: age, read: read, fail: fail, held: map[config.SecretRef]*heldSecret{}}
}

// get returns a copy of the secret, which is not older than age.
func (c *secretCache) get(ctx context.Context, ref config.SecretRef) ([]byte, error) {
	c.mu.Lock()
	h := c.held[ref]
	if h == nil {
		h = &heldSecret{}
		c.held[ref] = h
	}
	now := time.Now()
	if due := h.value == nil || now.Sub(h.asked) >= c.age/2; due && h.running == nil && !now.Before(h.notYet) {
		h.running = make(chan struct{})
		go c.refresh(ref, h)
	}
	if value := c.fresh(h, now); value != nil {
		c.mu.Unlock()
		return value, nil
	}
	running, failure := h.running, h.failure
	c.mu.Unlock()
	if running == nil {
		return nil, failure // of less than secretPause ago
	}
	select {
	case <-running:
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: read secret %s: %w", keys.ErrUnavailable, ref, ctx.Err())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if value := c.fresh(h, time.Now()); value != nil {
		return value, nil
	}
	if h.failure == nil {
		return nil, fmt.Errorf("%w: secret %s was read longer ago than it may be used", keys.ErrUnavailable, ref)
	}
	return nil, h.failure
}

// fresh returns a copy of what is held when it may be used. c.mu is held.
func (c *secretCache) fresh(h *heldSecret, now time.Time) []byte {
	if h.value == nil || now.Sub(h.asked) >= c.age {
		return nil
	}
	return slices.Clone(h.value)
}

// refresh reads one secret on behalf of all who wait, and forgets those that
// nobody has asked for in time.
func (c *secretCache) refresh(ref config.SecretRef, h *heldSecret) {
	asked := time.Now()
	value, err := c.read(ref)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil && h.failure == nil {
		c.fail(ref, err)
	}
	close(h.running)
	h.running, h.failure = nil, err
	if err == nil {
		clear(h.value)
		h.value, h.asked, h.notYet = value, asked, time.Time{}
	} else {
		h.notYet = time.Now().Add(secretPause)
		if !passing(err) {
			clear(h.value)
			h.value = nil
		}
	}
	for r, old := range c.held {
		if old != h && old.running == nil && time.Since(old.asked) >= c.age && !time.Now().Before(old.notYet) {
			clear(old.value)
			delete(c.held, r)
		}
	}
}
