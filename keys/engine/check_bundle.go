package engine

import (
	"fmt"
	"time"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/policy"
)

// checkBundle checks an officer's statement about a policy bundle: its one
// canonical JSON form, which names the act, made now, by the officer whose
// common name stands in this version's certificate. The common name and not
// the whole subject, because it is what people read on a screen; that two
// officers differ in more than a name is checked where both statements meet
// (policy/bundle). What the rules in the bundle say is for the officer to know.
func (e *Engine) checkBundle(v *version, item []byte, now time.Time) error {
	s, err := policy.ParseStatement(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if v.Certificate == nil {
		return fmt.Errorf("%w: version %d has no certificate", keys.ErrCertificate, v.Number)
	}
	if own := v.Certificate.Subject.CommonName; s.Officer != own {
		return fmt.Errorf("%w: the officer named is %.128q, the certificate is of %.128q", keys.ErrCertificate, s.Officer, own)
	}
	return e.inWindow("at", s.At, now)
}
