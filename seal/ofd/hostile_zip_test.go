package ofd

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// hostile is one generated file and the codes that it must give, besides
// S_UNSIGNED. An empty want means that the file is just within the rules.
type hostile struct {
	name string
	data []byte
	want []Code
}

func codesOf(data []byte) []Code {
	p, ps := Open(data)
	if p != nil {
		ps = append(ps, p.CheckContents()...)
	}
	var codes []Code
	for _, x := range ps {
		if x.Code != CodeUnsigned && !slices.Contains(codes, x.Code) {
			codes = append(codes, x.Code)
		}
	}
	slices.Sort(codes)
	return codes
}

func (h hostile) check(t *testing.T) {
	t.Helper()
	start := time.Now()
	got := codesOf(h.data)
	if took := time.Since(start); len(h.want) > 0 && took > time.Second {
		t.Errorf("%s: refused only after %v", h.name, took)
	}
	if !slices.Equal(got, h.want) {
		p, ps := Open(h.data)
		t.Errorf("%s: got %v, want %v\n%v (opened: %v)", h.name, got, h.want, ps, p != nil)
	}
}

// with returns the minimal package and more files.
func with(more ...testFile) []byte { return build(append(minimal(), more...)...) }

// changed returns the minimal package with a change to Doc_0/Document.xml.
func changed(f func(*testFile)) []byte {
	files := minimal()
	f(&files[1])
	return build(files...)
}

func ptr(v uint32) *uint32 { return &v }

var zeros = func(n int) string { return strings.Repeat("\x00", n) }

