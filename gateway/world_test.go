package gateway

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/policy/engine"
	"github.com/sealgate/sealgate/policy/rego"
)

const (
	item    = "11220000013544541J3000117002011"
	org     = "11220000013544541J"
	hmacKey = "synthetic-hmac-key-0123456789abcdef"
	person  = `{"code":0,"data":{"name":"张三","idCard":"220102199003070013","note":"公开","secret":"never","list":[{"name":"欧阳娜娜","note":"x"}]},"extra":{"a":1}}`
	masked  = `{"code":0,"data":{"name":"张*","idCard":"2****************3","note":"公开","list":[{"name":"欧阳**","note":"x"}]}}`
)

var five = identity.Elements{Purpose: "失业保险金审核", Item: item, Biz: "BJ202611240001", Org: org, Operator: "op-7"}

// upstream records what reached it and answers as the test says.
type upstream struct {
	mu     sync.Mutex
	seen   []upstreamRequest
	forget bool // for benchmarks: seen stays empty
	answer func(w http.ResponseWriter, r *http.Request)
}

type upstreamRequest struct {
	id, method, uri, body string
	header                http.Header
}

func (u *upstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	u.mu.Lock()
	if !u.forget {
		u.seen = append(u.seen, upstreamRequest{r.Header.Get("X-SG-Request-Id"), r.Method, r.RequestURI, string(body), r.Header.Clone()})
	}
	answer := u.answer
	u.mu.Unlock()
	if answer == nil {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, person)
		return
	}
	answer(w, r)
}

func (u *upstream) take() []upstreamRequest {
	u.mu.Lock()
	defer u.mu.Unlock()
	out := u.seen
	u.seen = nil
	return out
}

// checkpointSigner signs with a key in memory.
type checkpointSigner struct{ key *gm.PrivateKey }

func (s checkpointSigner) SignCheckpoint(_ context.Context, c []byte) ([]byte, error) {
	return s.key.Sign(c)
}

// failingLedger fails on demand, else passes on to the real one.
type failingLedger struct {
	*audit.Ledger
	mu   sync.Mutex
	fail func(r audit.Record) error

	refuses, unsigned error // Err, Unsigned
}

func (f *failingLedger) Err() error      { return errors.Join(f.Ledger.Err(), f.refuses) }
func (f *failingLedger) Unsigned() error { return f.unsigned }

func (f *failingLedger) Append(ctx context.Context, r audit.Record) (audit.Receipt, error) {
	f.mu.Lock()
	fail := f.fail
	f.mu.Unlock()
	if fail != nil {
		if err := fail(r); err != nil {
			return audit.Receipt{}, err
		}
	}
	return f.Ledger.Append(ctx, r)
}

func (f *failingLedger) failWith(fn func(r audit.Record) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fail = fn
}

type refusalCounter struct {
	mu sync.Mutex
	n  map[string]int
}

func (r *refusalCounter) Add(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.n == nil {
		r.n = map[string]int{}
	}
	r.n[code]++
}

func (r *refusalCounter) count(code string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n[code]
}

type secrets map[string][]byte

func (s secrets) Secret(_ context.Context, ref string) ([]byte, error) {
	if k, ok := s[ref]; ok {
		return k, nil
	}
	return nil, fmt.Errorf("no secret %s", ref)
}

// world is a gateway with a real ledger, policy, catalogue and upstream.
type world struct {
	t        testing.TB
	gw       *Gateway
	up       *upstream
	hostile  *testenv.Hostile
	ledger   *failingLedger
	dir      string
	refused  *refusalCounter
	sessions *identity.Sessions
	holder   *catalog.Holder
	text     string // the catalogue's
	sm2      *gm.PrivateKey
	url      string
	upURL    string
	client   *http.Client
	logs     *lockedWriter
	server   *httpserve.Server
}

type worldOptions struct {
	tls      bool
	http2    bool
	proxies  bool
	policy   map[string]string // modules besides the shipped ones
	mTLS     bool
	noPolicy bool
}

