package ses_test

import (
	"archive/zip"
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/seal/ses"
)

func corpusFiles(t testing.TB, sub, pattern string) map[string][]byte {
	t.Helper()
	dir := testenv.Corpus(t, sub)
	names, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(names) == 0 {
		t.Fatalf("no %s in %s (%v)", pattern, dir, err)
	}
	out := make(map[string][]byte)
	for _, n := range names {
		b, err := os.ReadFile(n)
		if err != nil {
			t.Fatal(err)
		}
		out[filepath.Base(n)] = b
	}
	return out
}

// signedValues returns every *.dat of every package in the corpus.
func signedValues(t testing.TB) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	for _, sub := range []string{"ofd/sealed", "ofd/minted"} {
		for name, b := range corpusFiles(t, sub, "*.ofd") {
			z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range z.File {
				if !strings.HasSuffix(f.Name, ".dat") {
					continue
				}
				r, err := f.Open()
				if err != nil {
					t.Fatal(err)
				}
				dat, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				out[name+"/"+f.Name] = dat
			}
		}
	}
	return out
}

func TestEverySealOfTheCorpusParsesAndItsMakerSignatureHolds(t *testing.T) {
	want := map[string]ses.Version{
		"UserV1.esl": ses.V1, "UserV4.esl": ses.V4, "UserV5.esl": ses.V5,
		"sealV1.esl": ses.V1, "sealV4.esl": ses.V4, "sealV4d.esl": ses.V4, "sealV5.esl": ses.V5,
	}
	seen := 0
	for _, sub := range []string{"ofd/seals", "ofd/minted"} {
		for name, der := range corpusFiles(t, sub, "*.esl") {
			s, err := ses.ParseSeal(der)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if s.Version != want[name] {
				t.Errorf("%s: read as %v, want %v", name, s.Version, want[name])
			}
			if len(s.Notes) != 0 {
				t.Errorf("%s: notes %v", name, s.Notes)
			}
			if !bytes.Equal(s.Raw, der) {
				t.Errorf("%s: raw bytes differ", name)
			}
			maker, err := gm.ParseCertificate(s.Cert)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if err := maker.PublicKey.Verify(s.MakerMessage(), s.Signature); err != nil {
				t.Errorf("%s: maker signature: %v", name, err)
			}
			seen++
		}
	}
	if seen != len(want) {
		t.Errorf("%d seals seen, want %d", seen, len(want))
	}
}

func TestEverySignedValueOfTheCorpusParses(t *testing.T) {
	want := map[string]struct {
		version ses.Version
		notes   string
	}{
		"v1.ofd": {ses.V1, ""}, "v5.ofd": {ses.V5, ""}, "v4.ofd": {ses.V4, ""}, "v4digest.ofd": {ses.V4, ""}, "v4open.ofd": {ses.V4, ""}, "v4two.ofd": {ses.V4, ""},
		"gomain-1.ofd": {ses.V4, "W_SES_NONCANONICAL"}, "gomain-v4.ofd": {ses.V4, "W_SES_NONCANONICAL"}, "kinggrid-ofdxml-uncovered.ofd": {ses.V4, "W_SES_NONCANONICAL"},
		"gomain-two-seals-edited.ofd": {ses.V4, ""}, "ofdrw-locked.ofd": {ses.V4, ""}, "ofdrw-riding.ofd": {ses.V4, ""}, "ofdrw-expired-seal.ofd": {ses.V4, ""},
		"ofdrw-post-lock-change.ofd": {ses.V4, ""}, "dms360-nonstandard.ofd": {ses.V1, "W_SES_CERTLIST W_SES_EXTENSION W_SES_TIME"},
	}
	for name, der := range signedValues(t) {
		file, _, _ := strings.Cut(name, "/")
		s, err := ses.ParseSignature(der)
		if file == "cms.ofd" || file == "ofdrw-bare-sm2.ofd" {
			if err == nil {
				t.Errorf("%s: parsed as a seal signature, but is none", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var codes []string
		for _, n := range s.Notes {
			codes = append(codes, n.Code)
		}
		if w := want[file]; s.Version != w.version || strings.Join(codes, " ") != w.notes {
			t.Errorf("%s: %v %v, want %v %q", name, s.Version, s.Notes, w.version, w.notes)
		}
		if s.TBS.Time.IsZero() || len(s.TBS.DataHash) != 32 || s.TBS.PropertyInfo == "" {
			t.Errorf("%s: time %v, hash of %d bytes, property %q", name, s.TBS.Time, len(s.TBS.DataHash), s.TBS.PropertyInfo)
		}
		signer, err := gm.ParseCertificate(s.Cert)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		err = signer.PublicKey.Verify(s.SignerMessage(), s.Value)
		if holds := file != "dms360-nonstandard.ofd"; (err == nil) != holds {
			t.Errorf("%s: signer signature: %v", name, err)
		}
	}
}