// zip64Extra is a zip64 field with the given values.
func zip64Extra(values ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16(nil, extraZip64)
	b = binary.LittleEndian.AppendUint16(b, uint16(8*len(values)))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func put32(at int, v uint32) func([]byte) {
	return func(h []byte) { binary.LittleEndian.PutUint32(h[at:], v) }
}

func put16(at int, v uint16) func([]byte) {
	return func(h []byte) { binary.LittleEndian.PutUint16(h[at:], v) }
}

// streamed makes an entry with a data descriptor of the given form.
func streamed(form int, lie bool) func(*testFile) {
	return func(f *testFile) {
		f.flags |= flagDescriptor
		packed := pack(f.content)
		crc, n := le32(crcOf(f.content)), uint64(len(packed))
		if lie {
			n++
		}
		f.local = func(h []byte) { clear(h[14:26]) }
		le := binary.LittleEndian
		if form == 16 || form == 24 {
			f.descriptor = le.AppendUint32(f.descriptor, sigDescriptor)
		}
		f.descriptor = le.AppendUint32(f.descriptor, crc)
		if form >= 20 {
			f.descriptor = le.AppendUint64(f.descriptor, n)
			f.descriptor = le.AppendUint64(f.descriptor, uint64(len(f.content)))
		} else {
			f.descriptor = le.AppendUint32(f.descriptor, uint32(n))
			f.descriptor = le.AppendUint32(f.descriptor, uint32(len(f.content)))
		}
	}
}

func TestHostileZipsAreRefusedWithTheirCode(t *testing.T) {
	cases := zipStructureCases()
	cases = append(cases, zipNameCases()...)
	cases = append(cases, zipLimitCases()...)
	cases = append(cases, zipContentCases()...)
	seen := map[string]bool{}
	for _, c := range cases {
		if seen[c.name] {
			t.Errorf("two cases are called %q", c.name)
		}
		seen[c.name] = true
		c.check(t)
	}
	if len(cases) < 60 {
		t.Errorf("only %d cases", len(cases))
	}
	t.Logf("%d cases", len(cases))
}

func zipStructureCases() []hostile {
	good := build(minimal()...)
	format, mismatch, prefix := []Code{CodeZipFormat}, []Code{CodeZipMismatch}, []Code{CodeZipPrefix}
	return []hostile{
		{"good", good, nil},
		{"empty file", nil, format},
		{"text", []byte("this is no zip file, however long it may be"), format},
		{"only an end record", append([]byte("PK\x05\x06"), make([]byte, 18)...), format},
		{"truncated end", good[:len(good)-1], format},
		{"truncated directory", append(append([]byte(nil), good[:len(good)-60]...), good[len(good)-22:]...), format},
		{"truncated front", good[10:], []Code{CodeZipFormat}},
		{"comment", archiveEnd{comment: []byte("KRC")}.build(minimal()...), nil},
		{"comment of 65535 bytes", archiveEnd{comment: make([]byte, 65535)}.build(minimal()...), nil},
		{"comment length lies", archiveEnd{end: func(h []byte, _, _ uint32) { put16(20, 5)(h) }}.build(minimal()...), format},
		{"trailing junk", archiveEnd{trailing: []byte("junk")}.build(minimal()...), format},
		{"trailing zip", append(append([]byte(nil), good...), good[:40]...), format},
		{"two end records", append(append([]byte(nil), good...), append([]byte("PK\x05\x06"), make([]byte, 18)...)...), format},
		{"end record in the comment", archiveEnd{comment: good[len(good)-22:]}.build(minimal()...), format},
		{"end record in the comment that does not fit", archiveEnd{comment: append([]byte("PK\x05\x06"), make([]byte, 30)...)}.build(minimal()...), format},
		{"two packages one after the other", append(append([]byte(nil), good...), good...), []Code{CodeZipFormat, CodeZipPrefix}},
		{"prefix", archiveEnd{prefix: []byte("vendor junk")}.build(minimal()...), prefix},
		{"prefix counted in offsets", archiveEnd{counted: []byte("vendor junk")}.build(minimal()...), prefix},
		{"prefix with a hidden local header", archiveEnd{counted: []byte("xxPK\x03\x04xx")}.build(minimal()...), []Code{CodeZipFormat, CodeZipPrefix}},
		{"prefix with a directory at the stated place", archiveEnd{prefix: bytes.Repeat([]byte("PK\x01\x02"), 1200)}.build(minimal()...), []Code{CodeZipFormat, CodeZipPrefix}},
		{"directory offset behind the file", archiveEnd{offset: 1 << 20}.build(minimal()...), format},
		{"directory offset too large", archiveEnd{offset: 7}.build(minimal()...), format},
		{"junk before the directory", archiveEnd{between: []byte("junk")}.build(minimal()...), mismatch},
		{"junk behind the directory", archiveEnd{behind: []byte("junk")}.build(minimal()...), format},
		{"junk between entries", changed(func(f *testFile) { f.before = []byte("junk") }), mismatch},
		{"hidden entry between entries", with(testFile{name: "evil.xml", content: "x", flags: flagUTF8, hidden: true}, file("b", "")), mismatch},
		{"hidden entry at the end", with(testFile{name: "evil.xml", content: "x", flags: flagUTF8, hidden: true}), mismatch},
		{"count too small", archiveEnd{end: func(h []byte, _, _ uint32) { put16(8, 2)(h); put16(10, 2)(h) }}.build(minimal()...), format},
		{"count too large", archiveEnd{end: func(h []byte, _, _ uint32) { put16(8, 4)(h); put16(10, 4)(h) }}.build(minimal()...), format},
		{"count of this disk differs", archiveEnd{end: func(h []byte, _, _ uint32) { put16(8, 2)(h) }}.build(minimal()...), format},
		{"split archive", archiveEnd{end: func(h []byte, _, _ uint32) { put16(4, 1)(h) }}.build(minimal()...), format},
		{"entry on another disk", changed(func(f *testFile) { f.central = put16(34, 1) }), format},
		{"directory size lies", archiveEnd{end: func(h []byte, _, n uint32) { put32(12, n-1)(h) }}.build(minimal()...), format},
		{"overlapping entries", with(testFile{name: "a", content: "x", flags: flagUTF8, at: func(o uint32) uint32 { return 0 }, local: func(h []byte) {}}), mismatch},
		{"two names for one local header", with(testFile{name: "a", flags: flagUTF8, at: func(o uint32) uint32 { return o }}, testFile{name: "b", flags: flagUTF8, at: func(o uint32) uint32 { return o - 31 }}), mismatch},
		{"local header outside", changed(func(f *testFile) { f.at = func(uint32) uint32 { return 1 << 29 } }), mismatch},
		{"local offset far outside", changed(func(f *testFile) { f.at = func(uint32) uint32 { return 0xfffffffe } }), format},
		{"local name differs", changed(func(f *testFile) { f.local = func(h []byte) { h[30] = 'X' } }), mismatch},
		{"local method differs", changed(func(f *testFile) { f.local = put16(8, methodStored) }), mismatch},
		{"local flags differ", changed(func(f *testFile) { f.local = put16(6, 0) }), mismatch},
		{"local checksum differs", changed(func(f *testFile) { f.local = put32(14, 1) }), mismatch},
		{"local packed size differs", changed(func(f *testFile) { f.local = put32(18, 1) }), mismatch},
		{"local size differs", changed(func(f *testFile) { f.local = put32(22, 1) }), mismatch},
		{"local sizes zero without descriptor", changed(func(f *testFile) { f.local = func(h []byte) { clear(h[14:26]) } }), mismatch},
		{"no local signature", changed(func(f *testFile) { f.local = put32(0, 0) }), mismatch},
		{"local name runs into the next entry", changed(func(f *testFile) { f.local = put16(26, 60000) }), mismatch},
		{"packed size runs into the next entry", changed(func(f *testFile) {
			f.central = func(h []byte) { put32(20, le32(h[20:])+9)(h) }
			f.local = func(h []byte) { put32(18, le32(h[18:])+9)(h) }
		}), mismatch},
		{"descriptor of 12 bytes", changed(streamed(12, false)), nil},
		{"descriptor of 16 bytes", changed(streamed(16, false)), nil},
		{"descriptor of 20 bytes", changed(streamed(20, false)), nil},
		{"descriptor of 24 bytes", changed(streamed(24, false)), nil},
		{"descriptor of a stored entry", with(storedStream("content")), nil},
		{"descriptor inside a stored entry", with(storedStream("short" + string(descriptorOf("short")) + "PK\x03\x04")), mismatch},
		{"descriptor of 12 bytes lies", changed(streamed(12, true)), mismatch},
		{"descriptor of 16 bytes lies", changed(streamed(16, true)), mismatch},
		{"descriptor of 20 bytes lies", changed(streamed(20, true)), mismatch},
		{"descriptor of 24 bytes lies", changed(streamed(24, true)), mismatch},
		{"descriptor missing", changed(func(f *testFile) { streamed(16, false)(f); f.descriptor = nil }), mismatch},
		{"descriptor followed by a byte", changed(func(f *testFile) { streamed(16, false)(f); f.descriptor = append(f.descriptor, 0) }), mismatch},
		{"descriptor not announced", changed(func(f *testFile) { streamed(16, false)(f); f.flags &^= flagDescriptor; f.local = nil }), mismatch},
		{"zip64 sizes", changed(func(f *testFile) { wide(f, 0) }), nil},
		{"zip64 sizes lie in the local header", changed(func(f *testFile) { wide(f, 1) }), mismatch},
		{"zip64 field missing", changed(func(f *testFile) { f.central = put32(20, 0xffffffff) }), format},
		{"zip64 field too short", changed(func(f *testFile) { f.central = put32(20, 0xffffffff); f.extra = []byte{1, 0, 4, 0, 1, 2, 3, 4} }), format},
		{"zip64 field twice", changed(func(f *testFile) { f.extra = append(zip64Extra(1), zip64Extra(2)...) }), format},
		{"zip64 size beyond reason", changed(func(f *testFile) {
			f.central = put32(24, 0xffffffff)
			f.extra = zip64Extra(1 << 62)
		}), []Code{CodeZipLimit, CodeZipMismatch}},
		{"extra field malformed", changed(func(f *testFile) { f.extra = []byte{9, 9, 200, 0, 1} }), format},
		{"extra field padded", changed(func(f *testFile) { f.extra = []byte{0, 0, 0} }), nil},
		{"second name in the extra field", changed(func(f *testFile) { f.extra = append([]byte{0x75, 0x70, 6, 0, 1, 0, 0, 0, 0}, 'x') }), mismatch},
		{"second name in the local extra field", changed(func(f *testFile) { f.localExtra = append([]byte{0x75, 0x70, 6, 0, 1, 0, 0, 0, 0}, 'x') }), mismatch},
		{"zip64 end", archiveEnd{zip64: func(_, _ []byte, _, _ uint64, _ int) {}}.build(minimal()...), nil},
		{"zip64 end with sentinels", archiveEnd{zip64: func(_, _ []byte, _, _ uint64, _ int) {}, end: func(h []byte, _, _ uint32) {
			put32(8, 0xffffffff)(h)
			put32(12, 0xffffffff)(h)
			put32(16, 0xffffffff)(h)
		}}.build(minimal()...), nil},
		{"zip64 end has another count", archiveEnd{zip64: func(r, _ []byte, _, _ uint64, _ int) { r[32] = 9 }}.build(minimal()...), format},
		{"zip64 end has another offset", archiveEnd{zip64: func(r, _ []byte, _, _ uint64, _ int) { r[48]++ }}.build(minimal()...), format},
		{"zip64 end of another size", archiveEnd{zip64: func(r, _ []byte, _, _ uint64, _ int) { r[4]++ }}.build(minimal()...), format},
		{"zip64 end on two disks", archiveEnd{zip64: func(_, l []byte, _, _ uint64, _ int) { l[16] = 2 }}.build(minimal()...), format},
		{"zip64 locator points elsewhere", archiveEnd{zip64: func(_, l []byte, _, _ uint64, _ int) { put32(8, 1<<30)(l) }}.build(minimal()...), format},
		{"zip64 locator points to a second end record", archiveEnd{zip64: func(_, l []byte, _, _ uint64, _ int) { put32(8, 0)(l) }}.build(minimal()...), format},
		{"zip64 end behind a prefix", archiveEnd{prefix: []byte("vendor junk"), zip64: func(_, _ []byte, _, _ uint64, _ int) {}}.build(minimal()...), prefix},
		{"zip64 end without signature", archiveEnd{zip64: func(r, _ []byte, _, _ uint64, _ int) { r[0] = 0 }}.build(minimal()...), format},
		{"encrypted", changed(func(f *testFile) { f.flags |= flagEncrypted }), format},
		{"strongly encrypted", changed(func(f *testFile) { f.flags |= flagStrong }), format},
		{"masked headers", changed(func(f *testFile) { f.flags |= flagMasked }), format},
		{"patch data", changed(func(f *testFile) { f.flags |= flagPatched }), format},
		{"method bzip2", changed(func(f *testFile) { f.method = 12 }), format},
		{"method AES", changed(func(f *testFile) { f.method = 99 }), format},
	}
}

// storedStream is a stored entry whose length only the directory and the
// descriptor behind it state: a reader of a stream has to search for its end.
func storedStream(content string) testFile {
	f := file("stream", content)
	f.flags |= flagDescriptor
	f.local = func(h []byte) { clear(h[14:26]) }
	f.descriptor = descriptorOf(content)
	return f
}

func descriptorOf(content string) []byte {
	d := append([]byte("PK\x07\x08"), crcOf(content)...)
	d = binary.LittleEndian.AppendUint32(d, uint32(len(content)))
	return binary.LittleEndian.AppendUint32(d, uint32(len(content)))
}

// wide moves the sizes of both headers into zip64 fields.
func wide(f *testFile, lie uint64) {
	n := uint64(len(pack(f.content)))
	f.central = func(h []byte) { put32(20, 0xffffffff)(h); put32(24, 0xffffffff)(h) }
	f.local = func(h []byte) { put32(18, 0xffffffff)(h); put32(22, 0xffffffff)(h); put16(28, 20)(h) }
	f.extra = zip64Extra(uint64(len(f.content)), n)
	f.localExtra = zip64Extra(uint64(len(f.content)), n+lie)
}

func zipNameCases() []hostile {
	path, dup := []Code{CodeZipPath}, []Code{CodeZipDuplicate}
	mode := func(m uint32) testFile {
		return testFile{name: "a", content: "OFD.xml", flags: flagUTF8, central: put32(38, m<<16)}
	}
	return []hostile{
		{"folders", with(file("Doc_0/", ""), file("Doc_0/Pages/", "")), nil},
		{"deflated folder", with(deflated("Doc_0/", "")), nil},
		{"folder with content", with(file("Doc_0/", "x")), []Code{CodeZipMismatch}},
		{"Chinese name", with(file("Doc_0/数据/文件.txt", "x")), nil},
		{"Chinese name without the UTF-8 flag", with(testFile{name: "数据.txt"}), nil},
		{"GBK name", with(file("\xca\xfd\xbe\xdd.txt", "")), path},
		{"duplicate", with(file("OFD.xml", rootXML(""))), dup},
		{"duplicate of a page", with(file("Doc_0/Pages/P.xml", pageXML)), dup},
		{"duplicate folder", with(file("D/", ""), file("D/", "")), dup},
		{"duplicate by case", with(file("ofd.XML", "")), dup},
		{"duplicate by case in a folder", with(file("DOC_0/document.xml", "")), dup},
		{"duplicate by case beyond ASCII", with(file("Ä.xml", ""), file("ä.xml", "")), dup},
		{"duplicate by case folding", with(file("straße", ""), file("STRASSE", "")), dup},
		{"duplicate by normal form", with(file("caf\u00e9.xml", ""), file("cafe\u0301.xml", "")), dup},
		{"duplicate by Hangul normal form", with(file("\uac00", ""), file("\u1100\u1161", "")), dup},
		{"duplicate by backslash", with(file(`Doc_0\Document.xml`, "")), []Code{CodeZipDuplicate, CodeZipPath}},
		{"duplicate by leading slash", with(file("/OFD.xml", "")), []Code{CodeZipDuplicate, CodeZipPath}},
		{"file and folder", with(file("Doc_0", "")), dup},
		{"file and folder entry", with(file("x", ""), file("x/", "")), dup},
		{"absolute", with(file("/etc/x", "")), path},
		{"dot dot", with(file("../x", "")), path},
		{"dot dot inside", with(file("a/../x", "")), path},
		{"dot", with(file("a/./x", "")), path},
		{"double slash", with(file("a//x", "")), path},
		{"only slashes", with(file("/", "")), path},
		{"empty name", with(file("", "")), path},
		{"backslash", with(file(`a\x`, "")), path},
		{"NUL", with(file("a\x00.xml", "")), path},
		{"line break", with(file("a\n", "")), path},
		{"C1 control", with(file("a\u0085", "")), path},
		{"drive", with(file("C:/x", "")), path},
		{"drive, relative", with(file("c:x", "")), path},
		{"trailing dot", with(file("OFD.xml.", "")), path},
		{"trailing space", with(file("OFD.xml ", "")), path},
		{"symbolic link", build(append(minimal(), mode(0o120777))...), path},
		{"device", build(append(minimal(), mode(0o060777))...), path},
		{"named pipe", build(append(minimal(), mode(0o010777))...), path},
		{"regular file", build(append(minimal(), mode(0o100644))...), nil},
	}
}

func zipLimitCases() []hostile {
	limit := []Code{CodeZipLimit}
	many := func(n int) []byte {
		files := minimal()
		for i := len(files); i < n; i++ {
			files = append(files, file(fmt.Sprintf("f%05d", i), ""))
		}
		return build(files...)
	}
	depth := func(n int) testFile { return file(strings.Repeat("a/", n-1)+"b", "") }
	// dense claims a size for content that is never unpacked before the refusal.
	dense := func(size, packed int) testFile {
		return testFile{name: "z", method: methodDeflate, flags: flagUTF8, size: ptr(uint32(size)), packed: make([]byte, packed)}
	}
	large := func(n int, size int) []byte {
		files := minimal()
		for i := range n {
			f := dense(size, size/MaxRatio+1)
			f.name = fmt.Sprint(i)
			files = append(files, f)
		}
		return build(files...)
	}
	megabyte := deflated("z", zeros(1<<20))
	return []hostile{
		{"10,000 entries", many(MaxEntries), nil},
		{"10,001 entries", many(MaxEntries + 1), limit},
		{"name of 512 bytes", with(file(strings.Repeat("a", MaxNameLength), "")), nil},
		{"name of 513 bytes", with(file(strings.Repeat("a", MaxNameLength+1), "")), limit},
		{"32 segments", with(depth(MaxPathDepth)), nil},
		{"33 segments", with(depth(MaxPathDepth + 1)), limit},
		{"any ratio up to 1 MiB", build(append(minimal(), megabyte)...), nil},
		{"ratio over 100 above 1 MiB", with(deflated("z", zeros(1<<20+1))), limit},
		{"ratio just under 100", with(testFile{name: "z", method: methodDeflate, flags: flagUTF8, size: ptr(2 << 20), content: "", packed: make([]byte, 2<<20/100+1)}), []Code{CodeZipCRC}},
		{"ratio just over 100", with(dense(2<<20, 2<<20/100)), limit},
		{"one entry over 256 MiB", with(dense(MaxEntrySize+1, MaxEntrySize/MaxRatio+2)), limit},
		{"total over 512 MiB", large(3, MaxTotalSize/3+1), limit},
		{"42.zip in style: 16 dense entries", large(16, MaxEntrySize), limit},
		{"bomb of zeros", with(deflated("z", zeros(64<<20))), limit},
	}
}

func zipContentCases() []hostile {
	crc, mismatch := []Code{CodeZipCRC}, []Code{CodeZipMismatch}
	flip := pack(strings.Repeat("content ", 100))
	flip[len(flip)/2] ^= 1
	inner := string(build(deflated("inner.zip", string(build(deflated("z", zeros(1<<20)))))))
	return []hostile{
		{"checksum wrong, stored", with(testFile{name: "a", content: "x", crc: ptr(1)}), crc},
		{"checksum wrong, deflated", with(testFile{name: "a", content: "x", method: methodDeflate, crc: ptr(1)}), crc},
		{"checksum wrong on OFD.xml", func() []byte { f := minimal(); f[0].crc = ptr(1); return build(f...) }(), crc},
		{"checksum wrong on a large entry", with(testFile{name: "a", content: strings.Repeat("0123456789abcdef", 1<<15), method: methodDeflate, crc: ptr(1)}), []Code{CodeZipCRC}},
		{"deflate stream broken", with(testFile{name: "a", content: strings.Repeat("content ", 100), method: methodDeflate, packed: flip}), crc},
		{"deflate stream cut", with(testFile{name: "a", content: strings.Repeat("content ", 100), method: methodDeflate, packed: pack(strings.Repeat("content ", 100))[:8]}), crc},
		{"deflate stream empty", with(testFile{name: "a", content: "x", method: methodDeflate, packed: []byte{}}), crc},
		{"longer than stated", with(testFile{name: "a", content: "xx", method: methodDeflate, size: ptr(1)}), mismatch},
		{"shorter than stated", with(testFile{name: "a", content: "xx", method: methodDeflate, size: ptr(3)}), mismatch},
		{"bytes behind the deflate stream", with(testFile{name: "a", content: "xx", method: methodDeflate, packed: append(pack("xx"), "hidden"...)}), mismatch},
		{"two sizes of a stored entry", with(testFile{name: "a", content: "xx", size: ptr(1)}), mismatch},
		{"nested archives are only bytes", with(deflated("inner.zip", inner)), nil},
		{"no OFD.xml", build(minimal()[1:]...), []Code{CodeXMLFormat}},
		{"ofd.xml instead of OFD.xml", func() []byte { f := minimal(); f[0].name = "ofd.xml"; return build(f...) }(), []Code{CodeXMLFormat}},
	}
}

// TestLimitsThatAreTooLargeToUnpackHere checks the directory alone: entries just
// within the limits are accepted without being unpacked, just over are refused.
func TestLimitsThatAreTooLargeToUnpackHere(t *testing.T) {
	entries := func(n, size int) []byte {
		files := minimal()
		for i := range n {
			files = append(files, testFile{name: fmt.Sprint(i), method: methodDeflate, flags: flagUTF8, size: ptr(uint32(size)), packed: make([]byte, size/MaxRatio+1)})
		}
		return build(files...)
	}
	rest := 0
	for _, f := range minimal() {
		rest += len(f.content)
	}
	for _, c := range []struct {
		name string
		data []byte
		want bool
	}{
		{"one entry of 256 MiB", entries(1, MaxEntrySize), true},
		{"one entry of 256 MiB and a byte", entries(1, MaxEntrySize+1), false},
		{"512 MiB in all", entries(4, (MaxTotalSize-rest)/4), true},
		{"more than 512 MiB in all", entries(4, MaxTotalSize/4), false},
	} {
		if a, ps := readArchive(c.data); (a != nil) != c.want {
			t.Errorf("%s: %v", c.name, ps)
		}
	}
}

func TestXMLLimitsJustUnderAndJustOver(t *testing.T) {
	elements := func(n int) []byte { return []byte("<a>" + strings.Repeat("<b/>", n-1) + "</a>") }
	if _, err := parseAlone(elements(maxXMLNodes)); err != nil {
		t.Errorf("%d elements: %v", maxXMLNodes, err)
	}
	if _, err := parseAlone(elements(maxXMLNodes + 1)); err == nil || err.code != CodeXMLFormat {
		t.Errorf("%d elements: %v", maxXMLNodes+1, err)
	}
	text := func(n int) []byte { return []byte("<a>" + strings.Repeat(" ", n-7) + "</a>") }
	if _, err := parseAlone(text(MaxXMLSize)); err != nil {
		t.Errorf("%d bytes: %v", MaxXMLSize, err)
	}
	if _, err := parseAlone(text(MaxXMLSize + 1)); err == nil || err.code != CodeXMLFormat {
		t.Errorf("%d bytes: %v", MaxXMLSize+1, err)
	}
	// Offsets and depth of what interrupts text over and over cost no more than its size.
	many := []byte("<a>" + strings.Repeat("x<!-- -->", 1<<20) + "</a>" + strings.Repeat("<!-- --> ", 1<<20))
	start := time.Now()
	if _, err := parseAlone(many); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("two million comments took %v", took)
	}
}

// TestReopenSharesOnlyWhatIsTheSame changes one page in place and reopens.
func TestReopenSharesOnlyWhatIsTheSame(t *testing.T) {
	files := minimal()
	p, _ := Open(build(files...))
	before, _ := p.Digest("Doc_0/Pages/P.xml")
	files[2].content = strings.Replace(pageXML, `ID="2"`, `ID="3"`, 1)
	q, ps := p.Reopen(build(files...))
	if q == nil {
		t.Fatal(ps)
	}
	after, err := q.Digest("Doc_0/Pages/P.xml")
	if err != nil || after == before {
		t.Errorf("the changed page has the digest of the old one (%v)", err)
	}
	content, _ := q.Read("Doc_0/Pages/P.xml")
	if string(content) != files[2].content {
		t.Error("the changed page has the old content")
	}
	if q.archive.files["OFD.xml"].blob != p.archive.files["OFD.xml"].blob {
		t.Error("an unchanged file was not shared")
	}
}
