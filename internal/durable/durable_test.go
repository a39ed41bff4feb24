package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/testenv"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func names(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return strings.Join(out, " ")
}

func TestWriteFileReplacesWholeAndLeavesNothingElse(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, content := range []string{"first", "", strings.Repeat("second", 1000)} {
		must(t, durable.WriteFile(path, []byte(content), durable.Private))
		got, err := os.ReadFile(path)
		must(t, err)
		if string(got) != content {
			t.Errorf("read %q, want %q", got, content)
		}
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %s", got)
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != durable.Private {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestWriteFileIgnoresTheUmask(t *testing.T) {
	old := syscall.Umask(0o077)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "a")
	must(t, durable.WriteFile(path, nil, 0o644))
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode() != 0o644 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestWriteFileReplacesASymbolicLinkAndNotItsTarget(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	must(t, os.WriteFile(target, []byte("old"), 0o600))
	must(t, os.Symlink(target, link))
	must(t, durable.WriteFile(link, []byte("new"), durable.Private))
	if got, _ := os.ReadFile(target); string(got) != "old" {
		t.Errorf("target now holds %q", got)
	}
}

func TestWriteFileLeavesTheOldFileWhenItCannotRename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	must(t, os.Mkdir(path, 0o700)) // a folder cannot be replaced by a file
	if err := durable.WriteFile(path, []byte("x"), durable.Private); err == nil {
		t.Fatal("no error")
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %s", got)
	}
}

func TestReadersOfWriteFileNeverSeeAPart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	content := func(i int) []byte { return bytes.Repeat([]byte{byte('a' + i%26)}, 10_000) }
	must(t, durable.WriteFile(path, content(0), durable.Private))
	var stop atomic.Bool
	var wg sync.WaitGroup
	wg.Go(func() {
		for !stop.Load() {
			got, err := os.ReadFile(path)
			if err != nil || len(got) != 10_000 || bytes.Count(got, got[:1]) != len(got) {
				t.Errorf("saw a part: %d bytes, %v", len(got), err)
				return
			}
		}
	})
	for i := range 50 {
		must(t, durable.WriteFile(path, content(i), durable.Private))
	}
	stop.Store(true)
	wg.Wait()
}

func TestCreateRefusesAnExistingNameAndOneOfManyWins(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			err := durable.Create(path, fmt.Appendf(nil, "writer %d", i), durable.Private)
			switch {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("error is %v, want one that is fs.ErrExist", err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("%d writers won", won.Load())
	}
	if got := names(t, dir); got != "a" {
		t.Errorf("folder holds %s", got)
	}
	must(t, os.Symlink("nowhere", filepath.Join(dir, "dangling")))
	if err := durable.Create(filepath.Join(dir, "dangling"), nil, durable.Private); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a dangling link: %v", err)
	}
}

func TestRemoveTemporariesTakesOnlyWhatAnInterruptedWriteLeft(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{".a.123.tmp", "a", "b.tmp", ".hidden"} {
		must(t, os.WriteFile(filepath.Join(dir, n), nil, 0o600))
	}
	must(t, durable.RemoveTemporaries(dir))
	if got := names(t, dir); got != ".hidden a b.tmp" {
		t.Errorf("left: %s", got)
	}
}

func TestMkdirAllMakesWhatIsMissingAndRefusesAFileInTheWay(t *testing.T) {
	dir := t.TempDir()
	must(t, durable.MkdirAll(filepath.Join(dir, "a/b/c"), durable.PrivateDir))
	must(t, durable.MkdirAll(filepath.Join(dir, "a/b/c"), durable.PrivateDir))
	must(t, os.WriteFile(filepath.Join(dir, "file"), nil, 0o600))
	if err := durable.MkdirAll(filepath.Join(dir, "file"), durable.PrivateDir); err == nil {
		t.Error("made a folder over a file")
	}
	if err := durable.MkdirAll(filepath.Join(dir, "file/x"), durable.PrivateDir); err == nil {
		t.Error("made a folder below a file")
	}
}

func TestPrivateFilesRefuseLinksAndOpenModes(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good")
	must(t, durable.WriteFile(good, []byte("secret"), durable.Private))
	if got, err := durable.ReadPrivate(good, 6); err != nil || string(got) != "secret" {
		t.Fatalf("read %q, %v", got, err)
	}
	if _, err := durable.ReadPrivate(good, 5); !errors.Is(err, durable.ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	bad := map[string]func(path string) error{
		"symbolic link":  func(p string) error { return os.Symlink(good, p) },
		"group may read": func(p string) error { return durable.WriteFile(p, nil, 0o640) },
		"others may run": func(p string) error { return durable.WriteFile(p, nil, 0o601) },
		"second name":    func(p string) error { return os.Link(mustFile(t, filepath.Join(dir, "twin")), p) },
		"folder":         func(p string) error { return os.Mkdir(p, 0o700) },
		"pipe":           func(p string) error { return syscall.Mkfifo(p, 0o600) },
	}
	for name, make := range bad {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(dir, name)
			must(t, make(path))
			if _, err := durable.ReadPrivate(path, 100); !errors.Is(err, durable.ErrNotPrivate) {
				t.Errorf("got %v, want ErrNotPrivate", err)
			}
		})
	}
	if _, err := durable.ReadPrivate(filepath.Join(dir, "absent"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
}

func mustFile(t *testing.T, path string) string {
	t.Helper()
	must(t, durable.WriteFile(path, nil, durable.Private))
	return path
}

func TestPrivateFileOfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		testenv.Missing(t, "needs root to give a file away")
	}
	path := mustFile(t, filepath.Join(t.TempDir(), "a"))
	must(t, os.Chown(path, 12345, 12345))
	if _, err := durable.ReadPrivate(path, 1); !errors.Is(err, durable.ErrNotPrivate) {
		t.Errorf("got %v, want ErrNotPrivate", err)
	}
}

