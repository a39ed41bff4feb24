package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// linter refuses policies that compile and would still fail open, or slow
// down as data grows. It works on compiled modules: names are resolved,
// `some x in xs` is a reference with a variable, and bodies stand in the order
// in which they are evaluated.
type linter struct {
	compiler *ast.Compiler
	data     map[string]any
	onInput  map[*ast.Rule]bool // what readsInput found of a rule
	findings []Finding
}

func (l *linter) report(loc *ast.Location, rule, format string, args ...any) {
	f := Finding{Rule: rule, Message: fmt.Sprintf(format, args...)}
	if loc != nil {
		f.File, f.Line = loc.File, loc.Row
	}
	if len(l.findings) < maxFindings && !slices.Contains(l.findings, f) {
		l.findings = append(l.findings, f)
	}
}

// stage checks every rule that can have a part in the answers of a package.
func (l *linter) stage(pkg, family string) {
	l.allowStyle(pkg)
	names := make([]string, 0, len(l.compiler.Modules))
	for name := range l.compiler.Modules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := l.compiler.Modules[name]
		if !inPackage(m, pkg) && pkg == callPackage && inPackage(m, stablePackage) {
			continue // was checked with its own stage
		}
		for _, r := range m.Rules {
			for ; r != nil; r = r.Else {
				l.rule(r)
			}
		}
	}
}

// allowStyle demands `default allow := false` and rules that allow by what
// holds, never by what is absent.
func (l *linter) allowStyle(pkg string) {
	rules := l.compiler.GetRulesExact(path(pkg, "allow"))
	if len(rules) == 0 {
		l.report(nil, "allow-style", "package sealgate.%s has no rule allow; policies that only deny are refused", pkg)
		return
	}
	var defaults, others int
	closure := map[*ast.Rule]bool{}
	for _, r := range rules {
		if r.Default {
			defaults++
			if !r.Head.Value.Equal(ast.InternedTerm(false)) {
				l.report(r.Loc(), "allow-style", "want default allow := false")
			}
			continue
		}
		others++
		for e := r; e != nil; e = e.Else {
			if !l.readsInput(e.Body) {
				l.report(e.Loc(), "allow-style", "allow must hang on a condition on input that holds; this one holds for every call")
			}
		}
		l.closure(r, closure)
	}
	if defaults == 0 {
		l.report(rules[0].Loc(), "allow-style", "package sealgate.%s needs default allow := false", pkg)
	}
	if others == 0 {
		l.report(rules[0].Loc(), "allow-style", "package sealgate.%s has no rule that allows", pkg)
	}
	for r := range closure {
		l.noAbsence(r)
	}
}

// closure collects r and every rule it depends on.
func (l *linter) closure(r *ast.Rule, seen map[*ast.Rule]bool) {
	if seen[r] {
		return
	}
	seen[r] = true
	for dep := range l.compiler.Graph.Dependencies(r) {
		if d, ok := dep.(*ast.Rule); ok {
			l.closure(d, seen)
		}
	}
}

// readsInput reports whether one condition of the body is not negated and
// looks at the input, itself or in every definition of a rule that it asks.
func (l *linter) readsInput(b ast.Body) bool {
	for _, e := range b {
		if e.Negated {
			continue
		}
		found := false
		ast.WalkRefs(e, func(r ast.Ref) bool {
			found = found || r[0].Equal(ast.InputRootDocument) || l.ruleReadsInput(r)
			return found
		})
		if found {
			return true
		}
	}
	return false
}

// ruleReadsInput looks at each rule once and ends because rules cannot be
// recursive.
func (l *linter) ruleReadsInput(ref ast.Ref) bool {
	rules := l.rulesAt(ref)
	for _, r := range rules {
		if _, known := l.onInput[r]; !known && !r.Default {
			l.onInput[r] = l.readsInput(r.Body)
		}
		if !r.Default && !l.onInput[r] {
			return false
		}
	}
	return len(rules) > 0
}

