package ofd

import (
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
)

// Record signatures and fixed sizes of the zip format (APPNOTE 6.3).
const (
	sigLocal      = 0x04034b50
	sigCentral    = 0x02014b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator64  = 0x07064b50
	sigDescriptor = 0x08074b50

	localLen     = 30
	centralLen   = 46
	endLen       = 22
	end64Len     = 56
	locator64Len = 20

	methodStored  = 0
	methodDeflate = 8

	flagEncrypted  = 1 << 0
	flagDescriptor = 1 << 3
	flagPatched    = 1 << 5
	flagStrong     = 1 << 6
	flagUTF8       = 1 << 11
	flagMasked     = 1 << 13

	extraZip64       = 0x0001
	extraUnicodePath = 0x7075
)

// entry is one record of the central directory. Offsets are absolute in the
// package's bytes.
type entry struct {
	name   string
	dir    bool
	flags  uint16
	method uint16
	crc    uint32
	packed uint64 // bytes as stored
	size   uint64 // bytes unpacked

	offset  int64  // of the local header
	body    int64  // of the packed content
	end     int64  // behind the data descriptor, or behind the content
	central []byte // the record itself, fixed part, name, extra field and comment

	*blob // nil for folders
}

// archive is a zip file that can be read in one way only.
type archive struct {
	data    []byte
	entries []*entry // in the order of the central directory
	files   map[string]*entry
	folded  map[string]*entry // by foldName; names are unique under it
	prefix  int64             // bytes before the first entry
	comment []byte
}

// readArchive reads the central directory and checks every header against it.
// It does not unpack anything. The archive is nil when a problem is fatal.
func readArchive(data []byte) (*archive, problems) {
	var ps problems
	if len(data) > MaxFileSize {
		ps.add(1, CodeZipLimit, "", "the package has %d bytes, at most %d are read", len(data), MaxFileSize)
		return nil, ps
	}
	end := readEnd(data, &ps)
	if end == nil {
		return nil, ps
	}
	a := &archive{data: data, comment: end.comment}
	base := end.start - end.offset // what a prefix added to every offset
	dir := data[end.start : end.start+end.size]
	total := uint64(0)
	a.entries = make([]*entry, 0, min(end.count, MaxEntries))
	for n := int64(0); n < end.count; n++ {
		e, rest := readCentral(dir, base, &ps)
		if e == nil {
			return nil, ps
		}
		dir = rest
		total += checkEntry(e, &ps)
		if total > MaxTotalSize {
			ps.add(1, CodeZipLimit, "", "the entries unpack to more than %d bytes", MaxTotalSize)
			return nil, ps
		}
		a.entries = append(a.entries, e)
	}
	if len(dir) != 0 {
		ps.add(1, CodeZipFormat, "", "the central directory holds %d bytes behind its last entry", len(dir))
		return nil, ps
	}
	a.checkNames(&ps)
	a.checkLayout(end, &ps)
	if ps.fatal() {
		return nil, ps
	}
	for _, e := range a.entries {
		if !e.dir {
			e.blob = &blob{method: e.method, crc: e.crc, size: int(e.size), packed: data[e.body : e.body+int64(e.packed)]}
		}
	}
	return a, ps
}

// readCentral reads one record of the directory and returns what follows it.
func readCentral(dir []byte, base int64, ps *problems) (*entry, []byte) {
	if len(dir) < centralLen || le32(dir) != sigCentral {
		ps.add(1, CodeZipFormat, "", "the central directory ends early or holds something that is no entry")
		return nil, nil
	}
	nameLen, extraLen, commentLen := int(le16(dir[28:])), int(le16(dir[30:])), int(le16(dir[32:]))
	whole := centralLen + nameLen + extraLen + commentLen
	if len(dir) < whole {
		ps.add(1, CodeZipFormat, "", "an entry of the central directory is cut off")
		return nil, nil
	}
	e := &entry{
		name:    string(dir[centralLen : centralLen+nameLen]),
		flags:   le16(dir[8:]),
		method:  le16(dir[10:]),
		crc:     le32(dir[16:]),
		packed:  uint64(le32(dir[20:])),
		size:    uint64(le32(dir[24:])),
		central: dir[:whole:whole],
	}
	e.dir = strings.HasSuffix(e.name, "/")
	extra, err := parseExtra(dir[centralLen+nameLen : centralLen+nameLen+extraLen])
	if err != "" {
		ps.add(1, CodeZipFormat, e.name, "the extra field of the central entry %s", err)
		return nil, nil
	}
	offset := uint64(le32(dir[42:]))
	disk := uint64(le16(dir[34:]))
	if !extra.widen(&e.size, &e.packed, &offset, &disk) {
		ps.add(1, CodeZipFormat, e.name, "the zip64 field of the central entry is missing or does not fit")
		return nil, nil
	}
	if extra.altName != nil && string(extra.altName) != e.name {
		ps.add(2, CodeZipMismatch, e.name, "a second name stands in the extra field")
	}
	if disk != 0 {
		ps.add(1, CodeZipFormat, e.name, "the entry is on another disk")
		return nil, nil
	}
	if offset > MaxFileSize {
		ps.add(1, CodeZipFormat, e.name, "the local header lies outside the package")
		return nil, nil
	}
	e.offset = base + int64(offset)
	if mode := le32(dir[38:]) >> 28; mode != 0 && mode != 8 && mode != 4 {
		ps.add(2, CodeZipPath, e.name, "the entry is a symbolic link or a device, not a file")
	}
	return e, dir[whole:]
}

