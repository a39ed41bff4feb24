package audit

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func TestEveryRecordCanBeProvedAndNothingElse(t *testing.T) {
	c, m, _ := tamperLedger(t)
	for i := range uint64(60) {
		p, err := Prove(c.Dir, i)
		must(t, err)
		back, err := ParseInclusion(p.Marshal())
		must(t, err)
		must(t, back.Verify(c.PublicKey))
		r, err := ParseRecord(back.Record)
		must(t, err)
		if r.Seq != i {
			t.Fatalf("proof %d is of record %d", i, r.Seq)
		}
		back.Index = (i + 1) % 60
		if err := back.Verify(c.PublicKey); !errors.Is(err, ErrProof) {
			t.Errorf("record %d proved in another place: %v", i, err)
		}
		back.Index = i
		back.Record = bytes.Replace(back.Record, []byte(`"outcome":"ok"`), []byte(`"outcome":"failed"`), 1)
		if err := back.Verify(c.PublicKey); !errors.Is(err, ErrProof) {
			t.Errorf("changed record %d proved: %v", i, err)
		}
		if err := p.Verify(newSigner(t).key.Public()); !errors.Is(err, ErrCheckpoint) {
			t.Errorf("proof %d under a foreign key: %v", i, err)
		}
	}
	if _, err := Prove(c.Dir, 60); err == nil {
		t.Error("a record that is not there was proved")
	}
	// A damaged record is not proved.
	name := m.names()[0]
	m[name] = bytes.Replace(m[name], []byte("req-000005"), []byte("req-000505"), 1)
	m.write(t, c.Dir)
	if _, err := Prove(c.Dir, 5); !errors.Is(err, ErrBroken) {
		t.Errorf("proof over a damaged segment: %v", err)
	}
}

func TestProofOfARecordInAnothersPlaceIsRefused(t *testing.T) {
	s := newSigner(t)
	r := fullRecord() // has seq 42
	text, err := r.Canonical()
	must(t, err)
	c := Checkpoint{Log: "x", Size: 1, Time: time.Unix(0, 0).UTC()}
	copy(c.Root[:], sm3Hasher{}.HashLeaf(text))
	signed, err := signCheckpoint(context.Background(), s, s.key.Public(), c)
	must(t, err)
	p := &Inclusion{Index: 0, Record: text, Signed: signed}
	if err := p.Verify(s.key.Public()); !errors.Is(err, ErrProof) {
		t.Errorf("record 42 was proved to be record 0: %v", err)
	}
}

func TestLaterCheckpointsContinueEarlierOnes(t *testing.T) {
	c, _ := fill(t, 0, func(c *Config) { c.SegmentSize = 4 << 10 })
	head, err := ReadHead(c.Dir)
	must(t, err)
	kept := []*SignedCheckpoint{head.Signed}
	for i := range 12 {
		appendTo(t, c, i*i, i*i+i)
		head, err := ReadHead(c.Dir)
		must(t, err)
		kept = append(kept, head.Signed)
	}
	for _, from := range kept {
		p, err := ProveConsistency(c.Dir, from)
		must(t, err)
		back, err := ParseConsistency(p.Marshal())
		must(t, err)
		must(t, back.Verify(c.PublicKey))
		if from.Size == 0 {
			continue // an empty ledger is continued by any
		}
		fork := *from
		fork.Root = gm.SM3([]byte("fork"))
		if _, err := ProveConsistency(c.Dir, &fork); !errors.Is(err, ErrProof) {
			t.Errorf("a fork at %d: %v", from.Size, err)
		}
	}
	later := *kept[len(kept)-1]
	later.Size++
	if _, err := ProveConsistency(c.Dir, &later); !errors.Is(err, ErrBroken) {
		t.Errorf("a checkpoint of more records than there are: %v", err)
	}
}

