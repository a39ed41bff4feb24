package gateway

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/engine"
)

func prefixes(s ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(s))
	for i, p := range s {
		out[i] = netip.MustParsePrefix(p)
	}
	return out
}

func TestAllowedCallIsMaskedAndRecordedTwice(t *testing.T) {
	for name, o := range map[string]worldOptions{"HTTP/1.1": {}, "HTTP/1.1 over TLS": {tls: true}, "HTTP/2": {http2: true}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, o)
			a := w.call("GET", "/pop/v1/persons?z=1&a=%E4%B8%AD&a=1", "")
			if a.status != 200 || string(a.body) != masked || a.readErr != nil {
				t.Fatalf("got %d %s %v", a.status, a.body, a.readErr)
			}
			if want := 1 + map[bool]int{true: 1}[o.http2]; a.proto != want {
				t.Errorf("HTTP/%d, want %d", a.proto, want)
			}
			id := a.header.Get("X-SG-Request-Id")
			if id == "" || a.header.Get("X-SG-Decision") == "" || a.header.Get("X-SG-Policy-Revision") == "" || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("header %v", a.header)
			}
			seen := w.up.take()
			if len(seen) != 1 || seen[0].uri != "/persons?a=%E4%B8%AD&a=1&z=1" || seen[0].id != id {
				t.Errorf("upstream saw %+v", seen)
			}
			for _, h := range []string{"X-Sg-App", "X-Sg-Sign", "X-Sg-Nonce", "X-Sg-Operator", "Authorization", "Cookie", "X-Forwarded-For"} {
				if seen[0].header.Get(h) != "" {
					t.Errorf("upstream got %s", h)
				}
			}
			if seen[0].header.Get("Accept-Encoding") != "identity" {
				t.Errorf("upstream was asked for %q", seen[0].header.Get("Accept-Encoding"))
			}
			recs := w.records(id)
			if len(recs) != 2 || recs[0].Type != audit.CallIntent || recs[0].Outcome != audit.Allowed || recs[1].Type != audit.CallOutcome || recs[1].Outcome != audit.OK {
				t.Fatalf("records %+v", recs)
			}
			out := recs[1]
			sum := gm.SM3(a.body)
			if string(out.BodySM3) != string(sum[:]) {
				t.Error("body_sm3 is not of the body as sent")
			}
			if n, _ := out.Bytes.Value(); n != int64(len(a.body)) {
				t.Errorf("bytes %d", n)
			}
			if n, _ := out.Upstream.Status.Value(); n != 200 {
				t.Errorf("upstream status %d", n)
			}
			if fmt.Sprint(out.Fields.Shown, out.Fields.Masked) != "[code data.list[*].note data.note] [data.idCard data.list[*].name data.name]" {
				t.Errorf("fields %v %v", out.Fields.Shown, out.Fields.Masked)
			}
			if n, _ := out.Fields.Dropped.Value(); n != 2 {
				t.Errorf("dropped %d", n)
			}
			if want := audit.NewSubjectIndex([]byte("fedcba9876543210fedcba9876543210")).Token("resident_id", "220102199003070013"); len(out.Subject) != 1 || out.Subject[0] != want {
				t.Errorf("subjects %v", out.Subject)
			}
			if out.Actor != (audit.Actor{Kind: "system", ID: "a", Department: "rs"}) || out.Object != (audit.Object{Kind: "interface", ID: "pop.query"}) ||
				out.Five != (audit.Five{Org: org, Operator: "op-7", Item: item, Biz: "BJ202611240001", Purpose: "失业保险金审核"}) || out.Decision.ID != a.header.Get("X-SG-Decision") {
				t.Errorf("record %+v", out.Record)
			}
			for _, e := range w.all() {
				if strings.Contains(string(e.Raw), "220102199003070013") || strings.Contains(string(e.Raw), "张") {
					t.Errorf("personal data in the ledger: %s", e.Raw)
				}
			}
		})
	}
}

func TestSecondCallUsesTheCachedDecisionAndPlan(t *testing.T) {
	w := newWorld(t, worldOptions{})
	for i := range 4 {
		a := w.call("GET", "/pop/v1/persons", "")
		if string(a.body) != masked {
			t.Fatalf("call %d: %s", i, a.body)
		}
	}
	if n := len(w.gw.plans.plans); n != 1 {
		t.Errorf("%d plans are kept", n)
	}
}

