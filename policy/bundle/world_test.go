package bundle_test

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/bundle"
	"github.com/sealgate/sealgate/policy/engine"
	"github.com/sealgate/sealgate/policy/rego"
)

var start = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

// officer is a person with a key outside any engine, so that a test can have
// him sign what an engine would refuse.
type officer struct {
	key   *gm.PrivateKey
	certs []*gm.Certificate
}

func (o *officer) SignBundle(_ context.Context, statement []byte) ([]byte, error) {
	return o.key.Sign(statement)
}

// world is a certification authority with officers, and rules.
type world struct {
	testing.TB
	caKey   *gm.PrivateKey
	ca      *gm.Certificate
	serial  int64
	a, b    *officer
	anchors *trust.Anchors
	rules   string // folder
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{TB: t, caKey: newKey(t), rules: t.TempDir()}
	w.ca = w.issue(gm.Template{Subject: pkix.Name{CommonName: "策略管理员根"}, IsCA: true, MaxPathLen: 1, KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign}, nil, w.caKey, w.caKey.Public())
	w.a, w.b = w.officer("王策略 0021"), w.officer("李策略 0022")
	w.anchors = w.trusting(w.ca)
	for name, text := range rego.Modules() {
		w.write(name, text)
	}
	return w
}

func newKey(t testing.TB) *gm.PrivateKey {
	t.Helper()
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (w *world) issue(tmpl gm.Template, issuer *gm.Certificate, by *gm.PrivateKey, subject *gm.PublicKey) *gm.Certificate {
	w.Helper()
	w.serial++
	tmpl.Serial = big.NewInt(100 + w.serial)
	if tmpl.NotBefore.IsZero() {
		tmpl.NotBefore, tmpl.NotAfter = start.AddDate(-1, 0, 0), start.AddDate(1, 0, 0)
	}
	c, err := gm.CreateCertificate(tmpl, issuer, subject, by.Sign)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

const signs = gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment

func (w *world) officer(name string) *officer { return w.officerAs(gm.Template{}, name) }

func (w *world) officerAs(tmpl gm.Template, name string) *officer {
	w.Helper()
	k := newKey(w)
	tmpl.Subject, tmpl.KeyUsage = pkix.Name{CommonName: name, Organization: []string{"省大数据局"}}, signs
	return &officer{k, []*gm.Certificate{w.issue(tmpl, w.ca, w.caKey, k.Public()), w.ca}}
}

func (w *world) trusting(certs ...*gm.Certificate) *trust.Anchors {
	w.Helper()
	var list []trust.Anchor
	for _, c := range certs {
		list = append(list, trust.Anchor{Cert: c, Roles: trust.Officer})
	}
	a, err := trust.New(list...)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *world) write(name, text string) {
	w.Helper()
	path := filepath.Join(w.rules, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), 0o600)); err != nil {
		w.Fatal(err)
	}
}

// built is an unsigned bundle of the folder behind previous.
func (w *world) built(previous *bundle.Bundle) *bundle.Bundle {
	w.Helper()
	next := bundle.Next{Name: "gateway", Previous: previous}
	b, err := bundle.Build(w.rules, next, start.Add(-2*time.Hour))
	if err != nil {
		w.Fatal(err)
	}
	return b
}

func (w *world) sign(b *bundle.Bundle, act policy.Act, o *officer, at time.Time) *bundle.Bundle {
	w.Helper()
	out, err := b.Sign(w.Context(), act, o, o.certs, at)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// signed is the folder released by a and approved by b.
func (w *world) signed(previous *bundle.Bundle) *bundle.Bundle {
	w.Helper()
	return w.sign(w.sign(w.built(previous), policy.Release, w.a, start.Add(-time.Hour)), policy.Approve, w.b, start.Add(-time.Minute))
}

func (w *world) file(b *bundle.Bundle) []byte {
	w.Helper()
	data, err := b.Marshal()
	if err != nil {
		w.Fatal(err)
	}
	return data
}

func compile(ctx context.Context, modules map[string]string, data map[string]any, revision string) (*engine.Engine, error) {
	return engine.New(ctx, engine.Config{Modules: modules, Data: data, Revision: revision, Budget: 20 * time.Second})
}

// memory is a State and a Ledger.
type memory struct {
	mu      sync.Mutex
	last    *bundle.Activation
	records []audit.Record
	fail    error // of every append
	failPut error
}

func (m *memory) LastPolicy(context.Context) (*bundle.Activation, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last, nil
}

func (m *memory) PutPolicy(_ context.Context, a bundle.Activation) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failPut == nil {
		m.last = &a
	}
	return m.failPut
}

func (m *memory) Append(_ context.Context, r audit.Record) (audit.Receipt, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail == nil {
		m.records = append(m.records, r)
	}
	return audit.Receipt{}, m.fail
}

func (w *world) activator(m *memory) *bundle.Activator[*engine.Engine] {
	return &bundle.Activator[*engine.Engine]{Officers: w.anchors, State: m, Ledger: m, Compile: compile, Node: "gw-1", Now: func() time.Time { return start }}
}
