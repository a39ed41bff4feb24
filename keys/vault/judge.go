package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// once sends a request to the current node and judges the outcome, minding the
// breaker and which node to ask next.
//
//	answer                          verdict
//	200, 204                        answered
//	400, 500 with "SG-KEY-…: …"     answered: the engine refused or could not
//	400, 404, 405, other 4xx        answered: ErrRequest or ErrUnavailable
//	403 with "invalid token"        badToken
//	403                             answered: ErrForbidden (a policy refuses; no login changes that)
//	307 to a configured host        undone, ask that host
//	307 elsewhere                   answered: ErrUnavailable
//	412, 472, 473                   undone, ask another node (replication lags, standby)
//	429                             limited
//	503 "Vault is sealed"           undone, ErrSealed, ask another node
//	other 5xx                       unknown: the plugin or a proxy died on the way
//	no connection, nothing written  undone
//	time-out or lost connection     unknown
func (c *Client) once(ctx context.Context, method, path, token string, body []byte) (reply, verdict) {
	node := c.nodes.current()
	r, sent, err := c.exchange(ctx, node, method, path, token, body)
	if err != nil {
		return r, c.lost(ctx, node, sent, err)
	}
	if len(r.errors) == 1 && (r.status == http.StatusBadRequest || r.status == http.StatusInternalServerError) {
		if err := wire.ParseError(r.errors[0]); err != nil {
			c.breaker.succeed()
			return r, verdict{answered, err}
		}
	}
	if r.status < http.StatusInternalServerError {
		c.breaker.succeed()
	}
	fail := func(k kind, sentinel error) (reply, verdict) {
		return r, verdict{k, fmt.Errorf("%w: %s answered %d %.200s", sentinel, node, r.status, r.text())}
	}
	switch r.status {
	case http.StatusOK, http.StatusNoContent:
		return r, verdict{answered, nil}
	case http.StatusForbidden:
		if r.says("invalid token") {
			return fail(badToken, keys.ErrForbidden)
		}
		return fail(answered, keys.ErrForbidden)
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		if c.nodes.follow(r.location) {
			return fail(undone, keys.ErrUnavailable)
		}
		return r, verdict{answered, fmt.Errorf("%w: %s redirects to a host that is not configured: %.80q", keys.ErrUnavailable, node, r.location)}
	case http.StatusPreconditionFailed, 472, 473:
		c.nodes.next(node)
		return fail(undone, keys.ErrUnavailable)
	case http.StatusTooManyRequests:
		_, v := fail(limited, keys.ErrLimited)
		r.retryAfter = max(r.retryAfter, 100*time.Millisecond)
		return r, verdict{limited, retryable(v.err, r.retryAfter)}
	case http.StatusServiceUnavailable:
		if r.says("Vault is sealed") || r.says("not initialized") {
			c.breaker.succeed() // it answers, quickly; nobody needs sparing
			c.nodes.next(node)
			_, v := fail(undone, keys.ErrSealed)
			return r, verdict{undone, retryable(v.err, sealedAgain)}
		}
	case http.StatusBadRequest:
		return fail(answered, keys.ErrRequest)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		if method == methodList && len(r.errors) == 0 {
			return r, verdict{answered, nil} // so Vault says "an empty list"
		}
		return fail(answered, keys.ErrUnavailable) // no engine is mounted there
	case http.StatusRequestEntityTooLarge:
		return fail(answered, keys.ErrRequest)
	}
	if r.status < http.StatusInternalServerError {
		return fail(answered, keys.ErrUnavailable)
	}
	c.failed(ctx)
	c.nodes.next(node)
	return fail(unknown, keys.ErrOutcome)
}

// methodList is Vault's own HTTP method.
const methodList = "LIST"

// sealedAgain is when somebody who was told that Vault is sealed may ask again.
const sealedAgain = 10 * time.Second

// lost judges a request that got no answer.
func (c *Client) lost(ctx context.Context, node string, sent bool, err error) verdict {
	if errors.Is(ctx.Err(), context.Canceled) {
		c.breaker.abandon() // the caller's doing
	} else {
		c.failed(ctx)
		c.nodes.next(node)
	}
	if sent {
		return verdict{unknown, fmt.Errorf("%w: %s: %w", keys.ErrOutcome, node, err)}
	}
	return verdict{undone, retryable(fmt.Errorf("%w: %s: %w", keys.ErrUnavailable, node, err), time.Second)}
}

func (c *Client) failed(ctx context.Context) {
	count := 1
	if ctx.Err() != nil {
		count = 2
	}
	if c.breaker.fail(time.Now(), count) {
		c.config.Logger.ErrorContext(ctx, "vault: does not answer, requests are refused for a while", "nodes", strings.Join(c.config.Addresses, " "))
	}
}

// limit holds requests back after Vault has said 429.
type limit struct {
	mu   sync.Mutex
	from time.Time
}

func (l *limit) until(t time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.After(l.from) {
		l.from = t
	}
}

// wait waits until requests may be sent again, or answers at once when ctx ends
// before that.
func (l *limit) wait(ctx context.Context) error {
	l.mu.Lock()
	from := l.from
	l.mu.Unlock()
	d := time.Until(from)
	if d <= 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(from) {
		return retryable(fmt.Errorf("%w: for another %v", keys.ErrLimited, d.Round(time.Millisecond)), d)
	}
	t := time.NewTimer(d + d/8 - jitter(d/8)) // not all at the same moment
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", keys.ErrLimited, ctx.Err())
	}
}
