package engine

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// maxOCSPLife is how long an OCSP answer may last: an answer "good" that was
// obtained with stolen rights is worth no longer than this.
const maxOCSPLife = 7 * 24 * time.Hour

// checkOCSP checks a ResponseData (RFC 6960 section 4.2.1): canonical, named
// after this CA, produced now, every answer about a certificate of this CA,
// with a next update, nothing revoked in the future. The CA's own key answers;
// a delegated responder's certificate is signed like any other, but its key
// has no purpose in this engine.
func (e *Engine) checkOCSP(v *version, item []byte, now time.Time) error {
	bad := func(what string) error { return fmt.Errorf("%w: ResponseData: %s", keys.ErrItem, what) }
	own := v.Certificate
	if own == nil {
		return fmt.Errorf("%w: version %d has no certificate yet", keys.ErrVersion, v.Number)
	}
	d, err := gm.ParseResponseData(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if again, err := d.Marshal(); err != nil || !bytes.Equal(again, item) {
		return bad("not in canonical form")
	}
	if !bytes.Equal(d.ResponderName, own.RawSubject) {
		return fmt.Errorf("%w: the responder named is not this CA", keys.ErrCertificate)
	}
	for _, s := range d.Statuses {
		switch {
		case !s.ID.IssuedBy(own):
			return fmt.Errorf("%w: an answer about another CA's certificate", keys.ErrCertificate)
		case s.NextUpdate.IsZero() || !s.ThisUpdate.Before(s.NextUpdate) || s.ThisUpdate.After(d.ProducedAt):
			return bad("thisUpdate or nextUpdate")
		case s.NextUpdate.Sub(s.ThisUpdate) > maxOCSPLife || s.NextUpdate.After(own.NotAfter):
			return fmt.Errorf("%w: an answer from %s to %s", keys.ErrClock, s.ThisUpdate.Format(time.RFC3339), s.NextUpdate.Format(time.RFC3339))
		case s.State == gm.CertRevoked && s.RevokedAt.After(now.Add(e.config.ClockWindow)):
			return bad("revoked in the future")
		}
		if err := e.inWindow("thisUpdate", s.ThisUpdate, now); err != nil {
			return err
		}
	}
	return e.inWindow("producedAt", d.ProducedAt, now)
}
