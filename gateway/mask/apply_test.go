package mask

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/sealgate/sealgate/policy"
)

// acts parses actions written as "path=action".
func acts(t testing.TB, list ...string) map[string]policy.FieldAction {
	t.Helper()
	m := map[string]policy.FieldAction{}
	for _, s := range list {
		path, action, _ := strings.Cut(s, "=")
		a, err := policy.ParseAction(action)
		if err != nil {
			t.Fatal(err)
		}
		m[path] = a
	}
	return m
}

func compile(t testing.TB, actions map[string]policy.FieldAction, kinds map[string]string, opts Options) *Plan {
	t.Helper()
	p, err := Compile(actions, kinds, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// apply masks in and, on success, again in small reads, with the same result.
func apply(t testing.TB, p *Plan, in string) (string, Stats, error) {
	t.Helper()
	var out bytes.Buffer
	stats, err := p.Apply(&out, strings.NewReader(in))
	if err != nil && out.Len() > 0 && len(in) <= Window {
		t.Fatalf("%d bytes were sent in spite of %v", out.Len(), err)
	}
	if err == nil && stats.Bytes != int64(out.Len()) {
		t.Fatalf("stats say %d bytes, sent were %d", stats.Bytes, out.Len())
	}
	return out.String(), stats, err
}

var demoKinds = map[string]string{
	"data.name": KindName, "data.idCard": KindResidentID, "data.mobile": KindMobile,
	"data.list[*].name": KindName, "data.list[*].idCard": KindResidentID, "data.uscc": KindUSCC,
}

func TestMaskShowsGrantedFieldsAndNothingElse(t *testing.T) {
	for _, c := range []struct {
		name, in, want string
		actions        []string
	}{
		{"ungranted members are absent", `{"code":0,"message":"ok","data":{"name":"张三","idCard":"220102199003070013","x":1}}`,
			`{"data":{"name":"张三","idCard":"2****************3"}}`, []string{"data.name=show", "data.idCard=mask"}},
		{"a container on the way stays when it is empty", `{"data":{"x":1}}`, `{"data":{}}`, []string{"data.name=show"}},
		{"white space between what stays is kept", "{ \"code\" : 0 ,\n \"x\": [1 , 2],\t\"message\":\"ok\" }\n",
			"{ \"code\" : 0,\t\"message\":\"ok\" }\n", []string{"code=show", "message=show"}},
		{"the first member kept loses the comma before it", `{"a":1 , "b":2,"c":3}`, `{ "b":2,"c":3}`, []string{"b=show", "c=show"}},
		{"show passes the whole subtree", `{"data":{"a":[1.50,{"b":10000000000000000999}],"c":"\u0041"},"z":0}`,
			`{"data":{"a":[1.50,{"b":10000000000000000999}],"c":"\u0041"}}`, []string{"data=show"}},
		{"a longer path holds inside what is shown", `{"data":{"a":1,"name":"张三","b":{"name":"李四"}}}`,
			`{"data":{"a":1,"name":"张*","b":{"name":"李四"}}}`, []string{"data=show", "data.name=mask"}},
		{"array elements", `{"data":{"list":[{"name":"张三","x":1},{"x":2},7,"s",null,[{"name":"王五"}],{"name":"李四"}]}}`,
			`{"data":{"list":[{"name":"张*"},{},[],{"name":"李*"}]}}`, []string{"data.list[*].name=mask"}},
		{"a root array", `[{"x":1,"y":2},{"y":3}]`, `[{"x":1},{}]`, []string{"[*].x=show"}},
		{"a root array of scalars", `[1,"a",{"b":null}]`, `[1,"a",{"b":null}]`, []string{"[*]=show"}},
		{"any member", `{"a":{"x":1,"y":2},"b":{"x":3},"c":4}`, `{"a":{"x":1},"b":{"x":3}}`, []string{"*.x=show"}},
		{"names with dots and brackets", `{"a.b":{"[*]":1,"*":2},"a":{"b":3}}`, `{"a.b":{"[*]":1}}`, []string{`["a.b"]["[*]"]=show`}},
		{"a scalar on the way to a granted field is left out", `{"data":"220102199003070013","list":[1]}`, `{"list":[]}`, []string{"data.name=show", "list.name=show"}},
		{"a path through an array does not match an object", `{"data":{"x":1},"list":{"x":2}}`, `{"data":{"x":1},"list":{}}`,
			[]string{"data.x=show", "list[*].x=show"}},
		{"a path through an object does not match an array", `{"data":[{"x":1}]}`, `{"data":[]}`, []string{"data.x=show"}},
		{"everything dropped", ` [ 1 , 2 ] `, ` [ ] `, []string{"a=show"}},
		{"a scalar body tells nothing", `"220102199003070013"`, `null`, []string{"a=show"}},
		{"drop on an element", `[1,2,{"a":3}]`, `[]`, []string{"[*]=drop"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _, err := apply(t, compile(t, acts(t, c.actions...), demoKinds, Options{}), c.in)
			if err != nil || got != c.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, c.want)
			}
		})
	}
}