func TestEveryRefusalHasItsCodeAndTouchesNoUpstream(t *testing.T) {
	w := newWorld(t, worldOptions{})
	sign := func(method, path, body string, cred identity.Credential, e identity.Elements) func() *http.Request {
		return func() *http.Request { return w.request(method, path, body, cred, e) }
	}
	a, b := w.credential(), identity.Credential{App: "b", SM2: w.sm2}
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(e *identity.Elements)) identity.Elements { e := five; change(&e); return e }
	replayed := w.request("GET", "/pop/v1/persons", "", a, five)
	if first := w.do(replayed.Clone(context.Background())); first.status != 200 {
		t.Fatalf("got %d", first.status)
	}
	w.up.take()
	for _, c := range []struct {
		name   string
		req    func() *http.Request
		status int
		code   string
		known  bool // the caller was identified: a record, else a count
		reason bool
	}{
		{"not signed", func() *http.Request {
			r, _ := http.NewRequest("GET", w.url+"/pop/v1/persons", nil)
			return r
		}, 401, "SG-AUTHN-MISSING", false, false},
		{"not signed, unknown route", func() *http.Request {
			r, _ := http.NewRequest("GET", w.url+"/nothing", nil)
			return r
		}, 401, "SG-AUTHN-MISSING", false, false},
		{"unknown system", sign("GET", "/pop/v1/persons", "", identity.Credential{App: "zz", SM2: w.sm2}, five), 401, "SG-AUTHN-APP", false, false},
		{"wrong key", sign("GET", "/pop/v1/persons", "", identity.Credential{App: "a", SM2: other}, five), 401, "SG-AUTHN-SIGNATURE", false, false},
		{"replayed", func() *http.Request { return replayed.Clone(context.Background()) }, 401, "SG-AUTHN-REPLAY", false, false},
		{"one flipped byte", func() *http.Request {
			r := w.request("GET", "/pop/v1/persons?id=1", "", a, five)
			r.URL.RawQuery = "id=2"
			return r
		}, 401, "SG-AUTHN-SIGNATURE", false, false},
		{"malformed nonce", func() *http.Request {
			r := w.request("GET", "/pop/v1/persons", "", a, five)
			r.Header.Set("X-SG-Nonce", "short")
			return r
		}, 400, "SG-HTTP-SIGN-FORM", false, false},
		{"malformed path", func() *http.Request {
			r := w.request("GET", "/pop/v1/persons", "", a, five)
			r.URL.Path, r.URL.RawPath = "/pop//v1", "/pop//v1"
			return r
		}, 400, "SG-HTTP-TARGET", false, false},
		{"forged proxy header", func() *http.Request {
			r := w.request("GET", "/pop/v1/persons", "", a, five)
			r.Header.Set("X-SG-Client-Addr", "10.9.9.9")
			return r
		}, 400, "SG-HTTP-HEADER", false, false},
		{"unknown route", sign("GET", "/nothing", "", a, five), 404, "SG-ROUTE-NOT-FOUND", true, false},
		{"unknown method of a route", sign("DELETE", "/pop/v1/persons", "", a, five), 404, "SG-ROUTE-NOT-FOUND", true, false},
		{"share none", sign("GET", "/hidden", "", a, five), 404, "SG-ROUTE-NOT-FOUND", true, false},
		{"withdrawn", sign("GET", "/withdrawn", "", a, five), 404, "SG-ROUTE-NOT-FOUND", true, false},
		{"no purpose", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Purpose = "" })), 400, "SG-HTTP-ELEMENTS", true, false},
		{"no case number", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Biz = "" })), 400, "SG-HTTP-ELEMENTS", true, false},
		{"no operator", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Operator = "" })), 400, "SG-HTTP-ELEMENTS", true, false},
		{"another organisation", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Org = "112200000135445439" })), 403, "SG-AUTHZ-ORG", true, false},
		{"no grant", sign("POST", "/corp/v1/query", "{}", b, five), 403, "SG-AUTHZ-NO-GRANT", true, true},
		{"grant ended", sign("GET", "/pop/v1/persons", "", b, five), 403, "SG-AUTHZ-GRANT-TERM", true, true},
		{"item outside the grant", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Item = "11220000013544541J3000117002012" })), 403, "SG-AUTHZ-ITEM", true, true},
		{"purpose outside the grant", sign("GET", "/pop/v1/persons", "", a, with(func(e *identity.Elements) { e.Purpose = "好奇" })), 403, "", true, true},
		{"address outside the grant", sign("GET", "/pop/v1/persons", "", identity.Credential{App: "far", SM2: w.sm2}, five), 403, "SG-AUTHZ-ADDRESS", true, true},
		{"body too large for the interface", sign("POST", "/corp/v1/query", `{"a":"`+strings.Repeat("x", 1024)+`"}`, a, five), 413, "SG-HTTP-BODY-TOO-LARGE", true, false},
		{"compressed body", func() *http.Request {
			r := w.request("POST", "/corp/v1/query", "{}", a, five)
			r.Header.Set("Content-Encoding", "gzip")
			return r
		}, 415, "SG-HTTP-MEDIA", true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := w.refused.count(c.code)
			got := w.do(c.req())
			if got.status != c.status || c.code != "" && got.problem.Code != c.code {
				t.Errorf("got %d %s, want %d %s: %s", got.status, got.problem.Code, c.status, c.code, got.body)
			}
			if c.reason && len(got.problem.Reasons) == 0 {
				t.Errorf("no reasons: %s", got.body)
			}
			if got.header.Get("X-SG-Decision") != "" {
				t.Error("a refusal names a decision as if it were allowed")
			}
			if (got.status == 401) != (got.header.Get("WWW-Authenticate") == "SG1") {
				t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
			}
			if seen := w.up.take(); len(seen) != 0 {
				t.Errorf("the upstream saw %+v", seen)
			}
			recs := w.records(got.problem.RequestID)
			switch {
			case c.known && (len(recs) != 1 || recs[0].Type != audit.CallOutcome || recs[0].Outcome != audit.Denied || recs[0].Code != got.problem.Code || recs[0].Actor.Kind != "system"):
				t.Errorf("records %+v", recs)
			case !c.known && (len(recs) != 0 || w.refused.count(got.problem.Code) != before+1):
				t.Errorf("%d records, counted %d", len(recs), w.refused.count(got.problem.Code)-before)
			}
		})
	}
}

