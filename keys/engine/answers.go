package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

const (
	answersPerEntry = 1024 // of a full storage entry; about 350 KiB
	compactFrom     = 64   // small entries of one hour that are merged into one
)

// requestHash names what was asked: type, version and item, under SM3.
type requestHash = [gm.DigestSize]byte

func hashRequest(q keys.Request) requestHash {
	var head [9]byte
	head[0] = byte(len(q.Type))
	binary.BigEndian.PutUint64(head[1:], uint64(q.KeyVersion))
	return gm.SM3(head[:], []byte(q.Type), q.Item)
}

// answer is one remembered answer.
type answer struct {
	Key       keys.Name `json:"k"`
	ID        string    `json:"i"`
	Hash      []byte    `json:"h"`
	Signature []byte    `json:"s"`
	Version   int       `json:"n"`
	Public    []byte    `json:"f"` // fingerprint
	At        int64     `json:"t"` // Unix seconds
}

func (a *answer) malformed() bool {
	return a == nil || len(a.Hash) != gm.DigestSize || len(a.Public) != gm.DigestSize || a.Version < 1 || a.At <= 0
}

func (a *answer) slot() string { return slot(a.Key, a.ID) }
func (a *answer) expired(now time.Time) bool {
	return now.After(time.Unix(a.At, 0).Add(AnswerLife))
}

func slot(name keys.Name, id string) string { return string(name) + "/" + id }

// answers remembers (id, request hash, answer) for AnswerLife, in memory and
// in storage. Answers of one hour lie in entries "answers/HOUR-RANDOM"; the
// answers that arrive while an entry is being written share the next one, so
// that storage takes one write for many signatures.
//
// Invariant: a signature made under an ID leaves the engine only after its
// answer is in storage. So a caller that lost an answer gets the same one
// again, also from the next process.
type answers struct {
	storage Storage
	limit   int

	mu      sync.Mutex
	loaded  bool
	byID    map[string]*answer       // in storage, by slot; changed by put and drop
	claimed map[string]chan struct{} // being answered; closed when settled
	share   map[keys.Name]int        // of both, how many are each key's
	open    *entryWrite              // collects answers until its leader writes it

	flush sync.Mutex // held while storage is written
	small map[int64][]string
	hour  int64 // of the last purge
}

// entryWrite is one storage entry on its way.
type entryWrite struct {
	list []*answer
	done chan struct{}
	err  error // valid when done is closed
}

func newAnswers(s Storage, limit int) *answers {
	a := &answers{storage: s, limit: limit, claimed: map[string]chan struct{}{}, share: map[keys.Name]int{}}
	a.reset()
	return a
}

// reset forgets what was read; the next claim reads storage again.
func (a *answers) reset() {
	a.flush.Lock()
	defer a.flush.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.loaded, a.small, a.hour = false, map[int64][]string{}, 0
	a.replace(map[string]*answer{})
}

// replace, put and drop change byID. The caller holds a.mu.
func (a *answers) replace(byID map[string]*answer) {
	for _, x := range a.byID {
		a.count(x.Key, -1)
	}
	a.byID = byID
	for _, x := range byID {
		a.count(x.Key, 1)
	}
}

func (a *answers) put(x *answer) {
	s := x.slot()
	if a.byID[s] == nil {
		a.count(x.Key, 1)
	}
	a.byID[s] = x
}

func (a *answers) drop(s string) {
	if x := a.byID[s]; x != nil {
		a.count(x.Key, -1)
		delete(a.byID, s)
	}
}

func (a *answers) count(name keys.Name, n int) {
	if a.share[name] += n; a.share[name] == 0 {
		delete(a.share, name)
	}
}

// full reports whether no further ID of a key is remembered: it has as many as
// are left for all others. So one key, whoever has its token, gets half of the
// whole, two get a third each, and there is always room for a key that has used
// none.
func (a *answers) full(name keys.Name) bool {
	free := a.limit - len(a.byID) - len(a.claimed)
	return a.share[name] >= free
}

// claim is the right to answer some IDs. No other request with one of them is
// answered until release.
type claim struct {
	answers *answers
	name    keys.Name
	rs      []keys.Request
	hashes  []requestHash
	slots   []string
	mine    []int // indices into rs
}

