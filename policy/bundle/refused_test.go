package bundle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/bundle"
	"github.com/sealgate/sealgate/policy/engine"
)

// crafted is a bundle that must not go into force.
type crafted struct {
	name string
	file []byte
	code string // of the refusal
}

// craft makes the bundles of the reliability specification's row "bundle bad",
// behind first, which is in force on a gateway that reloads.
func craft(w *world, first *bundle.Bundle) []crafted {
	good := w.signed(first)
	file := w.file(good)
	released := w.sign(w.built(first), policy.Release, w.a, start.Add(-time.Hour))
	// The files of others are marshalled from structures that no officer's tool
	// would make: JSON is changed on its way.
	changed := func(change func(map[string]any)) []byte {
		var j map[string]any
		d := json.NewDecoder(bytes.NewReader(file))
		d.UseNumber()
		if err := d.Decode(&j); err != nil {
			w.Fatal(err)
		}
		change(j)
		out, err := json.Marshal(j)
		if err != nil {
			w.Fatal(err)
		}
		return out
	}
	signature := func(j map[string]any, n int) map[string]any { return j["signatures"].([]any)[n].(map[string]any) }
	stranger := w.officer("外人 0099")
	strangersCA := newWorld(w)
	withRules := func(name, text string) []byte {
		other := newWorld(w)
		other.caKey, other.ca, other.a, other.b, other.serial = w.caKey, w.ca, w.a, w.b, 1000
		other.write(name, text)
		return other.file(other.signed(first))
	}
	flipped := bytes.Clone(file)
	flipped[len(flipped)/2] ^= 4
	return []crafted{
		{"unsigned", w.file(w.built(first)), "SG-POLICY-BUNDLE-UNSIGNED"},
		{"released and not approved", w.file(released), "SG-POLICY-BUNDLE-UNSIGNED"},
		{"the signatures taken off", changed(func(j map[string]any) { j["signatures"] = []any{} }), "SG-POLICY-BUNDLE-UNSIGNED"},
		{"one officer twice", changed(func(j map[string]any) {
			s := signature(j, 0)
			j["signatures"] = []any{s, map[string]any{"act": "approve", "at": s["at"], "officer": s["officer"], "certificates": s["certificates"], "sig": s["sig"]}}
		}), "SG-POLICY-BUNDLE-SAME-OFFICER"},
		{"a signature of a wrong key", changed(func(j map[string]any) {
			sig, err := stranger.key.Sign([]byte("anything"))
			if err != nil {
				w.Fatal(err)
			}
			signature(j, 1)["sig"] = sig
		}), "SG-POLICY-BUNDLE-SIGNATURE"},
		{"an officer of another authority", w.file(w.sign(released, policy.Approve, strangersCA.b, start.Add(-time.Minute))), "SG-POLICY-BUNDLE-OFFICER"},
		{"truncated", file[:len(file)-100], "SG-POLICY-BUNDLE-FORMAT"},
		{"one bit flipped", flipped, "SG-POLICY-BUNDLE-FORMAT"},
		{"empty", []byte{}, "SG-POLICY-BUNDLE-FORMAT"},
		{"too large", append(bytes.Clone(file), make([]byte, bundle.MaxFile)...), "SG-POLICY-BUNDLE-FORMAT"},
		{"a rule that does not compile", withRules("bad.rego", "package sealgate.authz\n\nallow if { nonsense }\n"), "SG-POLICY-INVALID"},
		{"a data root that is not there", withRules("bad.rego", "package sealgate.authz\n\nallow if { data.nowhere[input.caller.system] }\n"), "SG-POLICY-INVALID"},
		{"rules that reach the network", withRules("bad.rego", "package sealgate.authz\n\nallow if { http.send({\"url\": input.purpose}).body }\n"), "SG-POLICY-INVALID"},
		{"rules that allow without a grant", withRules("bad.rego", "package sealgate.authz\n\nallow if { input.caller.system == \"self-check\" }\n"), "SG-POLICY-BUNDLE-SELFCHECK"},
	}
}

func realState(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), filepath.Join(t.TempDir(), "state", "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCraftedBundlesAreRefusedAtTheStartAndThenEverythingIsDenied(t *testing.T) {
	w := newWorld(t)
	cases := craft(w, w.signed(nil))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m, s := &memory{}, realState(t)
			a := w.activator(m)
			a.State = s
			got, err := a.Activate(t.Context(), c.file)
			refusedWith(t, m, c, got == nil, err)
			if last, err := s.LastPolicy(t.Context()); last != nil || err != nil {
				t.Errorf("remembered: %+v %v", last, err)
			}
		})
	}
	m := &memory{}
	if _, err := w.activator(m).ActivateFile(t.Context(), filepath.Join(t.TempDir(), "none.sgb")); !errors.Is(err, bundle.ErrFormat) || len(m.records) != 1 || m.records[0].Object.ID != "unreadable" {
		t.Errorf("a file that is not there: %v, %+v", err, m.records)
	}
}

