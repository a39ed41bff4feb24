package engine

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"

	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/rego"
)

const testItem = "11220000013544541J3000117002011"

// request is a call that the shipped rules allow.
func request() Request {
	return Request{
		Caller: policy.Caller{System: "rs-benefit", Department: "rs", USCC: "11220000013544541J", Region: "220000", Level: "province", Zone: "extranet", Auth: "sm2"},
		Interface: &policy.Interface{ID: "pop.person.query", Provider: "ga", Base: "population", Share: "authorised", Method: "GET", Status: "published",
			Fields: map[string]policy.Field{"code": {Grade: 1}, "data.name": {Grade: 3, Kind: "name"}, "data.idCard": {Grade: 3, Kind: "resident_id"},
				"data.mobile": {Grade: 3, Kind: "mobile"}, "data.health": {Grade: 4, Kind: "diagnosis"}}},
		Grant: &policy.Grant{ID: "g1", Items: []string{testItem}, Purposes: []string{"失业保险金审核"},
			Fields: map[string]string{"code": "show", "data.name": "show", "data.idCard": "mask", "data.mobile": "keep(3,4)", "data.health": "mask"},
			Zones:  []string{"extranet", "internet"}, Regions: []string{"000000"}, CIDRs: []string{}, NotAfter: "2027-12-31", Status: "active", Quota: map[string]int64{"per_second": 50}},
		Item:      &policy.Item{Code: testItem, Fields: []string{"code", "data.name", "data.idCard", "data.mobile", "data.health"}},
		Purpose:   "失业保险金审核",
		Catalogue: "c1",
		At:        time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC),
		Until:     time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC),
	}
}

func shippedEngine(t testing.TB) *Engine {
	t.Helper()
	return engineOf(t, Config{Modules: rego.Modules(), Budget: patience})
}

// patience is the budget of tests that are not about the budget: a machine
// that is busy with other things must not fail them.
const patience = 20 * time.Second