func TestRecordThatNoCheckpointCoversIsNotProvedYet(t *testing.T) {
	s := newSigner(t)
	s.breakWith(errors.New("away"))
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	l, err := Open(c)
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(0))
	must(t, err)
	if _, err := Prove(c.Dir, 0); !errors.Is(err, ErrNotCovered) {
		t.Errorf("%v", err)
	}
	s.breakWith(nil)
	must(t, l.Close())
	p, err := Prove(c.Dir, 0)
	must(t, err)
	must(t, p.Verify(c.PublicKey))
}

func FuzzParseInclusion(f *testing.F) {
	c := testCheckpoint()
	r := fullRecord()
	text, err := r.Canonical()
	if err != nil {
		f.Fatal(err)
	}
	hash := gm.SM3(nil)
	signed := &SignedCheckpoint{Checkpoint: c, Sig: []byte{0x30, 6, 2, 1, 1, 2, 1, 1}}
	p := Inclusion{Index: 42, Record: text, Hashes: [][]byte{hash[:], hash[:]}, Signed: signed}
	f.Add(p.Marshal())
	q := Consistency{From: signed, To: signed}
	f.Add(q.Marshal())
	f.Fuzz(func(t *testing.T, data []byte) {
		if p, err := ParseInclusion(data); err == nil {
			if !bytes.Equal(p.Marshal(), data) {
				t.Fatalf("%s became %s", data, p.Marshal())
			}
			_ = p.Verify()
			_ = p.check()
		}
		if c, err := ParseConsistency(data); err == nil {
			if !bytes.Equal(c.Marshal(), data) {
				t.Fatalf("%s became %s", data, c.Marshal())
			}
			_ = c.check()
		}
	})
}

// FuzzSegment feeds the reader a segment file. What it takes for frames is
// byte for byte what the writer makes of their contents.
func FuzzSegment(f *testing.F) {
	s := &keySigner{key: fuzzKey(f)}
	c := testConfig(f, filepath.Join(f.TempDir(), "ledger"), s)
	c.Now = func() time.Time { return time.Unix(1_800_000_000, 0) }
	appendTo(f, c, 0, 3)
	whole, err := (&disk{dir: c.Dir}).read(segmentName(0))
	must(f, err)
	f.Add(whole)
	f.Add(append(bytes.Clone(whole), make([]byte, 100)...))
	f.Add(append(bytes.Clone(whole[:len(whole)-frameHeader-40]), make([]byte, 100)...))
	f.Add(bytes.Replace(whole, []byte("benefit"), []byte("bonefit"), 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		var records int
		s := &scanner{read: func(string) ([]byte, error) { return data, nil }}
		s.onRecord = func(seq uint64, leaf []byte) error {
			if seq != uint64(records) || leaf[0] != leafPrefix {
				t.Fatalf("record %d is given as %d", records, seq)
			}
			records++
			return nil
		}
		err := s.scan([]string{segmentName(0)})
		for off := 0; off < s.off; {
			fr, err := parseFrame(data[off:])
			if err != nil {
				t.Fatalf("no frame at %d of %d", off, s.off)
			}
			again := append(beginFrame(nil), fr.body...)
			endFrame(again, fr.kind, fr.seq, int(fr.count), fr.previous)
			if !bytes.Equal(again, data[off:off+fr.size]) {
				t.Fatalf("frame at %d differs", off)
			}
			off += fr.size
		}
		if err == nil && s.clean != (s.off == len(data)) {
			t.Fatalf("clean is %v, %d of %d bytes read", s.clean, s.off, len(data))
		}
		var broken *BrokenError
		if err != nil && (!errors.As(err, &broken) || broken.Index > uint64(records)+maxBatch) {
			t.Fatalf("after %d records: %v", records, err)
		}
	})
}

func fuzzKey(f *testing.F) *gm.PrivateKey {
	d := make([]byte, 32)
	d[31] = 9
	key, err := gm.NewPrivateKey(d)
	must(f, err)
	return key
}
