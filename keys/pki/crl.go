package pki

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
)

const (
	// issueTimeout bounds the making of one list or answer.
	issueTimeout = 10 * time.Second
	// retryList is how long after a failure nobody tries again: those who ask
	// meanwhile get the old list at once and do not wait for a key store that
	// hangs.
	retryList = 5 * time.Second
)

// ErrBackwards says that a list would take back what an earlier one said.
var ErrBackwards = errors.New("the list would go backwards")

// CRLConfig configures the revocation lists of a CA. CA and Book are needed.
type CRLConfig struct {
	CA   *Authority
	Book *Book
	// Interval is how often a new list is issued although nothing changed (1 h);
	// Life is how long a list lasts (24 h). A change in the book gives a new list
	// at the next request.
	Interval, Life time.Duration
	// Keep is a file for the last list that was issued: what was published is
	// known after a restart too. "": it is not.
	Keep string
	// OnIssue is told of every list before anybody gets it; an error keeps it
	// from being published. nil: nobody is told.
	OnIssue func(ctx context.Context, l *gm.RevocationList) error
	Now     func() time.Time // time.Now
	Log     *slog.Logger     // nil discards
}

// CRLs issues the revocation lists of a CA and serves the current one over HTTP
// (RFC 5280 section 4.2.1.13, RFC 2585): GET and HEAD, application/pkix-crl.
// Lists are issued when they are asked for, one at a time. When a new one
// cannot be had, the old one is served while it lasts: it is dated, and nobody
// takes it for newer than it is. No list goes backwards: its number is higher
// than that of the one before, it is not older, and it still names everything
// that was revoked for good. So neither a book from a backup nor a clock that
// was set back makes anything good again. It is safe for concurrent use.
type CRLs struct {
	cfg CRLConfig

	turn sync.Mutex // of who issues; the rest changes only under it and mu

	mu       sync.Mutex
	current  *gm.RevocationList
	revision int64     // of the book, of current; -1: not known
	due      time.Time // when the next one is issued although nothing changed
	failure  error     // of the last attempt
	failed   time.Time // when that was
	attempts int64     // that failed, ever
}

// ListState is where the lists of a CA stand.
type ListState struct {
	Number     *big.Int  // of the current list; nil: there is none
	This, Next time.Time // its dates
	Entries    int
	Err        error // why the last attempt at a new one failed; nil when it did not
	Failures   int64 // attempts that failed, ever
}

