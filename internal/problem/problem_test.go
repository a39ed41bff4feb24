package problem

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite docs/errors.md")

func TestErrorsDocumentIsUpToDate(t *testing.T) {
	path := filepath.Join("..", "..", "docs", "errors.md")
	want := Document()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/errors.md is not what the table says: run make docs")
	}
}

func TestTableIsCompleteAndConsistent(t *testing.T) {
	form := regexp.MustCompile(`^SG-[A-Z]+(-[A-Z0-9]+)*$`)
	han := regexp.MustCompile(`\p{Han}`)
	allowed := map[string][]int{"HTTP": {400, 408, 413, 415, 431, 501}, "AUTHN": {401}, "ROUTE": {404}, "AUTHZ": {403}, "LIMIT": {429},
		"MASK": {502, 504}, "UPSTREAM": {502, 504}, "AUDIT": {503}, "POLICY": {503, 422}, "STOP": {503}, "SEAL": {409, 422}, "KEY": {503},
		"CONFIG": {422}, "INTERNAL": {500}}
	seen := map[string]bool{}
	for _, f := range Families() {
		for _, e := range f.Entries {
			if !form.MatchString(e.Code) || !strings.HasPrefix(e.Code, "SG-"+f.Name) {
				t.Errorf("%s: code does not fit family %s", e.Code, f.Name)
			}
			if seen[e.Code] {
				t.Errorf("%s is there twice", e.Code)
			}
			seen[e.Code] = true
			ok := false
			for _, s := range allowed[f.Name] {
				ok = ok || s == e.Status
			}
			if !ok {
				t.Errorf("%s: status %d is not one of its family", e.Code, e.Status)
			}
			if e.Status == 429 && e.RetryAfter == 0 {
				t.Errorf("%s: 429 without Retry-After", e.Code)
			}
			for _, s := range []string{e.TitleZH, e.DetailZH, e.HintZH} {
				if !han.MatchString(s) {
					t.Errorf("%s: %q has no Chinese", e.Code, s)
				}
			}
			for _, s := range []string{e.Title, e.Detail, e.Hint} {
				if s == "" || han.MatchString(s) {
					t.Errorf("%s: %q is not English", e.Code, s)
				}
			}
		}
	}
}

type codeError struct {
	code   string
	public bool
	after  int
}

func (e codeError) Error() string   { return "secret inside text" }
func (e codeError) Code() string    { return e.code }
func (e codeError) RetryAfter() int { return e.after }
func (e codeError) Public() (string, string) {
	if e.public {
		return "公开说明", "public words"
	}
	return "", ""
}

func TestErrorsWithACodeGetTheirDocument(t *testing.T) {
	p, known := FromError(fmt.Errorf("wrapped: %w", codeError{code: "SG-AUTHN-REPLAY"}), "r1")
	if !known || p.Status != 401 || p.Code != "SG-AUTHN-REPLAY" || p.RequestID != "r1" || p.Type != "urn:sealgate:problem:sg-authn-replay" {
		t.Errorf("got %+v", p)
	}
	if strings.Contains(string(p.Bytes()), "secret") {
		t.Error("the text of the error is in the document")
	}
	p, _ = FromError(codeError{code: "SG-HTTP-SYNTAX", public: true}, "r1")
	if p.Detail != "public words" || p.DetailZH != "公开说明" {
		t.Errorf("got %+v", p)
	}
	if p, known = FromError(Coded("SG-ROUTE-NOT-FOUND"), "r"); !known || p.Status != 404 {
		t.Errorf("got %+v", p)
	}
}

func TestUnknownErrorsBecomeInternalWithoutTheirText(t *testing.T) {
	for _, err := range []error{errors.New("secret inside text"), codeError{code: "SG-NO-SUCH"}, codeError{code: ""}, Coded(Internal), nil} {
		p, known := FromError(err, "r2")
		if known || p.Code != Internal || p.Status != 500 || p.RequestID != "r2" {
			t.Errorf("%v: %v %+v", err, known, p)
		}
		if strings.Contains(string(p.Bytes()), "secret") {
			t.Error("the text of the error is in the document")
		}
	}
	if p := New("SG-NO-SUCH", ""); p.Code != Internal {
		t.Errorf("an undocumented code was sent: %+v", p)
	}
}

func TestWriteSendsOneWholeDocument(t *testing.T) {
	for _, c := range []struct {
		code, header, want string
	}{
		{"SG-AUTHN-MISSING", "WWW-Authenticate", "SG1"},
		{"SG-LIMIT-RATE", "Retry-After", "1"},
		{"SG-ROUTE-NOT-FOUND", "WWW-Authenticate", ""},
		{"SG-AUTHZ-NO-GRANT", "X-Sg-Request-Id", "r3"},
		{"SG-AUTHZ-NO-GRANT", "Cache-Control", "no-store"},
		{"SG-AUTHZ-NO-GRANT", "Content-Type", "application/problem+json"},
	} {
		w := httptest.NewRecorder()
		Write(w, New(c.code, "r3").WithReasons(Reason{Code: c.code, ZH: "原因<>&", EN: "reason"}))
		if got := w.Header().Get(c.header); got != c.want {
			t.Errorf("%s: %s is %q, want %q", c.code, c.header, got, c.want)
		}
		var m map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &m); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"type", "title", "status", "detail", "code", "request_id", "title_zh", "detail_zh", "reasons", "hint", "hint_zh"} {
			if m[k] == nil {
				t.Errorf("%s: no member %s", c.code, k)
			}
		}
		if int(m["status"].(float64)) != w.Code {
			t.Errorf("status %v in the document, %d on the wire", m["status"], w.Code)
		}
		if !strings.Contains(w.Body.String(), "原因<>&") {
			t.Error("reasons are not copied unchanged")
		}
	}
	if got := (Problem{}).Bytes(); !strings.Contains(string(got), `"reasons":[]`) {
		t.Errorf("reasons are not a list: %s", got)
	}
	p, _ := FromError(codeError{code: "SG-LIMIT-QUOTA", after: 77}, "")
	w := httptest.NewRecorder()
	Write(w, p)
	if w.Header().Get("Retry-After") != "77" {
		t.Error("the error's own Retry-After is not used")
	}
}
