package mask

import (
	"maps"
	"slices"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sealgate/sealgate/policy"
)

// Limits that hold when Options leave them zero, and limits of a plan.
const (
	DefaultMaxBytes = 8 << 20
	DefaultMaxDepth = 256
	MaxPaths        = 2048    // rules and declared kinds of one plan
	maxStates       = 1 << 14 // of the compiled automaton
	minKeyBytes     = 16
)

// Options are what Compile needs besides the actions. The zero value is safe.
type Options struct {
	MaxBytes int64 // of the upstream's body; 0 means DefaultMaxBytes
	MaxDepth int   // of nested objects and arrays; 0 means DefaultMaxDepth

	// NumbersAsStrings lets a masked number become a masked string (`numbers:
	// string` in the interface). Otherwise it becomes null.
	NumbersAsStrings bool

	// PseudonymKey is the grant's key for the action pseudonym, at least 16 bytes.
	PseudonymKey []byte
}

// Plan is a compiled set of field actions. It is immutable and safe for
// concurrent use; compile it once for each decision and keep it with that.
type Plan struct {
	rules    []rule
	root     *state
	opts     Options
	pool     *sync.Pool
	withhold bool // a reject rule exists: nothing may be sent before the whole was seen
	observe  func(kind string, value []byte)
}

// rule is one field action of the plan.
type rule struct {
	path   string // as written in the plan
	action policy.FieldAction
	fixed  []byte // the quoted replacement of fixed("…")
}

// Compile makes a plan of field actions (path as written → action) and of the
// kinds that the interface declares (path → kind). Paths that no action names
// are left out of the answer; kinds alone grant nothing.
//
// When several rules bear on one value:
//
//   - A path with an exact member beats one that has `*` in its place:
//     `data.name: show` beats `*.name: mask` and `data.*: drop`.
//   - Of two that beat each other in different places, such as `data.*` and
//     `*.idCard`, the more restrictive holds: reject, then drop, then a mask,
//     then show; two different masks give `****`.
//   - `show` shows the whole subtree, except what a longer path says of a part
//     of it. Every other action takes the whole value: a longer path inside it
//     is without effect, save reject, which always holds.
func Compile(actions map[string]policy.FieldAction, kinds map[string]string, opts Options) (*Plan, error) {
	if opts.MaxBytes < 0 || opts.MaxDepth < 0 {
		return nil, fail(CodePlan, "negative limit")
	}
	if opts.MaxBytes == 0 {
		opts.MaxBytes = DefaultMaxBytes
	}
	if opts.MaxDepth == 0 {
		opts.MaxDepth = DefaultMaxDepth
	}
	if len(actions)+len(kinds) > MaxPaths {
		return nil, fail(CodePlan, "%d paths, want at most %d", len(actions)+len(kinds), MaxPaths)
	}
	opts.PseudonymKey = slices.Clone(opts.PseudonymKey)
	p := &Plan{opts: opts}
	var patterns []pattern
	for _, path := range slices.Sorted(maps.Keys(actions)) {
		segments, err := policy.ParsePath(path)
		if err != nil {
			return nil, fail(CodePlan, "%v", err)
		}
		r := rule{path: path, action: actions[path]}
		if err := r.check(opts); err != nil {
			return nil, err
		}
		p.withhold = p.withhold || r.action.Kind == policy.Reject
		patterns = append(patterns, pattern{segments: segments, rule: len(p.rules)})
		p.rules = append(p.rules, r)
	}
	for _, path := range slices.Sorted(maps.Keys(kinds)) {
		segments, err := policy.ParsePath(path)
		if err != nil {
			return nil, fail(CodePlan, "%v", err)
		}
		patterns = append(patterns, pattern{segments: segments, rule: noRule, kind: kinds[path]})
	}
	c := compiler{rules: p.rules, patterns: patterns, states: map[string]*state{}}
	root, err := c.build(0, c.all())
	if err != nil {
		return nil, err
	}
	p.root = root
	p.pool = &sync.Pool{New: func() any { return new(scratch) }}
	return p, nil
}

// check refuses actions that this version cannot apply, and prepares the rest.
func (r *rule) check(opts Options) error {
	switch r.action.Kind {
	case "":
		r.action.Kind = policy.Drop
	case policy.Show, policy.Drop, policy.Mask, policy.Reject:
	case policy.Keep, policy.Last:
		if r.action.N < 0 || r.action.M < 0 {
			return fail(CodePlan, "path %.60q: %s has a negative count", r.path, r.action.Kind)
		}
	case policy.Fixed:
		quoted, err := jsontext.AppendQuote(nil, r.action.Text)
		if err != nil {
			return fail(CodePlan, "path %.60q: the text of fixed is not UTF-8", r.path)
		}
		r.fixed = quoted
	case policy.Pseudonym:
		if len(opts.PseudonymKey) < minKeyBytes {
			return fail(CodePlan, "path %.60q: pseudonym needs the grant's key of at least %d bytes", r.path, minKeyBytes)
		}
	case policy.FPE, policy.Generalise, policy.Verify:
		return fail(CodeAction, "path %.60q: the action %s is not supported yet", r.path, r.action.Kind)
	default:
		return fail(CodeAction, "path %.60q: unknown action %.20q", r.path, r.action.Kind)
	}
	return nil
}

// WithObserver returns the same plan with a callback for the values at the
// paths whose declared kind is an identifier (see [IsIdentifier]). It is called
// for each, also when the field is masked or left out: the answer is about that
// person either way. value is the unescaped text and valid only during the call.
// An answer that fails later may have been observed in part.
func (p *Plan) WithObserver(see func(kind string, value []byte)) *Plan {
	q := *p
	q.observe = see
	return &q
}
