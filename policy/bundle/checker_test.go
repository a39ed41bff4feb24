package bundle_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
)

// checked is what a checker says of a file that shares nothing with this
// package: it is written from docs/policy-bundles.md.
type checked struct {
	revision   string
	statements [][]byte
	keys       []*gm.PublicKey
	sigs       [][]byte
}

func checkFromDocument(t *testing.T, file []byte) checked {
	t.Helper()
	var j struct {
		Contents   []string        `json:"contents"`
		Manifest   json.RawMessage `json:"manifest"`
		Signatures []struct {
			Act, At, Officer, Sig string
			Certificates          []string
		} `json:"signatures"`
	}
	if err := json.Unmarshal(file, &j); err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Files []struct {
			Size int
			SM3  string `json:"sm3"`
		}
	}
	if err := json.Unmarshal(j.Manifest, &manifest); err != nil || len(manifest.Files) != len(j.Contents) {
		t.Fatalf("%d files, %d contents: %v", len(manifest.Files), len(j.Contents), err)
	}
	decode := func(s string) []byte {
		b, err := base64.StdEncoding.Strict().DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for i, f := range manifest.Files {
		content := decode(j.Contents[i])
		if sum := gm.SM3(content); len(content) != f.Size || !bytes.Equal(sum[:], decode(f.SM3)) {
			t.Errorf("content %d", i)
		}
	}
	sum := gm.SM3(j.Manifest)
	out := checked{revision: hex.EncodeToString(sum[:])}
	for _, s := range j.Signatures {
		cert, err := gm.ParseCertificate(decode(s.Certificates[0]))
		if err != nil {
			t.Fatal(err)
		}
		out.statements = append(out.statements, []byte(`{"act":"`+s.Act+`","at":"`+s.At+`","manifest":`+string(j.Manifest)+`,"officer":"`+s.Officer+`","v":1}`))
		out.keys, out.sigs = append(out.keys, cert.PublicKey), append(out.sigs, decode(s.Sig))
	}
	return out
}

func TestCheckerWrittenFromTheDocumentAgrees(t *testing.T) {
	w := newWorld(t)
	b := w.signed(nil)
	c := checkFromDocument(t, w.file(b))
	if revision, err := b.Manifest.Revision(); err != nil || revision != c.revision {
		t.Errorf("revision %s, the checker says %s", revision, c.revision)
	}
	if len(c.sigs) != 2 {
		t.Fatalf("%d signatures", len(c.sigs))
	}
	for i := range c.sigs {
		if err := c.keys[i].Verify(c.statements[i], c.sigs[i]); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSSLVerifiesTheOfficersSignatures(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		testenv.Missing(t, "no openssl in PATH")
	}
	w := newWorld(t)
	c := checkFromDocument(t, w.file(w.signed(nil)))
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for i := range c.sigs {
		verify := func(statement []byte) ([]byte, error) {
			return exec.Command("openssl", "dgst", "-sm3", "-verify", path("officer.pub", c.keys[i].PEM()), "-sigopt", "distid:1234567812345678",
				"-signature", path("sig.der", c.sigs[i]), path("statement.json", statement)).CombinedOutput()
		}
		if out, err := verify(c.statements[i]); err != nil {
			t.Errorf("%v: %s", err, out)
		}
		if _, err := verify(c.statements[1-i]); err == nil {
			t.Error("OpenSSL takes a release for an approval")
		}
	}
}
