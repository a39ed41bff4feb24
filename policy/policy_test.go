package policy

import "testing"

func TestZeroDecisionDeniesAndZeroActionDrops(t *testing.T) {
	if (Decision{}).Allow {
		t.Fatal("the zero decision allows")
	}
	if (FieldAction{}).String() != "drop" {
		t.Fatal("the zero action does not drop")
	}
}

func TestActionsRoundTrip(t *testing.T) {
	for _, s := range []string{"show", "drop", "mask", "keep(1,4)", "last(4)", `fixed("已隐藏")`, "pseudonym", "fpe",
		"generalise(year)", "generalise(range(10))", "verify", "reject"} {
		a, err := ParseAction(s)
		if err != nil || a.String() != s {
			t.Errorf("%s: %v %v", s, a, err)
		}
	}
	for _, s := range []string{"", "Show", "show()", "keep(1)", "keep(-1,2)", "keep(100,2)", "last()", "fixed(x)", `fixed("x"`,
		"generalise(day)", "generalise(range(0))", "hash", "keep(1,2) "} {
		if a, err := ParseAction(s); err == nil {
			t.Errorf("%q was accepted as %v", s, a)
		}
	}
}

func TestPolicyMayOnlyTighten(t *testing.T) {
	parse := func(s string) FieldAction { a, _ := ParseAction(s); return a }
	for _, c := range []struct {
		granted, wanted string
		ok              bool
	}{{"show", "mask", true}, {"show", "drop", true}, {"mask", "drop", true}, {"mask", "reject", true}, {"mask", "mask", true},
		{"mask", "show", false}, {"drop", "show", false}, {"mask", "keep(1,1)", false}, {"keep(1,1)", "keep(9,9)", false}} {
		if got := parse(c.wanted).Tightens(parse(c.granted)); got != c.ok {
			t.Errorf("%s -> %s: %v", c.granted, c.wanted, got)
		}
	}
}

func TestPathsRoundTrip(t *testing.T) {
	for _, s := range []string{"data.name", "data.list[*].idCard", "*.name", "[*].x", "[*][*]", `data["a.b"].c`, `["x\"y"]`} {
		p, err := ParsePath(s)
		if err != nil || p.String() != s {
			t.Errorf("%s: %v %v", s, p, err)
		}
	}
	for _, s := range []string{"", ".", "a.", "a..b", ".a", "a[0]", `a["b`, "a*", "a[*]b", "a[*", "a]"} {
		if p, err := ParsePath(s); err == nil {
			t.Errorf("%q was accepted as %v", s, p)
		}
	}
}

func FuzzParsePath(f *testing.F) {
	f.Add("data.list[*].idCard")
	f.Add(`["a\\\"b"].*`)
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q -> %q: %v", s, p.String(), err)
		}
	})
}

func FuzzParseAction(f *testing.F) {
	f.Add("keep(1,4)")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAction(s)
		if err != nil {
			return
		}
		if b, err := ParseAction(a.String()); err != nil || b != a {
			t.Fatalf("%q -> %q: %v", s, a.String(), err)
		}
	})
}
