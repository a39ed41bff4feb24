package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name   string           `yaml:"name" json:"name,omitempty"`
	Listen string           `yaml:"listen" json:"listen,omitempty"`
	Count  int              `yaml:"count" json:"count,omitempty"`
	Small  uint8            `yaml:"small" json:"small,omitempty"`
	On     bool             `yaml:"on_off" json:"on_off,omitempty"`
	Every  Duration         `yaml:"every" json:"every,omitempty"`
	Max    Size             `yaml:"max" json:"max,omitempty"`
	List   []string         `yaml:"list" json:"list,omitempty"`
	Fields map[string]inner `yaml:"fields" json:"fields,omitempty"`
	Inner  *inner           `yaml:"inner" json:"inner,omitempty"`
	Hidden string           `yaml:"-" json:"-"`
	Pos    Pos              `yaml:"-" json:"-"`
}

type inner struct {
	Grade int    `yaml:"grade" json:"grade,omitempty"`
	Kind  string `yaml:"kind" json:"kind,omitempty"`
	Pos   Pos    `yaml:"-" json:"-"`
}

func TestDecodeFillsEveryKindOfField(t *testing.T) {
	var s sample
	err := Decode([]byte(`# a comment
name: 省人力资源和社会保障厅
listen: "127.0.0.1:8443" # behind a value
count: -12
small: 255
on_off: true
every: 1m30s
max: 8MiB
list: [a, 'b', "c"]
fields:
  "data.list[*].idCard": {grade: 3, kind: resident_id}
  data.name:
    grade: 2
inner:
  kind: |
    two
    lines
`), &s)
	if err != nil {
		t.Fatal(err)
	}
	want := sample{Name: "省人力资源和社会保障厅", Listen: "127.0.0.1:8443", Count: -12, Small: 255, On: true,
		Every: Duration(90 * time.Second), Max: 8 << 20, List: []string{"a", "b", "c"}, Pos: Pos{2, 1},
		Fields: map[string]inner{"data.list[*].idCard": {3, "resident_id", Pos{11, 26}}, "data.name": {2, "", Pos{13, 5}}},
		Inner:  &inner{0, "two\nlines\n", Pos{15, 3}}}
	if !reflect.DeepEqual(s, want) {
		t.Errorf("got  %+v\nwant %+v", s, want)
	}
}

