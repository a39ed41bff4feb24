package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// maxInFlight is how many requests of one lane are under way at once: one that
// Vault works on, and one whose answer travels or is being checked.
const maxInFlight = 2

// gatherer makes batches of the signatures of one lane. A caller who is alone
// is served at once. While requests are under way others wait, for each other
// and for an answer, but never longer than the window once there is room for a
// request:
//
//	nothing under way         send what waits, at once or when as many wait as
//	                          the last batch held, or at the end of the window
//	fewer than maxInFlight    send a full batch, or at the end of the window
//	maxInFlight               wait
//
// The middle clause of the first line matters when many callers come back
// together: without it the first of them would travel alone and the others
// would wait for him.
type gatherer struct {
	key  *Key
	lane lane

	mu       sync.Mutex
	waiting  []*pending
	inFlight int
	last     int // size of the last batch
	timer    *time.Timer
	due      bool // the window of the eldest waiting has ended
}

// pending is one signature on its way.
type pending struct {
	request keys.Request
	ctx     context.Context
	done    chan keys.Result // takes one result without blocking
	sent    bool             // under gatherer.mu: it is in a batch
}

func (k *Key) gatherer(l lane) *gatherer {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.gatherers[l]
	if g == nil {
		g = &gatherer{key: k, lane: l}
		k.gatherers[l] = g
	}
	return g
}

// sign waits for the signature of one request.
func (g *gatherer) sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	if g.key.client.config.GatherWindow < 0 {
		out, err := g.key.send(ctx, g.lane, []keys.Request{r})
		if err != nil {
			return keys.Signature{}, err
		}
		return out[0].Signature, out[0].Err
	}
	p := &pending{request: r, ctx: ctx, done: make(chan keys.Result, 1)}
	if err := g.enqueue(p); err != nil {
		return keys.Signature{}, err
	}
	select {
	case out := <-p.done:
		return out.Signature, out.Err
	case <-ctx.Done():
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.sent {
		// take drops it, for its context has ended.
		return keys.Signature{}, fmt.Errorf("%w: not sent in time: %w", keys.ErrUnavailable, ctx.Err())
	}
	return keys.Signature{}, fmt.Errorf("%w: %w", keys.ErrOutcome, ctx.Err())
}

func (g *gatherer) enqueue(p *pending) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) >= g.key.client.config.MaxWaiting {
		return retryable(fmt.Errorf("%w: %d signatures wait for key %s", keys.ErrLimited, len(g.waiting), g.key.name), time.Second)
	}
	g.waiting = append(g.waiting, p)
	g.dispatch()
	return nil
}

// dispatch sends what may be sent. It is called, with mu held, whenever
// something has changed.
func (g *gatherer) dispatch() {
	for len(g.waiting) > 0 && g.inFlight < maxInFlight {
		size := g.key.client.config.GatherSize
		full := len(g.waiting) >= size
		together := g.inFlight == 0 && len(g.waiting) >= g.last
		if !full && !together && !g.due {
			if g.timer == nil {
				g.timer = time.AfterFunc(g.key.client.config.GatherWindow, g.windowEnded)
			}
			return
		}
		batch := g.take(size)
		if len(batch) == 0 {
			continue
		}
		g.inFlight++
		g.last = len(batch)
		go g.send(batch)
	}
}

func (g *gatherer) windowEnded() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.timer, g.due = nil, true
	g.dispatch()
}

// take removes the next batch: in the order of arrival, no id twice, no more
// than a request holds, and nobody who has gone. The window of those who stay
// begins anew.
func (g *gatherer) take(size int) []*pending {
	var batch, rest []*pending
	ids := map[string]bool{}
	bytes := 0
	for _, p := range g.waiting {
		switch {
		case p.ctx.Err() != nil:
		case len(batch) == size || p.request.ID != "" && ids[p.request.ID] || len(batch) > 0 && bytes+len(p.request.Item) > maxRequest:
			rest = append(rest, p)
		default:
			ids[p.request.ID] = true
			bytes += len(p.request.Item)
			p.sent = true
			batch = append(batch, p)
		}
	}
	g.waiting, g.due = rest, false
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
	return batch
}

// send carries one batch. It lives as long as the sign timeout allows, whatever
// becomes of single callers: they leave by their own contexts.
func (g *gatherer) send(batch []*pending) {
	ctx, cancel := context.WithTimeout(g.key.client.life, g.key.client.config.SignTimeout)
	defer cancel()
	rs := make([]keys.Request, len(batch))
	for i, p := range batch {
		rs[i] = p.request
	}
	out, err := g.key.send(ctx, g.lane, rs)
	for i, p := range batch {
		if err != nil {
			p.done <- keys.Result{Err: err}
		} else {
			p.done <- out[i]
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inFlight--
	g.dispatch()
}
