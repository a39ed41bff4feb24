package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// image is a ledger's folder in memory.
type image map[string][]byte

func readImage(t testing.TB, dir string) image {
	t.Helper()
	d := &disk{dir: dir}
	names, err := d.segments()
	must(t, err)
	m := make(image)
	for _, n := range names {
		data, err := d.read(n)
		must(t, err)
		m[n] = data
	}
	return m
}

func (m image) names() []string { return slices.Sorted(maps.Keys(m)) }

func (m image) write(t testing.TB, dir string) {
	t.Helper()
	must(t, os.RemoveAll(dir))
	must(t, os.Mkdir(dir, 0o700))
	for n, data := range m {
		must(t, os.WriteFile(filepath.Join(dir, n), data, 0o600))
	}
}

// located is a record with its place on the disk.
type located struct {
	seq        uint64
	name       string
	start, end int // of the entry
}

func (m image) records(t testing.TB) (out []located) {
	t.Helper()
	for _, name := range m.names() {
		data := m[name]
		for off := 0; off < len(data); {
			f, err := parseFrame(data[off:])
			must(t, err)
			if f.kind == frameB {
				_, entries, err := batchCheckpoint(f.body)
				must(t, err)
				seq := f.seq
				for range f.count {
					_, rest, err := nextEntry(entries)
					must(t, err)
					end := off + f.size - len(rest)
					out = append(out, located{seq, name, end - (len(entries) - len(rest)), end})
					entries, seq = rest, seq+1
				}
			}
			off += f.size
		}
	}
	return out
}

// tamperLedger returns a ledger of several segments and checkpoints.
func tamperLedger(t testing.TB) (Config, image, *SignedCheckpoint) {
	t.Helper()
	c, _ := fill(t, 20, func(c *Config) { c.SegmentSize, c.CheckpointEvery = 12<<10, 5*time.Millisecond })
	for i := 20; i < 60; i += 8 {
		appendTo(t, c, i, i+8)
	}
	head, err := ReadHead(c.Dir)
	must(t, err)
	m := readImage(t, c.Dir)
	if len(m) < 3 {
		t.Fatalf("%d segments", len(m))
	}
	return c, m, head.Signed
}

func TestEveryFlippedBitIsFoundAndItsRecordNamed(t *testing.T) {
	c, m, _ := tamperLedger(t)
	keys := []*gm.PublicKey{c.PublicKey}
	records := m.records(t)
	rnd := rand.New(rand.NewPCG(5, 6))
	dir := filepath.Join(t.TempDir(), "tampered")
	for i := range 1000 {
		bad := maps.Clone(m)
		name := m.names()[rnd.IntN(len(m))]
		off := rnd.IntN(len(m[name]))
		bad[name] = bytes.Clone(m[name])
		bad[name][off] ^= 1 << rnd.IntN(8)
		bad.write(t, dir)
		r, err := Verify(dir, VerifyOptions{PublicKeys: keys})
		must(t, err)
		if r.OK {
			t.Fatalf("flip %d: byte %d of %s: not found", i, off, name)
		}
		for _, l := range records {
			if l.name == name && off >= l.start && off < l.end && r.FirstBad != l.seq {
				t.Fatalf("flip at byte %d of %s is in record %d, the report says %d: %s", off, name, l.seq, r.FirstBad, r.Why)
			}
		}
	}
}

// forged is a ledger taken apart, for somebody who can compute every checksum
// and lacks only the signing key.
type forged struct {
	log      string
	batches  []forgedBatch
	subtrees func([][]byte) [][]byte // nil: true ones
	shift    uint64                  // added to the number of records before a batch
}

type forgedBatch struct {
	segment int
	signed  []byte
	records [][]byte
}

func takeApart(t testing.TB, m image) *forged {
	t.Helper()
	f := new(forged)
	for i, name := range m.names() {
		data := m[name]
		for off := 0; off < len(data); {
			fr, err := parseFrame(data[off:])
			must(t, err)
			switch fr.kind {
			case frameH:
				h, err := parseHeader(fr.body)
				must(t, err)
				f.log = h.log
			case frameB:
				signed, entries, err := batchCheckpoint(fr.body)
				must(t, err)
				b := forgedBatch{segment: i, signed: bytes.Clone(signed)}
				for range fr.count {
					leaf, rest, err := nextEntry(entries)
					must(t, err)
					b.records, entries = append(b.records, bytes.Clone(leaf[1:])), rest
				}
				f.batches = append(f.batches, b)
			}
			off += fr.size
		}
	}
	return f
}

