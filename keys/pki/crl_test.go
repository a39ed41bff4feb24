package pki_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

// publisher is a house whose root keeps a book.
type publisher struct {
	*house
	ca     *pki.Authority
	book   *pki.Book
	issued *gm.Certificate
}

func publish(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{house: build(t)}
	var err error
	if p.book, err = pki.OpenBook(filepath.Join(t.TempDir(), "root.json"), p.root.Certificate()); err != nil {
		t.Fatal(err)
	}
	p.ca = p.root.With(p.book, []string{"http://pki.test/root.crl"}, []string{"http://pki.test/ocsp"})
	p.issued = p.enrol(t, "seal-two", keys.Seal, pki.Signer)
	return p
}

func (p *publisher) enrol(t *testing.T, name keys.Name, purpose keys.Purpose, profile pki.Profile) *gm.Certificate {
	t.Helper()
	if _, err := p.engine.Create(t.Context(), name, purpose); err != nil {
		t.Fatal(err)
	}
	c, err := p.ca.Enrol(t.Context(), p.engine.Key(name), p.engine, profile, subject(string(name)), p.clock.Now(), p.until)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (p *publisher) crls(t *testing.T) *pki.CRLs {
	t.Helper()
	c, err := pki.NewCRLs(pki.CRLConfig{CA: p.ca, Book: p.book, Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(t *testing.T, h http.Handler, method, target string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func bodyOf(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestIssuedCertificatesSayWhereTheirRevocationIsPublished(t *testing.T) {
	p := publish(t)
	if len(p.issued.CRLURLs) != 1 || p.issued.CRLURLs[0] != "http://pki.test/root.crl" || len(p.issued.OCSPURLs) != 1 {
		t.Errorf("%v %v", p.issued.CRLURLs, p.issued.OCSPURLs)
	}
	if issued, revoked, _, err := p.book.State(p.issued.Serial); !issued || revoked != nil || err != nil {
		t.Errorf("not entered: %v %v %v", issued, revoked, err)
	}
	if issued, _, _, _ := p.book.State(p.signer.Serial); issued { // issued before there was a book
		t.Error("entered without being issued")
	}
}

func TestTheCurrentListIsServedUntilSomethingIsRevoked(t *testing.T) {
	p := publish(t)
	h := p.crls(t)
	first := get(t, h, "GET", "/root.crl")
	one := bodyOf(t, first)
	l, err := gm.ParseRevocationList(one, p.root.Certificate())
	if err != nil || first.StatusCode != 200 || first.Header.Get("Content-Type") != "application/pkix-crl" || len(l.Revoked) != 0 || l.KeepsExpired.IsZero() {
		t.Fatalf("%v %d %+v", err, first.StatusCode, l)
	}
	if cc := first.Header.Get("Cache-Control"); !strings.Contains(cc, "max-age=900") {
		t.Errorf("Cache-Control %q", cc)
	}
	again := get(t, h, "GET", "/root.crl", "If-None-Match", first.Header.Get("ETag"))
	if again.StatusCode != http.StatusNotModified || len(bodyOf(t, again)) != 0 {
		t.Errorf("unchanged list: %d", again.StatusCode)
	}
	if head := get(t, h, "HEAD", "/root.crl"); head.StatusCode != 200 || len(bodyOf(t, head)) != 0 || head.Header.Get("Content-Length") == "" {
		t.Errorf("HEAD: %d", head.StatusCode)
	}
	if post := get(t, h, "POST", "/root.crl"); post.StatusCode != http.StatusMethodNotAllowed || post.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d", post.StatusCode)
	}
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: 1, Invalid: p.clock.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	l2, err := h.Current(t.Context())
	if err != nil || len(l2.Revoked) != 1 || l2.Revoked[0].Serial.Cmp(p.issued.Serial) != 0 || l2.Revoked[0].Reason != 1 || l2.Number.Cmp(l.Number) <= 0 || l2.Revoked[0].Invalid.IsZero() {
		t.Fatalf("%+v %v", l2, err)
	}
	p.clock.Move(t, 61*time.Minute)
	if l3, err := h.Current(t.Context()); err != nil || !l3.ThisUpdate.After(l2.ThisUpdate) {
		t.Errorf("the list was not renewed: %v", err)
	}
}

func TestAnOldListIsServedWhileItLastsWhenNoneCanBeMade(t *testing.T) {
	p := publish(t)
	h := p.crls(t)
	first := bodyOf(t, get(t, h, "GET", "/"))
	if _, err := p.engine.Disable(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	p.clock.Move(t, 2*time.Hour)
	if r := get(t, h, "GET", "/"); r.StatusCode != 200 || !bytes.Equal(bodyOf(t, r), first) {
		t.Errorf("while it lasts: %d", r.StatusCode)
	}
	p.clock.Move(t, 23*time.Hour)
	if r := get(t, h, "GET", "/"); r.StatusCode != http.StatusServiceUnavailable || r.Header.Get("Retry-After") == "" {
		t.Errorf("after its end: %d", r.StatusCode)
	}
}

func TestABookForgetsNothingAndIsSharedByProcesses(t *testing.T) {
	p := publish(t)
	path := filepath.Join(t.TempDir(), "book.json")
	one, err1 := pki.OpenBook(path, p.root.Certificate())
	two, err2 := pki.OpenBook(path, p.root.Certificate())
	if err := errors.Join(err1, err2, one.Issued(p.signer), one.Issued(p.signer)); err != nil {
		t.Fatal(err)
	}
	at := p.clock.Now()
	revoke := func(b *pki.Book, reason int, at time.Time) error {
		return b.Revoke(gm.RevokedEntry{Serial: p.signer.Serial, At: at, Reason: reason})
	}
	if err := revoke(two, 6, at); err != nil {
		t.Fatalf("a hold, through another handle: %v", err)
	}
	if err := two.Release(p.signer.Serial); err != nil {
		t.Fatal(err)
	}
	if err := revoke(one, 6, at); err != nil {
		t.Fatal(err)
	}
	if err := revoke(two, 1, at.Add(time.Hour)); err != nil {
		t.Fatalf("for good after a hold: %v", err)
	}
	list, revision, err := one.Revoked()
	if err != nil || len(list) != 1 || revision != 4 || list[0].Reason != 1 || !list[0].At.Equal(at) {
		t.Errorf("%+v %d %v", list, revision, err)
	}
	if err := revoke(one, 4, at); !errors.Is(err, pki.ErrRevoked) {
		t.Errorf("twice: %v", err)
	}
	if err := one.Release(p.signer.Serial); !errors.Is(err, pki.ErrRevoked) {
		t.Errorf("release of a revocation: %v", err)
	}
	if err := one.Revoke(gm.RevokedEntry{Serial: big.NewInt(5), At: at}); !errors.Is(err, pki.ErrNotIssued) {
		t.Errorf("not issued: %v", err)
	}
	var wg sync.WaitGroup
	numbers := make(chan string, 20)
	for i := range 20 {
		wg.Go(func() {
			n, err := []*pki.Book{one, two}[i%2].NextNumber()
			if err != nil {
				t.Error(err)
				return
			}
			numbers <- n.String()
		})
	}
	wg.Wait()
	close(numbers)
	seen := map[string]bool{}
	for n := range numbers {
		if seen[n] {
			t.Errorf("number %s twice", n)
		}
		seen[n] = true
	}
	if _, err := pki.OpenBook(path, p.makerCA.Certificate()); !errors.Is(err, pki.ErrBook) {
		t.Errorf("another CA's book: %v", err)
	}
	if err := os.WriteFile(path, []byte(`{"v":1}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := one.Revoked(); !errors.Is(err, pki.ErrBook) {
		t.Errorf("a spoilt book: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := one.Issued(p.signer); !errors.Is(err, pki.ErrBook) {
		t.Errorf("a book that is gone is begun anew: %v", err)
	}
}

func TestACertificateThatCannotBeEnteredIsNotHandedOut(t *testing.T) {
	p := publish(t)
	dir := t.TempDir()
	book, err := pki.OpenBook(filepath.Join(dir, "sub", "book.json"), p.root.Certificate()) // there is no such folder
	if err != nil {
		t.Fatal(err)
	}
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req, err := gm.CreateRequest(subject("x"), k.Public(), k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := p.root.With(book, nil, nil).Issue(t.Context(), pki.Signer, req, p.from, p.until); c != nil || !errors.Is(err, pki.ErrBook) {
		t.Errorf("%v %v", c, err)
	}
}

func TestTheFetcherTakesOnlyWhatItsSourceSigned(t *testing.T) {
	p := publish(t)
	h := p.crls(t)
	var serving atomic.Pointer[http.Handler]
	serve := func(h http.Handler) { serving.Store(&h) }
	serve(h)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*serving.Load()).ServeHTTP(w, r) }))
	defer server.Close()
	dir := filepath.Join(t.TempDir(), "held")
	config := pki.FetcherConfig{Sources: []pki.Source{{URL: server.URL, Issuer: p.root.Certificate()}}, Dir: dir, Timeout: time.Second}
	fresh := func() (*pki.Fetcher, *trust.Revocations) {
		c := config
		c.Into = trust.NewRevocations(trust.RevocationConfig{})
		f, err := pki.NewFetcher(c)
		if err != nil {
			t.Fatal(err)
		}
		return f, c.Into
	}
	f, held := fresh()
	state := func(r *trust.Revocations) trust.RevocationState {
		return r.Status(p.issued, p.root.Certificate(), p.clock.Now()).State
	}
	if state(held) != trust.CannotAnswer {
		t.Error("an answer before the first fetch")
	}
	if err := f.Refresh(t.Context()); err != nil || state(held) != trust.NotRevoked {
		t.Fatalf("%v %v", err, state(held))
	}
	old, err := h.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.clock.Move(t, time.Minute)
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: 1}); err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(t.Context()); err != nil || state(held) != trust.IsRevoked {
		t.Fatalf("%v %v", err, state(held))
	}
	if _, again := fresh(); state(again) != trust.IsRevoked {
		t.Error("after a restart nothing is known")
	}
	static := func(body []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(body) })
	}
	foreign, err := p.makerCA.RevocationList(t.Context(), big.NewInt(1), p.clock.Now(), p.clock.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	spoilt := bytes.Clone(old.Raw)
	spoilt[len(spoilt)-1] ^= 1
	for name, hostile := range map[string]http.Handler{
		"an older list":  static(old.Raw),
		"a foreign list": static(foreign.Raw),
		"a spoilt list":  static(spoilt),
		"rubbish":        static([]byte("rubbish")),
		"an error":       http.NotFoundHandler(),
		"a redirect":     http.RedirectHandler("http://127.0.0.1:1/", http.StatusFound),
		"an endless one": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}),
		"a silent one": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }),
	} {
		serve(hostile)
		if err := f.Refresh(t.Context()); err == nil {
			t.Errorf("%s was taken", name)
		}
		if state(held) != trust.IsRevoked {
			t.Errorf("%s changed what is held", name)
		}
	}
}

func TestSealStatusListsAreSignedByAResponderOfTheMakersCA(t *testing.T) {
	p := publish(t)
	ctx := t.Context()
	if _, err := p.engine.Create(ctx, "status", keys.Licence); err != nil {
		t.Fatal(err)
	}
	if _, err := p.makerCA.Enrol(ctx, p.engine.Key("status"), p.engine, pki.Responder, subject("印章状态"), p.clock.Now(), p.until); err != nil {
		t.Fatal(err)
	}
	signer, err := keys.PinLive(ctx, p.engine.Key("status"))
	if err != nil {
		t.Fatal(err)
	}
	now := p.clock.Now()
	s := trust.SealStatus{Name: "jl-seals", Number: 1, Issued: now, Next: now.Add(24 * time.Hour), Makers: [][gm.DigestSize]byte{p.maker.Fingerprint()},
		Revoked: []trust.SealEntry{{ID: "22010000000001", Since: now.Add(-time.Hour), Reason: "cancelled"}}}
	data, err := pki.SignSealStatus(ctx, s, signer)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(data) }))
	defer server.Close()
	held := trust.NewRevocations(trust.RevocationConfig{})
	f, err := pki.NewFetcher(pki.FetcherConfig{Into: held, Sources: []pki.Source{{URL: server.URL, Issuer: p.makerCA.Certificate(), Maker: p.maker}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if r := held.SealStatus("22010000000001", p.maker, p.makerCA.Certificate(), now); r.State != trust.IsRevoked || r.Detail != "cancelled" {
		t.Errorf("%+v", r)
	}
	other, err := keys.PinLive(ctx, p.engine.Key("seal-two"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pki.SignSealStatus(ctx, s, other); err == nil {
		t.Error("a signer's key signed a status list")
	}
}

func TestTheFetcherEndsWithItsContext(t *testing.T) {
	f, err := pki.NewFetcher(pki.FetcherConfig{Into: trust.NewRevocations(trust.RevocationConfig{}), Timeout: time.Second,
		Sources: []pki.Source{{URL: "http://127.0.0.1:1/", Issuer: build(t).root.Certificate()}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	f.Run(ctx)
}
