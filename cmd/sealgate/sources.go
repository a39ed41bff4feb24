package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

// sources reads who vouches for what is fetched, and lets the judge hear it:
// from then on what no source says is unknown. Nothing is fetched yet.
func (p *parts) sources(c *config.File, log *slog.Logger) error {
	rs := c.RevocationSources
	if rs == nil {
		return nil
	}
	var all []pki.Source
	var err error
	first := func(path string) *gm.Certificate {
		if path == "" || err != nil {
			return nil
		}
		var cert *gm.Certificate
		cert, err = firstCertificate(path)
		return cert
	}
	rs.All(func(kind string, i int, x *config.RevocationSource) {
		s := pki.Source{Name: fmt.Sprintf("revocation_sources.%s.%d", kind, i), URL: x.URL, Issuer: first(x.Issuer), Maker: first(x.Maker)}
		for _, path := range x.Certificates {
			s.Certificates = append(s.Certificates, first(path))
		}
		all = append(all, s)
	})
	if err != nil {
		return usage(fmt.Errorf("吊销信息来源 revocation_sources: %w", err))
	}
	p.fetched, _ = p.judge.SealStatus.(*trust.Revocations) // what the files say, too
	if p.fetched == nil {
		p.fetched = trust.NewRevocations(freshness(c))
	}
	if p.judge.Trust != nil {
		p.judge.Trust = p.judge.Trust.WithRevocation(p.fetched)
		if len(rs.Seals) > 0 {
			p.judge.SealStatus = p.fetched
		}
	}
	p.fetch = &pki.FetcherConfig{Sources: all, Into: p.fetched, Dir: rs.Dir, Every: time.Duration(rs.Refresh), Timeout: time.Duration(rs.Timeout), Log: log}
	return nil
}

// firstCertificate reads a file of certificates, PEM or DER, for its first.
func firstCertificate(path string) (*gm.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	all, err := gm.ParseCertificates(data)
	if err == nil && all[0].FormError != nil {
		err = all[0].FormError
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all[0], nil
}

// refresh asks every source once; those that fail are logged, and what they
// would have said stays unknown.
func (s *site) refresh(ctx context.Context) {
	if s.fetcher == nil {
		return
	}
	if err := s.fetcher.Refresh(ctx); err != nil {
		s.log.WarnContext(ctx, "revocation data not fetched", "error", err.Error())
	}
}

// fetchOnce returns what the sources of a configuration say now; nil when it
// names none.
func fetchOnce(ctx context.Context, c *config.File, log *slog.Logger) (trust.RevocationSource, error) {
	if c.RevocationSources == nil {
		return nil, nil
	}
	s := &site{parts: &parts{}, config: c, log: log}
	if err := s.parts.sources(c, log); err != nil {
		return nil, err
	}
	if err := s.openFetcher(); err != nil {
		return nil, err
	}
	s.refresh(ctx)
	return s.fetchedSource(), nil
}

// openFetcher takes what was kept; nothing is fetched yet.
func (s *site) openFetcher() (err error) {
	if s.fetch == nil {
		return nil
	}
	if s.fetcher, err = pki.NewFetcher(*s.fetch); err != nil {
		return usage(fmt.Errorf("revocation_sources: %w", err))
	}
	return nil
}

// fetchedSource is what was fetched; nil when no source is configured.
func (s *site) fetchedSource() trust.RevocationSource {
	if s.fetched == nil {
		return nil
	}
	return s.fetched
}
