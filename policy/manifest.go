package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of a policy bundle.
const (
	MaxBundleFiles = 256
	MaxBundleFile  = 1 << 20 // bytes of one file
	MaxBundleSize  = 8 << 20 // bytes of all files together

	manifestKind = "policy-bundle"
	maxStatement = 128 << 10 // bytes, also of a manifest
	maxPath      = 128       // bytes
	maxSequence  = 1<<53 - 1
)

// ErrManifest says that bytes or values are no manifest, or no statement about
// one.
var ErrManifest = errors.New("not a valid policy manifest or statement")

// Manifest says what a bundle holds, in the order of its line: every bundle
// names the one before it. docs/policy-bundles.md describes the forms.
type Manifest struct {
	Name     string              // of the line of bundles, [a-z0-9][a-z0-9-]{0,62}
	Sequence uint64              // from 1, grows along the line
	Previous [gm.DigestSize]byte // Digest of the bundle before; zero exactly when Sequence is 1
	Created  time.Time           // whole seconds
	Files    []ManifestFile      // in bytewise order of their paths
}

// ManifestFile is one file of a bundle.
type ManifestFile struct {
	Path string // such as authz.rego or health/hours.rego; data.json holds tables
	Size int64
	SM3  [gm.DigestSize]byte
}

// DataFile is the one path that is no Rego: tables that rules read by key.
const DataFile = "data.json"

// The JSON forms. Members stand in the order of RFC 8785 and no text needs an
// escape, so that there is one form for one content.
type manifestJSON struct {
	Created  string     `json:"created"`
	Files    []fileJSON `json:"files"`
	Kind     string     `json:"kind"`
	Name     string     `json:"name"`
	Previous string     `json:"previous"`
	Sequence uint64     `json:"sequence"`
	V        int        `json:"v"`
}

type fileJSON struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	SM3  string `json:"sm3"`
}

func badManifest(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrManifest}, args...)...)
}

// Canonical returns the manifest's one JSON form:
//
//	{"created":"…Z","files":[{"path":"…","size":n,"sm3":"base64"}],"kind":"policy-bundle",
//	 "name":"…","previous":"base64 or empty","sequence":n,"v":1}
func (m *Manifest) Canonical() ([]byte, error) { return canonical(m.form(), parseManifest) }

// Digest is SM3 over Canonical. Since the manifest holds every file's digest,
// it names the whole content.
func (m *Manifest) Digest() ([gm.DigestSize]byte, error) {
	data, err := m.Canonical()
	if err != nil {
		return [gm.DigestSize]byte{}, err
	}
	return gm.SM3(data), nil
}

// Revision is Digest in hexadecimal: what decisions and records name.
func (m *Manifest) Revision() (string, error) {
	d, err := m.Digest()
	return hex.EncodeToString(d[:]), err
}

// ParseManifest reads what Canonical makes, and nothing else. Errors are
// ErrManifest.
func ParseManifest(data []byte) (*Manifest, error) { return parse(data, parseManifest) }

func (m *Manifest) form() manifestJSON {
	j := manifestJSON{Created: stamp(m.Created), Files: []fileJSON{}, Kind: manifestKind, Name: m.Name, Sequence: m.Sequence, V: 1}
	if m.Previous != ([gm.DigestSize]byte{}) {
		j.Previous = base64.StdEncoding.EncodeToString(m.Previous[:])
	}
	for _, f := range m.Files {
		j.Files = append(j.Files, fileJSON{f.Path, f.Size, base64.StdEncoding.EncodeToString(f.SM3[:])})
	}
	return j
}

func parseManifest(j manifestJSON) (*Manifest, error) {
	m := &Manifest{Name: j.Name, Sequence: j.Sequence}
	var ok bool
	m.Created, ok = readStamp(j.Created)
	switch {
	case j.V != 1 || j.Kind != manifestKind:
		return nil, badManifest("another version or kind")
	case !ok:
		return nil, badManifest("created is not a time such as 2026-01-31T09:00:00Z")
	case !nameForm(j.Name):
		return nil, badManifest("name is not [a-z0-9][a-z0-9-]{0,62}")
	case j.Sequence < 1 || j.Sequence > maxSequence:
		return nil, badManifest("sequence is not in 1..2^53-1")
	case (j.Sequence == 1) != (j.Previous == ""):
		return nil, badManifest("every bundle but the first, and only that, names the one before it")
	case len(j.Files) == 0 || len(j.Files) > MaxBundleFiles:
		return nil, badManifest("%d files, want 1 to %d", len(j.Files), MaxBundleFiles)
	}
	if j.Previous != "" {
		if m.Previous, ok = readDigest(j.Previous); !ok || m.Previous == ([gm.DigestSize]byte{}) {
			return nil, badManifest("previous")
		}
	}
	total, last, rules := int64(0), "", false
	for _, f := range j.Files {
		sum, ok := readDigest(f.SM3)
		switch {
		case !ok:
			return nil, badManifest("sm3 of %s", f.Path)
		case f.Path <= last:
			return nil, badManifest("files are not in the order of their paths, each once")
		case f.Size < 0 || f.Size > MaxBundleFile:
			return nil, badManifest("%s has %d bytes, at most %d are allowed", f.Path, f.Size, MaxBundleFile)
		}
		if err := CheckBundlePath(f.Path); err != nil {
			return nil, err
		}
		last, total, rules = f.Path, total+f.Size, rules || f.Path != DataFile
		m.Files = append(m.Files, ManifestFile{f.Path, f.Size, sum})
	}
	if total > MaxBundleSize || !rules {
		return nil, badManifest("no rules, or more than %d bytes in all", MaxBundleSize)
	}
	return m, nil
}

