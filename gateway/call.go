package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/engine"
)

// SessionPath is where a system asks for a session key (POST, signed by SM2).
const SessionPath = "/.sealgate/session"

// call is one call on its way. One goroutine owns it.
type call struct {
	*Gateway
	w     http.ResponseWriter
	r     *http.Request
	id    string
	begun time.Time
	snap  *catalog.Snapshot // one catalogue from beginning to end

	path, query string
	from        netip.Addr

	caller   *identity.Caller // nil: a stranger
	match    catalog.Match
	grant    *catalog.Grant
	decision policy.Decision

	rec      audit.Record // of the outcome, filled as the call goes on
	intended bool         // the intent is durable
	recorded bool         // the outcome was written, or was tried to
	answer   *answerWriter
}

// ServeHTTP serves one call.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Gateway: g, w: w, r: r, id: httpserve.RequestID(r.Context()), begun: g.cfg.Now(), snap: g.cfg.Catalogue.Current()}
	g.metrics.begin()
	defer g.metrics.end(time.Now())
	defer c.recoverPanic()
	err := c.admit()
	switch {
	case err != nil:
		c.refuse(err)
	case c.path == SessionPath:
		if err := c.session(); err != nil {
			c.refuse(err)
		}
	default:
		c.serve()
	}
}

// admit decides whether the call may go on. It touches no upstream.
func (c *call) admit() error {
	if c.closing.Load() {
		return problem.Coded("SG-STOP-SHUTDOWN")
	}
	c.path, c.query = httpserve.Target(c.r)
	cert, err := c.peer()
	if err != nil {
		return err
	}
	ctx := c.r.Context()
	if c.caller, err = c.cfg.Identity.Verify(ctx, c.snap, identity.Request{
		Method: c.r.Method, Host: c.r.Host, Path: c.path, Query: c.query,
		Header: c.r.Header, Body: httpserve.Body(c.r), Certificate: cert,
	}, c.begun); err != nil {
		return err
	}
	c.describe()
	if c.path == SessionPath {
		return nil
	}
	if err := c.findInterface(); err != nil {
		return err
	}
	grant, refusal := c.snap.Authorise(ctx, catalog.Question{
		System: c.caller.System, Interface: c.match.Interface, Item: catalog.ItemCode(c.caller.Elements.Item),
		IP: c.from, Zone: c.cfg.Zone, At: c.begun,
	}, c.cfg.Quotas)
	if refusal != nil {
		return refusal
	}
	c.grant = grant
	return c.decide(ctx)
}

// findInterface matches the request and checks what the interface asks of any
// caller. Unknown, unshared and unpublished are one refusal.
func (c *call) findInterface() error {
	var ok bool
	if c.match, ok = c.snap.Match(lowerHost(c.r.Host), c.r.Method, c.path); !ok {
		c.rec.Object = audit.Object{Kind: "route", ID: "unknown"} // the path may hold what belongs in no record
		return problem.Coded("SG-ROUTE-NOT-FOUND")
	}
	it := c.match.Interface
	c.rec.Object = audit.Object{Kind: "interface", ID: string(it.ID)}
	e := c.caller.Elements
	if it.Elements && !e.Complete() {
		return problem.Coded("SG-HTTP-ELEMENTS")
	}
	if e.Org != "" && e.Org != c.caller.System.Department.USCC {
		return problem.Coded("SG-AUTHZ-ORG")
	}
	body := httpserve.Body(c.r)
	if int64(len(body)) > it.MaxRequestBytes {
		if it.MaxRequestBytes == 0 {
			return problem.Coded("SG-HTTP-BODY")
		}
		return problem.Coded("SG-HTTP-BODY-TOO-LARGE")
	}
	return checkBodyHeader(c.r.Header, body)
}

// denied is a refusal by policy, with its reasons.
type denied struct {
	code    string
	reasons []policy.Reason
}

func (d *denied) Error() string { return d.code }
func (d *denied) Code() string  { return d.code }

