package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func sampleManifest() Manifest {
	return Manifest{Name: "gateway", Sequence: 2, Previous: gm.SM3([]byte("before")), Created: time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC),
		Files: []ManifestFile{{"authz.rego", 10, gm.SM3([]byte("a"))}, {"data.json", 2, gm.SM3([]byte("{}"))}, {"health/hours.rego", 7, gm.SM3([]byte("h"))}}}
}

func sampleStatement() Statement {
	m := sampleManifest()
	return Statement{Act: Release, At: m.Created.Add(time.Hour), Manifest: m, Officer: "王策略 0021"}
}

func TestManifestAndStatementComeBackAsTheyWere(t *testing.T) {
	m, s := sampleManifest(), sampleStatement()
	data, err := m.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseManifest(data)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := again.Canonical(); err != nil || !bytes.Equal(back, data) {
		t.Errorf("%s\n%s", back, data)
	}
	if revision, err := m.Revision(); err != nil || len(revision) != 64 {
		t.Errorf("revision %q: %v", revision, err)
	}
	text, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	want := `{"act":"release","at":"2026-11-24T09:00:00Z","manifest":` + string(data) + `,"officer":"王策略 0021","v":1}`
	if string(text) != want {
		t.Errorf("%s\nwant\n%s", text, want)
	}
	if got, err := ParseStatement(text); err != nil || got.Officer != s.Officer || got.Manifest.Sequence != 2 {
		t.Errorf("%+v: %v", got, err)
	}
}

func TestManifestThatBreaksARuleIsRefused(t *testing.T) {
	files := func(n int, path func(i int) string, size int64) func(*Manifest) {
		return func(m *Manifest) {
			m.Files = nil
			for i := range n {
				m.Files = append(m.Files, ManifestFile{Path: path(i), Size: size})
			}
		}
	}
	numbered := func(i int) string { return "r" + string(rune('a'+i/26)) + string(rune('a'+i%26)) + ".rego" }
	one := func(path string) func(*Manifest) { return files(1, func(int) string { return path }, 1) }
	for name, change := range map[string]func(*Manifest){
		"no name":                         func(m *Manifest) { m.Name = "" },
		"a name with a slash":             func(m *Manifest) { m.Name = "a/b" },
		"a name with upper case":          func(m *Manifest) { m.Name = "Gateway" },
		"sequence 0":                      func(m *Manifest) { m.Sequence, m.Previous = 0, [32]byte{} },
		"sequence 2^53":                   func(m *Manifest) { m.Sequence = 1 << 53 },
		"the first names another":         func(m *Manifest) { m.Sequence = 1 },
		"the second names none":           func(m *Manifest) { m.Previous = [32]byte{} },
		"a year that RFC 3339 has not":    func(m *Manifest) { m.Created = m.Created.AddDate(9000, 0, 0) },
		"no files":                        func(m *Manifest) { m.Files = nil },
		"data only":                       one("data.json"),
		"257 files":                       files(257, numbered, 1),
		"nine files of one MiB":           files(9, numbered, MaxBundleFile),
		"a file of more than one MiB":     files(1, numbered, MaxBundleFile+1),
		"a file of negative size":         files(1, numbered, -1),
		"a file twice":                    files(2, func(int) string { return "a.rego" }, 1),
		"not in order":                    files(2, func(i int) string { return numbered(1 - i) }, 1),
		"a test":                          one("authz_test.rego"),
		"an upward path":                  one("../a.rego"),
		"an absolute path":                one("/a.rego"),
		"an empty segment":                one("a//b.rego"),
		"a backslash":                     one(`a\b.rego`),
		"a hidden file":                   one(".rego"),
		"a hidden folder":                 one(".git/a.rego"),
		"five levels":                     one("a/b/c/d/e.rego"),
		"a path of 129 bytes":             one(strings.Repeat("a", 124) + ".rego"),
		"a path in Chinese":               one("规则.rego"),
		"no Rego":                         one("a.txt"),
		"data that is not at the top":     one("tables/data.json"),
		"a path with a line break behind": one("a.rego\n"),
	} {
		m := sampleManifest()
		change(&m)
		if data, err := m.Canonical(); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}

func TestStatementThatBreaksARuleIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Statement){
		"no act":                       func(s *Statement) { s.Act = "" },
		"another act":                  func(s *Statement) { s.Act = "activate" },
		"before the bundle":            func(s *Statement) { s.At = s.Manifest.Created.Add(-time.Second) },
		"no officer":                   func(s *Statement) { s.Officer = "" },
		"an officer with a quote":      func(s *Statement) { s.Officer = `a"b` },
		"an officer with a line break": func(s *Statement) { s.Officer = "a\nb" },
		"an officer with U+2028":       func(s *Statement) { s.Officer = "a\u2028b" },
		"a space behind the officer":   func(s *Statement) { s.Officer = "a " },
		"a very long officer":          func(s *Statement) { s.Officer = strings.Repeat("王", 43) },
		"an officer that is no UTF-8":  func(s *Statement) { s.Officer = "a\xff" },
		"a manifest without files":     func(s *Statement) { s.Manifest.Files = nil },
	} {
		s := sampleStatement()
		change(&s)
		if data, err := s.Canonical(); !errors.Is(err, ErrManifest) {
			t.Errorf("%s: %s, %v", name, data, err)
		}
	}
}

