package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
)

const (
	indexFile   = "index"
	keySuffix   = ".key"
	secretsPath = "secrets/"
)

// index says which file holds which path. It is replaced as a whole with every
// change; its rename is the moment at which the change is true.
type index struct {
	Counter uint64                `json:"counter"`
	Entries map[string]indexEntry `json:"entries"`
}

type indexEntry struct {
	File       string `json:"file"` // hex of the file id
	Generation uint64 `json:"generation"`
	Sum        []byte `json:"sum"` // SHA-256 of the file
}

// files is the engine.Storage over the folder. A Put writes a new file, then
// the index that names it, then removes the old file; a crash in between leaves
// a file that no index names, which the next start recognises by its
// generation.
type files struct {
	dir   string
	store []byte // keystore id

	mu     sync.RWMutex
	master *page  // nil once closed
	index  *index // nil: read it again before use
}

func newFiles(dir string, store, master []byte) *files {
	return &files{dir: dir, store: bytes.Clone(store), master: newPage(master)}
}

// close forgets the master key; everything after is ErrLocked.
func (f *files) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.master != nil {
		f.master.free()
		f.master = nil
	}
	f.index = nil
}

// start reads the index, checks every file against it, and removes what a
// crash left behind. It refuses a store with a file missing, changed or added,
// or with a counter below min.
func (f *files) start(min uint64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := checkDirectory(filepath.Join(f.dir, "keys")); err != nil {
		return err
	}
	x, err := f.load()
	if err != nil {
		return err
	}
	if x.Counter < min {
		return fmt.Errorf("%w: it stands at change %d, somebody remembers change %d: an old copy was put back", keys.ErrStore, x.Counter, min)
	}
	for _, dir := range []string{f.dir, filepath.Join(f.dir, "keys")} {
		if err := durable.RemoveTemporaries(dir); err != nil {
			return fmt.Errorf("keystore: %w", err)
		}
	}
	named := map[string]bool{}
	for path, e := range x.Entries {
		plain, err := f.read(path, e)
		if err != nil {
			return err
		}
		clear(plain)
		named[e.File+keySuffix] = true
	}
	return f.sweep(x, named)
}

// sweep looks at the files that the index does not name. One that was written
// for a change up to the next is what a crash leaves, and is removed once a
// later change has been made; a younger one means that the index was put back.
func (f *files) sweep(x *index, named map[string]bool) error {
	list, err := os.ReadDir(filepath.Join(f.dir, "keys"))
	if err != nil {
		return fmt.Errorf("keystore: %w", err)
	}
	for _, d := range list {
		if named[d.Name()] {
			continue
		}
		path := filepath.Join(f.dir, "keys", d.Name())
		data, err := durable.ReadPrivate(path, maxEnvelope)
		if err != nil {
			return access(err)
		}
		e, _, _, err := parseEnvelope(data)
		if err == nil && d.Name() != hex.EncodeToString(e.file[:])+keySuffix {
			err = fmt.Errorf("%w: %s is in another's place", keys.ErrStore, d.Name())
		}
		if err == nil {
			var plain []byte
			plain, err = openEnvelope(data, f.master.bytes, f.store, e)
			clear(plain)
		}
		switch {
		case err != nil:
			return err
		case e.generation > x.Counter+1:
			return fmt.Errorf("%w: a file of change %d beside an index of change %d: an old index was put back", keys.ErrStore, e.generation, x.Counter)
		case e.generation <= x.Counter:
			if err := os.Remove(path); err != nil {
				return fmt.Errorf("keystore: %w", err)
			}
		}
	}
	return nil
}

// load returns the index, from disk if it is not known. f.mu is held alone.
func (f *files) load() (*index, error) {
	if f.master == nil {
		return nil, keys.ErrLocked
	}
	if f.index != nil {
		return f.index, nil
	}
	data, err := durable.ReadPrivate(filepath.Join(f.dir, indexFile), maxEnvelope)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the index is missing", keys.ErrStore)
	}
	if err != nil {
		return nil, access(err)
	}
	e, _, _, err := parseEnvelope(data)
	if err != nil {
		return nil, err
	}
	plain, err := openEnvelope(data, f.master.bytes, f.store, envelope{kind: kindIndex, generation: e.generation, path: indexFile})
	if err != nil {
		return nil, err
	}
	var x index
	if err := json.Unmarshal(plain, &x); err != nil || x.Counter != e.generation || x.Entries == nil {
		return nil, fmt.Errorf("%w: the index is not readable", keys.ErrStore)
	}
	f.index = &x
	return f.index, nil
}

