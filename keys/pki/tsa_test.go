package pki_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
)

var policy = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 99999, 1}

// stamping is a house with a timestamp authority.
type stamping struct {
	*house
	tsa     *pki.TSAServer
	anchors *trust.Anchors
}

var (
	_ seal.Timestamper = (*pki.TSAServer)(nil)
	_ seal.Timestamper = (*pki.TSAClient)(nil)
)

func stamps(t testing.TB, change func(*pki.TSAConfig)) *stamping {
	t.Helper()
	s := &stamping{house: build(t)}
	if _, err := s.engine.Create(t.Context(), "tsa", keys.TSA); err != nil {
		t.Fatal(err)
	}
	if _, err := s.root.Enrol(t.Context(), s.engine.Key("tsa"), s.engine, pki.TSA, subject("时间戳"), s.from, s.until); err != nil {
		t.Fatal(err)
	}
	c := pki.TSAConfig{Key: s.engine.Key("tsa"), Policy: policy, Now: s.clock.Now}
	if change != nil {
		change(&c)
	}
	var err error
	if s.tsa, err = pki.NewTSA(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if s.anchors, err = trust.New(trust.Anchor{Cert: s.root.Certificate(), Roles: trust.TSA}); err != nil {
		t.Fatal(err)
	}
	return s
}

func query(t *testing.T, change func(*gm.TimestampRequest)) []byte {
	t.Helper()
	imprint := gm.SM3([]byte("value"))
	q := &gm.TimestampRequest{HashOID: gm.OIDSM3, Imprint: imprint[:], Nonce: big.NewInt(77), CertReq: true}
	if change != nil {
		change(q)
	}
	der, err := q.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestTheAuthorityStampsWhatItIsAskedTo(t *testing.T) {
	s := stamps(t, nil)
	serials := map[string]bool{}
	for range 3 {
		r := post(t, s.tsa, "application/timestamp-query", query(t, nil))
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != "application/timestamp-reply" {
			t.Fatalf("%d %s", r.StatusCode, r.Header.Get("Content-Type"))
		}
		reply, err := gm.ParseTimestampResponse(bodyOf(t, r))
		if err != nil || reply.Status != gm.TimestampGranted {
			t.Fatalf("%+v %v", reply, err)
		}
		token, err := gm.ParseTimestampToken(reply.Token)
		if err != nil || token.Info.Nonce.Int64() != 77 || !token.Info.Policy.Equal(policy) || token.Info.Accuracy != time.Second || serials[token.Info.Serial.String()] {
			t.Fatalf("%+v %v", token, err)
		}
		serials[token.Info.Serial.String()] = true
		if v := s.anchors.CheckTimestamp(reply.Token, [][]byte{[]byte("value")}, s.clock.Now()); v.Outcome != trust.Trusted || !v.Time.Equal(s.clock.Now()) {
			t.Errorf("%+v", v)
		}
	}
	bare := s.tsa.Respond(t.Context(), query(t, func(q *gm.TimestampRequest) { q.CertReq = false }))
	reply, err := gm.ParseTimestampResponse(bare)
	if err != nil {
		t.Fatal(err)
	}
	if token, err := gm.ParseTimestampToken(reply.Token); err != nil || len(token.Signed.Certificates) != 0 {
		t.Errorf("certificates were not asked for: %v", err)
	}
}

func TestTheAuthorityRefusesInTheWordsOfTheRFC(t *testing.T) {
	s := stamps(t, nil)
	extended := query(t, nil)
	extended = append(extended, 0xa0, 0) // an empty extension list behind certReq
	extended[1] += 2
	for name, c := range map[string]struct {
		body []byte
		want int
	}{
		"rubbish":        {[]byte("rubbish"), gm.TimestampBadDataFormat},
		"another hash":   {query(t, func(q *gm.TimestampRequest) { q.HashOID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1} }), gm.TimestampBadAlgorithm},
		"a short hash":   {query(t, func(q *gm.TimestampRequest) { q.Imprint = q.Imprint[:20] }), gm.TimestampBadDataFormat},
		"another policy": {query(t, func(q *gm.TimestampRequest) { q.Policy = asn1.ObjectIdentifier{1, 2, 3} }), gm.TimestampUnacceptedPolicy},
		"extensions":     {extended, gm.TimestampUnacceptedExtension},
	} {
		r, err := gm.ParseTimestampResponse(s.tsa.Respond(t.Context(), c.body))
		if err != nil || r.Status != gm.TimestampRejection || r.Failure != c.want || r.Text == "" {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	if r := get(t, s.tsa, "GET", "/"); r.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", r.StatusCode)
	}
	if r := post(t, s.tsa, "text/plain", query(t, nil)); r.StatusCode != http.StatusUnsupportedMediaType {
		t.Errorf("content type: %d", r.StatusCode)
	}
	if r := post(t, s.tsa, "application/timestamp-query", make([]byte, gm.MaxTimestampRequest+1)); r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d", r.StatusCode)
	}
}

func TestTheAuthorityStopsWhenItsClockGoesBackOrItsKeyIsGone(t *testing.T) {
	var shift time.Duration

	s := stamps(t, func(c *pki.TSAConfig) { now := c.Now; c.Now = func() time.Time { return now().Add(shift) } })
	failure := func() int {
		r, err := gm.ParseTimestampResponse(s.tsa.Respond(t.Context(), query(t, nil)))
		if err != nil {
			t.Fatal(err)
		}
		return r.Failure
	}
	if failure() != gm.TimestampNoFailure {
		t.Fatal("no stamp")
	}
	shift = -2 * time.Second
	if got := failure(); got != gm.TimestampTimeNotAvailable {
		t.Errorf("clock went back: %d", got)
	}
	shift = 10 * time.Minute // the engine has a clock of its own
	if got := failure(); got != gm.TimestampSystemFailure {
		t.Errorf("another clock than the engine's: %d", got)
	}
	shift = 0
	s.clock.Move(t, 10*time.Minute)
	if got := failure(); got != gm.TimestampNoFailure {
		t.Errorf("clock caught up: %d", got)
	}
	if _, err := s.engine.Disable(t.Context(), "tsa"); err != nil {
		t.Fatal(err)
	}
	if got := failure(); got != gm.TimestampSystemFailure {
		t.Errorf("disabled: %d", got)
	}
}

func TestTheAuthorityGoesOnWithARotatedKey(t *testing.T) {
	s := stamps(t, nil)
	if _, err := s.tsa.Stamp(t.Context(), []byte("before")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.engine.Rotate(t.Context(), "tsa"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.root.Enrol(t.Context(), s.engine.Key("tsa"), s.engine, pki.TSA, subject("时间戳二"), s.clock.Now(), s.until); err != nil {
		t.Fatal(err)
	}
	token, err := s.tsa.Stamp(t.Context(), []byte("after"))
	if err != nil {
		t.Fatal(err)
	}
	if v := s.anchors.CheckTimestamp(token, [][]byte{[]byte("after")}, s.clock.Now()); v.Outcome != trust.Trusted || v.Authority.Subject.CommonName != "时间戳二" {
		t.Errorf("%+v", v)
	}
}

func TestATokenThatCannotBeRecordedIsKeptBack(t *testing.T) {
	full := errors.New("disk full")
	var recorded int
	s := stamps(t, func(c *pki.TSAConfig) {
		c.OnStamp = func(_ context.Context, serial *big.Int, imprint []byte, at time.Time) error {
			if recorded++; recorded > 1 {
				return full
			}
			return nil
		}
	})
	if _, err := s.tsa.Stamp(t.Context(), []byte("v")); err != nil || recorded != 1 {
		t.Fatalf("%d %v", recorded, err)
	}
	if token, err := s.tsa.Stamp(t.Context(), []byte("v")); token != nil || !errors.Is(err, pki.ErrTimestampRefused) {
		t.Errorf("%v", err)
	}
}

func TestAnAuthorityNeedsAKeyForTimestamps(t *testing.T) {
	h := build(t)
	for name, c := range map[string]pki.TSAConfig{
		"no policy":     {Key: h.engine.Key("seal-rs")},
		"a signer's":    {Key: h.engine.Key("seal-rs"), Policy: policy},
		"no such key":   {Key: h.engine.Key("none"), Policy: policy},
		"no accuracy":   {Key: h.engine.Key("seal-rs"), Policy: policy, Accuracy: time.Hour},
		"no key at all": {Policy: policy},
	} {
		if _, err := pki.NewTSA(t.Context(), c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestTheClientAsksTheNextAuthorityWhenOneFails(t *testing.T) {
	s := stamps(t, nil)
	other := stamps(t, nil) // under a root that is no anchor
	replay, err := gm.ParseTimestampResponse(s.tsa.Respond(t.Context(), query(t, nil)))
	if err != nil {
		t.Fatal(err)
	}
	old, err := replay.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	reply := func(body []byte) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Write(body)
		})
	}
	refusal, err := (&gm.TimestampResponse{Status: gm.TimestampRejection, Failure: gm.TimestampSystemFailure, Text: "没有"}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	good := httptest.NewServer(s.tsa)
	defer good.Close()
	for name, hostile := range map[string]http.Handler{
		"rubbish":         reply([]byte("rubbish")),
		"a refusal":       reply(refusal),
		"another answer":  reply(old),
		"a stranger":      other.tsa,
		"a web page":      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("<html>")) }),
		"an error":        http.NotFoundHandler(),
		"a redirect":      http.RedirectHandler(good.URL, http.StatusTemporaryRedirect),
		"an endless one":  reply(make([]byte, gm.MaxTimestampToken+1)),
		"one that hangs":  http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }),
		"one that breaks": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }),
	} {
		bad := httptest.NewServer(hostile)
		client := func(urls ...string) *pki.TSAClient {
			c, err := pki.NewTSAClient(pki.TSAClientConfig{URLs: urls, Policy: policy, Anchors: s.anchors, Timeout: 300 * time.Millisecond, Now: s.clock.Now})
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		if token, err := client(bad.URL).Stamp(t.Context(), []byte("sig")); token != nil || err == nil {
			t.Errorf("%s: a token", name)
		}
		token, err := client(bad.URL, good.URL).Stamp(t.Context(), []byte("sig"))
		if err != nil {
			t.Errorf("%s, then a good one: %v", name, err)
		} else if v := s.anchors.CheckTimestamp(token, [][]byte{[]byte("sig")}, s.clock.Now()); v.Outcome != trust.Trusted {
			t.Errorf("%s: %+v", name, v)
		}
		bad.Close()
	}
	for _, u := range [][]string{nil, {""}, {"not an address"}, {"/path"}} {
		if _, err := pki.NewTSAClient(pki.TSAClientConfig{URLs: u}); err == nil {
			t.Errorf("%q: accepted", u)
		}
	}
}

func TestManyAskAtOnce(t *testing.T) {
	s := stamps(t, func(c *pki.TSAConfig) { c.Signings = 2 })
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			value := bytes.Repeat([]byte{byte(i)}, 10)
			token, err := s.tsa.Stamp(t.Context(), value)
			if err != nil {
				t.Error(err)
				return
			}
			if v := s.anchors.CheckTimestamp(token, [][]byte{value}, s.clock.Now()); v.Outcome != trust.Trusted {
				t.Errorf("%+v", v)
			}
		})
	}
	wg.Wait()
}
