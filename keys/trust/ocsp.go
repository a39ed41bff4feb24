package trust

import (
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// heldAnswer is the part of an OCSP response that is about one certificate.
type heldAnswer struct {
	*gm.OCSPResponse
	status   gm.OCSPStatus
	verdicts *verdicts // of the whole response
}

// ocspSkew is how long an answer without a next update counts: it only says
// that newer information could be had at any time.
const ocspSkew = 5 * time.Minute

func (r *Revocations) addAnswer(resp *gm.OCSPResponse) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := &verdicts{}
	for _, s := range resp.Data.Statuses {
		serial := s.ID.Serial.String()
		if slices.ContainsFunc(r.answers[serial], func(old *heldAnswer) bool { return string(old.Raw) == string(resp.Raw) }) {
			continue
		}
		if err := r.hold(len(resp.Raw)); err != nil {
			return err
		}
		list := append(slices.Clone(r.answers[serial]), &heldAnswer{OCSPResponse: resp, status: s, verdicts: v})
		slices.SortStableFunc(list, func(a, b *heldAnswer) int { return b.status.ThisUpdate.Compare(a.status.ThisUpdate) })
		same := 0
		r.answers[serial] = slices.DeleteFunc(list, func(x *heldAnswer) bool {
			if string(x.status.ID.NameHash) != string(s.ID.NameHash) || string(x.status.ID.KeyHash) != string(s.ID.KeyHash) {
				return false // another issuer's certificate of the same number
			}
			if same++; same > keptPerList {
				r.size -= len(x.Raw)
				return true
			}
			return false
		})
	}
	return nil
}

// askAnswers asks every answer about cert, newest first.
func (r *Revocations) askAnswers(answers []*heldAnswer, cert, issuer *gm.Certificate, at time.Time, consider func(Revocation)) {
	newest := true
	for _, a := range answers {
		if !a.status.ID.IssuedBy(issuer) {
			continue
		}
		by, err := a.verdicts.check(func() (*gm.Certificate, error) { return a.VerifyFor(issuer) }, issuer)
		if err == nil {
			err = r.delegateAllowed(by, issuer, a.Data.ProducedAt)
		}
		if err != nil {
			consider(Revocation{State: CannotAnswer, Detail: "an OCSP answer does not verify: " + err.Error()})
			continue
		}
		s := a.status
		next := s.NextUpdate
		if next.IsZero() {
			next = s.ThisUpdate.Add(ocspSkew)
		}
		end := r.freshUntil(s.ThisUpdate, next)
		switch {
		case s.State == gm.CertRevoked && !s.RevokedAt.After(at):
			if s.Reason != reasonHold || newest {
				consider(Revocation{State: IsRevoked, At: s.RevokedAt, Reason: s.Reason})
			}
		case s.State == gm.CertRevoked: // only later
			consider(Revocation{State: NotRevoked})
		case s.State != gm.CertGood:
			consider(Revocation{State: CannotAnswer, Detail: fmt.Sprintf("the OCSP responder does not know %s", name(cert))})
		case at.After(end):
			consider(Revocation{State: CannotAnswer, Detail: fmt.Sprintf("the OCSP answer about %s was fresh until %s only", name(cert), stamp(end))})
		case s.ThisUpdate.After(cert.NotAfter):
			consider(Revocation{State: CannotAnswer, Detail: fmt.Sprintf("the OCSP answer about %s was given after it ended", name(cert))})
		default:
			consider(Revocation{State: NotRevoked})
		}
		newest = false
	}
}

// delegateAllowed asks the lists, and only those, about a certificate that
// speaks for issuer, since its own answers prove nothing. One that is known to
// be revoked does not speak, unless issuer vouched for it while it lasts.
func (r *Revocations) delegateAllowed(by, issuer *gm.Certificate, at time.Time) error {
	if by.Equal(issuer) || by.OCSPNoCheck {
		return nil
	}
	state := Revocation{}
	r.mu.RLock()
	lists := r.lists[string(issuer.RawSubject)]
	r.mu.RUnlock()
	r.askLists(lists, by, issuer, at, func(x Revocation) {
		if x.State == IsRevoked {
			state = x
		}
	})
	if state.State == IsRevoked {
		return fmt.Errorf("%w: the responder %s was revoked %s", gm.ErrSignature, name(by), stamp(state.At))
	}
	return nil
}
