package ofd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/testenv"
)

// corpusFiles returns the real files of one corpus folder.
func corpusFiles(t testing.TB, sub string) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(testenv.Corpus(t, sub), "*.ofd"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no files in corpus folder %s: %v", sub, err)
	}
	files := make(map[string][]byte, len(paths))
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		files[sub+"/"+filepath.Base(path)] = data
	}
	return files
}

func allCorpusFiles(t testing.TB) map[string][]byte {
	all := map[string][]byte{}
	for _, sub := range []string{"ofd/sealed", "ofd/unsigned", "ofd/minted"} {
		for name, data := range corpusFiles(t, sub) {
			all[name] = data
		}
	}
	return all
}

// judge lists everything that this package says of a file, as code(target).
func judge(data []byte) []string {
	p, ps := Open(data)
	if p != nil {
		ps = append(ps, p.CheckContents()...)
		for _, s := range p.Signatures() {
			ps = append(ps, s.Problems...)
			ps = append(ps, p.CheckReferences(s)...)
			ps = append(ps, p.CheckStamps(s)...)
		}
		ps = append(ps, p.CheckChain()...)
	}
	var got []string
	for _, x := range ps {
		got = append(got, x.Code+"("+x.Target+")")
	}
	if p != nil && len(p.Signatures()) > 0 {
		for _, g := range p.Uncovered(p.Covered(p.Signatures()...)) {
			code := WarnUncovered
			if g.Reachable {
				code = CodeUncovered
			}
			got = append(got, code+"("+g.Name+")")
		}
	}
	return got
}

// TestEveryCorpusFileGivesExactlyTheseProblems pins what the reader says of
// real files of several vendors at the steps that need no certificates.
func TestEveryCorpusFileGivesExactlyTheseProblems(t *testing.T) {
	want := map[string][]string{
		"ofd/sealed/dms360-nonstandard.ofd": {
			"E_REF_DIGEST(Doc_0/Document.xml)", "E_REF_DIGEST(Doc_0/Pages/Page_0/Content.xml)",
			"E_REF_DIGEST(Doc_0/Pages/Page_1/Content.xml)", "E_REF_DIGEST(Doc_0/PublicRes.xml)",
			"E_REF_DIGEST(OFD.xml)", "E_REF_DIGEST(Doc_0/Signs/Sign_0/Seal.esl)"},
		"ofd/sealed/gomain-two-seals-edited.ofd": {
			"E_REF_DIGEST(Doc_0/Pages/Page_1/Content.xml)", "E_REF_DIGEST(Doc_0/Pages/Page_0/Content.xml)",
			"E_REF_DIGEST(Doc_0/Pages/Page_1/Content.xml)", "E_REF_DIGEST(Doc_0/Pages/Page_0/Content.xml)"},
		"ofd/sealed/kinggrid-ofdxml-uncovered.ofd": {"E_UNCOVERED(OFD.xml)"},
		"ofd/sealed/ofdrw-post-lock-change.ofd": {
			"E_REF_DIGEST(Doc_0/Signs/Signatures.xml)", "E_POST_LOCK_CHANGE(Doc_0/Signs/Signatures.xml)"},
	}
	for name, data := range allCorpusFiles(t) {
		t.Run(name, func(t *testing.T) {
			want := want[name]
			if strings.HasPrefix(name, "ofd/unsigned/") {
				want = []string{"S_UNSIGNED()"}
			}
			if got := judge(data); !slices.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}

func TestTheModelListsPagesAndPartsOfRealFiles(t *testing.T) {
	files := allCorpusFiles(t)
	for name, want := range map[string]struct{ pages, parts int }{
		"ofd/unsigned/doc1File.ofd":                {11, 14},
		"ofd/unsigned/invoice.ofd":                 {1, 10},
		"ofd/unsigned/namespace_no_std.ofd":        {1, 2},
		"ofd/unsigned/path_unstd.ofd":              {2, 7},
		"ofd/sealed/kinggrid-ofdxml-uncovered.ofd": {5, 19},
	} {
		p, _ := Open(files[name])
		d := p.Bodies[0].Document
		if len(d.Pages) != want.pages || len(d.Parts) != want.parts {
			t.Errorf("%s: %d pages and %d parts, want %v", name, len(d.Pages), len(d.Parts), want)
		}
		for _, page := range d.Pages {
			if page.Path == "" || page.Box == nil || page.Box.Empty() {
				t.Errorf("%s: page %s has no file or no size", name, page.ID)
			}
		}
	}
	p, _ := Open(files["ofd/unsigned/containsJPEG.ofd"])
	if !p.Reachable("DOC_0/Res/Image_4.JPEG") {
		t.Error("a picture whose folder differs in case is not reachable")
	}
	if p, _ = Open(files["ofd/unsigned/chineseDir.ofd"]); len(p.Names()) != 5 {
		t.Errorf("names with Chinese folders: %q", p.Names())
	}
}
