package audit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/transparency-dev/merkle/compact"
)

// VerifyOptions says what a ledger is compared with.
type VerifyOptions struct {
	// PublicKeys are the keys that may have signed its checkpoints. Without any
	// the tree is compared with the checkpoints but nobody vouches for them.
	PublicKeys []*gm.PublicKey
	// Checkpoint, when given, was kept elsewhere. Only it can show that the end
	// of the ledger was taken away or that an old copy was put in its place.
	Checkpoint *SignedCheckpoint
}

// Report is the result of Verify.
type Report struct {
	OK  bool
	Log string

	Size   uint64                // records
	Root   [gm.DigestSize]byte   // of the tree of Size records
	Signed uint64                // records covered by the newest checkpoint
	Keys   [][gm.DigestSize]byte // fingerprints of the keys that signed
	// SignaturesChecked says that there are checkpoints and that every one was
	// verified under PublicKeys.
	SignaturesChecked bool
	// Torn counts bytes behind the last record that are a part of a frame: the
	// writer was at it, or died there. They were never acknowledged.
	Torn int

	// When not OK:
	FirstBad uint64 // seq of the first record that is missing, changed or unproven
	Why      string
}

// MarshalJSON returns {"ok":true,"size":n,"root":"…",…} or
// {"ok":false,"first_bad":n,"why":"…",…}.
func (r Report) MarshalJSON() ([]byte, error) {
	b := append([]byte(nil), `{"ok":`...)
	b = strconv.AppendBool(b, r.OK)
	if r.OK {
		b = strconv.AppendUint(appendMember(b, "size"), r.Size, 10)
		b = appendBytes(b, "root", r.Root[:])
		b = appendText(b, "log", r.Log)
		b = strconv.AppendUint(appendMember(b, "signed"), r.Signed, 10)
		b = strconv.AppendBool(appendMember(b, "signatures_checked"), r.SignaturesChecked)
		b = strconv.AppendInt(appendMember(b, "torn"), int64(r.Torn), 10)
	} else {
		b = strconv.AppendUint(appendMember(b, "first_bad"), r.FirstBad, 10)
		b = appendText(b, "why", r.Why)
	}
	return append(b, '}'), nil
}

// unsignedSlack is how much more than MaxUnsigned the records without a
// checkpoint may span: the writer judges a record when it is written, which is
// a little after its time was taken.
const unsignedSlack = time.Minute

// Verify reads the whole ledger in dir and checks every record, every frame,
// every checkpoint and the tree. It finds each edit, removal, insertion and
// exchange of records below a checkpoint. It needs no lock and may run beside
// the writer; it then judges what was there when it looked.
//
// The index that it names is exact when a record's checksum gives it away. When
// somebody has made the checksums good again, the tree shows between which two
// checkpoints the change lies, and the index is the first record there.
//
// The error is for a ledger that cannot be read; a damaged one is a Report.
func Verify(dir string, o VerifyOptions) (Report, error) { return verify(&disk{dir: dir}, o) }

func verify(d *disk, o VerifyOptions) (Report, error) {
	names, err := d.segments()
	var v verification
	if err == nil {
		v, err = newVerification(d, o), nil
		err = v.run(names)
	}
	var broken *BrokenError
	switch {
	case errors.As(err, &broken):
		return Report{FirstBad: broken.Index, Why: broken.Why}, nil
	case errors.Is(err, ErrBroken):
		return Report{Why: err.Error()}, nil
	case err != nil:
		return Report{}, fmt.Errorf("verify ledger: %w", err)
	}
	return v.report, nil
}

type verification struct {
	VerifyOptions
	scanner *scanner
	tree    treeCheck
	report  Report
}

func newVerification(d *disk, o VerifyOptions) verification {
	return verification{VerifyOptions: o, scanner: &scanner{read: d.read}, tree: treeCheck{tree: newTree()}}
}

func (v *verification) run(names []string) error {
	if len(names) == 0 {
		return brokenAt(0, "there is no ledger in the folder")
	}
	v.scanner.onHeader, v.scanner.onRecord, v.scanner.onCheckpoint = v.header, v.record, v.checkpoint
	if err := v.external(); err != nil {
		return err
	}
	if first := firstOf(names[0]); first != 0 {
		return brokenAt(0, "the ledger begins at record %d: the segments before it are missing", first)
	}
	if err := v.scanner.scan(names); err != nil {
		return err
	}
	return v.end()
}

// external takes in the checkpoint that was kept elsewhere.
func (v *verification) external() error {
	c := v.Checkpoint
	if c == nil {
		return nil
	}
	if len(v.PublicKeys) > 0 {
		if err := c.Verify(v.PublicKeys...); err != nil {
			return fmt.Errorf("the given checkpoint: %w", err)
		}
	}
	v.tree.claim(mark{c.Size, func(tree *compact.Range) error {
		if !bytes.Equal(rootOf(tree), c.Root[:]) {
			return v.tree.unproven(&c.Checkpoint)
		}
		v.tree.proven = c.Size
		return nil
	}})
	return nil
}

func (v *verification) header(h *header) error {
	if v.Checkpoint != nil && v.Checkpoint.Log != h.log {
		return fmt.Errorf("the given checkpoint is of the ledger %s, not %s", v.Checkpoint.Log, h.log)
	}
	if len(h.subtrees) != compact.RangeSize(0, h.first) {
		return brokenAt(h.first, "%s: the header has %d subtrees", v.scanner.name, len(h.subtrees))
	}
	name := v.scanner.name
	v.tree.claim(mark{h.first, func(tree *compact.Range) error {
		for i, want := range tree.Hashes() {
			if !bytes.Equal(want, h.subtrees[i]) {
				return brokenAt(h.first, "%s: the header's subtrees are not those of the records before it", name)
			}
		}
		return nil
	}})
	return nil
}

func (v *verification) record(seq uint64, leaf []byte) error {
	r, err := ParseRecord(leaf[1:])
	if err != nil {
		return brokenAt(seq, "%v", err)
	}
	if r.Seq != seq {
		return brokenAt(seq, "the record in this place has seq %d", r.Seq)
	}
	v.tree.pending = append(v.tree.pending, pendingOf(&r, leaf))
	if len(v.tree.pending) > MaxUnsignedRecords+maxBatch {
		return v.tree.unsigned() // now already: the rest need not be read into memory
	}
	return nil
}

func (v *verification) checkpoint(c *SignedCheckpoint) error {
	if len(v.PublicKeys) > 0 {
		if err := c.Verify(v.PublicKeys...); err != nil {
			return brokenAt(v.tree.proven, "%v", err)
		}
	}
	if err := v.tree.checkpoint(&c.Checkpoint); err != nil {
		return err
	}
	v.report.Signed = c.Size
	for _, k := range v.report.Keys {
		if k == c.Key {
			return nil
		}
	}
	v.report.Keys = append(v.report.Keys, c.Key)
	return nil
}

func (v *verification) end() error {
	if c := v.Checkpoint; c != nil && c.Size > v.tree.size() {
		return brokenAt(v.tree.size(), "a checkpoint of %d records was signed: the records from here on are missing", c.Size)
	}
	if err := v.tree.unsigned(); err != nil {
		return err
	}
	if err := v.tree.advance(v.tree.size()); err != nil {
		return err
	}
	r := &v.report
	r.OK, r.Log, r.Size, r.Torn = true, v.scanner.log, v.tree.size(), v.scanner.torn
	r.SignaturesChecked = len(v.PublicKeys) > 0 && len(r.Keys) > 0
	copy(r.Root[:], rootOf(v.tree.tree))
	return nil
}