// put writes the ledger again, everything but the signatures made good:
// checksums, chain, counts, headers with their subtrees, end marks, and the seq
// of each record.
func (f *forged) put(t testing.TB) image {
	t.Helper()
	m := make(image)
	tree := newTree()
	var previous uint32
	segment, name := -1, ""
	frame := func(kind byte, count int, body []byte) {
		b := append(beginFrame(nil), body...)
		before := tree.End()
		if kind == frameB {
			before += f.shift
		}
		previous = endFrame(b, kind, before, count, previous)
		m[name] = append(m[name], b...)
	}
	for _, b := range f.batches {
		if b.segment != segment {
			if segment >= 0 {
				frame(frameE, 0, nil)
			}
			segment, name = b.segment, segmentName(tree.End())
			h := header{tree.End(), f.log, tree.Hashes()}
			if f.subtrees != nil {
				h.subtrees = f.subtrees(h.subtrees)
			}
			frame(frameH, 0, h.append(nil))
		}
		body := append([]byte{0, 0, byte(len(b.signed) >> 8), byte(len(b.signed))}, b.signed...)
		var leaves [][]byte
		for i, text := range b.records {
			r, err := ParseRecord(text)
			must(t, err)
			r.Seq = tree.End() + uint64(i)
			text, err = r.Canonical()
			must(t, err)
			start := len(body)
			body = append(beginEntry(body), text...)
			endEntry(body[start:])
			leaves = append(leaves, sm3Hasher{}.HashLeaf(text))
		}
		frame(frameB, len(b.records), body)
		for _, h := range leaves {
			must(t, tree.Append(h, nil))
		}
	}
	frame(frameE, 0, nil)
	return m
}

func TestForgerWithoutTheKeyIsFoundBelowEveryCheckpoint(t *testing.T) {
	c, m, last := tamperLedger(t)
	options := VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}}
	dir := filepath.Join(t.TempDir(), "forged")
	takeApart(t, m).put(t).write(t, dir)
	if r, err := Verify(dir, options); err != nil || !r.OK || r.Size != last.Size {
		t.Fatalf("the forger's tools do not rebuild an untouched ledger: %+v, %v", r, err)
	}
	rnd := rand.New(rand.NewPCG(7, 8))
	other := newSigner(t)
	// Each returns the lowest record that it changed, or -1 when it had no effect.
	kinds := map[string]func(f *forged, b, i int) int{
		"edit": func(f *forged, b, i int) int {
			text := &f.batches[b].records[i]
			*text = bytes.Replace(*text, []byte(`"outcome":"ok"`), []byte(`"outcome":"failed"`), 1)
			return f.index(b, i)
		},
		"delete": func(f *forged, b, i int) int {
			at := f.index(b, i)
			f.batches[b].records = slices.Delete(f.batches[b].records, i, i+1)
			return at
		},
		"insert": func(f *forged, b, i int) int {
			at := f.index(b, i)
			if at == 0 {
				return -1 // its own copy would follow it
			}
			f.batches[b].records = slices.Insert(f.batches[b].records, i, f.first())
			return at
		},
		"swap": func(f *forged, b, i int) int {
			b2 := rnd.IntN(len(f.batches))
			if b2 == b || len(f.batches[b2].records) == 0 {
				return -1
			}
			x, y := &f.batches[b].records[i], &f.batches[b2].records[0]
			*x, *y = *y, *x
			return min(f.index(b, i), f.index(b2, 0))
		},
		"drop a batch": func(f *forged, b, i int) int {
			at := f.index(b, 0)
			f.batches[b].records = nil
			return at
		},
		"sign again with another key": func(f *forged, b, i int) int {
			for n := range f.batches {
				if s := f.batches[n].signed; len(s) > 0 {
					p, err := ParseSignedCheckpoint(s)
					must(t, err)
					p.Key = other.key.Public().Fingerprint()
					p.Sig, err = other.key.Sign(p.append(nil))
					must(t, err)
					f.batches[n].signed = p.Marshal()
				}
			}
			return 0
		},
		"checkpoint of another size": func(f *forged, b, i int) int {
			for n := b; n < len(f.batches); n++ {
				if s := f.batches[n].signed; len(s) > 0 {
					p, err := ParseSignedCheckpoint(s)
					must(t, err)
					if p.Size == 0 {
						continue
					}
					p.Size--
					f.batches[n].signed = p.Marshal()
					return int(p.Size)
				}
			}
			return -1
		},
		"frames with other counts": func(f *forged, b, i int) int {
			f.shift = 1
			return 0
		},
		"headers with other subtrees": func(f *forged, b, i int) int {
			f.subtrees = func(h [][]byte) (out [][]byte) {
				for i := range h {
					out = append(out, h[len(h)-1-i])
				}
				if len(out) == 1 {
					out[0] = hashLeaf([]byte("x"))
				}
				return out
			}
			return int(firstOf(m.names()[len(m)-1]))
		},
		"cut off, with the checkpoints behind": func(f *forged, b, i int) int {
			at := f.index(b, i)
			f.batches = f.batches[:b+1]
			f.batches[b].records = f.batches[b].records[:i]
			return at
		},
	}
	names := slices.Sorted(maps.Keys(kinds))
	tried := 0
	for n := 0; tried < 1200; n++ {
		kind := names[n%len(names)]
		f := takeApart(t, m)
		b := rnd.IntN(len(f.batches))
		if len(f.batches[b].records) == 0 {
			continue
		}
		at := kinds[kind](f, b, rnd.IntN(len(f.batches[b].records)))
		if at < 0 {
			continue
		}
		tried++
		f.put(t).write(t, dir)
		o := options
		if strings.HasPrefix(kind, "cut off") {
			o.Checkpoint = last // nothing inside the folder can tell
		}
		r, err := Verify(dir, o)
		must(t, err)
		if r.OK {
			t.Fatalf("%s at record %d: not found", kind, at)
		}
		if r.FirstBad > uint64(at) {
			t.Fatalf("%s at record %d: the report says %d: %s", kind, at, r.FirstBad, r.Why)
		}
	}
}

