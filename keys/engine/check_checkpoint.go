package engine

import (
	"fmt"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/keys"
)

// checkCheckpoint checks a ledger checkpoint: its one canonical JSON form, and
// a time that is now. That a ledger only grows is for its witnesses to check;
// the key has not seen the records.
func (e *Engine) checkCheckpoint(item []byte, now time.Time) error {
	c, err := audit.ParseCheckpoint(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	return e.inWindow("time", c.Time, now)
}
