package audit

import (
	"bytes"
	"fmt"
	"strconv"
	"time"

	"github.com/transparency-dev/merkle/compact"
)

// scanner walks over the frames of a ledger in order and judges what can be
// judged without keys and without the tree: checksums, the chain of frames, the
// count of records, and how the last segment ends. It reads a copy of each
// segment, so that a running writer does not disturb it.
type scanner struct {
	read         func(name string) ([]byte, error) // what a segment holds now
	onHeader     func(*header) error
	onRecord     func(seq uint64, leaf []byte) error // leaf is 0x00 || record, valid during the call
	onCheckpoint func(*SignedCheckpoint) error       // called when all records it covers have been seen

	log      string
	count    uint64 // records so far
	previous uint32 // checksum of the last frame
	last     *SignedCheckpoint

	// Of the segment read last:
	name  string
	data  []byte
	off   int  // end of the last whole frame
	ended bool // the last frame is an end mark
	clean bool // and nothing follows it
	torn  int  // bytes of a frame that was being written when the process died
}

// scan reads the segments names, which are the ledger's last ones, in order.
// Errors that are ErrBroken say that the ledger is damaged; other errors that
// it cannot be read.
func (s *scanner) scan(names []string) error {
	for i, name := range names {
		if err := s.segment(name, i == len(names)-1); err != nil {
			return err
		}
	}
	return nil
}

func (s *scanner) segment(name string, last bool) error {
	data, err := s.read(name)
	if err != nil {
		return err
	}
	s.name, s.data, s.off, s.ended, s.clean, s.torn = name, data, 0, false, false, 0
	for {
		f, err := parseFrame(s.data[s.off:])
		if err == nil {
			if err := s.frame(f); err != nil {
				return err
			}
			s.off += f.size
			continue
		}
		verdict := s.remainder(last)
		if verdict == nil {
			return nil
		}
		// A copy taken while the writer was at work may lack a frame and yet hold
		// one behind it, or stop inside one. A second copy then holds the first.
		again, err := s.read(name)
		if err != nil {
			return err
		}
		if !last || len(again) < s.off || !bytes.Equal(again[:s.off], s.data[:s.off]) {
			return verdict
		}
		if _, err := parseFrame(again[s.off:]); err != nil {
			return verdict
		}
		s.data = again
	}
}

// frame judges one whole frame in its place.
func (s *scanner) frame(f frame) error {
	if (s.off == 0) != (f.kind == frameH) {
		return brokenAt(s.count, "%s: a segment has one header, at its beginning", s.name)
	}
	if f.kind == frameH {
		return s.header(f)
	}
	if f.previous != s.previous {
		return brokenAt(s.count, "%s: a frame does not follow the one before it: frames were removed, moved or written anew", s.name)
	}
	if f.seq != s.count {
		return brokenAt(s.count, "%s: a frame says that %d records stand before it", s.name, f.seq)
	}
	s.previous, s.ended = f.checksum, f.kind == frameE
	switch {
	case f.kind == frameB:
		return s.batch(f)
	case f.kind == frameE && f.count == 0 && len(f.body) == 0:
		return nil
	}
	return brokenAt(s.count, "%s: a frame is of no kind of this version", s.name)
}

func (s *scanner) header(f frame) error {
	h, err := parseHeader(f.body)
	if err != nil {
		return brokenAt(s.count, "%s: %v", s.name, err)
	}
	if s.log == "" { // the first one that is read
		s.log, s.count, s.previous = h.log, h.first, f.previous
	}
	switch {
	case segmentName(h.first) != s.name || f.seq != h.first || f.count != 0:
		return brokenAt(s.count, "%s: the header says that the segment begins at record %d", s.name, h.first)
	case h.first > s.count:
		return brokenAt(s.count, "%s begins at record %d: the records before it are missing", s.name, h.first)
	case h.first < s.count:
		return brokenAt(h.first, "%s begins at record %d, which the segment before it holds too", s.name, h.first)
	case h.log != s.log:
		return brokenAt(s.count, "%s belongs to the ledger %s, not %s", s.name, h.log, s.log)
	case f.previous != s.previous || h.first == 0 && f.previous != 0:
		return brokenAt(s.count, "%s does not follow the segment before it", s.name)
	}
	s.previous = f.checksum
	if s.onHeader != nil {
		return s.onHeader(h)
	}
	return nil
}

