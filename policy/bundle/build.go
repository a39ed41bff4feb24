package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

// Next says where in its line a new bundle stands: behind Previous, or, with
// none, first in a new line called Name.
type Next struct {
	Name     string
	Previous *Bundle
}

// Build makes an unsigned bundle of a folder: its .rego files without the tests
// (_test.rego), and data.json. Hidden files and folders are left alone, as are
// files of other kinds, but not JSON that would be forgotten. Whether the rules
// are any good is for Try. Errors are ErrFormat or of the file system.
func Build(dir string, next Next, created time.Time) (*Bundle, error) {
	b := &Bundle{Manifest: policy.Manifest{Name: next.Name, Sequence: 1, Created: created.UTC().Truncate(time.Second)}}
	if p := next.Previous; p != nil {
		digest, err := p.Manifest.Digest()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if next.Name != "" && next.Name != p.Manifest.Name {
			return nil, refuse(ErrFormat, "the bundle before is of the line %q", p.Manifest.Name)
		}
		b.Manifest.Name, b.Manifest.Sequence, b.Manifest.Previous = p.Manifest.Name, p.Manifest.Sequence+1, digest
	}
	found := map[string][]byte{}
	if err := readFolder(dir, found); err != nil {
		return nil, err
	}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		b.contents = append(b.contents, found[p])
		b.Manifest.Files = append(b.Manifest.Files, policy.ManifestFile{Path: p, Size: int64(len(found[p])), SM3: gm.SM3(found[p])})
	}
	if _, err := b.Manifest.Canonical(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	_, _, err := b.Rules() // tables that cannot be read
	return b, err
}

func readFolder(dir string, found map[string][]byte) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if rel = filepath.ToSlash(rel); rel != "." && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return filepath.SkipDir
			}
			return nil
		}
		lower := strings.ToLower(rel)
		if d.IsDir() || strings.HasSuffix(rel, "_test.rego") || !strings.HasSuffix(lower, ".rego") && !strings.HasSuffix(lower, ".json") {
			return nil
		}
		if err := policy.CheckBundlePath(rel); err != nil {
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		if len(found) == policy.MaxBundleFiles {
			return refuse(ErrFormat, "more than %d files", policy.MaxBundleFiles)
		}
		if !d.Type().IsRegular() {
			return refuse(ErrFormat, "%s is not a regular file", rel)
		}
		found[rel], err = readLimited(path, policy.MaxBundleFile)
		return err
	})
}

// Read reads a bundle's file from disk, no more of it than a bundle may have.
func Read(path string) ([]byte, error) { return readLimited(path, MaxFile) }

func readLimited(path string, limit int64) ([]byte, error) {
	if info, err := os.Stat(path); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, refuse(ErrFormat, "%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, refuse(ErrFormat, "%s has more than %d bytes", path, limit)
	}
	return data, nil
}

// readTables reads data.json: one object, no member twice.
func readTables(text []byte) (map[string]any, error) {
	strict := jsontext.NewDecoder(bytes.NewReader(text))
	first, err := strict.ReadValue()
	if err == nil && first.Kind() != '{' {
		err = errors.New("want an object")
	}
	if err == nil {
		if _, more := strict.ReadToken(); !errors.Is(more, io.EOF) {
			err = errors.New("something behind the object")
		}
	}
	if err != nil {
		return nil, refuse(ErrFormat, "%s: %.200s", policy.DataFile, err)
	}
	var out map[string]any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&out); err != nil {
		return nil, refuse(ErrFormat, "%s: %.200s", policy.DataFile, err)
	}
	return out, nil
}