func TestDecodeRefusesWhatIsOutsideTheSubset(t *testing.T) {
	deepFlow := strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1)
	deepBlock := ""
	for i := range MaxDepth + 2 {
		deepBlock += strings.Repeat(" ", i) + "a:\n"
	}
	for _, c := range []struct{ name, in, want string }{
		{"unknown key", "name: x\nlistne: y\n", `line 2, column 1: unknown key "listne" (nearest: "listen")`},
		{"unknown key without neighbour", "zebra: y\n", `line 1, column 1: unknown key "zebra"`},
		{"unknown nested key", "fields:\n  a: {grad: 1}\n", `line 2, column 7: unknown key "grad" (nearest: "grade")`},
		{"untagged field", "Hidden: y\n", `unknown key "Hidden"`},
		{"pos is not a key", "Pos: y\n", `unknown key "Pos"`},
		{"key in other case", "Name: y\n", `unknown key "Name" (nearest: "name")`},
		{"duplicate key", "name: x\ncount: 1\nname: y\n", `line 3, column 1: duplicate key "name", first on line 1`},
		{"duplicate key in flow", "inner: {kind: a, kind: b}\n", `duplicate key "kind"`},
		{"duplicate key quoted", "name: x\n\"name\": y\n", `duplicate key "name"`},
		{"anchor", "name: &a x\n", "anchors (&) are refused"},
		{"alias", "name: *a\n", "aliases (*) are refused"},
		{"merge key", "inner:\n  <<: {kind: a}\n", "merge keys (<<) are refused"},
		{"tag", "name: !!str 5\n", "tags (!) are refused"},
		{"directive", "%YAML 1.2\n---\nname: x\n", "directives (%) are refused"},
		{"two documents", "name: x\n---\nname: y\n", "more than one document"},
		{"explicit key", "? name\n: x\n", "explicit keys (?) are refused"},
		{"number as key", "fields: {1: {}}\n", "a key must be text"},
		{"null as key", "fields: {null: {}}\n", "a key must be text"},
		{"empty", "", "document is empty"},
		{"only a comment", "# nothing\n", "document is empty"},
		{"only a header", "---\n", "document is empty"},
		{"a list at the top", "- a\n", "want a mapping, not a list"},
		{"text at the top", "hello\n", "want a mapping, not text"},
		{"value missing", "name:\ncount: 1\n", "line 1, column 6: a value is missing"},
		{"null", "list: ~\n", "a value is missing"},
		{"number for text", "name: 220000\n", "want text: put quotes around 220000"},
		{"bool for text", "name: true\n", "want text: put quotes around true"},
		{"list for text", "name: [a]\n", "want text, not a list"},
		{"text for number", "count: abc\n", "want a whole decimal number, not text"},
		{"quoted number", "count: \"5\"\n", "want a whole decimal number, not text"},
		{"octal", "count: 010\n", "want a whole decimal number, not the number 010"},
		{"hexadecimal", "count: 0x10\n", "want a whole decimal number"},
		{"underscores", "count: 1_000\n", "want a whole decimal number"},
		{"fraction", "count: 1.5\n", "want a whole decimal number"},
		{"infinity", "count: .inf\n", "want a whole decimal number"},
		{"out of range", "small: 256\n", "number 256 is out of range"},
		{"negative for unsigned", "small: -1\n", "out of range"},
		{"yes for bool", "on_off: yes\n", "want true or false, not text"},
		{"capital bool", "on_off: True\n", "want true or false"},
		{"text for list", "list: a\n", "want a list, not text"},
		{"list for mapping", "inner: [a]\n", "want a mapping, not a list"},
		{"duration without unit", "every: \"5\"\n", "want a duration with its unit"},
		{"negative duration", "every: -5s\n", "want a duration with its unit"},
		{"size without unit", "max: \"8\"\n", "want a size with its unit"},
		{"decimal size unit", "max: 8MB\n", "want a size with its unit"},
		{"size overflow", "max: 99999999TiB\n", "want a size with its unit"},
		{"tab indentation", "inner:\n\tkind: a\n", "line 2"},
		{"invalid UTF-8", "name: \xff\n", "line 1, column 7: not valid UTF-8"},
		{"NUL", "name: a\x00b\n", "control character U+0000"},
		{"byte order mark", "\ufeffname: a\n", "control character U+FEFF"},
		{"lone CR", "name: a\rcount: 1\n", "control character U+000D"},
		{"unclosed quote", "name: \"a\n", "line 1"},
		{"unclosed flow", "list: [a, b\n", "line 1"},
		{"bad indentation", "inner:\n   kind: a\n  grade: 1\n", "line"},
		{"deep flow", "list: " + deepFlow, "nested deeper than 64 levels"},
		{"deep block", deepBlock, "nested deeper than 64 levels"},
		{"far indentation", strings.Repeat("- ", 5000) + "a\n", "indented further than"},
		{"a bomb of brackets", strings.Repeat("[", 1<<20), "nested deeper"},
		{"a bomb of braces", strings.Repeat("{a: ", 1<<18), "nested deeper"},
		{"a bomb of question marks", strings.Repeat("? ", 1<<18), "refused"},
		{"too many keys", manyKeys(MaxKeys + 1), "more than 10000 keys in one mapping"},
		{"too many keys in a list", "list:\n  - " + strings.ReplaceAll(manyKeys(MaxKeys+1), "\n", "\n    "), "more than 10000 keys in one mapping"},
		{"too large", "# " + strings.Repeat("x", MaxSize), "more than 8388608 are refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s sample
			err := Decode([]byte(c.in), &s)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			if !strings.Contains(e.Error(), c.want) {
				t.Errorf("got  %s\nwant %s", e, c.want)
			}
			if strings.ContainsAny(e.Error(), "\r\n") {
				t.Errorf("error has several lines: %q", e)
			}
			if e.Code() != "SG-CONFIG-INVALID" {
				t.Errorf("code %s", e.Code())
			}
		})
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d: {}\n", i)
	}
	return b.String()
}

// largeDocument is at the limit on keys of one mapping, where the YAML parser
// is slowest: its cost grows with their square, which is why there is a limit.
func largeDocument() []byte {
	var b strings.Builder
	b.WriteString("list:\n")
	for i := range 50_000 {
		fmt.Fprintf(&b, "  - entry %d\n", i)
	}
	b.WriteString("fields:\n  " + strings.ReplaceAll(strings.TrimSuffix(manyKeys(MaxKeys), "\n"), "\n", "\n  ") + "\n")
	return []byte(b.String())
}

func TestDocumentAtTheLimitsIsRead(t *testing.T) {
	var s sample
	if err := Decode(largeDocument(), &s); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkDecodeAtTheLimits(b *testing.B) {
	data := largeDocument()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		var s sample
		if err := Decode(data, &s); err != nil {
			b.Fatal(err)
		}
	}
}

func TestUnknownKeyErrorCarriesKeyAndNearest(t *testing.T) {
	var s sample
	var e *Error
	if err := Decode([]byte("name: a\ninner:\n  gradee: 1\n"), &s); !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Line != 3 || e.Column != 3 || e.Key != "gradee" || e.Nearest != "grade" {
		t.Errorf("got %+v", e)
	}
}

