package engine

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sealgate/sealgate/policy"
)

// key holds all that the stable stage can see, besides the policy (an Engine is
// one revision) and the catalogue (a generation is one revision). Pointers
// stand for objects of one immutable snapshot, and a key keeps them alive, so
// an address cannot come to mean another object.
type key struct {
	caller   policy.Caller
	iface    *policy.Interface
	grant    *policy.Grant
	item     *policy.Item
	scenario *policy.Scenario
	purpose  string
}

func keyOf(r *Request) key {
	return key{caller: r.Caller, iface: r.Interface, grant: r.Grant, item: r.Item, scenario: r.Scenario, purpose: r.Purpose}
}

// verdict is a remembered positive answer of the stable stage. Negative ones
// are not remembered: a caller can make any number of different ones.
type verdict struct {
	actions     map[string]policy.FieldAction
	obligations []policy.Obligation
	until       time.Time // the end of the grant
}

const shards = 16

// cache remembers verdicts for one catalogue revision at a time. When a call
// comes with another revision, everything is dropped at once; there is no
// other invalidation.
type cache struct {
	size    int
	seed    maphash.Seed
	current atomic.Pointer[generation]
}

type generation struct {
	catalogue string
	shards    [shards]shard
	terms     terms
}

type shard struct {
	mu      sync.RWMutex
	entries map[uint64]entry
}

type entry struct {
	key     key
	verdict verdict
}

func newCache(size int) *cache {
	c := &cache{size: size, seed: maphash.MakeSeed()}
	c.current.Store(newGeneration(""))
	return c
}

func newGeneration(catalogue string) *generation {
	g := &generation{catalogue: catalogue}
	for i := range g.shards {
		g.shards[i].entries = map[uint64]entry{}
	}
	return g
}

// generation returns that of a catalogue revision, and makes it the current
// one. Calls that still hold an older snapshot may switch it back and forth for
// a moment; each finds only what belongs to its own revision.
func (c *cache) generation(catalogue string) *generation {
	for {
		g := c.current.Load()
		if g.catalogue == catalogue {
			return g
		}
		if c.current.CompareAndSwap(g, newGeneration(catalogue)) {
			continue
		}
	}
}

func (c *cache) terms(catalogue string) *terms { return &c.generation(catalogue).terms }

func (c *cache) get(catalogue string, k *key, at time.Time) (verdict, bool) {
	h := c.hash(k)
	s := &c.generation(catalogue).shards[h%shards]
	s.mu.RLock()
	e, ok := s.entries[h]
	s.mu.RUnlock()
	if !ok || e.key != *k || !at.Before(e.verdict.until) {
		return verdict{}, false
	}
	return e.verdict, true
}

// put remembers a verdict. A full shard gives up any one entry.
func (c *cache) put(catalogue string, k *key, v verdict) {
	if c.size == 0 {
		return
	}
	h := c.hash(k)
	s := &c.generation(catalogue).shards[h%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.entries[h]; !ok && len(s.entries) >= max(c.size/shards, 1) {
		for victim := range s.entries {
			delete(s.entries, victim)
			break
		}
	}
	s.entries[h] = entry{*k, v}
}

func (c *cache) hash(k *key) uint64 { return maphash.Comparable(c.seed, *k) }

// size of the current generation, for tests.
func (c *cache) len() int {
	n := 0
	g := c.current.Load()
	for i := range g.shards {
		g.shards[i].mu.RLock()
		n += len(g.shards[i].entries)
		g.shards[i].mu.RUnlock()
	}
	return n
}

// terms are objects of one catalogue snapshot in OPA's form, converted when
// they are first used.
type terms struct {
	grant    bounded[*policy.Grant, granted]
	iface    bounded[*policy.Interface, *ast.Term]
	item     bounded[*policy.Item, *ast.Term]
	scenario bounded[*policy.Scenario, *ast.Term]
}

// maxTerms bounds each table of converted objects; a grant takes about 4 KiB.
const maxTerms = 1 << 14

// bounded is a map of at most maxTerms entries; a full one gives up any entry.
type bounded[K comparable, V any] struct {
	mu sync.RWMutex
	m  map[K]V
}

func (b *bounded[K, V]) get(k K, make_ func(K) (V, error)) (V, error) {
	b.mu.RLock()
	v, ok := b.m[k]
	b.mu.RUnlock()
	if ok {
		return v, nil
	}
	v, err := make_(k)
	if err != nil {
		return v, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.m == nil {
		b.m = map[K]V{}
	}
	if len(b.m) >= maxTerms {
		for victim := range b.m {
			delete(b.m, victim)
			break
		}
	}
	b.m[k] = v
	return v, nil
}
