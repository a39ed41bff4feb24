package durable

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Preallocate makes f's bytes [off, off+n) zeros, so that after a Datasync a
// later write into the range needs no space and no new length, and its fdatasync
// no journal transaction. Blocks are reserved first (fallocate), so that a full
// disk is met before anything changed; zeros are then written, because a block
// that was only reserved still has to be converted at its first write, which
// costs as much as growing the file.
//
// off must be the file's length. On error the file may be longer than before,
// with zeros; the caller truncates it. IsFull tells a full disk.
func Preallocate(f *os.File, off, n int64) error {
	if err := reserve(f, off, n); err != nil {
		return fmt.Errorf("reserve %d bytes for %s: %w", n, f.Name(), err)
	}
	zeros := make([]byte, min(n, 64<<10))
	for end := off + n; off < end; {
		b := zeros[:min(int64(len(zeros)), end-off)]
		if _, err := f.WriteAt(b, off); err != nil {
			return err
		}
		off += int64(len(b))
	}
	return nil
}

// IsFull reports whether err says that the disk or a quota is full: the one
// storage error after which waiting helps.
func IsFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
