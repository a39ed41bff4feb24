package audit

import (
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/transparency-dev/merkle/compact"
)

const (
	// extent is how much a segment grows at a time. Growing costs a journal
	// transaction; writing inside what has grown does not.
	extent = 1 << 20
	// minExtent is what is tried last on a disk that is nearly full.
	minExtent = 16 << 10
)

// writer writes frames to the last segment. Exactly one goroutine uses it.
//
// Invariants between calls: the bytes [0, off) of the segment are whole frames
// and durable; [off, room) are zeros, at least frameHeader of them unless ended,
// so that a reader can tell an open segment from one that was cut off, and an end
// mark always fits; tree holds exactly the count durable records.
//
// After an error that is errFull nothing changed and the call may be repeated.
// After any other error the state on the disk is unknown: the writer is not
// used again.
type writer struct {
	disk    *disk
	log     string
	maxSize int64 // bytes, at which a new segment begins

	file     *segmentFile // nil: the next frame begins a new segment
	off      int64
	room     int64 // length of the file
	scrub    int64 // what stands in [off, scrub) is left of a failed write
	ended    bool  // the last frame is an end mark: the segment was closed cleanly
	previous uint32
	count    uint64
	tree     *compact.Range
}

var errFull = errors.New("disk is full")

// batch is what is written at once.
type batch struct {
	signed  *SignedCheckpoint // or nil
	frame   []byte            // being built
	leaves  [][]byte          // hashes
	records int
}

// begin empties b for the next batch behind w's records.
func (b *batch) begin(signed *SignedCheckpoint) {
	b.signed, b.leaves, b.records = signed, b.leaves[:0], 0
	b.frame = beginFrame(b.frame[:0])
	b.frame = append(b.frame, 0, 0, 0, 0)
	if signed != nil {
		text := signed.Marshal()
		b.frame[frameHeader+2], b.frame[frameHeader+3] = byte(len(text)>>8), byte(len(text))
		b.frame = append(b.frame, text...)
	}
}

// add appends a record, given in parts.
func (b *batch) add(parts ...[]byte) {
	start := len(b.frame)
	b.frame = beginEntry(b.frame)
	for _, p := range parts {
		b.frame = append(b.frame, p...)
	}
	endEntry(b.frame[start:])
	b.leaves = append(b.leaves, hashLeaf(b.frame[start+entryHeader:]))
	b.records++
}

func (b *batch) full() bool {
	return b.records >= maxBatch || len(b.frame) >= maxBatchBytes
}

// write makes b durable: one write and one sync, besides growing the file.
func (w *writer) write(b *batch) error {
	if w.file != nil && w.off+int64(len(b.frame)) > w.maxSize && w.count > firstOf(w.file.name) {
		if err := w.seal(); err != nil {
			return err
		}
	}
	if w.file == nil {
		if err := w.newSegment(); err != nil {
			return err
		}
	}
	if err := w.makeRoom(int64(len(b.frame))); err != nil {
		return err
	}
	sum := endFrame(b.frame, frameB, w.count, b.records, w.previous)
	if err := w.put(b.frame); err != nil {
		return err
	}
	w.off += int64(len(b.frame))
	w.previous, w.ended = sum, false
	w.count += uint64(b.records)
	for _, h := range b.leaves {
		if err := w.tree.Append(h, nil); err != nil {
			return err
		}
	}
	return nil
}

// put writes a frame at the end, where there is room, and syncs it.
func (w *writer) put(frame []byte) error {
	if err := w.file.write(frame, w.off); err != nil {
		if durable.IsFull(err) { // also in room that it has: the file system copies on write
			w.scrub = w.off + int64(len(frame))
		}
		return full(err)
	}
	return w.file.datasync()
}

// makeRoom sees to it that n bytes and a header's worth of zeros behind them
// stand in the file.
func (w *writer) makeRoom(n int64) error {
	if w.scrub > w.off {
		if err := w.file.write(make([]byte, w.scrub-w.off), w.off); err != nil {
			return full(err)
		}
		if err := w.file.datasync(); err != nil {
			return err
		}
		w.scrub = 0
	}
	need := w.off + n + frameHeader - w.room
	if need <= 0 {
		return nil
	}
	for size := max(roundUp(need), extent); ; size = max(roundUp(need), size/2) {
		err := w.file.preallocate(w.room, size)
		if err == nil {
			err = w.file.datasync()
			if err == nil {
				w.room += size
			}
			return err
		}
		if !durable.IsFull(err) {
			return err
		}
		if err := w.file.truncate(w.room); err != nil {
			return err
		}
		if size == roundUp(need) {
			return fmt.Errorf("%w: %w", errFull, err)
		}
	}
}

func roundUp(n int64) int64 { return (n + minExtent - 1) / minExtent * minExtent }

// full turns an error of a full disk into errFull.
func full(err error) error {
	if durable.IsFull(err) {
		return fmt.Errorf("%w: %w", errFull, err)
	}
	return err
}

// newSegment makes the segment that begins at the next record.
func (w *writer) newSegment() error {
	h := header{first: w.count, log: w.log, subtrees: w.tree.Hashes()}
	frame := h.append(beginFrame(nil))
	sum := endFrame(frame, frameH, w.count, 0, w.previous)
	return w.publish(segmentName(w.count), frame, sum)
}

// publish makes a segment with content, whose last frame has the checksum sum,
// and goes on writing behind it. The segment appears under its name whole or
// not at all, and replaces what had the name. After errFull, publishing again
// begins with a new file, so that no file is synced again after an error.
func (w *writer) publish(name string, content []byte, sum uint32) error {
	tmp := name + ".tmp"
	if err := w.disk.remove(tmp); err != nil {
		return err
	}
	f, err := w.disk.create(tmp)
	if err != nil {
		return full(err)
	}
	room := roundUp(int64(len(content)) + frameHeader)
	err = f.preallocate(0, room)
	if err == nil {
		err = f.write(content, 0)
	}
	if err == nil {
		err = f.datasync()
	}
	if err == nil {
		err = w.disk.rename(tmp, name)
	}
	if err != nil {
		f.close()
		_ = w.disk.remove(tmp) // for the space; the next try removes it too
		return full(err)
	}
	if err := w.disk.syncDir(); err != nil {
		f.close()
		return err
	}
	f.name = name
	w.close()
	w.file, w.off, w.room, w.scrub, w.ended, w.previous = f, int64(len(content)), room, 0, false, sum
	return nil
}

// seal ends the segment: an end mark, and no zeros behind it.
func (w *writer) seal() error {
	if w.ended {
		w.close()
		return nil
	}
	frame := beginFrame(nil)
	sum := endFrame(frame, frameE, w.count, 0, w.previous)
	if err := w.makeRoom(0); err != nil { // scrubs; a header's room is always there
		return err
	}
	if err := w.put(frame); err != nil {
		return err
	}
	if err := w.file.truncate(w.off + frameHeader); err != nil {
		return err
	}
	if err := w.file.datasync(); err != nil {
		return err
	}
	w.previous = sum
	w.close()
	return nil
}

func (w *writer) close() {
	if w.file != nil {
		w.file.close()
		w.file = nil
	}
}