func TestNotFoundLooksTheSameForUnknownAndHiddenInterfaces(t *testing.T) {
	w := newWorld(t, worldOptions{})
	var first string
	for _, path := range []string{"/nothing", "/hidden", "/withdrawn"} {
		a := w.call("GET", path, "")
		text := strings.ReplaceAll(string(a.body), a.problem.RequestID, "")
		if first == "" {
			first = text
		}
		if text != first || a.status != 404 {
			t.Errorf("%s differs: %s", path, text)
		}
	}
}

func TestAuditFailureForwardsNothing(t *testing.T) {
	w := newWorld(t, worldOptions{})
	for name, failure := range map[string]error{"full": audit.ErrFull, "busy": audit.ErrBusy, "closed": audit.ErrClosed, "store": audit.ErrStore, "without code": errors.New("disk on fire")} {
		w.ledger.failWith(func(audit.Record) error { return failure })
		a := w.call("GET", "/pop/v1/persons", "")
		if a.status != 503 || !strings.HasPrefix(a.problem.Code, "SG-AUDIT-") {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
		if seen := w.up.take(); len(seen) != 0 {
			t.Errorf("%s: the upstream saw %+v", name, seen)
		}
	}
	w.ledger.failWith(nil)
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 200 {
		t.Errorf("service does not resume by itself: %d %s", a.status, a.body)
	}
}

func TestRefusalThatCannotBeRecordedSaysSo(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.ledger.failWith(func(audit.Record) error { return audit.ErrFull })
	if a := w.call("GET", "/nothing", ""); a.status != 503 || a.problem.Code != "SG-AUDIT-FULL" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestAnswerWithoutOutcomeRecordNeverEndsAsWhole(t *testing.T) {
	for _, o := range []worldOptions{{}, {http2: true}} {
		w := newWorld(t, o)
		w.ledger.failWith(func(r audit.Record) error {
			if r.Type == audit.CallOutcome {
				return audit.ErrStore
			}
			return nil
		})
		if a := w.call("GET", "/pop/v1/persons", ""); a.readErr == nil {
			t.Errorf("the answer looks whole: %d %s", a.status, a.body)
		}
	}
}

type deciderFunc func(context.Context, engine.Request) policy.Decision

func (f deciderFunc) Decide(ctx context.Context, r engine.Request) policy.Decision { return f(ctx, r) }
func (f deciderFunc) Revision() string                                             { return "test" }

func TestPolicyThatFailsDenies(t *testing.T) {
	w := newWorld(t, worldOptions{noPolicy: true})
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 503 || a.problem.Code != "SG-POLICY-NONE" {
		t.Errorf("without a policy: %d %s", a.status, a.body)
	}
	for _, c := range []struct {
		name   string
		d      policy.Decision
		status int
		code   string
	}{
		{"zero decision", policy.Decision{}, 403, "SG-AUTHZ-DENIED"},
		{"error", policy.Decision{Code: "SG-POLICY-ERROR"}, 503, "SG-POLICY-ERROR"},
		{"time-out", policy.Decision{Code: "SG-POLICY-TIMEOUT"}, 503, "SG-POLICY-TIMEOUT"},
		{"unknown code", policy.Decision{Code: "SG-NOT-KNOWN"}, 500, "SG-INTERNAL"},
		{"reasons", policy.Decision{Code: "SG-AUTHZ-DENIED", Reasons: []policy.Reason{{Code: "SG-AUTHZ-HOURS", ZH: "甲", EN: "a", FixZH: "乙", FixEN: "b"}}}, 403, "SG-AUTHZ-DENIED"},
	} {
		w.gw.SetPolicy(deciderFunc(func(context.Context, engine.Request) policy.Decision { return c.d }))
		a := w.call("GET", "/pop/v1/persons", "")
		if a.status != c.status || a.problem.Code != c.code {
			t.Errorf("%s: got %d %s", c.name, a.status, a.body)
		}
		if len(c.d.Reasons) > 0 && (len(a.problem.Reasons) != 1 || a.problem.Reasons[0]["fix_zh"] != "乙") {
			t.Errorf("%s: reasons are not copied: %s", c.name, a.body)
		}
	}
	if seen := w.up.take(); len(seen) != 0 {
		t.Errorf("the upstream saw %+v", seen)
	}
}

func TestPanicDeniesWithARecord(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.gw.SetPolicy(deciderFunc(func(context.Context, engine.Request) policy.Decision { panic("secret") }))
	a := w.call("GET", "/pop/v1/persons", "")
	if a.status != 500 || a.problem.Code != "SG-INTERNAL" || strings.Contains(string(a.body), "secret") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if recs := w.records(a.problem.RequestID); len(recs) != 1 || recs[0].Outcome != audit.Denied || recs[0].Code != "SG-INTERNAL" {
		t.Errorf("records %+v", recs)
	}
	if seen := w.up.take(); len(seen) != 0 {
		t.Errorf("the upstream saw %+v", seen)
	}
}

func TestMaskPlanThatCannotBeCompiledForwardsNothing(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.gw.SetPolicy(deciderFunc(func(context.Context, engine.Request) policy.Decision {
		return policy.Decision{Allow: true, Actions: map[string]policy.FieldAction{"data[": policy.FieldAction{}}}
	}))
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 502 || !strings.HasPrefix(a.problem.Code, "SG-MASK-") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if seen := w.up.take(); len(seen) != 0 {
		t.Errorf("the upstream saw %+v", seen)
	}
}

func TestUpstreamFaultsAreWithheldWithTheirCode(t *testing.T) {
	w := newWorld(t, worldOptions{})
	for _, c := range []struct {
		name   string
		answer func(rw http.ResponseWriter, r *http.Request)
		status int
		code   string
	}{
		{"error status", func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "SELECT 张三", 500) }, 502, "SG-UPSTREAM-STATUS"},
		{"not found", func(rw http.ResponseWriter, _ *http.Request) { http.NotFound(rw, nil) }, 502, "SG-UPSTREAM-STATUS"},
		{"redirect", func(rw http.ResponseWriter, r *http.Request) { http.Redirect(rw, r, "/elsewhere", http.StatusFound) }, 502, "SG-UPSTREAM-REDIRECT"},
		{"unknown content type", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>张三") }, 502, "SG-MASK-CONTENT-TYPE"},
		{"broken JSON", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"data":{"name":"张三"`)
		}, 502, "SG-MASK-SYNTAX"},
		{"duplicate member", func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"code":0,"code":1}`)
		}, 502, "SG-MASK-DUPLICATE"},
		{"too slow", func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(3 * time.Second):
			}
		}, 504, "SG-UPSTREAM-TIMEOUT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.up.answer = c.answer
			a := w.call("GET", "/pop/v1/persons", "")
			if a.status != c.status || a.problem.Code != c.code || strings.Contains(string(a.body), "张三") {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if seen := w.up.take(); len(seen) != 1 {
				t.Errorf("the upstream saw %d requests", len(seen))
			}
			recs := w.records(a.problem.RequestID)
			if len(recs) != 2 || recs[0].Type != audit.CallIntent || recs[1].Outcome != audit.Failed || recs[1].Code != c.code || recs[1].BodySM3 != nil || len(recs[1].Subject) != 0 {
				t.Errorf("records %+v", recs)
			}
		})
	}
	w.up.answer = nil
	a := w.call("GET", "/dead", "")
	if a.status != 502 || a.problem.Code != "SG-UPSTREAM-UNREACHABLE" {
		t.Errorf("dead upstream: %d %s", a.status, a.body)
	}
	w.call("GET", "/dead", "")
	if a := w.call("GET", "/dead", ""); a.status != 429 || a.problem.Code != "SG-LIMIT-QUOTA" || a.header.Get("Retry-After") == "" {
		t.Errorf("quota: %d %s", a.status, a.body)
	}
}