// first returns the ledger's first record.
func (f *forged) first() []byte {
	for _, b := range f.batches {
		if len(b.records) > 0 {
			return b.records[0]
		}
	}
	return nil
}

func (f *forged) index(b, i int) int {
	for _, x := range f.batches[:b] {
		i += len(x.records)
	}
	return i
}

func TestSegmentsThatAreRemovedSwappedOrCutAreFound(t *testing.T) {
	c, m, head := tamperLedger(t)
	names := m.names()
	frames := func(name string) (ends []int) {
		for off := 0; off < len(m[name]); {
			f, err := parseFrame(m[name][off:])
			must(t, err)
			off += f.size
			ends = append(ends, off)
		}
		return ends
	}
	cut := func(name string, at int) image {
		bad := maps.Clone(m)
		bad[name] = m[name][:at]
		return bad
	}
	cases := map[string]image{}
	for i, name := range names {
		removed := maps.Clone(m)
		delete(removed, name)
		cases["remove "+name] = removed
		if i > 0 {
			swapped := maps.Clone(m)
			swapped[name], swapped[names[i-1]] = m[names[i-1]], m[name]
			cases["swap "+name] = swapped
		}
		ends := frames(name)
		for n, end := range ends[:len(ends)-1] {
			cases[fmt.Sprintf("cut %s after frame %d", name, n)] = cut(name, end)
			cases[fmt.Sprintf("cut %s inside frame %d", name, n+1)] = cut(name, end+5)
			without := maps.Clone(m)
			without[name] = append(bytes.Clone(m[name][:end]), m[name][ends[n+1]:]...)
			cases[fmt.Sprintf("%s without frame %d", name, n+1)] = without
			zeroed := maps.Clone(m)
			zeroed[name] = bytes.Clone(m[name])
			clear(zeroed[name][end:ends[n+1]])
			cases[fmt.Sprintf("%s with frame %d zeroed", name, n+1)] = zeroed
		}
		longer := maps.Clone(m)
		longer[name] = append(bytes.Clone(m[name]), "rubbish"...)
		cases["rubbish behind "+name] = longer
	}
	stranger := maps.Clone(m)
	stranger["backup.seg"] = m[names[0]]
	cases["a file with a segment's suffix"] = stranger
	last := names[len(names)-1]
	dir := filepath.Join(t.TempDir(), "tampered")
	options := VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}}
	for what, bad := range cases {
		bad.write(t, dir)
		if what == fmt.Sprintf("%s with frame %d zeroed", last, len(frames(last))-1) {
			continue // only the end mark of the last segment: that is what a crash before it leaves
		}
		r, err := Verify(dir, options)
		must(t, err)
		if r.OK {
			// The folder is as it was when an earlier run closed it. Only a
			// checkpoint kept elsewhere tells that there was more.
			kept := options
			kept.Checkpoint = head
			again, err := Verify(dir, kept)
			must(t, err)
			if again.OK || r.Size >= head.Size || !endsClean(t, bad) {
				t.Errorf("%s: not found", what)
			}
			continue
		}
		if !strings.Contains(what, last) || strings.HasPrefix(what, "remove") {
			continue // Open reads back to the newest checkpoint only
		}
		if _, err := open(Config{Dir: dir, Log: c.Log, Node: c.Node, Signer: c.Signer, PublicKey: c.PublicKey}, quick); err == nil {
			t.Errorf("%s: the ledger was opened for writing", what)
		}
	}
}

