package engine

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of a policy.
const (
	maxModules     = 500
	maxModuleBytes = 1 << 20
	maxDataBytes   = 4 << 20
	maxFindings    = 20
)

// Finding is one thing that is wrong with a policy.
type Finding struct {
	File    string // empty when the policy as a whole is meant
	Line    int    // from 1; 0 when the file as a whole is meant
	Rule    string // which check found it: parse, compile, or the lint's name
	Message string
}

// String is one line: file:line: rule: message.
func (f Finding) String() string {
	where := ""
	if f.File != "" {
		where = f.File + ":"
		if f.Line > 0 {
			where += fmt.Sprintf("%d:", f.Line)
		}
		where += " "
	}
	return where + f.Rule + ": " + f.Message
}

// InvalidError lists what is wrong with a policy.
type InvalidError struct {
	Findings []Finding // at least one, at most 20
}

// Error is one line: the first finding, and how many follow.
func (e *InvalidError) Error() string {
	s := "policy: " + strings.Join(strings.Fields(e.Findings[0].String()), " ")
	if n := len(e.Findings) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Code returns the code of the problem table.
func (e *InvalidError) Code() string { return "SG-POLICY-INVALID" }

// Check compiles and checks a policy as New does, for editors and for the
// release of a bundle. It returns an *InvalidError or nil.
func Check(modules map[string]string, data map[string]any) error {
	_, err := compile(modules, data, nil)
	return err
}

// program is a compiled policy that passed all checks.
type program struct {
	stable, call *ast.Compiler // call is nil without a per-call stage
	hasCall      bool
	data         map[string]any
	outsideKey   string // what the stable stage reads that the cache's key lacks
}

// compile parses, compiles and checks. The stable stage is compiled without the
// modules of the per-call stage and with fewer built-ins.
func compile(sources map[string]string, data map[string]any, extra []*topdown.Builtin) (*program, error) {
	parsed, err := parse(sources)
	if err != nil {
		return nil, err
	}
	p := &program{}
	if p.data, err = copyData(data); err != nil {
		return nil, invalid(Finding{Rule: "data", Message: err.Error()})
	}
	stable := make(map[string]*ast.Module, len(parsed))
	for name, m := range parsed {
		if inPackage(m, callPackage) {
			p.hasCall = true
		} else {
			stable[name] = m
		}
	}
	if p.stable, err = compileStage(stable, stableBuiltins(), extra); err != nil {
		return nil, err
	}
	l := &linter{compiler: p.stable, data: p.data, onInput: map[*ast.Rule]bool{}}
	l.stage(stablePackage, "SG-AUTHZ")
	p.outsideKey = outsideKey(p.stable)
	if p.hasCall {
		again, err := parse(sources) // a compiler rewrites what it compiles
		if err != nil {
			return nil, err
		}
		if p.call, err = compileStage(again, callBuiltins(), extra); err != nil {
			return nil, err
		}
		l.compiler = p.call
		l.stage(callPackage, "SG-AUTHZ")
	}
	if len(l.findings) > 0 {
		return nil, &InvalidError{Findings: l.findings}
	}
	return p, nil
}

func invalid(f ...Finding) error { return &InvalidError{Findings: f[:min(len(f), maxFindings)]} }

func parse(sources map[string]string) (map[string]*ast.Module, error) {
	if len(sources) == 0 || len(sources) > maxModules {
		return nil, invalid(Finding{Rule: "parse", Message: fmt.Sprintf("want 1 to %d files", maxModules)})
	}
	modules := make(map[string]*ast.Module, len(sources))
	var findings []Finding
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		if len(sources[name]) > maxModuleBytes {
			findings = append(findings, Finding{File: name, Rule: "parse", Message: fmt.Sprintf("larger than %d bytes", maxModuleBytes)})
			continue
		}
		m, err := ast.ParseModuleWithOpts(name, sources[name], ast.ParserOptions{RegoVersion: ast.RegoV1})
		if err != nil {
			findings = append(findings, fromOPA(name, "parse", err)...)
			continue
		}
		modules[name] = m
		// OPA would leave print calls out in silence.
		ast.WalkRefs(m, func(r ast.Ref) bool {
			if r[0].Equal(ast.VarTerm("print")) {
				findings = append(findings, Finding{File: name, Line: line(m, r), Rule: "compile", Message: "print is for tests only"})
			}
			return false
		})
	}
	if len(findings) > 0 {
		return nil, invalid(findings...)
	}
	return modules, nil
}

func compileStage(modules map[string]*ast.Module, builtins []string, extra []*topdown.Builtin) (*ast.Compiler, error) {
	if len(modules) == 0 {
		return nil, invalid(Finding{Rule: "allow", Message: "no package sealgate.authz"})
	}
	c := ast.NewCompiler().WithCapabilities(capabilities(builtins, extra)).WithStrict(true)
	c.Compile(modules)
	if c.Failed() {
		return nil, invalid(fromOPA("", "compile", c.Errors)...)
	}
	return c, nil
}

// fromOPA turns OPA's errors into findings of one line each.
func fromOPA(file, rule string, err error) []Finding {
	list, ok := err.(ast.Errors)
	if !ok {
		return []Finding{{File: file, Rule: rule, Message: strings.Join(strings.Fields(err.Error()), " ")}}
	}
	var all []Finding
	for _, e := range list {
		f := Finding{File: file, Rule: rule, Message: strings.Join(strings.Fields(e.Message), " ")}
		if e.Location != nil {
			f.File, f.Line = e.Location.File, e.Location.Row
		}
		all = append(all, f)
	}
	return all
}

// line is where a reference stands, the module's first line when unknown.
func line(m *ast.Module, r ast.Ref) int {
	if l := r[0].Location; l != nil {
		return l.Row
	}
	return m.Package.Loc().Row
}

// inPackage reports whether a module's package is pkg or lies below it.
func inPackage(m *ast.Module, pkg string) bool { return m.Package.Path.HasPrefix(path(pkg, "")) }

// copyData makes the tables independent of the caller's, in the forms that
// OPA's store takes.
func copyData(data map[string]any) (map[string]any, error) {
	if len(data) == 0 {
		return map[string]any{}, nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		return nil, err
	}
	if len(b) > maxDataBytes {
		return nil, fmt.Errorf("%d bytes, more than %d are refused: grants belong in the catalogue", len(b), maxDataBytes)
	}
	var out map[string]any
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		return nil, err
	}
	return out, nil
}

func newStore(data map[string]any) storage.Store {
	return inmem.NewFromObjectWithOpts(data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(false))
}

// revision is SM3 over every file's name and content and over the data, each
// with its length before it, so that no two policies share a text.
func revision(sources map[string]string, data map[string]any) string {
	h := gm.NewSM3()
	write := func(s string) {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(s)))
		h.Write(n[:])
		h.Write([]byte(s))
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		write(name)
		write(sources[name])
	}
	if len(data) > 0 {
		b, err := json.Marshal(data) // maps in order of their keys
		if err != nil {
			panic("policy/engine: data was marshalled before: " + err.Error())
		}
		write("data.json")
		write(string(b))
	}
	return hex.EncodeToString(h.Sum(nil))
}
