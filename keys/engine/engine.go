// Package engine is the life of signing keys and typed signing, written once
// over a small Storage. keys/local hosts it over encrypted files in this
// process; a Vault plugin can host it over Vault's storage.
//
// Which function do you want?
//
//   - life of a key: Create, Info, List, Rotate, Disable, Destroy;
//   - certificates: CSR, InstallCertificate;
//   - signatures: Key(name) gives the keys.Key that Sign and SignBatch serve;
//   - replication: Invalidate, when another process changed an entry.
//
// What the engine signs it has parsed itself: DER TBS_Sign and eSealInfo of
// GB/T 38540, TBSCertificate and TBSCertList of RFC 5280 (GB/T 20518),
// ResponseData of RFC 6960, TSTInfo with its signed attributes of RFC 3161, and
// the canonical JSON of a ledger checkpoint or a status list of seals. It
// checks purpose, key version, certificate, seal identity and clock, computes
// ZA and the digest of GB/T 32918.2 itself, and verifies every signature before
// it returns it (but see Config.CheckedOutside).
//
// What it refuses to do, and has no method for: export or back up a private
// key, import one, sign a digest, take a user identity, decrypt, change a
// purpose, make a disabled key sign again.
//
//	e := engine.New(storage, engine.Config{})
//	info, err := e.Create(ctx, "seal-rs", keys.Seal)
//	req, err := e.CSR(ctx, "seal-rs", 1, pkix.Name{CommonName: "省人社厅"})
//	// … a CA answers with cert …
//	info, err = e.InstallCertificate(ctx, "seal-rs", 1, []*gm.Certificate{cert})
//	sig, err := e.Key("seal-rs").Sign(ctx, keys.Request{Type: keys.TypeTBS, Item: tbs, KeyVersion: 1, ID: useID})
package engine

import (
	"context"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// Defaults of Config.
const (
	DefaultClockWindow = 5 * time.Minute
	DefaultDestroyWait = 7 * 24 * time.Hour
	DefaultMaxAnswers  = 1 << 18
)

// AnswerLife is how long the answer to a request with an ID is kept.
const AnswerLife = 24 * time.Hour

// Config sets an engine up. The zero value is safe.
type Config struct {
	// Now is the clock that judges signing times, certificates and waiting
	// times; nil is time.Now.
	Now func() time.Time
	// ClockWindow is how far the time inside a structure may lie from Now,
	// either way; 0 is DefaultClockWindow.
	ClockWindow time.Duration
	// DestroyWait is how long a key stays disabled before it can be
	// destroyed; 0 is DefaultDestroyWait.
	DestroyWait time.Duration
	// MaxAnswers bounds the remembered request IDs (about 300 bytes of memory
	// each) of all keys. A key is refused new IDs while it has as many as are
	// left for all others, so a single one gets half of them and cannot keep
	// the others from signing. 0 is DefaultMaxAnswers.
	MaxAnswers int
	// TSTPolicies are the policies that timestamps may name; empty allows any
	// one policy, since what a policy promises is not for the key to know.
	TSTPolicies []asn1.ObjectIdentifier
	// CheckedOutside leaves the verification of each new signature to those
	// who receive it. The zero value verifies inside: a faulty signature can
	// betray bits of the private key to whoever sees it, so the fewer see it
	// the better. A host may set this when its only clients verify before use
	// and throw away what does not verify, as keys/vault and keys.Pin do, and
	// the time counts: signing takes 10 µs, verifying 6 in a batch, 20 alone.
	CheckedOutside bool
	// Software marks the keys' Info: kept by a program, not by Vault.
	Software bool
}

// Engine manages and uses the keys in one Storage. It is safe for concurrent
// use. Of several engines over one Storage, one may write; the others read and
// are told of changes through Invalidate.
type Engine struct {
	storage Storage
	config  Config
	answers *answers

	// locks, striped by name: a signature holds its key's lock shared, a
	// change of the key holds it alone. So no signature is made once Disable
	// has returned.
	locks [64]sync.RWMutex

	mu    sync.Mutex
	cache map[keys.Name]*record // parsed keys; what is in here was read from storage
}

// New returns an engine over storage.
func New(storage Storage, c Config) *Engine {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.ClockWindow <= 0 {
		c.ClockWindow = DefaultClockWindow
	}
	if c.DestroyWait <= 0 {
		c.DestroyWait = DefaultDestroyWait
	}
	if c.MaxAnswers <= 0 {
		c.MaxAnswers = DefaultMaxAnswers
	}
	return &Engine{storage: storage, config: c, answers: newAnswers(storage, c.MaxAnswers), cache: map[keys.Name]*record{}}
}

// Key returns the named key as its users see it. The key need not exist yet.
func (e *Engine) Key(name keys.Name) keys.Key { return handle{e, name} }

type handle struct {
	engine *Engine
	name   keys.Name
}

func (h handle) Info(ctx context.Context) (keys.Info, error) { return h.engine.Info(ctx, h.name) }

func (h handle) Sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	rs, err := h.engine.sign(ctx, h.name, []keys.Request{r})
	if err != nil {
		return keys.Signature{}, err
	}
	return rs[0].Signature, rs[0].Err
}

