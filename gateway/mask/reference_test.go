package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sealgate/sealgate/policy"
)

// reference masks the slow way: the whole document decoded with raw numbers, and
// for each value a walk over all rules. It shares with the product only the
// masks of single values.
type reference struct {
	actions map[string]policy.FieldAction
	kinds   map[string]string
	opts    Options
	paths   map[string]policy.Path
}

// place is where a value stands: member names, and "" with index true for elements.
type place []struct {
	name  string
	index bool
}

var errRejected = fmt.Errorf("rejected")

func newReference(actions map[string]policy.FieldAction, kinds map[string]string, opts Options) *reference {
	r := &reference{actions, kinds, opts, map[string]policy.Path{}}
	for path := range actions {
		r.paths[path], _ = policy.ParsePath(path)
	}
	for path := range kinds {
		r.paths[path], _ = policy.ParsePath(path)
	}
	return r
}

func matches(p policy.Path, at place, whole bool) bool {
	if len(p) < len(at) || whole && len(p) != len(at) {
		return false
	}
	for i := range at {
		switch p[i].Kind {
		case policy.AnyElement:
			if !at[i].index {
				return false
			}
		case policy.AnyMember:
			if at[i].index {
				return false
			}
		default:
			if at[i].index || at[i].name != p[i].Name {
				return false
			}
		}
	}
	return true
}

// here returns the paths of the set that end at the place and are beaten by none.
func here[V any](r *reference, set map[string]V, at place) (out []string) {
	for _, path := range slices.Sorted(maps.Keys(set)) {
		if !matches(r.paths[path], at, true) {
			continue
		}
		beaten := false
		for other := range set {
			beaten = beaten || matches(r.paths[other], at, true) && beats(r.paths[other], r.paths[path])
		}
		if !beaten {
			out = append(out, path)
		}
	}
	return out
}

// action returns what holds at the place itself; ok is false when no rule ends there.
func (r *reference) action(at place) (a policy.FieldAction, kind string, ok bool) {
	for i, path := range here(r, r.kinds, at) {
		if i == 0 {
			kind = r.kinds[path]
		} else if kind != r.kinds[path] {
			kind = ""
			break
		}
	}
	masks := map[policy.FieldAction]bool{}
	for _, path := range here(r, r.actions, at) {
		ok = true
		switch b := r.actions[path]; {
		case b.Kind == policy.Reject || a.Kind == policy.Reject:
			a = policy.FieldAction{Kind: policy.Reject}
		case b.Kind == policy.Drop || a.Kind == policy.Drop:
			a = policy.FieldAction{Kind: policy.Drop}
		case b.Kind == policy.Show:
			if a.Kind == "" {
				a = b
			}
		default:
			a, masks[b] = b, true
		}
	}
	if len(masks) > 1 && a.Kind != policy.Reject && a.Kind != policy.Drop {
		a, kind = policy.FieldAction{Kind: policy.Mask}, "" // conflict
	}
	return a, kind, ok
}

func (r *reference) grantsBelow(at place) bool {
	for path := range r.actions {
		if p := r.paths[path]; len(p) > len(at) && matches(p, at, false) && r.live(p, at) {
			return true
		}
	}
	return false
}

// live reports whether a path passes something on at some place under at: some
// place that it matches is not taken by a stricter rule. Trying the path's own
// names, and a name that no rule holds for each `*`, finds one when there is one.
func (r *reference) live(p policy.Path, at place) bool {
	candidates := []place{at}
	for _, seg := range p[len(at):] {
		var next []place
		for _, c := range candidates {
			switch seg.Kind {
			case policy.AnyElement:
				next = append(next, append(slices.Clone(c), struct {
					name  string
					index bool
				}{"", true}))
			case policy.Member:
				next = append(next, append(slices.Clone(c), struct {
					name  string
					index bool
				}{seg.Name, false}))
			default:
				for _, n := range append(slices.Clone(vocabulary), "\x00other") {
					next = append(next, append(slices.Clone(c), struct {
						name  string
						index bool
					}{n, false}))
				}
			}
		}
		candidates = next
	}
	return slices.ContainsFunc(candidates, func(c place) bool {
		a, _, ok := r.action(c)
		return ok && a.Kind != policy.Drop && a.Kind != policy.Reject
	})
}

type dropped struct{}

