package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy"
)

// clockTolerance is how far an officer's clock may be ahead of ours.
const clockTolerance = 5 * time.Minute

// Times are the moments at which officers are judged.
type Times struct {
	Now time.Time
	// Known is since when we have known these signatures, from a record of our
	// own: when the bundle was activated first. Zero: only now. The time inside
	// a signature is what its maker claims; a certificate that was revoked for
	// good before we knew the signature is no longer believed about it.
	Known time.Time
}

// Verify judges the officers: a release and an approval are there, by two
// people, both signatures hold over this very manifest, and each certificate led
// to one of anchors, unrevoked, when its officer signed and when we came to know
// the signature. Where a revocation source is configured and has no answer, that
// is a refusal. Errors are ErrUnsigned, ErrSame, ErrSignature or ErrOfficer.
func (b *Bundle) Verify(anchors *trust.Anchors, t Times) error {
	if len(b.Signatures) != len(policy.Acts()) {
		return refuse(ErrUnsigned, "%d of %d signatures", len(b.Signatures), len(policy.Acts()))
	}
	if err := b.checkPair(); err != nil {
		return err
	}
	known := t.Known
	if known.IsZero() || known.After(t.Now) {
		known = t.Now
	}
	for _, s := range b.Signatures {
		if err := b.checkSignature(s); err != nil {
			return err
		}
		if s.At.After(t.Now.Add(clockTolerance)) {
			return refuse(ErrOfficer, "the %s was made at %s, which is yet to come", s.Act, stamp(s.At))
		}
		if err := believed(s, anchors, known); err != nil {
			return err
		}
	}
	return nil
}

// checkPair wants two signatures, where there are two, to be of two people: two
// keys, two subjects and two names.
func (b *Bundle) checkPair() error {
	if len(b.Signatures) < 2 {
		return nil
	}
	r, a := b.Signatures[0], b.Signatures[1]
	cr, ca := r.Certificates[0], a.Certificates[0]
	switch {
	case cr.PublicKey.Equal(ca.PublicKey), bytes.Equal(cr.RawSubject, ca.RawSubject), strings.EqualFold(r.Officer, a.Officer):
		return refuse(ErrSame, "%s", r.Officer)
	case a.At.Before(r.At):
		return refuse(ErrUnsigned, "the approval is older than the release")
	}
	return nil
}

// checkSignature checks one signature under the certificate that it carries, and
// that it is its subject who is named.
func (b *Bundle) checkSignature(s Signature) error {
	text, err := b.statement(s)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	own := s.Certificates[0]
	if own.Subject.CommonName != s.Officer {
		return refuse(ErrOfficer, "the %s names %.128q, the certificate is of %.128q", s.Act, s.Officer, own.Subject.CommonName)
	}
	if err := own.PublicKey.Verify(text, s.Sig); err != nil {
		return fmt.Errorf("%w: %s by %s: %w", ErrSignature, s.Act, s.Officer, err)
	}
	return nil
}

// believed judges the officer when he signed, and when we came to know it.
func believed(s Signature, anchors *trust.Anchors, known time.Time) error {
	own := s.Certificates[0]
	if own.IsCA {
		return refuse(ErrOfficer, "the certificate of %s is a CA's", s.Officer)
	}
	v := anchors.Check(own, s.Certificates[1:], trust.Officer, s.At)
	if err := verdict(s, v); err != nil {
		return err
	}
	if err := checkCarried(s, v.Chain); err != nil {
		return err
	}
	if !known.After(s.At) {
		return nil
	}
	later := anchors.Check(own, s.Certificates[1:], trust.Officer, known)
	if len(later.Problems) == 1 && later.Has(trust.Revoked) && later.Revocation.Harmless() {
		return nil // he left, or has another certificate: what he signed before stands
	}
	return verdict(s, later)
}

func verdict(s Signature, v trust.Verdict) error {
	switch {
	case v.Outcome != trust.Trusted:
		return refuse(ErrOfficer, "%s by %s: %s", s.Act, s.Officer, v.Problems[0].Detail)
	case v.Revocation.State == trust.CannotAnswer:
		return refuse(ErrOfficer, "%s by %s: whether the certificate is revoked is not known: %s", s.Act, s.Officer, v.Revocation.Detail)
	}
	return nil
}

// checkCarried wants the certificates that a signature carries to be one line:
// each signed by the next, and the last either part of the path that is believed
// or signed by itself. So nothing in a bundle can be changed unnoticed.
func checkCarried(s Signature, chain []*gm.Certificate) error {
	last := len(s.Certificates) - 1
	for i, c := range s.Certificates {
		above := c
		if i < last {
			above = s.Certificates[i+1]
		} else if i < len(chain) && c.Equal(chain[i]) {
			return nil
		}
		err := c.CheckSignedBy(above.PublicKey)
		if err == nil && !bytes.Equal(c.RawIssuer, above.RawSubject) {
			err = errors.New("it names another issuer")
		}
		if err != nil {
			return fmt.Errorf("%w: certificate %d of the %s belongs to no path: %w", ErrFormat, i+1, s.Act, err)
		}
	}
	return nil
}
