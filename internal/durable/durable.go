// Package durable writes files so that what it reports as done is still there
// after a crash, and opens private files so that nobody else can have touched
// them. It stands on fsync(2), rename(2), flock(2) and O_NOFOLLOW of POSIX and
// Linux, and on nothing else of this project.
//
// What it promises, when a function returns nil:
//
//   - WriteFile and Create: the whole content is on the disk under its name,
//     and the name itself survives a power loss.
//   - Mkdir and MkdirAll: each folder made, and its entry in the folder above.
//   - Preallocate, then Datasync: the range reads as zeros, and writing into it
//     later neither needs space nor changes the file's length.
//
// What it promises when a function fails, or when the process or the machine
// dies inside it: the old content or the new one is found under the name, never
// a mixture and never a part. A file named ".NAME.*.tmp" may be left behind; it
// means nothing and RemoveTemporaries deletes it.
//
// What it refuses to do: it never retries an fsync (the kernel may have thrown
// the pages away after the first error and answer success to the second), never
// follows a symbolic link to a private file, and never reads a private file
// that its group or others may open.
//
//	err := durable.WriteFile(path, data, durable.Private)
//	data, err := durable.ReadPrivate(path, 1<<20)
//	lock, err := durable.TryLock(filepath.Join(dir, "lock"))
package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Private is the mode of a file that only its owner may read.
	Private fs.FileMode = 0o600
	// PrivateDir is the mode of a folder that only its owner may enter.
	PrivateDir fs.FileMode = 0o700
)

// WriteFile replaces the file at path by data, whole or not at all: a temporary
// file in the same folder is written and synced, renamed over path, and the
// folder is synced. A symbolic link at path is replaced, not followed. perm is
// exact: the umask does not apply.
func WriteFile(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemporary(path, data, perm)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return fmt.Errorf("write %s: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// Create makes the file at path with data, whole or not at all. When path
// exists, also as a dangling link, it returns an error that is fs.ErrExist and
// changes nothing. Of several concurrent callers exactly one succeeds.
//
// After any other error the file may exist, and is then complete.
func Create(path string, data []byte, perm fs.FileMode) error {
	tmp, err := writeTemporary(path, data, perm)
	if err != nil {
		return fmt.Errorf("create %s: %w", path, err)
	}
	// link(2) refuses an existing name atomically, which rename(2) does not.
	err = os.Link(tmp, path)
	os.Remove(tmp)
	if err != nil {
		var link *os.LinkError
		if errors.As(err, &link) {
			err = link.Err // its text names the temporary file, which is gone
		}
		return fmt.Errorf("create %s: %w", path, err)
	}
	return SyncDir(filepath.Dir(path))
}

// writeTemporary writes and syncs a new file beside path and returns its name.
func writeTemporary(path string, data []byte, perm fs.FileMode) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp") // O_EXCL, 0600
	if err != nil {
		return "", err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if _, err := f.Write(data); err != nil {
		return "", err
	}
	if err := f.Chmod(perm); err != nil {
		return "", err
	}
	return f.Name(), f.Sync()
}

// RemoveTemporaries deletes what interrupted calls of WriteFile and Create left
// in dir. Only the one writer of dir may call it, before it writes.
func RemoveTemporaries(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && strings.HasSuffix(e.Name(), ".tmp") && e.Type().IsRegular() {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mkdir makes one folder and syncs the folder above it.
func Mkdir(dir string, perm fs.FileMode) error {
	if err := os.Mkdir(dir, perm); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(dir))
}

// MkdirAll makes dir and the folders above it that are missing, each synced
// into its parent. An existing folder is left as it is, with its mode.
func MkdirAll(dir string, perm fs.FileMode) error {
	dir = filepath.Clean(dir)
	switch info, err := os.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("make folder %s: a file of that name exists", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if up := filepath.Dir(dir); up != dir {
		if err := MkdirAll(up, perm); err != nil {
			return err
		}
	}
	if err := Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// SyncDir makes the entries of dir durable: names that were created, renamed or
// removed before the call.
func SyncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync folder %s: %w", dir, err)
	}
	return nil
}

// ErrTooLarge says that a file is longer than the reader's limit.
var ErrTooLarge = errors.New("file is larger than allowed")

// readLimited reads all of f, at most limit bytes.
func readLimited(f *os.File, limit int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: %w (%d bytes)", f.Name(), ErrTooLarge, limit)
	}
	return data, nil
}