func TestDecodeReportsEveryProblemInTheDocumentsOrder(t *testing.T) {
	var s sample
	err := Decode([]byte("nmae: x\ncount: many\nfields:\n  a: {grad: 1}\nlist: [a, 1]\n"), &s)
	e, ok := err.(*Error)
	if !ok || len(e.More) != 3 {
		t.Fatalf("%v, %d more", err, len(e.More))
	}
	for i, p := range append([]*Error{e}, e.More...) {
		if p.Line != []int{1, 2, 4, 5}[i] {
			t.Error(p)
		}
	}
	err = Decode([]byte("list: ["+strings.Repeat("1,", 200)+"1]\n"), &s)
	if e := err.(*Error); len(e.More) != maxProblems-1 {
		t.Errorf("%d more", len(e.More))
	}
}

func TestErrorsNeverQuoteValues(t *testing.T) {
	for _, in := range []string{
		"count: s3cr3t-value\n", "on_off: s3cr3t-value\n", "list: s3cr3t-value\n", "every: s3cr3t-value\n",
		"max: s3cr3t-value\n", "inner: s3cr3t-value\n", "name: \"s3cr3t-value\n", "name: [s3cr3t-value\n", "name: a\n s3cr3t-value: b\n",
	} {
		var s sample
		if err := Decode([]byte(in), &s); err == nil || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestPositionsOfLaterJudgements(t *testing.T) {
	doc, err := Parse([]byte("list:\n  - a\n  - b\nfields:\n  x: {grade: 1}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path []any
		want Pos
	}{
		{nil, Pos{1, 1}}, {[]any{"list", 1}, Pos{3, 5}}, {[]any{"fields", "x", "grade"}, Pos{5, 14}},
		{[]any{"list", 9}, Pos{2, 3}}, {[]any{"absent"}, Pos{1, 1}},
	} {
		if got := doc.At(c.path...); got != c.want {
			t.Errorf("At(%v) = %v, want %v", c.path, got, c.want)
		}
	}
	if got := doc.Errorf(Pos{3, 5}, "no system %q", "b").Error(); got != `line 3, column 5: no system "b"` {
		t.Error(got)
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.yaml")
	if err := os.WriteFile(path, []byte("name: a\nnmae: b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	doc, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s sample
	if err := doc.Decode(&s); err == nil || err.Error() != path+`:2:1: unknown key "nmae" (nearest: "name")` {
		t.Error(err)
	}
	if _, err := ReadFile(filepath.Join(dir, "none.yaml")); err == nil || !strings.Contains(err.Error(), "none.yaml: no such file") {
		t.Error(err)
	}
	if _, err := ReadFile(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Error(err)
	}
}

func TestSizeText(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Size
	}{{"0B", 0}, {"512B", 512}, {"64KiB", 64 << 10}, {"8MiB", 8 << 20}, {"1GiB", 1 << 30}, {"8388607TiB", 8388607 << 40}} {
		var s Size
		if err := s.UnmarshalText([]byte(c.in)); err != nil || s != c.want || s.String() != c.in {
			t.Errorf("%s: %v %v", c.in, s, err)
		}
	}
	for _, in := range []string{"", "5", "MiB", "05MiB", "-1B", "1 MiB", "1mib", "1.5MiB", "8388608TiB", "99999999999999999999B"} {
		var s Size
		if err := s.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q was read as %v", in, s)
		}
	}
}

func TestNearest(t *testing.T) {
	keys := []string{"listen", "limits", "tls", "zone", "trusted_proxies"}
	for in, want := range map[string]string{"listne": "listen", "Listen": "listen", "lister": "listen", "tsl": "tls", "trusted": "trusted_proxies",
		"zones": "zone", "q": "", "": "", "password": "", "limit": "limits"} {
		if got := Nearest(in, keys); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

// FuzzDecode: no input makes it panic or hang, every refusal is an *Error of
// one line, and what is accepted comes back unchanged after being written and
// read again.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"name: x\n", "list: [a, b]\ninner: {grade: 1}\n", "fields:\n  a.b:\n    kind: x\n", "name: |\n  a\n  b\n",
		"every: 3s\nmax: 8MiB\n", "name: 'it''s'\n", "name: \"\\u4e2d\"\n", "&a name: *a", "<<: {}", "? a", "- - - a", "name: >-\n a\n", "{", "[[[["} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var first sample
		if err := Decode(data, &first); err != nil {
			var e *Error
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("bad refusal: %q", err)
			}
			return
		}
		out, err := json.Marshal(first) // JSON is inside the subset
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(out)) == "{}" {
			return
		}
		var second sample
		if err := Decode(out, &second); err != nil {
			t.Fatalf("%v\nfrom %q\nout  %q", err, data, out)
		}
		strip := func(s *sample) {
			s.Pos = Pos{}
			if s.Inner != nil {
				s.Inner.Pos = Pos{}
			}
			for k, v := range s.Fields {
				v.Pos = Pos{}
				s.Fields[k] = v
			}
			if len(s.List) == 0 {
				s.List = nil
			}
			if len(s.Fields) == 0 {
				s.Fields = nil
			}
		}
		strip(&first)
		strip(&second)
		if !reflect.DeepEqual(first, second) {
			t.Fatalf("changed by writing and reading:\n%+v\n%+v\nfrom %q\nout  %q", first, second, data, out)
		}
	})
}
