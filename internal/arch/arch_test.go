// Package arch holds the tests that keep the tree's shape: who may import
// whom, and the red lines of docs/architecture.md. It has no code of its own.
package arch

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/internal/testenv"
)

const module = "github.com/sealgate/sealgate"

// level orders the packages: a package imports lower levels only. A folder may
// also import its parent package when the parent is lower or level.
var level = map[string]int{
	"cmd/sealgate": 7, "cmd/sealgate-vault-plugin": 7,

	"internal/demo": 6,

	"gateway": 5, "seal/server": 5, "internal/store": 5, "keys/plugin": 5,

	"policy/engine": 4, "keys/local": 4, "keys/vault": 4,

	"seal": 3, "gateway/mask": 3, "internal/identity": 3, "keys/engine": 3, "keys/pki": 3, "keys/wire": 3, "policy/bundle": 3,

	"seal/ses": 2, "seal/ofd": 2, "seal/stamp": 2, "keys": 2, "keys/trust": 2, "gateway/catalog": 2,

	"audit": 1, "policy": 1, "policy/rego": 1, "internal/config": 1, "internal/httpserve": 1, "internal/typeface": 1,

	"internal/gm": 0, "internal/durable": 0, "internal/problem": 0,
}

// testOnly packages may import anything, and nothing else may import them.
var testOnly = []string{"keys/keytest", "internal/testenv", "internal/arch"}

type goPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, args ...string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Dir,GoFiles,Imports,Deps"}, args...)...)
	cmd.Dir = testenv.Root(t)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var all []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func inTree(importPath string) (string, bool) {
	if rel, ok := strings.CutPrefix(importPath, module+"/"); ok {
		return rel, true
	}
	return "", false
}

func under(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }

func TestPackagesImportLowerLevelsOnly(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, ok := inTree(p.ImportPath)
		if !ok || slices.Contains(testOnly, from) {
			continue
		}
		lf, known := level[from]
		if !known {
			t.Errorf("%s has no level: add it to this test's table and to docs/architecture.md", from)
			continue
		}
		for _, imp := range p.Imports {
			to, ok := inTree(imp)
			if !ok {
				continue
			}
			if slices.Contains(testOnly, to) {
				t.Errorf("%s imports %s, which only tests may import", from, to)
				continue
			}
			lt := level[to]
			parent := filepath.ToSlash(filepath.Dir(from)) == to
			if lt > lf || lt == lf && !parent {
				t.Errorf("%s (level %d) imports %s (level %d)", from, lf, to, lt)
			}
		}
	}
}

func TestRedLinesHold(t *testing.T) {
	for _, p := range list(t, "./...") {
		from, _ := inTree(p.ImportPath)
		if slices.Contains(testOnly, from) {
			continue
		}
		for _, imp := range p.Imports {
			switch {
			case strings.HasPrefix(imp, "github.com/emmansun/gmsm") && from != "internal/gm":
				t.Errorf("%s imports %s: only internal/gm may", from, imp)
			case strings.HasPrefix(imp, "github.com/tjfoc/gmsm"):
				t.Errorf("%s imports %s: only tests may, as a second opinion", from, imp)
			case strings.HasPrefix(imp, "github.com/open-policy-agent/opa") && from != "policy/engine" && from != "policy/bundle":
				t.Errorf("%s imports %s: only policy/engine and policy/bundle may", from, imp)
			case imp == "testing" || strings.HasPrefix(imp, "testing/"):
				t.Errorf("%s imports %s outside its tests", from, imp)
			case imp == "net/http" && slices.Contains([]string{"seal", "seal/ses", "seal/ofd", "seal/pdf", "keys/trust"}, from):
				t.Errorf("%s imports net/http: verification works offline", from)
			}
		}
		for _, dep := range p.Deps {
			to, ok := inTree(dep)
			switch {
			case strings.HasPrefix(dep, "github.com/hashicorp/vault/sdk") && from == "cmd/sealgate":
				t.Errorf("%s links %s: only the plugin may", from, dep)
			case !ok:
			case under(from, "gateway") && under(to, "seal"):
				t.Errorf("%s depends on %s: a proxy bug must not reach signing code", from, to)
			case under(from, "gateway") && under(to, "keys") && to != "keys/trust":
				t.Errorf("%s depends on %s: of keys the gateway may know only keys/trust", from, to)
			case slices.Contains([]string{"seal", "seal/ses", "seal/ofd", "seal/pdf"}, from) && (under(to, "policy") || to == "keys/vault"):
				t.Errorf("%s depends on %s", from, to)
			case from == "keys/trust" && under(to, "keys") && to != from:
				t.Errorf("%s depends on %s", from, to)
			}
		}
	}
}

// goFiles calls visit for each Go file of the product (tests left out).
func goFiles(t *testing.T, visit func(rel string, f *ast.File, fset *token.FileSet)) {
	t.Helper()
	root := testenv.Root(t)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), ".") && rel != "." || d.Name() == "testdata" || slices.Contains(testOnly, rel) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(rel, ".go") || strings.HasSuffix(rel, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		visit(rel, f, fset)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoInitFunctionsAndNoFileTooLongToRead(t *testing.T) {
	goFiles(t, func(rel string, f *ast.File, fset *token.FileSet) {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: wire it in cmd/sealgate instead", rel)
			}
		}
		if n := fset.File(f.Pos()).LineCount(); n > 800 {
			t.Errorf("%s has %d lines; 800 is the limit", rel, n)
		}
	})
}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	documented, seen := map[string]bool{}, map[string]bool{}
	goFiles(t, func(rel string, f *ast.File, _ *token.FileSet) {
		dir := filepath.ToSlash(filepath.Dir(rel))
		seen[dir] = true
		if f.Doc != nil && len(f.Doc.Text()) > 80 {
			documented[dir] = true
		}
	})
	for dir := range seen {
		if !documented[dir] {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

var problemCode = regexp.MustCompile(`^"SG-[A-Z0-9]+(-[A-Z0-9]+)+"$`)

func TestEveryProblemCodeIsInTheTable(t *testing.T) {
	goFiles(t, func(rel string, f *ast.File, fset *token.FileSet) {
		if strings.HasPrefix(rel, "internal/problem/") {
			return
		}
		ast.Inspect(f, func(n ast.Node) bool {
			lit, ok := n.(*ast.BasicLit)
			if !ok || lit.Kind != token.STRING || !problemCode.MatchString(lit.Value) {
				return true
			}
			if code := strings.Trim(lit.Value, `"`); !problem.Known(code) {
				t.Errorf("%s: %s is not in internal/problem's table", fset.Position(lit.Pos()), code)
			}
			return true
		})
	})
}