func TestRequestIsSentToTheUpstreamOnceEvenWhenItsConnectionDies(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 200 { // a kept-alive connection exists now
		t.Fatalf("got %d", a.status)
	}
	w.up.take()
	w.up.answer = func(rw http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(rw).Hijack()
		if err == nil {
			_ = c.Close()
		}
	}
	a := w.call("GET", "/pop/v1/persons", "")
	if a.status != 502 {
		t.Errorf("got %d", a.status)
	}
	if seen := w.up.take(); len(seen) != 1 {
		t.Errorf("the upstream saw %d requests for one intent", len(seen))
	}
}

func TestBoundSegmentsAndBodyArriveAsTheyWereSigned(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if a := w.call("GET", "/pop/v1/persons/%E5%BC%A0%20x/detail?b=2&a=1", ""); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := w.call("POST", "/corp/v1/query", `{"uscc":"91350100M000100Y43"}`); a.status != 200 || string(a.body) != `{"code":0}` {
		t.Errorf("got %d %s", a.status, a.body)
	}
	seen := w.up.take()
	if len(seen) != 2 || seen[0].uri != "/p/%E5%BC%A0%20x/d?a=1&b=2" || seen[1].body != `{"uscc":"91350100M000100Y43"}` || seen[1].method != "POST" || seen[1].header.Get("Content-Type") != "application/json" {
		t.Errorf("upstream saw %+v", seen)
	}
}