func (h handle) SignBatch(ctx context.Context, rs []keys.Request) ([]keys.Result, error) {
	return h.engine.sign(ctx, h.name, rs)
}

// Invalidate drops what was parsed from the storage entry at path, because
// another process changed it.
func (e *Engine) Invalidate(path string) {
	if name, ok := strings.CutPrefix(path, KeyPrefix); ok {
		e.forget(keys.Name(name))
	} else if strings.HasPrefix(path, AnswerPrefix) {
		e.answers.reset()
	}
}

// InvalidateAll drops everything parsed, such as when the store is locked.
func (e *Engine) InvalidateAll() {
	e.mu.Lock()
	clear(e.cache)
	e.mu.Unlock()
	e.answers.reset()
}

func (e *Engine) forget(name keys.Name) {
	e.mu.Lock()
	delete(e.cache, name)
	e.mu.Unlock()
}

func (e *Engine) lock(name keys.Name) *sync.RWMutex {
	h := fnv.New32a()
	h.Write([]byte(name))
	return &e.locks[h.Sum32()%uint32(len(e.locks))]
}

// load returns the parsed key. The caller holds the key's lock, shared or
// alone, and does not change what it gets.
func (e *Engine) load(ctx context.Context, name keys.Name) (*record, error) {
	if _, err := keys.ParseName(string(name)); err != nil {
		return nil, err
	}
	e.mu.Lock()
	r := e.cache[name]
	e.mu.Unlock()
	if r != nil {
		return r, nil
	}
	data, err := e.storage.Get(ctx, KeyPrefix+string(name))
	switch {
	case errors.Is(err, ErrNoEntry):
		return nil, fmt.Errorf("%w: %s", keys.ErrNotFound, name)
	case err != nil:
		return nil, fmt.Errorf("read key %s: %w", name, err)
	}
	defer clear(data)
	if r, err = decodeRecord(name, data); err != nil {
		return nil, err
	}
	e.mu.Lock()
	e.cache[name] = r
	e.mu.Unlock()
	return r, nil
}

// save writes a changed key. Whatever the outcome, the next load reads storage
// again: after an error nobody knows which of the two is there. The caller
// holds the key's lock alone.
func (e *Engine) save(ctx context.Context, r *record) error {
	defer e.forget(r.Name)
	data, err := r.encode()
	if err != nil {
		return err
	}
	defer clear(data)
	if err := e.storage.Put(ctx, KeyPrefix+string(r.Name), data); err != nil {
		return fmt.Errorf("write key %s: %w", r.Name, err)
	}
	return nil
}

var _ keys.Key = handle{}
