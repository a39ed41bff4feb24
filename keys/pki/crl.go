package pki

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// issueTimeout bounds the making of one list or answer.
const issueTimeout = 10 * time.Second

// CRLConfig configures the revocation lists of a CA. CA and Book are needed.
type CRLConfig struct {
	CA   *Authority
	Book *Book
	// Interval is how often a new list is issued although nothing changed (1 h);
	// Life is how long a list lasts (24 h). A change in the book gives a new list
	// at the next request.
	Interval, Life time.Duration
	Now            func() time.Time // time.Now
	Log            *slog.Logger     // nil discards
}

// CRLs issues the revocation lists of a CA and serves the current one over HTTP
// (RFC 5280 section 4.2.1.13, RFC 2585): GET and HEAD, application/pkix-crl.
// Lists are issued when they are asked for, one at a time. When a new one
// cannot be had, the old one is served while it lasts: it is dated, and nobody
// takes it for newer than it is. It is safe for concurrent use.
type CRLs struct {
	cfg CRLConfig

	mu       sync.Mutex
	current  *gm.RevocationList
	revision int64
	due      time.Time
}

// NewCRLs returns the lists of a CA. None is issued yet.
func NewCRLs(c CRLConfig) (*CRLs, error) {
	if c.CA == nil || c.Book == nil {
		return nil, errors.New("revocation lists: CA and book are needed")
	}
	if c.Interval <= 0 {
		c.Interval = time.Hour
	}
	if c.Life <= 0 {
		c.Life = 24 * time.Hour
	}
	if c.Life <= c.Interval {
		return nil, fmt.Errorf("revocation lists: they last %v and are renewed only every %v", c.Life, c.Interval)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &CRLs{cfg: c}, nil
}

// Current returns the list that is to be served now, issuing it when the book
// changed or the interval is over.
func (c *CRLs) Current(ctx context.Context) (*gm.RevocationList, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Others wait for this list too: it is made also when this caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issueTimeout)
	defer cancel()
	now := c.cfg.Now()
	revoked, revision, err := c.cfg.Book.Revoked()
	if err == nil && c.current != nil && revision == c.revision && now.Before(c.due) && !now.Before(c.current.ThisUpdate) {
		return c.current, nil
	}
	if err == nil {
		err = c.issue(ctx, now, revoked, revision)
	}
	if err == nil {
		return c.current, nil
	}
	if c.current != nil && now.Before(c.current.NextUpdate) {
		c.cfg.Log.ErrorContext(ctx, "revocation list not renewed", "ca", c.cfg.CA.cert.Subject.String(), "error", err)
		return c.current, nil
	}
	return nil, fmt.Errorf("issue revocation list: %w", err)
}

func (c *CRLs) issue(ctx context.Context, now time.Time, revoked []gm.RevokedEntry, revision int64) error {
	number, err := c.cfg.Book.NextNumber()
	if err != nil {
		return err
	}
	next := now.Add(c.cfg.Life)
	if end := c.cfg.CA.cert.NotAfter; next.After(end) {
		next = end
	}
	l, err := c.cfg.CA.RevocationList(ctx, number, now, next, revoked)
	if err != nil {
		return err
	}
	c.current, c.revision, c.due = l, revision, now.Add(c.cfg.Interval)
	return nil
}

// ServeHTTP serves the current list.
func (c *CRLs) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, "GET, HEAD")
		return
	}
	l, err := c.Current(r.Context())
	if err != nil {
		c.cfg.Log.ErrorContext(r.Context(), "no revocation list", "error", err)
		w.Header().Set("Retry-After", "30")
		http.Error(w, "no revocation list at present", http.StatusServiceUnavailable)
		return
	}
	publish(w, r, "application/pkix-crl", l.Raw, l.ThisUpdate, l.NextUpdate, c.cfg.Now().Add(c.cfg.Interval/4), c.cfg.Now())
}

// publish serves signed bytes that caches may keep until fresh, or until next
// when that is sooner.
func publish(w http.ResponseWriter, r *http.Request, contentType string, body []byte, this, next, fresh, now time.Time) {
	if next.Before(fresh) {
		fresh = next
	}
	digest := gm.SM3(body)
	tag := `"` + hex.EncodeToString(digest[:16]) + `"`
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", fmt.Sprintf("public, no-transform, max-age=%d", max(0, int(fresh.Sub(now).Seconds()))))
	h.Set("ETag", tag)
	h.Set("Last-Modified", this.UTC().Format(http.TimeFormat))
	h.Set("Expires", fresh.UTC().Format(http.TimeFormat))
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Length", fmt.Sprint(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body) // an error means that the client has gone
	}
}

func refuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}