func TestHeadAndNoContentPassWithoutBody(t *testing.T) {
	w := newWorld(t, worldOptions{})
	a := w.call("HEAD", "/pop/v1/persons", "")
	if a.status != 200 || len(a.body) != 0 {
		t.Errorf("HEAD: %d %q", a.status, a.body)
	}
	if recs := w.records(a.header.Get("X-SG-Request-Id")); len(recs) != 2 || recs[1].Outcome != audit.OK {
		t.Errorf("records %+v", recs)
	}
	w.up.answer = func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(204) }
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 204 || len(a.body) != 0 {
		t.Errorf("204: %d %q", a.status, a.body)
	}
}

func TestHostileUpstreamLeaksNothing(t *testing.T) {
	log.SetOutput(io.Discard) // see NewTransport
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	for _, o := range []worldOptions{{}, {http2: true}} {
		w := newWorld(t, o)
		var wg sync.WaitGroup
		limit := make(chan struct{}, 8)
		var mu sync.Mutex
		for _, c := range testenv.HostileCases() {
			limit <- struct{}{}
			wg.Go(func() {
				defer func() { <-limit }()
				a := w.call("GET", "/hostile/"+c.Name, "")
				err := c.Check(a.status, a.header, a.trailer, a.body, a.readErr)
				if a.status == 0 && a.readErr != nil && c.Want == testenv.Broken {
					err = nil // broken off before the header left the gateway
				}
				if err != nil {
					mu.Lock()
					defer mu.Unlock()
					t.Errorf("%v: %s", err, a.problem.Code)
					for line := range strings.SplitSeq(w.logs.String(), "\n") {
						if a.problem.RequestID != "" && strings.Contains(line, a.problem.RequestID) {
							t.Log(line)
						}
					}
				}
			})
		}
		wg.Wait()
		intents, outcomes := map[string]int{}, map[string]int{}
		w.eventually("every intent has its outcome", func() bool {
			clear(intents)
			clear(outcomes)
			for _, e := range w.all() {
				switch e.Type {
				case audit.CallIntent:
					intents[e.RequestID]++
				case audit.CallOutcome:
					outcomes[e.RequestID]++
				}
				for _, canary := range testenv.HostileCanaries() {
					if strings.Contains(string(e.Raw), canary) {
						t.Errorf("a canary is in the ledger: %s", e.Raw)
					}
				}
			}
			return fmt.Sprint(intents) == fmt.Sprint(outcomes) && len(intents) == len(testenv.HostileCases())
		})
		for _, canary := range testenv.HostileCanaries() {
			if i := strings.Index(w.logs.String(), canary); i >= 0 {
				t.Errorf("a canary is in the log: %s", w.logs.String()[max(0, i-200):i+20])
			}
		}
	}
}

