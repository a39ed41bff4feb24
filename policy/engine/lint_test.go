package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/policy/rego"
)

const authz = "package sealgate.authz\n"

func TestPoliciesThatCouldFailOpenAreRefused(t *testing.T) {
	const head = authz + "default allow := false\nallow if input.caller.system\n"
	tables := map[string]any{"callers": map[string]any{"rs-benefit": true}, "zones": []any{"extranet"}, "limit": 7}
	for _, c := range []struct{ name, rules, rule, want string }{
		{"no allow at all", authz + "deny contains \"x\" if input.purpose == \"y\"", "allow-style", "no rule allow; policies that only deny are refused"},
		{"another package", "package other\nallow := true", "allow-style", "package sealgate.authz has no rule allow"},
		{"no default", authz + "allow if input.caller.system", "allow-style", "needs default allow := false"},
		{"default true", authz + "default allow := true\nallow := false if input.caller.system", "allow-style", "want default allow := false"},
		{"never allows", authz + "default allow := false", "allow-style", "has no rule that allows"},
		{"allows everybody", authz + "default allow := false\nallow := true", "allow-style", "holds for every call"},
		{"allows on a constant", authz + "default allow := false\nallow if 1 == 1", "allow-style", "holds for every call"},
		{"allows in else", authz + "default allow := false\nallow if { input.caller.system == \"a\" } else := true", "allow-style", "holds for every call"},
		{"allows unless denied", authz + "default allow := false\nallow if count(deny) == 0\ndeny contains \"x\" if to_number(input.purpose) > 1", "absence", "as a whole is empty"},
		{"allows unless a constant is denied", authz + "default allow := false\nallow if count(deny) == 0\ndeny contains \"x\" if 1 == 2", "allow-style", "holds for every call"},
		{"allows a caller unless denied", authz + "default allow := false\nallow if { input.caller.system; count(deny) == 0 }\ndeny contains \"x\" if to_number(input.purpose) > 1", "absence", "deny as a whole is empty when a rule of it errs"},
		{"compares denials with the empty set", authz + "default allow := false\nallow if { input.caller.system; deny == set() }\ndeny contains \"x\" if input.purpose", "absence", "as a whole is empty"},
		{"negates a rule", authz + "default allow := false\nallow if { input.caller.system; not blocked }\nblocked if input.purpose == \"x\"", "absence", "give it a default"},
		{"negates an element", authz + "default allow := false\nallow if { input.caller.system; not deny[\"x\"] }\ndeny contains \"x\" if input.purpose", "absence", "give it a default"},
		{"negates membership", authz + "default allow := false\nallow if { input.caller.system; not \"x\" in deny }\ndeny contains \"x\" if input.purpose", "absence", "as a whole is empty"},
		{"every denial", authz + "default allow := false\nallow if { input.caller.system; every d in deny { d == \"\" } }\ndeny contains \"x\" if input.purpose", "absence", "as a whole is empty"},
		{"counts what it collects of denials", authz + "default allow := false\nallow if { input.caller.system; count([d | some d in deny]) == 0 }\ndeny contains \"x\" if input.purpose", "absence", "ask it without a comprehension"},
		{"compares what it collects with the empty object", authz + "default allow := false\nallow if { input.caller.system; {d: 1 | deny[d]} == {} }\ndeny contains \"x\" if input.purpose", "absence", "ask it without a comprehension"},
		{"collects a rule that may be undefined", authz + "default allow := false\nallow if { input.caller.system; fine }\nfine if [x | x := blocked] == []\nblocked if input.purpose == \"x\"", "absence", "ask it without a comprehension"},
		{"allows in the else of a denial", authz + "default allow := false\nallow := false if { blocked } else := true if { input.caller.system }\nblocked if input.purpose == \"x\"", "absence", "else holds when"},
		{"a helper that is fine in the else of a denial", authz + "default allow := false\nallow if { input.caller.system; fine }\nfine := false if { blocked } else := true\nblocked if input.purpose == \"x\"", "absence", "else holds when"},
		{"negation two rules away", authz + "default allow := false\nallow if { input.caller.system; fine }\nfine if not blocked\nblocked if input.purpose == \"x\"", "absence", "give it a default"},
		{"missing data document", authz + "default allow := false\nallow if { input.caller.system; not input.caller.system in data.blocked }", "data", "data.blocked is neither a rule nor in the policy's data"},
		{"missing data below a table", head + "actions[p] := \"drop\" if { some p in data.callers.other }", "data", "data.callers.other"},
		{"missing package", head + "actions[p] := \"drop\" if data.sealgate.mask[p]", "data", "neither a rule"},
		{"the per-call stage", head + "actions[\"x\"] := \"drop\" if data.sealgate.call.allow", "data", "neither a rule"},
		{"a whole package", head + "x := data.sealgate.authz", "", ""},
		{"scans with some", authz + "default allow := false\nallow if { some g in data.callers; g == input.caller.system }", "scan", "read data by key"},
		{"scans with a key", authz + "default allow := false\nallow if { some s, _ in data.callers; s == input.caller.system }", "scan", "read data by key"},
		{"scans with a variable", authz + "default allow := false\nallow if { data.callers[s]; s == input.caller.system }", "scan", "data.callers"},
		{"scans with a wildcard", authz + "default allow := false\nallow if { data.callers[_]; input.caller.system }", "scan", "data.callers"},
		{"scans in a comprehension", head + "actions[p] := \"drop\" if { count([s | data.callers[s]]) > 3; some p in input.item.fields }", "scan", "data.callers"},
		{"scans by membership", authz + "default allow := false\nallow if input.caller.zone in data.zones", "scan", "whole table"},
		{"scans an alias", authz + "default allow := false\nallow if { all := data.callers; some s, _ in all; s == input.caller.system }", "scan", "whole table"},
		{"scans with every", head + "actions[p] := \"drop\" if { some p in input.item.fields; every z in data.zones { z != p } }", "scan", "whole table"},
		{"with", authz + "default allow := false\nallow if { input.caller.system; fine with input.purpose as \"x\" }\nfine if input.purpose == \"x\"", "with", "use it in tests only"},
		{"syntax", authz + "allow if {", "parse", ""},
		{"old syntax", authz + "allow { input.x }", "parse", ""},
		{"type error", authz + "default allow := false\nallow if { input.caller.system; count(5) == 1 }", "compile", ""},
		{"unused variable", authz + "default allow := false\nallow if { x := input.caller.system }", "compile", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Check(map[string]string{"p.rego": c.rules}, tables)
			if c.rule == "" {
				if err == nil {
					t.Error("accepted")
				}
				return
			}
			var e *InvalidError
			if !errors.As(err, &e) || e.Code() != "SG-POLICY-INVALID" {
				t.Fatalf("got %v", err)
			}
			found := false
			for _, f := range e.Findings {
				found = found || f.Rule == c.rule && strings.Contains(f.Message, c.want)
			}
			if !found {
				t.Errorf("got %v, want %s: %s", e.Findings, c.rule, c.want)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("several lines: %q", err)
			}
		})
	}
}

