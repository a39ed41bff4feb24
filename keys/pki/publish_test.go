package pki_test

import (
	"bytes"
	"context"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

func (p *publisher) kept(t *testing.T, keep string, onIssue func(*gm.RevocationList) error) *pki.CRLs {
	t.Helper()
	c, err := pki.NewCRLs(pki.CRLConfig{CA: p.ca, Book: p.book, Now: p.clock.Now, Keep: keep, OnIssue: func(_ context.Context, l *gm.RevocationList) error {
		if onIssue != nil {
			return onIssue(l)
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p *publisher) revoke(t *testing.T, reason int) {
	t.Helper()
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: reason}); err != nil {
		t.Fatal(err)
	}
}

func current(t *testing.T, c *pki.CRLs) *gm.RevocationList {
	t.Helper()
	l, err := c.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestNumbersOfListsGrowAcrossRestartsAndTheLastListIsServedAtOnce(t *testing.T) {
	p := publish(t)
	keep := filepath.Join(t.TempDir(), "root.crl")
	first := current(t, p.kept(t, keep, nil))
	again := p.kept(t, keep, nil)
	if s := again.State(); s.Number.Cmp(first.Number) != 0 || !s.Next.Equal(first.NextUpdate) {
		t.Errorf("after a restart: %+v", s)
	}
	if l := current(t, again); l.Number.Cmp(first.Number) <= 0 || l.ThisUpdate.Before(first.ThisUpdate) {
		t.Errorf("list %v after %v", l.Number, first.Number)
	}
}

// What an old copy of the book, or a clock that was set back, would take back is
// not taken back, and not answered.
func TestNoListGoesBackwards(t *testing.T) {
	p := publish(t)
	dir := t.TempDir()
	keep := filepath.Join(dir, "root.crl")
	path := filepath.Join(dir, "book.json")
	book, err := pki.OpenBook(path, p.root.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	p.book = book
	if err := book.Issued(p.issued); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lists := p.kept(t, keep, nil)
	responder := p.responder(t, func(c *pki.OCSPConfig) { c.Lists = lists })
	for _, reason := range []int{6, 1} { // also a hold, whose end a list does not tell from a loss
		p.revoke(t, reason)
		want := current(t, lists)
		p.clock.Move(t, time.Minute)
		if err := os.WriteFile(path, backup, 0o600); err != nil {
			t.Fatal(err)
		}
		for name, c := range map[string]*pki.CRLs{"running": lists, "restarted": p.kept(t, keep, nil)} {
			if l := current(t, c); !bytes.Equal(l.Raw, want.Raw) || !errors.Is(c.State().Err, pki.ErrBackwards) || !errors.Is(c.Sound(), pki.ErrBackwards) {
				t.Errorf("%s, reason %d: list %v, %v", name, reason, l.Number, c.State().Err)
			}
		}
		if _, err := ask(t, responder, question(t, nil, gm.NewCertID(p.root.Certificate(), p.issued.Serial))); !errors.Is(err, gm.OCSPError(gm.OCSPTryLater)) {
			t.Errorf("reason %d: answered from an old book: %v", reason, err)
		}
		if err := book.Restore(want); err != nil {
			t.Fatal(err)
		}
		p.clock.Move(t, time.Minute)
		if l := current(t, lists); l.Number.Cmp(want.Number) <= 0 || len(l.Revoked) != 1 || l.Revoked[0].Reason != reason || !l.Revoked[0].At.Equal(want.Revoked[0].At) {
			t.Errorf("restored: %v %+v", l.Number, l.Revoked)
		}
	}
	// The clock is set back by less than the list lasts.
	want := current(t, lists)
	early, err := pki.NewCRLs(pki.CRLConfig{CA: p.ca, Book: p.book, Keep: keep, Now: func() time.Time { return p.clock.Now().Add(-time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	if l := current(t, early); !bytes.Equal(l.Raw, want.Raw) || !errors.Is(early.State().Err, pki.ErrBackwards) {
		t.Errorf("with a clock set back: list %v, %v", l.Number, early.State().Err)
	}
}

// The book's number is right but something is missing: it was edited.
func TestAListThatForgetsARevocationIsNotIssued(t *testing.T) {
	p := publish(t)
	keep := filepath.Join(t.TempDir(), "root.crl")
	p.revoke(t, 1)
	want := current(t, p.kept(t, keep, nil))
	other, err := pki.OpenBook(filepath.Join(t.TempDir(), "edited.json"), p.root.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	for range 9 {
		if _, err := other.NextNumber(); err != nil {
			t.Fatal(err)
		}
	}
	p.book = other
	c := p.kept(t, keep, nil)
	if l := current(t, c); !bytes.Equal(l.Raw, want.Raw) || !errors.Is(c.State().Err, pki.ErrBackwards) {
		t.Errorf("list %v: %v", l.Number, c.State().Err)
	}
}

func TestAListThatIsNotRecordedIsNotPublished(t *testing.T) {
	p := publish(t)
	full := errors.New("disk full")
	broken := true
	var recorded []string
	keep := filepath.Join(t.TempDir(), "root.crl")
	c := p.kept(t, keep, func(l *gm.RevocationList) error {
		if broken {
			return full
		}
		recorded = append(recorded, l.Number.String())
		return nil
	})
	if l, err := c.Current(t.Context()); l != nil || !errors.Is(err, full) {
		t.Errorf("%v %v", l, err)
	}
	if _, err := os.Stat(keep); err == nil {
		t.Error("it was kept")
	}
	broken = false
	if _, err := c.Current(t.Context()); !errors.Is(err, full) {
		t.Errorf("tried again at once: %v", err)
	}
	p.clock.Move(t, time.Minute)
	if l := current(t, c); len(recorded) != 1 || recorded[0] != l.Number.String() || c.State().Failures != 1 {
		t.Errorf("%v %v", l.Number, recorded)
	}
}

func TestAKeptListOfAnotherCAOrASpoiltOneStopsTheStart(t *testing.T) {
	p := publish(t)
	foreign, err := p.makerCA.RevocationList(t.Context(), big.NewInt(1), p.clock.Now(), p.clock.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"foreign": foreign.Raw, "spoilt": []byte("rubbish")} {
		keep := filepath.Join(t.TempDir(), "root.crl")
		if err := os.WriteFile(keep, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.NewCRLs(pki.CRLConfig{CA: p.ca, Book: p.book, Keep: keep}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := pki.OpenOldBook(filepath.Join(t.TempDir(), "none.json"), p.root.Certificate()); !errors.Is(err, pki.ErrBook) {
		t.Errorf("a book that is not there: %v", err)
	}
}

func TestThePublisherRoutesExactlyAndSaysWhatIsNotRenewed(t *testing.T) {
	p := publish(t)
	lists := p.kept(t, "", nil)
	all := []pki.Published{{Name: "root", ListPath: "/root.crl", Lists: lists, OCSPPath: "/ocsp/root", OCSP: p.responder(t, nil)}}
	x, err := pki.NewPublisher(all)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Ready(p.clock.Now()); err == nil {
		t.Error("ready without a list")
	}
	if err := x.Renew(t.Context()); err != nil || x.Ready(p.clock.Now()) != nil || x.Degraded(p.clock.Now()) != "" {
		t.Errorf("%v %v %q", err, x.Ready(p.clock.Now()), x.Degraded(p.clock.Now()))
	}
	for target, want := range map[string]int{"/root.crl": 200, "/root.crl/": 404, "/": 404, "/root": 404, "/ocsp/roots": 404, "/ocsp": 404} {
		if r := get(t, x, "GET", target); r.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, r.StatusCode, want)
		}
	}
	if _, err := p.engine.Disable(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	p.clock.Move(t, 2*time.Hour)
	if err := x.Renew(t.Context()); err != nil || x.Ready(p.clock.Now()) != nil || !strings.Contains(x.Degraded(p.clock.Now()), "root is not renewed and lasts until") {
		t.Errorf("while the old list lasts: %v %q", err, x.Degraded(p.clock.Now()))
	}
	p.clock.Move(t, 23*time.Hour)
	if err := x.Renew(t.Context()); err == nil || x.Ready(p.clock.Now()) == nil {
		t.Error("ready with a list that ended")
	}
	if r := get(t, x, "GET", "/root.crl"); r.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a list that ended is served: %d", r.StatusCode)
	}
	for name, bad := range map[string]pki.Published{"no slash": {Lists: lists, ListPath: "x"}, "no lists": {ListPath: "/x"}, "under another": {Lists: lists, ListPath: "/root.crl/x"},
		"a responder without a path": {Lists: lists, ListPath: "/x", OCSP: all[0].OCSP}, "a slash at the end": {Lists: lists, ListPath: "/x/"}} {
		if _, err := pki.NewPublisher([]pki.Published{all[0], bad}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTheFetcherAsksAResponderAndTakesOnlyItsOwnAnswerFromNobodyElse(t *testing.T) {
	p := publish(t)
	ca := p.root.Certificate()
	responder := p.responder(t, nil)
	var serving atomic.Pointer[http.Handler]
	serve := func(h http.Handler) { serving.Store(&h) }
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		(*serving.Load()).ServeHTTP(w, r)
	}))
	defer server.Close()
	held := trust.NewRevocations(trust.RevocationConfig{})
	f, err := pki.NewFetcher(pki.FetcherConfig{Into: held, Dir: filepath.Join(t.TempDir(), "held"), Timeout: time.Second,
		Sources: []pki.Source{{Name: "responder", URL: server.URL, Issuer: ca, Certificates: []*gm.Certificate{p.issued}}}})
	if err != nil {
		t.Fatal(err)
	}
	state := func() trust.RevocationState { return held.Status(p.issued, ca, p.clock.Now()).State }
	if state() != trust.CannotAnswer || !strings.Contains(f.Degraded(p.clock.Now()), "nothing was had from responder") {
		t.Errorf("before the first answer: %v %q", state(), f.Degraded(p.clock.Now()))
	}
	// Another CA's answer, an answer about another certificate, and one to another
	// question are none.
	other := p.enrol(t, "seal-three", keys.Seal, pki.Signer)
	record := func(q []byte) []byte {
		r, err := ask(t, responder, q)
		if err != nil {
			t.Fatal(err)
		}
		return r.Raw
	}
	static := func(body []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/ocsp-response")
			w.Write(body)
		})
	}
	for name, hostile := range map[string]http.Handler{
		"about another certificate": static(record(question(t, nil, gm.NewCertID(ca, other.Serial)))),
		"to another question":       static(record(question(t, []byte("not this nonce"), gm.NewCertID(ca, p.issued.Serial)))),
		"a refusal":                 static(gm.OCSPRefusal(gm.OCSPTryLater)),
		"rubbish":                   static([]byte("rubbish")),
		"a page":                    http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }),
		"a redirect":                http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound),
	} {
		serve(hostile)
		if err := f.Refresh(t.Context()); err == nil || state() != trust.CannotAnswer || f.States()[0].Err == nil {
			t.Errorf("%s: %v %v", name, err, state())
		}
	}
	serve(responder)
	if err := f.Refresh(t.Context()); err != nil || state() != trust.NotRevoked || f.Degraded(p.clock.Now()) != "" {
		t.Fatalf("%v %v %q", err, state(), f.Degraded(p.clock.Now()))
	}
	if !strings.Contains(f.Degraded(p.clock.Now().Add(2*time.Hour)), "ended") {
		t.Error("an answer that ended raises no alarm")
	}
	p.clock.Move(t, time.Minute)
	p.revoke(t, 1)
	if err := f.Refresh(t.Context()); err != nil || state() != trust.IsRevoked {
		t.Errorf("%v %v", err, state())
	}
	// It never goes where a certificate says (the certificates here name
	// http://pki.test/): every request went to the one address configured.
	if n := asked.Load(); n != 8 {
		t.Errorf("%d requests reached the source", n)
	}
	for name, s := range map[string]pki.Source{
		"a file":                {URL: "file:///etc/passwd", Issuer: ca},
		"another issuer's":      {URL: server.URL, Issuer: p.makerCA.Certificate(), Certificates: []*gm.Certificate{p.issued}},
		"no host":               {URL: "http://", Issuer: ca},
		"nobody":                {URL: server.URL},
		"user and password":     {URL: "http://a:b@pki.test/", Issuer: ca},
		"a list in a socket":    {URL: "unix:///run/x", Issuer: ca},
		"a scheme that is none": {URL: "://x", Issuer: ca},
	} {
		if _, err := pki.NewFetcher(pki.FetcherConfig{Into: held, Sources: []pki.Source{s}}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
