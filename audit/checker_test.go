package audit_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// This file is a second checker, written from docs/ledger.md alone. It shares no
// code with package audit but SM3 and SM2, keeps everything in memory, and
// follows the definitions of RFC 9162 literally.

type checkpoint struct {
	Log  string
	Root []byte
	Size int
}

type signedCheckpoint struct {
	Checkpoint json.RawMessage
	Key, Sig   []byte
}

// open verifies the signature and returns what was signed.
func (s signedCheckpoint) open(pub *gm.PublicKey) (c checkpoint, err error) {
	if fp := pub.Fingerprint(); !bytes.Equal(fp[:], s.Key) {
		return c, fmt.Errorf("checkpoint by another key")
	}
	if err := json.Unmarshal(s.Checkpoint, &c); err != nil {
		return c, err
	}
	return c, pub.Verify(s.Checkpoint, s.Sig)
}

type checker struct {
	pub      *gm.PublicKey
	log      string
	leaves   [][]byte
	times    []time.Time
	previous uint32
	signed   int
}

// checkLedger returns the number of records of a whole ledger.
func checkLedger(dir string, pub *gm.PublicKey) (int, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil || len(names) == 0 {
		return 0, fmt.Errorf("no segments: %v", err)
	}
	c := &checker{pub: pub} // Glob sorts
	for i, name := range names {
		if filepath.Base(name) != fmt.Sprintf("%020d.seg", len(c.leaves)) {
			return 0, fmt.Errorf("%s does not begin at record %d", name, len(c.leaves))
		}
		if err := c.segment(name, i == len(names)-1); err != nil {
			return 0, fmt.Errorf("near record %d: %w", len(c.leaves), err)
		}
	}
	times := slices.DeleteFunc(c.times[c.signed:], time.Time.IsZero)
	if n := len(times); n > 0 && times[n-1].Sub(times[0]) > 61*time.Minute {
		return 0, fmt.Errorf("checkpoints are missing behind record %d", c.signed)
	}
	return len(c.leaves), nil
}

// frame returns the length of the frame that data begins with, or 0.
func frame(data []byte) int {
	if len(data) < 28 || !bytes.HasPrefix(data, []byte{0xff, 'S', 'G'}) {
		return 0
	}
	n := binary.BigEndian.Uint32(data[4:])
	if n > 2<<20 || int(n) > len(data)-28 || crc(data[:24], data[28:28+n]) != binary.BigEndian.Uint32(data[24:]) {
		return 0
	}
	return 28 + int(n)
}

func (c *checker) segment(name string, last bool) error {
	data, err := os.ReadFile(name)
	kind := byte(0)
	for at := 0; err == nil; {
		n := frame(data[at:])
		if n == 0 {
			return end(data[at:], kind, last)
		}
		f := data[at : at+n]
		kind = f[3]
		switch {
		case (at == 0) != (kind == 'H'):
			return fmt.Errorf("a header out of place")
		case binary.BigEndian.Uint64(f[8:]) != uint64(len(c.leaves)) || binary.BigEndian.Uint32(f[20:]) != c.previous:
			return fmt.Errorf("a frame out of place")
		case kind == 'H':
			err = c.header(f[28:])
		case kind == 'B':
			err = c.batch(f[28:], binary.BigEndian.Uint32(f[16:]))
		case kind != 'E' || n != 28:
			err = fmt.Errorf("a frame of unknown kind")
		}
		c.previous = binary.BigEndian.Uint32(f[24:])
		at += n
	}
	return err
}

// end judges what follows the last whole frame (section 5).
func end(rest []byte, kind byte, last bool) error {
	piece := len(bytes.TrimRight(rest, "\x00"))
	if len(rest) == 0 && kind == 'E' || last && kind != 0 && len(rest) > 0 && piece == 0 {
		return nil
	}
	if !last || kind == 0 || piece > 2<<20+28 || len(rest)-piece < 28 {
		return fmt.Errorf("the segment was cut or changed")
	}
	for i := 1; i < piece; i++ {
		if frame(rest[i:]) > 0 {
			return fmt.Errorf("a frame was changed")
		}
	}
	return nil
}

func (c *checker) header(body []byte) error {
	var h struct { // encoding/json matches names without regard to case
		First    int
		Log      string
		Subtrees [][]byte
	}
	if err := json.Unmarshal(body, &h); err != nil || h.First != len(c.leaves) || c.log != "" && h.Log != c.log || len(h.Subtrees) != bits.OnesCount(uint(h.First)) {
		return fmt.Errorf("a header that does not fit")
	}
	c.log = h.Log
	for at := 0; at < h.First; h.Subtrees = h.Subtrees[1:] {
		size := 1 << (bits.Len(uint(h.First-at)) - 1)
		if !bytes.Equal(h.Subtrees[0], treeHash(c.leaves[at:at+size])) {
			return fmt.Errorf("a subtree that does not fit")
		}
		at += size
	}
	return nil
}

func (c *checker) batch(body []byte, count uint32) error {
	n := binary.BigEndian.Uint32(body)
	text, entries := body[4:4+n], body[4+n:]
	if n > 0 {
		var s signedCheckpoint
		malformed := json.Unmarshal(text, &s)
		p, err := s.open(c.pub)
		if malformed != nil || err != nil || p.Log != c.log || p.Size < c.signed || p.Size > len(c.leaves) || !bytes.Equal(p.Root, treeHash(c.leaves[:p.Size])) {
			return fmt.Errorf("the tree is not that of the checkpoint of %d records: %v", p.Size, err)
		}
		c.signed = p.Size
	}
	for range count {
		n := binary.BigEndian.Uint32(entries)
		leaf := entries[8 : 8+n]
		var r struct {
			Seq  int
			Time time.Time
			Type string
		}
		if crc(leaf) != binary.BigEndian.Uint32(entries[4:]) || json.Unmarshal(leaf[1:], &r) != nil || r.Seq != len(c.leaves) || leaf[0] != 0 {
			return fmt.Errorf("a record was changed")
		}
		if r.Type == "admin.recovered" {
			r.Time = time.Time{} // written before the first checkpoint of a new process
		}
		c.leaves, c.times, entries = append(c.leaves, hash(leaf)), append(c.times, r.Time), entries[8+n:]
	}
	if len(entries) > 0 {
		return fmt.Errorf("more in a batch than it says")
	}
	return nil
}

func hash(parts ...[]byte) []byte { h := gm.SM3(parts...); return h[:] }

func crc(parts ...[]byte) uint32 {
	return crc32.Checksum(bytes.Join(parts, nil), crc32.MakeTable(crc32.Castagnoli))
}

// treeHash is MTH of RFC 9162 section 2.1.1 over leaf hashes.
func treeHash(leaves [][]byte) []byte {
	if len(leaves) < 2 {
		return append([][]byte{hash()}, leaves...)[len(leaves)] // SM3 of nothing, or the leaf
	}
	k := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	return hash([]byte{1}, treeHash(leaves[:k]), treeHash(leaves[k:]))
}
