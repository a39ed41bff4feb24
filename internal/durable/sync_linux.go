package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Datasync makes the bytes written to f, and its length, durable
// (fdatasync(2)). After an error the state of everything written since the last
// success is unknown and stays so: do not call it again on this file, and
// acknowledge nothing that it was to cover.
func Datasync(f *os.File) error {
	if err := ignoringEINTR(func() error { return unix.Fdatasync(int(f.Fd())) }); err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return nil
}

// reserve asks for blocks, so that a full disk is reported before anything is
// written. Not every file system can.
func reserve(f *os.File, off, n int64) error {
	err := ignoringEINTR(func() error { return unix.Fallocate(int(f.Fd()), 0, off, n) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		return nil
	}
	return err
}

func ownership(info fs.FileInfo) (uid int, links uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), uint64(st.Nlink), true
}
