package pki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/trust"
)

// SealListsConfig configures the status list of seals. Signer, Name, Makers and
// Entries are needed.
type SealListsConfig struct {
	// Signer is a key of purpose licence with a certificate of profile Responder,
	// issued by the CA of the makers.
	Signer *keys.Pinned
	Name   string
	Makers []*gm.Certificate
	// Entries returns everything that happened to the seals, in a stable order.
	Entries func(ctx context.Context) ([]trust.SealEntry, error)
	// The rest is as for CRLConfig.
	Interval, Life time.Duration
	Keep           string
	OnIssue        func(ctx context.Context, list trust.SealStatus, raw []byte) error
	Now            func() time.Time
	Log            *slog.Logger
}

// SealLists issues the status list of some makers' seals and serves the current
// one over HTTP, as CRLs does for certificates and by the same rules: the old one
// is served while it lasts when no new one can be had, and none goes backwards.
// The number of a list is the second in which it was issued. It is safe for
// concurrent use.
type SealLists struct {
	cfg    SealListsConfig
	makers [][gm.DigestSize]byte

	turn sync.Mutex // of who issues; the rest changes only under it and mu

	mu       sync.Mutex
	raw      []byte // nil: there is none
	current  trust.SealStatus
	due      time.Time
	failure  error
	failed   time.Time
	attempts int64
}

// NewSealLists returns the lists. None is issued yet; the one that Keep holds is
// served until then.
func NewSealLists(c SealListsConfig) (*SealLists, error) {
	if c.Signer == nil || c.Entries == nil || len(c.Makers) == 0 {
		return nil, errors.New("seal status lists: signer, makers and entries are needed")
	}
	var err error
	if c.Interval, c.Life, err = renewal(c.Interval, c.Life); err != nil {
		return nil, fmt.Errorf("seal status lists: %w", err)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &SealLists{cfg: c}
	own := c.Signer.Certificate()
	for _, m := range c.Makers {
		if own == nil || !own.OCSPSigning || !bytes.Equal(own.RawIssuer, m.RawIssuer) {
			return nil, fmt.Errorf("seal status lists: %w: the signer may not speak of the seals of %q", keys.ErrCertificate, m.Subject)
		}
		s.makers = append(s.makers, m.Fingerprint())
	}
	if c.Keep == "" {
		return s, nil
	}
	switch data, err := durable.ReadPrivate(c.Keep, trust.MaxSealStatusList); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("last seal status list: %w", err)
	default:
		l, err := trust.ParseSealStatusList(data)
		if err == nil {
			err = s.genuine(l)
		}
		if err == nil && l.Name != c.Name {
			err = errors.New("it has another name")
		}
		if err != nil {
			return nil, fmt.Errorf("last seal status list: %s: %w", c.Keep, err)
		}
		s.raw, s.current = data, l.SealStatus
	}
	return s, nil
}

// genuine says whether the makers' CA let the signer of a list speak of the seals
// of one of the makers; it need not be today's signer.
func (s *SealLists) genuine(l *trust.SealStatusList) error {
	var issuer *gm.Certificate
	if chain := s.cfg.Signer.Version().Chain; len(chain) > 0 {
		issuer = chain[0]
	}
	var errs []error
	for _, m := range s.cfg.Makers {
		if slices.Contains(l.Makers, m.Fingerprint()) {
			err := l.Verify(m, issuer)
			if err == nil {
				return nil
			}
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, errors.New("of none of the makers named"))...)
}

// State says where the lists stand, without trying for a new one.
func (s *SealLists) State() ListState {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := ListState{Err: s.failure, Failures: s.attempts}
	if s.raw != nil {
		out.Number, out.This, out.Next, out.Entries = new(big.Int).SetUint64(s.current.Number), s.current.Issued, s.current.Next, len(s.current.Revoked)
	}
	return out
}

// Renew issues a list when one is due. The error says that there is none to serve.
func (s *SealLists) Renew(ctx context.Context) error {
	_, _, err := s.Current(ctx)
	return err
}

// Current returns the list that is to be served now, and its content.
func (s *SealLists) Current(ctx context.Context) ([]byte, trust.SealStatus, error) {
	now := s.cfg.Now()
	if !s.turn.TryLock() {
		if raw, l := s.lasting(now); raw != nil {
			return raw, l, nil
		}
		s.turn.Lock()
	}
	defer s.turn.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), issueTimeout)
	defer cancel()
	err := s.renew(ctx, now)
	if raw, l := s.lasting(now); raw != nil {
		return raw, l, nil
	}
	return nil, trust.SealStatus{}, fmt.Errorf("issue seal status list: %w", err)
}

