package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/transparency-dev/merkle/compact"
)

// Ledger is a ledger open for writing. Its methods may be called from many
// goroutines.
//
// Three parties work on it. Appenders encode their records and wait in a queue.
// One committer takes what waits, writes it as one frame, syncs, and only then
// wakes the appenders. One signer asks for a signature over the durable tree
// now and then and hands it to the committer, which writes it with its next
// frame. Only the committer touches the writer.
type Ledger struct {
	Config
	lock *durable.Lock
	w    *writer

	gate      sync.RWMutex // held for reading while an append enters the queue
	closed    bool         // under gate
	closing   chan struct{}
	closeOnce sync.Once
	queue     chan *waiter
	signed    chan *storing
	broken    atomic.Pointer[error] // why nothing more is acknowledged

	waiters     sync.Pool
	committer   sync.WaitGroup
	signer      sync.WaitGroup
	dirty       chan struct{} // there are records that no checkpoint covers
	stopSigning context.CancelFunc

	mu   sync.Mutex
	head headState
}

// headState is what the parties tell each other about the durable ledger.
type headState struct {
	count    uint64
	subtrees [][]byte // of the tree of count records
	signed   *SignedCheckpoint
	oldest   time.Time // of the first record that signed does not cover
	later    time.Time // of the first record behind the newest snapshot
	err      error     // of the last attempt to sign
}

// Receipt says where a record stands.
type Receipt struct {
	Seq  uint64
	Time time.Time
}

// waiter is one append on its way.
type waiter struct {
	buf   []byte // canonical record without its sequence number
	split int    // where that belongs
	time  time.Time
	state atomic.Int32
	done  chan outcome // capacity 1
	timer *time.Timer
}

type outcome struct {
	seq uint64
	err error
}

const (
	waiting   = iota // in the queue; both sides may claim it
	taken            // by the committer, which will answer
	abandoned        // by the appender: never written
)

func newLedger(c Config, lock *durable.Lock) *Ledger {
	return &Ledger{
		Config: c, lock: lock, closing: make(chan struct{}),
		queue: make(chan *waiter, c.Queue), signed: make(chan *storing), dirty: make(chan struct{}, 1),
	}
}

func (l *Ledger) start() {
	ctx, cancel := context.WithCancel(context.Background())
	l.stopSigning = cancel
	l.committer.Go(l.commitLoop)
	l.signer.Go(func() { l.signLoop(ctx) })
	l.markDirty()
}

