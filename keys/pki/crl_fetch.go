package pki

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

// Source is an address from which a verifier's revocation data come.
type Source struct {
	Name string // for people; URL when it is empty
	URL  string
	// Issuer signs the revocation list at URL, or the OCSP answers.
	Issuer *gm.Certificate
	// Certificates, when there are any, makes URL an OCSP responder that is asked
	// about each of them. They were issued by Issuer.
	Certificates []*gm.Certificate
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
// once it is too old the verifier's answer is "unknown", not "good". It goes to
// the addresses of its sources and nowhere else: what a certificate or a list
// names is never followed. It is safe for concurrent use.
type Fetcher struct {
	cfg FetcherConfig

	mu    sync.Mutex
	state []SourceState // by source
}

// SourceState is where a source stands.
type SourceState struct {
	Name       string
	This, Next time.Time // of what was taken last; zero: nothing was
	Err        error     // of the last attempt
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
		if u, err := url.Parse(s.URL); err != nil || u.Host == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			return nil, fmt.Errorf("fetch revocation data: %q is no address", s.URL)
		}
		for _, c := range s.Certificates {
			if s.Issuer == nil || s.Maker != nil || !bytes.Equal(c.RawIssuer, s.Issuer.RawSubject) || c.CheckSignedBy(s.Issuer.PublicKey) != nil {
				return nil, fmt.Errorf("fetch revocation data: %s: %q was not issued by the issuer named", s.URL, c.Subject)
			}
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
	f := &Fetcher{cfg: c, state: make([]SourceState, len(c.Sources))}
	for i, s := range c.Sources {
		f.state[i].Name = s.Name
		if s.Name == "" {
			f.state[i].Name = s.URL
		}
	}
	if c.Dir == "" {
		return f, nil
	}
	if err := durable.MkdirAll(c.Dir, durable.PrivateDir); err != nil {
		return nil, err
	}
	for i, s := range c.Sources {
		if len(s.Certificates) > 0 {
			continue // answers last too short to be kept
		}
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
		wg.Go(func() {
			errs[i] = f.refresh(ctx, i)
			f.mu.Lock()
			defer f.mu.Unlock()
			f.state[i].Err = errs[i]
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (f *Fetcher) refresh(ctx context.Context, i int) error {
	s := f.cfg.Sources[i]
	if len(s.Certificates) > 0 {
		return f.ask(ctx, i)
	}
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
	var this, next time.Time
	if s.Maker != nil {
		l, err := trust.ParseSealStatusList(data)
		if err == nil {
			err = l.Verify(s.Maker, s.Issuer)
		}
		if err != nil {
			return err
		}
		this, next = l.Issued, l.Next
	} else {
		l, err := gm.ParseRevocationList(data, s.Issuer)
		if err != nil {
			return err
		}
		this, next = l.ThisUpdate, l.NextUpdate
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if this.Before(f.state[i].This) {
		return fmt.Errorf("%w: of %s, older than what is held", trust.ErrRevocation, this.Format(time.RFC3339))
	}
	if err := f.cfg.Into.Add(data); err != nil {
		return err
	}
	f.state[i].This, f.state[i].Next = this, next
	return nil
}

// States returns where every source stands.
func (f *Fetcher) States() []SourceState {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.state)
}

// Degraded names the sources whose data are missing or over: certificates that
// they would speak of are judged "unknown". "" when there is none.
func (f *Fetcher) Degraded(now time.Time) string {
	var out []string
	for _, s := range f.States() {
		switch {
		case s.This.IsZero():
			out = append(out, "revocation: nothing was had from "+s.Name)
		case !s.Next.IsZero() && now.After(s.Next):
			out = append(out, fmt.Sprintf("revocation: what was had from %s ended %s", s.Name, s.Next.Format(time.RFC3339)))
		}
	}
	return strings.Join(out, "; ")
}

// Run refreshes time and again until ctx ends, the first time after a while: who
// needs the data at once calls Refresh before. Failures are logged.
func (f *Fetcher) Run(ctx context.Context) {
	for {
		wait := f.cfg.Every*3/4 + rand.N(f.cfg.Every/2)
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := f.Refresh(ctx); err != nil && ctx.Err() == nil {
			f.cfg.Log.WarnContext(ctx, "revocation data not refreshed", "error", err)
		}
	}
}
