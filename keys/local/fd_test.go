package local_test

import (
	"os"

	"golang.org/x/sys/unix"
)

// dup returns a descriptor of its own for f.
func dup(f *os.File) (uintptr, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	return uintptr(fd), err
}
