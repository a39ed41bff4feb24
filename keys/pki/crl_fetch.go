package pki

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

// Source is an address from which a verifier's revocation data come.
type Source struct {
	URL string
	// Issuer signs the revocation list at URL.
	Issuer *gm.Certificate
	// Maker, when it is set, makes it a status list of that maker's seals, signed
	// by Maker or by a responder of Issuer; Issuer may then be nil.
	Maker *gm.Certificate
}

// FetcherConfig configures a Fetcher. Sources and Into are needed.
type FetcherConfig struct {
	Sources []Source
	Into    *trust.Revocations
	// Dir, when it is set, keeps what was fetched for the next start.
	Dir     string
	Every   time.Duration // between rounds (15 min), somewhat varied
	Timeout time.Duration // of one source (10 s)
	Client  *http.Client  // nil: one without proxy and redirects
	Log     *slog.Logger  // nil discards
}

// Fetcher keeps the revocation data of a verifier fresh over HTTP. What it
// fetches is verified before it is taken, and nothing older than what was taken
// before. A source that does not answer changes nothing: what is held ages, and
// once it is too old the verifier's answer is "unknown", not "good".
type Fetcher struct {
	cfg FetcherConfig

	mu     sync.Mutex
	newest []time.Time // thisUpdate of what was taken, by source
}

// NewFetcher returns a Fetcher and takes what Dir holds.
func NewFetcher(c FetcherConfig) (*Fetcher, error) {
	if c.Into == nil || len(c.Sources) == 0 {
		return nil, errors.New("fetch revocation data: sources and a place to put them are needed")
	}
	for _, s := range c.Sources {
		if s.Issuer == nil && s.Maker == nil {
			return nil, fmt.Errorf("fetch revocation data: who signs %s is not said", s.URL)
		}
	}
	if c.Every <= 0 {
		c.Every = 15 * time.Minute
	}
	c.Every = max(c.Every, time.Second)
	if c.Timeout <= 0 {
		c.Timeout = 10 * time.Second
	}
	if c.Client == nil {
		c.Client = newClient(c.Timeout)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	f := &Fetcher{cfg: c, newest: make([]time.Time, len(c.Sources))}
	if c.Dir == "" {
		return f, nil
	}
	if err := durable.MkdirAll(c.Dir, durable.PrivateDir); err != nil {
		return nil, err
	}
	for i := range c.Sources {
		data, err := durable.ReadPrivate(f.path(i), gm.MaxRevocationListSize)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = f.take(i, data)
		}
		if err != nil { // a spoilt copy is worth no more than none
			c.Log.Warn("kept revocation data not used", "file", f.path(i), "error", err)
		}
	}
	return f, nil
}

func (f *Fetcher) path(i int) string {
	name := gm.SM3([]byte(f.cfg.Sources[i].URL))
	return filepath.Join(f.cfg.Dir, hex.EncodeToString(name[:16]))
}

// Refresh asks every source once. It returns the errors of those that failed.
func (f *Fetcher) Refresh(ctx context.Context) error {
	var wg sync.WaitGroup
	errs := make([]error, len(f.cfg.Sources))
	for i := range f.cfg.Sources {
		wg.Go(func() { errs[i] = f.refresh(ctx, i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *Fetcher) refresh(ctx context.Context, i int) error {
	s := f.cfg.Sources[i]
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, nil)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", s.URL, err)
	}
	data, err := exchange(ctx, f.cfg.Client, req, gm.MaxRevocationListSize)
	if err != nil {
		return fmt.Errorf("fetch %s: %w", s.URL, err)
	}
	if err := f.take(i, data); err != nil {
		return fmt.Errorf("fetch %s: %w", s.URL, err)
	}
	if f.cfg.Dir != "" {
		return durable.WriteFile(f.path(i), data, durable.Private)
	}
	return nil
}

// take verifies what a source gave and hands it on.
func (f *Fetcher) take(i int, data []byte) error {
	s := f.cfg.Sources[i]
	var this time.Time
	if s.Maker != nil {
		l, err := trust.ParseSealStatusList(data)
		if err == nil {
			err = l.Verify(s.Maker, s.Issuer)
		}
		if err != nil {
			return err
		}
		this = l.Issued
	} else {
		l, err := gm.ParseRevocationList(data, s.Issuer)
		if err != nil {
			return err
		}
		this = l.ThisUpdate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if this.Before(f.newest[i]) {
		return fmt.Errorf("%w: of %s, older than what is held", trust.ErrRevocation, this.Format(time.RFC3339))
	}
	if err := f.cfg.Into.Add(data); err != nil {
		return err
	}
	f.newest[i] = this
	return nil
}

// Run refreshes at once and then time and again until ctx ends. Failures are
// logged.
func (f *Fetcher) Run(ctx context.Context) {
	for {
		if err := f.Refresh(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Log.WarnContext(ctx, "revocation data not refreshed", "error", err)
		}
		wait := f.cfg.Every*3/4 + rand.N(f.cfg.Every/2)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}