func TestCraftedBundlesAreRefusedAtReloadAndNoCallIsDecidedByThem(t *testing.T) {
	w := newWorld(t)
	m, s := &memory{}, realState(t)
	a := w.activator(m)
	a.State = s
	first := w.signed(nil)
	inForce, err := a.Activate(t.Context(), w.file(first))
	if err != nil {
		t.Fatal(err)
	}
	var current atomic.Pointer[engine.Engine]
	current.Store(inForce.Rules)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var decisions, wrong atomic.Int64
	for range 2 {
		load.Go(func() {
			for ctx.Err() == nil {
				d := current.Load().Decide(context.Background(), engine.Request{Caller: policy.Caller{Zone: "extranet"}, Interface: &policy.Interface{Status: "published"}, Grant: &policy.Grant{}})
				if decisions.Add(1); d.Allow || d.Revision != inForce.Rules.Revision() {
					wrong.Add(1)
				}
			}
		})
	}
	cases := craft(w, first)
	// What only a gateway with a past can refuse.
	second := w.signed(first)
	fork := newWorld(t)
	fork.caKey, fork.ca, fork.a, fork.b, fork.serial = w.caKey, w.ca, w.a, w.b, 2000
	fork.write("fork.rego", "package sealgate.authz\n")
	elsewhere, err := bundle.Build(w.rules, bundle.Next{Name: "elsewhere"}, start.Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	both := func(b *bundle.Bundle) *bundle.Bundle {
		return w.sign(w.sign(b, policy.Release, w.a, start.Add(-time.Hour)), policy.Approve, w.b, start)
	}
	cases = append(cases,
		crafted{"the same number, other rules", w.file(fork.signed(nil)), "SG-POLICY-BUNDLE-SEQUENCE"},
		crafted{"the successor of another bundle", w.file(w.signed(fork.signed(nil))), "SG-POLICY-BUNDLE-SEQUENCE"},
		crafted{"another line", w.file(both(elsewhere)), "SG-POLICY-BUNDLE-SEQUENCE"})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := len(m.records)
			got, err := a.Activate(t.Context(), c.file)
			refusedWith(t, &memory{records: m.records[before:]}, c, got == nil, err)
			if got != nil {
				current.Store(got.Rules)
			}
			if last, err := s.LastPolicy(t.Context()); err != nil || last.Sequence != 1 {
				t.Errorf("remembered: %+v %v", last, err)
			}
		})
	}
	stop()
	load.Wait()
	if decisions.Load() == 0 || wrong.Load() > 0 {
		t.Errorf("%d of %d decisions were wrong or under another policy", wrong.Load(), decisions.Load())
	}
	if _, err := a.Activate(t.Context(), w.file(second)); err != nil {
		t.Fatalf("a good one after all these: %v", err)
	}
	got, err := a.Activate(t.Context(), w.file(first))
	refusedWith(t, &memory{records: m.records[len(m.records)-1:]}, crafted{"an older one", nil, "SG-POLICY-BUNDLE-SEQUENCE"}, got == nil, err)
}

// refusedWith checks that c was refused by its code, and that this was recorded.
func refusedWith(t *testing.T, m *memory, c crafted, none bool, err error) {
	t.Helper()
	p, known := problem.FromError(err, "")
	if err == nil || !none || p.Code != c.code {
		t.Fatalf("%s: %v, code %s, want %s", c.name, err, p.Code, c.code)
	}
	if !known {
		t.Errorf("%s: the code is not in the table", c.name)
	}
	if len(m.records) != 1 || m.records[0].Type != "policy.activate" || m.records[0].Outcome != audit.Denied || m.records[0].Code != c.code {
		t.Errorf("%s: recorded %+v", c.name, m.records)
	}
}

// TestNoByteOfABundleCanBeChanged flips a bit at every byte of a small bundle.
func TestNoByteOfABundleCanBeChanged(t *testing.T) {
	w := newWorld(t)
	b := w.signed(nil)
	file := w.file(b)
	// The contents are long and all alike: a tenth of their bytes is enough.
	contents := bytes.Index(file, []byte(`"manifest"`))
	for i := range file {
		if i < contents && i%37 != 0 {
			continue
		}
		bad := bytes.Clone(file)
		bad[i] ^= 1 << (i % 8)
		opened, err := bundle.Open(bad)
		if err == nil {
			err = opened.Verify(w.anchors, bundle.Times{Now: start})
		}
		var coded interface{ Code() string }
		if err == nil || !errors.As(err, &coded) || !strings.HasPrefix(coded.Code(), "SG-POLICY-BUNDLE-") {
			t.Fatalf("byte %d (%q): %v", i, file[max(0, i-20):min(len(file), i+20)], err)
		}
	}
}