func TestPartialAnswerNeverEndsAsWholeAndIsRecorded(t *testing.T) {
	for _, o := range []worldOptions{{}, {http2: true}} {
		w := newWorld(t, o)
		w.up.answer = func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(rw, `{"code":0,"data":{"list":[`+strings.Repeat(`{"note":"0123456789012345678901234567890123456789"},`, 8000))
			panic(http.ErrAbortHandler)
		}
		a := w.call("GET", "/pop/v1/persons", "")
		if a.status != 200 || a.readErr == nil || len(a.body) == 0 {
			t.Errorf("got %d, %d bytes, %v", a.status, len(a.body), a.readErr)
		}
		var recs []audit.Entry
		w.eventually("the outcome is recorded", func() bool {
			recs = w.records(a.header.Get("X-SG-Request-Id"))
			return len(recs) == 2
		})
		if n, _ := recs[1].Bytes.Value(); recs[1].Outcome != audit.Aborted || n < int64(len(a.body)) || recs[1].Code != "SG-UPSTREAM-ABORTED" {
			t.Errorf("record %s", recs[1].Raw)
		}
	}
}

func TestOutcomeIsRecordedWhenTheClientHasGone(t *testing.T) {
	for _, o := range []worldOptions{{}, {http2: true}} {
		w := newWorld(t, o)
		reached := make(chan struct{})
		w.up.answer = func(_ http.ResponseWriter, r *http.Request) {
			close(reached)
			<-r.Context().Done()
		}
		ctx, cancel := context.WithCancel(context.Background())
		req := w.request("GET", "/pop/v1/persons", "", w.credential(), five).WithContext(ctx)
		go func() {
			<-reached
			cancel()
		}()
		if resp, err := w.client.Do(req); err == nil {
			_ = resp.Body.Close()
			t.Error("an answer came")
		}
		w.eventually("the outcome is recorded", func() bool {
			for _, e := range w.all() {
				if e.Type == audit.CallOutcome && e.Outcome == audit.Aborted {
					return true
				}
			}
			return false
		})
	}
}