// NewCRLs returns the lists of a CA. None is issued yet; the one that Keep holds
// is served until then. A file there that is no list of this CA is an error.
func NewCRLs(c CRLConfig) (*CRLs, error) {
	if c.CA == nil || c.Book == nil {
		return nil, errors.New("revocation lists: CA and book are needed")
	}
	var err error
	if c.Interval, c.Life, err = renewal(c.Interval, c.Life); err != nil {
		return nil, fmt.Errorf("revocation lists: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	x := &CRLs{cfg: c, revision: -1}
	if c.Keep == "" {
		return x, nil
	}
	switch data, err := durable.ReadPrivate(c.Keep, gm.MaxRevocationListSize); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("last revocation list: %w", err)
	default:
		if x.current, err = gm.ParseRevocationList(data, c.CA.cert); err == nil && x.current.Number == nil {
			err = errors.New("it has no number")
		}
		if err != nil {
			return nil, fmt.Errorf("last revocation list: %s: %w", c.Keep, err)
		}
	}
	return x, nil
}

// State says where the lists stand, without trying for a new one.
func (c *CRLs) State() ListState {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := ListState{Err: c.failure, Failures: c.attempts}
	if l := c.current; l != nil {
		s.Number, s.This, s.Next, s.Entries = l.Number, l.ThisUpdate, l.NextUpdate, len(l.Revoked)
	}
	return s
}

// Current returns the list that is to be served now, issuing it when the book
// changed or the interval is over. While somebody else is at that, the list
// before is the current one.
func (c *CRLs) Current(ctx context.Context) (*gm.RevocationList, error) {
	now := c.cfg.Now()
	if !c.turn.TryLock() {
		if l := c.lasting(now); l != nil {
			return l, nil
		}
		c.turn.Lock()
	}
	defer c.turn.Unlock()
	// Others wait for this list too: it is made also when this caller has gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issueTimeout)
	defer cancel()
	err := c.renew(ctx, now)
	if l := c.lasting(now); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("issue revocation list: %w", err)
}

// Renew issues a list when one is due. The error says that there is none to serve.
func (c *CRLs) Renew(ctx context.Context) error {
	_, err := c.Current(ctx)
	return err
}

// lasting returns the current list while it lasts.
func (c *CRLs) lasting(now time.Time) *gm.RevocationList {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current == nil || !now.Before(c.current.NextUpdate) {
		return nil
	}
	return c.current
}

// renew makes the current list the one that is to be served, when it is not.
func (c *CRLs) renew(ctx context.Context, now time.Time) error {
	revoked, revision, err := c.cfg.Book.Revoked()
	if err == nil && c.current != nil && revision == c.revision && now.Before(c.due) && !now.Before(c.current.ThisUpdate) {
		c.note(nil, now)
		return nil
	}
	if since := now.Sub(c.failed); c.failure != nil && since >= 0 && since < retryList {
		return c.failure
	}
	if err == nil {
		err = c.issue(ctx, now, revoked, revision)
	}
	c.note(err, now)
	if err != nil {
		c.cfg.Log.ErrorContext(ctx, "revocation list not renewed", "ca", c.cfg.CA.cert.Subject.String(), "error", err)
	}
	return err
}

func (c *CRLs) note(err error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failure = err; err != nil {
		c.failed = now
		c.attempts++
	}
}

func (c *CRLs) issue(ctx context.Context, now time.Time, revoked []gm.RevokedEntry, revision int64) error {
	if err := c.forward(now, revoked); err != nil {
		return err
	}
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
	if c.cfg.OnIssue != nil {
		if err := c.cfg.OnIssue(ctx, l); err != nil {
			return err
		}
	}
	if c.cfg.Keep != "" {
		if err := durable.WriteFile(c.cfg.Keep, l.Raw, durable.Private); err != nil {
			return err
		}
	}
	c.mu.Lock()
	c.current, c.revision, c.due = l, revision, now.Add(c.cfg.Interval)
	c.mu.Unlock()
	c.cfg.Log.InfoContext(ctx, "revocation list issued", "ca", c.cfg.CA.cert.Subject.String(), "number", number.String(), "entries", len(revoked), "next_update", l.NextUpdate)
	return nil
}

// forward refuses to take anything back that the current list says. A book whose
// last number is lower than that of a list that was issued from it is an old
// copy of itself; also what was held may be missing in it, so nothing is issued
// from it before somebody restored what it lost.
func (c *CRLs) forward(now time.Time, revoked []gm.RevokedEntry) error {
	if c.current == nil {
		return nil
	}
	if now.Truncate(time.Second).Before(c.current.ThisUpdate) {
		return fmt.Errorf("%w: the last one is of %s, and it is %s", ErrBackwards, c.current.ThisUpdate.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	if err := c.Sound(); err != nil {
		return err
	}
	still := make(map[string]bool, len(revoked))
	for _, e := range revoked {
		still[e.Serial.String()] = e.Reason != reasonHold
	}
	for _, e := range c.current.Revoked {
		if e.Reason != reasonHold && !still[e.Serial.String()] {
			return fmt.Errorf("%w: %x was revoked and is no longer: the book is an old copy", ErrBackwards, e.Serial)
		}
	}
	return nil
}

// Sound is nil unless the book is an old copy of what the lists were issued from:
// nothing may be answered from it then.
func (c *CRLs) Sound() error {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	if current == nil {
		return nil
	}
	last, err := c.cfg.Book.LastNumber()
	if err != nil {
		return err
	}
	if last.Cmp(current.Number) < 0 {
		return fmt.Errorf("%w: list %v was issued, and the book knows of %v: it is an old copy", ErrBackwards, current.Number, last)
	}
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
		unavailable(w) // why, renew has logged
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

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Retry-After", "30")
	http.Error(w, "no list at present", http.StatusServiceUnavailable)
}

func refuseMethod(w http.ResponseWriter, allowed string) {
	w.Header().Set("Allow", allowed)
	http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
}

// IssueList issues one new list, whether or not the last one still lasts, for a
// CA that publishes by file. The rules and the files are those of NewCRLs.
func IssueList(ctx context.Context, c CRLConfig) (*gm.RevocationList, error) {
	x, err := NewCRLs(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, issueTimeout)
	defer cancel()
	x.turn.Lock()
	defer x.turn.Unlock()
	if err := x.renew(ctx, x.cfg.Now()); err != nil {
		return nil, fmt.Errorf("issue revocation list: %w", err)
	}
	return x.current, nil
}
