package gateway

import (
	"reflect"
	"sync"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/gateway/mask"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

// maxPlans bounds the compiled plans that are kept.
const maxPlans = 4096

// planCache keeps compiled mask plans beside the decisions they belong to. A
// cached decision hands out the very same map of actions each time, so the map
// itself is the key; the entry holds it, so that its address is not used again.
type planCache struct {
	mu    sync.RWMutex
	plans map[planKey]planEntry
}

type planKey struct {
	actions uintptr
	iface   *catalog.Interface
	grant   *catalog.Grant
}

type planEntry struct {
	actions map[string]policy.FieldAction
	plan    *mask.Plan
}

// plan returns the mask plan of the call's decision.
func (c *call) plan() (*mask.Plan, error) {
	k := planKey{reflect.ValueOf(c.decision.Actions).Pointer(), c.match.Interface, c.grant}
	cached := c.decision.Cached && c.decision.Actions != nil
	if cached {
		c.plans.mu.RLock()
		e, ok := c.plans.plans[k]
		c.plans.mu.RUnlock()
		if ok {
			return e.plan, nil
		}
	}
	it := c.match.Interface
	key := gm.HMACSM3(c.cfg.PseudonymKey, []byte("pseudonym\x00"), []byte(c.grant.ID))
	p, err := mask.Compile(c.decision.Actions, it.Kinds, mask.Options{
		MaxBytes: it.MaxResponseBytes, NumbersAsStrings: it.NumbersAsText, PseudonymKey: key[:],
	})
	if err != nil {
		return nil, err
	}
	if cached {
		c.plans.mu.Lock()
		defer c.plans.mu.Unlock()
		if c.plans.plans == nil || len(c.plans.plans) >= maxPlans {
			c.plans.plans = make(map[planKey]planEntry)
		}
		c.plans.plans[k] = planEntry{c.decision.Actions, p}
	}
	return p, nil
}
