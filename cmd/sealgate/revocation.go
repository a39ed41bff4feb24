package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
)

// ocspRequestBytes bounds the body of what is posted to a responder.
const ocspRequestBytes = gm.MaxOCSPRequest + 1<<10

// startRevocation publishes lists and answers. The lists are renewed also when
// nobody asks, until the process stops.
func (r *roles) startRevocation(ctx context.Context, c *config.Revocation) error {
	if err := durable.PrivateDirectory(c.Dir); err != nil {
		return usage(fmt.Errorf("revocation.dir: %w", err))
	}
	var all []pki.Published
	var responders []string
	for _, a := range c.Authorities {
		x, err := r.site.published(ctx, c, a)
		if err != nil {
			return err
		}
		all = append(all, x)
		if a.OCSP != "" {
			responders = append(responders, a.OCSP)
		}
	}
	if c.Seals != nil {
		x, err := r.site.publishedSeals(ctx, c)
		if err != nil {
			return err
		}
		all = append(all, x)
	}
	publisher, err := pki.NewPublisher(all)
	if err != nil {
		return usage(err)
	}
	r.publisher = publisher
	r.inBackground(publisher.Run)
	return r.serve("revocation", c.Listen, c.TLS, httpserve.Config{BodyBytes: ocspRequestBytes, Base64Under: responders,
		OnRefuse: r.site.refusals.Add, Log: r.log}, publisher)
}

// published opens one CA for publishing.
func (s *site) published(ctx context.Context, c *config.Revocation, a config.RevocationAuthority) (x pki.Published, err error) {
	ca, book, err := openAuthority(ctx, s.keys, a)
	if err != nil {
		return x, err
	}
	lists, err := pki.NewCRLs(pki.CRLConfig{CA: ca, Book: book, Life: time.Duration(a.Life), Interval: time.Duration(a.Renew),
		Keep: lastList(c.Dir, a.Key, ca.Certificate()), Log: s.log, OnIssue: func(ctx context.Context, l *gm.RevocationList) error {
			_, err := s.ledger.Append(ctx, listRecord(s.config.Node, a.Key, l))
			return err
		}})
	if err != nil {
		return x, usage(fmt.Errorf("revocation: %s: %w", a.Key, err))
	}
	x = pki.Published{Name: a.Key, ListPath: a.ListPath(), Lists: lists}
	if a.OCSP == "" {
		return x, nil
	}
	x.OCSPPath = a.OCSP
	x.OCSP, err = pki.NewOCSP(pki.OCSPConfig{CA: ca, Book: book, Lists: lists, Life: time.Duration(a.AnswerLife), Signings: a.AnswersAtOnce, Log: s.log})
	if err != nil {
		return x, usage(fmt.Errorf("revocation: %s: %w", a.Key, err))
	}
	return x, nil
}

// openAuthority opens a CA's key and its book. The certificate that the
// configuration names must be the key's.
func openAuthority(ctx context.Context, ks keyService, a config.RevocationAuthority) (*pki.Authority, *pki.Book, error) {
	name, err := keys.ParseName(a.Key)
	if err != nil {
		return nil, nil, keyError(err)
	}
	ca, err := pki.Open(ctx, ks.Key(name))
	if err != nil {
		return nil, nil, keyError(err)
	}
	if a.Certificate != "" {
		cert, err := firstCertificate(a.Certificate)
		if err != nil {
			return nil, nil, usage(err)
		}
		if !cert.Equal(ca.Certificate()) {
			return nil, nil, usage(fmt.Errorf("%s 不是密钥 %s 的证书 is not the certificate of the key", a.Certificate, a.Key))
		}
	}
	book, err := openBook(a, ca.Certificate())
	return ca, book, err
}

// checkAuthorities judges what can be judged without a key: certificates, and the
// books of the CAs whose certificate is in a file.
func checkAuthorities(c *config.Revocation) error {
	if c == nil {
		return nil
	}
	for _, a := range c.Authorities {
		if a.Certificate == "" {
			continue
		}
		ca, err := firstCertificate(a.Certificate)
		if err != nil {
			return usage(err)
		}
		if _, err := openBook(a, ca); err != nil {
			return err
		}
	}
	if c.Seals != nil {
		for _, path := range c.Seals.Makers {
			if _, err := firstCertificate(path); err != nil {
				return usage(fmt.Errorf("revocation.seals.makers: %w", err))
			}
		}
	}
	return nil
}