func endsClean(t *testing.T, m image) bool {
	names := m.names()
	data := m[names[len(names)-1]]
	f, err := parseFrame(data[len(data)-frameHeader:])
	return err == nil && f.kind == frameE
}

// openImage is a ledger as a running or killed writer leaves it: zeros follow.
func openImage(t *testing.T, records int) (Config, image) {
	t.Helper()
	s := newSigner(t)
	s.breakWith(errors.New("away")) // no checkpoint gives the damage away
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	l, err := open(c, quick)
	must(t, err)
	for i := range records {
		_, err := l.Append(context.Background(), testRecord(i))
		must(t, err)
	}
	m := readImage(t, c.Dir)
	_ = l.Close()
	return c, m
}

func TestDamageBeforeTheLastFrameIsNotTakenForATornEnd(t *testing.T) {
	c, m := openImage(t, 10)
	name := segmentName(0)
	used := len(bytes.TrimRight(m[name], "\x00"))
	first, err := parseFrame(m[name])
	must(t, err)
	var lastFrame int
	for off := 0; off < used; {
		f, err := parseFrame(m[name][off:])
		must(t, err)
		lastFrame, off = off, off+f.size
	}
	rnd := rand.New(rand.NewPCG(11, 12))
	for range 200 {
		off := first.size + rnd.IntN(lastFrame-first.size)
		bad := image{name: bytes.Clone(m[name])}
		bad[name][off] ^= 1 << rnd.IntN(8)
		bad.write(t, c.Dir)
		if r, err := Verify(c.Dir, VerifyOptions{}); err != nil || r.OK {
			t.Fatalf("flip at %d: %+v, %v", off, r, err)
		}
		if _, err := open(c, quick); !errors.Is(err, ErrBroken) {
			t.Fatalf("flip at %d: open: %v", off, err)
		}
	}
	// Far behind the end nothing can be torn.
	bad := image{name: append(bytes.Clone(m[name]), make([]byte, 4<<20)...)}
	bad[name][len(bad[name])-100] = 1
	bad.write(t, c.Dir)
	if r, err := Verify(c.Dir, VerifyOptions{}); err != nil || r.OK {
		t.Errorf("a byte far behind the end: %+v, %v", r, err)
	}
}

func TestFileMadeOfFrameMarksKeepsNobodyBusy(t *testing.T) {
	c, m := openImage(t, 1)
	name := segmentName(0)
	used := len(bytes.TrimRight(m[name], "\x00"))
	mark := []byte{0xff, 'S', 'G', 'B', 0, 0x10, 0, 0}
	bad := image{name: append(bytes.Clone(m[name][:used+1]), bytes.Repeat(mark, 200_000)...)}
	bad[name] = append(bad[name], make([]byte, 100)...)
	bad.write(t, c.Dir)
	start := time.Now()
	if r, err := Verify(c.Dir, VerifyOptions{}); err != nil || r.OK {
		t.Errorf("%+v, %v", r, err)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
}

func TestCopyTakenWhileTheWriterWorkedIsTakenAgain(t *testing.T) {
	_, m := openImage(t, 5)
	name := segmentName(0)
	whole := m[name]
	f, err := parseFrame(whole)
	must(t, err)
	hole := bytes.Clone(whole) // the copy met the second frame before it was written, the third after
	clear(hole[f.size+10 : f.size+60])
	copies := [][]byte{hole, whole}
	s := &scanner{read: func(string) ([]byte, error) {
		c := copies[0]
		copies = copies[min(1, len(copies)-1):]
		return c, nil
	}}
	if err := s.scan([]string{name}); err != nil || s.count != 5 {
		t.Errorf("%d records, %v", s.count, err)
	}
}

func TestRoomForAnEndMarkIsAlwaysKept(t *testing.T) {
	for short := range frameHeader + 2 {
		d := &disk{dir: t.TempDir(), step: quick}
		w := &writer{disk: d, log: "x", maxSize: 1 << 30, tree: newTree()}
		must(t, w.newSegment())
		var b batch
		b.begin(nil)
		b.add(make([]byte, int(w.room-w.off)-len(b.frame)-entryHeader-1-short))
		if want := w.room - w.off - int64(short); int64(len(b.frame)) != want {
			t.Fatalf("frame of %d bytes, want %d", len(b.frame), want)
		}
		must(t, w.write(&b))
		data, err := d.read(w.file.name)
		must(t, err)
		if rest := data[w.off:]; len(rest) < frameHeader || len(bytes.Trim(rest, "\x00")) > 0 {
			t.Errorf("%d bytes stand behind the last frame", len(rest))
		}
		w.close()
	}
}
