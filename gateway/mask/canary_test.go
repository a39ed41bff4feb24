package mask

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"
)

// The secrets that the documents below hold wherever nothing is granted. Their
// inner digits must not come out in any spelling.
var secrets = []string{"220102199003070013", "13812345678", "6222021000000000009", "EK8765432", "zhang.canary@example.cn"}

func inner(secret string) string { return secret[1 : len(secret)-1] }

// hostile writes documents of a fixed shape whose ungranted and masked places
// hold secrets in every disguise, and whose granted places hold plain text.
type hostile struct {
	*rand.Rand
	b bytes.Buffer
}

func (h *hostile) pick(list ...string) string { return list[h.IntN(len(list))] }

// secret writes a value that holds a secret somewhere.
func (h *hostile) secret(depth int) {
	s := h.pick(secrets...)
	switch n := h.IntN(11); {
	case n == 0 && s[0] < 'A':
		h.b.WriteString(s) // an identity number as a number
	case n == 1 && s[0] < 'A':
		h.b.WriteString(s + h.pick(".0", "e0", "E+1", "e400"))
	case n == 2:
		for _, r := range `"` + s + `"` {
			if r != '"' && h.IntN(2) == 0 {
				fmt.Fprintf(&h.b, `\u%04x`, r)
			} else {
				h.b.WriteRune(r)
			}
		}
	case n == 3: // full width
		h.b.WriteString(`"` + strings.Map(func(r rune) rune { return r - '!' + '！' }, s) + `"`)
	case n == 4: // nested JSON text
		q, _ := json.Marshal(`{"idCard":"` + s + `"}`)
		h.b.Write(q)
	case n == 5: // decomposed, among other text
		h.b.WriteString(`"e` + "\u0301" + ` ` + s + ` 号"`)
	case n == 6 && depth > 0:
		h.b.WriteByte('[')
		h.secret(depth - 1)
		h.b.WriteByte(',')
		h.secret(depth - 1)
		h.b.WriteByte(']')
	case n == 7 && depth > 0:
		h.b.WriteString(`{"name":`)
		h.secret(depth - 1)
		h.b.WriteString(`,"` + s + `":1,"n\u0061ME":`)
		h.secret(depth - 1)
		h.b.WriteByte('}')
	case n == 8:
		h.b.WriteString(`"<id>` + s + `</id>"`)
	case n == 9:
		h.b.WriteString(`"a,` + s + `,b\r\n"`)
	default:
		h.b.WriteString(`"` + s + `"`)
	}
}

// extras writes members that nothing grants.
func (h *hostile) extras() {
	for i := range h.IntN(3) {
		fmt.Fprintf(&h.b, `"%s%d":`, h.pick("x", "Name", "idcard", "身份证号", `n\u0061ma`, h.pick(secrets...)), i)
		h.secret(2)
		h.b.WriteByte(',')
	}
}

// document writes one document and returns what must be readable in the answer.
func (h *hostile) document() (control []string) {
	say := func(s string) string { control = append(control, s); return s }
	h.b.Reset()
	h.b.WriteByte('{')
	h.extras()
	fmt.Fprintf(&h.b, `"code":%s,"message":"%s","data":{`, say(h.pick("0", "200", "1.50")), say(h.pick("查询成功", `a\/b`, `\u6210`)))
	h.extras()
	h.b.WriteString(`"list":[`)
	for i := range h.IntN(4) {
		if i > 0 {
			h.b.WriteByte(',')
		}
		if h.IntN(6) == 0 { // not the object that was expected
			h.secret(1)
			continue
		}
		h.b.WriteByte('{')
		h.extras()
		for _, field := range []string{"idCard", "name", "mobile", "text", "gone", "card"} {
			h.b.WriteString(`"` + field + `":`)
			h.secret(1)
			h.b.WriteByte(',')
		}
		fmt.Fprintf(&h.b, `"note":"%s"}`, say(fmt.Sprintf("第%d行", h.IntN(1000))))
	}
	h.b.WriteString(`]}}`)
	return control
}

func hostilePlan(t testing.TB) *Plan {
	return compile(t, acts(t, "code=show", "message=show", "data.list[*].idCard=mask", "data.list[*].name=mask", "data.list[*].mobile=keep(1,1)",
		`data.list[*].text=fixed("…")`, "data.list[*].card=pseudonym", "data.list[*].note=show", "data.list[*].gone=drop"),
		map[string]string{"data.list[*].idCard": KindResidentID, "data.list[*].name": KindName}, Options{NumbersAsStrings: true, PseudonymKey: make([]byte, 16)})
}

// leak returns a secret that the answer lets through in any spelling.
func leak(out []byte) string {
	text := string(out)
	var v any
	if json.Unmarshal(out, &v) == nil {
		text += fmt.Sprintf("%v", v)
	}
	text += norm.NFKC.String(text)
	for _, s := range secrets {
		if strings.Contains(text, inner(s)) {
			return s
		}
	}
	return ""
}

