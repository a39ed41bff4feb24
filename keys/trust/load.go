package trust

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of a trust configuration.
const (
	maxFileSize = 4 << 20 // bytes of one file of certificates
	maxAnchors  = 10_000
)

// ErrAnchors says that trust anchors cannot be read.
var ErrAnchors = errors.New("trust anchors cannot be read")

// Load reads trust anchors. A path is a file of one or more certificates, PEM
// or DER, or a folder of such files (.cer, .crt, .pem, .der; others are left
// alone). Anchors serve every role; those in the sub-folders maker, signer and
// tsa of a folder serve that role only. Any other sub-folder, a folder without
// a certificate, and a malformed certificate are errors, so that a typing
// mistake does not go unnoticed.
//
// No extension tells a seal maker's certificate from a signer's. Under an anchor
// of both roles everybody who may sign may also make seals in any name, so where
// makers and signers have one authority, put the makers' own certificates, not
// that authority, into maker.
func Load(paths ...string) (*Anchors, error) {
	return load(paths, func(p string) ([]Anchor, error) { return loadPath(p, anyRole, true) })
}

func load(paths []string, read func(string) ([]Anchor, error)) (*Anchors, error) {
	var list []Anchor
	for _, p := range paths {
		found, err := read(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrAnchors, err)
		}
		if list = append(list, found...); len(list) > maxAnchors {
			return nil, fmt.Errorf("%w: more than %d certificates", ErrAnchors, maxAnchors)
		}
	}
	return New(list...)
}

// LoadAs reads trust anchors that serve one role and no other. A path is as for
// Load; a folder has no sub-folders. It is how policy officers are named: an
// anchor that was configured for documents must never vouch for them.
func LoadAs(role Role, paths ...string) (*Anchors, error) {
	return load(paths, func(p string) ([]Anchor, error) { return loadPath(p, role, false) })
}

func loadPath(path string, role Role, roleFolders bool) ([]Anchor, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return loadFile(path, role)
	}
	list, err := loadFolder(path, role, roleFolders)
	if err == nil && len(list) == 0 {
		err = fmt.Errorf("no certificate (.cer, .crt, .pem, .der) in %s", path)
	}
	return list, err
}

func loadFolder(dir string, role Role, top bool) ([]Anchor, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []Anchor
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		info, err := os.Stat(path) // follows links, as mounted secrets need
		if err != nil {
			return nil, err
		}
		var found []Anchor
		switch {
		case info.IsDir():
			sub, ok := roleOfFolder(e.Name())
			switch {
			case !top:
				return nil, fmt.Errorf("folder %s: no folders are expected here", path)
			case !ok:
				return nil, fmt.Errorf("folder %s: only maker, signer and tsa have a meaning here", path)
			}
			found, err = loadFolder(path, sub, false)
		case isCertificateFile(e.Name()):
			found, err = loadFile(path, role)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

func roleOfFolder(name string) (Role, bool) {
	for _, f := range folders {
		if f.name == name {
			return f.role, true
		}
	}
	return 0, false
}

func isCertificateFile(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".cer", ".crt", ".pem", ".der":
		return true
	}
	return false
}

func loadFile(path string, role Role) ([]Anchor, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxFileSize {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, maxFileSize)
	}
	certs, err := gm.ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	list := make([]Anchor, len(certs))
	for i, c := range certs {
		if c.FormError != nil {
			return nil, fmt.Errorf("%s: %w", path, c.FormError)
		}
		list[i] = Anchor{c, role}
	}
	return list, nil
}
