// Package vault uses keys that HashiCorp Vault holds: keys.Key, and the life of
// keys, by calling the secrets engine of keys/plugin.
//
// Which function do you want?
//
//   - Open, once for each process; Close at its end.
//   - (*Client).Key, for signatures. Concurrent calls of Sign share requests.
//   - Create, Rotate, CSR, InstallCertificate …: the life of keys, for those
//     whose Vault policy allows it.
//   - (*Client).Ready, for the readiness probe; Alarms, for metrics.
//   - Migrate, to make new keys in Vault for those of another store.
//
// What it promises, and refuses:
//
//   - Every signature is verified against the key's public half before it is
//     returned (ErrFault otherwise). The engine inside Vault leaves that to
//     us: see keys/plugin, option fault_check.
//   - Every call ends by its deadline (Config.SignTimeout), retries included.
//   - A signing request is repeated only when it cannot have been carried out,
//     or under its idempotency id. Otherwise the error is keys.ErrOutcome.
//     Changes of keys are never repeated when their outcome is unknown.
//   - While Vault is sealed, unreachable or unwilling, calls fail at once with a
//     code; nothing is queued, no other key is used instead, and this package
//     has no way to unseal.
//   - It logs in again only when Vault says that the token is invalid, one login
//     at a time, with growing pauses after failures.
//   - Redirects are followed to configured hosts only.
//
// It speaks through HashiCorp's client library, one request at a time: the
// library's retries (every method, POST included), redirects and environment
// variables (VAULT_TOKEN, VAULT_SKIP_VERIFY) are switched off, because they
// would break the promises above.
//
//	c, err := vault.Open(ctx, vault.Config{Addresses: []string{"https://vault.example:8200"},
//		CAFile: "vault-ca.pem", Login: &vault.AppRole{RoleID: id, WrappedSecretIDFile: path}})
//	pinned, err := keys.PinLive(ctx, c.Key("seal-rs"))
//	sig, err := pinned.WithID(useID).SignTBS(ctx, tbs)
package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/sealgate/sealgate/keys"
)

const (
	maxBatch      = keys.MaxBatch
	maxAttempts   = 10
	limitAttempts = 2                      // of them after "too many requests"
	plainAttempts = 3                      // to log in
	firstPause    = 5 * time.Millisecond   // before a repetition, doubled each time, up to
	longestPause  = 400 * time.Millisecond // this: 1.8 s in all, time to start a plugin
)

// Client is a connection to one mount of the engine. It is safe for concurrent
// use.
type Client struct {
	config  Config
	http    *http.Client
	apis    map[string]*api.Client // by address; none has a token of its own
	nodes   nodes
	tokens  *tokens
	breaker breaker
	limit   limit
	alarms  alarms

	life context.Context // ends with Close
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	keys map[keys.Name]*Key
}

// Open returns a client. It does not talk to Vault: that may come up later, and
// Ready tells when it has.
func Open(c Config) (*Client, error) {
	c, err := c.checked()
	if err != nil {
		return nil, err
	}
	h, err := c.client()
	if err != nil {
		return nil, err
	}
	apis, err := c.connect(h)
	if err != nil {
		return nil, err
	}
	client := &Client{config: c, http: h, apis: apis, nodes: nodes{list: c.Addresses}, alarms: newAlarms(c.Logger), keys: map[keys.Name]*Key{}}
	client.life, client.end = context.WithCancel(context.Background())
	client.tokens = newTokens(client)
	client.wg.Go(client.tokens.keep)
	client.wg.Go(client.watch)
	return client, nil
}

// Close ends the client, and the token's life at Vault. Calls under way end
// with an error.
func (c *Client) Close() error {
	if c.life.Err() != nil {
		return nil
	}
	c.tokens.mu.Lock()
	tok := c.tokens.current
	c.tokens.mu.Unlock()
	if _, ours := c.config.Login.(*AppRole); ours && tok.value != "" && !tok.expired(time.Now()) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		// Best effort: a token that is not revoked ends by itself.
		_, _, _ = c.exchange(ctx, c.nodes.current(), http.MethodPost, "auth/token/revoke-self", tok.value, []byte("{}"))
		cancel()
	}
	c.end()
	c.wg.Wait()
	c.http.CloseIdleConnections()
	return nil
}

