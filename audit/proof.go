package audit

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
)

// ErrProof says that bytes are not a proof, or prove nothing.
var ErrProof = errors.New("not a valid proof")

// Inclusion shows to somebody who has nothing of the ledger that Record is its
// record Index: the hashes lead from the record to the root that Signed states
// (RFC 9162 section 2.1.3).
type Inclusion struct {
	Index  uint64
	Record []byte // canonical JSON
	Hashes [][]byte
	Signed *SignedCheckpoint
}

// Consistency shows that the ledger of To continues the ledger of From: nothing
// below From was changed or removed (RFC 9162 section 2.1.4).
type Consistency struct {
	From, To *SignedCheckpoint
	Hashes   [][]byte
}

// ErrNoRecord says that the ledger is shorter than the number asked for.
var ErrNoRecord = errors.New("no such record")

// ErrNotCovered says that no checkpoint covers the record yet. The writer signs
// one soon; ask again.
var ErrNotCovered = errors.New("no checkpoint covers the record yet")

// ReadHead returns the head of the ledger in dir: all records that are there,
// and the newest checkpoint (nil before the first). It reads the last segment,
// checks it against that checkpoint's root, and verifies no signature.
func ReadHead(dir string) (Head, error) {
	d := &disk{dir: dir}
	names, err := d.segments()
	if err != nil {
		return Head{}, err
	}
	if len(names) == 0 {
		return Head{}, errors.New("there is no ledger in the folder")
	}
	s, _, err := readBack(d, names)
	if err != nil {
		return Head{}, err
	}
	return Head{s.count, s.last}, nil
}

// Prove returns the proof that record index stands in the ledger in dir, against
// the newest checkpoint. The proof has been checked against that checkpoint's
// root; its signature is for the receiver to verify.
func Prove(dir string, index uint64) (*Inclusion, error) {
	head, err := ReadHead(dir)
	if err != nil {
		return nil, err
	}
	if index >= head.Size {
		return nil, fmt.Errorf("%w: the ledger has %d, number %d was asked for", ErrNoRecord, head.Size, index)
	}
	if head.Signed == nil || index >= head.Signed.Size {
		return nil, ErrNotCovered
	}
	p := &Inclusion{Index: index, Signed: head.Signed}
	nodes, err := proof.Inclusion(index, head.Signed.Size)
	if err != nil {
		return nil, err
	}
	d := &disk{dir: dir}
	names, err := d.segments()
	if err != nil {
		return nil, err
	}
	// The header of the segment that holds the record has every hash that the
	// proof needs from before it.
	for len(names) > 1 && firstOf(names[1]) <= index {
		names = names[1:]
	}
	p.Hashes, err = gather(d, names, head.Signed.Size, nodes, func(seq uint64, record []byte) {
		if seq == index {
			p.Record = bytes.Clone(record)
		}
	})
	if err != nil {
		return nil, err
	}
	return p, p.check()
}

// ProveConsistency returns the proof that the newest checkpoint of the ledger
// in dir continues from, which was kept elsewhere.
func ProveConsistency(dir string, from *SignedCheckpoint) (*Consistency, error) {
	head, err := ReadHead(dir)
	if err != nil {
		return nil, err
	}
	if head.Signed == nil || head.Signed.Size < from.Size {
		return nil, brokenAt(head.Size, "a checkpoint of %d records was signed: the records from here on are missing", from.Size)
	}
	nodes, err := proof.Consistency(from.Size, head.Signed.Size)
	if err != nil {
		return nil, err
	}
	d := &disk{dir: dir}
	names, err := d.segments()
	if err != nil {
		return nil, err
	}
	c := &Consistency{From: from, To: head.Signed}
	if c.Hashes, err = gather(d, names, head.Signed.Size, nodes, nil); err != nil {
		return nil, err
	}
	return c, c.check()
}

// gather reads the ledger from names on and returns the hashes of nodes in the
// tree of size records.
func gather(d *disk, names []string, size uint64, nodes proof.Nodes, see func(seq uint64, record []byte)) ([][]byte, error) {
	hashes := make([][]byte, len(nodes.IDs))
	visit := func(id compact.NodeID, hash []byte) {
		for i, want := range nodes.IDs {
			if want == id {
				hashes[i] = hash
			}
		}
	}
	var tree *compact.Range
	s := &scanner{read: d.read}
	s.onHeader = func(h *header) (err error) {
		if tree != nil {
			return nil
		}
		if tree, err = resumeTree(h.first, h.subtrees); err != nil {
			return brokenAt(h.first, "%s: %v", s.name, err)
		}
		for i, id := range compact.RangeNodes(0, h.first, nil) {
			visit(id, h.subtrees[i])
		}
		return nil
	}
	s.onRecord = func(seq uint64, leaf []byte) error {
		if seq >= size {
			return errStop
		}
		if see != nil {
			see(seq, leaf[1:])
		}
		return tree.Append(hashLeaf(leaf), visit)
	}
	if err := s.scan(names); err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	for i, h := range hashes {
		if h == nil {
			return nil, brokenAt(s.count, "the tree lacks the node %v", nodes.IDs[i])
		}
	}
	return nodes.Rehash(hashes, sm3Hasher{}.HashChildren)
}

