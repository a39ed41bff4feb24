package pki

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// noticeBook is how often a Publisher looks into the books by itself: a
// revocation stands in a list so soon, also when nobody asks.
const noticeBook = 5 * time.Second

// Lists are signed lists of which there is always one current: those of a CA
// (CRLs), or of what became of seals (SealLists).
type Lists interface {
	http.Handler
	// Renew issues a list when one is due; the error says that none is to be had.
	Renew(ctx context.Context) error
	State() ListState
}

// renewal returns how often a list is renewed and how long it lasts, an hour and
// a day where nothing is said. A list that ends before its successor comes is an
// error.
func renewal(interval, life time.Duration) (_, _ time.Duration, err error) {
	if interval <= 0 {
		interval = time.Hour
	}
	if life <= 0 {
		life = 24 * time.Hour
	}
	if life <= interval {
		return 0, 0, fmt.Errorf("they last %v and are renewed only every %v", life, interval)
	}
	return interval, life, nil
}

// Published is what a Publisher publishes for one CA or for the seals, and where.
type Published struct {
	Name string // of the CA, or of the list of seals; for people
	// ListPath is the path of the list, such as /ca.crl.
	ListPath string
	Lists    Lists
	// OCSPPath is the path of the responder, such as /ocsp/ca; OCSP may be nil.
	OCSPPath string
	OCSP     *OCSP
}

// Publisher serves revocation lists and OCSP answers of several CAs on one
// listener, and renews the lists also when nobody asks for them. It routes by
// the exact path and never cleans one: the base64 of an OCSP request in a GET
// may hold slashes, two in a row too.
type Publisher struct{ all []Published }

// NewPublisher returns a publisher. Paths begin with a slash, and none is another
// or lies under another.
func NewPublisher(all []Published) (*Publisher, error) {
	var seen []string
	for _, x := range all {
		if x.Lists == nil || x.OCSP == nil != (x.OCSPPath == "") {
			return nil, fmt.Errorf("publish revocation of %s: lists are needed, and a path for the responder there is", x.Name)
		}
		for _, p := range []string{x.ListPath, x.OCSPPath} {
			if p == "" && x.OCSP == nil {
				continue
			}
			if len(p) < 2 || p[0] != '/' || strings.HasSuffix(p, "/") {
				return nil, fmt.Errorf("publish revocation of %s: path %q", x.Name, p)
			}
			for _, q := range seen {
				if strings.HasPrefix(p+"/", q+"/") || strings.HasPrefix(q+"/", p+"/") {
					return nil, fmt.Errorf("publish revocation of %s: path %q meets %q", x.Name, p, q)
				}
			}
			seen = append(seen, p)
		}
	}
	return &Publisher{all: all}, nil
}

// ServeHTTP routes to a list or a responder.
func (p *Publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	for _, x := range p.all {
		switch {
		case r.URL.Path == x.ListPath:
			x.Lists.ServeHTTP(w, r)
			return
		case x.OCSP != nil && (r.URL.Path == x.OCSPPath || strings.HasPrefix(r.URL.Path, x.OCSPPath+"/")):
			http.StripPrefix(x.OCSPPath, x.OCSP).ServeHTTP(w, r)
			return
		}
	}
	http.NotFound(w, r)
}

// Run renews the lists until ctx ends. What fails is logged and tried again.
func (p *Publisher) Run(ctx context.Context) {
	for {
		p.Renew(ctx)
		select {
		case <-ctx.Done():
			return
		case <-time.After(noticeBook):
		}
	}
}

// Renew looks into every book once and issues the lists that are due. The errors
// are those of the CAs that have no list to serve now.
func (p *Publisher) Renew(ctx context.Context) error {
	var errs []error
	for _, x := range p.all {
		if ctx.Err() != nil {
			break
		}
		if err := x.Lists.Renew(ctx); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", x.Name, err))
		}
	}
	return errors.Join(errs...)
}

// Ready is nil while every CA has a list to serve.
func (p *Publisher) Ready(now time.Time) error {
	var errs []error
	for _, x := range p.all {
		if s := x.Lists.State(); s.Number == nil || !now.Before(s.Next) {
			errs = append(errs, fmt.Errorf("revocation: no list of %s is served", x.Name))
		}
	}
	return errors.Join(errs...)
}

// Degraded says which lists are served although no new one could be issued, and
// until when; "" when all is well.
func (p *Publisher) Degraded(now time.Time) string {
	var out []string
	for _, x := range p.all {
		if s := x.Lists.State(); s.Err != nil && s.Number != nil && now.Before(s.Next) {
			out = append(out, fmt.Sprintf("revocation: the list of %s is not renewed and lasts until %s", x.Name, s.Next.Format(time.RFC3339)))
		}
	}
	return strings.Join(out, "; ")
}

// States returns where the lists of every CA stand, by its name.
func (p *Publisher) States() map[string]ListState {
	out := make(map[string]ListState, len(p.all))
	for _, x := range p.all {
		out[x.Name] = x.Lists.State()
	}
	return out
}
