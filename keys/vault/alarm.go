package vault

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// Alarm names something that a person must look at. It is a log line of level
// Error with this name as its attribute "alarm", and a line of Alarms; the
// runbook of each stands in docs/handbook/keys-vault.md.
type Alarm string

// Those that last are raised once when they begin and announced again, at level
// Info with the attribute "alarm_over", when they are over.
const (
	AlarmSealed Alarm = "vault-sealed" // no node is unsealed, or Vault is not initialised
	AlarmSilent Alarm = "vault-silent" // no node answers, or none of them serves
	AlarmLogin  Alarm = "vault-login"  // we cannot log in: role, policy or secret id
	AlarmClocks Alarm = "vault-clock"  // Vault's clock and ours differ by more than maxSkew
)

// Those that happen are raised each time.
const (
	AlarmJump  Alarm = "clock-jump" // this host's clock was set: signing times and timestamps follow it
	AlarmFault Alarm = "key-fault"  // a signature did not verify and was withheld
)

// AlarmState is one alarm's part of Alarms.
type AlarmState struct {
	Alarm Alarm
	On    bool  // it lasts now
	Count int64 // how often it was raised
}

// Alarms tells of every alarm there is, for metrics.
func (c *Client) Alarms() []AlarmState {
	a := &c.alarms
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []AlarmState
	for _, name := range []Alarm{AlarmSealed, AlarmSilent, AlarmLogin, AlarmClocks, AlarmJump, AlarmFault} {
		out = append(out, AlarmState{name, a.on[name], a.count[name]})
	}
	return out
}

// alarms remembers which alarms are on, so that a request does not raise again
// what an earlier one did.
type alarms struct {
	log   *slog.Logger
	mu    sync.Mutex
	on    map[Alarm]bool
	count map[Alarm]int64
}

func newAlarms(log *slog.Logger) alarms {
	return alarms{log: log, on: map[Alarm]bool{}, count: map[Alarm]int64{}}
}

// raise begins an alarm that lasts.
func (a *alarms) raise(ctx context.Context, name Alarm, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.on[name] {
		return
	}
	a.on[name] = true
	a.count[name]++
	a.log.ErrorContext(ctx, "vault: alarm", "alarm", name, "error", err)
}

// over ends alarms that last.
func (a *alarms) over(ctx context.Context, names ...Alarm) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, name := range names {
		if a.on[name] {
			a.on[name] = false
			a.log.InfoContext(ctx, "vault: the alarm is over", "alarm_over", name)
		}
	}
}

// happen raises an alarm that does not last.
func (a *alarms) happen(ctx context.Context, name Alarm, attrs ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count[name]++
	a.log.ErrorContext(ctx, "vault: alarm", append([]any{"alarm", name}, attrs...)...)
}

// observe notes what an exchange or a look at the nodes said of Vault. A single
// silence is no alarm: that is for the breaker and for watch to say.
func (a *alarms) observe(ctx context.Context, err error) {
	switch {
	case errors.Is(err, keys.ErrSealed):
		a.raise(ctx, AlarmSealed, err)
		a.over(ctx, AlarmSilent)
	case errors.Is(err, keys.ErrClock):
		a.raise(ctx, AlarmClocks, err)
		a.over(ctx, AlarmSealed, AlarmSilent)
	case err == nil:
		a.over(ctx, AlarmSealed, AlarmSilent, AlarmClocks)
	}
}

// faults raises AlarmFault for what was withheld of one request.
func (a *alarms) faults(ctx context.Context, key keys.Name, out []keys.Result, err error) {
	n, last := 0, err
	if errors.Is(err, keys.ErrFault) {
		n = 1
	}
	for _, r := range out {
		if errors.Is(r.Err, keys.ErrFault) {
			n, last = n+1, r.Err
		}
	}
	if n > 0 {
		a.happen(ctx, AlarmFault, "key", string(key), "signatures", n, "error", last)
	}
}

const (
	// watchEvery is how often the nodes and this host's clock are looked at,
	// whether or not anybody wants a signature.
	watchEvery = 15 * time.Second
	// jumpLimit is what the clock may differ from the monotonic one within
	// watchEvery: daemons that keep time correct by milliseconds. It is the
	// step at which a timestamp authority stops, too.
	jumpLimit = time.Second
)

// reading is one look at both clocks of this host. The monotonic one is never
// set; lifetimes of tokens are measured with it.
type reading struct {
	wall time.Time
	mono time.Duration // since any moment
}

// readClock returns a function that reads the host's clocks.
func readClock() func() reading {
	start := time.Now()
	return func() reading {
		now := time.Now()
		return reading{now.Round(0), now.Sub(start)}
	}
}

// jump is how far the clock was set between two readings: forward is positive.
// A host that slept has jumped as well.
func (r reading) jump(next reading) time.Duration {
	return next.wall.Sub(r.wall) - (next.mono - r.mono)
}

// watch raises what nobody's request would show, until the client is closed.
func (c *Client) watch() {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	last, silent := c.config.clock(), 0
	for {
		select {
		case <-c.life.Done():
			return
		case <-tick.C:
		}
		now := c.config.clock()
		if d := last.jump(now); d.Abs() >= jumpLimit {
			c.alarms.happen(c.life, AlarmJump, "by", d.Round(time.Millisecond))
		}
		last = now
		err := c.look()
		if c.life.Err() != nil {
			return
		}
		c.alarms.observe(c.life, err)
		if silent++; !errors.Is(err, keys.ErrUnavailable) {
			silent = 0
		} else if silent > 1 {
			c.alarms.raise(c.life, AlarmSilent, err)
		}
	}
}

// look asks all nodes until one is well, without turning to another one. Of
// nodes that are not, one that is sealed or whose clock differs says more than
// one that is silent.
func (c *Client) look() error {
	var worst error
	for _, node := range c.nodes.list {
		ctx, cancel := context.WithTimeout(c.life, c.config.SignTimeout)
		_, err := c.health(ctx, node)
		cancel()
		if err == nil {
			return nil
		}
		if worst == nil || errors.Is(worst, keys.ErrUnavailable) {
			worst = err
		}
	}
	return worst
}
