package trust

import (
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// heldList is a revocation list with an index.
type heldList struct {
	*gm.RevocationList
	scope    string
	bySerial map[string]int
	verdicts verdicts
}

func (r *Revocations) addList(l *gm.RevocationList) error {
	h := &heldList{RevocationList: l, scope: l.Scope.Key(), bySerial: make(map[string]int, len(l.Revoked))}
	for i, e := range l.Revoked {
		h.bySerial[e.Serial.String()] = i
	}
	issuer := string(l.RawIssuer)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, old := range r.lists[issuer] {
		if string(old.Raw) == string(l.Raw) {
			return nil
		}
	}
	if err := r.hold(len(l.Raw)); err != nil {
		return err
	}
	lists := append(slices.Clone(r.lists[issuer]), h) // a new slice: readers use the old one without the lock
	slices.SortStableFunc(lists, func(a, b *heldList) int { return b.ThisUpdate.Compare(a.ThisUpdate) })
	same := 0
	r.lists[issuer] = slices.DeleteFunc(lists, func(x *heldList) bool {
		if x.scope != h.scope {
			return false
		}
		if same++; same > keptPerList {
			r.size -= len(x.Raw)
			return true
		}
		return false
	})
	return nil
}

// askLists asks every list of issuer in whose scope cert falls, newest first.
func (r *Revocations) askLists(lists []*heldList, cert, issuer *gm.Certificate, at time.Time, consider func(Revocation)) {
	newest := true
	for _, l := range lists {
		if !l.Scope.Covers(cert) {
			continue
		}
		if _, err := l.verdicts.check(func() (*gm.Certificate, error) { return issuer, l.CheckSignedBy(issuer) }, issuer); err != nil {
			consider(Revocation{State: CannotAnswer, Detail: "a revocation list does not verify: " + err.Error()})
			continue
		}
		i, listed := l.bySerial[cert.Serial.String()]
		if listed {
			if e := l.Revoked[i]; e.Reason != reasonHold || newest {
				if since := e.Since(); !since.After(at) {
					consider(Revocation{State: IsRevoked, At: since, Reason: e.Reason})
				} else {
					consider(Revocation{State: NotRevoked}) // only later
				}
			}
		} else if detail := r.listSilent(l, cert, at); detail == "" {
			consider(Revocation{State: NotRevoked})
		} else {
			consider(Revocation{State: CannotAnswer, Detail: detail})
		}
		newest = false
	}
}

// listSilent says why it means nothing that a list does not name cert, or "".
func (r *Revocations) listSilent(l *heldList, cert *gm.Certificate, at time.Time) string {
	switch end := r.freshUntil(l.ThisUpdate, l.NextUpdate); {
	case at.After(end):
		return fmt.Sprintf("the revocation list about %s was fresh until %s only", name(cert), stamp(end))
	case l.ThisUpdate.After(cert.NotAfter) && (l.KeepsExpired.IsZero() || cert.NotAfter.Before(l.KeepsExpired)):
		return fmt.Sprintf("the revocation list of %s no longer names certificates that ended, as %s did", stamp(l.ThisUpdate), name(cert))
	}
	return ""
}