// claim fills out with the answers that are remembered, with ErrIdempotency
// where an ID was used for something else, and claims the other IDs. While
// somebody else answers one of the IDs it waits, holding no claim itself.
func (a *answers) claim(ctx context.Context, name keys.Name, rs []keys.Request, hashes []requestHash, out []keys.Result, now time.Time) (*claim, error) {
	c := &claim{answers: a, name: name, rs: rs, hashes: hashes}
	ids := map[string]bool{}
	for i, q := range rs {
		if q.ID == "" || out[i].Err != nil {
			continue
		}
		if ids[q.ID] {
			return nil, fmt.Errorf("%w; two of them carry one id", keys.ErrBatch)
		}
		ids[q.ID] = true
	}
	if len(ids) == 0 {
		return c, nil
	}
	for {
		a.mu.Lock()
		if !a.loaded {
			a.mu.Unlock()
			if err := a.load(ctx, now); err != nil {
				return nil, err
			}
			continue
		}
		wait := a.take(c, out, now)
		a.mu.Unlock()
		if wait == nil {
			return c, nil
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// take does the work of claim under a.mu, or returns what to wait for.
func (a *answers) take(c *claim, out []keys.Result, now time.Time) <-chan struct{} {
	for i, q := range c.rs {
		if q.ID != "" && out[i].Err == nil {
			if wait := a.claimed[slot(c.name, q.ID)]; wait != nil {
				return wait
			}
		}
	}
	for i, q := range c.rs {
		if q.ID == "" || out[i].Err != nil {
			continue
		}
		s := slot(c.name, q.ID)
		known := a.byID[s]
		if known != nil && known.expired(now) {
			known = nil
		}
		switch {
		case known == nil && a.full(c.name):
			out[i].Err = keys.ErrAnswersFull
		case known == nil:
			a.claimed[s] = make(chan struct{})
			a.count(c.name, 1)
			c.slots, c.mine = append(c.slots, s), append(c.mine, i)
		case !gm.Equal(known.Hash, c.hashes[i][:]):
			out[i].Err = keys.ErrIdempotency
		default:
			out[i].Signature = keys.Signature{Value: bytes.Clone(known.Signature), KeyVersion: known.Version}
			copy(out[i].Signature.Fingerprint[:], known.Public)
		}
	}
	return nil
}

// remember writes the new answers of the claim to storage. On error none of
// them may be given out.
func (c *claim) remember(ctx context.Context, out []keys.Result, now time.Time) error {
	var list []*answer
	for _, i := range c.mine {
		if out[i].Err == nil {
			s := out[i].Signature
			list = append(list, &answer{Key: c.name, ID: c.rs[i].ID, Hash: c.hashes[i][:], Signature: s.Value,
				Version: s.KeyVersion, Public: bytes.Clone(s.Fingerprint[:]), At: now.Unix()})
		}
	}
	if len(list) == 0 {
		return nil
	}
	return c.answers.commit(ctx, list, now)
}

// release ends the claim. IDs that were not answered are free again.
func (c *claim) release() {
	c.answers.mu.Lock()
	defer c.answers.mu.Unlock()
	for _, s := range c.slots {
		close(c.answers.claimed[s])
		delete(c.answers.claimed, s)
		c.answers.count(c.name, -1)
	}
}

// commit makes list durable, together with what others bring meanwhile. The
// first to bring something for an entry writes it for all.
func (a *answers) commit(ctx context.Context, list []*answer, now time.Time) error {
	a.mu.Lock()
	leader := a.open == nil || len(a.open.list)+len(list) > answersPerEntry
	if leader {
		a.open = &entryWrite{done: make(chan struct{})}
	}
	w := a.open
	w.list = append(w.list, list...)
	a.mu.Unlock()
	if !leader {
		<-w.done // not cut short: the claim must not end before the outcome is known
		return w.err
	}
	a.flush.Lock()
	defer a.flush.Unlock()
	// The leader's own cancellation must not fail the others.
	ctx = context.WithoutCancel(ctx)
	path := answerPath(hourOf(now))
	a.lead(ctx, path, w)
	if w.err == nil {
		a.tidy(ctx, path, now)
	}
	return w.err
}

// lead writes w for all who wait for it. They are told an outcome also when
// storage panics: what waits here holds the key's lock.
func (a *answers) lead(ctx context.Context, path string, w *entryWrite) {
	a.mu.Lock()
	if a.open == w {
		a.open = nil
	}
	a.mu.Unlock()
	w.err = errNoOutcome
	defer func() {
		a.mu.Lock()
		if w.err == nil {
			for _, x := range w.list {
				a.put(x)
			}
		} else {
			a.loaded = false // it may be there all the same: read again before the next claim
		}
		a.mu.Unlock()
		close(w.done)
	}()
	w.err = a.write(ctx, path, w.list)
}

// errNoOutcome is the error of a write that did not return.
var errNoOutcome = errors.New("remember answers: storage did not return")
