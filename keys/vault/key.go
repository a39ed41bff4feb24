package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// Key returns the named key. It need not exist yet. All callers of one name
// share one Key, so that their signatures travel together.
func (c *Client) Key(name keys.Name) keys.Key { return c.key(name) }

func (c *Client) key(name keys.Name) *Key {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.keys[name]
	if k == nil {
		k = &Key{client: c, name: name, asking: make(chan struct{}, 1), publics: map[int]*public{}, gatherers: map[lane]*gatherer{}}
		if len(c.keys) < maxKeys {
			c.keys[name] = k
		}
	}
	return k
}

// maxKeys bounds the keys that are remembered; names come from callers.
const maxKeys = 4096

// Key is a key in Vault.
type Key struct {
	client *Client
	name   keys.Name
	asking chan struct{} // holds one while somebody reads the key's Info
	posts  atomic.Bool   // the policy does not allow PATCH, which Vault serves faster

	mu        sync.Mutex
	publics   map[int]*public
	gatherers map[lane]*gatherer
}

// public is the public half of one version: it never changes, so it is read
// once.
type public struct {
	key         *gm.Verifier // nil: there is no such version
	fingerprint [gm.DigestSize]byte
}

// lane is what signatures must have in common to travel in one batch. Those
// with an id and those without part, because Vault writes to its storage for
// the first, and only they can be repeated.
type lane struct {
	t       keys.Type
	version int
	named   bool // the requests carry ids
}

func laneOf(r keys.Request) lane { return lane{r.Type, r.KeyVersion, r.ID != ""} }

// Info implements keys.Key.
func (k *Key) Info(ctx context.Context) (keys.Info, error) { return k.client.Info(ctx, k.name) }

// Sign implements keys.Key.
func (k *Key) Sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	if err := r.Check(); err != nil {
		return keys.Signature{}, err
	}
	if err := ctx.Err(); err != nil {
		return keys.Signature{}, err
	}
	return k.gatherer(laneOf(r)).sign(ctx, r)
}

// SignBatch implements keys.Key.
func (k *Key) SignBatch(ctx context.Context, rs []keys.Request) ([]keys.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, k.client.config.SignTimeout)
	defer cancel()
	if len(rs) == 0 || len(rs) > keys.MaxBatch {
		return nil, fmt.Errorf("%w, not %d", keys.ErrBatch, len(rs))
	}
	out := make([]keys.Result, len(rs))
	ids := map[string]bool{}
	lanes := map[lane][]int{}
	for i, r := range rs {
		if out[i].Err = r.Check(); out[i].Err != nil {
			continue
		}
		if r.ID != "" && ids[r.ID] {
			return nil, fmt.Errorf("%w; two of them carry one id", keys.ErrBatch)
		}
		ids[r.ID] = true
		lanes[laneOf(r)] = append(lanes[laneOf(r)], i)
	}
	var wg sync.WaitGroup
	var whole atomic.Pointer[error]
	for l, indices := range lanes {
		wg.Go(func() {
			if err := k.signLane(ctx, l, indices, rs, out); err != nil {
				whole.Store(&err)
			}
		})
	}
	wg.Wait()
	if err := whole.Load(); err != nil {
		return nil, *err
	}
	return out, nil
}

// signLane signs those of rs that belong to one lane, in as many requests as
// their sizes need, and fills in their results. Its error means that the key
// itself refused the batch, whatever the items.
func (k *Key) signLane(ctx context.Context, l lane, indices []int, rs []keys.Request, out []keys.Result) error {
	for len(indices) > 0 {
		n, size := 0, 0
		for n < len(indices) && (n == 0 || size+len(rs[indices[n]].Item) <= maxRequest) {
			size += len(rs[indices[n]].Item)
			n++
		}
		part := make([]keys.Request, n)
		for i, x := range indices[:n] {
			part[i] = rs[x]
		}
		answers, err := k.send(ctx, l, part)
		if errors.Is(err, keys.ErrNotFound) || errors.Is(err, keys.ErrName) || errors.Is(err, keys.ErrDisabled) {
			return err
		}
		for i, x := range indices[:n] {
			if out[x].Err = err; err == nil {
				out[x] = answers[i]
			}
		}
		indices = indices[n:]
	}
	return nil
}

// maxRequest bounds the items of one request in bytes. Vault takes 32 MiB of
// JSON, and reads it all before it looks at the token.
const maxRequest = wire.MaxList

