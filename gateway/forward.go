package gateway

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/gateway/mask"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/policy"
)

// answerGrace is how long an answer may take to be written and recorded after
// the time of its interface is up.
const answerGrace = 10 * time.Second

// serve takes an admitted call to its end.
func (c *call) serve() {
	plan, err := c.plan()
	if err != nil {
		c.refuse(err)
		return
	}
	if err := c.intend(c.r.Context()); err != nil {
		c.refuse(err)
		return
	}
	c.ownHeader(c.w.Header())
	c.logParams()
	ctx, cancel := context.WithTimeout(c.r.Context(), c.match.Interface.Upstream.Timeout)
	defer cancel()
	// The interface's time and not the server's decides; who reads slower is cut
	// with the upstream. A writer without deadlines keeps those it has.
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Now().Add(c.match.Interface.Upstream.Timeout + answerGrace))
	asked := time.Now()
	resp, err := c.ask(ctx)
	if err != nil {
		c.rec.Upstream.Ms = ms(asked, time.Now())
		c.fail(ctx, err)
		return
	}
	defer resp.Body.Close()
	c.rec.Upstream.Status = audit.N(int64(resp.StatusCode))
	err = c.pass(plan, resp)
	c.rec.Upstream.Ms = ms(asked, time.Now())
	if err != nil {
		c.fail(ctx, err)
		return
	}
	if c.record(audit.OK, "") != nil {
		panic(http.ErrAbortHandler) // the answer has no record: it must not end as a whole one
	}
	c.answer.end()
}

// ask sends the request to the upstream, exactly once.
func (c *call) ask(ctx context.Context) (*http.Response, error) {
	u, err := c.upstreamURL()
	if err != nil {
		return nil, &upstreamError{code: "SG-UPSTREAM-PROTOCOL", why: "path cannot be sent as it was signed"}
	}
	body := httpserve.Body(c.r)
	return roundTrip(ctx, c.cfg.Transport, c.match.Method, u, c.requestHeader(body), body)
}

// upstreamURL is the catalogue's URL with the bound segments and the query in
// the order that was signed. What is sent must be what was built, byte for byte.
func (c *call) upstreamURL() (*url.URL, error) {
	base, path := c.match.Interface.Upstream.URL, c.match.UpstreamPath()
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return nil, fmt.Errorf("upstream path: %w", err)
	}
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: decoded, RawPath: path, RawQuery: identity.SortQuery(c.query)}
	if u.EscapedPath() != path {
		return nil, errors.New("upstream path has no single spelling")
	}
	return u, nil
}

// upstreamError is a fault of the upstream with a code of the table.
type upstreamError struct {
	code   string
	status int    // of its answer, 0: none
	why    string // for the log; nothing that the upstream sent
}

func (e *upstreamError) Error() string {
	return fmt.Sprintf("%s: upstream status %d %s", e.code, e.status, e.why)
}

func (e *upstreamError) Code() string { return e.code }

// Public names the status and nothing else of the upstream's answer.
func (e *upstreamError) Public() (zh, en string) {
	if e.status == 0 {
		return "", ""
	}
	return fmt.Sprintf("数源接口返回状态 %d，其内容不予转发", e.status), fmt.Sprintf("the provider's interface answered with status %d; its content is not passed on", e.status)
}

// pass masks the answer on its way to the caller. When it returns an error and
// c.answer.begun is false, nothing of the answer was sent.
func (c *call) pass(plan *mask.Plan, resp *http.Response) error {
	c.answer = &answerWriter{call: c, status: resp.StatusCode, sum: gm.NewSM3(), size: -1}
	switch s := resp.StatusCode; {
	case s == http.StatusNoContent:
		c.answer.empty(s)
		return nil
	case s == http.StatusOK, s == http.StatusCreated, s == http.StatusAccepted:
	case s >= 300 && s < 400:
		return &upstreamError{code: "SG-UPSTREAM-REDIRECT", status: s}
	case s >= 400:
		return &upstreamError{code: "SG-UPSTREAM-STATUS", status: s}
	default:
		return &upstreamError{code: "SG-UPSTREAM-PROTOCOL", status: s}
	}
	if err := mask.CheckContentType(resp.Header); err != nil {
		return err
	}
	if c.match.Method == http.MethodHead {
		c.answer.empty(resp.StatusCode)
		return nil
	}
	subjects := c.cfg.Subjects.Collect()
	seen := plan.WithObserver(func(kind string, value []byte) {
		subjects.Add(kind, string(value))
	})
	stats, err := seen.Apply(c.answer, resp.Body)
	subjects.Into(&c.rec)
	c.answer.close(stats)
	return err
}

