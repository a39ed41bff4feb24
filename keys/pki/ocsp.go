package pki

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// OCSPConfig configures an OCSP responder. CA and Book are needed.
type OCSPConfig struct {
	CA   *Authority
	Book *Book
	// Lists are those of the same CA, when it has any: while the book is older
	// than they are, nothing is answered from it.
	Lists *CRLs
	// Delegate answers in the CA's stead when it is not nil: a certificate of
	// profile Responder, and Sign for its key. Otherwise the CA's own key
	// answers, which a key engine allows it to.
	Delegate *gm.Certificate
	Sign     func(ctx context.Context, responseData []byte) ([]byte, error)
	// Life is how long an answer lasts (1 h, at most 7 days).
	Life time.Duration
	// Signings bounds how many answers are made at once (4); beyond it the
	// responder says tryLater.
	Signings int
	Now      func() time.Time // time.Now
	Log      *slog.Logger     // nil discards
}

// OCSP is a responder (RFC 6960) for the certificates of one CA: GET and POST,
// nonces, SM2 with SM3. It says good only of certificates that the book says
// were issued, and unknown of all others. Answers without a nonce are made once
// and served again for a quarter of their life, unless the book changes. It is
// an http.Handler; for GET, strip the path in front of the request with
// http.StripPrefix. It is safe for concurrent use.
type OCSP struct {
	cfg     OCSPConfig
	signing chan struct{}

	mu         sync.Mutex
	revision   int64
	cache      map[string]cachedAnswer
	complained time.Time
}

type cachedAnswer struct {
	response   *gm.OCSPResponse
	this, next time.Time
}

const (
	maxOCSPLife   = 7 * 24 * time.Hour
	maxOCSPCache  = 10_000
	maxOCSPAsked  = 16 // certificates in one request
	ocspMediaType = "application/ocsp-response"
)

// NewOCSP returns a responder.
func NewOCSP(c OCSPConfig) (*OCSP, error) {
	if c.CA == nil || c.Book == nil {
		return nil, errors.New("OCSP: CA and book are needed")
	}
	if (c.Delegate == nil) != (c.Sign == nil) || c.Delegate != nil && !c.Delegate.OCSPSigning {
		return nil, errors.New("OCSP: a delegate needs a certificate with OCSPSigning, and its key")
	}
	if c.Life == 0 {
		c.Life = time.Hour
	}
	if c.Life < 0 || c.Life > maxOCSPLife {
		return nil, fmt.Errorf("OCSP: answers last up to %v, not %v", maxOCSPLife, c.Life)
	}
	if c.Signings <= 0 {
		c.Signings = 4
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &OCSP{cfg: c, signing: make(chan struct{}, c.Signings), cache: map[string]cachedAnswer{}}, nil
}

// ServeHTTP answers one request. Whatever is wrong with its content is said in
// an OCSP response of status 200, as RFC 6960 appendix A wants it.
func (o *OCSP) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var der []byte
	var err error
	switch r.Method {
	case http.MethodPost:
		if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != "application/ocsp-request" {
			http.Error(w, "want application/ocsp-request", http.StatusUnsupportedMediaType)
			return
		}
		der, err = io.ReadAll(http.MaxBytesReader(w, r.Body, gm.MaxOCSPRequest))
	case http.MethodGet, http.MethodHead:
		der, err = requestInPath(r.URL)
	default:
		refuseMethod(w, "GET, HEAD, POST")
		return
	}
	if err != nil {
		refuseOCSP(w, gm.OCSPMalformed)
		return
	}
	a, status := o.answer(r.Context(), der)
	if status != gm.OCSPSuccessful {
		refuseOCSP(w, status)
		return
	}
	now := o.cfg.Now()
	fresh := now.Add(o.cfg.Life / 4)
	if a.response.Data.Nonce != nil || r.Method == http.MethodPost {
		fresh = now // for this requester alone
	}
	publish(w, r, ocspMediaType, a.response.Raw, a.this, a.next, fresh, now)
}

// requestInPath reads the base64 text behind the last slash of the responder's
// own path. The text may itself hold slashes, as they are or escaped.
func requestInPath(u *url.URL) ([]byte, error) {
	text := strings.TrimPrefix(u.Path, "/") // unescaped
	if len(text) > gm.MaxOCSPRequest*4/3+4 {
		return nil, gm.ErrOCSP
	}
	return base64.StdEncoding.DecodeString(text)
}

func refuseOCSP(w http.ResponseWriter, s gm.OCSPResponseStatus) {
	w.Header().Set("Content-Type", ocspMediaType)
	w.Header().Set("Cache-Control", "no-store")
	w.Write(gm.OCSPRefusal(s)) // an error means that the client has gone
}

