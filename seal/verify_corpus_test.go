package seal_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
)

// corpusNow is a time at which every seal of the minted files is valid.
var corpusNow = time.Date(2026, 11, 24, 6, 0, 0, 0, time.UTC)

func corpusFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testenv.Corpus(t, "ofd/"+name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func corpusAnchors(t testing.TB) *trust.Anchors {
	t.Helper()
	a, err := trust.Load(testenv.Corpus(t, "ofd/minted/root.cer"))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func verify(t testing.TB, anchors *trust.Anchors, data []byte, o seal.Options) *seal.Report {
	t.Helper()
	r := seal.NewVerifier(seal.VerifierConfig{Trust: anchors}).Verify(context.Background(), "a.ofd", data, o)
	checkShape(t, r)
	return r
}

// checkShape asserts what holds for every report: the verdict follows from the
// checks, every code is in the table, and the JSON has every key.
func checkShape(t testing.TB, r *seal.Report) {
	t.Helper()
	known := map[string]bool{seal.CodeOK: true}
	for _, c := range seal.Codes() {
		known[c.Code] = true
	}
	sum := func(list []seal.Check) seal.Indication {
		v := seal.Valid
		step := 0
		for _, c := range list {
			if !known[c.Code] || c.Step < step || c.ZH == "" || c.EN == "" || (c.Outcome == seal.OK) != (c.Code == seal.CodeOK) {
				t.Errorf("check out of order or undescribed: %+v", c)
			}
			step = c.Step
			switch {
			case c.Outcome == seal.Fail:
				v = seal.Invalid
			case c.Outcome == seal.Unknown && v != seal.Invalid:
				v = seal.Indeterminate
			}
		}
		return v
	}
	total := sum(r.Checks)
	for _, s := range r.Signatures {
		v := sum(s.Checks)
		if s.Indication != v {
			t.Errorf("signature %s is %s, its checks say %s", s.ID, s.Indication, v)
		}
		if v == seal.Invalid || v == seal.Indeterminate && total == seal.Valid {
			total = v
		}
	}
	if r.Indication != total || r.V != 1 {
		t.Errorf("the report says %s, its checks say %s", r.Indication, total)
	}
	line, err := r.JSON()
	if err != nil || bytes.ContainsRune(line, '\n') {
		t.Fatalf("JSON: %v", err)
	}
	var m map[string]any
	if err := json.Unmarshal(line, &m); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"v", "file", "format", "indication", "checks", "signatures", "uncovered"} {
		if v, ok := m[key]; !ok || v == nil {
			t.Errorf("JSON lacks %s", key)
		}
	}
	for _, s := range m["signatures"].([]any) {
		for _, key := range []string{"id", "path", "kind", "indication", "seal", "signer", "signed_at", "time_source", "coverage", "checks"} {
			if _, ok := s.(map[string]any)[key]; !ok {
				t.Errorf("JSON of a signature lacks %s", key)
			}
		}
	}
	if err := seal.ReportText(&bytes.Buffer{}, r); err != nil {
		t.Error(err)
	}
}

// telling returns "CODE(last part of target)" of every problem that the table
// of expected verdicts lists, sorted, once each.
func telling(checks []seal.Check) []string {
	var out []string
	for _, c := range checks {
		standing := c.Code == seal.CodeOK || c.Code == "W_TIME_CLAIMED" || c.Code == "W_TS_ABSENT" || c.Code == "E_MAKER_UNTRUSTED" || c.Code == "E_SIGNER_UNTRUSTED"
		for _, p := range []string{"I_", "W_STAMP_", "W_ZIP_", "W_SES_"} {
			standing = standing || strings.HasPrefix(c.Code, p)
		}
		if standing {
			continue
		}
		s := c.Code
		if strings.HasPrefix(s, "E_REF") || s == "E_UNCOVERED" {
			s += "(" + c.Target + ")"
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func TestCorpusGetsTheVerdictsOfTheTable(t *testing.T) {
	type row struct {
		indication, strict seal.Indication
		file               string   // codes of the file
		signatures         []string // codes of each signature
		kinds              string
	}
	const open, no = seal.Indeterminate, seal.Invalid
	edited := "E_REF_DIGEST(Doc_0/Pages/Page_0/Content.xml) E_REF_DIGEST(Doc_0/Pages/Page_1/Content.xml) W_CERT_FORM W_MAKER_EXPIRED"
	table := map[string]row{
		"sealed/gomain-1.ofd":                  {open, open, "", []string{""}, "ses-v4"},
		"sealed/gomain-v4.ofd":                 {open, open, "", []string{""}, "ses-v4"},
		"sealed/ofdrw-riding.ofd":              {open, open, "", []string{""}, "ses-v4"},
		"sealed/ofdrw-locked.ofd":              {open, open, "", []string{""}, "ses-v4"},
		"sealed/kinggrid-ofdxml-uncovered.ofd": {open, no, "E_UNCOVERED(OFD.xml)", []string{""}, "ses-v4"},
		"sealed/ofdrw-post-lock-change.ofd":    {no, no, "E_POST_LOCK_CHANGE", []string{"E_REF_DIGEST(Doc_0/Signs/Signatures.xml)", ""}, "ses-v4 ses-v4"},
		"sealed/ofdrw-expired-seal.ofd":        {no, no, "", []string{"E_SEAL_EXPIRED E_SIGNER_EXPIRED W_MAKER_EXPIRED"}, "ses-v4"},
		"sealed/gomain-two-seals-edited.ofd":   {no, no, "", []string{edited, edited}, "ses-v4 ses-v4"},
		"sealed/dms360-nonstandard.ofd":        {no, no, "", []string{"E_DATAHASH E_REF_DIGEST(Doc_0/Document.xml) E_REF_DIGEST(Doc_0/Pages/Page_0/Content.xml) E_REF_DIGEST(Doc_0/Pages/Page_1/Content.xml) E_REF_DIGEST(Doc_0/PublicRes.xml) E_REF_DIGEST(Doc_0/Signs/Sign_0/Seal.esl) E_REF_DIGEST(OFD.xml) E_SIG_VALUE W_CERT_FORM"}, "ses-v1"},
		"sealed/ofdrw-bare-sm2.ofd":            {no, no, "", []string{"E_CMS_STRUCT"}, "bare"},
		"minted/v1.ofd":                        {open, open, "", []string{""}, "ses-v1"},
		"minted/v4.ofd":                        {open, open, "", []string{""}, "ses-v4"},
		"minted/v4digest.ofd":                  {open, open, "", []string{""}, "ses-v4"},
		"minted/v4open.ofd":                    {open, open, "", []string{""}, "ses-v4"},
		"minted/v4two.ofd":                     {open, open, "", []string{"", ""}, "ses-v4 ses-v4"},
		"minted/v5.ofd":                        {open, open, "", []string{""}, "ses-v5"},
		"minted/cms.ofd":                       {open, open, "", []string{""}, "cms"},
	}
	anchors := corpusAnchors(t)
	for name, want := range table {
		t.Run(name, func(t *testing.T) {
			data := corpusFile(t, name)
			for _, strict := range []bool{false, true} {
				r := verify(t, nil, data, seal.Options{At: corpusNow, Strict: strict})
				wantIndication := want.indication
				if strict {
					wantIndication = want.strict
				}
				if r.Indication != wantIndication || r.Format != seal.FormatOFD {
					t.Errorf("strict=%v: %s %s, want %s", strict, r.Format, r.Indication, wantIndication)
				}
				if got := strings.Join(telling(r.Checks), " "); got != want.file {
					t.Errorf("file: %q, want %q", got, want.file)
				}
				var kinds []string
				for i, s := range r.Signatures {
					kinds = append(kinds, string(s.Kind))
					if i < len(want.signatures) {
						if got := strings.Join(telling(s.Checks), " "); got != want.signatures[i] {
							t.Errorf("signature %d: %q, want %q", i, got, want.signatures[i])
						}
					}
				}
				if len(r.Signatures) != len(want.signatures) || strings.Join(kinds, " ") != want.kinds {
					t.Errorf("%d signatures of kinds %v", len(r.Signatures), kinds)
				}
				if wantList := strings.Contains(want.file, "E_UNCOVERED"); (len(r.Uncovered) > 0) != wantList {
					t.Errorf("uncovered: %v", r.Uncovered)
				}
			}
			trusted := verify(t, anchors, data, seal.Options{At: corpusNow, Strict: true})
			wantTrusted := want.strict
			if strings.HasPrefix(name, "minted/") {
				wantTrusted = seal.Valid
			}
			if trusted.Indication != wantTrusted {
				t.Errorf("with the root of the minted files: %s, want %s: %v", trusted.Indication, wantTrusted, trusted.Problems())
			}
		})
	}
}

func TestUnsignedDocumentsAreInvalidAndNotSigned(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(testenv.Corpus(t, "ofd/unsigned"), "*.ofd"))
	if err != nil || len(paths) == 0 {
		t.Fatal(err)
	}
	for _, p := range paths {
		r := verify(t, nil, corpusFile(t, "unsigned/"+filepath.Base(p)), seal.Options{At: corpusNow})
		if codes := telling(r.Checks); r.Indication != seal.Invalid || len(codes) != 1 || codes[0] != "S_UNSIGNED" || len(r.Signatures) != 0 {
			t.Errorf("%s: %s %v", filepath.Base(p), r.Indication, codes)
		}
	}
}

func TestSealsOfTheCorpusAreJudgedAlone(t *testing.T) {
	anchors := corpusAnchors(t)
	for name, want := range map[string]struct {
		plain, trusted seal.Indication
		codes          string
	}{
		"seals/UserV1.esl":   {seal.Invalid, seal.Invalid, "E_SEAL_EXPIRED W_MAKER_EXPIRED"},
		"seals/UserV4.esl":   {seal.Invalid, seal.Invalid, "E_SEAL_EXPIRED W_MAKER_EXPIRED"},
		"seals/UserV5.esl":   {seal.Invalid, seal.Invalid, "E_MAKER_EXPIRED"},
		"minted/sealV1.esl":  {seal.Indeterminate, seal.Valid, ""},
		"minted/sealV4.esl":  {seal.Indeterminate, seal.Valid, ""},
		"minted/sealV4d.esl": {seal.Indeterminate, seal.Valid, ""},
		"minted/sealV5.esl":  {seal.Indeterminate, seal.Valid, ""},
	} {
		plain := verify(t, nil, corpusFile(t, name), seal.Options{At: corpusNow})
		trusted := verify(t, anchors, corpusFile(t, name), seal.Options{At: corpusNow})
		if plain.Format != seal.FormatSeal || plain.Indication != want.plain || trusted.Indication != want.trusted || strings.Join(telling(plain.Checks), " ") != want.codes {
			t.Errorf("%s: %s %s, trusted %s, %v", name, plain.Format, plain.Indication, trusted.Indication, telling(plain.Checks))
		}
	}
}

func TestAnyOtherFileGetsAReport(t *testing.T) {
	for name, c := range map[string]struct {
		data   []byte
		format seal.Format
		want   seal.Indication
		code   string
	}{
		"nothing":     {nil, seal.FormatUnknown, seal.Invalid, "E_ZIP_FORMAT"},
		"rubbish":     {[]byte("rubbish"), seal.FormatUnknown, seal.Invalid, "E_ZIP_FORMAT"},
		"half a zip":  {[]byte("PK\x03\x04 rubbish"), seal.FormatOFD, seal.Invalid, "E_ZIP_FORMAT"},
		"PDF":         {[]byte("%PDF-1.7\n"), seal.FormatPDF, seal.Indeterminate, "I_FORMAT_UNSUPPORTED"},
		"DER rubbish": {[]byte{0x30, 3, 2, 1, 1}, seal.FormatUnknown, seal.Invalid, "E_ZIP_FORMAT"},
		"other zip":   {zipOf(t, file{"word/document.xml", "<a/>"}), seal.FormatUnknown, seal.Invalid, "E_XML_FORMAT"},
		"empty OFD":   {zipOf(t, file{"OFD.xml", ""}), seal.FormatOFD, seal.Invalid, "E_XML_FORMAT"},
	} {
		r := verify(t, nil, c.data, seal.Options{At: corpusNow})
		if r.Format != c.format || r.Indication != c.want || !r.Has(c.code) {
			t.Errorf("%s: %s %s %v", name, r.Format, r.Indication, r.Problems())
		}
	}
}
