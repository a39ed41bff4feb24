package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

var (
	decimal     = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,18})$`)
	posType     = reflect.TypeFor[Pos]()
	unmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// Decode fills v, a non-nil pointer. Fields are matched by their yaml tag and
// by nothing else; a field without a tag, or tagged "-", is not touched, except
// that a field of type Pos receives the place of the mapping that filled the
// struct. Supported: structs, maps with string keys, slices, pointers, strings,
// bools, integers, and types with UnmarshalText (from text only). Embedded
// structs are not flattened.
func (d *Document) Decode(v any) error {
	rv := reflect.ValueOf(v)
	if rv.Kind() != reflect.Pointer || rv.IsNil() {
		return &Error{File: d.file, Message: fmt.Sprintf("cannot decode into %T: want a pointer", v)}
	}
	problems := decode(d.root, rv.Elem())
	if len(problems) == 0 {
		return nil
	}
	for _, p := range problems {
		p.File = d.file
	}
	first := problems[0]
	first.More = problems[1:min(len(problems), maxProblems)]
	return first
}

// decode goes on behind a problem, so that a person sees all of them at once.
func decode(n ast.Node, v reflect.Value) []*Error {
	if _, null := n.(*ast.NullNode); !null && !takesText(v) {
		switch v.Kind() {
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			return decode(n, v.Elem())
		case reflect.Struct:
			return decodeStruct(n, v)
		case reflect.Map:
			return decodeMap(n, v)
		case reflect.Slice:
			return decodeSlice(n, v)
		}
	}
	if err := decodeScalar(n, v); err != nil {
		return []*Error{err}
	}
	return nil
}

func takesText(v reflect.Value) bool {
	return v.CanAddr() && v.Addr().Type().Implements(unmarshaler)
}

func decodeScalar(n ast.Node, v reflect.Value) *Error {
	if _, null := n.(*ast.NullNode); null {
		return errorAt(posOf(n), "a value is missing (leave the key out instead)")
	}
	if takesText(v) {
		return decodeText(n, v.Addr().Interface().(encoding.TextUnmarshaler))
	}
	switch v.Kind() {
	case reflect.String:
		s, err := text(n)
		if err != nil {
			return err
		}
		v.SetString(s)
		return nil
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if raw := rawOf(n); !ok || raw != "true" && raw != "false" {
			return errorAt(posOf(n), "want true or false, not %s", describe(n))
		}
		v.SetBool(b.Value)
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return decodeInteger(n, v)
	}
	return errorAt(posOf(n), "the program cannot hold this value (%s)", v.Type())
}

func decodeText(n ast.Node, into encoding.TextUnmarshaler) *Error {
	s, err := text(n)
	if err != nil {
		return err
	}
	if err := into.UnmarshalText([]byte(s)); err != nil {
		return errorAt(posOf(n), "%v", err)
	}
	return nil
}

func text(n ast.Node) (string, *Error) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, nil
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return "", errorAt(posOf(n), "want text: put quotes around %s", rawOf(n))
	}
	return "", errorAt(posOf(n), "want text, not %s", describe(n))
}

func decodeInteger(n ast.Node, v reflect.Value) *Error {
	raw := rawOf(n)
	if _, ok := n.(*ast.IntegerNode); !ok || !decimal.MatchString(raw) {
		return errorAt(posOf(n), "want a whole decimal number, not %s", describe(n))
	}
	if v.CanInt() {
		i, err := strconv.ParseInt(raw, 10, v.Type().Bits())
		if err != nil {
			return errorAt(posOf(n), "number %s is out of range", raw)
		}
		v.SetInt(i)
		return nil
	}
	u, err := strconv.ParseUint(raw, 10, v.Type().Bits())
	if err != nil {
		return errorAt(posOf(n), "number %s is out of range", raw)
	}
	v.SetUint(u)
	return nil
}

func decodeSlice(n ast.Node, v reflect.Value) (problems []*Error) {
	q, ok := n.(*ast.SequenceNode)
	if !ok {
		return []*Error{errorAt(posOf(n), "want a list, not %s", describe(n))}
	}
	out := reflect.MakeSlice(v.Type(), len(q.Values), len(q.Values))
	for i, e := range q.Values {
		problems = append(problems, decode(e, out.Index(i))...)
	}
	v.Set(out)
	return problems
}

func decodeMap(n ast.Node, v reflect.Value) (problems []*Error) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return []*Error{errorAt(posOf(n), "want a mapping, not %s", describe(n))}
	}
	if v.Type().Key().Kind() != reflect.String {
		return []*Error{errorAt(posOf(n), "the program cannot hold this value (%s)", v.Type())}
	}
	out := reflect.MakeMapWithSize(v.Type(), len(m.Values))
	for _, kv := range m.Values {
		k, _, _ := keyOf(kv) // checked by Parse
		e := reflect.New(v.Type().Elem()).Elem()
		problems = append(problems, decode(kv.Value, e)...)
		out.SetMapIndex(reflect.ValueOf(k).Convert(v.Type().Key()), e)
	}
	v.Set(out)
	return problems
}

func decodeStruct(n ast.Node, v reflect.Value) (problems []*Error) {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		return []*Error{errorAt(posOf(n), "want a mapping, not %s", describe(n))}
	}
	fields, known := fieldsOf(v.Type())
	for _, kv := range m.Values {
		k, p, _ := keyOf(kv)
		i, ok := fields[k]
		if !ok {
			e := errorAt(p, "unknown key %q", k)
			e.Key, e.Nearest = k, Nearest(k, known)
			problems = append(problems, e)
			continue
		}
		problems = append(problems, decode(kv.Value, v.Field(i))...)
	}
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() == posType && f.CanSet() {
			f.Set(reflect.ValueOf(posOf(n)))
		}
	}
	return problems
}

func fieldsOf(t reflect.Type) (byTag map[string]int, names []string) {
	byTag = make(map[string]int, t.NumField())
	for i := range t.NumField() {
		f := t.Field(i)
		tag, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if tag == "" || tag == "-" || !f.IsExported() {
			continue
		}
		byTag[tag] = i
		names = append(names, tag)
	}
	slices.Sort(names)
	return byTag, names
}

func rawOf(n ast.Node) string {
	if t := n.GetToken(); t != nil {
		return t.Value
	}
	return ""
}

// describe names a node's kind. It never quotes text, which may be a secret
// that stands in the wrong place.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "the number " + rawOf(n)
	case *ast.BoolNode:
		return rawOf(n)
	}
	return "this"
}

// Nearest returns the candidate that a person most likely meant by word: the
// one with the fewest edits, when these are at most one and a quarter of the
// longer word's length, else one of which word is the beginning or that is the
// beginning of word. It returns "" when none is near.
func Nearest(word string, candidates []string) string {
	best, bestCost := "", 1<<30
	w := strings.ToLower(word)
	if len(w) > 100 {
		return ""
	}
	for _, c := range candidates {
		lc := strings.ToLower(c)
		cost := distance(w, lc)
		near := cost <= 1+max(len(w), len(lc))/4
		if !near && len(w) >= 3 && (strings.HasPrefix(lc, w) || strings.HasPrefix(w, lc) && len(lc) >= 3) {
			near, cost = true, cost+2
		}
		if near && cost < bestCost && cost < max(len(w), len(lc)) {
			best, bestCost = c, cost
		}
	}
	return best
}

// distance is the edit distance with transposition of neighbours (optimal
// string alignment), by bytes.
func distance(a, b string) int {
	prev2, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}
