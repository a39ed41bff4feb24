package local_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
)

// snapshot reads the whole folder; restore puts it back.
func snapshot(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, pattern := range []string{"header.json", "index", "keys/*"} {
		list, _ := filepath.Glob(filepath.Join(dir, pattern))
		for _, p := range list {
			data, err := os.ReadFile(p)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(dir, p)
			out[rel] = data
		}
	}
	return out
}

func restore(t *testing.T, dir string, want map[string][]byte) {
	t.Helper()
	for rel := range snapshot(t, dir) {
		if _, ok := want[rel]; !ok {
			if err := os.Remove(filepath.Join(dir, rel)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for rel, data := range want {
		if err := os.WriteFile(filepath.Join(dir, rel), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAnyChangedByteIsRefused(t *testing.T) {
	h := create(t, local.Options{})
	if err := h.CreateSecret(t.Context(), "s"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	good := snapshot(t, h.dir)
	for rel, data := range good {
		for i := range data {
			for _, bad := range [][]byte{flip(data, i), data[:i], slices.Concat(data[:i], []byte{data[i]}, data[i:])} {
				if bytes.Equal(bad, data) {
					continue
				}
				if err := os.WriteFile(filepath.Join(h.dir, rel), bad, 0o600); err != nil {
					t.Fatal(err)
				}
				err := openAndUnlock(t, h)
				if !errors.Is(err, keys.ErrStore) && !errors.Is(err, keys.ErrPassphrase) {
					t.Fatalf("%s changed at %d: %v", rel, i, err)
				}
			}
		}
		restore(t, h.dir, good)
	}
	if err := openAndUnlock(t, h); err != nil {
		t.Error(err)
	}
}

func flip(data []byte, i int) []byte {
	b := bytes.Clone(data)
	b[i] ^= 1
	return b
}

func TestRemovedSwappedAddedAndRolledBackFilesAreFound(t *testing.T) {
	h := create(t, local.Options{})
	for _, n := range []keys.Name{"a", "b"} {
		if _, err := h.Create(t.Context(), n, keys.Checkpoint); err != nil {
			t.Fatal(err)
		}
	}
	h.Close()
	before := snapshot(t, h.dir)
	k, err := local.Open(h.dir, h.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Unlock(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	for _, change := range []func() error{
		func() error { _, err := k.Disable(t.Context(), "a"); return err },
		func() error { _, err := k.Disable(t.Context(), "b"); return err },
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
	}
	counter, err := k.Counter()
	if err != nil {
		t.Fatal(err)
	}
	k.Close()
	after := snapshot(t, h.dir)

	var files []string
	for rel := range after {
		if strings.HasPrefix(rel, "keys/") {
			files = append(files, rel)
		}
	}
	if len(files) != 2 {
		t.Fatalf("%d files for two keys", len(files))
	}
	with := func(f func(map[string][]byte)) map[string][]byte {
		m := map[string][]byte{}
		for k, v := range after {
			m[k] = v
		}
		f(m)
		return m
	}
	stranger := create(t, h.options)
	if _, err := stranger.Create(t.Context(), "a", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	stranger.Close()
	for name, state := range map[string]map[string][]byte{
		"a file removed":       with(func(m map[string][]byte) { delete(m, files[0]) }),
		"two files swapped":    with(func(m map[string][]byte) { m[files[0]], m[files[1]] = m[files[1]], m[files[0]] }),
		"a file renamed":       with(func(m map[string][]byte) { m["keys/00.key"] = m[files[0]]; delete(m, files[0]) }),
		"a foreign file added": with(func(m map[string][]byte) { m["keys/x.key"] = []byte("x") }),
		"another store's file": with(func(m map[string][]byte) {
			p := keyFile(t, stranger.dir)
			m["keys/"+filepath.Base(p)], _ = os.ReadFile(p)
		}),
		"another store's index": with(func(m map[string][]byte) { m["index"], _ = os.ReadFile(filepath.Join(stranger.dir, "index")) }),
		"the index removed":     with(func(m map[string][]byte) { delete(m, "index") }),
		"the index put back":    with(func(m map[string][]byte) { m["index"] = before["index"] }),
		"index and files doubled": with(func(m map[string][]byte) {
			for k, v := range before {
				m[k] = v
			}
		}),
	} {
		restore(t, h.dir, state)
		if err := openAndUnlock(t, h); !errors.Is(err, keys.ErrStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// All of yesterday's folder: found by whoever remembers the counter.
	restore(t, h.dir, before)
	remembering := h
	remembering.options.MinCounter = counter
	if err := openAndUnlock(t, remembering); !errors.Is(err, keys.ErrStore) {
		t.Errorf("yesterday's folder: %v", err)
	}
	restore(t, h.dir, after)
	if err := openAndUnlock(t, remembering); err != nil {
		t.Errorf("today's folder: %v", err)
	}
}

func TestWhatACrashLeavesIsNoDamage(t *testing.T) {
	h := create(t, local.Options{})
	if _, err := h.Create(t.Context(), "a", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	before := snapshot(t, h.dir)
	if _, err := h.Rotate(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	h.Close()
	after := snapshot(t, h.dir)
	// Died between the new file and the index: the old key is there.
	m := map[string][]byte{}
	for k, v := range after {
		m[k] = v
	}
	for k, v := range before {
		m[k] = v
	}
	m["keys/.x.key.1.tmp"] = []byte("half")
	restore(t, h.dir, m)
	again := h.reopenClosed(t)
	if info, err := again.Info(t.Context(), "a"); err != nil || len(info.Versions) != 1 {
		t.Errorf("before the index: %+v %v", info, err)
	}
	if _, err := again.Rotate(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	again.Close()
	// Died between the index and the removal of the old file.
	for k, v := range after {
		m[k] = v
	}
	restore(t, h.dir, m)
	again = h.reopenClosed(t)
	if info, err := again.Info(t.Context(), "a"); err != nil || len(info.Versions) != 2 {
		t.Errorf("after the index: %+v %v", info, err)
	}
	if list, _ := filepath.Glob(filepath.Join(h.dir, "keys", "*")); len(list) != 1 {
		t.Errorf("left over: %v", list)
	}
}

// reopenClosed opens a store that is closed.
func (h hosted) reopenClosed(t *testing.T) hosted {
	t.Helper()
	k, err := local.Open(h.dir, h.options)
	if err != nil {
		t.Fatal(err)
	}
	if err := k.Unlock(t.Context(), passphrase); err != nil {
		t.Fatal(err)
	}
	return hosted{k, h.dir, h.options}
}
