package pki_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

func (p *publisher) responder(t *testing.T, change func(*pki.OCSPConfig)) *pki.OCSP {
	t.Helper()
	c := pki.OCSPConfig{CA: p.ca, Book: p.book, Now: p.clock.Now}
	if change != nil {
		change(&c)
	}
	o, err := pki.NewOCSP(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func question(t *testing.T, nonce []byte, ids ...gm.CertID) []byte {
	t.Helper()
	der, err := (&gm.OCSPRequest{Certs: ids, Nonce: nonce}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func post(t *testing.T, h http.Handler, contentType string, body []byte) *http.Response {
	t.Helper()
	r := httptest.NewRequest("POST", "/", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func ask(t *testing.T, h http.Handler, body []byte) (*gm.OCSPResponse, error) {
	t.Helper()
	r := post(t, h, "application/ocsp-request", body)
	if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/ocsp-response" {
		t.Fatalf("status %d, %s", r.StatusCode, r.Header.Get("Content-Type"))
	}
	return gm.ParseOCSPResponse(bodyOf(t, r))
}

func TestTheResponderKnowsGoodRevokedAndUnknown(t *testing.T) {
	p := publish(t)
	gone := p.enrol(t, "seal-gone", keys.Seal, pki.Signer)
	if err := p.book.Revoke(gm.RevokedEntry{Serial: gone.Serial, At: p.clock.Now().Add(-time.Hour), Reason: 4}); err != nil {
		t.Fatal(err)
	}
	ca := p.root.Certificate()
	delegateKey, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req, err := gm.CreateRequest(subject("应答者"), delegateKey.Public(), delegateKey.Sign)
	if err != nil {
		t.Fatal(err)
	}
	delegate, err := p.ca.Issue(t.Context(), pki.Responder, req, p.clock.Now(), p.clock.Now().AddDate(0, 1, 0))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*pki.OCSPConfig){
		"the CA": nil,
		"a delegate": func(c *pki.OCSPConfig) {
			c.Delegate, c.Sign = delegate, func(_ context.Context, tbs []byte) ([]byte, error) { return delegateKey.Sign(tbs) }
		},
	} {
		h := p.responder(t, change)
		r, err := ask(t, h, question(t, []byte("0123456789abcdef"), gm.NewCertID(ca, p.issued.Serial), gm.NewCertID(ca, gone.Serial), gm.NewCertID(ca, big.NewInt(99))))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := r.VerifyFor(ca); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		s := r.Data.Statuses
		if string(r.Data.Nonce) != "0123456789abcdef" || len(s) != 3 || s[0].State != gm.CertGood || s[1].State != gm.CertRevoked || s[1].Reason != 4 || s[2].State != gm.CertUnknown {
			t.Errorf("%s: %+v", name, r.Data)
		}
		held := trust.NewRevocations(trust.RevocationConfig{})
		if err := held.Add(r.Raw); err != nil {
			t.Fatal(err)
		}
		if x := held.Status(gone, ca, p.clock.Now()); x.State != trust.IsRevoked {
			t.Errorf("%s: a verifier sees %+v", name, x)
		}
		if x := held.Status(p.issued, ca, p.clock.Now()); x.State != trust.NotRevoked {
			t.Errorf("%s: a verifier sees %+v", name, x)
		}
	}
}

func TestTheResponderRefusesInTheWordsOfTheRFC(t *testing.T) {
	p := publish(t)
	h := p.responder(t, nil)
	ca := p.root.Certificate()
	good := question(t, nil, gm.NewCertID(ca, p.issued.Serial))
	many := make([]gm.CertID, 17)
	for i := range many {
		many[i] = gm.NewCertID(ca, big.NewInt(int64(i)))
	}
	for name, c := range map[string]struct {
		body []byte
		want gm.OCSPResponseStatus
	}{
		"rubbish":                   {[]byte("rubbish"), gm.OCSPMalformed},
		"trailing byte":             {append(bytes.Clone(good), 0), gm.OCSPMalformed},
		"too long":                  {make([]byte, gm.MaxOCSPRequest+1), gm.OCSPMalformed},
		"too many":                  {question(t, nil, many...), gm.OCSPMalformed},
		"another CA's certificate":  {question(t, nil, gm.NewCertID(p.makerCA.Certificate(), big.NewInt(1))), gm.OCSPUnauthorized},
		"one of another CA's of it": {question(t, nil, gm.NewCertID(ca, big.NewInt(1)), gm.NewCertID(p.makerCA.Certificate(), big.NewInt(1))), gm.OCSPUnauthorized},
		"a nonce of nothing":        {question(t, []byte{}, gm.NewCertID(ca, big.NewInt(1))), gm.OCSPMalformed},
		"a long nonce":              {question(t, make([]byte, 129), gm.NewCertID(ca, big.NewInt(1))), gm.OCSPMalformed},
	} {
		if r, err := ask(t, h, c.body); !errors.Is(err, gm.OCSPError(c.want)) {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if r := post(t, h, "text/plain", good); r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("content type: %d", r.StatusCode)
	}
	if r := get(t, h, "PUT", "/"); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("PUT: %d", r.StatusCode)
	}
	if _, err := p.engine.Disable(t.Context(), "root"); err != nil {
		t.Fatal(err)
	}
	if r, err := ask(t, h, good); !errors.Is(err, gm.OCSPError(gm.OCSPTryLater)) {
		t.Errorf("without a key: %+v %v", r, err)
	}
	for name, c := range map[string]pki.OCSPConfig{
		"no CA":                      {Book: p.book},
		"a delegate without a key":   {CA: p.ca, Book: p.book, Delegate: p.issued},
		"a delegate without a right": {CA: p.ca, Book: p.book, Delegate: p.issued, Sign: func(context.Context, []byte) ([]byte, error) { return nil, nil }},
		"answers for a month":        {CA: p.ca, Book: p.book, Life: 31 * 24 * time.Hour},
	} {
		if o, err := pki.NewOCSP(c); o != nil || err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAnswersToGETMayBeKeptUntilSomethingIsRevoked(t *testing.T) {
	p := publish(t)
	h := http.StripPrefix("/ocsp", p.responder(t, nil))
	der := question(t, nil, gm.NewCertID(p.root.Certificate(), p.issued.Serial))
	path := "/ocsp/" + url.PathEscape(base64.StdEncoding.EncodeToString(der))
	state := func() (gm.CertState, *http.Response) {
		r := get(t, h, "GET", path)
		resp, err := gm.ParseOCSPResponse(bodyOf(t, r))
		if err != nil {
			t.Fatal(err)
		}
		return resp.Data.Statuses[0].State, r
	}
	s, first := state()
	if s != gm.CertGood || !strings.Contains(first.Header.Get("Cache-Control"), "max-age=900") {
		t.Errorf("%v %q", s, first.Header.Get("Cache-Control"))
	}
	p.clock.Move(t, time.Minute)
	if _, again := state(); again.Header.Get("ETag") != first.Header.Get("ETag") {
		t.Error("the answer was made anew")
	}
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: 1}); err != nil {
		t.Fatal(err)
	}
	if s, _ := state(); s != gm.CertRevoked {
		t.Error("a revocation is not answered at once")
	}
	nonce := question(t, []byte("nonce"), gm.NewCertID(p.root.Certificate(), p.issued.Serial))
	r := get(t, h, "GET", "/ocsp/"+url.PathEscape(base64.StdEncoding.EncodeToString(nonce)))
	if !strings.Contains(r.Header.Get("Cache-Control"), "max-age=0") {
		t.Errorf("with a nonce: %q", r.Header.Get("Cache-Control"))
	}
	if r := get(t, h, "GET", "/ocsp/!"); !bytes.Equal(bodyOf(t, r), gm.OCSPRefusal(gm.OCSPMalformed)) {
		t.Error("no base64")
	}
}
