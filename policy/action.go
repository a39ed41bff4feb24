package policy

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ActionKind names a field action.
type ActionKind string

// The field actions. Drop is the zero action's meaning: what no rule names does
// not leave the gateway.
const (
	Drop       ActionKind = "drop"       // the member is left out
	Show       ActionKind = "show"       // as it is, with its whole subtree
	Mask       ActionKind = "mask"       // by the field's kind
	Keep       ActionKind = "keep"       // keep(n,m): first n and last m runes
	Last       ActionKind = "last"       // last(n): last n runes
	Fixed      ActionKind = "fixed"      // fixed("text")
	Pseudonym  ActionKind = "pseudonym"  // HMAC-SM3 keyed per grant
	FPE        ActionKind = "fpe"        // format-preserving, SM4
	Generalise ActionKind = "generalise" // generalise(year|month|county|city|range(n))
	Verify     ActionKind = "verify"     // answers match, no match or unknown only
	Reject     ActionKind = "reject"     // withholds the whole answer
)

// FieldAction is how one field is shown. The zero value drops.
type FieldAction struct {
	Kind ActionKind
	N, M int    // keep(n,m), last(n), generalise(range(n))
	Text string // fixed("text"); generalise: year, month, county, city or range
}

// ParseAction reads an action as grants and policies write it, for example
// `show`, `mask`, `keep(3,4)`, `last(4)`, `fixed("已隐藏")`, `generalise(year)`,
// `generalise(range(10))`.
func ParseAction(s string) (FieldAction, error) {
	bad := func(why string) (FieldAction, error) {
		return FieldAction{}, fmt.Errorf("field action %.60q: %s", s, why)
	}
	name, arg, call := strings.Cut(s, "(")
	if call {
		if !strings.HasSuffix(arg, ")") {
			return bad("the bracket is not closed")
		}
		arg = arg[:len(arg)-1]
	}
	a := FieldAction{Kind: ActionKind(name)}
	switch a.Kind {
	case Drop, Show, Mask, Pseudonym, FPE, Verify, Reject:
		if call {
			return bad("takes no argument")
		}
	case Keep:
		n, m, ok := strings.Cut(arg, ",")
		if !call || !ok || !count(n, &a.N) || !count(strings.TrimLeft(m, " "), &a.M) {
			return bad("want keep(n,m) with 0 to 99 runes each")
		}
	case Last:
		if !call || !count(arg, &a.N) {
			return bad("want last(n) with 0 to 99 runes")
		}
	case Fixed:
		t, err := strconv.Unquote(arg)
		if !call || err != nil || !strings.HasPrefix(arg, `"`) || len(t) > 256 || !utf8.ValidString(t) {
			return bad(`want fixed("text") with at most 256 bytes`)
		}
		a.Text = t
	case Generalise:
		a.Text = arg
		switch {
		case arg == "year", arg == "month", arg == "county", arg == "city":
		case strings.HasPrefix(arg, "range(") && strings.HasSuffix(arg, ")") && count(arg[6:len(arg)-1], &a.N) && a.N > 0:
			a.Text = "range"
		default:
			return bad("want generalise(year|month|county|city|range(n))")
		}
	default:
		return bad("unknown; want show, drop, mask, keep(n,m), last(n), fixed(\"…\"), pseudonym, fpe, generalise(…), verify or reject")
	}
	return a, nil
}

func count(s string, n *int) bool {
	if len(s) == 0 || len(s) > 2 {
		return false
	}
	v := 0
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
		v = v*10 + int(c-'0')
	}
	*n = v
	return true
}

// String writes the action as ParseAction reads it.
func (a FieldAction) String() string {
	switch a.Kind {
	case "":
		return string(Drop)
	case Keep:
		return fmt.Sprintf("keep(%d,%d)", a.N, a.M)
	case Last:
		return fmt.Sprintf("last(%d)", a.N)
	case Fixed:
		return "fixed(" + strconv.Quote(a.Text) + ")"
	case Generalise:
		if a.Text == "range" {
			return fmt.Sprintf("generalise(range(%d))", a.N)
		}
		return "generalise(" + a.Text + ")"
	}
	return string(a.Kind)
}

// Tightens reports whether a policy may turn the granted action into a: any
// action may become drop or reject, show may become any other, and nothing else.
func (a FieldAction) Tightens(granted FieldAction) bool {
	return a == granted || a.Kind == Drop || a.Kind == "" || a.Kind == Reject || granted.Kind == Show
}