func TestBuiltinsOutsideTheAllowListAreRefused(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"}).status_code == 200`, `net.lookup_ip_addr("localhost")`, `net.cidr_contains("10.0.0.0/8", "10.0.0.1")`,
		`time.now_ns() > 0`, `time.clock(0)[0] > 1`, `time.weekday(0) == "Monday"`, `rand.intn("x", 2) == 1`, `uuid.rfc4122("x") != ""`, `opa.runtime().env`,
		`trace("x")`, `print("x")`, `walk(input, [_, "x"])`, `io.jwt.decode("x")`, `crypto.sha256("x") != ""`, `numbers.range(1, 1000000000)[0] == 1`,
		`regex.globs_match("a.*", "a.b")`, `rego.metadata.rule().title`, `json.match_schema({}, {})[0]`, `graph.reachable({}, set())`, `base64.encode("x") != ""`,
		`json.patch({}, []) == {}`, `glob.match("*", [], "x")`,
	} {
		err := Check(map[string]string{"p.rego": authz + "default allow := false\nallow if { input.caller.system; " + call + " }"}, nil)
		var e *InvalidError
		if !errors.As(err, &e) || e.Findings[0].Rule != "compile" || e.Findings[0].Line == 0 {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestPerCallStageComputesWithTheGivenTimeButHasNoClock(t *testing.T) {
	with := func(call string) error {
		m := rego.Modules()
		m["call.rego"] = "package sealgate.call\ndefault allow := false\nallow if { input.caller.system; " + call + " }"
		return Check(m, nil)
	}
	if err := with(`time.weekday(time.parse_rfc3339_ns(input.time.rfc3339)) == "Monday"`); err != nil {
		t.Error(err)
	}
	for _, call := range []string{`time.now_ns() > 0`, `http.send({}).status_code == 200`, `rand.intn("x", 2) == 1`} {
		if err := with(call); err == nil {
			t.Errorf("%s was accepted", call)
		}
	}
	m := rego.Modules()
	m["call.rego"] = "package sealgate.call\nallow if input.caller.system"
	if err := Check(m, nil); err == nil || !strings.Contains(err.Error(), "package sealgate.call needs default allow := false") {
		t.Errorf("got %v", err)
	}
}

func TestHelperRulesAndKeyedTablesAreAccepted(t *testing.T) {
	tables := map[string]any{"rank": map[string]any{"mtls": 2, "sm2": 3}, "zones": map[string]any{"rs": []any{"extranet"}}, "limit": 7}
	for name, rules := range map[string]string{
		"helpers":                "allow if { known; strong }\nknown if input.caller.system\nstrong if data.rank[input.caller.auth] >= 2",
		"function":               "allow if strong(input.caller.auth)\nstrong(auth) if data.rank[auth] >= 2",
		"keyed list":             "allow if input.caller.zone in data.zones[input.caller.department]",
		"constant key":           "allow if data.rank.sm2 > data.rank[input.caller.auth]",
		"scalar":                 "allow if count(input.purpose) < data.limit",
		"key from the input":     "allow if { some auth in input.grant.zones; data.rank[auth] > 1 }",
		"key in a comprehension": "allow if { ranks := [data.rank[a] | some a in input.grant.zones]; count(ranks) == 1 }",
		"member of a set":        "allow if input.purpose in purposes\npurposes contains p if some p in input.grant.purposes",
		"element of a set":       "allow if purposes[input.purpose]\npurposes contains p if some p in input.grant.purposes",
		"object rule":            "allow if ranks[input.caller.auth] > 1\nranks[a] := r if { some a in input.grant.zones; r := data.rank[a] }",
		"negated with a default": "allow if { input.caller.system; not blocked }\ndefault blocked := true\nblocked := false if input.purpose == \"x\"",
		"negated input":          "allow if { input.caller.system; not input.caller.zone == \"internet\" }",
		"every over input":       "allow if { input.caller.system; every p in input.item.fields { input.grant.fields[p] } }",
		"else":                   "allow if { input.purpose == \"a\" } else if { input.purpose == \"b\" }",
		"library":                "import data.lib.zones\nallow if zones.inner(input.caller.zone)",
	} {
		m := map[string]string{"p.rego": authz + strings.Replace("default allow := false\n"+rules, "default allow := false\nimport data.lib.zones", "import data.lib.zones\ndefault allow := false", 1),
			"lib.rego": "package lib.zones\ninner(z) if z == \"extranet\""}
		if err := Check(m, tables); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDecisionsAreNotRememberedWhenThePolicyReadsOutsideTheKey(t *testing.T) {
	for rules, want := range map[string]string{
		"allow if input.caller.system":                                            "",
		"allow if { input.time.hour > 8 }":                                        "input.time",
		"allow if { input.caller.system; input.ip == \"\" }":                      "input.ip",
		"allow if { some k; input[k] == 1 }":                                      "not constant",
		"allow if { k := input.purpose; input[k] == 1 }":                          "not constant",
		"allow if object.get(input, \"ip\", \"\") == \"\"":                        "as a whole",
		"allow if { x := input; x.ip == \"\" }":                                   "input",
		"allow if input.caller.system\nactions[p] := \"drop\" if input.params[p]": "input.params",
	} {
		e := withRules(t, "default allow := false\n"+rules)
		ok, why := e.Cacheable()
		if ok != (want == "") || !strings.Contains(why, want) {
			t.Errorf("%s: %v %q", rules, ok, why)
		}
	}
}

func TestLimitsOfAPolicy(t *testing.T) {
	if err := Check(nil, nil); err == nil {
		t.Error("no files")
	}
	big := rego.Modules()
	big["big.rego"] = "package x\n# " + strings.Repeat("x", maxModuleBytes)
	if err := Check(big, nil); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("got %v", err)
	}
	many := rego.Modules()
	for i := range maxModules {
		many[fmt.Sprint(i)] = "package x"
	}
	if err := Check(many, nil); err == nil {
		t.Error("too many files")
	}
	if err := Check(rego.Modules(), map[string]any{"t": strings.Repeat("x", maxDataBytes)}); err == nil || !strings.Contains(err.Error(), "grants belong in the catalogue") {
		t.Errorf("got %v", err)
	}
	if err := Check(rego.Modules(), map[string]any{"t": func() {}}); err == nil {
		t.Error("data that is not JSON")
	}
}

// FuzzCheck: no text makes the compiler or the lint panic or hang, and every
// refusal is one line.
func FuzzCheck(f *testing.F) {
	for _, src := range rego.Modules() {
		f.Add(src)
	}
	f.Add(authz + "default allow := false\nallow if { some x in data.t; input.y[x] }")
	f.Add(authz + "default allow := false\nallow if { every a, b in input.x { not data.t[a] with input as b } }")
	f.Fuzz(func(t *testing.T, src string) {
		if err := Check(map[string]string{"p.rego": src}, map[string]any{"t": map[string]any{"a": 1}}); err != nil {
			var e *InvalidError
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("bad refusal: %q", err)
			}
		}
	})
}