// request is one operation of the engine.
type request struct {
	method, path string
	body         []byte
	repeatable   bool // may be sent again although it may have been carried out
}

// call sends a request until Vault has answered it or ctx ends. Its errors wrap
// one of keys.Errors.
func (c *Client) call(ctx context.Context, q request) (reply, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	var renewed bool
	var sealed, limits int
	var last error
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			if attempt == maxAttempts || !c.sleep(ctx, jitter(min(firstPause<<attempt, longestPause))) {
				return reply{}, last
			}
		}
		if err := c.limit.wait(ctx); err != nil {
			return reply{}, err
		}
		tok, number, err := c.tokens.get(ctx)
		if err != nil {
			return reply{}, err
		}
		if wait, ok := c.breaker.allow(time.Now()); !ok {
			return reply{}, retryable(fmt.Errorf("%w: it failed repeatedly, next try in %v", keys.ErrUnavailable, wait.Round(time.Millisecond)), wait)
		}
		r, v := c.once(ctx, q.method, q.path, tok, q.body)
		switch v.kind {
		case answered:
			c.alarms.over(ctx, AlarmSealed, AlarmSilent)
			return r, v.err
		case badToken:
			if renewed {
				c.breaker.trip(time.Now())
				return reply{}, v.err
			}
			renewed = true
			c.tokens.reject(number)
			if _, _, err := c.tokens.replace(ctx, number); err != nil {
				return reply{}, err
			}
			attempt-- // the one retry after a login is not counted
		case unknown:
			if !q.repeatable {
				return reply{}, v.err
			}
		case undone:
			if errors.Is(v.err, keys.ErrSealed) {
				if sealed++; sealed >= len(c.nodes.list) {
					c.alarms.observe(ctx, v.err)
					return reply{}, v.err // at once: only people can unseal
				}
			}
		case limited:
			c.limit.until(time.Now().Add(r.retryAfter))
			if limits++; limits > limitAttempts {
				return reply{}, v.err
			}
		}
		last = v.err
		if ctx.Err() != nil {
			return reply{}, last
		}
	}
}

// plain is one request without the client's own token, for logging in. It is
// tried again where Vault did nothing.
func (c *Client) plain(ctx context.Context, method, path, token string, body []byte) (reply, error) {
	for attempt := 1; ; attempt++ {
		r, v := c.once(ctx, method, path, token, body)
		if v.kind != undone || attempt >= max(len(c.nodes.list), plainAttempts) || !c.sleep(ctx, jitter(firstPause)) {
			return r, v.err
		}
	}
}

// kind says what one exchange amounts to.
type kind int

const (
	answered kind = iota // Vault answered: done, or refused for good
	undone               // it did nothing; another try may succeed
	unknown              // it may have done it
	badToken             // it did nothing: the token is not valid
	limited              // it did nothing: too many requests
)

type verdict struct {
	kind kind
	err  error
}

// sleep waits for d and reports whether ctx and the client still live.
func (c *Client) sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
	case <-c.life.Done():
	}
	return false
}

// waiting is an error that tells when to come back.
type waiting struct {
	error
	after time.Duration
}

func (w waiting) Unwrap() error { return w.error }

// RetryAfter returns the seconds after which another try makes sense.
func (w waiting) RetryAfter() int { return int((w.after + time.Second - 1) / time.Second) }

// Code returns the code of the error inside.
func (w waiting) Code() string {
	if e, ok := errors.AsType[*keys.Error](w.error); ok {
		return e.Code()
	}
	return keys.ErrUnavailable.Code()
}

func retryable(err error, after time.Duration) error {
	return waiting{err, max(after, time.Second)}
}
