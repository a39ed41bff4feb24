//go:build unix && !linux

package durable

import (
	"io/fs"
	"os"
	"syscall"
)

// Datasync makes the bytes written to f durable. Here it is fsync, which on
// Darwin the standard library turns into F_FULLFSYNC.
func Datasync(f *os.File) error { return f.Sync() }

// reserve does nothing: Preallocate's zeros ask for the space.
func reserve(*os.File, int64, int64) error { return nil }

func ownership(info fs.FileInfo) (uid int, links uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(st.Uid), uint64(st.Nlink), true
}