func TestOnlyTheCanonicalFormIsRead(t *testing.T) {
	s := sampleStatement()
	data, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	replace := func(old, with string) string { return strings.Replace(text, old, with, 1) }
	for name, bad := range map[string]string{
		"empty": "", "a manifest alone": `{"v":1}`, "a space": replace(`,"at"`, `, "at"`), "a line break behind": text + "\n", "two": text + text,
		"an unknown member":     replace(`"act":`, `"aaa":1,"act":`),
		"a member twice":        replace(`"v":1}`, `"v":1,"v":1}`),
		"upper case":            replace(`"act"`, `"Act"`),
		"an escape":             replace(`"release"`, `"\u0072elease"`),
		"another order":         `{"at"` + replace(`{"act":"release","at"`, "")[0:22] + `,"act":"release"` + replace(`{"act":"release","at"`, "")[22:],
		"version 2":             replace(`"v":1}`, `"v":2}`),
		"a fraction":            replace(`"sequence":2`, `"sequence":2.0`),
		"an exponent":           replace(`"sequence":2`, `"sequence":2e0`),
		"base64 with rubbish":   replace(`="}`, `!"}`),
		"another kind":          replace("policy-bundle", "policy-bandle"),
		"a time with an offset": replace("09:00:00Z", "09:00:00+00:00"),
		"a null list":           `{"act":"release","at":"2026-11-24T09:00:00Z","manifest":null,"officer":"a","v":1}`,
	} {
		if s, err := ParseStatement([]byte(bad)); !errors.Is(err, ErrManifest) || s != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseStatement(bytes.Repeat([]byte(" "), maxStatement+1)); !errors.Is(err, ErrManifest) {
		t.Error(err)
	}
}

func FuzzParseStatement(f *testing.F) {
	s := sampleStatement()
	data, err := s.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	manifest, err := s.Manifest.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest)
	f.Add([]byte(`{"act":"approve"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if s, err := ParseStatement(data); err == nil {
			if again, err := s.Canonical(); err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%q came back as %q: %v", data, again, err)
			}
			if !json.Valid(data) || s.At.Before(s.Manifest.Created) {
				t.Fatalf("%q", data)
			}
		} else if s != nil || !errors.Is(err, ErrManifest) {
			t.Fatalf("%v %v", s, err)
		}
		if m, err := ParseManifest(data); err == nil {
			if again, err := m.Canonical(); err != nil || !bytes.Equal(again, data) {
				t.Fatalf("%q came back as %q: %v", data, again, err)
			}
		}
	})
}