func TestMaskReplacesWhateverStandsAtAMaskedPath(t *testing.T) {
	for _, c := range []struct{ value, null, text string }{
		{`{"idCard":"220102199003070013"}`, "null", "null"},
		{`["220102199003070013"]`, "null", "null"},
		{`{}`, "null", "null"},
		{` [ ] `, "null", "null"},
		{`true`, "null", "null"},
		{`null`, "null", "null"},
		{`220102199003070013`, "null", `"2****************3"`},
		{`1.5e3`, "null", `"****"`},
		{`"220102199003070013"`, `"2****************3"`, `"2****************3"`},
		{`"2\u00320102199003070013"`, `"2****************3"`, `"2****************3"`},
		{`"２２０１０２１９９００３０７００１３"`, `"****"`, `"****"`},
		{`""`, `"****"`, `"****"`},
	} {
		in := `{"data":{"idCard":` + c.value + `,"name":"x"}}`
		for text, want := range map[bool]string{false: c.null, true: c.text} {
			got, _, err := apply(t, compile(t, acts(t, "data.idCard=mask"), demoKinds, Options{NumbersAsStrings: text}), in)
			got = strings.Replace(got, ": ", ":", 1) // white space before a value is free here
			if err != nil || got != `{"data":{"idCard":`+want+`}}` {
				t.Errorf("%s (numbers as strings: %v): %s, %v", c.value, text, got, err)
			}
		}
	}
}

func TestMaskedTextIsValidJSON(t *testing.T) {
	in := `{"a":"\"\\\n\u0000欧阳\ud83d\ude00","b":"x\"y"}`
	got, _, err := apply(t, compile(t, acts(t, "a=keep(4,1)", "b=last(1)"), nil, Options{}), in)
	if want := `{"a":"\"\\\n\u0000**😀","b":"**y"}`; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	got, _, err = apply(t, compile(t, acts(t, `a=fixed("已\"隐藏\"\n")`, "b=keep(1,1)"), nil, Options{}), in)
	if want := `{"a":"已\"隐藏\"\n","b":"x*y"}`; err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
}

func TestMaskComparesUnescapedNamesByteByByte(t *testing.T) {
	p := compile(t, acts(t, "name=mask", "data=show", "data.idCard=drop"), map[string]string{"name": KindName}, Options{})
	for in, want := range map[string]string{
		`{"n\u0061me":"张三"}`:                        `{"n\u0061me":"张*"}`,
		`{"Name":"张三","NAME":"李四","ｎame":"王五"}`:     `{}`,
		`{"data":{"idC\u0061rd":"1","idcard":"2"}}`: `{"data":{"idcard":"2"}}`,
		`{"name ":"张三"}`:                            `{}`,
	} {
		if got, _, err := apply(t, p, in); err != nil || got != want {
			t.Errorf("%s: %s, %v", in, got, err)
		}
	}
}