func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	w := &world{t: t, up: &upstream{}, refused: &refusalCounter{}, sessions: identity.NewSessions(), dir: filepath.Join(t.TempDir(), "ledger"), logs: &lockedWriter{}}
	var err error
	if w.sm2, err = gm.GenerateKey(); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(w.up)
	t.Cleanup(server.Close)
	w.upURL, w.hostile = server.URL, testenv.StartHostile(t)
	w.text = catalogueText(server.URL, w.hostile.URL, hex.EncodeToString(w.sm2.Public().Point()))
	nobody, err := net.Listen("tcp", "127.0.0.1:0") // nobody listens there any more
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	w.text = strings.Replace(w.text, "127.0.0.1:9/x", nobody.Addr().String()+"/x", 1)
	serverTLS, clientTLS, fingerprint := testTLS(t, o.mTLS)
	if o.mTLS {
		w.text = strings.Replace(w.text, "hmac_key_ref: local:a", "hmac_key_ref: local:a, certificates: [\""+fingerprint+"\"]", 1)
	}
	w.holder = catalog.NewHolder(w.load(w.text))

	signer, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	l, err := audit.Open(audit.Config{Dir: w.dir, Log: "test", Node: "gw-1", Signer: checkpointSigner{signer}, PublicKey: signer.Public()})
	if err != nil {
		t.Fatal(err)
	}
	w.ledger = &failingLedger{Ledger: l}
	cfg := Config{
		Catalogue: w.holder, Ledger: w.ledger, Refusals: w.refused, Sessions: w.sessions, Quotas: &catalog.MemoryQuotas{},
		Identity:     identity.NewVerifier(identity.NewMemoryNonces(1<<16, nil), secrets{"local:a": []byte(hmacKey)}, w.sessions),
		Zone:         catalog.ZoneExtranet,
		PseudonymKey: []byte("0123456789abcdef0123456789abcdef"),
		Subjects:     audit.NewSubjectIndex([]byte("fedcba9876543210fedcba9876543210")),
		OutcomeWait:  2 * time.Second,
		Log:          slog.New(slog.NewTextHandler(w.logs, nil)),
	}
	if o.proxies {
		cfg.TrustedProxies = prefixes("127.0.0.0/8")
	}
	if w.gw, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if !o.noPolicy {
		modules := rego.Modules()
		for k, v := range o.policy {
			modules[k] = v
		}
		e, err := engine.New(context.Background(), engine.Config{Modules: modules, Budget: 20 * time.Second}) // tests are not about the budget
		if err != nil {
			t.Fatal(err)
		}
		w.gw.SetPolicy(e)
	}
	hc := httpserve.Config{OnRefuse: w.gw.CountRefusal, WriteTimeout: 20 * time.Second}
	scheme := "http"
	if o.tls || o.http2 || o.mTLS {
		hc.TLS, scheme = serverTLS, "https"
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.server = httpserve.New(hc, w.gw)
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ln) }()
	w.url = scheme + "://" + ln.Addr().String()
	w.client = &http.Client{Transport: &http.Transport{TLSClientConfig: clientTLS, ForceAttemptHTTP2: o.http2},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	t.Cleanup(func() {
		w.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_ = w.server.Shutdown(ctx)
		<-done
		_ = l.Close()
	})
	return w
}

type lockedWriter struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (w *world) load(text string) *catalog.Snapshot {
	w.t.Helper()
	s, err := catalog.Load([]byte(text))
	if err != nil {
		w.t.Fatalf("catalogue: %v", err)
	}
	return s
}

// credential signs as system a.
func (w *world) credential() identity.Credential { return identity.Credential{App: "a", SM2: w.sm2} }

// request makes a signed request.
func (w *world) request(method, path, body string, cred identity.Credential, e identity.Elements) *http.Request {
	w.t.Helper()
	var rd io.Reader
	if body != "" {
		rd = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, w.url+path, rd)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if err := identity.Sign(req, []byte(body), cred, e, time.Now()); err != nil {
		w.t.Fatal(err)
	}
	return req
}

// answer is what the client saw.
type answer struct {
	status  int
	header  http.Header
	trailer http.Header
	body    []byte
	readErr error
	proto   int
	problem struct {
		Code, Detail, DetailZH string
		RequestID              string `json:"request_id"`
		Reasons                []map[string]string
	}
}

func (w *world) do(req *http.Request) answer {
	w.t.Helper()
	resp, err := w.client.Do(req)
	if err != nil {
		return answer{readErr: err}
	}
	defer resp.Body.Close()
	a := answer{status: resp.StatusCode, header: resp.Header, proto: resp.ProtoMajor}
	a.body, a.readErr = io.ReadAll(resp.Body)
	a.trailer = resp.Trailer
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		_ = json.Unmarshal(a.body, &a.problem)
	}
	return a
}

func (w *world) call(method, path, body string) answer {
	w.t.Helper()
	return w.do(w.request(method, path, body, w.credential(), five))
}

