package ofd

import (
	"bytes"
	"compress/flate"
	"errors"
	"hash/crc32"
	"io"

	"github.com/sealgate/sealgate/internal/gm"
)

// blob is the content of one file, shared between packages that hold the same
// packed bytes. It is checked against its checksum and its two sizes each time
// it is unpacked, which is once for reading and once for digesting, unless the
// package is so large that not all of it is kept.
type blob struct {
	packed []byte
	method uint16
	crc    uint32
	size   int

	content  []byte // set by read, as far as contents are kept
	digest   [gm.DigestSize]byte
	digested bool
	err      error // what damaged content gives, once known: errDamaged or errLies

	trees map[string]parsed // by what was pruned; set by Package.parse
}

// parsed is the result of reading content as XML.
type parsed struct {
	root *node
	err  *xmlError
}

var (
	errDamaged = errors.New("the content is damaged: it does not unpack, or its checksum differs")
	errLies    = errors.New("the content is longer or shorter than the directory says")
)

// sameAs reports whether both hold the same packed bytes, and so the same content.
func (b *blob) sameAs(o *blob) bool {
	return b.method == o.method && b.crc == o.crc && b.size == o.size && bytes.Equal(b.packed, o.packed)
}

// unpacker reuses one inflater and one buffer for the files of a package, and
// counts what is kept of them.
type unpacker struct {
	kept  int // bytes of unpacked content
	src   bytes.Reader
	flate io.ReadCloser
	chunk []byte
}

func (u *unpacker) reset(packed []byte) io.Reader {
	u.src.Reset(packed)
	if u.flate == nil {
		u.flate = flate.NewReader(&u.src)
		return u.flate
	}
	u.flate.(flate.Resetter).Reset(&u.src, nil) // of a flate reader: never fails
	return u.flate
}

// finish checks that the stream ends here, and with it the packed bytes.
func (u *unpacker) finish(r io.Reader) error {
	var one [1]byte
	switch n, err := io.ReadFull(r, one[:]); {
	case n != 0:
		return errLies
	case err != io.EOF:
		return errDamaged
	case u.src.Len() != 0:
		return errLies
	}
	return nil
}

// read returns the whole content. The caller must not change it.
func (b *blob) read(u *unpacker) ([]byte, error) {
	if b.err != nil || b.content != nil {
		return b.content, b.err
	}
	if b.method == methodStored {
		if crc32.ChecksumIEEE(b.packed) != b.crc {
			b.err = errDamaged
			return nil, b.err
		}
		b.content = b.packed[:len(b.packed):len(b.packed)]
		return b.content, nil
	}
	r := u.reset(b.packed)
	out := make([]byte, b.size)
	if _, err := io.ReadFull(r, out); err != nil {
		b.err = whyShort(r)
		return nil, b.err
	}
	if b.err = u.finish(r); b.err == nil && crc32.ChecksumIEEE(out) != b.crc {
		b.err = errDamaged
	}
	if b.err != nil {
		return nil, b.err
	}
	if u.kept+len(out) <= maxContentKept {
		u.kept += len(out)
		b.content = out
	}
	return out, nil
}

// whyShort tells a stream that ended early from one that is broken or cut off:
// only a finished inflater keeps answering io.EOF.
func whyShort(r io.Reader) error {
	var one [1]byte
	if _, err := r.Read(one[:]); err == io.EOF {
		return errLies
	}
	return errDamaged
}

// sum returns the SM3 digest of the content. It keeps no content that was not
// read before, so that digesting a large package needs little memory.
func (b *blob) sum(u *unpacker) ([gm.DigestSize]byte, error) {
	if b.digested || b.err != nil {
		return b.digest, b.err
	}
	if b.content != nil || b.method == methodStored {
		content, err := b.read(u)
		if err != nil {
			return b.digest, err
		}
		b.digest, b.digested = gm.SM3(content), true
		return b.digest, nil
	}
	if u.chunk == nil {
		u.chunk = make([]byte, 64<<10)
	}
	r := u.reset(b.packed)
	h, crc := gm.NewSM3(), crc32.NewIEEE()
	for left := b.size; left > 0; {
		n, err := io.ReadFull(r, u.chunk[:min(left, len(u.chunk))])
		if err != nil {
			b.err = whyShort(r)
			return b.digest, b.err
		}
		h.Write(u.chunk[:n])
		crc.Write(u.chunk[:n])
		left -= n
	}
	if b.err = u.finish(r); b.err == nil && crc.Sum32() != b.crc {
		b.err = errDamaged
	}
	if b.err == nil {
		h.Sum(b.digest[:0])
		b.digested = true
	}
	return b.digest, b.err
}