// checkEntry checks what the central record alone tells, and returns the size
// that counts towards the total.
func checkEntry(e *entry, ps *problems) uint64 {
	switch {
	case e.flags&(flagEncrypted|flagStrong|flagMasked) != 0:
		ps.add(2, CodeZipFormat, e.name, "the entry is encrypted")
	case e.flags&flagPatched != 0:
		ps.add(2, CodeZipFormat, e.name, "the entry holds patch data")
	case e.method != methodStored && e.method != methodDeflate:
		ps.add(1, CodeZipFormat, e.name, "compression method %d is neither stored nor deflate", e.method)
	case e.method == methodStored && e.packed != e.size:
		ps.add(2, CodeZipMismatch, e.name, "a stored entry has two sizes")
	case e.dir && (e.size != 0 || e.crc != 0):
		ps.add(2, CodeZipMismatch, e.name, "a folder has content")
	}
	if e.size > MaxEntrySize {
		ps.add(1, CodeZipLimit, e.name, "the entry unpacks to %d bytes, at most %d are read", e.size, MaxEntrySize)
		return MaxTotalSize / 2
	}
	if e.size > ratioFrom && e.size > e.packed*MaxRatio {
		ps.add(1, CodeZipLimit, e.name, "the entry unpacks to more than %d times its size", MaxRatio)
	}
	return e.size
}

// checkLayout checks every local header, and that local headers, contents and
// descriptors fill the bytes before the central directory without overlap or gap.
func (a *archive) checkLayout(end *endRecord, ps *problems) {
	byOffset := slices.Clone(a.entries)
	slices.SortStableFunc(byOffset, func(x, y *entry) int {
		switch {
		case x.offset < y.offset:
			return -1
		case x.offset > y.offset:
			return 1
		}
		return 0
	})
	for i, e := range byOffset {
		next := end.start
		if i+1 < len(byOffset) {
			next = byOffset[i+1].offset
		}
		if i == 0 {
			a.prefix = e.offset
		}
		if next > end.start || e.offset+localLen > next {
			ps.add(2, CodeZipMismatch, e.name, "the entry overlaps another entry or the directory")
			continue
		}
		a.checkLocal(e, next, ps)
	}
	if a.prefix > 0 {
		junk := a.data[:a.prefix]
		if hasRecord(junk) {
			ps.add(1, CodeZipFormat, "", "the bytes before the first entry hold zip records of their own")
		}
		ps.add(2, CodeZipPrefix, "", "%d bytes stand before the first entry", a.prefix)
	}
	if base := end.start - end.offset; base > 0 && end.offset+4 <= int64(len(a.data)) && le32(a.data[end.offset:]) == sigCentral {
		ps.add(1, CodeZipFormat, "", "the package has two central directories, one at the stated and one at the real place")
	}
}

