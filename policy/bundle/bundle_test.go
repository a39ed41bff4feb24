package bundle_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/bundle"
	"github.com/sealgate/sealgate/policy/engine"
)

func TestBundleReleasedAndApprovedIsActivatedAndRecorded(t *testing.T) {
	w, m := newWorld(t), &memory{}
	b := w.signed(nil)
	c, err := w.activator(m).Activate(t.Context(), w.file(b))
	if err != nil {
		t.Fatal(err)
	}
	revision, err := b.Manifest.Revision()
	if err != nil || c.Rules.Revision() != revision || c.Again || m.last == nil || m.last.Sequence != 1 {
		t.Errorf("%+v %+v %v", c, m.last, err)
	}
	var types []string
	for _, r := range m.records {
		types = append(types, string(r.Type)+" "+r.Actor.Kind+" "+string(r.Outcome)+" "+r.Object.ID)
		if r.RequestID != m.records[0].RequestID || r.RequestID == "" || r.Decision.Revision != revision {
			t.Errorf("%+v", r)
		}
		if strings.Contains(r.Actor.ID, "策略") {
			t.Error("a person's name stands in the ledger")
		}
	}
	want := "policy.release person ok gateway/1,policy.approve person ok gateway/1,policy.activate service allowed gateway/1"
	if got := strings.Join(types, ","); got != want {
		t.Errorf("recorded %s", got)
	}
	// After a restart the same bundle is put into force again, by the same name.
	again, err := w.activator(m).Activate(t.Context(), w.file(b))
	if err != nil || !again.Again || len(m.records) != 4 {
		t.Errorf("again: %+v %d %v", again, len(m.records), err)
	}
	w.write("extra.rego", "package sealgate.authz\n")
	if next, err := w.activator(m).Activate(t.Context(), w.file(w.signed(b))); err != nil || next.Bundle.Manifest.Sequence != 2 {
		t.Errorf("the next: %v", err)
	}
}

func TestNothingIsActivatedThatCannotBeRecordedOrRemembered(t *testing.T) {
	w := newWorld(t)
	file := w.file(w.signed(nil))
	m := &memory{fail: errors.New("disk full")}
	if c, err := w.activator(m).Activate(t.Context(), file); err == nil || c != nil || m.last != nil {
		t.Errorf("%v %+v", err, m.last)
	}
	m = &memory{failPut: errors.New("no state")}
	if c, err := w.activator(m).Activate(t.Context(), file); err == nil || c != nil || m.records[len(m.records)-1].Outcome != "denied" {
		t.Errorf("%v %+v", err, m.records)
	}
}

func TestBuildTakesRulesAndTablesAndLeavesTestsOut(t *testing.T) {
	w := newWorld(t)
	for name, text := range map[string]string{"authz_test.rego": "package sealgate.authz\n", "README.md": "x", ".git/a.rego": "x", "data.json": `{"table":{"a":1}}`, "sub/b.rego": "package sealgate.authz\n"} {
		w.write(name, text)
	}
	b := w.built(nil)
	var paths []string
	for _, f := range b.Manifest.Files {
		paths = append(paths, f.Path)
	}
	if got := strings.Join(paths, " "); got != "authz.rego data.json reasons.rego sub/b.rego" {
		t.Error(got)
	}
	modules, data, err := b.Rules()
	if err != nil || len(modules) != 3 || data["table"] == nil {
		t.Errorf("%d %v %v", len(modules), data, err)
	}
	again := w.built(nil)
	if !bytes.Equal(w.file(b), w.file(again)) {
		t.Error("the same folder gives another file")
	}
}

func TestFolderThatMakesNoSoundBundleIsRefused(t *testing.T) {
	for name, spoil := range map[string]func(w *world){
		"JSON elsewhere":    func(w *world) { w.write("tables/x.json", "{}") },
		"a Chinese name":    func(w *world) { w.write("规则.rego", "") },
		"upper-case ending": func(w *world) { w.write("a.REGO", "") },
		"a huge file":       func(w *world) { w.write("a.rego", strings.Repeat("#", policy.MaxBundleFile+1)) },
		"a table twice":     func(w *world) { w.write("data.json", `{"a":1,"a":2}`) },
		"a list of tables":  func(w *world) { w.write("data.json", `[]`) },
		"two values":        func(w *world) { w.write("data.json", `{} {}`) },
		"no rules": func(w *world) {
			for _, n := range []string{"authz.rego", "reasons.rego"} {
				if err := os.Remove(filepath.Join(w.rules, n)); err != nil {
					w.Fatal(err)
				}
			}
		},
		"a link": func(w *world) {
			if err := os.Symlink("/etc/hosts", filepath.Join(w.rules, "link.rego")); err != nil {
				w.Fatal(err)
			}
		},
	} {
		w := newWorld(t)
		spoil(w)
		if b, err := bundle.Build(w.rules, bundle.Next{Name: "gateway"}, start); !errors.Is(err, bundle.ErrFormat) {
			t.Errorf("%s: %v %v", name, b, err)
		}
	}
	w := newWorld(t)
	if _, err := bundle.Build(w.rules, bundle.Next{Name: "other", Previous: w.built(nil)}, start); !errors.Is(err, bundle.ErrFormat) {
		t.Errorf("another name behind a bundle: %v", err)
	}
	if _, err := bundle.Build(filepath.Join(w.rules, "none"), bundle.Next{Name: "gateway"}, start); err == nil {
		t.Error("a folder that is not there")
	}
}

