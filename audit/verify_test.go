package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func TestReportIsThisJSON(t *testing.T) {
	c, m, _ := tamperLedger(t)
	r := verifyOK(t, c, 60)
	text, err := json.Marshal(r)
	must(t, err)
	want := fmt.Sprintf(`{"ok":true,"size":60,"root":"%s","log":"test-log","signed":60,"signatures_checked":true,"torn":0}`, base64Std(r.Root[:]))
	if string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	// An edit on the disk, as with a text editor.
	name := m.names()[0]
	edited := strings.Replace(string(m[name]), `"request_id":"req-000003"`, `"request_id":"req-000303"`, 1)
	must(t, os.WriteFile(filepath.Join(c.Dir, name), []byte(edited), 0o600))
	r, err = Verify(c.Dir, VerifyOptions{})
	must(t, err)
	text, err = json.Marshal(r)
	must(t, err)
	if want := fmt.Sprintf(`{"ok":false,"first_bad":3,"why":"%s: the record's checksum is wrong"}`, name); string(text) != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
}

func TestWithoutKeysTheTreeIsComparedAndNobodyVouches(t *testing.T) {
	c, _ := fill(t, 3, nil)
	r, err := Verify(c.Dir, VerifyOptions{})
	must(t, err)
	if !r.OK || r.SignaturesChecked || len(r.Keys) != 1 || r.Keys[0] != c.PublicKey.Fingerprint() {
		t.Errorf("report %+v", r)
	}
	r, err = Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{newSigner(t).key.Public()}})
	must(t, err)
	if r.OK || r.FirstBad != 0 || !strings.Contains(r.Why, "not trusted") {
		t.Errorf("under a foreign key: %+v", r)
	}
}

func TestKeyMayChangeBetweenTwoRunsWhenTheFormerOneIsNamed(t *testing.T) {
	c, _ := fill(t, 3, nil)
	s := newSigner(t)
	old := c.PublicKey
	c.Signer, c.PublicKey, c.FormerKeys = s, s.key.Public(), []*gm.PublicKey{old}
	appendTo(t, c, 3, 6)
	r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{old, c.PublicKey}})
	must(t, err)
	if !r.OK || r.Size != 6 || len(r.Keys) != 2 {
		t.Errorf("report %+v", r)
	}
}

func TestCheckpointKeptElsewhereFindsARestoredOldCopy(t *testing.T) {
	c, _ := fill(t, 5, nil)
	yesterday := readImage(t, c.Dir)
	appendTo(t, c, 5, 9)
	head, err := ReadHead(c.Dir)
	must(t, err)
	options := VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}, Checkpoint: head.Signed}
	r, err := Verify(c.Dir, options)
	must(t, err)
	if !r.OK {
		t.Fatalf("report %+v", r)
	}
	yesterday.write(t, c.Dir)
	r, err = Verify(c.Dir, options)
	must(t, err)
	if r.OK || r.FirstBad != 5 {
		t.Errorf("a restored copy: %+v", r)
	}
	// A fork: the old copy goes on, with the true key.
	for i := range 6 {
		appendTo(t, c, 100+i, 101+i)
	}
	verifyOK(t, c, 11)
	r, err = Verify(c.Dir, options)
	must(t, err)
	if r.OK || r.FirstBad < 5 || r.FirstBad > 8 {
		t.Errorf("a fork: %+v", r)
	}
	other := *head.Signed
	other.Log = "another"
	if _, err := Verify(c.Dir, VerifyOptions{Checkpoint: &other}); err == nil {
		t.Error("a checkpoint of another ledger was taken")
	}
	forged := *head.Signed
	forged.Size++
	if _, err := Verify(c.Dir, VerifyOptions{PublicKeys: options.PublicKeys, Checkpoint: &forged}); !errors.Is(err, ErrCheckpoint) {
		t.Errorf("a forged checkpoint: %v", err)
	}
}