func (s *scanner) batch(f frame) error {
	signed, entries, err := batchCheckpoint(f.body)
	if err != nil {
		return brokenAt(s.count, "%s: a batch is malformed", s.name)
	}
	if len(signed) > 0 {
		if err := s.checkpoint(signed); err != nil {
			return err
		}
	}
	for range f.count {
		leaf, rest, err := nextEntry(entries)
		if err != nil {
			return brokenAt(s.count, "%s: the record's checksum is wrong", s.name)
		}
		if s.onRecord != nil {
			if err := s.onRecord(s.count, leaf); err != nil {
				return err
			}
		}
		entries = rest
		s.count++
	}
	if len(entries) > 0 {
		return brokenAt(s.count, "%s: a batch holds more than it says", s.name)
	}
	return nil
}

func (s *scanner) checkpoint(data []byte) error {
	c, err := ParseSignedCheckpoint(data)
	switch {
	case err != nil:
		return brokenAt(s.count, "%s: %v", s.name, err)
	case c.Log != s.log:
		return brokenAt(s.count, "%s holds a checkpoint of the ledger %s", s.name, c.Log)
	case c.Size > s.count:
		// Which one is missing, only the tree could tell.
		return brokenAt(s.covered(), "%s: a checkpoint was signed for %d records, and %d stand before it", s.name, c.Size, s.count)
	case s.last != nil && c.Size < s.last.Size:
		return brokenAt(c.Size, "%s: a checkpoint of %d records follows one of %d", s.name, c.Size, s.last.Size)
	}
	s.last = c
	if s.onCheckpoint != nil {
		return s.onCheckpoint(c)
	}
	return nil
}

// covered returns the size of the newest checkpoint so far.
func (s *scanner) covered() uint64 {
	if s.last == nil {
		return 0
	}
	return s.last.Size
}

// remainder judges the bytes behind the last whole frame. Three ends are
// possible without anybody's interference: an end mark and nothing; zeros,
// while the segment is open or after a crash; and, after a crash, a part of one
// frame and then zeros, because the writer keeps room behind what it writes.
func (s *scanner) remainder(last bool) error {
	rest := s.data[s.off:]
	tail := bytes.TrimRight(rest, "\x00")
	switch {
	case s.off == 0:
		return brokenAt(s.count, "%s has no readable header", s.name)
	case len(rest) == 0 && s.ended:
		s.clean = true
		return nil
	case len(rest) == 0:
		return brokenAt(s.count, "%s was cut off", s.name)
	case last && len(tail) == 0:
		return nil
	case last && len(rest)-len(tail) >= frameHeader && len(tail) <= frameHeader+maxBody && !holdsFrame(tail[1:]):
		s.torn = len(tail)
		return nil
	}
	return s.locate(rest)
}

// holdsFrame reports whether a whole frame begins anywhere in data: proof that
// what stands before it was once whole, because the writer syncs each frame
// before it writes the next.
func holdsFrame(data []byte) bool {
	for tries := 0; ; tries++ {
		i := bytes.Index(data, []byte{0xff, 'S', 'G'})
		if i < 0 {
			return false
		}
		// Parts of one frame hold hardly any such mark; many are a file made to
		// keep this loop busy.
		if _, err := parseFrame(data[i:]); err == nil || tries == 100 {
			return true
		}
		data = data[i+1:]
	}
}

// locate names the first bad record in a batch whose checksum is wrong.
func (s *scanner) locate(rest []byte) error {
	f, err := parseFrameHeader(rest)
	if err != nil || f.kind != frameB || f.seq != s.count || f.previous != s.previous {
		return brokenAt(s.count, "%s: no frame can be read at byte %d", s.name, s.off)
	}
	_, entries, err := batchCheckpoint(f.body)
	if err != nil {
		return brokenAt(s.count, "%s: the batch at byte %d is malformed", s.name, s.off)
	}
	for i := range uint64(f.count) {
		_, rest, err := nextEntry(entries)
		if err != nil {
			return brokenAt(s.count+i, "%s: the record's checksum is wrong", s.name)
		}
		entries = rest
	}
	return brokenAt(s.count, "%s: the checksum of the batch at byte %d is wrong", s.name, s.off)
}

