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
//	500 with "SG-KEY-UNAVAILABLE"   undone: Vault's storage failed, as while its role changes
//	307 to a configured host        undone, ask that host
//	307 elsewhere                   undone, ask this one to forward
//	307 of one asked to forward     unknown: it may have lost the active node on the way
//	500, 503 "no active node"       undone; 503 of one asked to forward: unknown
//	412, 472, 473                   undone, ask another node (replication lags, standby)
//	429                             limited
//	503 "Vault is sealed"           undone, ErrSealed, ask another node
//	other 5xx                       unknown: the plugin or a proxy died on the way
//	no connection, nothing written  undone
//	time-out or lost connection     unknown
//
// A read has no outcome that could be unknown: it is undone.
func (c *Client) once(ctx context.Context, method, path, token string, body []byte) (reply, verdict) {
	r, v := c.send(ctx, method, path, token, body)
	if v.kind == unknown && (method == http.MethodGet || method == methodList) {
		v = verdict{undone, fmt.Errorf("%w: %v", keys.ErrUnavailable, v.err)}
	}
	return r, v
}

func (c *Client) send(ctx context.Context, method, path, token string, body []byte) (reply, verdict) {
	node := c.nodes.current()
	r, sent, err := c.exchange(ctx, node, method, path, token, body)
	if err != nil {
		return r, c.lost(ctx, node, sent, err)
	}
	if len(r.errors) == 1 && (r.status == http.StatusBadRequest || r.status == http.StatusInternalServerError) {
		if err := wire.ParseError(r.errors[0]); err != nil {
			c.breaker.succeed()
			if r.status == http.StatusInternalServerError && errors.Is(err, keys.ErrUnavailable) {
				return r, verdict{undone, err}
			}
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
		return r, c.redirected(ctx, node, r)
	case http.StatusPreconditionFailed, 472, 473:
		c.nodes.next(node)
		return fail(undone, keys.ErrUnavailable)
	case http.StatusTooManyRequests:
		_, v := fail(limited, keys.ErrLimited)
		r.retryAfter = max(r.retryAfter, 100*time.Millisecond)
		return r, verdict{limited, retryable(v.err, r.retryAfter)}
	case http.StatusServiceUnavailable:
		if r.direct && r.says(noActive) {
			c.nodes.next(node)
			return fail(undone, keys.ErrUnavailable)
		}
		if r.says("Vault is sealed") || r.says("not initialized") {
			c.breaker.succeed() // it answers, quickly; nobody needs sparing
			c.nodes.next(node)
			_, v := fail(undone, keys.ErrSealed)
			return r, verdict{undone, retryable(v.err, sealedAgain)}
		}
	case http.StatusInternalServerError:
		if len(r.errors) == 1 && (r.errors[0] == noActiveKnown || r.errors[0] == noMoreActive) {
			c.nodes.next(node)
			return fail(undone, keys.ErrUnavailable)
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

// redirected judges a redirect of node.
func (c *Client) redirected(ctx context.Context, node string, r reply) verdict {
	kind, sentinel := undone, keys.ErrUnavailable
	if !r.direct {
		kind, sentinel = unknown, keys.ErrOutcome
	}
	if c.nodes.follow(r.location) {
		return verdict{kind, fmt.Errorf("%w: %s redirects to %.80q", sentinel, node, r.location)}
	}
	err := fmt.Errorf("%w: %s redirects to a host that is not configured: %.80q; configure the addresses of all nodes, as their api_addr names them", sentinel, node, r.location)
	if r.direct && c.nodes.askToForward() {
		c.config.Logger.WarnContext(ctx, "vault: the active node is not among the addresses, a standby forwards to it", "standby", node, "active", r.location)
	}
	return verdict{kind, err}
}

// What a node of a cluster says that has neither done nor forwarded anything:
// a standby while nobody is active, with and without a try to forward, and a
// node that stopped being active before it looked at the request.
const (
	noActive      = "no active Vault instance found"
	noActiveKnown = "local node not active but active cluster node not found"
	noMoreActive  = "active context canceled after getting state lock"
)

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
		c.alarms.raise(ctx, AlarmSilent, fmt.Errorf("requests are refused for a while, nodes: %s", strings.Join(c.config.Addresses, " ")))
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