func (c *call) decide(ctx context.Context) error {
	d := c.policy.Load()
	if d == nil {
		return problem.Coded("SG-POLICY-NONE")
	}
	it, sys, e := c.match.Interface, c.caller.System, c.caller.Elements
	params, err := url.ParseQuery(c.query)
	if err != nil {
		return problem.Coded("SG-HTTP-TARGET")
	}
	local := c.begun.In(shanghai())
	c.decision = (*d).Decide(ctx, engine.Request{
		Caller:    sys.Caller(c.cfg.Zone, string(c.caller.Auth), c.caller.CertSerial),
		Interface: it.View(c.match.Method),
		Grant:     c.grant.View,
		Item:      c.snap.ItemView(catalog.ItemCode(e.Item), it.ID),
		Scenario:  c.snap.ScenarioView(catalog.ItemCode(e.Item), it.ID),
		Purpose:   e.Purpose,
		Catalogue: c.snap.Revision(),
		At:        c.begun,
		Until:     c.grant.NotAfter,
		Call: &policy.CallInput{
			Time: policy.CallTime{RFC3339: local.Format(time.RFC3339), Hour: local.Hour(), Weekday: int(local.Weekday()),
				Workday: local.Weekday() != time.Saturday && local.Weekday() != time.Sunday},
			IP: c.from.String(), Biz: e.Biz, Org: e.Org, Operator: e.Operator, Params: params, Counters: map[string]int64{},
		},
	})
	c.rec.Decision = audit.Decision{ID: c.decision.ID, Revision: c.decision.Revision, Cached: c.decision.Cached}
	if !c.decision.Allow {
		code := c.decision.Code
		if code == "" {
			code = "SG-AUTHZ-DENIED"
		}
		return &denied{code, c.decision.Reasons}
	}
	return nil
}

// strangerWrite is how long the refusal of a stranger may take to be written.
const strangerWrite = 5 * time.Second

// refuse records or counts the refusal, and then answers. When it cannot be
// recorded the answer says so instead: there is no act without a record, and
// an answer is one.
func (c *call) refuse(err error) {
	p, known := problem.FromError(err, c.id)
	if !known {
		c.cfg.Log.ErrorContext(c.r.Context(), "internal error", "request_id", c.id, "error", err)
	}
	var cause interface{ Unwrap() error }
	if errors.As(err, &cause) && p.Status == http.StatusServiceUnavailable {
		c.cfg.Log.WarnContext(c.r.Context(), "dependency", "request_id", c.id, "error", err)
	}
	var d *denied
	var r *catalog.Refusal
	switch {
	case errors.As(err, &d):
		p = p.WithReasons(reasons(d.reasons)...)
	case errors.As(err, &r):
		p = p.WithReasons(reasons([]policy.Reason{r.Reason})...)
	}
	if c.caller == nil {
		c.CountRefusal(p.Code)
		// A stranger who does not read holds a place among the handlers briefly.
		_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(strangerWrite))
		problem.Write(c.w, p)
		return
	}
	outcome := audit.Denied
	if c.intended {
		outcome = audit.Failed
	}
	if err := c.record(outcome, p.Code); err != nil {
		p, _ = problem.FromError(err, c.id)
	}
	problem.Write(c.w, p)
}

func reasons(in []policy.Reason) []problem.Reason {
	out := make([]problem.Reason, len(in))
	for i, r := range in {
		out[i] = problem.Reason(r)
	}
	return out
}

// recoverPanic denies what panicked, with a record, and lets a deliberate
// abort through.
func (c *call) recoverPanic() {
	v := recover()
	if v == nil {
		return
	}
	if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler)
	}
	c.cfg.Log.ErrorContext(c.r.Context(), "panic", "request_id", c.id, "panic", panicText(v), "stack", string(debug.Stack()))
	begun := c.answer != nil && c.answer.begun
	if begun || c.recorded {
		if !c.recorded {
			_ = c.record(audit.Aborted, problem.Internal) // logged by record; nothing can be answered any more
		}
		panic(http.ErrAbortHandler)
	}
	c.refuse(problem.Coded(problem.Internal))
}

// panicText keeps what a panic carries out of the log, unless it is the
// runtime's own: a value may hold anything.
func panicText(v any) string {
	if err, ok := v.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("%T", v)
}

// shanghai is the clock of the programme; China has had no summer time since 1991.
func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*60*60) }
