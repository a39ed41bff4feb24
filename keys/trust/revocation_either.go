package trust

import (
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Either returns a source that asks all of the sources that are not nil: a
// certificate is revoked when one of them says so, and otherwise not revoked when
// one of them says that. nil when there is none to ask.
func Either(sources ...RevocationSource) RevocationSource {
	var all either
	for _, s := range sources {
		if s != nil {
			all = append(all, s)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	return all
}

type either []RevocationSource

func (e either) Status(cert, issuer *gm.Certificate, at time.Time) Revocation {
	best := Revocation{State: CannotAnswer}
	for _, s := range e {
		switch r := s.Status(cert, issuer, at); {
		case r.State == IsRevoked:
			return r
		case r.State == NotRevoked, best.State == CannotAnswer && best.Detail == "":
			best = r
		}
	}
	return best
}
