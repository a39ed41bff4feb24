package audit

import (
	"context"
	"sort"
	"sync"
	"time"
)

// Refusals counts what was refused before anybody was identified. A record for
// each would let a stranger fill the disk; one record a second, with the number
// by code, keeps the fact and bounds the cost. It is safe for many goroutines.
type Refusals struct {
	append func(context.Context, Record) (Receipt, error)

	mu     sync.Mutex
	counts map[string]int64
}

// otherRefusals gathers the codes beyond MaxCounts, so that a caller who could
// choose codes could not choose how much memory they take.
const otherRefusals = "OTHER"

// NewRefusals returns a counter that writes to l while Run runs.
func NewRefusals(l *Ledger) *Refusals {
	return &Refusals{append: l.Append, counts: make(map[string]int64)}
}

// Add counts one refusal with a code, SG-….
func (r *Refusals) Add(code string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(code, 1)
}

// add counts n more; mu is held.
func (r *Refusals) add(code string, n int64) {
	if _, ok := r.counts[code]; !ok && len(r.counts) >= MaxCounts-1 || checkCode(code) != nil {
		code = otherRefusals
	}
	r.counts[code] += n
}

// Run writes one AdminRefused record for each second in which something was
// refused, until ctx ends; then it writes the rest and returns. What could not
// be written is counted into the next record, so that nothing is lost while the
// process lives.
func (r *Refusals) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			_ = r.flush(ctx) // the ledger's own Err reports why; the counts stay
		case <-ctx.Done():
			return r.flush(context.WithoutCancel(ctx))
		}
	}
}

// flush writes what was counted.
func (r *Refusals) flush(ctx context.Context) error {
	r.mu.Lock()
	counts := r.counts
	r.counts = make(map[string]int64)
	r.mu.Unlock()
	if len(counts) == 0 {
		return nil
	}
	record := Record{Type: AdminRefused, Outcome: Denied}
	var total int64
	for code, n := range counts {
		record.Counts = append(record.Counts, Count{code, n})
		total += n
	}
	sort.Slice(record.Counts, func(i, j int) bool { return record.Counts[i].Code < record.Counts[j].Code })
	record.Rows = N(total)
	_, err := r.append(ctx, record)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for code, n := range counts {
			r.add(code, n)
		}
	}
	return err
}
