package local

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// page is memory of its own for the master key: locked against swapping and
// left out of core dumps where the system allows it. What the Go runtime copies
// elsewhere (round keys, parsed private keys) is not reached by it.
type page struct {
	bytes  []byte
	mapped []byte // nil when the memory is ordinary
}

// newPage copies secret into a new page.
func newPage(secret []byte) *page {
	m, err := unix.Mmap(-1, 0, unix.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil || len(secret) > len(m) {
		return &page{bytes: append([]byte(nil), secret...)}
	}
	// Best effort: both need rights or limits that a container may lack.
	_ = unix.Mlock(m)
	_ = unix.Madvise(m, unix.MADV_DONTDUMP)
	copy(m, secret)
	return &page{bytes: m[:len(secret)], mapped: m}
}

// free wipes the page and gives it back. Nobody may hold bytes any more.
func (p *page) free() {
	clear(p.bytes)
	if p.mapped != nil {
		_ = unix.Munmap(p.mapped)
	}
	p.bytes, p.mapped = nil, nil
}

// HardenProcess keeps this process's memory from other processes of the same
// user and from core files: PR_SET_DUMPABLE 0 and RLIMIT_CORE 0. A program that
// holds keys calls it first. It also keeps debuggers away.
func HardenProcess() error {
	err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	if err = errors.Join(err, unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})); err != nil {
		return fmt.Errorf("harden process: %w", err)
	}
	return nil
}
