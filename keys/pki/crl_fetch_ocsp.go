package pki

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// ask asks a responder about every certificate of its source, and no further when
// it does not answer as HTTP wants it.
func (f *Fetcher) ask(ctx context.Context, i int) error {
	s := f.cfg.Sources[i]
	var errs []error
	var this, next time.Time // of the oldest answer
	for _, c := range s.Certificates {
		status, err := f.askAbout(ctx, s, c)
		if err != nil {
			errs = append(errs, fmt.Errorf("ask %s about %x: %w", s.URL, c.Serial, err))
			if errors.Is(err, ErrFetch) {
				break
			}
			continue
		}
		if this.IsZero() || status.ThisUpdate.Before(this) {
			this, next = status.ThisUpdate, status.NextUpdate
		}
	}
	if len(errs) == 0 {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.state[i].This, f.state[i].Next = this, next
	}
	return errors.Join(errs...)
}

// askAbout takes one answer: genuine, about this certificate, and to this very
// question unless the responder answers everybody alike (RFC 5019).
func (f *Fetcher) askAbout(ctx context.Context, s Source, c *gm.Certificate) (gm.OCSPStatus, error) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	none := gm.OCSPStatus{}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return none, fmt.Errorf("draw nonce: %w", err)
	}
	der, err := (&gm.OCSPRequest{Certs: []gm.CertID{gm.NewCertID(s.Issuer, c.Serial)}, Nonce: nonce}).Marshal()
	if err != nil {
		return none, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(der))
	if err != nil {
		return none, err
	}
	req.Header.Set("Content-Type", "application/ocsp-request")
	req.Header.Set("Accept", ocspMediaType)
	data, err := exchange(ctx, f.cfg.Client, req, gm.MaxOCSPResponse, ocspMediaType)
	if err != nil {
		return none, err
	}
	answer, err := gm.ParseOCSPResponse(data)
	if err == nil {
		_, err = answer.VerifyFor(s.Issuer)
	}
	if err != nil {
		return none, err
	}
	if answer.Data.Nonce != nil && !bytes.Equal(answer.Data.Nonce, nonce) {
		return none, fmt.Errorf("%w: to another question", gm.ErrOCSP)
	}
	for _, status := range answer.Data.Statuses {
		if status.ID.IssuedBy(s.Issuer) && status.ID.Serial.Cmp(c.Serial) == 0 {
			return status, f.cfg.Into.Add(data)
		}
	}
	return none, fmt.Errorf("%w: about another certificate", gm.ErrOCSP)
}
