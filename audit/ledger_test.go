package audit

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// keySigner signs as a key engine does: it parses what it is asked to sign.
type keySigner struct {
	key *gm.PrivateKey

	mu   sync.Mutex
	fail error
	seen int
}

func (s *keySigner) SignCheckpoint(ctx context.Context, checkpoint []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen++
	if s.fail != nil {
		return nil, s.fail
	}
	if _, err := ParseCheckpoint(checkpoint); err != nil {
		return nil, err
	}
	return s.key.Sign(checkpoint)
}

func (s *keySigner) breakWith(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newSigner(t testing.TB) *keySigner {
	t.Helper()
	key, err := gm.GenerateKey()
	must(t, err)
	return &keySigner{key: key}
}

func testConfig(t testing.TB, dir string, s *keySigner) Config {
	return Config{
		Dir: dir, Log: "test-log", Node: "node-1", Signer: s, PublicKey: s.key.Public(),
		CheckpointEvery: 2 * time.Millisecond, Wait: 20 * time.Second,
	}
}

func testRecord(i int) Record {
	return Record{
		Type: CallOutcome, RequestID: fmt.Sprintf("req-%06d", i), Outcome: OK, Code: "SG-OK",
		Actor:    Actor{Kind: "system", ID: "rs-benefit", Department: "rs"},
		Object:   Object{Kind: "interface", ID: "pop.person.query"},
		Decision: Decision{ID: fmt.Sprintf("d-%d", i), Revision: "r1", Cached: true},
		Five:     Five{Org: "11220000013544541J", Operator: "op1", Item: "11220000013544541J3000117002011", Biz: "B1", Purpose: "benefit"},
		Fields:   Fields{Shown: []string{"data.name"}, Masked: []string{"data.idCard"}, Dropped: N(3)},
		Rows:     N(1), Bytes: N(321), Ms: N(7), Upstream: Upstream{Status: N(200), Ms: N(5)},
	}
}

// fill makes a ledger with n records in its own folder and closes it.
func fill(t testing.TB, n int, change func(*Config)) (Config, *keySigner) {
	t.Helper()
	s := newSigner(t)
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	if change != nil {
		change(&c)
	}
	appendTo(t, c, 0, n)
	return c, s
}

// appendTo opens the ledger, appends records from to to-1 one by one, and closes it.
func appendTo(t testing.TB, c Config, from, to int) {
	t.Helper()
	l, err := Open(c)
	must(t, err)
	for i := from; i < to; i++ {
		if _, err := l.Append(context.Background(), testRecord(i)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, l.Close())
}

func verifyOK(t testing.TB, c Config, size int) Report {
	t.Helper()
	r, err := Verify(c.Dir, VerifyOptions{PublicKeys: []*gm.PublicKey{c.PublicKey}})
	must(t, err)
	if !r.OK || r.Size != uint64(size) {
		t.Fatalf("report %+v, want ok with %d records", r, size)
	}
	return r
}

func TestRecordsAreThereInOrderAfterReopening(t *testing.T) {
	c, _ := fill(t, 10, nil)
	appendTo(t, c, 10, 25)
	appendTo(t, c, 25, 25)
	r := verifyOK(t, c, 25)
	if r.Signed != 25 {
		t.Errorf("signed %d: a closed ledger is covered by a checkpoint", r.Signed)
	}
	i := 0
	for e, err := range Query(c.Dir, Filter{}) {
		must(t, err)
		if want := fmt.Sprintf("req-%06d", i); e.Seq != uint64(i) || e.RequestID != want || e.Node != "node-1" {
			t.Fatalf("entry %d is %s", i, e.Raw)
		}
		i++
	}
	if i != 25 {
		t.Errorf("%d entries", i)
	}
}

func TestAppendersThatWaitTogetherGetConsecutiveNumbers(t *testing.T) {
	c, _ := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	const each, appenders = 50, 16
	seen := make([]bool, each*appenders)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for a := range appenders {
		wg.Go(func() {
			last := int64(-1)
			for i := range each {
				r, err := l.Append(context.Background(), testRecord(a*each+i))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[r.Seq] || int64(r.Seq) <= last {
					t.Errorf("seq %d after %d, or twice", r.Seq, last)
				}
				seen[r.Seq], last = true, int64(r.Seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	must(t, l.Close())
	verifyOK(t, c, each*appenders)
}

func TestSegmentsFollowOneAnother(t *testing.T) {
	c, _ := fill(t, 300, func(c *Config) { c.SegmentSize = 20 << 10 })
	names, err := (&disk{dir: c.Dir}).segments()
	must(t, err)
	if len(names) < 5 {
		t.Fatalf("%d segments", len(names))
	}
	appendTo(t, c, 300, 400)
	verifyOK(t, c, 400)
}

func TestSecondWriterIsRefused(t *testing.T) {
	c, _ := fill(t, 1, nil)
	l, err := Open(c)
	must(t, err)
	defer l.Close()
	if _, err := Open(c); !errors.Is(err, ErrLocked) {
		t.Fatalf("second open: %v", err)
	}
}
