package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sealgate/sealgate/policy"
)

// Causes of a refusal that is the policy's fault or the engine's. Each denies.
var (
	errTimeout    = errors.New("budget exceeded")
	errResult     = errors.New("result of another form than contracted")
	errActions    = errors.New("field actions that do not tighten the grant")
	errObligation = errors.New("obligation that is not known")
)

func codeOf(err error) string {
	switch {
	case errors.Is(err, errTimeout):
		return "SG-POLICY-TIMEOUT"
	case errors.Is(err, errResult):
		return "SG-POLICY-RESULT"
	case errors.Is(err, errActions):
		return "SG-POLICY-ACTIONS"
	case errors.Is(err, errObligation):
		return "SG-POLICY-OBLIGATION"
	}
	return "SG-POLICY-ERROR"
}

// query is a compiled question. Its variables are arrays with every value that
// a rule has: none when it is undefined, so that one undefined rule does not
// make the others disappear.
type query struct {
	compiler *ast.Compiler
	queries  ast.QueryCompiler
	body     ast.Body
}

// stage is a package with its two questions.
type stage struct {
	decide  query
	reasons *query // nil: the package has no reasons
	actions bool   // the package has a rule actions
	duties  bool   // the package has a rule obligations
}

func newStage(c *ast.Compiler, pkg string) (*stage, error) {
	has := func(rule string) bool { return len(c.GetRulesWithPrefix(path(pkg, rule))) > 0 }
	s := &stage{actions: pkg == stablePackage && has("actions"), duties: pkg == stablePackage && has("obligations")}
	rules := []string{"allow"}
	if s.actions {
		rules = append(rules, "actions")
	}
	if s.duties {
		rules = append(rules, "obligations")
	}
	var err error
	if s.decide, err = newQuery(c, pkg, rules...); err != nil {
		return nil, err
	}
	if has("reasons") {
		q, err := newQuery(c, pkg, "reasons")
		if err != nil {
			return nil, err
		}
		s.reasons = &q
	}
	return s, nil
}

func newQuery(c *ast.Compiler, pkg string, rules ...string) (query, error) {
	parts := make([]string, len(rules))
	for i, r := range rules {
		parts[i] = fmt.Sprintf("%s = [x | x := %s]", r, path(pkg, r))
	}
	body, err := ast.ParseBodyWithOpts(strings.Join(parts, "\n"), ast.ParserOptions{RegoVersion: ast.RegoV1})
	if err != nil {
		return query{}, invalid(fromOPA("", "query", err)...)
	}
	qc := c.QueryCompiler()
	compiled, err := qc.Compile(body)
	if err != nil {
		return query{}, invalid(fromOPA("", "query", err)...)
	}
	return query{c, qc, compiled}, nil
}

// run is the evaluation of one request: all its queries share one budget.
type run struct {
	e        *Engine
	ctx      context.Context
	req      *Request
	id       string
	cancel   topdown.Cancel
	deadline time.Time
	stopAll  []func() bool
	in       ast.Object
}

func (e *Engine) newRun(ctx context.Context, req *Request, id string) *run {
	r := &run{e: e, ctx: ctx, req: req, id: id, cancel: topdown.NewCancel(), deadline: time.Now().Add(e.budget)}
	r.stopAll = append(r.stopAll, time.AfterFunc(e.budget, r.cancel.Cancel).Stop)
	if ctx.Done() != nil {
		r.stopAll = append(r.stopAll, context.AfterFunc(ctx, r.cancel.Cancel))
	}
	return r
}

func (r *run) stop() {
	for _, f := range r.stopAll {
		f()
	}
}

// failed is the refusal for an error; the cause goes to the log, not to the
// caller.
func (r *run) failed(d policy.Decision, stage string, err error) policy.Decision {
	code := codeOf(err)
	r.e.log.ErrorContext(r.ctx, "policy gave no usable answer, the call is denied",
		"code", code, "stage", stage, "decision", r.id, "interface", r.req.Interface.ID, "grant", r.req.Grant.ID, "revision", r.e.revision, "error", forLog(err))
	return r.e.deny(d, code)
}

// forLog is what may be logged of an error. The text of a built-in's error
// quotes its operands, which may be a caller's parameters: an identity number
// that is no number. Kept are the place, the kind and the built-in's name.
func forLog(err error) string {
	var e *topdown.Error
	if !errors.As(err, &e) {
		return err.Error()
	}
	where := ""
	if e.Location != nil {
		where = fmt.Sprintf("%s:%d: ", e.Location.File, e.Location.Row)
	}
	name, _, _ := strings.Cut(e.Message, ":")
	return where + e.Code + ": " + name
}