// public returns the public half of a version, asking Vault for one not seen
// yet. For a version that does not exist it returns one with which no
// signature verifies: the refusal is left to the engine, which may have more to
// say.
func (k *Key) public(ctx context.Context, version int) (*public, error) {
	k.mu.Lock()
	p := k.publics[version]
	k.mu.Unlock()
	if p != nil {
		return p, nil
	}
	// One asks for all that wait.
	select {
	case k.asking <- struct{}{}:
		defer func() { <-k.asking }()
	case <-ctx.Done():
		return nil, fmt.Errorf("%w: %w", keys.ErrUnavailable, ctx.Err())
	}
	k.mu.Lock()
	p = k.publics[version]
	k.mu.Unlock()
	if p != nil {
		return p, nil
	}
	info, err := k.Info(ctx)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, v := range info.Versions {
		if old := k.publics[v.Number]; old != nil && !old.key.Public().Equal(v.Public) {
			return nil, fmt.Errorf("%w: version %d of key %s has changed", keys.ErrFault, v.Number, k.name)
		}
		if k.publics[v.Number] == nil {
			k.publics[v.Number] = &public{gm.NewVerifier(v.Public), v.Fingerprint()}
		}
	}
	if p = k.publics[version]; p == nil {
		return &public{}, nil
	}
	return p, nil
}

// check withholds what is not a signature of this key over its request.
func (p *public) check(rs []keys.Request, out []keys.Result) {
	var indices []int
	for i := range out {
		switch s := out[i].Signature; {
		case out[i].Err != nil:
		case p.key == nil:
			out[i] = keys.Result{Err: fmt.Errorf("%w: version %d was not there when it was named", keys.ErrVersion, rs[i].KeyVersion)}
		case s.KeyVersion != rs[i].KeyVersion || s.Fingerprint != p.fingerprint:
			out[i] = keys.Result{Err: fmt.Errorf("%w: another key or version answered", keys.ErrFault)}
		default:
			indices = append(indices, i)
		}
	}
	if len(indices) > 0 {
		keys.VerifyResults(p.key, rs, out, indices)
	}
}

// send has Vault sign requests of one lane, in one batch, and checks what it
// answers.
func (k *Key) send(ctx context.Context, l lane, rs []keys.Request) (out []keys.Result, err error) {
	defer func() { k.client.alarms.faults(ctx, k.name, out, err) }()
	p, err := k.public(ctx, l.version)
	if err != nil {
		return nil, err
	}
	body := struct {
		Items      []string `json:"items"`
		KeyVersion int      `json:"key_version"`
		IDs        []string `json:"ids,omitempty"`
	}{KeyVersion: l.version}
	items := make([][]byte, len(rs))
	for i, r := range rs {
		items[i] = r.Item
		if l.named {
			body.IDs = append(body.IDs, r.ID)
		}
	}
	body.Items = wire.Pack(items)
	data, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	q := request{http.MethodPatch, k.client.config.Mount + "/sign/" + string(l.t) + "/" + string(k.name), data, l.named}
	if k.posts.Load() {
		q.method = http.MethodPost
	}
	r, err := k.client.call(ctx, q)
	if errors.Is(err, keys.ErrForbidden) && q.method == http.MethodPatch {
		// A policy that grants update and not patch: slower, and as good.
		q.method = http.MethodPost
		if r, err = k.client.call(ctx, q); !errors.Is(err, keys.ErrForbidden) {
			k.posts.Store(true)
		}
	}
	if err != nil {
		return nil, err
	}
	if out, err = parseSignatures(r.body, l.version, len(rs)); err != nil {
		return nil, err
	}
	p.check(rs, out)
	return out, nil
}

func parseSignatures(body []byte, version, n int) ([]keys.Result, error) {
	bad := func(what string) ([]keys.Result, error) {
		return nil, fmt.Errorf("%w: %w: %s", keys.ErrFault, wire.ErrForm, what)
	}
	var answer struct {
		Data struct {
			Signatures  []string `json:"signatures"`
			KeyVersion  int      `json:"key_version"`
			Fingerprint []byte   `json:"fingerprint"`
			Hints       []byte   `json:"hints"`
			Errors      []string `json:"errors"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return bad("not JSON of the expected form")
	}
	sigs, err := wire.Unpack(answer.Data.Signatures, n, maxSignature)
	if err != nil || len(sigs) != n {
		return bad("signatures")
	}
	refusals := map[string]string{}
	for _, e := range answer.Data.Errors {
		index, text, _ := strings.Cut(e, " ")
		refusals[index] = text
	}
	out := make([]keys.Result, n)
	for i, sig := range sigs {
		text, refused := refusals[strconv.Itoa(i)]
		switch {
		case refused && len(sig) == 0:
			if out[i].Err = wire.ParseError(text); out[i].Err == nil {
				out[i].Err = fmt.Errorf("%w: %.200s", keys.ErrUnavailable, text)
			}
		case refused || len(sig) == 0 || len(answer.Data.Fingerprint) != gm.DigestSize || answer.Data.KeyVersion != version:
			return bad("neither a signature nor a refusal")
		default:
			out[i].Signature = keys.Signature{Value: sig, KeyVersion: version, Fingerprint: [gm.DigestSize]byte(answer.Data.Fingerprint)}
			if hints := answer.Data.Hints; len(hints) == n*len(gm.Hint{}) {
				copy(out[i].Signature.Hint[:], hints[i*len(gm.Hint{}):])
			}
		}
	}
	return out, nil
}

// maxSignature is the longest DER signature in bytes.
const maxSignature = 72

var _ keys.Key = (*Key)(nil)