// A hundred thousand documents: no leak, and nothing granted is lost.
func TestNoSecretLeavesInAnyDisguise(t *testing.T) {
	plan := hostilePlan(t)
	documents := 1000
	if testing.Short() {
		documents = 50
	}
	rapid.Check(t, func(t *rapid.T) {
		h := &hostile{Rand: rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))}
		for range documents {
			control := h.document()
			var out bytes.Buffer
			if _, err := plan.Apply(&out, bytes.NewReader(h.b.Bytes())); err != nil {
				t.Fatalf("%v: %s", err, h.b.Bytes())
			}
			if s := leak(out.Bytes()); s != "" {
				t.Fatalf("%s leaks:\n%s\n%s", s, h.b.Bytes(), out.Bytes())
			}
			if !json.Valid(out.Bytes()) {
				t.Fatalf("not JSON: %s", out.Bytes())
			}
			rest := out.String()
			for _, c := range control { // in order
				_, after, ok := strings.Cut(rest, c)
				if !ok {
					t.Fatalf("%q was granted and is missing:\n%s\n%s", c, h.b.Bytes(), out.Bytes())
				}
				rest = after
			}
		}
	})
}

func TestNoSecretLeavesInAnotherFormat(t *testing.T) {
	plan := hostilePlan(t)
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	fmt.Fprintf(z, `{"code":"%s"}`, secrets[0])
	z.Close()
	for _, body := range []string{
		`<?xml version="1.0"?><id>` + secrets[0] + `</id>`, "id,name\r\n" + secrets[0] + ",x\r\n", "id=" + secrets[0] + "&x=1",
		"--b\r\nContent-Type: application/json\r\n\r\n{\"id\":\"" + secrets[0] + "\"}\r\n--b--", zipped.String(), "data: {\"id\":\"" + secrets[0] + "\"}\n\n",
		`cb({"code":"` + secrets[0] + `"})`, `)]}'` + "\n" + `{"code":"` + secrets[0] + `"}`, "{\"code\":1}\n{\"code\":2}\n", "\x1e{\"code\":1}\n", "2025-01-01 ERROR " + secrets[0],
	} {
		if out, _, err := apply(t, plan, body); err == nil || out != "" {
			t.Errorf("%.40q: %q, %v", body, out, err)
		}
	}
	if out, _, err := apply(t, plan, `"`+secrets[0]+`"`); err != nil || out != "null" {
		t.Errorf("a bare string: %q, %v", out, err)
	}
}

// FuzzApply: the answer is JSON, agrees with the reference masker, holds no
// secret that the plan does not show, and is the same when read in two parts.
func FuzzApply(f *testing.F) {
	plans := []struct{ actions, kinds string }{
		{"code=show message=show data.list[*].idCard=mask data.list[*].name=mask data.list[*].mobile=keep(1,1)", "data.list[*].idCard=resident_id data.list[*].name=name"},
		{"data=show data.idCard=drop *.name=mask [*]=mask", "*.name=name [*]=mobile"},
		{"[*].*=last(1) [*].x=show a=reject *.b[*]=pseudonym", "[*].x=uscc"},
		{`*=fixed("x") a.b=show`, ""},
	}
	h := &hostile{Rand: rand.New(rand.NewPCG(1, 2))}
	for i := range uint8(8) {
		h.document()
		f.Add(bytes.Clone(h.b.Bytes()), i)
	}
	for _, s := range []string{`{"data":{"name":"张三","idCard":{"a":[1]}}}`, `{"n\u0061me":1}`, `[1.50,{"x":"\ud83d\ude00"}]`, `{"a":1,"a":2}`, "{\"a\":\"\xff\"}", `{"a":"\ud800"}`, `[[[`, ` null `} {
		f.Add([]byte(s), uint8(0))
	}
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		p := plans[int(which>>1)%len(plans)]
		kinds := map[string]string{}
		for _, s := range strings.Fields(p.kinds) {
			path, kind, _ := strings.Cut(s, "=")
			kinds[path] = kind
		}
		opts := Options{NumbersAsStrings: which&1 == 1, PseudonymKey: make([]byte, 16), MaxBytes: 1 << 20}
		actions := acts(t, strings.Fields(p.actions)...)
		out, ok := agree(t, compile(t, actions, kinds, opts), newReference(actions, kinds, opts), in)
		if !ok {
			return
		}
		if which>>1 == 0 {
			if s := leak(out); s != "" && !strings.Contains(string(in), "code") && !strings.Contains(string(in), "message") {
				t.Fatalf("%s leaks from %q: %q", s, in, out)
			}
		}
		// A body that is longer than the window is read in parts: the same bytes.
		var long bytes.Buffer
		padded := append(bytes.Repeat([]byte(" "), Window+7), in...)
		if _, err := compile(t, actions, kinds, opts).Apply(&long, bytes.NewReader(padded)); err != nil || !bytes.Equal(bytes.TrimLeft(long.Bytes(), " "), bytes.TrimLeft(out, " ")) {
			t.Fatalf("in parts: %v\n%q\n%q", err, long.Bytes(), out)
		}
	})
}
