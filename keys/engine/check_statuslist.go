package engine

import (
	"fmt"
	"time"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/trust"
)

// maxListLife is how long a status list may last before it must be renewed.
const maxListLife = 31 * 24 * time.Hour

// checkStatusList checks a status list of seals: its one canonical JSON form,
// issued now, for a limited time, nothing that begins in the future. Whether
// the list is right is for the owner of the seals to know.
func (e *Engine) checkStatusList(item []byte, now time.Time) error {
	s, err := trust.ParseSealStatus(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if s.Next.Sub(s.Issued) > maxListLife {
		return fmt.Errorf("%w: a list from %s to %s", keys.ErrClock, s.Issued.Format(time.RFC3339), s.Next.Format(time.RFC3339))
	}
	for _, x := range s.Revoked {
		if x.Since.After(now.Add(e.config.ClockWindow)) || x.Until.After(now.Add(e.config.ClockWindow)) {
			return fmt.Errorf("%w: seal %s: a change in the future", keys.ErrItem, x.ID)
		}
	}
	return e.inWindow("issued", s.Issued, now)
}
