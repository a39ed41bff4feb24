package typeface

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"sort"
)

// The tables that a subset needs from the source file.
var neededTables = [...]string{"OS/2", "glyf", "head", "hhea", "hmtx", "loca", "maxp", "name"}

// readTables returns views of the tables of a TrueType file.
func readTables(ttf []byte) (map[string][]byte, error) {
	if len(ttf) < 12 {
		return nil, errors.New("file too short")
	}
	n := int(binary.BigEndian.Uint16(ttf[4:]))
	if len(ttf) < 12+16*n {
		return nil, errors.New("table directory too short")
	}
	tables := make(map[string][]byte, n)
	for i := range n {
		rec := ttf[12+16*i:]
		offset := int64(binary.BigEndian.Uint32(rec[8:]))
		length := int64(binary.BigEndian.Uint32(rec[12:]))
		if offset+length > int64(len(ttf)) {
			return nil, fmt.Errorf("table %q outside the file", rec[:4])
		}
		tables[string(rec[:4])] = ttf[offset : offset+length : offset+length]
	}
	for _, tag := range neededTables {
		if tables[tag] == nil {
			return nil, fmt.Errorf("no table %q", tag)
		}
	}
	if t := tables["head"]; len(t) != 54 || binary.BigEndian.Uint16(t[50:]) != 1 {
		return nil, errors.New("the head table is not one with long glyph offsets")
	}
	if len(tables["hhea"]) != 36 || len(tables["maxp"]) != 32 || len(tables["OS/2"]) < 96 {
		return nil, errors.New("a table of fixed size has another one")
	}
	return tables, nil
}

// writeTables puts tables together into a TrueType file: directory sorted by
// tag, tables in that order at multiples of four, checksums filled in.
func writeTables(tables map[string][]byte) []byte {
	tags := make([]string, 0, len(tables))
	size := 12 + 16*len(tables)
	for tag, t := range tables {
		tags = append(tags, tag)
		size += (len(t) + 3) &^ 3
	}
	sort.Strings(tags)

	out := make([]byte, 0, size)
	n := uint16(len(tags))
	log := uint16(bits.Len16(n) - 1)
	out = binary.BigEndian.AppendUint32(out, 0x00010000)
	for _, v := range [...]uint16{n, 16 << log, log, 16*n - 16<<log} {
		out = binary.BigEndian.AppendUint16(out, v)
	}
	offset := uint32(12 + 16*len(tags))
	for _, tag := range tags {
		t := tables[tag]
		out = append(out, tag...)
		out = binary.BigEndian.AppendUint32(out, checksum(t))
		out = binary.BigEndian.AppendUint32(out, offset)
		out = binary.BigEndian.AppendUint32(out, uint32(len(t)))
		offset += uint32(len(t)+3) &^ 3
	}
	head := 0
	for _, tag := range tags {
		if tag == "head" {
			head = len(out)
		}
		out = append(out, tables[tag]...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	// The sum of the whole file is 0xB1B0AFBA once this word is in place.
	binary.BigEndian.PutUint32(out[head+8:], 0xB1B0AFBA-checksum(out))
	return out
}

// checksum is the sum of the 32-bit words of b, padded with zeros.
func checksum(b []byte) uint32 {
	var sum uint32
	for ; len(b) >= 4; b = b[4:] {
		sum += binary.BigEndian.Uint32(b)
	}
	if len(b) > 0 {
		var last [4]byte
		copy(last[:], b)
		sum += binary.BigEndian.Uint32(last[:])
	}
	return sum
}
