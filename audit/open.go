package audit

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
)

// Config says where a ledger is and who signs its checkpoints.
type Config struct {
	// Dir is the ledger's folder, mode 0700. It is made when missing. Nothing
	// else may be kept in it.
	Dir string
	// Log is the ledger's name, part of every checkpoint: 1..64 of
	// A-Z a-z 0-9 . _ - : / . A ledger keeps its name.
	Log string
	// Node names this process in every record.
	Node string
	// Signer signs checkpoints; PublicKey is its key, used to check each answer.
	Signer    Signer
	PublicKey *gm.PublicKey
	// FormerKeys are keys that signed this ledger's checkpoints before
	// PublicKey. Open goes on only behind a checkpoint of one of these keys:
	// else whoever can write to the folder would get the key's signature over a
	// history of his own.
	FormerKeys []*gm.PublicKey

	// CheckpointEvery is the pace: a record is covered by a signed checkpoint
	// about this long after it was acknowledged. Zero means one second. Signing
	// happens beside the appends and delays none; while nothing is appended
	// nothing is signed. A shorter pace names the place of an edit more closely,
	// at the cost of one signature and some 350 bytes each time.
	CheckpointEvery time.Duration
	// Wait bounds how long Append waits for the disk. Zero means two seconds.
	Wait time.Duration
	// SegmentSize is the length in bytes at which a new segment begins, at most
	// 128 MiB. Zero means 32 MiB.
	SegmentSize int64
	// Queue bounds how many appends wait at once. Zero means 4096.
	Queue int
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

const maxSegmentSize = 128 << 20

func (c *Config) complete() error {
	setDefault(&c.CheckpointEvery, time.Second)
	setDefault(&c.Wait, 2*time.Second)
	setDefault(&c.SegmentSize, 32<<20)
	setDefault(&c.Queue, 4096)
	if c.Now == nil {
		c.Now = time.Now
	}
	switch {
	case c.Dir == "":
		return errors.New("open ledger: no folder is given")
	case c.Signer == nil || c.PublicKey == nil:
		return errors.New("open ledger: no signer, or no public key of it, is given")
	case c.CheckpointEvery < 0 || c.Wait < 0 || c.Queue < 0 || c.SegmentSize < 0 || c.SegmentSize > maxSegmentSize:
		return errors.New("open ledger: a setting is out of range")
	}
	if err := checkText("node", c.Node, maxName); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	if err := checkLog(c.Log); err != nil {
		return fmt.Errorf("open ledger: %w", err)
	}
	return nil
}

func setDefault[T int | int64 | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}

// Open opens the ledger in c.Dir for writing, or begins it. At most one process
// has it open: a second gets ErrLocked.
//
// What was acknowledged before a crash is there. A frame that a crash cut off
// was never acknowledged; it is discarded, and a record of type AdminRecovered
// notes how many bytes it had. Open reads back to the newest checkpoint and
// compares the tree with it; a ledger that is not what a crash can leave is
// refused with ErrBroken and not touched. Verify judges the whole ledger.
func Open(c Config) (*Ledger, error) { return open(c, nil) }

func open(c Config, step func(storageStep, func() error) error) (*Ledger, error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	if err := durable.PrivateDirectory(c.Dir); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	d := &disk{dir: c.Dir, step: step}
	lock, err := durable.TryLock(d.path("lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%w: %w", ErrLocked, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l := newLedger(c, lock)
	if err := l.resume(d); err != nil {
		if l.w != nil {
			l.w.close()
		}
		return nil, errors.Join(err, lock.Release())
	}
	l.start()
	return l, nil
}

// resume finds the end of the ledger, repairs what a crash left there, and
// gives l its writer.
func (l *Ledger) resume(d *disk) error {
	names, err := d.segments()
	if err != nil {
		return err
	}
	l.w = &writer{disk: d, log: l.Log, maxSize: l.SegmentSize, tree: newTree()}
	if len(names) == 0 {
		if err := l.w.newSegment(); err != nil {
			return storeError(err)
		}
		l.head.grown(l.w)
		return nil
	}
	s, t, err := readBack(d, names)
	if err != nil {
		return err
	}
	if s.log != l.Log {
		return fmt.Errorf("open ledger: %s holds the ledger %s, not %s", l.Dir, s.log, l.Log)
	}
	if s.last != nil {
		if err := s.last.Verify(append([]*gm.PublicKey{l.PublicKey}, l.FormerKeys...)...); err != nil {
			return brokenAt(s.last.Size, "%v", err)
		}
	}
	if err := t.unsigned(); err != nil {
		return err
	}
	l.head.signed = s.last
	if oldest, _ := t.waiting(); oldest != 0 {
		l.head.oldest = time.Unix(0, oldest)
	}
	if err := t.advance(t.size()); err != nil {
		return err
	}
	l.w.tree, l.w.count, l.w.previous = t.tree, s.count, s.previous
	if err := l.continueSegment(d, s); err != nil {
		return storeError(err)
	}
	l.head.grown(l.w)
	return nil
}

// readBack scans from the newest segment that lets the newest checkpoint be
// compared with the tree. On return the pending leaves of the treeCheck are the
// records that the checkpoint does not cover.
func readBack(d *disk, names []string) (*scanner, *treeCheck, error) {
	for start := len(names) - 1; ; start-- {
		s, t, err := scanFrom(d, names[start:])
		if err != nil {
			return nil, nil, err
		}
		if start == 0 || s.last != nil && s.last.Size >= firstOf(names[start]) {
			return s, t, nil
		}
	}
}

// scanFrom scans the last segments of a ledger, trusting the first one's header
// for the tree before it.
func scanFrom(d *disk, names []string) (*scanner, *treeCheck, error) {
	t := new(treeCheck)
	s := &scanner{read: d.read}
	s.onHeader = func(h *header) error {
		if t.tree != nil {
			return nil
		}
		tree, err := resumeTree(h.first, h.subtrees)
		if err != nil {
			return brokenAt(h.first, "%s: %v", s.name, err)
		}
		t.tree, t.proven = tree, h.first
		return nil
	}
	s.onRecord = func(seq uint64, leaf []byte) error {
		r, err := ParseRecord(leaf[1:])
		if err != nil || r.Seq != seq {
			return brokenAt(seq, "%s: not a record, or not this one", s.name)
		}
		t.pending = append(t.pending, pendingOf(&r, leaf))
		return nil
	}
	s.onCheckpoint = func(c *SignedCheckpoint) error {
		if c.Size < t.tree.End() {
			return nil // before the first of these segments
		}
		return t.checkpoint(&c.Checkpoint)
	}
	return s, t, s.scan(names)
}

// continueSegment opens the last segment for appending. One that was closed
// cleanly is taken as it is. One that was not is written anew, without its torn
// end: what the last process wrote and could not sync may stand in the page
// cache and not on the disk, and only a new file makes it durable for certain.
func (l *Ledger) continueSegment(d *disk, s *scanner) error {
	if s.clean {
		f, err := d.open(s.name)
		if err != nil {
			return err
		}
		l.w.file, l.w.off, l.w.room, l.w.ended = f, int64(s.off), int64(s.off), true
		return nil
	}
	content, sum := bytes.Clone(s.data[:s.off]), s.previous
	var note batch
	if s.torn > 0 {
		r := Record{
			Seq: s.count, Time: l.Now(), Node: l.Node, Type: AdminRecovered, Outcome: OK,
			Object: Object{Kind: "segment", ID: s.name}, Bytes: N(int64(s.torn)),
		}
		text, err := r.Canonical()
		if err != nil {
			return err
		}
		note.begin(nil)
		note.add(text)
		sum = endFrame(note.frame, frameB, s.count, 1, s.previous)
		content = append(content, note.frame...)
		if l.head.oldest.IsZero() {
			l.head.oldest = r.Time
		}
	}
	if err := l.w.publish(s.name, content, sum); err != nil {
		return err
	}
	for _, h := range note.leaves {
		l.w.count++
		if err := l.w.tree.Append(h, nil); err != nil {
			return err
		}
	}
	return nil
}

// storeError turns an error of the writer into a refusal.
func storeError(err error) error {
	if errors.Is(err, errFull) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("%w: %w", ErrStore, err)
}