func (f *files) writeIndex(x index) error {
	plain, err := json.Marshal(x)
	if err != nil {
		return fmt.Errorf("encode keystore index: %w", err)
	}
	if len(plain) > maxIndex {
		return fmt.Errorf("%w: the keystore is full", keys.ErrStore)
	}
	data, err := envelope{kind: kindIndex, generation: x.Counter, path: indexFile}.seal(f.master.bytes, f.store, plain)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(f.dir, indexFile), data, durable.Private); err != nil {
		return fmt.Errorf("write keystore index: %w", err)
	}
	return nil
}

// commit makes x true. When writing fails, the index of the disk is read again
// before the next use.
func (f *files) commit(x index) error {
	f.index = nil
	if err := f.writeIndex(x); err != nil {
		return err
	}
	f.index = &x
	return nil
}

// next is a copy of x for the next change.
func (x *index) next() index {
	n := index{Counter: x.Counter + 1, Entries: make(map[string]indexEntry, len(x.Entries)+1)}
	for p, e := range x.Entries {
		n.Entries[p] = e
	}
	return n
}

func (f *files) counter() (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.load()
	if err != nil {
		return 0, err
	}
	return x.Counter, nil
}

func (f *files) path(e indexEntry) string { return filepath.Join(f.dir, "keys", e.File+keySuffix) }

// read decrypts the file of one entry.
func (f *files) read(path string, e indexEntry) ([]byte, error) {
	want := envelope{kind: kindEntry, generation: e.Generation, path: path}
	if n, err := hex.Decode(want.file[:], []byte(e.File)); err != nil || n != idSize {
		return nil, fmt.Errorf("%w: the index is not readable", keys.ErrStore)
	}
	data, err := durable.ReadPrivate(f.path(e), maxEnvelope)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: a file is missing", keys.ErrStore)
	}
	if err != nil {
		return nil, access(err)
	}
	if sum := sha256.Sum256(data); !bytes.Equal(sum[:], e.Sum) {
		return nil, fmt.Errorf("%w: a file is not the one last written", keys.ErrStore)
	}
	return openEnvelope(data, f.master.bytes, f.store, want)
}

// Get implements engine.Storage.
func (f *files) Get(_ context.Context, path string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.load()
	if err != nil {
		return nil, err
	}
	e, ok := x.Entries[path]
	if !ok {
		return nil, engine.ErrNoEntry
	}
	return f.read(path, e)
}

// Put implements engine.Storage.
func (f *files) Put(_ context.Context, path string, value []byte) error {
	if len(value) > maxEntry {
		return fmt.Errorf("%w: an entry of %d bytes", keys.ErrStore, len(value))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.load()
	if err != nil {
		return err
	}
	n := x.next()
	e := envelope{kind: kindEntry, generation: n.Counter, path: path}
	rand.Read(e.file[:]) // never fails (crypto/rand)
	data, err := e.seal(f.master.bytes, f.store, value)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	added := indexEntry{File: hex.EncodeToString(e.file[:]), Generation: n.Counter, Sum: sum[:]}
	old, replaced := n.Entries[path]
	n.Entries[path] = added
	if err := durable.WriteFile(f.path(added), data, durable.Private); err != nil {
		return fmt.Errorf("write keystore file: %w", err)
	}
	if err := f.commit(n); err != nil {
		return err // the new file stays: the index may name it
	}
	if replaced {
		_ = os.Remove(f.path(old)) // the next start removes what is left
	}
	return nil
}

// Delete implements engine.Storage.
func (f *files) Delete(_ context.Context, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.load()
	if err != nil {
		return err
	}
	old, ok := x.Entries[path]
	if !ok {
		return nil
	}
	n := x.next()
	delete(n.Entries, path)
	if err := f.commit(n); err != nil {
		return err
	}
	_ = os.Remove(f.path(old)) // the next start removes what is left
	return nil
}

// List implements engine.Storage.
func (f *files) List(_ context.Context, prefix string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	x, err := f.load()
	if err != nil {
		return nil, err
	}
	var out []string
	for p := range x.Entries {
		if rest, ok := strings.CutPrefix(p, prefix); ok {
			out = append(out, rest)
		}
	}
	return out, nil
}

// checkDirectory wants an existing private folder.
func checkDirectory(dir string) error {
	if _, err := os.Lstat(dir); err != nil {
		return fmt.Errorf("no keystore in %s: %w", dir, err)
	}
	if err := durable.PrivateDirectory(dir); err != nil {
		return access(err)
	}
	return nil
}

var _ engine.Storage = (*files)(nil)