func TestLedgerWithoutItsCheckpointsIsFoundWhenItsRecordsAreOldEnough(t *testing.T) {
	s := newSigner(t)
	s.breakWith(errors.New("away"))
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	s.breakWith(nil)
	l, err := Open(c)
	must(t, err)
	for i := range 3 {
		_, err := l.Append(context.Background(), testRecord(i))
		must(t, err)
		waitFor(t, "the checkpoint", func() bool { h := l.Head(); return h.Signed != nil && h.Signed.Size == h.Size })
		mu.Lock()
		now = now.Add(50 * time.Minute)
		mu.Unlock()
	}
	must(t, l.Close())
	verifyOK(t, c, 3)
	f := takeApart(t, readImage(t, c.Dir))
	for i := range f.batches {
		f.batches[i].signed = nil
	}
	f.put(t).write(t, c.Dir)
	r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
	must(t, err)
	if r.OK || r.FirstBad != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestFolderWithoutALedgerIsNotAWholeLedger(t *testing.T) {
	r, err := Verify(t.TempDir(), VerifyOptions{})
	must(t, err)
	if r.OK {
		t.Error("an empty folder is ok")
	}
	if _, err := Verify(filepath.Join(t.TempDir(), "absent"), VerifyOptions{}); err == nil {
		t.Error("an absent folder is ok")
	}
	if _, err := ReadHead(t.TempDir()); err == nil {
		t.Error("an empty folder has a head")
	}
}

func TestDamagedLedgerIsNotOpenedAndNotTouched(t *testing.T) {
	c, m, _ := tamperLedger(t)
	name := m.names()[len(m)-1]
	bad := maps.Clone(m)
	bad[name] = append([]byte(nil), m[name]...)
	bad[name][len(bad[name])-200] ^= 1
	bad.write(t, c.Dir)
	_, err := Open(c)
	if !errors.Is(err, ErrBroken) {
		t.Fatalf("open: %v", err)
	}
	if after := readImage(t, c.Dir); !maps.EqualFunc(bad, after, func(a, b []byte) bool { return string(a) == string(b) }) {
		t.Error("the damaged ledger was changed")
	}
	c.Log = "another"
	m.write(t, c.Dir)
	if _, err := Open(c); err == nil {
		t.Error("opened under another name")
	}
}

func TestAuditorsReadBesideARunningWriter(t *testing.T) {
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	c.SegmentSize = 30 << 10
	l, err := Open(c)
	must(t, err)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for a := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := l.Append(context.Background(), testRecord(a*1_000_000+i)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	waitFor(t, "a checkpoint", func() bool { h := l.Head(); return h.Signed != nil && h.Signed.Size > 0 })
	var last uint64
	for range 15 {
		r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
		if err != nil || !r.OK || r.Size < last {
			t.Fatalf("%+v, %v", r, err)
		}
		last = r.Size
		p, err := Prove(c.Dir, 0)
		must(t, err)
		must(t, p.Verify(c.PublicKey))
		n := uint64(0)
		for e, err := range Query(c.Dir, Filter{FromSeq: last / 2, Limit: 20}) {
			if err != nil || e.Seq != last/2+n {
				t.Fatalf("%d: %s, %v", last/2+n, e.Raw, err)
			}
			n++
		}
	}
	close(stop)
	wg.Wait()
	must(t, l.Close())
}

func TestQuerySelects(t *testing.T) {
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	c.SegmentSize = 8 << 10
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	var mu sync.Mutex
	c.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return start.Add(time.Duration(n) * time.Second) }
	l, err := Open(c)
	must(t, err)
	token := NewSubjectIndex([]byte("k")).Token("resident_id", "220102199003070013")
	for i := range 40 {
		r := testRecord(i)
		switch i % 4 {
		case 0:
			r.Type, r.Outcome = CallIntent, Allowed
		case 1:
			r.Code, r.Outcome = "SG-AUTHZ-NO-GRANT", Denied
		case 2:
			r.Type, r.Actor.ID, r.Object.ID = "grant.approve", `o"1`, "g1"
			r.Subject = []string{token}
		}
		mu.Lock()
		n = i
		mu.Unlock()
		_, err := l.Append(context.Background(), r)
		must(t, err)
	}
	must(t, l.Close())
	for name, q := range map[string]struct {
		f    Filter
		want []uint64 // count, first
	}{
		"all":                {Filter{}, []uint64{40, 0}},
		"type":               {Filter{Type: "call.intent"}, []uint64{10, 0}},
		"family":             {Filter{Type: "grant."}, []uint64{10, 2}},
		"part of type":       {Filter{Type: "call"}, []uint64{0}},
		"code":               {Filter{Code: "SG-AUTHZ-NO-GRANT"}, []uint64{10, 1}},
		"actor":              {Filter{Actor: `o"1`}, []uint64{10, 2}},
		"object":             {Filter{Object: "g1"}, []uint64{10, 2}},
		"object is no actor": {Filter{Actor: "g1"}, []uint64{0}},
		"request":            {Filter{RequestID: "req-000017"}, []uint64{1, 17}},
		"subject":            {Filter{Subject: token, FromSeq: 20}, []uint64{5, 22}},
		"seq":                {Filter{FromSeq: 31}, []uint64{9, 31}},
		"seq behind":         {Filter{FromSeq: 1000}, []uint64{0}},
		"time":               {Filter{From: start.Add(5 * time.Second), To: start.Add(9 * time.Second)}, []uint64{4, 5}},
		"limit":              {Filter{FromSeq: 3, Limit: 2}, []uint64{2, 3}},
	} {
		var got []uint64
		for e, err := range Query(c.Dir, q.f) {
			must(t, err)
			got = append(got, e.Seq)
		}
		if uint64(len(got)) != q.want[0] || len(got) > 0 && got[0] != q.want[1] {
			t.Errorf("%s: got %v", name, got)
		}
	}
	for range Query(c.Dir, Filter{}) {
		break // stops without a complaint
	}
	var last error
	for _, err := range Query(t.TempDir(), Filter{}) {
		last = err
	}
	if last == nil {
		t.Error("query of an empty folder says nothing")
	}
}

// BenchmarkVerify measures the whole verification of closed ledgers.
func BenchmarkVerify(b *testing.B) {
	c := testConfig(b, filepath.Join(b.TempDir(), "ledger"), newSigner(b))
	c.CheckpointEvery = 100 * time.Millisecond
	l, err := open(c, quick)
	must(b, err)
	const records = 100_000
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for i := range records / 64 {
				if _, err := l.Append(context.Background(), testRecord(i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(b, l.Close())
	b.ResetTimer()
	for range b.N {
		r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
		if err != nil || !r.OK {
			b.Fatal(r, err)
		}
	}
	b.ReportMetric(float64(records/64*64*b.N)/b.Elapsed().Seconds(), "records/s")
}
