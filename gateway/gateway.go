// Package gateway is the data plane: a call comes in and is identified,
// matched, authorised, decided, recorded, forwarded, masked and recorded again.
//
// The order is the security property. A call that is refused has touched no
// upstream; a call that is forwarded stands in the ledger before the upstream
// is dialled; an answer that cannot be masked as granted is withheld; and
// every identified call leaves exactly one call.outcome record, also when the
// client has gone or the program panicked. Refusals of strangers are counted.
//
//	identify (internal/identity)  -> 400, 401
//	match (gateway/catalog)       -> 404, the same for unknown and not offered
//	five elements                 -> 400
//	grant, term, address, quota   -> 403, 429
//	decide (policy/engine)        -> 403, 503
//	record the intent (audit)     -> 503, nothing was forwarded
//	forward                       -> 502, 504
//	mask (gateway/mask)           -> 502, nothing of the answer was sent; or cut
//	record the outcome (audit)
//
// What it refuses to do: it follows no redirect, passes no header of the
// upstream on, passes no upstream error body on, never repeats a request to an
// upstream, never ends a partial answer as if it were whole, and has no way
// around the ledger. It holds no key that can sign.
//
// A Gateway is an http.Handler for internal/httpserve, which has checked the
// request's bytes and read its body:
//
//	g, err := gateway.New(gateway.Config{Catalogue: holder, Ledger: ledger, …})
//	g.SetPolicy(engine)
//	httpserve.New(httpserve.Config{TLS: tls, OnRefuse: g.CountRefusal}, g).Serve(l)
//
// Source: docs/architecture.md, flow 1.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/engine"
)

// Decider decides calls; *engine.Engine is the one that serves. It never
// errs: whatever goes wrong is a decision that denies.
type Decider interface {
	Decide(ctx context.Context, req engine.Request) policy.Decision
	Revision() string
}

// Ledger records calls. Append returns nil only when the record is durable;
// Err is why it would refuse now for a reason that lasts, Unsigned why it soon
// may. *audit.Ledger satisfies it.
type Ledger interface {
	Append(ctx context.Context, r audit.Record) (audit.Receipt, error)
	Err() error
	Unsigned() error
}

// Refusals counts refusals of callers that were not identified.
// *audit.Refusals satisfies it. It must not block.
type Refusals interface{ Add(code string) }

var (
	_ Decider  = (*engine.Engine)(nil)
	_ Ledger   = (*audit.Ledger)(nil)
	_ Refusals = (*audit.Refusals)(nil)
)

// Config is what a Gateway is made of. All fields without a remark are needed.
type Config struct {
	Catalogue *catalog.Holder
	Ledger    Ledger
	Refusals  Refusals
	Identity  *identity.Verifier
	// Sessions issues session keys at SessionPath; nil: there are none.
	Sessions *identity.Sessions
	// Quotas counts calls under grants; nil refuses grants that have a quota.
	Quotas catalog.Quotas
	// Zone is the network whose callers reach this listener.
	Zone string
	// TrustedProxies may say whom they speak for, see proxy.go.
	TrustedProxies []netip.Prefix
	// PseudonymKey keys the action pseudonym, at least 16 bytes; each grant's
	// own key is derived from it.
	PseudonymKey []byte
	// Subjects indexes the identifiers seen in answers.
	Subjects *audit.SubjectIndex
	// Transport dials the upstreams; nil: one with this package's limits.
	Transport http.RoundTripper
	// OutcomeWait bounds the wait for the outcome record; 5 s.
	OutcomeWait time.Duration
	// Depends says whether what no other field can be asked about answers, such
	// as the store of nonces; Ready asks it. nil: there is nothing.
	Depends func(ctx context.Context) error
	// Metrics adds what others of this process count to /metrics, in the same
	// form; nil: nothing.
	Metrics func(w io.Writer)
	// Log receives what callers do not; nil discards it.
	Log *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Gateway serves calls. It is safe for concurrent use.
type Gateway struct {
	cfg     Config
	policy  atomic.Pointer[Decider]
	plans   planCache
	metrics metrics
	closing atomic.Bool

	degraded atomic.Pointer[string]
}

// New returns a gateway without a policy: until SetPolicy it refuses all calls.
func New(cfg Config) (*Gateway, error) {
	switch {
	case cfg.Catalogue == nil, cfg.Ledger == nil, cfg.Refusals == nil, cfg.Identity == nil, cfg.Subjects == nil:
		return nil, errors.New("gateway: catalogue, ledger, refusals, identity and subjects are needed")
	case cfg.Zone != catalog.ZoneExtranet && cfg.Zone != catalog.ZoneInternet:
		return nil, errors.New("gateway: the zone is extranet or internet")
	case len(cfg.PseudonymKey) < 16:
		return nil, errors.New("gateway: the pseudonym key has at least 16 bytes")
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport()
	}
	if cfg.OutcomeWait <= 0 {
		cfg.OutcomeWait = 5 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Gateway{cfg: cfg}, nil
}

// SetPolicy makes d decide the calls that begin from now on. nil refuses all.
func (g *Gateway) SetPolicy(d Decider) {
	if d == nil {
		g.policy.Store(nil)
		return
	}
	g.policy.Store(&d)
}

// SetDegraded says why calls are served though not as they should be, such as
// under the policy before the one that was to be loaded; "" ends it. Readiness
// tells it to operators and stays ready: an error in one file must not take
// every gateway out of its load balancer.
func (g *Gateway) SetDegraded(why string) { g.degraded.Store(&why) }

// Degraded is what SetDegraded said last, or that the ledger's heads are not
// signed now: the key service is away, and calls stop when that lasts.
func (g *Gateway) Degraded() string {
	if why := g.degraded.Load(); why != nil && *why != "" {
		return *why
	}
	if g.cfg.Ledger.Unsigned() != nil {
		return fmt.Sprintf("the heads of the audit ledger cannot be signed; calls stop when that lasts %v", audit.MaxUnsigned)
	}
	return ""
}

// CountRefusal counts a refusal that happened before this handler was reached;
// it is the OnRefuse of internal/httpserve.
func (g *Gateway) CountRefusal(code string) {
	g.cfg.Refusals.Add(code)
	g.metrics.count(code)
}

// Drain makes the gateway refuse new calls while those in progress end.
func (g *Gateway) Drain() { g.closing.Store(true) }

// Ready is nil when calls can be served, or says why not.
func (g *Gateway) Ready() error {
	if g.closing.Load() {
		return errors.New("shutting down")
	}
	if g.policy.Load() == nil {
		return errors.New("no policy")
	}
	if err := g.cfg.Ledger.Err(); err != nil {
		return errors.New("the audit ledger does not take records")
	}
	if g.cfg.Depends == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), dependWait)
	defer cancel()
	return g.cfg.Depends(ctx)
}

// dependWait bounds one question for readiness.
const dependWait = 2 * time.Second
