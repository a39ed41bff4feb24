package vault

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// maxInFlight is how many requests of one lane are under way at once. Few are
// best, for what a request costs Vault hardly depends on how many signatures it
// carries, so the largest batches win: two, so that one is verified here while
// the other is signed there, and one where the requests carry ids, since Vault
// then writes to its disks for each request.
func (l lane) maxInFlight() int {
	if l.named {
		return 1
	}
	return 2
}

// wholeShare is up to how many signatures travel in one request rather than in
// several.
const wholeShare = 16

// gatherer makes batches of the signatures of one lane. A caller who is alone
// is served at once, but for the first after a crowd, who waits one window for
// the others. As soon as requests are under way others wait, until either their
// share has come together or the window has ended: with n signatures wanted or
// under way lately, a share is n/maxInFlight, or all of them when they are few.
// Without that the first of many callers who come back together would travel
// alone, and all others would wait for him.
type gatherer struct {
	key  *Key
	lane lane

	mu       sync.Mutex
	waiting  []*pending
	inFlight int // requests
	flying   int // signatures in them
	lately   int // the most signatures wanted or under way since the last window ended
	timer    *time.Timer
	due      bool // the window of the eldest waiting has ended

	next chan []*pending // batches for senders that have nothing to do
}

// pending is one signature on its way.
type pending struct {
	request keys.Request
	ctx     context.Context
	done    chan keys.Result // takes one result without blocking
	sent    bool             // under gatherer.mu: it is in a batch
	late    bool             // under gatherer.mu: its time is over
}

func (p *pending) gone() bool { return p.late || p.ctx.Err() != nil }

func (k *Key) gatherer(l lane) *gatherer {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := k.gatherers[l]
	if g == nil {
		g = &gatherer{key: k, lane: l, next: make(chan []*pending)}
		k.gatherers[l] = g
	}
	return g
}

// sign waits for the signature of one request, no longer than the sign timeout
// and ctx allow.
func (g *gatherer) sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	timeout := g.key.client.config.SignTimeout
	if g.key.client.config.GatherWindow < 0 {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
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
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	var ended error
	select {
	case out := <-p.done:
		return out.Signature, out.Err
	case <-ctx.Done():
		ended = ctx.Err()
	case <-timer.C:
		ended = context.DeadlineExceeded
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.sent {
		p.late = true // take drops it
		return keys.Signature{}, fmt.Errorf("%w: not sent in time: %w", keys.ErrUnavailable, ended)
	}
	return keys.Signature{}, fmt.Errorf("%w: %w", keys.ErrOutcome, ended)
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
	most := g.lane.maxInFlight()
	g.lately = max(g.lately, g.flying+len(g.waiting))
	for len(g.waiting) > 0 && g.inFlight < most {
		if g.due {
			g.lately = g.flying + len(g.waiting) // the others did not come
		}
		share := g.lately
		if share > wholeShare {
			share = (share + most - 1) / most
		}
		share = min(share, g.key.client.config.GatherSize)
		if len(g.waiting) < share && !g.due {
			if g.timer == nil {
				g.timer = time.AfterFunc(g.key.client.config.GatherWindow, g.windowEnded)
			}
			return
		}
		batch := g.take(share)
		if len(batch) == 0 {
			continue
		}
		g.inFlight++
		g.flying += len(batch)
		select {
		case g.next <- batch:
		default:
			go g.sender(batch)
		}
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
		case p.gone():
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

// senderLife is how long a sender waits for another batch. It is spared what a
// new goroutine pays: its stack has grown.
const senderLife = time.Second

// sender carries batches, this one first, until none comes.
func (g *gatherer) sender(batch []*pending) {
	idle := time.NewTimer(senderLife)
	defer idle.Stop()
	for {
		g.send(batch)
		idle.Reset(senderLife)
		select {
		case batch = <-g.next:
		case <-idle.C:
			return
		case <-g.key.client.life.Done():
			return
		}
	}
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
	g.flying -= len(batch)
	g.dispatch()
}
