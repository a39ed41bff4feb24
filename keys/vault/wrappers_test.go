package vault_test

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// watcher counts what passes, by the part of the path that tells operations
// apart, and remembers the last token that was sent.
type watcher struct {
	inner http.RoundTripper
	mu    sync.Mutex
	count map[string]int
	token string
}

func watch(c *vault.Config) *watcher {
	w := &watcher{inner: &http.Transport{MaxIdleConnsPerHost: 64}, count: map[string]int{}}
	c.Through(w)
	return w
}

func (w *watcher) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	for _, part := range []string{"/login", "renew-self", "/sign/", "/keys/", "/secret/data/", "health"} {
		if strings.Contains(r.URL.Path, part) {
			w.count[part]++
		}
	}
	if t := r.Header.Get("X-Vault-Token"); t != "" && !strings.Contains(r.URL.Path, "wrapping") {
		w.token = t
	}
	w.mu.Unlock()
	return w.inner.RoundTrip(r)
}

func (w *watcher) seen(part string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[part]
}

func (w *watcher) lastToken() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.token
}

var errNetwork = errors.New("the network failed")

// hostileNetwork treats requests whose path contains part badly.
type hostileNetwork struct {
	inner http.RoundTripper
	part  string
	mode  atomic.Int32
	n     atomic.Int64
}

type networkMode int32

const (
	networkGood       networkMode = iota
	networkNotDone                // every second request fails and is not sent
	networkButDone                // every second request is carried out and its answer is lost
	networkSlow                   // every request waits
	networkDuplicated             // every request arrives twice; the second answer is seen
)

func networkModes() map[string]networkMode {
	return map[string]networkMode{"fails and not done": networkNotDone, "fails but done": networkButDone, "slow": networkSlow, "duplicated": networkDuplicated}
}

func hostile(c *vault.Config, part string, m networkMode) *hostileNetwork {
	h := &hostileNetwork{inner: &http.Transport{MaxIdleConnsPerHost: 64}, part: part}
	h.set(m)
	c.Through(h)
	return h
}

func (h *hostileNetwork) set(m networkMode) { h.mode.Store(int32(m)); h.n.Store(0) }

func (h *hostileNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	mode := networkMode(h.mode.Load())
	if mode == networkGood || !strings.Contains(r.URL.Path, h.part) {
		return h.inner.RoundTrip(r)
	}
	odd := h.n.Add(1)%2 == 1
	switch {
	case mode == networkNotDone && odd:
		return nil, errNetwork
	case mode == networkButDone && odd:
		if err := drain(h.inner.RoundTrip(r)); err != nil {
			return nil, err
		}
		return nil, errNetwork
	case mode == networkSlow:
		time.Sleep(2 * time.Millisecond)
	case mode == networkDuplicated:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		first := r.Clone(r.Context())
		first.Body = io.NopCloser(bytes.NewReader(body))
		r.Body = io.NopCloser(bytes.NewReader(body))
		if err := drain(h.inner.RoundTrip(first)); err != nil {
			return nil, err
		}
	}
	return h.inner.RoundTrip(r)
}

func drain(resp *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// spoiler changes a byte of every answer that holds signatures.
type spoiler struct{ inner http.RoundTripper }

func (s spoiler) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.inner.RoundTrip(r)
	if err != nil || !strings.Contains(r.URL.Path, "/sign/") {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	const before = `"signatures":["`
	if i := bytes.Index(body, []byte(before)); i >= 0 {
		at := i + len(before) + 40 // inside r
		if body[at] = 'A'; bytes.HasPrefix(body[at+1:], []byte("A")) {
			body[at] = 'B'
		}
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// named is a backend all of whose signing requests carry an id.
type named struct {
	*vault.Client
	prefix string
	n      *atomic.Int64
}

func (b named) Key(name keys.Name) keys.Key { return namedKey{b.Client.Key(name), b} }

func (b named) id(r keys.Request) keys.Request {
	if r.ID == "" {
		r.ID = fmt.Sprintf("%s-%d", b.prefix, b.n.Add(1))
	}
	return r
}

type namedKey struct {
	keys.Key
	backend named
}

func (k namedKey) Sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	return k.Key.Sign(ctx, k.backend.id(r))
}

func (k namedKey) SignBatch(ctx context.Context, rs []keys.Request) ([]keys.Result, error) {
	rs = append([]keys.Request(nil), rs...)
	for i := range rs {
		rs[i] = k.backend.id(rs[i])
	}
	return k.Key.SignBatch(ctx, rs)
}

// manager is the part of the client that changes keys.
type manager interface {
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
	Rotate(ctx context.Context, name keys.Name) (keys.Info, error)
	Disable(ctx context.Context, name keys.Name) (keys.Info, error)
	CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error)
	InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error)
}

var _ manager = (*vault.Client)(nil)

// pauses notes when signing was asked for and what pause a refusal named.
type pauses struct {
	mu    sync.Mutex
	asked []time.Time
	named []string // Retry-After; "" when it was answered otherwise
}

func (p *pauses) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.Contains(r.URL.Path, "/sign/") {
		return http.DefaultTransport.RoundTrip(r)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, time.Now())
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusTooManyRequests {
		p.named = append(p.named, resp.Header.Get("Retry-After"))
	} else {
		p.named = append(p.named, "")
	}
	return resp, err
}