func TestUpstreamSeesExactlyTheAuditedRequests(t *testing.T) {
	w := newWorld(t, worldOptions{})
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 10 {
				switch (i + j) % 4 {
				case 0:
					w.call("GET", "/nothing", "")
				case 1:
					w.do(w.request("GET", "/pop/v1/persons", "", identity.Credential{App: "b", SM2: w.sm2}, five))
				default:
					w.call("GET", fmt.Sprintf("/pop/v1/persons?i=%d&j=%d", i, j), "")
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, u := range w.up.take() {
		seen[u.id]++
	}
	intents := map[string]int{}
	outcomes := map[string]int{}
	for _, e := range w.all() {
		if e.Type == audit.CallIntent {
			intents[e.RequestID]++
		}
		if e.Type == audit.CallOutcome {
			outcomes[e.RequestID]++
		}
	}
	if len(seen) == 0 || fmt.Sprint(seen) != fmt.Sprint(intents) {
		t.Errorf("%d requests, %d intents", len(seen), len(intents))
	}
	if len(outcomes) != 80 {
		t.Errorf("%d outcomes of 80 calls", len(outcomes))
	}
}

func TestRevokedGrantStopsTheNextCall(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 200 {
		t.Fatalf("got %d", a.status)
	}
	w.holder.Replace(w.load(strings.Replace(w.text, "{id: g-pop, ", "{id: g-pop, status: revoked, ", 1)))
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 403 || a.problem.Code != "SG-AUTHZ-GRANT-STATUS" {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestHMACAndSessionKeysCall(t *testing.T) {
	w := newWorld(t, worldOptions{})
	if a := w.do(w.request("GET", "/pop/v1/persons", "", identity.Credential{App: "a", HMAC: []byte(hmacKey)}, five)); a.status != 200 {
		t.Errorf("hmac: %d %s", a.status, a.body)
	}
	a := w.do(w.request("POST", SessionPath, "", w.credential(), identity.Elements{}))
	if a.status != 200 {
		t.Fatalf("session: %d %s", a.status, a.body)
	}
	var s struct{ KeyID, Key string }
	decode(t, a.body, map[string]*string{"key_id": &s.KeyID, "key": &s.Key})
	raw, _ := base64.StdEncoding.DecodeString(s.Key)
	key, err := w.sm2.Decrypt(raw)
	if err != nil {
		t.Fatal(err)
	}
	cred := identity.Credential{App: "a#" + s.KeyID, HMAC: key}
	if a := w.do(w.request("GET", "/pop/v1/persons", "", cred, five)); a.status != 200 {
		t.Errorf("with the session key: %d %s", a.status, a.body)
	}
	if a := w.do(w.request("POST", SessionPath, "", cred, identity.Elements{})); a.status != 401 {
		t.Errorf("a session key begot another: %d", a.status)
	}
	if a := w.do(w.request("GET", SessionPath, "", w.credential(), identity.Elements{})); a.status != 404 {
		t.Errorf("GET: %d", a.status)
	}
	issued := 0
	for _, e := range w.all() {
		if e.Type == sessionType {
			issued++
		}
		if strings.Contains(string(e.Raw), s.Key) {
			t.Error("the key is in the ledger")
		}
	}
	if issued != 1 {
		t.Errorf("%d issues on record", issued)
	}
	w.ledger.failWith(func(audit.Record) error { return audit.ErrFull })
	if a := w.do(w.request("POST", SessionPath, "", w.credential(), identity.Elements{})); a.status != 503 {
		t.Errorf("a key was issued without a record: %d", a.status)
	}
}

func TestClientCertificateIdentifies(t *testing.T) {
	w := newWorld(t, worldOptions{mTLS: true})
	req := w.request("GET", "/pop/v1/persons", "", w.credential(), five)
	req.Header.Del("X-SG-Sign")
	req.Header.Del("X-SG-App")
	if a := w.do(req.Clone(context.Background())); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a := w.do(req); a.problem.Code != "SG-AUTHN-REPLAY" {
		t.Errorf("the nonce does not count: %d %s", a.status, a.body)
	}
	other := w.request("GET", "/pop/v1/persons", "", identity.Credential{App: "b", SM2: w.sm2}, five)
	if a := w.do(other); a.problem.Code != "SG-AUTHN-CERTIFICATE" {
		t.Errorf("another system on this connection: %d %s", a.status, a.body)
	}
}

func TestTrustedProxySpeaksForItsClient(t *testing.T) {
	w := newWorld(t, worldOptions{proxies: true})
	far := identity.Credential{App: "far", SM2: w.sm2}
	req := w.request("GET", "/pop/v1/persons", "", far, five)
	req.Header.Set("X-SG-Client-Addr", "10.9.9.7")
	if a := w.do(req); a.status != 200 {
		t.Errorf("got %d %s", a.status, a.body)
	}
	for _, v := range []string{"10.9.9.7:80", "rubbish", "fe80::1%eth0"} {
		req := w.request("GET", "/pop/v1/persons", "", far, five)
		req.Header.Set("X-SG-Client-Addr", v)
		if a := w.do(req); a.status != 400 {
			t.Errorf("%s: %d", v, a.status)
		}
	}
}

func TestObligationsAreFulfilled(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.gw.SetPolicy(deciderFunc(func(_ context.Context, r engine.Request) policy.Decision {
		show, err := policy.ParseAction("show")
		if err != nil {
			t.Error(err)
		}
		return policy.Decision{ID: "d", Revision: "r", Allow: true, Actions: map[string]policy.FieldAction{"code": show},
			Obligations: []policy.Obligation{policy.NotifyProvider, policy.LogParams, policy.Watermark}}
	}))
	a := w.call("GET", "/pop/v1/persons?idCard=220102199003070013", "")
	if a.status != 200 || string(a.body) != `{"code":0}` || !strings.HasPrefix(a.header.Get("X-SG-Watermark"), a.header.Get("X-SG-Request-Id")) {
		t.Errorf("got %d %s %v", a.status, a.body, a.header)
	}
	if seen := w.up.take(); len(seen) != 1 || seen[0].header.Get("X-SG-Notify") == "" {
		t.Errorf("the provider was not notified: %+v", seen)
	}
	if log := w.logs.String(); !strings.Contains(log, "call parameters") || !strings.Contains(log, "idCard=") || strings.Contains(log, "220102199003070013") {
		t.Errorf("log %s", log)
	}
}

func TestAdminTellsHealthReadinessAndMetrics(t *testing.T) {
	w := newWorld(t, worldOptions{})
	w.call("GET", "/pop/v1/persons", "")
	w.call("GET", "/nothing", "")
	admin := NewAdmin(w.gw)
	get := func(path string) (int, string) {
		rec := httptest.NewRecorder()
		admin.ServeHTTP(rec, httptest.NewRequest("GET", path, nil))
		return rec.Code, rec.Body.String()
	}
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("healthz %d", code)
	}
	if code, body := get("/readyz"); code != 200 {
		t.Errorf("readyz %d %s", code, body)
	}
	_, text := get("/metrics")
	for _, line := range []string{`sealgate_call_results_total{result="ok"} 1`, `sealgate_call_results_total{result="SG-ROUTE-NOT-FOUND"} 1`, "sealgate_calls_in_flight 0", "sealgate_call_seconds_count 2", "sealgate_ready 1"} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no %s in\n%s", line, text)
		}
	}
	w.gw.SetDegraded("an older policy")
	_, text = get("/metrics")
	if code, body := get("/readyz"); code != 200 || body != "degraded: an older policy\n" || !strings.Contains(text, "sealgate_degraded 1\n") {
		t.Errorf("readyz of a degraded gateway: %d %s", code, body)
	}
	w.gw.SetDegraded("")
	if _, body := get("/readyz"); body != "ready\n" {
		t.Errorf("readyz after that: %s", body)
	}
	w.gw.cfg.Depends = func(context.Context) error { return errors.New("the state store does not answer") }
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "state store") {
		t.Errorf("readyz without the store of nonces: %d %s", code, body)
	}
	w.gw.cfg.Depends = nil
	// Vault is away: calls are served, for as long as the ledger takes records.
	w.ledger.unsigned = errors.New("vault-1.example is sealed")
	if code, body := get("/readyz"); code != 200 || !strings.HasPrefix(body, "degraded: ") || strings.Contains(body, "vault-1") {
		t.Errorf("readyz while heads are not signed: %d %s", code, body)
	}
	w.ledger.refuses = audit.ErrUnsigned
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "ledger") {
		t.Errorf("readyz when the ledger refuses: %d %s", code, body)
	}
	w.ledger.unsigned, w.ledger.refuses = nil, nil
	w.gw.SetPolicy(nil)
	if code, body := get("/readyz"); code != 503 || !strings.Contains(body, "policy") {
		t.Errorf("readyz without a policy: %d %s", code, body)
	}
	w.gw.Drain()
	if a := w.call("GET", "/pop/v1/persons", ""); a.status != 503 || a.problem.Code != "SG-STOP-SHUTDOWN" {
		t.Errorf("while draining: %d %s", a.status, a.body)
	}
}

func TestNewRefusesIncompleteConfig(t *testing.T) {
	w := newWorld(t, worldOptions{})
	good := w.gw.cfg
	for name, change := range map[string]func(*Config){
		"no catalogue": func(c *Config) { c.Catalogue = nil }, "no ledger": func(c *Config) { c.Ledger = nil }, "no identity": func(c *Config) { c.Identity = nil },
		"no subjects": func(c *Config) { c.Subjects = nil }, "no refusals": func(c *Config) { c.Refusals = nil }, "no zone": func(c *Config) { c.Zone = "" }, "short key": func(c *Config) { c.PseudonymKey = []byte("short") },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
