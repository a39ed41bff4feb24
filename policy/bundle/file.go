package bundle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

// Limits of a bundle's file.
const (
	MaxFile         = 12 << 20 // bytes
	maxCertificates = 8        // with one signature
	maxCommas       = 4096     // a bundle has at most 256 contents, 3 for each file, and two signatures
)

// Bundle is a set of rules with what officers said about it. It is immutable.
type Bundle struct {
	Manifest   policy.Manifest
	Signatures []Signature // at most one of each act, a release before an approval

	contents [][]byte // in the order of Manifest.Files
}

// Signature is one officer's statement about the manifest.
type Signature struct {
	Act     policy.Act
	At      time.Time
	Officer string
	// Certificates are the officer's own and those above it, each signed by the
	// next. They are believed in nothing until Verify.
	Certificates []*gm.Certificate
	Sig          []byte // DER, over Statement
}

// The JSON form. Members stand in the order of RFC 8785.
type fileJSON struct {
	Contents   [][]byte        `json:"contents"`
	Manifest   json.RawMessage `json:"manifest"`
	Signatures []signatureJSON `json:"signatures"`
	V          int             `json:"v"`
}

type signatureJSON struct {
	Act          string   `json:"act"`
	At           string   `json:"at"`
	Certificates [][]byte `json:"certificates"`
	Officer      string   `json:"officer"`
	Sig          []byte   `json:"sig"`
}

// Open reads a bundle's file in its one form and checks every content against
// the manifest. It judges no signature. Errors are ErrFormat.
func Open(data []byte) (*Bundle, error) {
	if len(data) > MaxFile {
		return nil, refuse(ErrFormat, "%d bytes, at most %d are allowed", len(data), MaxFile)
	}
	// Millions of empty members would take far more memory than they have bytes.
	if bytes.Count(data, []byte(",")) > maxCommas {
		return nil, refuse(ErrFormat, "more parts than a bundle has")
	}
	var j fileJSON
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&j); err != nil {
		return nil, refuse(ErrFormat, "not of this form")
	}
	if again, err := json.Marshal(j); err != nil || !bytes.Equal(again, data) {
		return nil, refuse(ErrFormat, "not in canonical form")
	}
	m, err := policy.ParseManifest(j.Manifest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if j.V != 1 || j.Contents == nil || j.Signatures == nil {
		return nil, refuse(ErrFormat, "another version, or a member is missing")
	}
	b := &Bundle{Manifest: *m, contents: j.Contents}
	if err := b.checkContents(); err != nil {
		return nil, err
	}
	for _, s := range j.Signatures {
		if err := b.addSignature(s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Bundle) checkContents() error {
	if len(b.contents) != len(b.Manifest.Files) {
		return refuse(ErrFormat, "%d contents for %d files", len(b.contents), len(b.Manifest.Files))
	}
	for i, f := range b.Manifest.Files {
		if c := b.contents[i]; c == nil || int64(len(c)) != f.Size || gm.SM3(c) != f.SM3 {
			return refuse(ErrFormat, "the content of %s is not what the manifest says", f.Path)
		}
	}
	return nil
}

func (b *Bundle) addSignature(j signatureJSON) error {
	n := len(b.Signatures)
	if n == len(policy.Acts()) || policy.Act(j.Act) != policy.Acts()[n] {
		return refuse(ErrFormat, "want at most one release, then at most one approval")
	}
	s := Signature{Act: policy.Act(j.Act), Officer: j.Officer, Sig: j.Sig}
	var err error
	if s.At, err = time.Parse(time.RFC3339, j.At); err != nil || stamp(s.At) != j.At {
		return refuse(ErrFormat, "the time of the %s", j.Act)
	}
	if _, err := b.statement(s); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if err := gm.CheckSignature(s.Sig); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrFormat, j.Act, err)
	}
	if len(j.Certificates) == 0 || len(j.Certificates) > maxCertificates {
		return refuse(ErrFormat, "%s: want 1 to %d certificates", j.Act, maxCertificates)
	}
	for _, der := range j.Certificates {
		c, err := gm.ParseCertificate(der)
		if err == nil {
			err = c.FormError
		}
		if err != nil {
			return fmt.Errorf("%w: certificate of the %s: %w", ErrFormat, j.Act, err)
		}
		s.Certificates = append(s.Certificates, c)
	}
	b.Signatures = append(b.Signatures, s)
	return nil
}

// statement is what s signs, in its canonical form.
func (b *Bundle) statement(s Signature) ([]byte, error) {
	return (&policy.Statement{Act: s.Act, At: s.At, Manifest: b.Manifest, Officer: s.Officer}).Canonical()
}

// Marshal writes the file:
//
//	{"contents":["base64",…],"manifest":{…},"signatures":[{"act":"…","at":"…Z",
//	 "certificates":["base64 DER",…],"officer":"…","sig":"base64 DER"},…],"v":1}
func (b *Bundle) Marshal() ([]byte, error) {
	manifest, err := b.Manifest.Canonical()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	j := fileJSON{Contents: b.contents, Manifest: manifest, Signatures: []signatureJSON{}, V: 1}
	for _, s := range b.Signatures {
		x := signatureJSON{Act: string(s.Act), At: stamp(s.At), Officer: s.Officer, Sig: s.Sig}
		for _, c := range s.Certificates {
			x.Certificates = append(x.Certificates, c.Raw)
		}
		j.Signatures = append(j.Signatures, x)
	}
	data, err := json.Marshal(j)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if _, err := Open(data); err != nil {
		return nil, err
	}
	return data, nil
}

// Of returns the signature of an act, nil when there is none.
func (b *Bundle) Of(act policy.Act) *Signature {
	for i := range b.Signatures {
		if b.Signatures[i].Act == act {
			return &b.Signatures[i]
		}
	}
	return nil
}

// Content returns one file of the bundle.
func (b *Bundle) Content(path string) ([]byte, bool) {
	for i, f := range b.Manifest.Files {
		if f.Path == path {
			return bytes.Clone(b.contents[i]), true
		}
	}
	return nil, false
}

// Rules returns the rule files by path, and the tables of data.json, which may
// be none. The error is ErrFormat.
func (b *Bundle) Rules() (modules map[string]string, data map[string]any, err error) {
	modules = map[string]string{}
	for i, f := range b.Manifest.Files {
		if f.Path != policy.DataFile {
			modules[f.Path] = string(b.contents[i])
		} else if data, err = readTables(b.contents[i]); err != nil {
			return nil, nil, err
		}
	}
	return modules, data, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
