package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/store"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var start = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

func open(t testing.TB) (*store.Store, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "state", "state.db")
	return reopen(t, path), path
}

func reopen(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() }) // a second Close only fails
	return s
}

func TestANonceIsUsedOnceAlsoAfterARestart(t *testing.T) {
	s, path := open(t)
	ctx := t.Context()
	until := start.Add(identity.NonceLife)
	if err := s.Nonces().Use(ctx, "a", "n", until); err != nil {
		t.Fatal(err)
	}
	if err := s.Nonces().Use(ctx, "a", "n", until); !errors.Is(err, identity.ErrReplayed) {
		t.Errorf("again: %v", err)
	}
	if err := s.Nonces().Use(ctx, "b", "n", until); err != nil {
		t.Errorf("another system's: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Nonces().Use(ctx, "c", "n", until); err == nil || errors.Is(err, identity.ErrReplayed) {
		t.Errorf("a closed store: %v", err)
	}
	s = reopen(t, path)
	if err := s.Nonces().Use(ctx, "a", "n", until); !errors.Is(err, identity.ErrReplayed) {
		t.Errorf("after a restart: %v", err)
	}
}

func TestOfConcurrentUsesOfOneNonceExactlyOneWins(t *testing.T) {
	s, _ := open(t)
	var won, replayed atomic.Int64
	var wg sync.WaitGroup
	const nonces, each = 40, 25
	for i := range nonces * each {
		wg.Go(func() {
			switch err := s.Nonces().Use(t.Context(), "a", fmt.Sprint(i%nonces), start); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, identity.ErrReplayed):
				replayed.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != nonces || replayed.Load() != nonces*(each-1) {
		t.Errorf("%d won, %d replayed", won.Load(), replayed.Load())
	}
}

func TestANonceWhoseCallerLeftIsSpent(t *testing.T) {
	s, _ := open(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Nonces().Use(ctx, "a", "n", start); err == nil {
		t.Error("used under a context that had ended")
	}
	// Many callers leave in the middle: nobody hears "new" twice.
	var fresh atomic.Int64
	var wg sync.WaitGroup
	for range 200 {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond*300)
			defer cancel()
			if s.Nonces().Use(ctx, "a", "m", start) == nil {
				fresh.Add(1)
			}
		})
	}
	wg.Wait()
	if fresh.Load() > 1 {
		t.Errorf("%d callers were told that the nonce is new", fresh.Load())
	}
}

func TestOldNoncesArePurgedAndLivingOnesAreNot(t *testing.T) {
	s, path := open(t)
	for i := range 20 {
		if err := s.Nonces().Use(t.Context(), "a", fmt.Sprint("old", i), start.Add(identity.NonceLife)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Nonces().Use(t.Context(), "a", "young", start.Add(2*identity.NonceLife)); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, path, "nonces"); n != 21 {
		t.Errorf("%d nonces before their end", n)
	}
	if err := s.Nonces().Use(t.Context(), "a", "day later", start.Add(24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := rows(t, path, "nonces"); n != 1 {
		t.Errorf("%d nonces a day later", n)
	}
	if n, err := s.Nonces().Purge(t.Context(), start.Add(25*time.Hour)); n != 1 || err != nil {
		t.Errorf("purged %d, %v", n, err)
	}
}

// A store that fails in the middle of a batch stores none of it and says so to
// all: nobody is let through on a nonce that is not on the disk.
func TestAFailedBatchLetsNobodyThroughAndStoresNothing(t *testing.T) {
	s, path := open(t)
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("CREATE TRIGGER hostile BEFORE INSERT ON nonces WHEN NEW.nonce = 'bad' BEGIN SELECT RAISE(ABORT, 'disk says no'); END"); err != nil {
		t.Fatal(err)
	}
	var passed sync.Map
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			nonce := fmt.Sprint("n", i)
			if i%10 == 0 {
				nonce = "bad"
			}
			err := s.Nonces().Use(t.Context(), "a", nonce, start)
			switch {
			case err == nil:
				passed.Store(nonce, true)
			case errors.Is(err, identity.ErrReplayed):
				t.Error("a failure was reported as a replay")
			}
		})
	}
	wg.Wait()
	if _, ok := passed.Load("bad"); ok {
		t.Error("let through on a nonce that could not be stored")
	}
	count := 0
	passed.Range(func(any, any) bool { count++; return true })
	if n := rows(t, path, "nonces"); n != count {
		t.Errorf("%d were let through, %d are stored", count, n)
	}
	if err := s.Nonces().Use(t.Context(), "a", "later", start); err != nil {
		t.Errorf("the store did not recover: %v", err)
	}
}

// rows counts through a connection of its own.
func rows(t *testing.T, path, table string) int {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var n int
	if err := db.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestASecondProcessIsRefused(t *testing.T) {
	s, path := open(t)
	if _, err := store.Open(t.Context(), path); !errors.Is(err, store.ErrLocked) {
		t.Errorf("got %v", err)
	}
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Ready(t.Context()); err == nil {
		t.Error("a closed store is ready")
	}
	reopen(t, path)
}

func TestForeignNewerOpenAndDamagedFilesAreRefused(t *testing.T) {
	change := func(path string, queries ...string) {
		t.Helper()
		db, err := sql.Open("sqlite", "file:"+path)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range queries {
			if _, err := db.Exec(q); err != nil {
				t.Fatal(err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		spoil func(path string)
		want  error
	}{
		"newer":        {func(p string) { change(p, "PRAGMA user_version = 9999") }, store.ErrNewer},
		"foreign":      {func(p string) { change(p, "PRAGMA application_id = 7") }, store.ErrForeign},
		"another's":    {func(p string) { os.Remove(p); change(p, "CREATE TABLE x (y)"); os.Chmod(p, 0o600) }, store.ErrForeign},
		"no database":  {func(p string) { os.WriteFile(p, bytes.Repeat([]byte("rubbish "), 1000), 0o600) }, store.ErrForeign},
		"cut off":      {func(p string) { os.Truncate(p, 5000) }, store.ErrDamaged},
		"for everyone": {func(p string) { os.Chmod(p, 0o644) }, nil},
		"a link": {func(p string) {
			os.Rename(p, p+".aside")
			os.Symlink(p+".aside", p)
		}, nil},
	} {
		s, path := open(t)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		c.spoil(path)
		before, _ := os.ReadFile(path)
		_, err := store.Open(t.Context(), path)
		var coded interface{ Code() string }
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !errors.As(err, &coded) || coded.Code() != "SG-STOP-STATE" {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) && c.want != store.ErrDamaged {
			t.Errorf("%s: the refused file was changed", name)
		}
	}
}

// SQLite has no page checksums, so a flipped bit inside a value is not seen; a
// damaged structure is.
func TestDamageThatSQLiteCanSeeIsRefusedAtStart(t *testing.T) {
	s, path := open(t)
	for i := range 300 {
		if err := s.PutSeal(t.Context(), seal(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for i := range 60 {
		bad := bytes.Clone(good)
		bad[(i*9973)%len(bad)] ^= 0x40
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(t.Context(), path)
		if err != nil {
			found++
			continue
		}
		s.Close()
	}
	if found == 0 {
		t.Error("no damage was found at all")
	}
}

func seal(i int) store.Seal {
	return store.Seal{Name: fmt.Sprintf("seal-%d", i), ID: fmt.Sprintf("2201%06d", i), ESL: []byte("esl"), KeyName: "k", KeyVersion: 1,
		Certificate: []byte("cert"), Created: start}
}

func TestSealsAreKeptAndOnlyTheirStateChanges(t *testing.T) {
	s, path := open(t)
	ctx := t.Context()
	if err := s.PutSeal(ctx, seal(1)); err != nil {
		t.Fatal(err)
	}
	twin := seal(2)
	twin.ID = seal(1).ID
	for name, again := range map[string]store.Seal{"same name": seal(1), "same number": twin} {
		if err := s.PutSeal(ctx, again); !errors.Is(err, store.ErrExists) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := s.PutSeal(ctx, store.Seal{Name: "bad", ID: "x", ESL: []byte{1}, KeyName: "k", Certificate: []byte{1}}); err == nil {
		t.Error("a seal without key version was stored")
	}
	step := func(to store.SealState, want error) {
		t.Helper()
		if err := s.SetSealState(ctx, "seal-1", to, start.Add(time.Hour)); !errors.Is(err, want) {
			t.Errorf("to %s: %v", to, err)
		}
	}
	step(store.SealSuspended, nil)
	step(store.SealActive, nil)
	step("immortal", store.ErrState)
	step(store.SealCancelled, nil)
	step(store.SealCancelled, nil)
	step(store.SealActive, store.ErrState)
	step(store.SealSuspended, store.ErrState)
	s.Close()
	s = reopen(t, path)
	got, err := s.Seal(ctx, "seal-1")
	if err != nil || got.State != store.SealCancelled || !got.Created.Equal(start) || !got.Changed.Equal(start.Add(time.Hour)) || string(got.ESL) != "esl" {
		t.Errorf("%+v %v", got, err)
	}
	if state, err := s.SealStatus(ctx, seal(1).ID); state != "cancelled" || err != nil {
		t.Errorf("%s %v", state, err)
	}
	if all, err := s.Seals(ctx); len(all) != 1 || err != nil {
		t.Errorf("%d seals, %v", len(all), err)
	}
	_, err1 := s.Seal(ctx, "none")
	_, err2 := s.SealStatus(ctx, "none")
	err3 := s.SetSealState(ctx, "none", store.SealActive, start)
	for i, err := range []error{err1, err2, err3} {
		if !errors.Is(err, store.ErrUnknown) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// The settings that durability rests on, counted where it matters: a commit
// syncs. What follows measures it.
func BenchmarkNonceUse(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			s, _ := open(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						if err := s.Nonces().Use(context.Background(), "a", fmt.Sprint(i), start); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "nonces/s")
		})
	}
}
