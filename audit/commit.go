package audit

import (
	"errors"
	"fmt"
	"strconv"
)

// commitLoop writes batches until the queue is closed and empty.
func (l *Ledger) commitLoop() {
	var b batch
	var members []*waiter
	var digits []byte
	for {
		var first *waiter
		var s *storing
		select {
		case p, ok := <-l.queue:
			if !ok {
				return
			}
			first = p
		case s = <-l.signed:
		}
		members = l.collect(members[:0], first, &b, s, &digits)
		if len(members) == 0 && s == nil {
			continue
		}
		err := l.commit(&b, members)
		l.answer(members, b.records, err)
		if s != nil {
			s.done <- err
		}
	}
}

// collect fills b with what waits now: one write and one sync for all of it.
func (l *Ledger) collect(members []*waiter, first *waiter, b *batch, s *storing, digits *[]byte) []*waiter {
	b.begin(s.checkpoint())
	for p := first; ; {
		if p != nil && p.state.CompareAndSwap(waiting, taken) {
			*digits = strconv.AppendUint((*digits)[:0], l.w.count+uint64(b.records), 10)
			b.add(p.buf[:p.split], *digits, p.buf[p.split:])
			members = append(members, p)
		}
		if b.full() {
			return members
		}
		var ok bool
		select {
		case p, ok = <-l.queue:
			if !ok {
				return members
			}
		default:
			return members
		}
	}
}

// commit makes the batch durable and tells the other parties.
func (l *Ledger) commit(b *batch, members []*waiter) error {
	if err := l.broken.Load(); err != nil {
		return *err
	}
	if len(members) > 0 {
		l.mu.Lock()
		err := l.head.overdue(members[0].time, b.signed)
		l.mu.Unlock()
		if err != nil {
			return err
		}
	}
	if err := l.w.write(b); err != nil {
		err = storeError(err)
		if !errors.Is(err, ErrFull) {
			l.broken.Store(&err)
		}
		return err
	}
	l.mu.Lock()
	h := &l.head
	if b.signed != nil {
		h.signed, h.oldest = b.signed, h.later
	}
	if len(members) > 0 {
		if h.oldest.IsZero() {
			h.oldest = members[0].time
		}
		if h.later.IsZero() {
			h.later = members[0].time
		}
	}
	h.grown(l.w)
	l.mu.Unlock()
	if len(members) > 0 {
		l.markDirty()
	}
	return nil
}

// answer wakes the appenders. A waiter belongs to its appender again as soon as
// it is answered.
func (l *Ledger) answer(members []*waiter, records int, err error) {
	if err == nil && records != len(members) {
		err = fmt.Errorf("%w: %d records for %d appends", ErrStore, records, len(members))
	}
	first := l.w.count - uint64(len(members))
	for i, p := range members {
		if err != nil {
			p.done <- outcome{err: err}
		} else {
			p.done <- outcome{seq: first + uint64(i)}
		}
	}
}
