package engine

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sealgate/sealgate/policy"
)

// DefaultBudget is the longest that one decision may take.
const DefaultBudget = 50 * time.Millisecond

// DefaultCacheSize is the number of decisions that are remembered at most.
const DefaultCacheSize = 1 << 16

// Config says what an Engine evaluates. Modules is required.
type Config struct {
	// Modules are the policy's files by name; tests are left out by the caller.
	Modules map[string]string
	// Data holds small tables that rules read by key (data.table[key]). Numbers
	// must be int, int64, float64 or json.Number.
	Data map[string]any
	// Revision is the name under which the policy decides, such as that of the
	// bundle it came in. Empty: the SM3 of its content, in hexadecimal.
	Revision string
	// Budget bounds one decision, reasons included. Zero: DefaultBudget.
	Budget time.Duration
	// CacheSize bounds the remembered decisions. Zero: DefaultCacheSize;
	// negative: nothing is remembered.
	CacheSize int
	// Log receives the cause of each decision that failed. Nil: nothing is
	// logged; the decision's code tells the kind in any case.
	Log *slog.Logger
}

// Request is one question. The pointers come from one catalogue snapshot: they
// are used as cache keys and must not be changed while the snapshot lives.
type Request struct {
	Caller    policy.Caller
	Interface *policy.Interface
	Grant     *policy.Grant    // nil: refused without asking the policy
	Item      *policy.Item     // nil: the call names none
	Scenario  *policy.Scenario // nil: the call fits none
	Purpose   string
	// Catalogue is the revision of the snapshot that the pointers belong to.
	Catalogue string
	// At is the moment of the call, Until the end of the grant: a decision is
	// not remembered beyond it, and a zero Until is not remembered at all.
	At, Until time.Time
	// Call is what the per-call stage sees; required when the policy has one.
	Call *policy.CallInput
}

// Engine evaluates one revision of a policy. It is safe for concurrent use.
type Engine struct {
	revision string
	budget   time.Duration
	log      *slog.Logger
	store    storage.Store
	builtins map[string]*topdown.Builtin
	keys     inputKeys

	stable *stage
	call   *stage // nil: the policy has no per-call stage

	uncacheable string // why nothing is remembered; empty: decisions are
	cache       *cache
}

// New compiles and checks a policy. The error is an *InvalidError that says
// what is wrong and where; nothing of an invalid policy is usable.
func New(ctx context.Context, cfg Config) (*Engine, error) { return build(ctx, cfg, nil) }

// build is New with additional built-in functions, for tests of what happens
// when a built-in misbehaves.
func build(ctx context.Context, cfg Config, extra []*topdown.Builtin) (*Engine, error) {
	p, err := compile(cfg.Modules, cfg.Data, extra)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		revision: cfg.Revision,
		budget:   cfg.Budget, log: cfg.Log, store: newStore(p.data), keys: newInputKeys(),
		uncacheable: p.outsideKey,
	}
	if e.revision == "" {
		e.revision = revision(cfg.Modules, p.data)
	}
	if e.budget <= 0 {
		e.budget = DefaultBudget
	}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	if len(extra) > 0 {
		e.builtins = make(map[string]*topdown.Builtin, len(extra))
		for _, b := range extra {
			e.builtins[b.Decl.Name] = b
		}
	}
	if e.stable, err = newStage(p.stable, stablePackage); err != nil {
		return nil, err
	}
	if p.hasCall {
		if e.call, err = newStage(p.call, callPackage); err != nil {
			return nil, err
		}
	}
	size := cfg.CacheSize
	if size == 0 {
		size = DefaultCacheSize
	}
	if size < 0 && e.uncacheable == "" {
		e.uncacheable = "switched off"
	}
	e.cache = newCache(max(size, 0))
	return e, ctx.Err()
}

// Revision is the name under which the policy decides, see Config.
func (e *Engine) Revision() string { return e.revision }

// Cacheable reports whether decisions of the stable stage are remembered, and
// if not, why: the policy reads something that is not part of the cache's key.
func (e *Engine) Cacheable() (ok bool, why string) { return e.uncacheable == "", e.uncacheable }

// Decide answers one question. It never returns an error: whatever goes wrong
// is a decision that denies, with a code of the problem table.
func (e *Engine) Decide(ctx context.Context, req Request) policy.Decision {
	d := policy.Decision{ID: newID(), Revision: e.revision}
	if req.Grant == nil || req.Interface == nil {
		return e.deny(d, "SG-AUTHZ-NO-GRANT", noGrant())
	}
	var k key
	remember := e.uncacheable == "" && req.At.Before(req.Until)
	if remember {
		k = keyOf(&req)
		if v, ok := e.cache.get(req.Catalogue, &k, req.At); ok {
			d.Allow, d.Actions, d.Obligations, d.Cached = true, v.actions, v.obligations, true
			if e.call == nil {
				return d
			}
		}
	}
	return e.evaluate(ctx, req, d, &k, remember)
}

// evaluate asks OPA what is not remembered. It is apart from Decide so that a
// remembered decision does not move the request to the heap.
func (e *Engine) evaluate(ctx context.Context, req Request, d policy.Decision, k *key, remember bool) policy.Decision {
	r := e.newRun(ctx, &req, d.ID)
	defer r.stop()
	if !d.Cached {
		if d = r.stableStage(d); !d.Allow {
			return d
		}
		if remember {
			e.cache.put(req.Catalogue, k, verdict{actions: d.Actions, obligations: d.Obligations, until: req.Until})
		}
	}
	if e.call != nil {
		d = r.callStage(d)
	}
	return d
}

// deny turns d into a refusal. Nothing that belongs to an allowed call stays.
func (e *Engine) deny(d policy.Decision, code string, reasons ...policy.Reason) policy.Decision {
	return policy.Decision{ID: d.ID, Code: code, Reasons: reasons, Revision: e.revision, Cached: d.Cached}
}

// newID is 128 random bits in hex. Decision ids are unique names, not secrets.
func newID() string {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:8], rand.Uint64())
	binary.LittleEndian.PutUint64(b[8:], rand.Uint64())
	var text [32]byte
	hex.Encode(text[:], b[:])
	return string(text[:])
}

func noGrant() policy.Reason {
	return policy.Reason{Code: "SG-AUTHZ-NO-GRANT", ZH: "没有可用的授权", EN: "there is no grant for this call",
		FixZH: "请向大数据主管部门申请授权", FixEN: "apply to the data bureau for a grant"}
}

// general is the reason of a deny for which the policy gives none that can be
// read.
func general() policy.Reason {
	return policy.Reason{Code: "SG-AUTHZ-DENIED", ZH: "策略不允许本次调用", EN: "the policy does not allow this call",
		FixZH: "请携带请求编号与大数据主管部门联系", FixEN: "ask the data bureau, with the request id"}
}

// The packages of the two stages, below data.sealgate.
const (
	stablePackage = "authz"
	callPackage   = "call"
)

// path returns data.sealgate.pkg.rule, or that of the package without a rule.
func path(pkg, rule string) ast.Ref {
	r := ast.Ref{ast.DefaultRootDocument, ast.StringTerm("sealgate"), ast.StringTerm(pkg)}
	if rule != "" {
		r = append(r, ast.StringTerm(rule))
	}
	return r
}