func TestMaskWithholdsBodyWhenSyntaxIsBroken(t *testing.T) {
	p := compile(t, acts(t, "data=show", "data.name=mask", "x=drop"), demoKinds, Options{MaxBytes: 1 << 20})
	deep := func(n int) string {
		return `{"data":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	for _, c := range []struct{ in, code string }{
		{``, CodeSyntax}, {` `, CodeSyntax}, {`{`, CodeSyntax}, {`{"data":`, CodeSyntax}, {`{"data":1`, CodeSyntax}, {`{"data":1,}`, CodeSyntax},
		{`{"data":[1,]}`, CodeSyntax}, {`{"data":1}x`, CodeSyntax}, {`{"data":1}{}`, CodeSyntax}, {`{"data":1} null`, CodeSyntax},
		{`{"data" 1}`, CodeSyntax}, {`{data:1}`, CodeSyntax}, {`{1:1}`, CodeSyntax}, {`{{}:1}`, CodeSyntax}, {`[1}`, CodeSyntax}, {`{"a":1]`, CodeSyntax},
		{`{"data":01}`, CodeSyntax}, {`{"data":NaN}`, CodeSyntax}, {`{"data":'a'}`, CodeSyntax}, {`{"data":"` + "\n" + `"}`, CodeSyntax},
		{`{"y":1 "data":2}`, CodeSyntax}, {`{"y":1,,"data":2}`, CodeSyntax}, {`[1 2]`, CodeSyntax}, {`{"x":{"a":tru}}`, CodeSyntax}, {`<a/>`, CodeSyntax},
		{`{"data":"\ud800"}`, CodeSyntax}, {"{\"data\":1}\x00", CodeSyntax},
		{`{"data":1,"data":2}`, CodeDuplicate}, {`{"data":1,"d\u0061ta":2}`, CodeDuplicate}, {`{"data":{"a":1,"a":1}}`, CodeDuplicate},
		{`{"x":{"a":1,"a":1}}`, CodeDuplicate}, {`{"data":{"name":{"a":1,"a":2}}}`, CodeDuplicate}, {`{"q":1,"q":2}`, CodeDuplicate},
		{"{\"data\":\"\xff\"}", CodeUTF8}, {"{\"\xc0\xaf\":1}", CodeUTF8}, {"{\"x\":\"\xed\xa0\x80\"}", CodeUTF8},
		{"{\"x\":\"\xd5\xc5\xc8\xfd\"}", CodeUTF8}, // GBK
		{"\xef\xbb\xbf{}", CodeUTF8}, {"\xff\xfe{\x00}\x00", CodeUTF8}, {"\xfe\xff\x00{\x00}", CodeUTF8}, {"{\x00}\x00", CodeUTF8}, {"\x00{\x00}", CodeUTF8},
		{deep(256), CodeDepth}, {deep(20_000), CodeDepth}, {`{"x":` + strings.Repeat(`{"a":`, 300) + "1" + strings.Repeat("}", 301), CodeDepth},
		{strings.Repeat("[", 100_000), CodeDepth},
		{`{"data":"` + strings.Repeat("x", 1<<20) + `"}`, CodeSize},
	} {
		out, _, err := apply(t, p, c.in)
		if ErrorCode(err) != c.code || out != "" {
			t.Errorf("%.60q: %v, %d bytes sent, want %s", c.in, err, len(out), c.code)
		}
		if e := new(Error); errors.As(err, &e) && !e.Withheld() {
			t.Errorf("%.60q: not withheld", c.in)
		}
	}
	if _, _, err := apply(t, p, deep(255)); err != nil {
		t.Errorf("just under the limit of depth: %v", err)
	}
	size := compile(t, acts(t, "a=show"), nil, Options{MaxBytes: 10})
	if _, _, err := apply(t, size, `{"a":1234}`); err != nil {
		t.Errorf("just under the limit of size: %v", err)
	}
	if _, _, err := apply(t, size, `{"a":12345}`); ErrorCode(err) != CodeSize {
		t.Errorf("just over the limit of size: %v", err)
	}
}

// KindInvalid of the decoder's PeekKind means an error as well as the end of
// the input; taking it for the end would pass a broken body on.
func TestMaskDoesNotTakeAnInvalidTokenForTheEndOfInput(t *testing.T) {
	p := compile(t, acts(t, "a=show", "[*]=show"), nil, Options{})
	for _, in := range []string{`{"a":1}#`, `{"a":1#}`, `{"a":#}`, `{#}`, `[1#]`, `[#]`, `[1,#]`, `#`, `[1]#`} {
		if out, _, err := apply(t, p, in); ErrorCode(err) != CodeSyntax || out != "" {
			t.Errorf("%s: %q, %v", in, out, err)
		}
	}
}

func TestMaskErrorsQuoteNothingOfTheBody(t *testing.T) {
	p := compile(t, acts(t, "data=show", "data.no=reject"), nil, Options{})
	for _, in := range []string{`{"canary":1,"canary":2}`, `{"data":canary}`, `{"data":{"no":"canary"}}`, `{"data":{"canary":{"canary":[}}}`} {
		if _, _, err := apply(t, p, in); err == nil || strings.Contains(fmt.Sprintf("%+v %v", err, errors.Unwrap(err)), "canary") {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestRejectWithholdsTheWholeAnswer(t *testing.T) {
	p := compile(t, acts(t, "data=show", "data.secret=reject", "gone=drop", "gone.secret=reject", "m=mask", "m[*].secret=reject"), nil, Options{})
	long := `"` + strings.Repeat("a", 3*Window) + `"`
	for _, in := range []string{
		`{"data":{"secret":1}}`, `{"data":{"secret":null}}`, `{"data":{"secret":{"a":1}}}`, `{"data":{"secret":[]}}`, `{"gone":{"secret":1}}`,
		`{"m":[{"secret":1}]}`, `{"data":{"x":[` + long + "," + long + `],"secret":1}}`,
	} {
		if out, _, err := apply(t, p, in); ErrorCode(err) != CodeRejected || out != "" {
			t.Errorf("%.60s: %v, %d bytes sent", in, err, len(out))
		}
	}
	if out, _, err := apply(t, p, `{"data":{"x":1},"gone":{"x":1},"m":[1]}`); err != nil || out != `{"data":{"x":1},"m":null}` {
		t.Errorf("%s, %v", out, err)
	}
}

func TestStreamingGivesTheSameBytesAsOnePass(t *testing.T) {
	p := compile(t, acts(t, "code=show", "data.list[*].name=mask", "data.list[*].note=show", "data.list[*].deep=show", "data.blob=show", "tail=show"), demoKinds, Options{})
	var in, want strings.Builder
	in.WriteString(`{"code":0,"data":{"drop":[`)
	want.WriteString(`{"code":0,"data":{`)
	for i := range 2000 {
		if i > 0 {
			in.WriteByte(',')
		}
		fmt.Fprintf(&in, `{"canary":"%d"}`, i)
	}
	in.WriteString(`],"list":[`)
	want.WriteString(`"list":[`)
	for i := range 2000 {
		if i > 0 {
			in.WriteString(",\n")
			want.WriteString(",\n")
		}
		fmt.Fprintf(&in, `{"canary":[%d],"name":"张三丰","note":"第 %d 行","canary2":{"a":[1,2]},"deep":{"a":[{"b":[%d]}]}}`, i, i, i)
		fmt.Fprintf(&want, `{"name":"张**","note":"第 %d 行","deep":{"a":[{"b":[%d]}]}}`, i, i)
	}
	blob := `"` + strings.Repeat(`长\u0041`, 30_000) + `"`
	in.WriteString(`],"blob":` + blob + `},"tail":[` + strings.Repeat("1,", 20_000) + "2]}\n")
	want.WriteString(`],"blob":` + blob + `},"tail":[` + strings.Repeat("1,", 20_000) + "2]}\n")
	for name, r := range map[string]io.Reader{
		"whole":  strings.NewReader(in.String()),
		"halves": iotest.HalfReader(strings.NewReader(in.String())),
		"bytes":  iotest.OneByteReader(strings.NewReader(in.String())),
		"eof":    iotest.DataErrReader(strings.NewReader(in.String())),
	} {
		var out bytes.Buffer
		stats, err := p.Apply(&out, r)
		if err != nil || out.String() != want.String() {
			t.Fatalf("%s: %v, %d bytes, want %d", name, err, out.Len(), want.Len())
		}
		diff := cmp.Diff(stats, Stats{Shown: []string{"code", "data.blob", "data.list[*].deep", "data.list[*].note", "tail"},
			Masked: []string{"data.list[*].name"}, Dropped: 1 + 2*2000, Rows: 2000 + 20_001, In: int64(in.Len()), Bytes: int64(want.Len())})
		if diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestStreamingSendsNothingBeforeTheFirstWindowIsChecked(t *testing.T) {
	p := compile(t, acts(t, "[*]=show"), nil, Options{})
	for at, sent := range map[int]bool{Window - 100: false, 4 * Window: true} {
		in := "[" + strings.Repeat("1,", at/2) + "#]"
		out, stats, err := apply(t, p, in)
		var e *Error
		if !errors.As(err, &e) || e.Code() != CodeSyntax || e.Withheld() == sent || e.Sent != int64(len(out)) || stats.Bytes != e.Sent {
			t.Errorf("fault at %d: %v, sent %d", at, err, len(out))
		}
		if !strings.HasPrefix(in, out) || len(out) > at+2 {
			t.Errorf("fault at %d: what was sent is not the start of the answer", at)
		}
	}
}

func TestTransportErrorsAreToldApart(t *testing.T) {
	p := compile(t, acts(t, "[*]=show"), nil, Options{})
	broken := errors.New("connection reset")
	for _, size := range []int{10, 5 * Window} {
		var out bytes.Buffer
		_, err := p.Apply(&out, io.MultiReader(strings.NewReader("["+strings.Repeat("1,", size/2)), iotest.ErrReader(broken)))
		if ErrorCode(err) != CodeUpstream || !errors.Is(err, broken) {
			t.Errorf("upstream breaks after %d: %v", size, err)
		}
		_, err = p.Apply(failingWriter{broken}, strings.NewReader("["+strings.Repeat("1,", size/2)+"1]"))
		if e, ok := errors.AsType[*Error](err); !ok || !e.ClientGone() || e.Code() != "" || !errors.Is(err, broken) {
			t.Errorf("client breaks at %d: %v", size, err)
		}
	}
	if _, err := p.Apply(io.Discard, stuck{}); ErrorCode(err) != CodeUpstream {
		t.Errorf("a reader that gives nothing: %v", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

type sized struct {
	bytes.Buffer
	size  int64
	calls int
}

func (s *sized) SetSize(n int64) { s.size, s.calls = n, s.calls+1 }

func TestSizeIsKnownBeforeAShortAnswerIsWritten(t *testing.T) {
	p := compile(t, acts(t, "a=show"), nil, Options{})
	for _, padding := range []int{0, 3 * Window} {
		var out sized
		if _, err := p.Apply(&out, strings.NewReader(`{"pad":"`+strings.Repeat("x", padding)+`","a":12}`)); err != nil || out.calls != 1 || out.size != int64(out.Len()) {
			t.Errorf("padding %d: %v, size %d of %d, %d calls", padding, err, out.size, out.Len(), out.calls)
		}
	}
	var out sized
	if _, err := p.Apply(&out, strings.NewReader(`{"a":[`+strings.Repeat("1,", Window)+`1]}`)); err != nil || out.calls != 0 {
		t.Errorf("a long answer: %v, %d calls", err, out.calls)
	}
}

func TestObserverSeesIdentifiersAlsoWhereTheyAreLeftOut(t *testing.T) {
	kinds := map[string]string{"data.idCard": KindResidentID, "data.name": KindName, "hidden.list[*].m": KindMobile, "masked.card": KindBankCard, "data.n": KindMobile}
	var seen []string
	p := compile(t, acts(t, "data=show", "masked=mask"), kinds, Options{}).
		WithObserver(func(kind string, value []byte) { seen = append(seen, kind+":"+string(value)) })
	in := `{"data":{"idCard":"22\u0030102199003070013","name":"张三","n":13800000000},"hidden":{"list":[{"m":"13900000000"},{"m":null}]},"masked":{"card":"6222021000000000009"}}`
	if _, _, err := apply(t, p, in); err != nil {
		t.Fatal(err)
	}
	want := []string{"resident_id:220102199003070013", "mobile:13800000000", "mobile:13900000000", "bank_card:6222021000000000009"}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
}

func TestStatsNamePathsAsWritten(t *testing.T) {
	p := compile(t, acts(t, `["data"].name=mask`, "data.uscc=mask", "data.absent=show", "data.gone=drop"),
		map[string]string{"data.name": KindName, "data.uscc": KindUSCC}, Options{})
	out, stats, err := apply(t, p, `{"data":{"name":"张三","uscc":"91\u0032201011234567890","gone":1,"x":[1,2,3]}}`)
	if want := `{"data":{"name":"张*","uscc":"91\u0032201011234567890"}}`; err != nil || out != want {
		t.Errorf("%s, %v", out, err)
	}
	if diff := cmp.Diff(stats, Stats{Shown: []string{"data.uscc"}, Masked: []string{`["data"].name`}, Dropped: 2, Rows: 1,
		In: stats.In, Bytes: stats.Bytes}); diff != "" {
		t.Error(diff)
	}
}