// firstOf returns the number in a segment's name.
func firstOf(name string) uint64 {
	n, err := strconv.ParseUint(name[:20], 10, 64)
	if err != nil {
		return 1<<64 - 1 // no header says so: the scan refuses it
	}
	return n
}

// treeCheck grows the tree behind a scan and compares it with what is claimed
// about it. A checkpoint often stands behind records that it does not cover, so
// leaves wait until the size at which they are compared is known.
type treeCheck struct {
	tree    *compact.Range
	pending []pendingLeaf // behind the tree
	marks   []mark        // claims not yet reached, by size
	proven  uint64        // every claim up to this size held
}

type pendingLeaf struct {
	hash []byte
	time int64 // of the record, Unix nanoseconds; 0 when it says nothing of MaxUnsigned
}

// pendingOf takes a record in. An AdminRecovered record is written when the
// ledger is opened, before the first checkpoint of the new process and however
// long after the last record of the old one.
func pendingOf(r *Record, leaf []byte) pendingLeaf {
	p := pendingLeaf{hash: hashLeaf(leaf)}
	if r.Type != AdminRecovered {
		p.time = r.Time.UnixNano()
	}
	return p
}

// waiting returns the times of the first and the last pending record that have
// one, 0 when there is none.
func (t *treeCheck) waiting() (first, last int64) {
	for _, p := range t.pending {
		if p.time == 0 {
			continue
		}
		if first == 0 {
			first = p.time
		}
		last = p.time
	}
	return first, last
}

// unsigned refuses a tail without a checkpoint that is longer than any writer
// leaves: its checkpoints were taken away.
func (t *treeCheck) unsigned() error {
	first, last := t.waiting()
	if span := time.Duration(last - first); span > MaxUnsigned+unsignedSlack {
		return brokenAt(t.tree.End(), "records of %v stand without a checkpoint: checkpoints were removed", span.Round(time.Second))
	}
	if len(t.pending) > MaxUnsignedRecords+maxBatch {
		return brokenAt(t.tree.End(), "more than %d records stand without a checkpoint: checkpoints were removed", MaxUnsignedRecords)
	}
	return nil
}

// mark is a claim about the tree of the first size records.
type mark struct {
	size  uint64
	check func(tree *compact.Range) error
}

func (t *treeCheck) size() uint64 { return t.tree.End() + uint64(len(t.pending)) }

// claim adds a mark at a size that the tree has not passed.
func (t *treeCheck) claim(m mark) {
	i := len(t.marks)
	for i > 0 && t.marks[i-1].size > m.size {
		i--
	}
	t.marks = append(t.marks, mark{})
	copy(t.marks[i+1:], t.marks[i:])
	t.marks[i] = m
}

// advance grows the tree to size, which must not be larger than size(), and
// checks the claims on the way.
func (t *treeCheck) advance(size uint64) error {
	for {
		for len(t.marks) > 0 && t.marks[0].size == t.tree.End() {
			if err := t.marks[0].check(t.tree); err != nil {
				return err
			}
			t.marks = t.marks[1:]
		}
		if t.tree.End() >= size {
			return nil
		}
		if err := t.tree.Append(t.pending[0].hash, nil); err != nil {
			return fmt.Errorf("grow tree: %w", err)
		}
		t.pending = t.pending[1:]
	}
}

// checkpoint compares the tree with c.
func (t *treeCheck) checkpoint(c *Checkpoint) error {
	if err := t.advance(c.Size); err != nil {
		return err
	}
	if !bytes.Equal(rootOf(t.tree), c.Root[:]) {
		return t.unproven(c)
	}
	t.proven = c.Size
	return nil
}

func (t *treeCheck) unproven(c *Checkpoint) error {
	if t.proven >= c.Size {
		return brokenAt(c.Size, "two checkpoints of %d records have different roots", c.Size)
	}
	if t.proven+1 == c.Size {
		return brokenAt(t.proven, "the record is not the one that the checkpoint of %d records was signed for", c.Size)
	}
	return brokenAt(t.proven, "records %d to %d are not those that the checkpoint of %d records was signed for", t.proven, c.Size-1, c.Size)
}