func (o *OCSP) answer(ctx context.Context, der []byte) (cachedAnswer, gm.OCSPResponseStatus) {
	none := cachedAnswer{}
	q, err := gm.ParseOCSPRequest(der)
	if err != nil || len(q.Certs) > maxOCSPAsked {
		return none, gm.OCSPMalformed
	}
	for _, id := range q.Certs {
		if !id.IssuedBy(o.cfg.CA.cert) {
			return none, gm.OCSPUnauthorized
		}
	}
	if o.cfg.Lists != nil {
		if err := o.cfg.Lists.Sound(); err != nil {
			o.complain(ctx, "OCSP answer not made", err)
			return none, gm.OCSPTryLater
		}
	}
	now := o.cfg.Now().UTC().Truncate(time.Second)
	data := gm.ResponseData{ProducedAt: now, Nonce: q.Nonce}
	var revision int64
	for i, id := range q.Certs {
		s, rev, err := o.status(id, now)
		if err != nil || i > 0 && rev != revision {
			o.complain(ctx, "OCSP answer not made", err)
			return none, gm.OCSPTryLater
		}
		revision = rev
		data.Statuses = append(data.Statuses, s)
	}
	key := ""
	if q.Nonce == nil {
		key = string(der)
		if a, found := o.cached(key, revision, now); found {
			return a, gm.OCSPSuccessful
		}
	}
	response, err := o.sign(ctx, data)
	switch {
	case errors.Is(err, errBusy):
		return none, gm.OCSPTryLater
	case err != nil:
		o.complain(ctx, "OCSP answer not signed", err)
		return none, gm.OCSPTryLater
	}
	a := cachedAnswer{response: response, this: now, next: data.Statuses[0].NextUpdate}
	if key != "" && !slices.ContainsFunc(data.Statuses, func(s gm.OCSPStatus) bool { return s.State == gm.CertUnknown }) {
		o.remember(key, revision, a) // what is unknown may be issued the next moment
	}
	return a, gm.OCSPSuccessful
}

// complain logs an error, once a second at most: everybody may ask, and asking
// must not fill a disk.
func (o *OCSP) complain(ctx context.Context, what string, err error) {
	now := o.cfg.Now()
	o.mu.Lock()
	quiet := now.Sub(o.complained).Abs() < time.Second
	if !quiet {
		o.complained = now
	}
	o.mu.Unlock()
	if !quiet {
		o.cfg.Log.ErrorContext(ctx, what, "error", err)
	}
}

func (o *OCSP) status(id gm.CertID, now time.Time) (gm.OCSPStatus, int64, error) {
	s := gm.OCSPStatus{ID: id, ThisUpdate: now, NextUpdate: now.Add(o.cfg.Life)}
	if end := o.cfg.CA.cert.NotAfter; s.NextUpdate.After(end) {
		s.NextUpdate = end
	}
	issued, revoked, revision, err := o.cfg.Book.State(id.Serial)
	switch {
	case err != nil:
		return s, 0, err
	case !issued:
	case revoked != nil:
		s.State, s.RevokedAt, s.Reason = gm.CertRevoked, revoked.Since(), revoked.Reason
	default:
		s.State = gm.CertGood
	}
	return s, revision, nil
}

var errBusy = errors.New("too many answers are being signed")

func (o *OCSP) sign(ctx context.Context, data gm.ResponseData) (*gm.OCSPResponse, error) {
	select {
	case o.signing <- struct{}{}:
		defer func() { <-o.signing }()
	default:
		return nil, errBusy
	}
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	ca := o.cfg.CA
	if o.cfg.Delegate == nil {
		return gm.CreateOCSPResponse(data, ca.cert, ca.cert, ca.signer.Revocation(ctx))
	}
	return gm.CreateOCSPResponse(data, ca.cert, o.cfg.Delegate, func(tbs []byte) ([]byte, error) { return o.cfg.Sign(ctx, tbs) })
}

func (o *OCSP) cached(key string, revision int64, now time.Time) (cachedAnswer, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if revision != o.revision {
		clear(o.cache)
		o.revision = revision
	}
	a, found := o.cache[key]
	return a, found && !now.Before(a.this) && now.Before(a.this.Add(o.cfg.Life/4))
}

func (o *OCSP) remember(key string, revision int64, a cachedAnswer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if revision != o.revision {
		return // something was revoked meanwhile
	}
	if len(o.cache) >= maxOCSPCache {
		clear(o.cache)
	}
	o.cache[key] = a
}