func TestPrivateDirectoryIsMadeOrJudged(t *testing.T) {
	dir := t.TempDir()
	must(t, durable.PrivateDirectory(filepath.Join(dir, "new/deep")))
	must(t, durable.PrivateDirectory(filepath.Join(dir, "new/deep")))
	open := filepath.Join(dir, "open")
	must(t, os.Mkdir(open, 0o755))
	if err := durable.PrivateDirectory(open); !errors.Is(err, durable.ErrNotPrivate) {
		t.Errorf("open folder: %v", err)
	}
	must(t, os.Symlink(filepath.Join(dir, "new/deep"), filepath.Join(dir, "link")))
	if err := durable.PrivateDirectory(filepath.Join(dir, "link")); !errors.Is(err, durable.ErrNotPrivate) {
		t.Errorf("link: %v", err)
	}
	if err := durable.PrivateDirectory(mustFile(t, filepath.Join(dir, "file"))); !errors.Is(err, durable.ErrNotPrivate) {
		t.Errorf("file: %v", err)
	}
}

func TestLockKeepsASecondHolderAwayUntilReleased(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := durable.TryLock(path)
	must(t, err)
	if _, err := durable.TryLock(path); !errors.Is(err, durable.ErrLocked) {
		t.Fatalf("second: %v", err)
	}
	must(t, first.Release())
	second, err := durable.TryLock(path)
	must(t, err)
	must(t, second.Release())
}

func TestPreallocateExtendsByZeros(t *testing.T) {
	f, err := os.OpenFile(filepath.Join(t.TempDir(), "a"), os.O_RDWR|os.O_CREATE, 0o600)
	must(t, err)
	defer f.Close()
	_, err = f.WriteString("head")
	must(t, err)
	must(t, durable.Preallocate(f, 4, 200_000))
	must(t, durable.Datasync(f))
	got, err := os.ReadFile(f.Name())
	must(t, err)
	if len(got) != 200_004 || string(got[:4]) != "head" || bytes.Count(got, []byte{0}) != 200_000 {
		t.Errorf("%d bytes, %d zeros", len(got), bytes.Count(got, []byte{0}))
	}
}

func TestFullDiskIsToldApartFromABrokenOne(t *testing.T) {
	full := &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}
	if !durable.IsFull(fmt.Errorf("append: %w", full)) || durable.IsFull(syscall.EIO) || durable.IsFull(nil) {
		t.Error("IsFull mistakes one for the other")
	}
}