// records returns the ledger's records of one request.
func (w *world) records(id string) []audit.Entry {
	w.t.Helper()
	var out []audit.Entry
	for e, err := range audit.Query(w.dir, audit.Filter{RequestID: id}) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

func (w *world) all() []audit.Entry {
	w.t.Helper()
	var out []audit.Entry
	for e, err := range audit.Query(w.dir, audit.Filter{}) {
		if err != nil {
			w.t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// eventually waits for what happens after the client has its answer.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(5 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("never: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func catalogueText(up, hostile, sm2 string) string {
	return fmt.Sprintf(`
departments:
  - {id: rs, name: 省人力资源和社会保障厅, uscc: %s, region: "220000", level: province}
  - {id: ga, name: 省公安厅, uscc: "112200000135445439", region: "220000", level: province}
systems:
  - {id: a, department: rs, sm2_public_key: %q, hmac_key_ref: local:a}
  - {id: b, department: rs, sm2_public_key: %q}
  - {id: far, department: rs, sm2_public_key: %q, cidrs: [10.9.9.0/24]}
interfaces:
  - id: pop.query
    provider: ga
    base: population
    share: authorised
    route: {methods: [GET, HEAD], path: /pop/v1/persons}
    upstream: {url: %s/persons, timeout: 2s}
    response: {fields: {code: {grade: 1}, "data.name": {grade: 3, kind: name}, "data.idCard": {grade: 3, kind: resident_id}, "data.note": {grade: 1}, "data.secret": {grade: 4}, "data.list[*].name": {grade: 3, kind: name}, "data.list[*].note": {grade: 1}}}
  - id: pop.get
    provider: ga
    base: population
    share: authorised
    route: {methods: [GET], path: "/pop/v1/persons/{id}/detail"}
    upstream: {url: "%s/p/{id}/d", timeout: 2s}
    response: {fields: {code: {grade: 1}}}
  - id: corp.query
    provider: ga
    base: legal_entity
    share: unconditional
    route: {methods: [POST], path: /corp/v1/query}
    upstream: {url: %s/corp, timeout: 2s}
    request: {max_bytes: 1KiB}
    response: {fields: {code: {grade: 1}}}
  - id: hidden
    provider: ga
    base: credit
    share: none
    route: {methods: [GET], path: /hidden}
    upstream: {url: %s/hidden}
    response: {fields: {code: {grade: 1}}}
  - id: withdrawn
    provider: ga
    base: credit
    share: authorised
    status: withdrawn
    route: {methods: [GET], path: /withdrawn}
    upstream: {url: %s/withdrawn}
    response: {fields: {code: {grade: 1}}}
  - id: hostile
    provider: ga
    base: population
    share: authorised
    route: {methods: [GET], path: "/hostile/{case}"}
    upstream: {url: %s, timeout: 600ms}
    response: {max_bytes: 2MiB, fields: {code: {grade: 1}, "data.name": {grade: 3, kind: name}, "data.idCard": {grade: 3, kind: resident_id}, "data.note": {grade: 1}, "data.secret": {grade: 4}, "data.list[*].name": {grade: 3, kind: name}, "data.list[*].note": {grade: 1}}}
  - id: dead
    provider: ga
    base: macro
    share: authorised
    route: {methods: [GET], path: /dead}
    upstream: {url: "http://127.0.0.1:9/x", timeout: 2s}
    response: {fields: {code: {grade: 1}}}
items:
  - {code: %s, department: rs, needs: {pop.query: [code, data.name, data.idCard, data.note, "data.list[*].name", "data.list[*].note"], hostile: [code, data.name, data.idCard, data.note, "data.list[*].name", "data.list[*].note"], pop.get: [code], corp.query: [code], dead: [code]}}
  - {code: 11220000013544541J3000117002012, department: rs}
grants:
  - {id: g-pop, system: a, interface: pop.query, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show, "data.name": mask, "data.idCard": mask, "data.note": show, "data.list[*].name": mask, "data.list[*].note": show}}
  - {id: g-hostile, system: a, interface: hostile, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show, "data.name": mask, "data.idCard": mask, "data.note": show, "data.list[*].name": mask, "data.list[*].note": show}}
  - {id: g-get, system: a, interface: pop.get, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show}}
  - {id: g-corp, system: a, interface: corp.query, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show}}
  - {id: g-dead, system: a, interface: dead, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show}, quota: {per_day: 2}}
  - {id: g-old, system: b, interface: pop.query, items: [%s], purposes: [失业保险金审核], not_after: "2020-12-31", fields: {code: show}}
  - {id: g-far, system: far, interface: pop.query, items: [%s], purposes: [失业保险金审核], not_after: "2099-12-31", fields: {code: show}}
`, org, sm2, sm2, sm2, up, up, up, up, up, hostile, item, item, item, item, item, item, item, item)
}

// testTLS makes a server pair and a client that accepts it; with a client
// certificate when asked for, whose fingerprint is returned.
func testTLS(t testing.TB, client bool) (server, cli *tls.Config, fingerprint string) {
	t.Helper()
	make1 := func(usage x509.ExtKeyUsage) (tls.Certificate, *x509.Certificate) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(42), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{usage}, IsCA: true, BasicConstraintsValid: true}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, cert
	}
	pair, cert := make1(x509.ExtKeyUsageServerAuth)
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server, cli = &tls.Config{Certificates: []tls.Certificate{pair}}, &tls.Config{RootCAs: roots}
	if client {
		cp, cc := make1(x509.ExtKeyUsageClientAuth)
		pool := x509.NewCertPool()
		pool.AddCert(cc)
		server.ClientCAs, server.ClientAuth = pool, tls.VerifyClientCertIfGiven
		cli.Certificates = []tls.Certificate{cp}
		sum := identity.FromX509(cc).SHA256
		fingerprint = hex.EncodeToString(sum[:])
	}
	return server, cli, fingerprint
}

func decode(t testing.TB, data []byte, want map[string]*string) {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(data, &m); err != nil {
		t.Fatal(err)
	}
	for k, p := range want {
		s, ok := m[k].(string)
		if !ok {
			t.Fatalf("no %s in %s", k, data)
		}
		*p = s
	}
}