func engineOf(t testing.TB, cfg Config) *Engine {
	t.Helper()
	e, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// withRules is an engine of one file whose package clause is given.
func withRules(t testing.TB, rules string, extra ...*topdown.Builtin) *Engine {
	t.Helper()
	e, err := build(context.Background(), Config{Modules: map[string]string{"p.rego": "package sealgate.authz\n" + rules}, Budget: patience}, extra)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestShippedRulesAllowACallWithinItsGrant(t *testing.T) {
	d := shippedEngine(t).Decide(context.Background(), request())
	if !d.Allow || d.Code != "" || d.Reasons != nil || d.Cached || len(d.ID) != 32 || len(d.Revision) != 64 {
		t.Fatalf("%+v", d)
	}
	want := map[string]policy.FieldAction{"code": {Kind: policy.Show}, "data.name": {Kind: policy.Show}, "data.idCard": {Kind: policy.Mask},
		"data.mobile": {Kind: policy.Keep, N: 3, M: 4}, "data.health": {Kind: policy.Mask}}
	if !maps.Equal(d.Actions, want) || !reflect.DeepEqual(d.Obligations, []policy.Obligation{policy.NotifyProvider}) {
		t.Errorf("%+v", d)
	}
}

func TestPolicyTightensTheGrantWithoutTouchingIt(t *testing.T) {
	req := request()
	req.Caller.Zone = "internet"
	req.Item = &policy.Item{Code: testItem, Fields: []string{"code", "data.name", "data.health"}}
	e := shippedEngine(t)
	d := e.Decide(context.Background(), req)
	if !d.Allow || d.Actions["data.health"].Kind != policy.Drop || d.Actions["data.idCard"].Kind != policy.Drop || d.Actions["data.name"].Kind != policy.Show {
		t.Fatalf("%+v", d)
	}
	if again := e.Decide(context.Background(), request()); again.Actions["data.health"].Kind != policy.Mask {
		t.Errorf("the grant's own actions changed: %+v", again.Actions)
	}
}

func TestDenyCarriesEveryReasonUnchangedAndTheFirstOnesCode(t *testing.T) {
	req := request()
	req.Purpose, req.Item = "贷款营销", nil
	d := shippedEngine(t).Decide(context.Background(), req)
	if d.Allow || d.Code != "SG-AUTHZ-ITEM" || len(d.Reasons) != 2 || d.Actions != nil || d.Obligations != nil {
		t.Fatalf("%+v", d)
	}
	want := policy.Reason{Code: "SG-AUTHZ-PURPOSE", ZH: "所填用途不在授权 g1 之内", EN: `the purpose that was sent is not one of those that grant g1 was given for`,
		FixZH: "请在 X-SG-Purpose 中填写授权所列的用途，或为新用途另行申请", FixEN: "send a purpose of the grant in X-SG-Purpose, or apply for the new purpose"}
	if d.Reasons[1] != want {
		t.Errorf("got  %+v\nwant %+v", d.Reasons[1], want)
	}
}

func TestDenyWhenNoGrantIsGivenWithoutAskingThePolicy(t *testing.T) {
	e := withRules(t, "default allow := false\nallow if input.purpose == \"失业保险金审核\"")
	req := request()
	req.Grant = nil
	if d := e.Decide(context.Background(), req); d.Allow || d.Code != "SG-AUTHZ-NO-GRANT" {
		t.Errorf("%+v", d)
	}
	req = request()
	req.Interface = nil
	if d := e.Decide(context.Background(), req); d.Allow {
		t.Errorf("%+v", d)
	}
}

// TestFailClosed: whatever a policy answers but one clean allow, the call is
// denied, with the code that tells the kind.
func TestFailClosed(t *testing.T) {
	const allow = "default allow := false\nallow if input.caller.system == \"rs-benefit\"\n"
	panics := &topdown.Builtin{Decl: &ast.Builtin{Name: "test.panic", Decl: types.NewFunction(types.Args(types.A), types.B)},
		Func: func(topdown.BuiltinContext, []*ast.Term, func(*ast.Term) error) error { panic("boom") }}
	for _, c := range []struct{ name, rules, code string }{
		{"DeniesWhenNothingAllows", "default allow := false\nallow if input.purpose == \"x\"", "SG-AUTHZ-DENIED"},
		{"DeniesWhenAllowIsText", "default allow := false\nallow := input.purpose", "SG-POLICY-RESULT"},
		{"DeniesWhenAllowIsNumber", "default allow := false\nallow := count(input.purpose)", "SG-POLICY-RESULT"},
		{"DeniesWhenAllowIsObject", "default allow := false\nallow := input.caller", "SG-POLICY-RESULT"},
		{"DeniesWhenAllowIsNull", "default allow := false\nallow := input.scenario if input.scenario == null", "SG-POLICY-RESULT"},
		{"DeniesWhenABuiltinErrs", "default allow := false\nallow if to_number(input.purpose) > 1", "SG-POLICY-ERROR"},
		{"DeniesWhenABuiltinErrsBesideAnAllow", allow + "allow if { input.purpose; to_number(input.purpose) > 1 }\nactions[p] := \"drop\" if { some p in [input.purpose]; to_number(p) > 1 }", "SG-POLICY-ERROR"},
		{"DeniesWhenTwoRulesConflict", "default allow := false\nallow := true if input.purpose\nallow := false if input.caller", "SG-POLICY-ERROR"},
		{"DeniesWhenABuiltinPanics", "default allow := false\nallow if test.panic(input.purpose)", "SG-POLICY-ERROR"},
		{"DeniesWhenActionsLoosenTheGrant", allow + `actions["data.idCard"] := "show"`, "SG-POLICY-ACTIONS"},
		{"DeniesWhenActionsExchangeAMask", allow + `actions["data.idCard"] := "keep(9,9)"`, "SG-POLICY-ACTIONS"},
		{"DeniesWhenActionsNameAPathTheGrantLacks", allow + `actions["data.address"] := "drop"`, "SG-POLICY-ACTIONS"},
		{"DeniesWhenAnActionIsUnknown", allow + `actions["data.name"] := "blur"`, "SG-POLICY-ACTIONS"},
		{"DeniesWhenAnActionIsNotText", allow + `actions["data.name"] := 1`, "SG-POLICY-ACTIONS"},
		{"DeniesWhenActionsAreNotAnObject", allow + `actions contains "data.name"`, "SG-POLICY-RESULT"},
		{"DeniesWhenActionsAreUndefined", allow + `actions := {} if input.purpose == "x"`, "SG-POLICY-RESULT"},
		{"DeniesWhenAnObligationIsUnknown", allow + `obligations contains "send-a-letter"`, "SG-POLICY-OBLIGATION"},
		{"DeniesWhenAnObligationIsNotText", allow + `obligations contains 7`, "SG-POLICY-OBLIGATION"},
		{"DeniesWhenObligationsAreNotASet", allow + `obligations := ["notify-provider"]`, "SG-POLICY-RESULT"},
		{"DeniesWhenObligationsAreUndefined", allow + `obligations := set() if input.purpose == "x"`, "SG-POLICY-RESULT"},
		{"DeniesWhenNoFieldIsLeft", allow + `actions[p] := "drop" if some p, _ in input.grant.fields`, "SG-AUTHZ-FIELDS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			e := withRules(t, c.rules, panics)
			e.log = slog.New(slog.NewTextHandler(&log, nil))
			d := e.Decide(context.Background(), request())
			if d.Allow || d.Code != c.code || d.Actions != nil || d.Obligations != nil {
				t.Fatalf("%+v, want %s\n%s", d, c.code, log.String())
			}
			if !problem.Known(d.Code) {
				t.Errorf("%s is not in the problem table", d.Code)
			}
			if strings.HasPrefix(c.code, "SG-POLICY") && (!strings.Contains(log.String(), d.ID) || !strings.Contains(log.String(), c.code)) {
				t.Errorf("the log does not tell the cause: %s", log.String())
			}
			if e.cache.len() != 0 {
				t.Error("a refusal was remembered")
			}
		})
	}
}

// slowRules take minutes without a budget.
const slowRules = `
default allow := false
allow if {
	input.purpose
	some a in input.grant.cidrs
	some b in input.grant.cidrs
	some c in input.grant.cidrs
	some d in input.grant.cidrs
	concat("", [a, b, c, d]) == input.purpose
}`

func slowRequest() Request {
	req := request()
	g := *req.Grant
	for range 200 {
		g.CIDRs = append(g.CIDRs, "10.0.0.0/8")
	}
	req.Grant = &g
	return req
}

func TestDeniesWhenTheBudgetIsSpent(t *testing.T) {
	e := withRules(t, slowRules)
	e.budget = DefaultBudget
	begin := time.Now()
	d := e.Decide(context.Background(), slowRequest())
	if took := time.Since(begin); d.Allow || d.Code != "SG-POLICY-TIMEOUT" || took > time.Second {
		t.Errorf("%+v after %s", d, took)
	}
}

func TestDeniesWhenTheCallerIsGone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(5*time.Millisecond, cancel)
	e := withRules(t, slowRules)
	e.budget = time.Minute
	if d := e.Decide(ctx, slowRequest()); d.Allow || d.Code != "SG-POLICY-TIMEOUT" {
		t.Errorf("%+v", d)
	}
	if d := shippedEngine(t).Decide(ctx, request()); d.Allow || d.Code != "SG-POLICY-TIMEOUT" {
		t.Errorf("with a context that has ended: %+v", d)
	}
}

