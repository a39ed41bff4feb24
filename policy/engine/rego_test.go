package engine

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sealgate/sealgate/policy/rego"
)

// shipped parses every shipped file, rules, tests and examples.
func shipped(t *testing.T) map[string]*ast.Module {
	t.Helper()
	modules := map[string]*ast.Module{}
	err := fs.WalkDir(rego.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		src, err := fs.ReadFile(rego.Files(), name)
		if err != nil {
			return err
		}
		m, err := ast.ParseModuleWithOpts(name, string(src), ast.ParserOptions{RegoVersion: ast.RegoV1})
		modules[name] = m
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return modules
}

func TestShippedRulesPassTheirTestsWithEveryRuleCovered(t *testing.T) {
	modules := shipped(t)
	coverage := cover.New()
	names := append(callBuiltins(), "internal.test_case", "json.patch")
	compiler := ast.NewCompiler().WithCapabilities(capabilities(names, nil)).WithStrict(true)
	store := inmem.New()
	txn, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), txn)
	results, err := tester.NewRunner().SetStore(store).SetCompiler(compiler).RaiseBuiltinErrors(true).SetModules(modules).
		SetCoverageQueryTracer(coverage).RunTests(t.Context(), txn)
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for r := range results {
		ran++
		if r.Fail || r.Error != nil {
			t.Errorf("%s.%s: fail %v, error %v", r.Package, r.Name, r.Fail, r.Error)
		}
	}
	if ran < 20 {
		t.Errorf("only %d tests ran", ran)
	}
	report := coverage.Report(modules)
	for name, f := range report.Files {
		if !strings.HasSuffix(name, "_test.rego") && (f.Coverage < 100 || len(f.NotCovered) > 0) {
			t.Errorf("%s: %.1f %% covered, not %v", name, f.Coverage, f.NotCovered)
		}
	}
	for _, name := range []string{"authz.rego", "reasons.rego", "example/working_hours.rego"} {
		if report.Files[name] == nil {
			t.Errorf("%s was not run", name)
		}
	}
}

func TestShippedRulesAndExamplesPassTheLint(t *testing.T) {
	modules := rego.Modules()
	if err := Check(modules, nil); err != nil {
		t.Error(err)
	}
	src, err := fs.ReadFile(rego.Files(), "example/working_hours.rego")
	if err != nil {
		t.Fatal(err)
	}
	modules["example/working_hours.rego"] = string(src)
	if err := Check(modules, nil); err != nil {
		t.Error(err)
	}
}

// TestAllowedBuiltinsExist keeps the allow-list honest: a name that this OPA
// does not know would be a rule that nobody can use.
func TestAllowedBuiltinsExist(t *testing.T) {
	for _, name := range callBuiltins() {
		if topdown.GetBuiltin(name) == nil && ast.BuiltinMap[name] == nil {
			t.Errorf("%s is not a built-in", name)
		}
	}
	stable := capabilities(stableBuiltins(), nil)
	if len(stable.Builtins) != len(stableBuiltins()) || stable.AllowNet == nil || len(stable.AllowNet) != 0 {
		t.Errorf("%d capabilities for %d names", len(stable.Builtins), len(stableBuiltins()))
	}
	for _, b := range stable.Builtins {
		for _, family := range []string{"http.", "net.", "time.", "rand.", "uuid.", "opa.", "io.", "crypto.", "rego.", "providers.", "trace", "print", "walk", "graph."} {
			if strings.HasPrefix(b.Name, family) || b.Nondeterministic {
				t.Errorf("%s is allowed", b.Name)
			}
		}
	}
}