func TestOneOfficerCannotReleaseAndApprove(t *testing.T) {
	w := newWorld(t)
	released := w.sign(w.built(nil), policy.Release, w.a, start)
	sameName := w.officer("王策略 0021")
	sameKey := &officer{w.a.key, []*gm.Certificate{w.issue(gm.Template{Subject: w.b.certs[0].Subject, KeyUsage: signs}, w.ca, w.caKey, w.a.key.Public())}}
	for name, o := range map[string]*officer{"himself": w.a, "another key under his name": sameName, "his key under another name": sameKey} {
		if _, err := released.Sign(t.Context(), policy.Approve, o, o.certs, start); !errors.Is(err, bundle.ErrSame) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		b   *bundle.Bundle
		act policy.Act
	}{"approve first": {w.built(nil), policy.Approve}, "release twice": {released, policy.Release}, "a third": {w.signed(nil), policy.Approve}, "no act": {w.built(nil), "activate"}} {
		if _, err := c.b.Sign(t.Context(), c.act, w.b, w.b.certs, start); !errors.Is(err, bundle.ErrUnsigned) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := released.Sign(t.Context(), policy.Approve, w.b, w.b.certs, start.Add(-time.Second)); !errors.Is(err, bundle.ErrUnsigned) {
		t.Errorf("an approval that is older than the release: %v", err)
	}
	if _, err := w.built(nil).Sign(t.Context(), policy.Release, w.a, w.b.certs, start); !errors.Is(err, bundle.ErrSignature) {
		t.Errorf("a signer with another's certificate: %v", err)
	}
	if _, err := w.built(nil).Sign(t.Context(), policy.Release, w.a, nil, start); !errors.Is(err, bundle.ErrOfficer) {
		t.Errorf("no certificate: %v", err)
	}
}

func TestReleaseSignatureIsNoApproval(t *testing.T) {
	w, m := newWorld(t), &memory{}
	good := w.file(w.signed(nil))
	b, err := bundle.Open(good)
	if err != nil {
		t.Fatal(err)
	}
	// b's officer releases too; his release is shown as the approval.
	other := w.sign(w.built(nil), policy.Release, w.b, start.Add(-time.Minute))
	b.Signatures[1].Sig = other.Signatures[0].Sig
	if _, err := w.activator(m).Activate(t.Context(), w.file(b)); !errors.Is(err, bundle.ErrSignature) {
		t.Error(err)
	}
}

func TestEveryPolicyMustDenyWhatTheSelfCheckAsks(t *testing.T) {
	w := newWorld(t)
	if _, err := bundle.Try(t.Context(), w.built(nil), compile); err != nil {
		t.Fatalf("the shipped rules: %v", err)
	}
	for name, condition := range map[string]string{
		"a system that may do everything":     `input.caller.system == "self-check"`,
		"no condition on the grant":           `input.interface.status == "published"`,
		"any purpose":                         `input.grant.status == "active"; input.grant.zones`,
		"whatever is not of an empty purpose": `input.purpose != ""`,
		"an empty purpose":                    `input.purpose == ""`,
	} {
		w := newWorld(t)
		w.write("hole.rego", "package sealgate.authz\n\nallow if { "+condition+" }\n")
		if _, err := bundle.Try(t.Context(), w.built(nil), compile); !errors.Is(err, bundle.ErrSelfCheck) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.write("bad.rego", "package sealgate.authz\n\nallow if { nonsense }\n")
	if _, err := bundle.Try(t.Context(), w.built(nil), compile); !errors.As(err, new(*engine.InvalidError)) {
		t.Errorf("rules that do not compile: %v", err)
	}
}

// TestSelfCheckStartsFromACallThatIsAllowed: otherwise the refusals that it asks
// for would prove nothing.
func TestSelfCheckStartsFromACallThatIsAllowed(t *testing.T) {
	w := newWorld(t)
	spy := func(ctx context.Context, modules map[string]string, data map[string]any, revision string) (*spying, error) {
		e, err := compile(ctx, modules, data, revision)
		return &spying{Engine: e}, err
	}
	s, err := bundle.Try(t.Context(), w.built(nil), spy)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.asked) < 10 {
		t.Fatalf("%d questions", len(s.asked))
	}
	// Every question but those without a grant is one change away from a call
	// that the shipped rules allow: mend it and it is.
	mended := s.asked[5]
	mended["purpose"] = "自检"
	if ok, err := s.Engine.Allows(t.Context(), mended); !ok || err != nil {
		t.Errorf("%v %v: %v", ok, err, mended)
	}
}

type spying struct {
	*engine.Engine
	asked []map[string]any
}

func (s *spying) Allows(ctx context.Context, in map[string]any) (bool, error) {
	s.asked = append(s.asked, in)
	return s.Engine.Allows(ctx, in)
}

func TestFileOfAMillionEmptyPartsIsRefusedBeforeItIsDecoded(t *testing.T) {
	file := []byte(`{"contents":[` + strings.Repeat(`"",`, 1_000_000) + `""],"manifest":{},"signatures":[],"v":1}`)
	if n := testing.AllocsPerRun(1, func() {
		if _, err := bundle.Open(file); !errors.Is(err, bundle.ErrFormat) || !strings.Contains(err.Error(), "more parts") {
			t.Error(err)
		}
	}); n > 100 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzOpen(f *testing.F) {
	w := newWorld(f)
	w.rules = f.TempDir()
	w.write("a.rego", "package sealgate.authz\n")
	f.Add(w.file(w.signed(nil)))
	f.Add(w.file(w.built(nil)))
	f.Add([]byte(`{"contents":[],"manifest":{},"signatures":[],"v":1}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := bundle.Open(data)
		if err != nil {
			if b != nil || !errors.Is(err, bundle.ErrFormat) {
				t.Fatalf("%v %v", b, err)
			}
			return
		}
		if again, err := b.Marshal(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("came back as %q: %v", again, err)
		}
	})
}
