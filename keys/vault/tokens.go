package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

const (
	loginTimeout  = 5 * time.Second
	loginPause    = time.Second      // after a failed login, doubled up to
	loginLongest  = 30 * time.Second // this
	renewPause    = 2 * time.Second  // after a failed renewal
	shortestRenew = 200 * time.Millisecond
)

// tokens keeps one valid token. Logins run one at a time, whoever asks; after a
// failed one nobody logs in for a while, so that a revoked role does not
// become a storm of logins.
type tokens struct {
	client *Client

	mu      sync.Mutex
	current token
	number  int           // of current, counting logins
	running chan struct{} // a login is under way; closed when it ends
	failure error         // of the last login
	pause   time.Duration
	notYet  time.Time     // no login before
	changed chan struct{} // closed when current changes
}

func newTokens(c *Client) *tokens { return &tokens{client: c, changed: make(chan struct{})} }

// get returns a token that has not expired, logging in when there is none.
// number names it for replace.
func (t *tokens) get(ctx context.Context) (value string, number int, err error) {
	t.mu.Lock()
	cur, n := t.current, t.number
	t.mu.Unlock()
	if cur.value != "" && !cur.expired(time.Now()) {
		return cur.value, n, nil
	}
	return t.replace(ctx, n)
}

// reject forgets token number: Vault has said that it is not valid.
func (t *tokens) reject(number int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.number == number {
		t.current = token{}
	}
}

// replace logs in again because token number was refused, unless somebody
// already has.
func (t *tokens) replace(ctx context.Context, number int) (string, int, error) {
	for {
		t.mu.Lock()
		switch {
		case t.number > number && t.current.value != "":
			defer t.mu.Unlock()
			return t.current.value, t.number, nil
		case t.running == nil:
			if wait := time.Until(t.notYet); wait > 0 {
				defer t.mu.Unlock()
				return "", 0, fmt.Errorf("no login for another %v: %w", wait.Round(time.Millisecond), t.failure)
			}
			t.running = make(chan struct{})
			go t.login()
		}
		running := t.running
		t.mu.Unlock()
		select {
		case <-running:
		case <-ctx.Done():
			return "", 0, fmt.Errorf("%w: %w", keys.ErrUnavailable, ctx.Err())
		}
		t.mu.Lock()
		failure, ok := t.failure, t.number > number
		t.mu.Unlock()
		if !ok {
			return "", 0, failure
		}
	}
}

// login logs in on behalf of all who wait.
func (t *tokens) login() {
	ctx, cancel := context.WithTimeout(t.client.life, loginTimeout)
	defer cancel()
	tok, err := t.client.config.Login.login(ctx, t.client)
	if errors.Is(err, keys.ErrOutcome) {
		// Of a login. What it was wanted for has not been sent.
		err = fmt.Errorf("%w: %v", keys.ErrUnavailable, err)
	}
	switch alarms := &t.client.alarms; {
	case err == nil:
		alarms.over(ctx, AlarmLogin)
	case errors.Is(err, keys.ErrSealed):
		alarms.observe(ctx, err)
	case errors.Is(err, keys.ErrUnavailable), errors.Is(err, keys.ErrLimited):
		t.client.config.Logger.WarnContext(ctx, "vault: login failed", "error", err)
	default:
		alarms.raise(ctx, AlarmLogin, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.running)
	t.running, t.failure = nil, err
	if err != nil {
		t.pause = min(max(2*t.pause, loginPause), loginLongest)
		if errors.Is(err, keys.ErrSealed) || errors.Is(err, keys.ErrUnavailable) {
			t.pause = loginPause // nobody to be stormed, and recovery is to be noticed
		}
		t.notYet = time.Now().Add(jitter(t.pause))
		return
	}
	t.pause = 0
	t.set(tok)
	t.number++
}

// set is called under t.mu.
func (t *tokens) set(tok token) {
	t.current = tok
	close(t.changed)
	t.changed = make(chan struct{})
}

// keep renews the token at two thirds of its life, or logs in again when it
// cannot be renewed, until the client is closed.
func (t *tokens) keep() {
	for {
		t.mu.Lock()
		cur, number, changed := t.current, t.number, t.changed
		t.mu.Unlock()
		due := time.Duration(1<<63 - 1) // a token without an end needs nothing
		if cur.value != "" && cur.ttl > 0 {
			due = max(jitter(cur.ttl*2/3)-time.Since(cur.at), shortestRenew)
		}
		timer := time.NewTimer(due)
		select {
		case <-t.client.life.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
			t.renew(cur, number)
		}
		timer.Stop()
	}
}

// renew renews one token. A periodic token comes back with its whole life; one
// that comes back with less than half nears its maximum, and is replaced.
func (t *tokens) renew(cur token, number int) {
	ctx, cancel := context.WithTimeout(t.client.life, loginTimeout)
	defer cancel()
	log := t.client.config.Logger
	if cur.renewable {
		at := time.Now()
		r, err := t.client.plain(ctx, http.MethodPost, "auth/token/renew-self", cur.value, []byte("{}"))
		if err == nil {
			var next token
			if next, err = parseAuth(r, at); err == nil && 2*next.ttl >= cur.ttl {
				t.mu.Lock()
				if t.number == number {
					t.set(next)
				}
				t.mu.Unlock()
				return
			}
		}
		if err != nil && !errors.Is(err, keys.ErrForbidden) && !cur.expired(time.Now()) {
			log.WarnContext(ctx, "vault: token renewal failed", "error", err)
			t.client.sleep(t.client.life, jitter(min(renewPause, cur.ttl/6+shortestRenew)))
			return // keep comes back at once: the token is past two thirds
		}
	}
	if _, _, err := t.replace(ctx, number); err != nil {
		t.client.sleep(t.client.life, jitter(renewPause))
	}
}
