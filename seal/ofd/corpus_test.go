package ofd

import (
	"os"
	"path/filepath"
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

// TestEveryCorpusFileGivesExactlyTheseProblems pins what the reader says of
// real files of several vendors, all steps that need no certificates.
func TestEveryCorpusFileGivesExactlyTheseProblems(t *testing.T) {
	want := map[string][]string{
	}
	for name, data := range allCorpusFiles(t) {
		t.Run(name, func(t *testing.T) {
			p, ps := Open(data)
			if p == nil {
				t.Fatalf("not opened: %v", ps)
			}
			ps = append(ps, p.CheckContents()...)
			for _, s := range p.Signatures() {
				ps = append(ps, s.Problems...)
				ps = append(ps, p.CheckReferences(s)...)
				ps = append(ps, p.CheckStamps(s)...)
			}
			ps = append(ps, p.CheckChain()...)
			var got []string
			for _, x := range ps {
				got = append(got, x.String())
			}
			if len(p.Signatures()) > 0 {
				for _, g := range p.Uncovered(p.Covered(p.Signatures()...)) {
					got = append(got, "gap "+g.Name)
				}
			}
			_ = want
			t.Logf("%v pages=%d parts=%d", got, len(p.Bodies[0].Document.Pages), len(p.Bodies[0].Document.Parts))
			for _, x := range p.Bodies[0].Document.Parts { if x.Path=="" { t.Log("missing", x) } }
			for _, n := range p.Names() { if !p.Reachable(n) { t.Log("unreachable", n)}}
		})
	}
}
