package ofd

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
)

// testFile is one entry to build; the funcs change its raw headers, so that
// every lie is a few words.
type testFile struct {
	name    string
	content string
	method  uint16
	flags   uint16
	crc     *uint32 // nil: the true one
	size    *uint32 // nil: the true one
	packed  []byte  // nil: content, packed by method

	descriptor []byte         // behind the content
	localExtra []byte         // of the local header
	extra      []byte         // of the central record
	local      func(h []byte) // changes the local header's fixed part and name
	central    func(h []byte) // changes the central record
	before     []byte         // bytes between the previous entry and this one
	hidden     bool           // a local header without central record
	at         func(offset uint32) uint32
}

func file(name, content string) testFile {
	return testFile{name: name, content: content, method: methodStored, flags: flagUTF8}
}

func deflated(name, content string) testFile {
	return testFile{name: name, content: content, method: methodDeflate, flags: flagUTF8}
}

func pack(content string) []byte {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, flate.BestCompression)
	z.Write([]byte(content))
	z.Close()
	return b.Bytes()
}

// archiveEnd changes the end of a built archive.
type archiveEnd struct {
	prefix   []byte // before the first entry, not counted in offsets
	counted  []byte // before the first entry, counted in offsets
	between  []byte // between the last entry and the directory
	behind   []byte // between the directory and the end record
	comment  []byte
	trailing []byte
	end      func(h []byte, start, size uint32)
	zip64    func(rec, loc []byte, start, size uint64, count int) // nil: no zip64 end
	offset   uint32
}

func build(files ...testFile) []byte { return archiveEnd{}.build(files...) }

func (a archiveEnd) build(files ...testFile) []byte {
	le := binary.LittleEndian
	out := append([]byte(nil), a.counted...)
	var dir []byte
	count := 0
	for _, f := range files {
		packed := f.packed
		if packed == nil {
			if packed = []byte(f.content); f.method == methodDeflate {
				packed = pack(f.content)
			}
		}
		crc, size := crc32.ChecksumIEEE([]byte(f.content)), uint32(len(f.content))
		if f.crc != nil {
			crc = *f.crc
		}
		if f.size != nil {
			size = *f.size
		}
		fixed := make([]byte, 26)
		le.PutUint16(fixed, 20)
		le.PutUint16(fixed[2:], f.flags)
		le.PutUint16(fixed[4:], f.method)
		le.PutUint32(fixed[10:], crc)
		le.PutUint32(fixed[14:], uint32(len(packed)))
		le.PutUint32(fixed[18:], size)
		le.PutUint16(fixed[22:], uint16(len(f.name)))

		out = append(out, f.before...)
		offset := uint32(len(out))
		local := append(le.AppendUint32(nil, sigLocal), fixed...)
		le.PutUint16(local[28:], uint16(len(f.localExtra)))
		local = append(local, f.name...)
		if f.local != nil {
			f.local(local)
		}
		out = append(append(append(append(out, local...), f.localExtra...), packed...), f.descriptor...)

		if f.hidden {
			continue
		}
		if f.at != nil {
			offset = f.at(offset)
		}
		rec := le.AppendUint32(nil, sigCentral)
		rec = append(append(rec, 20, 0), fixed...)
		le.PutUint16(rec[30:], uint16(len(f.extra)))
		rec = append(rec, make([]byte, 10)...)
		rec = le.AppendUint32(rec, offset)
		rec = append(append(rec, f.name...), f.extra...)
		if f.central != nil {
			f.central(rec)
		}
		dir = append(dir, rec...)
		count++
	}
	out = append(out, a.between...)
	start := uint32(len(out))
	out = append(append(out, dir...), a.behind...)
	if a.zip64 != nil {
		rec := append(le.AppendUint32(nil, sigEnd64), make([]byte, end64Len-4)...)
		le.PutUint64(rec[4:], end64Len-12)
		le.PutUint64(rec[24:], uint64(count))
		le.PutUint64(rec[32:], uint64(count))
		le.PutUint64(rec[40:], uint64(len(dir)))
		le.PutUint64(rec[48:], uint64(start))
		loc := append(le.AppendUint32(nil, sigLocator64), make([]byte, locator64Len-4)...)
		le.PutUint64(loc[8:], uint64(len(out)))
		le.PutUint32(loc[16:], 1)
		a.zip64(rec, loc, uint64(start), uint64(len(dir)), count)
		out = append(append(out, rec...), loc...)
	}
	end := append(le.AppendUint32(nil, sigEnd), make([]byte, endLen-4)...)
	le.PutUint16(end[8:], uint16(count))
	le.PutUint16(end[10:], uint16(count))
	le.PutUint32(end[12:], uint32(len(dir)))
	le.PutUint32(end[16:], start+a.offset)
	le.PutUint16(end[20:], uint16(len(a.comment)))
	if a.end != nil {
		a.end(end, start, uint32(len(dir)))
	}
	out = append(append(append(out, end...), a.comment...), a.trailing...)
	return append(append([]byte(nil), a.prefix...), out...)
}

func rootXML(more string) string {
	return `<ofd:OFD xmlns:ofd="` + Namespace + `" Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo><ofd:DocID>0</ofd:DocID></ofd:DocInfo>` +
		`<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>` + more + `</ofd:DocBody></ofd:OFD>`
}

const (
	documentXML = `<ofd:Document xmlns:ofd="` + Namespace + `"><ofd:CommonData><ofd:MaxUnitID>9</ofd:MaxUnitID><ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea></ofd:CommonData>` +
		`<ofd:Pages><ofd:Page ID="1" BaseLoc="Pages/P.xml"/></ofd:Pages></ofd:Document>`
	pageXML = `<ofd:Page xmlns:ofd="` + Namespace + `"><ofd:Content><ofd:Layer ID="2"/></ofd:Content></ofd:Page>`
)

// minimal is the smallest good package; its files come in this order.
func minimal() []testFile {
	return []testFile{file("OFD.xml", rootXML("")), deflated("Doc_0/Document.xml", documentXML), file("Doc_0/Pages/P.xml", pageXML)}
}

// signatureXML is a Signature.xml in a folder with v.dat, over OFD.xml with a wrong digest.
func signatureXML(more string) string {
	return `<ofd:Signature xmlns:ofd="` + Namespace + `"><ofd:SignedInfo><ofd:Provider ProviderName="x"/><ofd:References CheckMethod="SM3">` +
		`<ofd:Reference FileRef="/OFD.xml"><ofd:CheckValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</ofd:CheckValue></ofd:Reference></ofd:References>` +
		more + `</ofd:SignedInfo><ofd:SignedValue>v.dat</ofd:SignedValue></ofd:Signature>`
}

// crcOf is the checksum of content, little-endian.
func crcOf(content string) []byte {
	return binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(content)))
}

// parseAlone parses one file as if it were the package's only one.
func parseAlone(data []byte) (*node, *xmlError) {
	left := maxXMLKept
	return parseXML(data, "", &left)
}
