package pki_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

// registry is a publisher of what became of seals.
type registry struct {
	*publisher
	signer  *keys.Pinned
	entries []trust.SealEntry
	keep    string
	refuse  error
}

func register(t *testing.T) *registry {
	t.Helper()
	r := &registry{publisher: publish(t), keep: filepath.Join(t.TempDir(), "seals.json")}
	if _, err := r.engine.Create(t.Context(), "status", keys.Licence); err != nil {
		t.Fatal(err)
	}
	if _, err := r.makerCA.Enrol(t.Context(), r.engine.Key("status"), r.engine, pki.Responder, subject("印章状态"), r.clock.Now(), r.until); err != nil {
		t.Fatal(err)
	}
	var err error
	if r.signer, err = keys.PinLive(t.Context(), r.engine.Key("status")); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *registry) config() pki.SealListsConfig {
	return pki.SealListsConfig{Signer: r.signer, Name: "jl-seals", Makers: []*gm.Certificate{r.maker}, Keep: r.keep, Now: r.clock.Now,
		Entries: func(context.Context) ([]trust.SealEntry, error) { return r.entries, nil },
		OnIssue: func(context.Context, trust.SealStatus, []byte) error { return r.refuse }}
}

func (r *registry) open(t *testing.T) *pki.SealLists {
	t.Helper()
	s, err := pki.NewSealLists(r.config())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (r *registry) state(t *testing.T, raw []byte) trust.Revocation {
	t.Helper()
	held := trust.NewRevocations(trust.RevocationConfig{})
	if err := held.Add(raw); err != nil {
		t.Fatal(err)
	}
	return held.SealStatus("22010000000001", r.maker, r.makerCA.Certificate(), r.clock.Now())
}

func TestAChangeOfASealIsListedAndNothingIsTakenAway(t *testing.T) {
	r := register(t)
	s := r.open(t)
	raw, first, err := s.Current(t.Context())
	if err != nil || r.state(t, raw).State != trust.NotRevoked {
		t.Fatalf("%v %+v", err, r.state(t, raw))
	}
	suspended := trust.SealEntry{ID: "22010000000001", Since: r.clock.Now(), Reason: "suspended"}
	r.entries = []trust.SealEntry{suspended}
	if _, again, err := s.Current(t.Context()); err != nil || again.Number != first.Number {
		t.Errorf("two lists of one second: %d %v", again.Number, err)
	}
	r.clock.Move(t, time.Second)
	raw, second, err := s.Current(t.Context())
	if err != nil || second.Number <= first.Number || r.state(t, raw).State != trust.IsRevoked {
		t.Fatalf("%v %+v", err, second)
	}
	// A store from before the suspension, and one in which it began at another time.
	later := suspended
	later.Since = later.Since.Add(time.Second)
	for name, old := range map[string][]trust.SealEntry{"none": nil, "another time": {later}} {
		r.entries = old
		r.clock.Move(t, time.Minute)
		for which, x := range map[string]*pki.SealLists{"running": s, "restarted": r.open(t)} {
			if got, _, err := x.Current(t.Context()); err != nil || !bytes.Equal(got, raw) || !errors.Is(x.State().Err, pki.ErrBackwards) {
				t.Errorf("%s, %s: %v %v", name, which, err, x.State().Err)
			}
		}
	}
	suspended.Until = r.clock.Now().Add(-time.Second)
	r.entries = []trust.SealEntry{suspended}
	r.clock.Move(t, time.Minute)
	raw, _, err = s.Current(t.Context())
	if err != nil || r.state(t, raw).State != trust.NotRevoked {
		t.Errorf("resumed: %v %+v", err, r.state(t, raw))
	}
	suspended.Until = time.Time{} // it is made as if it never ended
	r.entries = []trust.SealEntry{suspended}
	r.clock.Move(t, time.Minute)
	if got, _, err := s.Current(t.Context()); err != nil || !bytes.Equal(got, raw) {
		t.Errorf("an end was taken away: %v", err)
	}
	if resp := get(t, s, "GET", "/seals.json"); resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" || !bytes.Equal(bodyOf(t, resp), raw) {
		t.Errorf("served: %d", resp.StatusCode)
	}
}

func TestASealListThatIsNotRecordedOrWhoseSignerMayNotSpeakIsNotPublished(t *testing.T) {
	r := register(t)
	r.refuse = errors.New("ledger full")
	s := r.open(t)
	if err := s.Renew(t.Context()); !errors.Is(err, r.refuse) {
		t.Errorf("%v", err)
	}
	if resp := get(t, s, "GET", "/"); resp.StatusCode != 503 {
		t.Errorf("served: %d", resp.StatusCode)
	}
	if _, err := os.Stat(r.keep); err == nil {
		t.Error("it was kept")
	}
	c := r.config()
	c.Makers = []*gm.Certificate{r.issued} // of another CA
	if _, err := pki.NewSealLists(c); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("another CA's maker: %v", err)
	}
	signer, err := keys.PinLive(t.Context(), r.engine.Key("seal-two"))
	if err != nil {
		t.Fatal(err)
	}
	c = r.config()
	c.Signer = signer
	if _, err := pki.NewSealLists(c); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("a signer of documents: %v", err)
	}
	if err := os.WriteFile(r.keep, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.NewSealLists(r.config()); err == nil {
		t.Error("a spoilt kept list was taken")
	}
}
