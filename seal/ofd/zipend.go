package ofd

import "bytes"

// endRecord is what the end of a zip file says of its central directory.
type endRecord struct {
	start   int64 // where the directory really is: it ends where the end records begin
	offset  int64 // where the end record says that it is
	size    int64
	count   int64
	comment []byte
}

// readEnd finds the one end-of-central-directory record. A zip reader searches
// it backwards over a comment of any content, which is how two readers come to
// see two archives in one file; so here it must be the last such signature, it
// must end with the file, and no other candidate may fit.
func readEnd(data []byte, ps *problems) *endRecord {
	low := max(0, len(data)-endLen-maxCommentBytes)
	at := bytes.LastIndex(data[low:], []byte("PK\x05\x06"))
	if at < 0 || low+at+endLen > len(data) {
		ps.add(1, CodeZipFormat, "", "not a zip file: no end of central directory")
		return nil
	}
	at += low
	if !endsFile(data, at) {
		ps.add(1, CodeZipFormat, "", "bytes follow the end of the zip file")
		return nil
	}
	for i := low; i < at; {
		j := bytes.Index(data[i:at+3], []byte("PK\x05\x06"))
		if j < 0 {
			break
		}
		if i += j; i < at && endsFile(data, i) {
			ps.add(1, CodeZipFormat, "", "the package has two ends of central directory")
			return nil
		}
		i++
	}
	r := data[at:]
	e := &endRecord{comment: r[endLen:]}
	count, size, offset := uint64(le16(r[10:])), uint64(le32(r[12:])), uint64(le32(r[16:]))
	disk, dirDisk, here := le16(r[4:]), le16(r[6:]), uint64(le16(r[8:]))
	behind := int64(at) // where the directory must end
	if at >= locator64Len && le32(data[at-locator64Len:]) == sigLocator64 {
		r64, start := readEnd64(data, at-locator64Len)
		if r64 == nil {
			ps.add(1, CodeZipFormat, "", "the zip64 end record is missing or malformed")
			return nil
		}
		behind = start
		ok := widenOrEqual(&here, 0xffff, le64(r64[24:])) && widenOrEqual(&count, 0xffff, le64(r64[32:])) &&
			widenOrEqual(&size, 0xffffffff, le64(r64[40:])) && widenOrEqual(&offset, 0xffffffff, le64(r64[48:]))
		if !ok || le32(r64[16:]) != 0 || le32(r64[20:]) != 0 {
			ps.add(1, CodeZipFormat, "", "the two end records contradict each other")
			return nil
		}
		if disk == 0xffff {
			disk = 0
		}
		if dirDisk == 0xffff {
			dirDisk = 0
		}
	}
	if disk != 0 || dirDisk != 0 || here != count {
		ps.add(1, CodeZipFormat, "", "the package is one part of a split zip file")
		return nil
	}
	if count > MaxEntries {
		ps.add(1, CodeZipLimit, "", "the package has %d entries, at most %d are read", count, MaxEntries)
		return nil
	}
	if count == 0 || size > uint64(behind) || offset > uint64(behind)-size {
		ps.add(1, CodeZipFormat, "", "the end record describes no central directory inside the package")
		return nil
	}
	e.count, e.size, e.offset, e.start = int64(count), int64(size), int64(offset), behind-int64(size)
	if behind < int64(at) && le64(data[at-locator64Len+8:])+uint64(e.start-e.offset) != uint64(behind) {
		ps.add(1, CodeZipFormat, "", "the zip64 locator points to another end record than the one before it")
		return nil
	}
	return e
}

// endsFile reports whether an end record at position at, with its comment, ends with the file.
func endsFile(data []byte, at int) bool {
	return at+endLen <= len(data) && at+endLen+int(le16(data[at+20:])) == len(data)
}

// readEnd64 returns the zip64 end record, which must stand directly before the
// locator, and its position.
func readEnd64(data []byte, locator int) ([]byte, int64) {
	start := locator - end64Len
	if start < 0 || le32(data[start:]) != sigEnd64 || le64(data[start+4:]) != end64Len-12 {
		return nil, 0
	}
	stated := le64(data[locator+8:])
	if le32(data[locator+4:]) != 0 || le32(data[locator+16:]) != 1 || stated > uint64(start) {
		return nil, 0
	}
	return data[start:locator], int64(start)
}

// widenOrEqual sets *v to wide when *v is the sentinel; otherwise both must agree.
func widenOrEqual(v *uint64, sentinel, wide uint64) bool {
	if *v == sentinel {
		*v = wide
	}
	return *v == wide
}

// hasRecord reports whether b holds the signature of a local header, a central
// record or an end record.
func hasRecord(b []byte) bool {
	for _, sig := range []string{"PK\x03\x04", "PK\x01\x02", "PK\x05\x06", "PK\x06\x06", "PK\x06\x07"} {
		if bytes.Contains(b, []byte(sig)) {
			return true
		}
	}
	return false
}