// Append writes r and returns when it is durable. Seq, Time and Node of r are
// set by the ledger.
//
// On any error the record is not acknowledged and what it was to record must
// not happen. Append does not retry; the errors are those listed at ErrRecord.
// It waits at most Config.Wait, less when ctx ends earlier. For a record that
// must be written although its caller has gone, pass a context of your own.
func (l *Ledger) Append(ctx context.Context, r Record) (Receipt, error) {
	r.Node, r.Time = l.Node, l.Now().UTC()
	p, err := l.newWaiter(&r)
	if err != nil {
		return Receipt{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	p.timer.Reset(l.Wait)
	if err := l.enqueue(ctx, p); err != nil {
		l.release(p)
		return Receipt{}, err
	}
	select {
	case o := <-p.done:
		receipt := Receipt{o.seq, p.time}
		l.release(p)
		return receipt, o.err
	case <-ctx.Done():
		return Receipt{}, l.abandon(p, ctx.Err())
	case <-p.timer.C:
		return Receipt{}, l.abandon(p, fmt.Errorf("no answer within %v", l.Wait))
	}
}

// newWaiter encodes r, so that this work is done beside the committer's.
func (l *Ledger) newWaiter(r *Record) (*waiter, error) {
	if err := checkTime("time", r.Time); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	p, ok := l.waiters.Get().(*waiter)
	if !ok {
		p = &waiter{done: make(chan outcome, 1), timer: time.NewTimer(time.Hour)}
	}
	p.state.Store(waiting)
	p.time = r.Time
	p.buf = appendRecordHead(p.buf[:0], r)
	p.split = len(p.buf)
	p.buf = appendRecordTail(p.buf, r)
	if n := len(p.buf) + 16; n > MaxRecordSize { // 2^53 has 16 digits
		l.release(p)
		return nil, fmt.Errorf("%d bytes, at most %d are allowed", n, MaxRecordSize)
	}
	return p, nil
}

// release gives p back, when nobody else can hold it.
func (l *Ledger) release(p *waiter) {
	p.timer.Stop()
	if cap(p.buf) <= 16<<10 {
		l.waiters.Put(p)
	}
}

func (l *Ledger) enqueue(ctx context.Context, p *waiter) error {
	l.gate.RLock()
	defer l.gate.RUnlock()
	if l.closed {
		return ErrClosed
	}
	if err := l.broken.Load(); err != nil {
		return *err
	}
	select {
	case l.queue <- p:
		return nil
	default:
	}
	var cause error
	select {
	case l.queue <- p:
		return nil
	case <-l.closing:
		return ErrClosed
	case <-ctx.Done():
		cause = ctx.Err()
	case <-p.timer.C:
		cause = fmt.Errorf("%d appends are waiting", l.Queue)
	}
	return fmt.Errorf("%w: %w: %w", ErrBusy, ErrNotWritten, cause)
}

// abandon gives up waiting for p. Unless the committer has it, it is never
// written. The waiter is not used again: the committer may still answer it.
func (l *Ledger) abandon(p *waiter, cause error) error {
	if p.state.CompareAndSwap(waiting, abandoned) {
		return fmt.Errorf("%w: %w: %w", ErrBusy, ErrNotWritten, cause)
	}
	select {
	case o := <-p.done: // both were ready
		if o.err != nil {
			return o.err
		}
	default:
	}
	return fmt.Errorf("%w: %w", ErrBusy, cause)
}

// Head describes the ledger as it stands.
type Head struct {
	Size   uint64            // durable records
	Signed *SignedCheckpoint // the newest checkpoint on the disk, nil before the first
}

// Head returns the size and the newest checkpoint.
func (l *Ledger) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Head{l.head.count, l.head.signed}
}

// Err says why Append would refuse now for a reason that lasts: the storage
// failed (ErrStore), or the signer is away too long (ErrUnsigned). It is nil
// when records are taken. For readiness.
func (l *Ledger) Err() error {
	if err := l.broken.Load(); err != nil {
		return *err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.overdue(l.Now(), nil)
}

// Unsigned is the signer's error when the newest checkpoint could not be
// signed. Append does not mind until MaxUnsigned is up. For alarms.
func (l *Ledger) Unsigned() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.err
}

// overdue is the rule of MaxUnsigned for a record of time t, in a batch that
// brings the checkpoint next.
func (h *headState) overdue(t time.Time, next *SignedCheckpoint) error {
	oldest, signed := h.oldest, h.signed
	if next != nil {
		oldest, signed = h.later, next
	}
	var covered uint64
	if signed != nil {
		covered = signed.Size
	}
	if (oldest.IsZero() || t.Sub(oldest) <= MaxUnsigned) && h.count-covered < MaxUnsignedRecords {
		return nil
	}
	if h.err != nil {
		return fmt.Errorf("%w: %w", ErrUnsigned, h.err)
	}
	return ErrUnsigned
}

// grown notes what w has made durable, for the other parties. mu is held.
func (h *headState) grown(w *writer) {
	h.count = w.count
	h.subtrees = append(h.subtrees[:0], w.tree.Hashes()...)
}

// tree returns the durable tree.
func (h *headState) tree() (*compact.Range, error) { return resumeTree(h.count, h.subtrees) }

// Close writes what waits, signs a last checkpoint, marks the end and gives the
// lock back. Appends that come later get ErrClosed. An error says that the
// ledger did not end cleanly, for example because the signer is away; what was
// acknowledged is durable all the same.
func (l *Ledger) Close() error {
	err := error(ErrClosed)
	l.closeOnce.Do(func() { err = l.close() })
	return err
}

func (l *Ledger) close() error {
	close(l.closing)
	l.gate.Lock()
	l.closed = true
	l.gate.Unlock()
	l.stopSigning()
	l.signer.Wait()
	close(l.queue)
	l.committer.Wait()

	var errs []error
	if err := l.broken.Load(); err != nil {
		errs = append(errs, *err)
	} else {
		errs = append(errs, l.lastCheckpoint(), l.endSegment())
	}
	l.w.close()
	return errors.Join(append(errs, l.lock.Release())...)
}

func (l *Ledger) endSegment() error {
	if l.w.file == nil {
		return nil
	}
	if err := l.w.seal(); err != nil {
		return storeError(err)
	}
	return nil
}