func openBook(a config.RevocationAuthority, ca *gm.Certificate) (*pki.Book, error) {
	book, err := pki.OpenOldBook(a.Book, ca)
	if err != nil {
		return nil, usage(fmt.Errorf("吊销簿 book of %s: %w", a.Key, err))
	}
	return book, nil
}

// lastList is where the last list of a CA is kept: of this very certificate, for
// a CA that gets another begins its lists anew.
func lastList(dir, key string, ca *gm.Certificate) string {
	fp := ca.Fingerprint()
	return filepath.Join(dir, key+"-"+hex.EncodeToString(fp[:8])+".crl")
}

// listRecord says which list was issued. It is written before anybody gets it.
func listRecord(node, key string, l *gm.RevocationList) audit.Record {
	digest := gm.SM3(l.Raw)
	return audit.Record{Type: "admin.revocation-list", Actor: audit.Actor{Kind: "service", ID: node},
		Object: audit.Object{Kind: "revocation-list", ID: key + "/" + l.Number.String()}, Outcome: audit.OK,
		Rows: audit.N(int64(len(l.Revoked))), Bytes: audit.N(int64(len(l.Raw))), BodySM3: digest[:]}
}

// inBackground runs f until the process stops.
func (r *roles) inBackground(f func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancels = append(r.cancels, cancel)
	r.background.Go(func() { f(ctx) })
}

// publishes is nil while every list that this process publishes is to be had.
func (r *roles) publishes() error {
	if r.publisher == nil {
		return nil
	}
	return r.publisher.Ready(time.Now())
}

// degraded says what is not as it should be although requests are served.
func (r *roles) degraded(ctx context.Context) error {
	var errs []error
	add := func(text string) {
		if text != "" {
			errs = append(errs, errors.New(text))
		}
	}
	if r.site.ledger.Unsigned() != nil {
		add("the heads of the ledger cannot be signed")
	}
	if r.publisher != nil {
		add(r.publisher.Degraded(time.Now()))
		if err := r.listKeys.ready(ctx); err != nil {
			add(err.Error() + ": no new list, no new answer")
		}
	}
	if f := r.site.fetcher; f != nil {
		add(f.Degraded(time.Now()))
	}
	return errors.Join(errs...)
}

// writeRevocation adds to the metrics how long what is published, and what was
// fetched, still lasts: an alarm on these dates comes before verdicts are open.
func (r *roles) writeRevocation(w io.Writer) {
	// A reader that went away shows at the next write; there is nobody to tell.
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	unix := func(t time.Time) int64 {
		if t.IsZero() {
			return 0
		}
		return t.Unix()
	}
	if r.publisher != nil {
		states := r.publisher.States()
		names := slices.Sorted(maps.Keys(states))
		for _, m := range []struct {
			name, help, kind string
			value            func(pki.ListState) int64
		}{
			{"next_update_seconds", "When the list that is served ends, in seconds since 1970; 0 while there is none.", "gauge", func(s pki.ListState) int64 { return unix(s.Next) }},
			{"this_update_seconds", "When the list that is served was issued.", "gauge", func(s pki.ListState) int64 { return unix(s.This) }},
			{"entries", "Revoked certificates on the list that is served.", "gauge", func(s pki.ListState) int64 { return int64(s.Entries) }},
			{"failures_total", "Attempts at a new list that failed.", "counter", func(s pki.ListState) int64 { return s.Failures }},
		} {
			p("# HELP sealgate_revocation_list_%s %s\n# TYPE sealgate_revocation_list_%s %s\n", m.name, m.help, m.name, m.kind)
			for _, n := range names {
				p("sealgate_revocation_list_%s{ca=%q} %d\n", m.name, n, m.value(states[n]))
			}
		}
	}
	if f := r.site.fetcher; f != nil {
		p("# HELP sealgate_revocation_source_next_update_seconds When what a source gave ends, in seconds since 1970; 0 while it gave nothing.\n# TYPE sealgate_revocation_source_next_update_seconds gauge\n")
		for _, s := range f.States() {
			p("sealgate_revocation_source_next_update_seconds{source=%q} %d\n", s.Name, unix(s.Next))
		}
	}
}