// value returns what is shown of v, or dropped{}.
func (r *reference) value(v any, at place, shown bool) (any, error) {
	a, kind, ok := r.action(at)
	if ok && len(at) > 0 {
		switch a.Kind {
		case policy.Reject:
			return nil, errRejected
		case policy.Show:
			shown = true
		default:
			if err := r.rejectsInside(v, at); err != nil {
				return nil, err
			}
			if a.Kind == policy.Drop {
				return dropped{}, nil
			}
			return r.masked(v, a, kind), nil
		}
	}
	_, object := v.(map[string]any)
	_, array := v.([]any)
	if !shown && len(at) > 0 && !((object || array) && r.grantsBelow(at)) {
		return dropped{}, r.rejectsInside(v, at)
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, e := range v {
			m, err := r.value(e, child(at, name, false), shown)
			if err != nil {
				return nil, err
			}
			if m != (dropped{}) {
				out[name] = m
			}
		}
		return out, nil
	case []any:
		out := []any{}
		for _, e := range v {
			m, err := r.value(e, child(at, "", true), shown)
			if err != nil {
				return nil, err
			}
			if m != (dropped{}) {
				out = append(out, m)
			}
		}
		return out, nil
	}
	if len(at) == 0 {
		return nil, nil
	}
	return v, nil
}

func child(at place, name string, index bool) place {
	return append(slices.Clone(at), struct {
		name  string
		index bool
	}{name, index})
}

