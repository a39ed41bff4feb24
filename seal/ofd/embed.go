package ofd

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"time"
)

// Embed returns the new package with value as the signature's .dat file. Every
// entry that the signature does not change is copied as it is stored, headers
// and packed content alike, in its old order; the new files follow. Bytes before
// the first entry are dropped, the zip comment is kept. The result depends on
// nothing but the package, the request and value.
func (pl *Plan) Embed(value []byte) ([]byte, error) {
	a := pl.p.archive
	grow := len(value) + 4096
	for _, f := range pl.added {
		grow += len(f.content) + 256
	}
	for _, content := range pl.replaced {
		grow += len(content) + 256
	}
	w := &zipWriter{out: make([]byte, 0, len(a.data)+grow), when: pl.when}
	w.central = make([]byte, 0, len(a.data)/8+1024)
	for _, e := range a.entries {
		if content, ok := pl.replaced[e.name]; ok {
			w.add(newFile{name: e.name, content: content, deflate: true})
			continue
		}
		w.copy(a.data, e)
	}
	for _, f := range pl.added {
		w.add(f)
	}
	w.add(newFile{name: pl.dir + "SignedValue.dat", content: value})
	out, err := w.finish(a.comment)
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Reopen opens what Embed returned, as Package.Reopen does; files that the plan
// added count as known too where they are stored in the very bytes that it knows.
func (pl *Plan) Reopen(out []byte) (*Package, []Problem) {
	added := make(map[string]*blob, len(pl.added))
	for _, f := range pl.added {
		added[f.name] = f.asBlob()
	}
	return open(out, pl.p, added)
}

// zipWriter writes a zip file without zip64: packages stay below MaxFileSize.
type zipWriter struct {
	out     []byte
	central []byte
	count   int
	when    time.Time
	broken  string
}

// deflateFrom is the size from which new XML is compressed. Below it the gain
// is a few hundred bytes and costs more time than everything else here.
const deflateFrom = 16 << 10

// copy takes over an entry of another package as it is stored.
func (w *zipWriter) copy(data []byte, e *entry) {
	offset := len(w.out)
	w.out = append(w.out, data[e.offset:e.end]...)
	at := len(w.central)
	w.central = append(w.central, e.central...)
	if !setOffset(w.central[at:], uint64(offset)) {
		w.broken = e.name
	}
	w.count++
}

// setOffset writes the local header's offset into a central record: into its
// 32-bit field, or into the zip64 field when that holds it.
func setOffset(c []byte, offset uint64) bool {
	if le32(c[42:]) != 0xffffffff {
		binary.LittleEndian.PutUint32(c[42:], uint32(offset))
		return true
	}
	nameLen, extraLen := int(le16(c[28:])), int(le16(c[30:]))
	at := 0
	for _, field := range []int{24, 20} { // size and packed precede the offset when they are wide
		if le32(c[field:]) == 0xffffffff {
			at += 8
		}
	}
	x, problem := parseExtra(c[centralLen+nameLen : centralLen+nameLen+extraLen])
	if problem != "" || len(x.zip64) < at+8 {
		return false
	}
	binary.LittleEndian.PutUint64(x.zip64[at:], offset)
	return true
}

// add writes a new entry.
func (w *zipWriter) add(f newFile) {
	method, packed := uint16(methodStored), f.content
	if f.deflate && len(f.content) >= deflateFrom {
		if small := deflate(f.content); len(small) < len(packed) {
			method, packed = methodDeflate, small
		}
	}
	date, clock := dosTime(w.when)
	le := binary.LittleEndian
	common := le.AppendUint16(nil, 20) // version needed: folders and deflate
	common = le.AppendUint16(common, flagUTF8)
	common = le.AppendUint16(common, method)
	common = le.AppendUint16(common, clock)
	common = le.AppendUint16(common, date)
	common = le.AppendUint32(common, crc32.ChecksumIEEE(f.content))
	common = le.AppendUint32(common, uint32(len(packed)))
	common = le.AppendUint32(common, uint32(len(f.content)))
	common = le.AppendUint16(common, uint16(len(f.name)))
	common = le.AppendUint16(common, 0) // no extra field

	w.central = le.AppendUint32(w.central, sigCentral)
	w.central = le.AppendUint16(w.central, 20) // made by: MS-DOS attributes
	w.central = append(w.central, common...)
	w.central = append(w.central, make([]byte, 10)...) // no comment, disk 0, no attributes
	w.central = le.AppendUint32(w.central, uint32(len(w.out)))
	w.central = append(w.central, f.name...)

	w.out = le.AppendUint32(w.out, sigLocal)
	w.out = append(w.out, common...)
	w.out = append(w.out, f.name...)
	w.out = append(w.out, packed...)
	w.count++
}

func (w *zipWriter) finish(comment []byte) ([]byte, error) {
	if w.broken != "" {
		return nil, fmt.Errorf("%w: the directory entry of %q cannot be moved", ErrLayout, clip(w.broken))
	}
	start := len(w.out)
	if start+len(w.central)+endLen+len(comment) > MaxFileSize {
		return nil, fmt.Errorf("%w: the sealed package would exceed %d bytes", ErrLayout, MaxFileSize)
	}
	le := binary.LittleEndian
	w.out = append(w.out, w.central...)
	w.out = le.AppendUint32(w.out, sigEnd)
	w.out = append(w.out, 0, 0, 0, 0)
	w.out = le.AppendUint16(w.out, uint16(w.count))
	w.out = le.AppendUint16(w.out, uint16(w.count))
	w.out = le.AppendUint32(w.out, uint32(len(w.central)))
	w.out = le.AppendUint32(w.out, uint32(start))
	w.out = le.AppendUint16(w.out, uint16(len(comment)))
	return append(w.out, comment...), nil
}

func deflate(content []byte) []byte {
	var b bytes.Buffer
	z, err := flate.NewWriter(&b, flate.DefaultCompression)
	if err != nil {
		return content // the level is valid: cannot happen
	}
	z.Write(content) // into a bytes.Buffer: cannot fail
	z.Close()
	return b.Bytes()
}

// dosTime is the two-second clock of zip files, from 1980 on.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	if t.Year() < 1980 || t.Year() > 2107 {
		return 1<<5 | 1, 0
	}
	date = uint16(t.Year()-1980)<<9 | uint16(t.Month())<<5 | uint16(t.Day())
	return date, uint16(t.Hour())<<11 | uint16(t.Minute())<<5 | uint16(t.Second()/2)
}
