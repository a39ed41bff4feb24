package mask

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

func TestWhichRuleHoldsWhenSeveralNameOnePlace(t *testing.T) {
	for _, c := range []struct {
		why, in, want string
		actions       []string
	}{
		{"an exact member beats *", `{"d":{"name":"abc","x":"abc"}}`, `{"d":{"name":"abc","x":"***"}}`, []string{"d.*=keep(0,0)", "d.name=show"}},
		{"an exact member beats * also when it is looser at the top", `{"d":{"name":"abc"},"e":{"name":"abc"}}`, `{"d":{"name":"abc"},"e":{"name":"***"}}`,
			[]string{"*.name=keep(0,0)", "d.name=show"}},
		{"a path with * still holds beside an exact sibling", `{"d":{"name":1,"code":2}}`, `{"d":{"name":1,"code":2}}`, []string{"d.name=show", "*.code=show"}},
		{"neither beats the other: drop wins", `{"d":{"id":"abc","x":"abc"}}`, `{"d":{"x":"abc"}}`, []string{"d.*=show", "*.id=drop"}},
		{"neither beats the other: a mask wins over show", `{"d":{"id":"abc"}}`, `{"d":{"id":"***"}}`, []string{"d.*=show", "*.id=last(0)"}},
		{"neither beats the other: two masks hide whole", `{"d":{"id":"abcdef"}}`, `{"d":{"id":"****"}}`, []string{"d.*=keep(1,1)", "*.id=last(2)"}},
		{"the same mask twice is that mask", `{"d":{"id":"abcdef"}}`, `{"d":{"id":"****ef"}}`, []string{"d.*=last(2)", "*.id=last(2)"}},
		{"two spellings of one path: the stricter", `{"a":{"b":1}}`, `{}`, []string{"a.b=show", `["a"].b=drop`}},
		{"show of a part does not open a masked whole", `{"d":{"x":1}}`, `{"d":null}`, []string{"d=mask", "d.x=show"}},
		{"show of a part does not open a dropped whole", `{"d":{"x":1}}`, `{}`, []string{"d=drop", "d.x=show"}},
		{"drop of a part holds in a shown whole", `{"d":{"x":1,"y":[{"z":2,"x":3}]}}`, `{"d":{"y":[{"x":3}]}}`, []string{"d=show", "d.x=drop", "d.y[*].z=drop"}},
		{"three in a row", `{"a":{"b":{"c":{"d":1,"e":2}}}}`, `{"a":{"b":{"c":{"d":1}}}}`, []string{"*.b.c.d=show", "a.*.c.d=show", "a.b.*.d=show"}},
	} {
		t.Run(c.why, func(t *testing.T) {
			got, _, err := apply(t, compile(t, acts(t, c.actions...), nil, Options{}), c.in)
			if err != nil || got != c.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestKindsAloneGrantNothing(t *testing.T) {
	p := compile(t, nil, demoKinds, Options{})
	if got, _, err := apply(t, p, `{"data":{"name":"张三","list":[{"name":"李四"}]}}`); err != nil || got != "{}" {
		t.Errorf("%s, %v", got, err)
	}
}

func TestKindOfTheMoreExactPathMasks(t *testing.T) {
	p := compile(t, acts(t, "data.*=mask"), map[string]string{"data.*": "other", "data.m": KindMobile}, Options{})
	if got, _, err := apply(t, p, `{"data":{"m":"13800000000","x":"13800000000"}}`); err != nil || got != `{"data":{"m":"138****0000","x":"****"}}` {
		t.Errorf("%s, %v", got, err)
	}
	p = compile(t, acts(t, "a.b=mask"), map[string]string{"a.*": KindMobile, "*.b": KindName}, Options{})
	if got, _, err := apply(t, p, `{"a":{"b":"13800000000"}}`); err != nil || got != `{"a":{"b":"****"}}` {
		t.Errorf("an ambiguous kind is masked as unknown: %s, %v", got, err)
	}
}

func TestCompileRefusesWhatItCannotApply(t *testing.T) {
	many := map[string]policy.FieldAction{}
	for i := range MaxPaths + 1 {
		many[fmt.Sprintf("f%d", i)] = policy.FieldAction{Kind: policy.Show}
	}
	blowUp := map[string]policy.FieldAction{}
	for i := range 20 {
		blowUp[strings.Repeat("*.", i)+"a"+strings.Repeat(".*", 20-i)] = policy.FieldAction{Kind: policy.Show}
	}
	for _, c := range []struct {
		name    string
		actions map[string]policy.FieldAction
		opts    Options
		code    string
	}{
		{"fpe", acts(t, "a=fpe"), Options{}, CodeAction},
		{"verify", acts(t, "a=verify"), Options{}, CodeAction},
		{"generalise", acts(t, "a=generalise(year)"), Options{}, CodeAction},
		{"an action from nowhere", map[string]policy.FieldAction{"a": {Kind: "reveal"}}, Options{}, CodeAction},
		{"pseudonym without a key", acts(t, "a=pseudonym"), Options{}, CodePlan},
		{"pseudonym with a short key", acts(t, "a=pseudonym"), Options{PseudonymKey: make([]byte, 15)}, CodePlan},
		{"a path that is none", map[string]policy.FieldAction{"a..b": {Kind: policy.Show}}, Options{}, CodePlan},
		{"too many paths", many, Options{}, CodePlan},
		{"too many combinations", blowUp, Options{}, CodePlan},
		{"a negative count", map[string]policy.FieldAction{"a": {Kind: policy.Keep, N: -1}}, Options{}, CodePlan},
		{"text that is not UTF-8", map[string]policy.FieldAction{"a": {Kind: policy.Fixed, Text: "\xff"}}, Options{}, CodePlan},
		{"a negative limit", nil, Options{MaxDepth: -1}, CodePlan},
	} {
		if p, err := Compile(c.actions, nil, c.opts); p != nil || ErrorCode(err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, err, c.code)
		}
	}
	if _, err := Compile(nil, map[string]string{"a[": "x"}, Options{}); ErrorCode(err) != CodePlan {
		t.Errorf("a kind's path that is none: %v", err)
	}
	if got, _, err := apply(t, compile(t, map[string]policy.FieldAction{"a": {}}, nil, Options{}), `{"a":1}`); err != nil || got != "{}" {
		t.Errorf("the zero action drops: %s, %v", got, err)
	}
}

func TestPseudonymsJoinInsideOneGrantOnly(t *testing.T) {
	key, other := []byte("0123456789abcdef"), []byte("0123456789abcdeF")
	run := func(key []byte, kind, value string) string {
		got, _, err := apply(t, compile(t, acts(t, "a=pseudonym"), map[string]string{"a": kind}, Options{PseudonymKey: key, NumbersAsStrings: true}), `{"a":`+value+`}`)
		if err != nil || len(got) != len(`{"a":""}`)+32 {
			t.Fatalf("%s, %v", got, err)
		}
		return got
	}
	base := run(key, KindName, `"é"`)
	sum := gm.HMACSM3(key, []byte("name\x00é"))
	if want := fmt.Sprintf(`{"a":"%x"}`, sum[:16]); base != want {
		t.Errorf("got %s, want %s", base, want)
	}
	if run(key, KindName, `"e\u0301"`) != base {
		t.Error("NFD and NFC give two pseudonyms")
	}
	if run(other, KindName, `"é"`) == base || run(key, "other", `"é"`) == base || run(key, KindName, `"e"`) == base {
		t.Error("another key, kind or value gives the same pseudonym")
	}
	if run(key, KindMobile, `13800000000`) != run(key, KindMobile, `"13800000000"`) {
		t.Error("a number and the same digits as a string give two pseudonyms")
	}
}

func TestPlanDoesNotChangeWithTheCallersKey(t *testing.T) {
	key := []byte("0123456789abcdef")
	p := compile(t, acts(t, "a=pseudonym"), nil, Options{PseudonymKey: key})
	before, _, _ := apply(t, p, `{"a":"x"}`)
	clear(key)
	if after, _, _ := apply(t, p, `{"a":"x"}`); after != before {
		t.Error("the plan shares the caller's key")
	}
}

func TestContentTypesThatCannotBeMaskedAreRefused(t *testing.T) {
	for _, ct := range []string{"application/json", "application/json; charset=utf-8", `Application/JSON;charset="UTF-8"`} {
		if err := CheckContentType(http.Header{"Content-Type": {ct}}); err != nil {
			t.Errorf("%s: %v", ct, err)
		}
	}
	for _, ct := range []string{"", "text/json", "text/html", "application/xml", "application/json; charset=gbk", "application/json; charset=utf-16",
		"application/json; charset=utf-8; charset=gbk", "application/json; boundary=x", "application/json, text/html", "application/jsonp", "application/problem+json", "json"} {
		if err := CheckContentType(http.Header{"Content-Type": {ct}}); ErrorCode(err) != CodeType {
			t.Errorf("%q was accepted", ct)
		}
	}
	json := "application/json"
	for _, h := range []http.Header{{}, {"Content-Type": {json, json}}, {"Content-Type": {json}, "Content-Encoding": {"gzip"}},
		{"Content-Type": {json}, "Content-Encoding": {"identity", "br"}}, {"Content-Type": {json}, "Content-Encoding": {"identity, gzip"}}, {"Content-Type": {json}, "Content-Encoding": {""}}} {
		want := CodeType
		if h["Content-Encoding"] != nil {
			want = CodeEncoding
		}
		if err := CheckContentType(h); ErrorCode(err) != want {
			t.Errorf("%v: %v, want %s", h, err, want)
		}
	}
	if err := CheckContentType(http.Header{"Content-Type": {json}, "Content-Encoding": {"Identity"}}); err != nil {
		t.Error(err)
	}
}
