package durable

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrNotPrivate says that a file or folder is a link, belongs to somebody else,
// or may be opened by its group or by others. It is refused, never repaired:
// what it holds may already have been read or changed.
var ErrNotPrivate = errors.New("not private")

// OpenPrivate opens a file that nobody but this process's user can have read or
// written. flag is of os.OpenFile; with os.O_CREATE the file is made with mode
// Private. The checks are made on the open handle, so that a swap of the name
// between check and use gains nothing.
func OpenPrivate(path string, flag int) (*os.File, error) {
	f, err := os.OpenFile(path, flag|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, Private)
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is a symbolic link: %w", path, ErrNotPrivate)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = checkPrivate(path, info, 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ReadPrivate reads a private file of at most limit bytes; see OpenPrivate.
func ReadPrivate(path string, limit int64) ([]byte, error) {
	f, err := OpenPrivate(path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readLimited(f, limit)
}

// PrivateDirectory makes sure that dir is a folder of this process's user that
// nobody else may enter: it is made, with what is missing above it, or checked.
// The folders above are not judged.
func PrivateDirectory(dir string) error {
	if err := MkdirAll(filepath.Dir(filepath.Clean(dir)), 0o755); err != nil {
		return err
	}
	if err := Mkdir(dir, PrivateDir); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	return checkPrivate(dir, info, fs.ModeDir)
}

// checkPrivate wants a file of exactly the given type bits, owned by the
// effective user, without rights for group and others, and without set-id bits.
func checkPrivate(path string, info fs.FileInfo, kind fs.FileMode) error {
	mode := info.Mode()
	switch {
	case mode&fs.ModeSymlink != 0:
		return fmt.Errorf("%s is a symbolic link: %w", path, ErrNotPrivate)
	case mode.Type() != kind && kind == fs.ModeDir:
		return fmt.Errorf("%s is not a folder: %w", path, ErrNotPrivate)
	case mode.Type() != kind:
		return fmt.Errorf("%s is not a regular file: %w", path, ErrNotPrivate)
	case mode.Perm()&0o077 != 0 || mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 && kind == 0:
		return fmt.Errorf("%s has mode %04o, want no rights for group and others: %w", path, mode.Perm(), ErrNotPrivate)
	}
	uid, links, ok := ownership(info)
	switch {
	case !ok:
		return fmt.Errorf("%s: the file system tells no owner: %w", path, ErrNotPrivate)
	case uid != os.Geteuid():
		return fmt.Errorf("%s belongs to user %d, this process is user %d: %w", path, uid, os.Geteuid(), ErrNotPrivate)
	case kind == 0 && links > 1:
		return fmt.Errorf("%s has %d names: %w", path, links, ErrNotPrivate)
	}
	return nil
}