// fail ends a call whose upstream or answer failed: withheld with a problem
// document when nothing was sent, else cut.
func (c *call) fail(ctx context.Context, err error) {
	gone := c.r.Context().Err() != nil
	var m *mask.Error
	var own *upstreamError
	if !errors.As(err, &own) && errors.As(err, &m) && m.ClientGone() {
		gone = true
	}
	err = c.classify(ctx, err)
	code := problem.Internal
	if p, known := problem.FromError(err, c.id); known {
		code = p.Code
	}
	begun := c.answer != nil && c.answer.begun
	if !begun {
		// Nothing left the gateway: the record must not read as if it had.
		c.rec.Fields, c.rec.Rows, c.rec.Bytes, c.rec.BodySM3 = audit.Fields{}, audit.Number{}, audit.Number{}, nil
		c.rec.Subject, c.rec.SubjectMore = nil, audit.Number{}
	}
	switch {
	case gone:
		_ = c.record(audit.Aborted, "") // logged by record; the client is gone, nothing can be answered
		panic(http.ErrAbortHandler)
	case begun:
		c.cfg.Log.WarnContext(ctx, "answer cut", "request_id", c.id, "error", err)
		_ = c.record(audit.Aborted, code) // logged by record; the answer is cut in any case
		panic(http.ErrAbortHandler)
	}
	c.cfg.Log.WarnContext(ctx, "answer withheld", "request_id", c.id, "interface", string(c.match.Interface.ID), "error", err)
	c.refuse(err)
}

// classify gives a transport's error its code. An error that has one keeps it,
// except that a body which ended because its time was up is a time-out. The
// text of a transport's error is dropped, because net/http quotes the bytes it
// could not read; of a failed dial it names addresses only and stays.
func (c *call) classify(ctx context.Context, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return &upstreamError{code: "SG-UPSTREAM-TIMEOUT"}
	}
	var own *upstreamError
	var masking *mask.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &masking):
		return err
	}
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &op) && op.Op == "dial":
		return &upstreamError{code: "SG-UPSTREAM-UNREACHABLE", why: op.Error()}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &upstreamError{code: "SG-UPSTREAM-TIMEOUT"}
	}
	return &upstreamError{code: "SG-UPSTREAM-PROTOCOL", why: fmt.Sprintf("%T", err)}
}

// logParams fulfils the obligation log-params: the parameters' names, and of
// their values only keyed hashes, under the request id.
func (c *call) logParams() {
	if !c.obliged(policy.LogParams) {
		return
	}
	var out []string
	for pair := range strings.SplitSeq(identity.SortQuery(c.query), "&") {
		if name, value, _ := strings.Cut(pair, "="); name != "" {
			out = append(out, name+"="+c.cfg.Subjects.Token("param", value))
		}
	}
	c.cfg.Log.InfoContext(c.r.Context(), "call parameters", "request_id", c.id, "params", out)
}

// answerWriter sends a masked answer: header first, then bytes that it counts
// and hashes as they leave. An answer of unknown length ends as a whole one
// only when the handler returns; of one whose length is announced the last byte
// is kept back until its outcome is on record.
type answerWriter struct {
	*call
	status int
	size   int64 // -1: not known
	begun  bool
	sum    hash.Hash
	sent   int64
	last   []byte // kept back, at most one byte
}

// SetSize tells that the whole answer is known to be good and has n bytes.
func (a *answerWriter) SetSize(n int64) { a.size = n }

// Write sends p to the caller, unless the grant ended while the answer ran.
func (a *answerWriter) Write(p []byte) (int, error) {
	switch {
	case !a.begun:
		a.begun = true
		a.answerHeader(a.w.Header(), a.size)
		a.w.WriteHeader(a.status)
	case !a.granted():
		return 0, &upstreamError{code: "SG-AUTHZ-GRANT-STATUS", why: "(its grant ended meanwhile)"}
	}
	now := p
	if a.size > 0 && a.sent+int64(len(p)) == a.size {
		now, a.last = p[:len(p)-1], []byte{p[len(p)-1]}
	}
	n, err := a.w.Write(now)
	if err == nil {
		n = len(p)
	}
	a.sum.Write(p[:n])
	a.sent += int64(n)
	return n, err
}

// end sends what was kept back.
func (a *answerWriter) end() {
	if len(a.last) > 0 {
		_, _ = a.w.Write(a.last) // the client may be gone; the outcome is recorded
	}
}

// granted asks the catalogue of now, when it is another one, whether system and
// grant are still active. All else about a call is judged when it begins.
func (c *call) granted() bool {
	now := c.cfg.Catalogue.Current()
	if now == c.snap {
		return true
	}
	g := now.GrantByID(c.grant.ID)
	return now.System(c.caller.System.ID).Usable() && g != nil && g.Status == catalog.Active
}

// empty sends an answer without a body.
func (a *answerWriter) empty(status int) {
	a.begun = true
	a.answerHeader(a.w.Header(), -1)
	if status == http.StatusNoContent {
		a.w.Header().Del("Content-Type")
	}
	a.w.WriteHeader(status)
	a.close(mask.Stats{})
}

// close notes in the record what was sent.
func (a *answerWriter) close(s mask.Stats) {
	a.rec.Fields = audit.Fields{Shown: s.Shown, Masked: s.Masked, Dropped: audit.N(int64(s.Dropped))}
	a.rec.Rows = audit.N(int64(s.Rows))
	a.rec.Bytes = audit.N(a.sent)
	a.rec.BodySM3 = a.sum.Sum(nil)
}
