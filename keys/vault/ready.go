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
// unsealed and within reach, it is active or knows who is, its clock agrees
// with ours, and Vault accepts us.
//
//	sealed or not initialised      keys.ErrSealed
//	no node answers, or is active  keys.ErrUnavailable
//	clocks differ                  keys.ErrClock
//	our login is refused           keys.ErrForbidden
//
// The active node is preferred for what comes next. A standby counts as ready
// where the active node's address is not configured: it forwards.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.SignTimeout)
	defer cancel()
	err := c.locate(ctx)
	c.alarms.observe(ctx, err)
	if err != nil {
		return err
	}
	_, _, err = c.tokens.get(ctx)
	return err
}

// locate turns to the active node, or to a standby that forwards. Each node has
// its share of the time, so that one that hangs does not hide the others.
func (c *Client) locate(ctx context.Context) error {
	share := c.config.SignTimeout / time.Duration(len(c.nodes.list)+1)
	ask := func(node string) (standby bool, err error) {
		ctx, cancel := context.WithTimeout(ctx, share)
		defer cancel()
		return c.health(ctx, node)
	}
	var last error
	for range c.nodes.list {
		node := c.nodes.current()
		standby, err := ask(node)
		if err == nil && !standby {
			return nil
		}
		if err == nil {
			var active string
			if active, err = c.active(ctx, node); err == nil {
				if !c.nodes.follow(active) {
					return nil
				}
				node = c.nodes.current()
				if _, err = ask(node); err == nil {
					return nil
				}
			}
		}
		last = err
		c.nodes.next(node)
	}
	return last
}

// health asks one node. The body counts, not the status, which tells a standby
// from a sealed node only by convention.
func (c *Client) health(ctx context.Context, node string) (standby bool, err error) {
	r, _, err := c.exchange(ctx, node, http.MethodGet, "sys/health?standbyok=true&perfstandbyok=true", "", nil)
	if err != nil {
		return false, fmt.Errorf("%w: %s: %w", keys.ErrUnavailable, node, err)
	}
	var h struct {
		Initialized *bool `json:"initialized"`
		Sealed      *bool `json:"sealed"`
		Standby     bool  `json:"standby"`
		Removed     bool  `json:"removed_from_cluster"`
		ServerTime  int64 `json:"server_time_utc"`
	}
	if json.Unmarshal(r.body, &h) != nil || h.Initialized == nil || h.Sealed == nil {
		return false, fmt.Errorf("%w: %s answered %d and no health", keys.ErrUnavailable, node, r.status)
	}
	switch {
	case !*h.Initialized:
		return false, retryable(fmt.Errorf("%w: %s is not initialised", keys.ErrSealed, node), sealedAgain)
	case h.Removed:
		return false, fmt.Errorf("%w: %s was removed from its cluster", keys.ErrUnavailable, node)
	case *h.Sealed:
		return false, retryable(fmt.Errorf("%w: %s is sealed", keys.ErrSealed, node), sealedAgain)
	case r.status == 472:
		return false, fmt.Errorf("%w: %s is a disaster-recovery secondary", keys.ErrUnavailable, node)
	}
	if skew := time.Since(time.Unix(h.ServerTime, 0)); skew > maxSkew || skew < -maxSkew {
		return false, fmt.Errorf("%w: the clock of %s is %v away from ours", keys.ErrClock, node, skew.Round(time.Second).Abs())
	}
	return h.Standby, nil
}

// active asks a standby for the address of the active node.
func (c *Client) active(ctx context.Context, standby string) (string, error) {
	r, _, err := c.exchange(ctx, standby, http.MethodGet, "sys/leader", "", nil)
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", keys.ErrUnavailable, standby, err)
	}
	var leader struct {
		Address string `json:"leader_address"`
	}
	if json.Unmarshal(r.body, &leader) != nil || leader.Address == "" {
		return "", fmt.Errorf("%w: %s stands by and knows no active node", keys.ErrUnavailable, standby)
	}
	return leader.Address, nil
}