// A built-in that sits and waits cannot be cancelled; its answer comes too late
// and does not count.
func TestDeniesWhenAnAllowComesAfterTheBudget(t *testing.T) {
	slow := &topdown.Builtin{Decl: &ast.Builtin{Name: "test.slow", Decl: types.NewFunction(types.Args(types.A), types.B)},
		Func: func(_ topdown.BuiltinContext, _ []*ast.Term, iter func(*ast.Term) error) error {
			time.Sleep(20 * time.Millisecond)
			return iter(ast.BooleanTerm(true))
		}}
	e := withRules(t, "default allow := false\nallow if test.slow(input.purpose)", slow)
	e.budget = 5 * time.Millisecond
	if d := e.Decide(context.Background(), request()); d.Allow || d.Code != "SG-POLICY-TIMEOUT" {
		t.Errorf("%+v", d)
	}
}

func TestDeniesWhenTheGrantsActionsCannotBeRead(t *testing.T) {
	req := request()
	g := *req.Grant
	g.Fields = map[string]string{"data.name": "blur"}
	req.Grant = &g
	if d := shippedEngine(t).Decide(context.Background(), req); d.Allow || d.Code != "SG-POLICY-ERROR" {
		t.Errorf("%+v", d)
	}
}

func TestDenyStandsWithTheGeneralReasonWhenReasonsCannotBeRead(t *testing.T) {
	for name, reasons := range map[string]string{
		"none":            "",
		"empty":           `reasons contains {"code": "SG-AUTHZ-X"} if input.purpose == "x"`,
		"not a set":       `reasons := "no"`,
		"not objects":     `reasons contains "no"`,
		"without text":    `reasons contains {"code": "SG-AUTHZ-X", "zh": "", "en": ""}`,
		"extra member":    `reasons contains {"code": "SG-AUTHZ-X", "zh": "a", "en": "b", "more": "c"}`,
		"number":          `reasons contains {"code": "SG-AUTHZ-X", "zh": "a", "en": 1}`,
		"other family":    `reasons contains {"code": "SG-STOP-EMERGENCY", "zh": "a", "en": "b"}`,
		"not a code":      `reasons contains {"code": "no", "zh": "a", "en": "b"}`,
		"too long":        `reasons contains {"code": "SG-AUTHZ-X", "zh": "` + strings.Repeat("长", 400) + `", "en": "b"}`,
		"built-in error":  `reasons contains {"code": "SG-AUTHZ-X", "zh": "a", "en": "b"} if to_number(input.purpose) == 1`,
		"undefined whole": `reasons := set() if input.purpose == "x"`,
		"one bad of two":  `reasons contains {"code": "SG-AUTHZ-X", "zh": "a", "en": "b"}` + "\nreasons contains {}",
	} {
		d := withRules(t, "default allow := false\nallow if input.purpose == \"x\"\n"+reasons).Decide(context.Background(), request())
		if d.Allow || d.Code != "SG-AUTHZ-DENIED" || !slices.Equal(d.Reasons, []policy.Reason{general()}) {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func TestReasonOfThePolicysOwnMakingKeepsItsCodeUnderTheGeneralProblem(t *testing.T) {
	d := withRules(t, `default allow := false
allow if input.purpose == "x"
reasons contains {"code": "SG-AUTHZ-HOLIDAY", "zh": "节假日", "en": "holiday"}`).Decide(context.Background(), request())
	if d.Code != "SG-AUTHZ-DENIED" || len(d.Reasons) != 1 || d.Reasons[0] != (policy.Reason{Code: "SG-AUTHZ-HOLIDAY", ZH: "节假日", EN: "holiday"}) {
		t.Errorf("%+v", d)
	}
}

func hoursEngine(t testing.TB) *Engine {
	t.Helper()
	modules := rego.Modules()
	src, err := rego.Files().Open("example/working_hours.rego")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(src); err != nil {
		t.Fatal(err)
	}
	modules["example/working_hours.rego"] = b.String()
	return engineOf(t, Config{Modules: modules, Budget: patience})
}

func TestPerCallStageSeesTheMomentAndIsNeverRemembered(t *testing.T) {
	e := hoursEngine(t)
	if ok, why := e.Cacheable(); !ok {
		t.Fatal(why)
	}
	req := request()
	req.Caller.Zone = "internet"
	at := func(hour int) policy.Decision {
		req.Call = &policy.CallInput{Time: policy.CallTime{Hour: hour, Workday: true}}
		return e.Decide(context.Background(), req)
	}
	if d := at(9); !d.Allow || d.Cached {
		t.Fatalf("%+v", d)
	}
	if d := at(20); d.Allow || !d.Cached || d.Code != refusalCode(d.Reasons) || len(d.Reasons) != 1 || d.Reasons[0].Code != "SG-AUTHZ-HOURS" || d.Actions != nil {
		t.Fatalf("the second call in the evening: %+v", d)
	}
	if d := at(10); !d.Allow || !d.Cached || len(d.Actions) == 0 {
		t.Fatalf("the third call in the morning: %+v", d)
	}
}

func TestPerCallStageCannotAllowWhatTheStableStageDenies(t *testing.T) {
	req := request()
	req.Purpose = "x"
	req.Call = &policy.CallInput{}
	if d := hoursEngine(t).Decide(context.Background(), req); d.Allow || d.Code != "SG-AUTHZ-PURPOSE" {
		t.Errorf("%+v", d)
	}
}

func TestPerCallStageFailsClosed(t *testing.T) {
	if d := hoursEngine(t).Decide(context.Background(), request()); d.Allow || d.Code != "SG-POLICY-ERROR" {
		t.Errorf("without a call input: %+v", d)
	}
	for rules, code := range map[string]string{
		"allow if to_number(input.biz) > 0":                  "SG-POLICY-ERROR",
		"allow := input.biz":                                 "SG-POLICY-RESULT",
		"allow if input.counters.calls < 3":                  "SG-AUTHZ-DENIED",
		"allow if input.params.id[0] == input.biz":           "SG-AUTHZ-DENIED",
		"allow if time.parse_rfc3339_ns(input.operator) > 0": "SG-POLICY-ERROR",
	} {
		modules := rego.Modules()
		modules["call.rego"] = "package sealgate.call\ndefault allow := false\n" + rules
		req := request()
		req.Call = &policy.CallInput{Biz: "BJ1", Params: map[string][]string{"id": {"7"}}}
		if d := engineOf(t, Config{Modules: modules, Budget: patience}).Decide(context.Background(), req); d.Allow || d.Code != code {
			t.Errorf("%s: %+v, want %s", rules, d, code)
		}
	}
}

func TestLogOfAPolicyErrorHoldsNothingThatTheCallerSent(t *testing.T) {
	const number = "22010219900307001X"
	panics := &topdown.Builtin{Decl: &ast.Builtin{Name: "test.panic", Decl: types.NewFunction(types.Args(types.A), types.B)},
		Func: func(_ topdown.BuiltinContext, args []*ast.Term, _ func(*ast.Term) error) error {
			panic(args[0].String())
		}}
	for name, condition := range map[string]string{
		"to_number":             `to_number(input.params.idCard[0]) > 0`,
		"time.parse_rfc3339_ns": `time.parse_rfc3339_ns(input.params.idCard[0]) > 0`,
		"panic":                 `test.panic(input.params.idCard[0])`,
	} {
		for _, rule := range []string{"allow", `reasons contains {"code": "SG-AUTHZ-X", "zh": "x", "en": "x"}`} {
			var log bytes.Buffer
			modules := map[string]string{"a.rego": "package sealgate.authz\ndefault allow := false\nallow if input.caller.system",
				"c.rego": "package sealgate.call\ndefault allow := false\nallow if input.ip == \"x\"\n" + rule + " if " + condition}
			e, err := build(context.Background(), Config{Modules: modules, Budget: patience, Log: slog.New(slog.NewTextHandler(&log, nil))}, []*topdown.Builtin{panics})
			if err != nil {
				t.Fatal(err)
			}
			req := request()
			req.Call = &policy.CallInput{Params: map[string][]string{"idCard": {number}}}
			if d := e.Decide(context.Background(), req); d.Allow || d.Code == "" {
				t.Errorf("%s in %s: %+v", name, rule, d)
			}
			if !strings.Contains(log.String(), name) || strings.Contains(log.String(), number) {
				t.Errorf("%s in %s: %s", name, rule, log.String())
			}
		}
	}
}

func TestRevisionIsThatOfTheContent(t *testing.T) {
	a := shippedEngine(t).Revision()
	if b := shippedEngine(t).Revision(); a != b {
		t.Error("the same policy has two revisions")
	}
	m := rego.Modules()
	m["authz.rego"] += "\n"
	if engineOf(t, Config{Modules: m}).Revision() == a {
		t.Error("another text has the same revision")
	}
	if engineOf(t, Config{Modules: rego.Modules(), Data: map[string]any{"x": map[string]any{"y": 1}}}).Revision() == a {
		t.Error("other data has the same revision")
	}
}

func TestDecisionIDsAreDistinct(t *testing.T) {
	seen := map[string]bool{}
	for range 10_000 {
		seen[newID()] = true
	}
	if len(seen) != 10_000 {
		t.Errorf("%d distinct ids of 10,000", len(seen))
	}
}

func TestZeroDecisionAndDefaultsOfTheEngine(t *testing.T) {
	e := engineOf(t, Config{Modules: rego.Modules()})
	if e.budget != DefaultBudget || e.cache.size != DefaultCacheSize {
		t.Errorf("%v %d", e.budget, e.cache.size)
	}
	if _, err := New(context.Background(), Config{}); err == nil {
		t.Error("an engine without a policy")
	}
}
