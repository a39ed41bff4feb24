package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another process, or another part of this one, holds the
// lock.
var ErrLocked = errors.New("locked by another process")

// Lock is an advisory lock on a file (flock(2)): it keeps a second writer of
// the same program away and nobody else. The kernel releases it when the holder
// dies, so that there is no stale lock to remove; the file itself stays.
type Lock struct{ f *os.File }

// TryLock takes the lock at path without waiting and makes the private file
// when it is missing. It returns an error that is ErrLocked when the lock is
// held. Two TryLock calls in one process exclude each other too.
func TryLock(path string) (*Lock, error) {
	f, err := OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	err = ignoringEINTR(func() error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) })
	if err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = ErrLocked
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &Lock{f}, nil
}

// Release gives the lock back. Releasing twice is an error of the second call.
// It unlocks before it closes: a process that was being started in this moment
// has the descriptor too until it executes its program, and would hold the lock.
func (l *Lock) Release() error {
	unlock := ignoringEINTR(func() error { return unix.Flock(int(l.f.Fd()), unix.LOCK_UN) })
	return errors.Join(unlock, l.f.Close())
}

func ignoringEINTR(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}