// noAbsence refuses, in all that allow depends on, a condition that holds
// because another rule gave nothing: `not helper`, `count(denials) == 0`,
// `denials == set()`, `every d in denials {…}`, `[d | denials[d]] == []`, and an
// else behind a body that asks another rule. When that rule errs or reads what
// is missing it gives nothing as well, and the call would pass.
func (l *linter) noAbsence(r *ast.Rule) {
	l.noCollecting(r)
	for e := r; e.Else != nil; e = e.Else {
		l.undefined(e.Body, func(ref ast.Ref) {
			l.report(e.Else.Loc(), "absence", "else holds when %s errs; give %s a default, or say what must hold", shorten(ref), shorten(ref))
		})
	}
	ast.WalkBodies(r, func(b ast.Body) bool {
		for _, e := range b {
			if e.Negated {
				l.undefined(e, func(ref ast.Ref) {
					l.report(e.Loc(), "absence", "not %s holds when %s errs; give it a default, or say what must hold", shorten(ref), shorten(ref))
				})
			}
			for _, ref := range l.wholes(e) {
				// The compiler has moved the reference out: local = ref; op(local).
				local, moved := other(e, ref)
				if e.Negated || !moved || !onlyMember(b, e, local) {
					l.report(e.Loc(), "absence", "%s as a whole is empty when a rule of it errs; in what allow depends on, only `x in %s` and `%s[x]` are accepted", ref, ref, ref)
				}
			}
		}
		return false
	})
}

// noCollecting refuses comprehensions over rules that may give nothing: an
// empty collection says as little as the rule itself.
func (l *linter) noCollecting(r *ast.Rule) {
	ast.WalkTerms(r, func(t *ast.Term) bool {
		if ast.IsComprehension(t.Value) {
			l.undefined(t, func(ref ast.Ref) {
				l.report(t.Loc(), "absence", "what is collected from %s is empty when %s errs; ask it without a comprehension", shorten(ref), shorten(ref))
			})
		}
		return false
	})
}

// undefined calls f for each reference in x to a rule that can be undefined.
func (l *linter) undefined(x any, f func(ast.Ref)) {
	ast.WalkRefs(x, func(ref ast.Ref) bool {
		if rules := l.rulesAt(ref); len(rules) > 0 && !hasDefault(rules) {
			f(ref)
		}
		return false
	})
}

// rulesAt returns the rules that a reference leads to by its constant part.
func (l *linter) rulesAt(ref ast.Ref) []*ast.Rule {
	for n := len(ref); n > 1; n-- {
		if rules := l.compiler.GetRulesExact(ref[:n]); len(rules) > 0 {
			return rules
		}
	}
	return nil
}

// wholes lists the references of an expression, bodies in it left out, to a
// partial rule as a whole.
func (l *linter) wholes(e *ast.Expr) []ast.Ref {
	var found []ast.Ref
	v := ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Body:
			return true
		case ast.Ref:
			if rules := l.compiler.GetRulesExact(x); len(rules) > 0 && partial(rules) {
				found = append(found, x)
			}
		}
		return false
	})
	v.Walk(e)
	return found
}

// other returns the variable of `variable = ref`.
func other(e *ast.Expr, ref ast.Ref) (ast.Var, bool) {
	if !e.IsEquality() {
		return "", false
	}
	a, b := e.Operand(0), e.Operand(1)
	if r, ok := a.Value.(ast.Ref); ok && r.Equal(ref) {
		a, b = b, a
	}
	r, ok := b.Value.(ast.Ref)
	v, isVar := a.Value.(ast.Var)
	return v, ok && isVar && r.Equal(ref)
}

// onlyMember reports whether a body uses a variable, besides in def, only on
// the right side of a positive `x in variable`.
func onlyMember(b ast.Body, def *ast.Expr, local ast.Var) bool {
	for _, e := range b {
		if e == def {
			continue
		}
		uses := 0
		ast.WalkVars(e, func(v ast.Var) bool {
			if v == local {
				uses++
			}
			return false
		})
		if uses == 0 {
			continue
		}
		member := e.IsCall() && strings.HasPrefix(e.Operator().String(), "internal.member_")
		if e.Negated || !member || uses != 1 || !e.Operand(len(e.Operands())-1).Equal(ast.NewTerm(local)) {
			return false
		}
	}
	return true
}

func hasDefault(rules []*ast.Rule) bool {
	return slices.ContainsFunc(rules, func(r *ast.Rule) bool { return r.Default })
}

func partial(rules []*ast.Rule) bool {
	return slices.ContainsFunc(rules, func(r *ast.Rule) bool {
		return r.Head.RuleKind() == ast.MultiValue || len(r.Ref()) > len(r.Ref().GroundPrefix())
	})
}