// checkLocal checks the local header of e, and that the entry ends at next.
func (a *archive) checkLocal(e *entry, next int64, ps *problems) {
	h := a.data[e.offset:next]
	if le32(h) != sigLocal {
		ps.add(2, CodeZipMismatch, e.name, "no local header stands where the directory says")
		return
	}
	nameLen, extraLen := int64(le16(h[26:])), int64(le16(h[28:]))
	if localLen+nameLen+extraLen > int64(len(h)) {
		ps.add(2, CodeZipMismatch, e.name, "the local header runs into the next entry")
		return
	}
	if string(h[localLen:localLen+nameLen]) != e.name {
		ps.add(2, CodeZipMismatch, e.name, "the local header has another name")
	}
	if le16(h[6:]) != e.flags || le16(h[8:]) != e.method {
		ps.add(2, CodeZipMismatch, e.name, "flags or method of the local header differ from the directory")
	}
	crc, packed, size := le32(h[14:]), uint64(le32(h[18:])), uint64(le32(h[22:]))
	extra, bad := parseExtra(h[localLen+nameLen : localLen+nameLen+extraLen])
	if bad != "" || !extra.widen(&size, &packed) {
		ps.add(2, CodeZipMismatch, e.name, "the extra field of the local header is malformed or lacks its zip64 sizes")
		return
	}
	if extra.altName != nil && string(extra.altName) != e.name {
		ps.add(2, CodeZipMismatch, e.name, "a second name stands in the extra field")
	}
	same := crc == e.crc && packed == e.packed && size == e.size
	streamed := e.flags&flagDescriptor != 0
	blank := (crc == 0 || crc == e.crc) && (packed == 0 || packed == e.packed) && (size == 0 || size == e.size)
	if !same && (!streamed || !blank) {
		ps.add(2, CodeZipMismatch, e.name, "checksum or sizes of the local header differ from the directory")
	}
	e.body = e.offset + localLen + nameLen + extraLen
	if e.packed > uint64(next-e.body) {
		ps.add(2, CodeZipMismatch, e.name, "the entry overlaps the next entry or the directory")
		return
	}
	e.end = e.body + int64(e.packed)
	if e.dir && e.packed > 0 && !isEmptyDeflate(a.data[e.body:e.end]) {
		ps.add(2, CodeZipMismatch, e.name, "a folder has content")
	}
	tail := a.data[e.end:next]
	switch {
	case streamed && e.method == methodStored && bytes.Contains(a.data[e.body:e.end], []byte("PK\x07\x08")):
		ps.add(2, CodeZipMismatch, e.name, "a stored entry of unstated length contains a data descriptor: readers disagree on where it ends")
	case streamed && !descriptorMatches(tail, e):
		ps.add(2, CodeZipMismatch, e.name, "the data descriptor is missing, differs from the directory, or is followed by other bytes")
	case !streamed && len(tail) != 0:
		ps.add(2, CodeZipMismatch, e.name, "%d bytes stand between this entry and the next", len(tail))
	}
	e.end = next
}

// isEmptyDeflate knows the two forms in which writers deflate nothing.
func isEmptyDeflate(packed []byte) bool {
	return string(packed) == "\x03\x00" || string(packed) == "\x01\x00\x00\xff\xff"
}

// descriptorMatches accepts the four forms in use: 4- or 8-byte sizes, with or
// without the signature.
func descriptorMatches(d []byte, e *entry) bool {
	if len(d) == 16 || len(d) == 24 {
		if le32(d) != sigDescriptor {
			return false
		}
		d = d[4:]
	}
	switch len(d) {
	case 12:
		return le32(d) == e.crc && uint64(le32(d[4:])) == e.packed && uint64(le32(d[8:])) == e.size
	case 20:
		return le32(d) == e.crc && le64(d[4:]) == e.packed && le64(d[12:]) == e.size
	}
	return false
}

// extraField is what this reader uses of an extra field.
type extraField struct {
	zip64   []byte
	altName []byte // Info-ZIP Unicode Path: the name that some readers prefer
}

// parseExtra splits an extra field; up to three bytes of padding may follow.
func parseExtra(b []byte) (x extraField, problem string) {
	for len(b) >= 4 {
		id, n := le16(b), int(le16(b[2:]))
		if len(b) < 4+n {
			return x, "is malformed"
		}
		body := b[4 : 4+n]
		b = b[4+n:]
		switch id {
		case extraZip64:
			if x.zip64 != nil {
				return x, "has two zip64 fields"
			}
			x.zip64 = body
		case extraUnicodePath:
			if len(body) < 5 || x.altName != nil {
				return x, "has a malformed name field"
			}
			x.altName = body[5:]
		}
	}
	return x, ""
}

// widen replaces the fields that hold the sentinel by their zip64 values, in
// the order of APPNOTE 4.5.3: size, packed, offset (8 bytes each), disk (4).
func (x extraField) widen(fields ...*uint64) bool {
	z := x.zip64
	for i, f := range fields {
		switch {
		case i < 3 && *f == 0xffffffff:
			if len(z) < 8 {
				return false
			}
			*f, z = le64(z), z[8:]
		case i == 3 && *f == 0xffff:
			if len(z) < 4 {
				return false
			}
			*f, z = uint64(le32(z)), z[4:]
		}
	}
	return true
}

func le16(b []byte) uint16 { return binary.LittleEndian.Uint16(b) }
func le32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func le64(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }
