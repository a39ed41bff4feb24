package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sealgate/sealgate/internal/testenv"
)

// quick leaves out the syncs, which only cost time where no machine dies.
func quick(s storageStep, do func() error) error {
	if s.op == "datasync" || s.op == "syncdir" {
		return nil
	}
	return do()
}

// fault fails the k-th storage step in one of three ways.
type fault struct {
	k    int
	how  string // "not done", "done", "half"
	err  error
	seen int
	hit  storageStep
	dir  string
}

func (f *fault) step(s storageStep, do func() error) error {
	f.seen++
	if f.seen != f.k {
		return quick(s, do)
	}
	f.hit = s
	switch f.how {
	case "done":
		if err := quick(s, do); err != nil {
			return err
		}
	case "half":
		if s.op == "write" {
			file, err := os.OpenFile(filepath.Join(f.dir, s.name), os.O_RDWR, 0)
			if err != nil {
				return err
			}
			defer file.Close()
			if _, err := file.WriteAt(s.data[:len(s.data)/2], s.off); err != nil {
				return err
			}
		}
	}
	return f.err
}

// story opens a ledger, appends records one after the other across several
// segments, and closes it. It returns what was acknowledged, and whether the
// ledger refused for good.
func story(c Config, step func(storageStep, func() error) error) (acknowledged map[uint64]string, dead error) {
	acknowledged = make(map[uint64]string)
	l, err := open(c, step)
	if err != nil {
		return acknowledged, err
	}
	for i := range 24 {
		r := testRecord(i)
		r.Five.Purpose = strings.Repeat("p", 500-20*i) // what fails is longer than what comes next
		receipt, err := l.Append(context.Background(), r)
		if errors.Is(err, ErrFull) { // a caller refuses the call; the next one comes
			continue
		}
		if err != nil {
			dead = err
			break
		}
		acknowledged[receipt.Seq] = r.RequestID
	}
	if dead != nil {
		if _, err := l.Append(context.Background(), testRecord(99)); err == nil {
			dead = fmt.Errorf("acknowledged after %w", dead)
		}
	}
	if err := l.Close(); err != nil && !errors.Is(err, ErrFull) && !errors.Is(err, ErrStore) {
		dead = fmt.Errorf("close: %w", err)
	}
	return acknowledged, dead
}

func checkAcknowledged(t *testing.T, dir string, acknowledged map[uint64]string) (size int) {
	t.Helper()
	found := make(map[uint64]string)
	for e, err := range Query(dir, Filter{}) {
		must(t, err)
		found[e.Seq] = e.RequestID
		size++
	}
	for seq, id := range acknowledged {
		if found[seq] != id {
			t.Fatalf("record %d was acknowledged as %s and is now %q", seq, id, found[seq])
		}
	}
	return size
}

func faultConfig(t *testing.T, s *keySigner) Config {
	c := testConfig(t, filepath.Join(t.TempDir(), "ledger"), s)
	c.SegmentSize = 8 << 10
	c.CheckpointEvery = time.Hour
	return c
}

func TestEveryStorageStepMayFailDoneOrNotDone(t *testing.T) {
	s := newSigner(t)
	clean := &fault{k: -1}
	if _, err := story(faultConfig(t, s), clean.step); err != nil {
		t.Fatal(err)
	}
	if clean.seen < 40 {
		t.Fatalf("only %d steps", clean.seen)
	}
	for k := 1; k <= clean.seen; k++ {
		for _, how := range []string{"not done", "done", "half"} {
			for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
				c := faultConfig(t, s)
				f := &fault{k: k, how: how, err: cause, dir: c.Dir}
				acknowledged, dead := story(c, f.step)
				name := fmt.Sprintf("step %d, %s of %s, %s, %v", k, f.hit.op, f.hit.name, how, cause)
				if dead != nil && cause == syscall.ENOSPC && len(acknowledged) > 0 && (f.hit.op == "write" || f.hit.op == "preallocate" || f.hit.op == "create") {
					t.Errorf("%s: the ledger did not go on when there was space again: %v", name, dead)
				}
				if dead != nil && !errors.Is(dead, ErrStore) && !errors.Is(dead, ErrFull) {
					t.Errorf("%s: died of %v", name, dead)
				}
				l, err := open(c, quick)
				if err != nil {
					t.Fatalf("%s: open again: %v", name, err)
				}
				if _, err := l.Append(context.Background(), testRecord(100)); err != nil {
					t.Fatalf("%s: append again: %v", name, err)
				}
				must(t, l.Close())
				size := checkAcknowledged(t, c.Dir, acknowledged)
				verifyOK(t, c, size)
			}
		}
	}
}

func TestFailedSyncIsNeverRetriedAndNothingMoreIsAcknowledged(t *testing.T) {
	s := newSigner(t)
	c := faultConfig(t, s)
	var failing atomic.Bool
	var after atomic.Int32
	l, err := open(c, func(st storageStep, do func() error) error {
		if failing.Load() {
			after.Add(1)
			if st.op == "datasync" {
				return syscall.EIO
			}
		}
		return do()
	})
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(0))
	must(t, err)
	failing.Store(true)
	_, err = l.Append(context.Background(), testRecord(1))
	if !errors.Is(err, ErrStore) || !errors.Is(l.Err(), ErrStore) {
		t.Fatalf("append: %v, Err: %v", err, l.Err())
	}
	var coded interface{ Code() string }
	if !errors.As(err, &coded) || coded.Code() != "SG-AUDIT-UNAVAILABLE" {
		t.Errorf("no code in %v", err)
	}
	failing.Store(false)
	steps := after.Load()
	if _, err = l.Append(context.Background(), testRecord(2)); !errors.Is(err, ErrStore) {
		t.Errorf("acknowledged after a failed sync: %v", err)
	}
	if err := l.Close(); !errors.Is(err, ErrStore) {
		t.Errorf("close: %v", err)
	}
	if after.Load() != steps {
		t.Error("the storage was touched after a failed sync")
	}
}

func TestWriteThatFailedForSpaceLeavesNothingBehindTheNextRecord(t *testing.T) {
	c := faultConfig(t, newSigner(t))
	c.SegmentSize = 1 << 20
	var failing atomic.Bool
	l, err := open(c, func(st storageStep, do func() error) error {
		if err := quick(st, do); err != nil {
			return err
		}
		if st.op == "write" && failing.Load() {
			return syscall.ENOSPC // although all of it is there
		}
		return nil
	})
	must(t, err)
	long := testRecord(0)
	for i := range 100 {
		long.Fields.Shown = append(long.Fields.Shown, fmt.Sprintf("data.field%d", i))
	}
	failing.Store(true)
	if _, err := l.Append(context.Background(), long); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	failing.Store(false)
	_, err = l.Append(context.Background(), testRecord(1))
	must(t, err)
	r, err := Verify(c.Dir, VerifyOptions{}) // as a kill now would leave it
	if err != nil || !r.OK || r.Size != 1 || r.Torn != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	must(t, l.Close())
}

func TestBlockedDiskRefusesAfterTheWaitAndKeepsMemoryBounded(t *testing.T) {
	s := newSigner(t)
	c := faultConfig(t, s)
	c.Queue = 4
	var block atomic.Bool
	entered, release := make(chan struct{}, 64), make(chan struct{})
	l, err := open(c, func(st storageStep, do func() error) error {
		if st.op == "write" && block.Load() {
			entered <- struct{}{}
			<-release
		}
		return quick(st, do)
	})
	must(t, err)
	_, err = l.Append(context.Background(), testRecord(0))
	must(t, err)
	l.Config.Wait = 30 * time.Millisecond
	block.Store(true)
	var unknown, notWritten atomic.Int32
	var wg sync.WaitGroup
	for i := range 20 {
		if i == 1 {
			<-entered // the disk hangs with the first one; the rest find a queue of four
		}
		wg.Go(func() {
			_, err := l.Append(context.Background(), testRecord(1000+i))
			switch {
			case errors.Is(err, ErrNotWritten):
				notWritten.Add(1)
			case errors.Is(err, ErrBusy):
				unknown.Add(1)
			default:
				t.Errorf("append on a blocked disk: %v", err)
			}
		})
	}
	wg.Wait()
	if unknown.Load()+notWritten.Load() != 20 || notWritten.Load() < 12 {
		t.Errorf("%d of unknown outcome, %d not written", unknown.Load(), notWritten.Load())
	}
	block.Store(false)
	close(release)
	l.Config.Wait = 10 * time.Second
	_, err = l.Append(context.Background(), testRecord(1))
	must(t, err)
	must(t, l.Close())
	size := 0
	for _, err := range Query(c.Dir, Filter{}) {
		must(t, err)
		size++
	}
	if most := 2 + int(unknown.Load()); size < 2 || size > most {
		t.Errorf("%d records, want 2 to %d: what was said not to be written must not be", size, most)
	}
	verifyOK(t, c, size)
}

func TestCancelledCallerIsAnsweredAtOnce(t *testing.T) {
	c, _ := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	defer l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 50 { // either answer may come first
		if _, err := l.Append(ctx, testRecord(0)); err != nil && (!errors.Is(err, ErrBusy) || !errors.Is(err, context.Canceled)) {
			t.Fatal(err)
		}
	}
}

func TestFullDiskRefusesAndTheLedgerGoesOnWhenThereIsSpaceAgain(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=512k,mode=0700"); err != nil {
		testenv.Missing(t, "may not mount a small disk here: "+err.Error())
	}
	defer unix.Unmount(dir, unix.MNT_DETACH)
	s := newSigner(t)
	c := testConfig(t, filepath.Join(dir, "ledger"), s)
	c.SegmentSize = 64 << 10
	must(t, os.WriteFile(filepath.Join(dir, "ballast"), make([]byte, 200<<10), 0o600))
	l, err := Open(c)
	must(t, err)
	acknowledged := make(map[uint64]string)
	appendAll := func(from, to int) (refused int) {
		for i := from; i < to; i++ {
			r := testRecord(i)
			receipt, err := l.Append(context.Background(), r)
			switch {
			case err == nil:
				acknowledged[receipt.Seq] = r.RequestID
			case errors.Is(err, ErrFull):
				refused++
			default:
				t.Fatal(err)
			}
		}
		return refused
	}
	if appendAll(0, 700) == 0 {
		t.Fatal("the disk did not fill")
	}
	if err := l.Err(); errors.Is(err, ErrStore) {
		t.Fatalf("a full disk is not a broken one: %v", err)
	}
	before := len(acknowledged)
	must(t, os.Remove(filepath.Join(dir, "ballast")))
	if n := appendAll(700, 750); n != 0 || len(acknowledged) != before+50 {
		t.Fatalf("%d refused although there is space", n)
	}
	must(t, l.Close())
	size := checkAcknowledged(t, c.Dir, acknowledged)
	verifyOK(t, c, size)
	if size != len(acknowledged) {
		t.Errorf("%d records, %d acknowledged", size, len(acknowledged))
	}
}