// stableStage evaluates data.sealgate.authz.
func (r *run) stableStage(d policy.Decision) policy.Decision {
	in, g, err := r.e.input(r.req)
	if err != nil {
		return r.failed(d, stablePackage, err)
	}
	r.in = in
	st := r.e.stable
	answer, err := r.eval(&st.decide, in)
	if err != nil {
		return r.failed(d, stablePackage, err)
	}
	allow, err := boolean(answer, "allow")
	if err != nil {
		return r.failed(d, stablePackage, err)
	}
	if !allow {
		return r.denied(d, st, in)
	}
	d.Actions = g.actions
	if st.actions {
		if d.Actions, err = tighten(answer, g.actions); err != nil {
			return r.failed(d, stablePackage, err)
		}
	}
	if st.duties {
		if d.Obligations, err = obligations(answer); err != nil {
			return r.failed(d, stablePackage, err)
		}
	}
	if nothingLeft(d.Actions) {
		return r.e.deny(d, "SG-AUTHZ-FIELDS", nothingToShow())
	}
	d.Allow = true
	return d
}

// callStage evaluates data.sealgate.call over a stable allow. Whatever is not
// an allow turns it into a deny.
func (r *run) callStage(d policy.Decision) policy.Decision {
	if r.req.Call == nil {
		return r.failed(d, callPackage, errors.New("the policy has a per-call stage and the request has nothing for it"))
	}
	if r.in == nil { // the stable answer was remembered
		in, _, err := r.e.input(r.req)
		if err != nil {
			return r.failed(d, callPackage, err)
		}
		r.in = in
	}
	in, err := r.e.callInput(r.in, r.req.Call)
	if err != nil {
		return r.failed(d, callPackage, err)
	}
	answer, err := r.eval(&r.e.call.decide, in)
	if err != nil {
		return r.failed(d, callPackage, err)
	}
	allow, err := boolean(answer, "allow")
	if err != nil {
		return r.failed(d, callPackage, err)
	}
	if !allow {
		return r.denied(d, r.e.call, in)
	}
	return d
}

// denied asks for the reasons of a deny. When they cannot be had or read, the
// deny stands with the general one.
func (r *run) denied(d policy.Decision, st *stage, in ast.Object) policy.Decision {
	reasons := []policy.Reason{general()}
	if st.reasons != nil {
		answer, err := r.eval(st.reasons, in)
		if err == nil {
			var list []policy.Reason
			if list, err = readReasons(answer); err == nil && len(list) > 0 {
				reasons = list
			}
		}
		if err != nil {
			r.e.log.WarnContext(r.ctx, "reasons of a deny cannot be read", "decision", r.id, "revision", r.e.revision, "error", forLog(err))
		}
	}
	return r.e.deny(d, refusalCode(reasons), reasons...)
}

// eval asks one query and returns its one answer. A panic in the evaluator or
// a built-in is an error of this evaluation.
func (r *run) eval(q *query, in ast.Object) (answer topdown.QueryResult, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, fmt.Errorf("panic: %T", p) // the value may hold anything
		}
	}()
	if r.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errTimeout, r.ctx.Err())
	}
	txn, err := r.e.store.NewTransaction(r.ctx, storage.TransactionParams{})
	if err != nil {
		return nil, err
	}
	defer r.e.store.Abort(r.ctx, txn)
	n := 0
	err = topdown.NewQuery(q.body).
		WithQueryCompiler(q.queries).
		WithCompiler(q.compiler).
		WithStore(r.e.store).
		WithTransaction(txn).
		WithBuiltins(r.e.builtins).
		WithInput(ast.NewTerm(in)).
		WithMetrics(metrics.NoOp()).
		WithCancel(r.cancel).
		WithStrictBuiltinErrors(true).
		Iter(r.ctx, func(res topdown.QueryResult) error {
			n, answer = n+1, res
			return nil
		})
	switch {
	case topdown.IsCancel(err), r.cancel.Cancelled(), err == nil && time.Now().After(r.deadline):
		return nil, fmt.Errorf("%w: %s", errTimeout, r.e.budget)
	case err != nil: // with strict built-in errors also when answers came before it
		return nil, err
	case n != 1:
		return nil, fmt.Errorf("%w: %d answers", errResult, n)
	}
	return answer, nil
}
