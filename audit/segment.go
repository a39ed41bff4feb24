package audit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/sealgate/sealgate/internal/gm"
)

// A segment is a sequence of frames, followed by zeros while it is being
// written and by nothing once it was closed. docs/ledger.md is the reference:
//
//	 0  4  FF 53 47 and the kind: 'H' header, 'B' batch, 'E' end
//	 4  4  length of the body
//	 8  8  number of records before this frame
//	16  4  number of records in the body
//	20  4  checksum of the frame before; 0 for the ledger's first
//	24  4  checksum: CRC-32C of bytes 0..23 and the body
//	28     body
//
// Numbers are big-endian. One write to the disk is one frame, so that a crash
// leaves whole frames and at most one part of a frame at the end. The byte FF
// cannot occur in the JSON inside a body, so that a part of a frame cannot pass
// for a frame.
//
// Checksums find accidents and name the place. What finds an adversary is the
// tree.
const (
	frameHeader = 28
	frameH      = 'H'
	frameB      = 'B'
	frameE      = 'E'

	// maxBody bounds one batch; maxBatchBytes of records, one more record that
	// was begun below it, and a checkpoint fit.
	maxBody       = 2 << 20
	maxBatchBytes = 1 << 20
	maxBatch      = 4096 // records

	// entryHeader precedes each record of a batch: length and CRC-32C of the
	// leaf input, which is 0x00 || record.
	entryHeader = 8
)

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) } // the table is made once by crc32

type frame struct {
	kind     byte
	seq      uint64
	count    uint32
	previous uint32
	checksum uint32
	body     []byte
	size     int // of the whole frame in bytes
}

var errFrame = errors.New("no frame")

// parseFrame reads the frame that data begins with, judged by itself alone.
func parseFrame(data []byte) (frame, error) {
	f, err := parseFrameHeader(data)
	if err != nil {
		return frame{}, err
	}
	sum := crc32.Update(0, castagnoli(), data[:frameHeader-4])
	if crc32.Update(sum, castagnoli(), f.body) != f.checksum {
		return frame{}, errFrame
	}
	return f, nil
}

// parseFrameHeader does not look at the checksum.
func parseFrameHeader(data []byte) (f frame, err error) {
	if len(data) < frameHeader || data[0] != 0xff || data[1] != 'S' || data[2] != 'G' {
		return frame{}, errFrame
	}
	f = frame{
		kind:     data[3],
		seq:      binary.BigEndian.Uint64(data[8:]),
		count:    binary.BigEndian.Uint32(data[16:]),
		previous: binary.BigEndian.Uint32(data[20:]),
		checksum: binary.BigEndian.Uint32(data[24:]),
	}
	n := binary.BigEndian.Uint32(data[4:])
	if n > maxBody || int(n) > len(data)-frameHeader {
		return frame{}, errFrame
	}
	f.body = data[frameHeader : frameHeader+int(n)]
	f.size = frameHeader + int(n)
	return f, nil
}

// beginFrame appends room for a frame header; endFrame fills it in when the
// body has been appended, and returns the checksum.
func beginFrame(dst []byte) []byte { return append(dst, make([]byte, frameHeader)...) }

func endFrame(buf []byte, kind byte, seq uint64, count int, previous uint32) uint32 {
	copy(buf, []byte{0xff, 'S', 'G', kind})
	binary.BigEndian.PutUint32(buf[4:], uint32(len(buf)-frameHeader))
	binary.BigEndian.PutUint64(buf[8:], seq)
	binary.BigEndian.PutUint32(buf[16:], uint32(count))
	binary.BigEndian.PutUint32(buf[20:], previous)
	sum := crc32.Update(0, castagnoli(), buf[:frameHeader-4])
	sum = crc32.Update(sum, castagnoli(), buf[frameHeader:])
	binary.BigEndian.PutUint32(buf[24:], sum)
	return sum
}

// beginEntry appends room for an entry and the leaf prefix; the record follows.
// endEntry, called with what was appended since, fills in length and checksum.
func beginEntry(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0, 0, 0, 0, 0, leafPrefix)
}

func endEntry(entry []byte) {
	leaf := entry[entryHeader:]
	binary.BigEndian.PutUint32(entry, uint32(len(leaf)))
	binary.BigEndian.PutUint32(entry[4:], crc32.Update(0, castagnoli(), leaf))
}

// The body of a batch: the length of a signed checkpoint (4 bytes, 0 for none)
// and the checkpoint, then the entries.

// batchCheckpoint splits a batch into its checkpoint and its entries.
func batchCheckpoint(body []byte) (signed, entries []byte, err error) {
	if len(body) < 4 {
		return nil, nil, errFrame
	}
	n := binary.BigEndian.Uint32(body)
	if n > maxCheckpoint || int(n) > len(body)-4 {
		return nil, nil, errFrame
	}
	return body[4 : 4+n], body[4+n:], nil
}

// nextEntry splits off the first entry and returns its leaf input.
func nextEntry(entries []byte) (leaf, rest []byte, err error) {
	if len(entries) < entryHeader {
		return nil, nil, errFrame
	}
	n := binary.BigEndian.Uint32(entries)
	sum := binary.BigEndian.Uint32(entries[4:])
	entries = entries[entryHeader:]
	if n < 2 || n > MaxRecordSize+1 || int(n) > len(entries) || entries[0] != leafPrefix {
		return nil, nil, errFrame
	}
	if crc32.Update(0, castagnoli(), entries[:n]) != sum {
		return nil, nil, errFrame
	}
	return entries[:n], entries[n:], nil
}

// header is the body of a segment's first frame:
//
//	{"first":n,"log":"…","subtrees":["base64"…],"v":1}
//
// subtrees are the roots of the perfect subtrees that the records before the
// segment make, from left to right: enough to go on with the tree without
// reading those records. They are a short cut and no evidence; Verify computes
// them again.
type header struct {
	first    uint64
	log      string
	subtrees [][]byte
}

func (h *header) append(b []byte) []byte {
	b = append(b, '{')
	b = strconv.AppendUint(appendMember(b, "first"), h.first, 10)
	b = appendText(b, "log", h.log)
	b = append(appendMember(b, "subtrees"), '[')
	for i, s := range h.subtrees {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, base64Std(s))
	}
	return append(b, `],"v":1}`...)
}

func parseHeader(body []byte) (*header, error) {
	in := &reader{in: body}
	in.open()
	h := &header{first: uint64(in.requiredInteger("first")), log: in.required("log")}
	if bytes.HasPrefix(body[min(in.pos, len(body)):], []byte(`,"subtrees":[],`)) {
		in.pos += len(`,"subtrees":[]`)
	} else {
		for _, s := range in.texts("subtrees", 64) {
			if !isDigest(s) {
				in.fail("a subtree is not the base64 of 32 bytes")
				break
			}
			h.subtrees = append(h.subtrees, unbase64(s))
		}
	}
	readVersion(in)
	in.close()
	in.end()
	if in.err == nil {
		in.err = checkLog(h.log)
	}
	if in.err == nil && !bytes.Equal(h.append(nil), body) {
		in.err = errors.New("not in canonical form")
	}
	if in.err != nil {
		return nil, fmt.Errorf("segment header: %w", in.err)
	}
	return h, nil
}

// hashLeaf hashes a leaf input as nextEntry returns it.
func hashLeaf(leaf []byte) []byte {
	h := gm.SM3(leaf)
	return h[:]
}