func TestOfficerIsJudgedWhenHeSignedAndWhenItBecameKnown(t *testing.T) {
	w := newWorld(t)
	b := w.signed(nil) // released an hour before start, approved a minute before
	revoked := func(o *officer, at time.Time, reason int) *trust.Anchors {
		r := trust.NewRevocations(trust.RevocationConfig{})
		list, err := gm.CreateRevocationList(big.NewInt(1), start.Add(-24*time.Hour), start.AddDate(0, 0, 7),
			[]gm.RevokedEntry{{Serial: o.certs[0].Serial, At: at, Reason: reason}}, w.ca, w.caKey.Sign)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Add(list.Raw); err != nil {
			t.Fatal(err)
		}
		return w.anchors.WithRevocation(r)
	}
	const keyCompromise, superseded = 1, 4
	other := w.officer("赵策略 0023")
	late := w.officerAs(gm.Template{NotBefore: start, NotAfter: start.AddDate(1, 0, 0)}, "孙策略 0024")
	ended := w.officerAs(gm.Template{NotBefore: start.AddDate(-1, 0, 0), NotAfter: start.Add(-30 * time.Minute)}, "周策略 0025")
	bySigners := func(x, y *officer) *bundle.Bundle {
		return w.sign(w.sign(w.built(nil), policy.Release, x, start.Add(-time.Hour)), policy.Approve, y, start.Add(-time.Minute))
	}
	tomorrow := w.sign(w.sign(w.built(nil), policy.Release, w.a, start.AddDate(0, 0, 1)), policy.Approve, w.b, start.AddDate(0, 0, 1))
	now := bundle.Times{Now: start}
	for name, c := range map[string]struct {
		b       *bundle.Bundle
		anchors *trust.Anchors
		times   bundle.Times
		want    error
	}{
		"nobody is revoked":                        {b, revoked(other, start.AddDate(0, -1, 0), keyCompromise), now, nil},
		"revoked before he signed":                 {b, revoked(w.a, start.Add(-2*time.Hour), superseded), now, bundle.ErrOfficer},
		"approver revoked before":                  {b, revoked(w.b, start.Add(-2*time.Hour), superseded), now, bundle.ErrOfficer},
		"left after he signed":                     {b, revoked(w.a, start.Add(-30*time.Minute), superseded), now, nil},
		"key lost before we knew the bundle":       {b, revoked(w.a, start.Add(-30*time.Minute), keyCompromise), now, bundle.ErrOfficer},
		"key lost after we knew it":                {b, revoked(w.a, start.Add(-30*time.Second), keyCompromise), bundle.Times{Now: start, Known: start.Add(-45 * time.Second)}, nil},
		"no answer about revocation":               {b, w.anchors.WithRevocation(trust.NewRevocations(trust.RevocationConfig{})), now, bundle.ErrOfficer},
		"no anchors":                               {b, nil, now, bundle.ErrOfficer},
		"the two officers' own certificates":       {b, w.trusting(w.a.certs[0], w.b.certs[0]), now, nil},
		"one of them is not named":                 {b, w.trusting(w.a.certs[0]), now, bundle.ErrOfficer},
		"a certificate that had not begun":         {bySigners(late, w.b), w.anchors, now, bundle.ErrOfficer},
		"a certificate that ended before we knew":  {bySigners(ended, w.b), w.anchors, now, bundle.ErrOfficer},
		"a certificate that ended after we knew":   {b, w.anchors, bundle.Times{Now: start.AddDate(5, 0, 0), Known: start}, nil},
		"the CA itself as an officer":              {bySigners(&officer{w.caKey, []*gm.Certificate{w.ca}}, w.b), w.anchors, now, bundle.ErrOfficer},
		"signed tomorrow":                          {tomorrow, w.anchors, now, bundle.ErrOfficer},
		"a time of knowledge that is yet to come":  {bySigners(ended, w.b), w.anchors, bundle.Times{Now: start, Known: start.AddDate(1, 0, 0)}, bundle.ErrOfficer},
		"document anchors do not vouch for policy": {b, anyDocumentAnchor(t, w.ca), now, bundle.ErrOfficer},
	} {
		if err := c.b.Verify(c.anchors, c.times); !errors.Is(err, c.want) || c.want == nil && err != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func anyDocumentAnchor(t *testing.T, c *gm.Certificate) *trust.Anchors {
	t.Helper()
	a, err := trust.New(trust.Anchor{Cert: c, Roles: trust.Maker | trust.Signer | trust.TSA})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestCarriedCertificatesThatBelongToNoPathAreRefused(t *testing.T) {
	w := newWorld(t)
	stranger := newWorld(t)
	released := w.sign(w.built(nil), policy.Release, w.a, start.Add(-time.Hour))
	file := w.file(w.sign(released, policy.Approve, w.b, start))
	for name, certs := range map[string][]*gm.Certificate{
		"another's certificate behind":      {w.a.certs[0], w.b.certs[0]},
		"a stranger's root behind":          {w.a.certs[0], stranger.ca},
		"a stranger's root behind the root": {w.a.certs[0], w.ca, stranger.ca},
		"the root twice":                    {w.a.certs[0], w.ca, w.ca},
	} {
		x, err := bundle.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		x.Signatures[0].Certificates = certs
		err = x.Verify(w.anchors, bundle.Times{Now: start})
		if name == "the root twice" { // foolish, and nothing in it can be changed
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if !errors.Is(err, bundle.ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
