package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/sealgate/sealgate/internal/durable"
)

// disk is the folder of one ledger. Every step that changes it goes through
// step, so that tests can fail each one, done or not done, and can replay what
// a power loss would have left.
type disk struct {
	dir  string
	step func(s storageStep, do func() error) error // nil: do
}

// storageStep names one change of the folder.
type storageStep struct {
	op   string // create, write, preallocate, datasync, truncate, rename, remove, syncdir
	name string
	to   string // rename
	off  int64  // write, preallocate; truncate: the new length
	n    int64  // preallocate
	data []byte // write
}

func (d *disk) run(s storageStep, do func() error) error {
	if d.step == nil {
		return do()
	}
	return d.step(s, do)
}

func (d *disk) path(name string) string { return filepath.Join(d.dir, name) }

const (
	segmentSuffix   = ".seg"
	temporarySuffix = ".seg.tmp"
	maxSegmentFile  = 256 << 20 // bytes a reader takes in at most
)

// segmentName is the name of the segment whose first record is first.
func segmentName(first uint64) string { return fmt.Sprintf("%020d%s", first, segmentSuffix) }

// segments lists the ledger's segments in order.
func (d *disk) segments() ([]string, error) {
	entries, err := os.ReadDir(d.dir) // sorted, and so are twenty-digit numbers
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if !strings.HasSuffix(name, segmentSuffix) {
			continue
		}
		digits := strings.TrimSuffix(name, segmentSuffix)
		if len(digits) != 20 || !only(digits, "0123456789") {
			return nil, fmt.Errorf("%w: %s is not a segment's name", ErrBroken, name)
		}
		names = append(names, name)
	}
	return names, nil
}

// read returns what the segment holds now.
func (d *disk) read(name string) ([]byte, error) {
	// Without waiting, should somebody have put a pipe there.
	f, err := os.OpenFile(d.path(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxSegmentFile {
		return nil, fmt.Errorf("%w: %s is not a file of at most %d bytes", ErrBroken, name, maxSegmentFile)
	}
	data := make([]byte, info.Size())
	n, err := io.ReadFull(f, data)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return data[:n], nil
}

func (d *disk) create(name string) (*segmentFile, error) {
	s := &segmentFile{disk: d, name: name}
	err := d.run(storageStep{op: "create", name: name}, func() (err error) {
		s.f, err = durable.OpenPrivate(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL)
		return err
	})
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (d *disk) open(name string) (*segmentFile, error) {
	f, err := durable.OpenPrivate(d.path(name), os.O_RDWR)
	if err != nil {
		return nil, err
	}
	return &segmentFile{disk: d, name: name, f: f}, nil
}

func (d *disk) rename(from, to string) error {
	return d.run(storageStep{op: "rename", name: from, to: to}, func() error {
		return os.Rename(d.path(from), d.path(to))
	})
}

// remove deletes name when it is there.
func (d *disk) remove(name string) error {
	return d.run(storageStep{op: "remove", name: name}, func() error {
		if err := os.Remove(d.path(name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func (d *disk) syncDir() error {
	return d.run(storageStep{op: "syncdir"}, func() error { return durable.SyncDir(d.dir) })
}

// segmentFile is a segment open for writing.
type segmentFile struct {
	disk *disk
	name string
	f    *os.File
}

func (s *segmentFile) write(p []byte, off int64) error {
	return s.disk.run(storageStep{op: "write", name: s.name, off: off, data: p}, func() error {
		_, err := s.f.WriteAt(p, off)
		return err
	})
}

func (s *segmentFile) preallocate(off, n int64) error {
	return s.disk.run(storageStep{op: "preallocate", name: s.name, off: off, n: n}, func() error {
		return durable.Preallocate(s.f, off, n)
	})
}

func (s *segmentFile) datasync() error {
	return s.disk.run(storageStep{op: "datasync", name: s.name}, func() error { return durable.Datasync(s.f) })
}

func (s *segmentFile) truncate(size int64) error {
	return s.disk.run(storageStep{op: "truncate", name: s.name, off: size}, func() error { return s.f.Truncate(size) })
}

// close gives the descriptor back; nothing that was not synced counts.
func (s *segmentFile) close() {
	if s.f != nil {
		s.f.Close()
	}
}