// CheckBundlePath wants the path of a rule file, or DataFile: at most four
// segments of A-Z a-z 0-9 _ - . that begin with a letter, a digit or _, the
// last one ending in .rego; tests (_test.rego) do not travel in bundles.
func CheckBundlePath(path string) error {
	if path == DataFile {
		return nil
	}
	segments := strings.Split(path, "/")
	ok := len(path) <= maxPath && len(segments) <= 4 && strings.HasSuffix(path, ".rego") && !strings.HasSuffix(path, "_test.rego")
	for _, s := range segments {
		ok = ok && segmentForm(s)
	}
	if !ok {
		return badManifest("path %.80q", path)
	}
	return nil
}

func segmentForm(s string) bool {
	ok, err := regexp.MatchString(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`, s)
	return ok && err == nil && s != ".rego"
}

func nameForm(s string) bool {
	ok, err := regexp.MatchString(`^[a-z0-9][a-z0-9-]{0,62}$`, s)
	return ok && err == nil
}

// CheckOfficer wants an officer's name as statements carry it: 1 to 128 bytes
// of printable text without " \ < > &, no space at its ends.
func CheckOfficer(name string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || strings.ContainsRune(`"\<>&`, r) }
	if name == "" || len(name) > 128 || !utf8.ValidString(name) || strings.TrimSpace(name) != name || strings.ContainsFunc(name, bad) {
		return badManifest("officer %.80q", name)
	}
	return nil
}

// Act is what an officer does to a bundle. It stands inside what is signed, so
// that a release can never be shown as an approval.
type Act string

// The acts. A bundle needs both, by two officers.
const (
	Release Act = "release" // 发布: "this is what I made"
	Approve Act = "approve" // 审批: "I have read it and it may go into force"
)

// Acts lists the acts in their order.
func Acts() []Act { return []Act{Release, Approve} }

// Statement is what an officer signs: who does what to which bundle, and when.
// The whole manifest is inside, so that whoever holds the key can judge it.
type Statement struct {
	Act      Act
	At       time.Time // whole seconds, not before Manifest.Created
	Manifest Manifest
	Officer  string // the common name in the officer's certificate
}

type statementJSON struct {
	Act      string       `json:"act"`
	At       string       `json:"at"`
	Manifest manifestJSON `json:"manifest"`
	Officer  string       `json:"officer"`
	V        int          `json:"v"`
}

// Canonical returns the bytes that are signed:
//
//	{"act":"release|approve","at":"…Z","manifest":{…},"officer":"…","v":1}
func (s *Statement) Canonical() ([]byte, error) {
	return canonical(statementJSON{string(s.Act), stamp(s.At), s.Manifest.form(), s.Officer, 1}, parseStatement)
}

// ParseStatement reads what Canonical makes, and nothing else. Errors are
// ErrManifest.
func ParseStatement(data []byte) (*Statement, error) { return parse(data, parseStatement) }

func parseStatement(j statementJSON) (*Statement, error) {
	m, err := parseManifest(j.Manifest)
	if err != nil {
		return nil, err
	}
	s := &Statement{Act: Act(j.Act), Manifest: *m, Officer: j.Officer}
	var ok bool
	s.At, ok = readStamp(j.At)
	switch {
	case j.V != 1:
		return nil, badManifest("another version of the statement")
	case !slices.Contains(Acts(), s.Act):
		return nil, badManifest("act is not release or approve")
	case !ok:
		return nil, badManifest("at is not a time such as 2026-01-31T09:00:00Z")
	case s.At.Before(m.Created):
		return nil, badManifest("at is before the bundle was created")
	}
	return s, CheckOfficer(j.Officer)
}

// parse reads the one canonical form of J: what it accepts is byte for byte
// what encoding J again gives.
func parse[J, T any](data []byte, read func(J) (*T, error)) (*T, error) {
	if len(data) > maxStatement {
		return nil, badManifest("%d bytes, at most %d are allowed", len(data), maxStatement)
	}
	var j J
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return nil, badManifest("not of this form")
	}
	if again, err := json.Marshal(j); err != nil || !bytes.Equal(again, data) {
		return nil, badManifest("not in canonical form")
	}
	out, err := read(j)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// canonical writes j when it can be read back.
func canonical[J, T any](j J, read func(J) (*T, error)) ([]byte, error) {
	data, err := json.Marshal(j)
	if err != nil {
		return nil, badManifest("%v", err)
	}
	if _, err := parse(data, read); err != nil {
		return nil, err
	}
	return data, nil
}

func readDigest(s string) (d [gm.DigestSize]byte, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != gm.DigestSize || base64.StdEncoding.EncodeToString(b) != s {
		return d, false
	}
	return [gm.DigestSize]byte(b), true
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func readStamp(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && stamp(t) == s
}