func (s *SealLists) lasting(now time.Time) ([]byte, trust.SealStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw == nil || !now.Before(s.current.Next) {
		return nil, trust.SealStatus{}
	}
	return s.raw, s.current
}

func (s *SealLists) renew(ctx context.Context, now time.Time) error {
	entries, err := s.cfg.Entries(ctx)
	if err == nil && s.raw != nil && now.Before(s.due) && !now.Before(s.current.Issued) && slices.EqualFunc(entries, s.current.Revoked, sameEntry) {
		s.note(nil, now)
		return nil
	}
	if since := now.Sub(s.failed); s.failure != nil && since >= 0 && since < retryList {
		return s.failure
	}
	if err == nil {
		err = s.issue(ctx, now.UTC().Truncate(time.Second), entries)
	}
	if errors.Is(err, errSameSecond) {
		return nil // the next look issues it
	}
	s.note(err, now)
	if err != nil {
		s.cfg.Log.ErrorContext(ctx, "seal status list not renewed", "name", s.cfg.Name, "error", err)
	}
	return err
}

func (s *SealLists) note(err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure = err; err != nil {
		s.failed = now
		s.attempts++
	}
}

var errSameSecond = errors.New("a list was issued in this second")

func (s *SealLists) issue(ctx context.Context, now time.Time, entries []trust.SealEntry) error {
	if s.raw != nil {
		if now.Equal(s.current.Issued) {
			return errSameSecond
		}
		if err := s.forward(now, entries); err != nil {
			return err
		}
	}
	l := trust.SealStatus{Name: s.cfg.Name, Number: uint64(now.Unix()), Issued: now, Next: now.Add(s.cfg.Life), Makers: s.makers, Revoked: entries}
	if end := s.cfg.Signer.Certificate().NotAfter; l.Next.After(end) {
		l.Next = end
	}
	raw, err := SignSealStatus(ctx, l, s.cfg.Signer)
	if err != nil {
		return err
	}
	if s.cfg.OnIssue != nil {
		if err := s.cfg.OnIssue(ctx, l, raw); err != nil {
			return err
		}
	}
	if s.cfg.Keep != "" {
		if err := durable.WriteFile(s.cfg.Keep, raw, durable.Private); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.raw, s.current, s.due = raw, l, now.Add(s.cfg.Interval)
	s.mu.Unlock()
	s.cfg.Log.InfoContext(ctx, "seal status list issued", "name", l.Name, "number", l.Number, "entries", len(entries), "next", l.Next)
	return nil
}

// forward refuses a list in which something is missing that the current one says:
// an entry is never taken away, only ended.
func (s *SealLists) forward(now time.Time, entries []trust.SealEntry) error {
	if now.Before(s.current.Issued) || uint64(now.Unix()) <= s.current.Number {
		return fmt.Errorf("%w: the last one is of %s, and it is %s", ErrBackwards, s.current.Issued.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	still := make(map[string]trust.SealEntry, len(entries))
	key := func(e trust.SealEntry) string {
		return e.ID + "|" + e.Reason + "|" + e.Since.UTC().Format(time.RFC3339)
	}
	for _, e := range entries {
		still[key(e)] = e
	}
	for _, e := range s.current.Revoked {
		if x, found := still[key(e)]; !found || !e.Until.IsZero() && !x.Until.Equal(e.Until) {
			return fmt.Errorf("%w: what the last list says of seal %s is missing", ErrBackwards, e.ID)
		}
	}
	return nil
}

func sameEntry(a, b trust.SealEntry) bool {
	return a.ID == b.ID && a.Reason == b.Reason && a.Since.Equal(b.Since) && a.Until.Equal(b.Until)
}

// ServeHTTP serves the current list.
func (s *SealLists) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuseMethod(w, "GET, HEAD")
		return
	}
	raw, l, err := s.Current(r.Context())
	if err != nil {
		unavailable(w) // why, renew has logged
		return
	}
	now := s.cfg.Now()
	publish(w, r, "application/json", raw, l.Issued, l.Next, now.Add(s.cfg.Interval/4), now)
}
