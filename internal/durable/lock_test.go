package durable

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReleasedLockIsFreeAlsoWhileAChildHasTheDescriptor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(l.f.Fd())) // as a process between fork and exec has it
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := TryLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Release(); err != nil {
		t.Fatal(err)
	}
	if again.Release() == nil {
		t.Error("released twice")
	}
}