func (p *Inclusion) check() error {
	r, err := ParseRecord(p.Record)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	if r.Seq != p.Index {
		return fmt.Errorf("%w: the record has seq %d, not %d", ErrProof, r.Seq, p.Index)
	}
	leaf := sm3Hasher{}.HashLeaf(p.Record)
	if err := proof.VerifyInclusion(sm3Hasher{}, p.Index, p.Signed.Size, leaf, p.Hashes, p.Signed.Root[:]); err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// Verify checks the proof and the checkpoint's signature under one of keys. It
// returns nil, or an error that is ErrProof or ErrCheckpoint.
func (p *Inclusion) Verify(keys ...*gm.PublicKey) error {
	if err := p.Signed.Verify(keys...); err != nil {
		return err
	}
	return p.check()
}

func (c *Consistency) check() error {
	if c.From.Log != c.To.Log {
		return fmt.Errorf("%w: checkpoints of two ledgers, %s and %s", ErrProof, c.From.Log, c.To.Log)
	}
	err := proof.VerifyConsistency(sm3Hasher{}, c.From.Size, c.To.Size, c.Hashes, c.From.Root[:], c.To.Root[:])
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}

// Verify checks the proof and both signatures under keys. It returns nil, or an
// error that is ErrProof or ErrCheckpoint.
func (c *Consistency) Verify(keys ...*gm.PublicKey) error {
	for _, s := range []*SignedCheckpoint{c.From, c.To} {
		if err := s.Verify(keys...); err != nil {
			return err
		}
	}
	return c.check()
}

// Marshal returns
//
//	{"checkpoint":{signed},"hashes":["base64"…],"index":n,"record":{…},"v":1}
func (p *Inclusion) Marshal() []byte {
	b := append([]byte(nil), `{"checkpoint":`...)
	b = append(b, p.Signed.Marshal()...)
	b = appendHashes(b, p.Hashes)
	b = strconv.AppendUint(appendMember(b, "index"), p.Index, 10)
	b = append(appendMember(b, "record"), p.Record...)
	return append(b, `,"v":1}`...)
}

// Marshal returns
//
//	{"from":{signed},"hashes":["base64"…],"to":{signed},"v":1}
func (c *Consistency) Marshal() []byte {
	b := append([]byte(nil), `{"from":`...)
	b = append(b, c.From.Marshal()...)
	b = appendHashes(b, c.Hashes)
	b = append(appendMember(b, "to"), c.To.Marshal()...)
	return append(b, `,"v":1}`...)
}

func appendHashes(b []byte, hashes [][]byte) []byte {
	b = append(appendMember(b, "hashes"), '[')
	for i, h := range hashes {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, base64Std(h))
	}
	return append(b, ']')
}

// maxHashes is more than any proof over fewer than 2^53 records has.
const maxHashes = 128

// hashes reads an array of digests, which may be empty.
func (r *reader) hashes(name string) [][]byte {
	if !r.member(name) {
		r.fail("member %s is missing or out of order", name)
		return nil
	}
	if bytes.HasPrefix(r.in[r.pos:], []byte("[]")) {
		r.pos += 2
		return nil
	}
	r.expect('[')
	var out [][]byte
	for r.err == nil {
		s := r.text()
		if len(out) == maxHashes || !isDigest(s) {
			r.fail("want at most %d values that are the base64 of 32 bytes", maxHashes)
			return nil
		}
		out = append(out, unbase64(s))
		if r.pos >= len(r.in) || r.in[r.pos] != ',' {
			r.expect(']')
			break
		}
		r.pos++
	}
	return out
}

// ParseInclusion reads what (*Inclusion).Marshal makes, and nothing else. It
// verifies nothing. Errors are ErrProof.
func ParseInclusion(data []byte) (*Inclusion, error) {
	in := &reader{in: data}
	p := new(Inclusion)
	in.open()
	if !in.member("checkpoint") {
		in.fail("member checkpoint is missing")
	}
	p.Signed = readSigned(in)
	p.Hashes = in.hashes("hashes")
	p.Index = uint64(in.requiredInteger("index"))
	if !in.member("record") {
		in.fail("member record is missing or out of order")
	}
	if start := in.pos; in.err == nil {
		readRecord(in)
		p.Record = bytes.Clone(data[start:in.pos])
	}
	readVersion(in)
	in.close()
	in.end()
	if err := endProof(in, data, p.Marshal); err != nil {
		return nil, err
	}
	return p, nil
}

// ParseConsistency reads what (*Consistency).Marshal makes, and nothing else. It
// verifies nothing. Errors are ErrProof.
func ParseConsistency(data []byte) (*Consistency, error) {
	in := &reader{in: data}
	c := new(Consistency)
	in.open()
	if !in.member("from") {
		in.fail("member from is missing")
	}
	c.From = readSigned(in)
	c.Hashes = in.hashes("hashes")
	if !in.member("to") {
		in.fail("member to is missing or out of order")
	}
	c.To = readSigned(in)
	readVersion(in)
	in.close()
	in.end()
	if err := endProof(in, data, c.Marshal); err != nil {
		return nil, err
	}
	return c, nil
}

func endProof(in *reader, data []byte, again func() []byte) error {
	err := in.err
	switch {
	case len(data) > MaxRecordSize+16<<10:
		err = fmt.Errorf("%d bytes are too many", len(data))
	case err == nil && !bytes.Equal(again(), data):
		err = errors.New("not in canonical form")
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrProof, err)
	}
	return nil
}