func (r *reference) rejectsInside(v any, at place) error {
	if a, _, ok := r.action(at); ok && a.Kind == policy.Reject && len(at) > 0 {
		return errRejected
	}
	switch v := v.(type) {
	case map[string]any:
		for name, e := range v {
			if err := r.rejectsInside(e, child(at, name, false)); err != nil {
				return err
			}
		}
	case []any:
		for _, e := range v {
			if err := r.rejectsInside(e, child(at, "", true)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reference) masked(v any, a policy.FieldAction, kind string) any {
	var text string
	switch v := v.(type) {
	case string:
		text = v
	case json.Number:
		if !r.opts.NumbersAsStrings {
			return nil
		}
		text = v.String()
	default:
		return nil
	}
	switch a.Kind {
	case policy.Mask:
		return ByKind(kind, text)
	case policy.Fixed:
		return a.Text
	case policy.Pseudonym:
		return string(appendPseudonym(nil, r.opts.PseudonymKey, kind, []byte(text)))
	}
	n, m := a.N, a.M
	if a.Kind == policy.Last {
		n, m = 0, a.N
	}
	runes := []rune(text)
	if len(runes) <= n+m {
		return strings.Repeat("*", len(runes))
	}
	return string(runes[:n]) + strings.Repeat("*", len(runes)-n-m) + string(runes[len(runes)-m:])
}

func decode(t interface{ Fatalf(string, ...any) }, in []byte) any {
	dec := json.NewDecoder(bytes.NewReader(in))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("not JSON: %v: %.200q", err, in)
	}
	if _, err := dec.Token(); err != io.EOF {
		t.Fatalf("data after the value: %.200q", in)
	}
	return v
}

// agree masks in both ways and compares.
func agree(t interface{ Fatalf(string, ...any) }, plan *Plan, ref *reference, in []byte) (out []byte, ok bool) {
	var buf bytes.Buffer
	_, err := plan.Apply(&buf, bytes.NewReader(in))
	switch code := ErrorCode(err); code {
	case "":
		if err != nil {
			t.Fatalf("an error without a code: %v", err)
		}
	case CodeRejected:
		if json.Valid(in) { // else the rejected field came before the fault
			if _, err := ref.value(decode(t, in), nil, false); err != errRejected {
				t.Fatalf("rejected, the reference does not (%v): %.300q", err, in)
			}
		}
		return nil, false
	case CodeDepth, CodeSize, CodeDuplicate, CodeUTF8:
		return nil, false
	case CodeSyntax:
		if json.Valid(in) && !strings.Contains(strings.ToLower(string(in)), `\ud`) { // half a surrogate pair is only refused here
			t.Fatalf("refused what is JSON: %v: %.300q", err, in)
		}
		return nil, false
	default:
		t.Fatalf("unexpected %v", err)
	}
	want, err := ref.value(decode(t, in), nil, false)
	if err != nil {
		t.Fatalf("accepted, the reference says %v: %.300q", err, in)
	}
	if got := decode(t, buf.Bytes()); !reflect.DeepEqual(got, want) {
		t.Fatalf("document  %s\nmasked    %s\nreference %v\nactions   %v", in, buf.Bytes(), want, ref.actions)
	}
	return buf.Bytes(), true
}

// vocabulary is the member names that generated plans and documents share, so
// that paths meet.
var vocabulary = []string{"data", "list", "name", "idCard", "a.b", "*"}

// Canaries are values that no generated plan shows: they stand only where a
// document's own generator knows that nothing is granted, or under masks.
var canaries = []string{"220102199003070013", "13800000000", "6222021000000000009", "canary"}

func drawPlan(t *rapid.T) (map[string]policy.FieldAction, map[string]string, Options) {
	path := rapid.Custom(func(t *rapid.T) string {
		var p policy.Path
		for range rapid.IntRange(1, 4).Draw(t, "segments") {
			switch rapid.IntRange(0, 5).Draw(t, "segment") {
			case 0:
				p = append(p, policy.Segment{Kind: policy.AnyElement})
			case 1:
				p = append(p, policy.Segment{Kind: policy.AnyMember})
			default:
				p = append(p, policy.Segment{Kind: policy.Member, Name: rapid.SampledFrom(vocabulary).Draw(t, "member")})
			}
		}
		return p.String()
	})
	action := rapid.SampledFrom([]string{"show", "show", "mask", "mask", "drop", "keep(1,2)", "last(1)", `fixed("已\"隐藏\"")`, "pseudonym", "reject"})
	actions, kinds := map[string]policy.FieldAction{}, map[string]string{}
	for range rapid.IntRange(0, 6).Draw(t, "rules") {
		a, err := policy.ParseAction(action.Draw(t, "action"))
		if err != nil {
			t.Fatal(err)
		}
		actions[path.Draw(t, "path")] = a
	}
	for range rapid.IntRange(0, 4).Draw(t, "kinds") {
		kinds[path.Draw(t, "kind path")] = rapid.SampledFrom([]string{KindName, KindResidentID, KindMobile, "other"}).Draw(t, "kind")
	}
	return actions, kinds, Options{NumbersAsStrings: rapid.Bool().Draw(t, "numbers"), PseudonymKey: []byte("0123456789abcdef")}
}

// drawDocument writes JSON text with odd but legal spellings.
func drawDocument(t *rapid.T, depth int, b *bytes.Buffer) {
	space := func() {
		b.WriteString(rapid.SampledFrom([]string{"", "", "", " ", "\n\t", "\r\n"}).Draw(t, "space"))
	}
	space()
	defer space()
	pick := rapid.IntRange(0, 9).Draw(t, "value")
	if depth > 0 && pick < 7 {
		pick %= 2
	}
	switch pick {
	case 0:
		b.WriteByte('{')
		names := rapid.SliceOfNDistinct(rapid.OneOf(rapid.SampledFrom(append(vocabulary, "Name", "")), rapid.String()), 0, 5, rapid.ID[string]).Draw(t, "names")
		for i, name := range names {
			if i > 0 {
				b.WriteByte(',')
			}
			space()
			b.Write(spell(t, name))
			space()
			b.WriteByte(':')
			drawDocument(t, depth-1, b)
		}
		space()
		b.WriteByte('}')
	case 1:
		b.WriteByte('[')
		for i := range rapid.IntRange(0, 4).Draw(t, "elements") {
			if i > 0 {
				b.WriteByte(',')
			}
			drawDocument(t, depth-1, b)
		}
		space()
		b.WriteByte(']')
	case 2:
		b.WriteString(rapid.SampledFrom([]string{"true", "false", "null"}).Draw(t, "literal"))
	case 3, 4:
		b.WriteString(rapid.SampledFrom([]string{"0", "-0", "1.50", "1e400", "10000000000000000999", "220102199003070013", "13800000000"}).Draw(t, "number"))
	case 5, 6:
		b.Write(spell(t, rapid.SampledFrom(canaries).Draw(t, "canary")))
	default:
		b.Write(spell(t, rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"张三", "欧阳娜娜", `{"idCard":"x"}`, "e\u0301"})).Draw(t, "text")))
	}
}

// spell writes a string in one of its many spellings.
func spell(t *rapid.T, s string) []byte {
	var b bytes.Buffer
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r < 0x10000 && (r < ' ' || r == '"' || r == '\\' || rapid.IntRange(0, 9).Draw(t, "escape") == 0):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.Bytes()
}

func TestMaskAgreesWithTheReferenceOnGeneratedPlansAndDocuments(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		actions, kinds, opts := drawPlan(t)
		plan, err := Compile(actions, kinds, opts)
		if err != nil {
			t.Fatal(err)
		}
		ref := newReference(actions, kinds, opts)
		for range 10 {
			var doc bytes.Buffer
			drawDocument(t, 4, &doc)
			agree(t, plan, ref, doc.Bytes())
		}
	})
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