// rule checks references to data in evaluation order.
func (l *linter) rule(r *ast.Rule) {
	safe := ast.ReservedVars.Copy()
	for _, a := range r.Head.Args {
		ast.WalkVars(a, func(v ast.Var) bool { safe.Add(v); return false })
	}
	l.body(r.Body, safe)
}

func (l *linter) body(b ast.Body, outer ast.VarSet) {
	safe := outer.Copy()
	for _, e := range b {
		if len(e.With) > 0 {
			l.report(e.Loc(), "with", "`with` replaces what a rule was checked on; use it in tests only")
		}
		l.expr(e, safe)
		safe.Update(ast.OutputVarsFromExpr(l.compiler, e, safe))
	}
}

// expr looks at the references of one expression, and into what is nested in
// it with the variables that are bound by then.
func (l *linter) expr(e *ast.Expr, safe ast.VarSet) {
	var v *ast.GenericVisitor
	v = ast.NewGenericVisitor(func(x any) bool {
		switch x := x.(type) {
		case ast.Ref:
			if x[0].Equal(ast.DefaultRootDocument) {
				l.reference(x, e.Loc(), safe)
			}
		case *ast.ArrayComprehension:
			l.body(x.Body, safe)
			return true
		case *ast.SetComprehension:
			l.body(x.Body, safe)
			return true
		case *ast.ObjectComprehension:
			l.body(x.Body, safe)
			return true
		case *ast.Every:
			v.Walk(x.Domain)
			inner := safe.Copy()
			inner.Update(x.KeyValueVars())
			l.body(x.Body, inner)
			return true
		}
		return false
	})
	v.Walk(e)
}

// reference demands that a reference to data leads to a rule or to a value that
// is there, by keys that are known when it is reached.
func (l *linter) reference(ref ast.Ref, loc *ast.Location, safe ast.VarSet) {
	if l.isRule(ref) {
		return
	}
	var at any = l.data
	for _, t := range ref[1:] {
		switch k := t.Value.(type) {
		case ast.String:
			table, ok := at.(map[string]any)
			if at == nil && !ok {
				continue // below a key that is known only later
			}
			if at, ok = table[string(k)]; !ok {
				l.report(loc, "data", "%s is neither a rule nor in the policy's data", ref)
				return
			}
		case ast.Var:
			if !safe.Contains(k) {
				l.report(loc, "scan", "%s looks at every entry; read data by key, data.table[key]", shorten(ref))
				return
			}
			if len(l.data) > 0 && at != nil && !isTable(at) {
				l.report(loc, "data", "%s is not a table", ref)
				return
			}
			at = nil
		default:
			at = nil
		}
	}
	if at != nil && isCollection(at) {
		l.report(loc, "scan", "%s is a whole table; read data by key, data.table[key]", ref)
	}
}

// isRule reports whether a reference reaches a rule by its constant part.
func (l *linter) isRule(ref ast.Ref) bool {
	n := l.compiler.RuleTree.Child(ref[0].Value)
	for _, t := range ref[1:] {
		if n == nil {
			return false
		}
		if _, ok := t.Value.(ast.String); !ok {
			return false
		}
		if n = n.Child(t.Value); n != nil && len(n.Values) > 0 {
			return true
		}
	}
	return false
}

func isTable(v any) bool { _, ok := v.(map[string]any); return ok }

func isCollection(v any) bool {
	_, list := v.([]any)
	return list || isTable(v)
}

// shorten prints a reference up to its first variable: those of the compiler
// say nothing to a reader.
func shorten(ref ast.Ref) string { return ref.GroundPrefix().String() }

// outsideKey names the first thing of the input that the stable stage reads and
// the cache's key does not hold; empty when there is none.
func outsideKey(c *ast.Compiler) string {
	inside := []string{"caller", "interface", "grant", "item", "scenario", "purpose"}
	names := make([]string, 0, len(c.Modules))
	for name := range c.Modules {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		found := ""
		ast.WalkRefs(c.Modules[name], func(r ast.Ref) bool {
			if found != "" || !r[0].Equal(ast.InputRootDocument) {
				return false
			}
			if len(r) == 1 {
				found = "the policy reads input as a whole"
			} else if k, ok := r[1].Value.(ast.String); !ok {
				found = "the policy reads input by a key that is not constant"
			} else if !slices.Contains(inside, string(k)) {
				found = fmt.Sprintf("the policy reads input.%s, which the decision cache's key does not hold", string(k))
			}
			return false
		})
		if found != "" {
			return found
		}
	}
	return ""
}
