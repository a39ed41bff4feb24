package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// maxSkew is how far Vault's clock may be from ours while we call ourselves
// ready. The engine refuses structures more than its clock window away; half of
// the default window is left for other delays.
const maxSkew = 150 * time.Second

// Ready reports whether signatures can be had now: a node is initialised,
// unsealed and within reach, its clock agrees with ours, and it accepts us.
//
//	sealed or not initialised      keys.ErrSealed
//	no node answers                keys.ErrUnavailable
//	clocks differ                  keys.ErrClock
//	our login is refused           keys.ErrForbidden
//
// A standby counts as ready: it forwards what it is asked.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.SignTimeout)
	defer cancel()
	var err error
	for range c.nodes.list {
		if err = c.health(ctx, c.nodes.current()); err == nil {
			break
		}
		c.nodes.next(c.nodes.current())
	}
	if err != nil {
		return err
	}
	_, _, err = c.tokens.get(ctx)
	return err
}

// health asks one node. The body counts, not the status, which tells a standby
// from a sealed node only by convention.
func (c *Client) health(ctx context.Context, node string) error {
	r, _, err := c.exchange(ctx, node, http.MethodGet, "sys/health?standbyok=true&perfstandbyok=true", "", nil)
	if err != nil {
		return fmt.Errorf("%w: %s: %w", keys.ErrUnavailable, node, err)
	}
	var h struct {
		Initialized *bool `json:"initialized"`
		Sealed      *bool `json:"sealed"`
		ServerTime  int64 `json:"server_time_utc"`
	}
	if json.Unmarshal(r.body, &h) != nil || h.Initialized == nil || h.Sealed == nil {
		return fmt.Errorf("%w: %s answered %d and no health", keys.ErrUnavailable, node, r.status)
	}
	switch {
	case !*h.Initialized:
		return retryable(fmt.Errorf("%w: %s is not initialised", keys.ErrSealed, node), sealedAgain)
	case *h.Sealed:
		return retryable(fmt.Errorf("%w: %s is sealed", keys.ErrSealed, node), sealedAgain)
	case r.status == 472:
		return fmt.Errorf("%w: %s is a disaster-recovery secondary", keys.ErrUnavailable, node)
	}
	if skew := time.Since(time.Unix(h.ServerTime, 0)); skew > maxSkew || skew < -maxSkew {
		return fmt.Errorf("%w: the clock of %s is %v away from ours", keys.ErrClock, node, skew.Round(time.Second).Abs())
	}
	return nil
}
