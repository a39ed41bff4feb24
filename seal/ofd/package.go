package ofd

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
)

// RootFile is the one fixed name in a package.
const RootFile = "OFD.xml"

// Package is an OFD package in memory. Names of files are zip names, without
// leading slash. A Package keeps and shares the bytes it was opened on: nobody
// may change them. It caches what it unpacks and digests and is therefore not
// safe for concurrent use.
type Package struct {
	// Bodies are the DocBody elements of OFD.xml, in order. There may be several,
	// and each may have signatures of its own.
	Bodies []*DocBody

	archive      *archive
	unpack       *unpacker
	problems     problems
	xmlLeft      int             // bytes that may still be spent on trees
	reached      map[string]bool // zip names reachable from OFD.xml
	names        []string        // of all files, sorted bytewise
	descriptions int             // bytes of all Signature.xml that were read
	content      map[string]bool // those that OFD.xml reaches as part of a document
}

// Open reads the package in data: the whole directory, the XML parts, and the
// signatures. The problems are those of steps 1 to 5, 9 (missing file) and 23
// of the verification procedure that concern the file as a whole; those of one
// signature are in Signature.Problems. The package is nil when the zip file
// itself cannot be relied on. A package with problems can be inspected; whether
// it can be believed is the caller's verdict.
func Open(data []byte) (*Package, []Problem) { return open(data, nil, nil) }

// Reopen opens data, a changed copy of p, as Open does: every header, name and
// part is read afresh. Only the work of unpacking, digesting and parsing is
// shared, and only for entries whose packed bytes are identical, which unpack
// to the same content by definition.
func (p *Package) Reopen(data []byte) (*Package, []Problem) { return open(data, p, nil) }

func open(data []byte, donor *Package, added map[string]*blob) (*Package, []Problem) {
	a, ps := readArchive(data)
	if a == nil {
		return nil, ps
	}
	p := &Package{archive: a, unpack: &unpacker{}, problems: ps, xmlLeft: maxXMLKept, reached: make(map[string]bool, len(a.files)), content: make(map[string]bool, len(a.files))}
	if donor != nil {
		p.unpack = donor.unpack
		for name, e := range a.files {
			if old := donor.archive.files[name]; old != nil && old.blob.sameAs(e.blob) {
				e.blob = old.blob
			} else if b := added[name]; b != nil && b.sameAs(e.blob) {
				e.blob = b
			}
		}
	}
	p.names = slices.Sorted(maps.Keys(a.files))
	p.load()
	return p, p.problems
}

// Problems returns what Open returned.
func (p *Package) Problems() []Problem { return slices.Clone(p.problems) }

// Size is the length of the package in bytes.
func (p *Package) Size() int { return len(p.archive.data) }

// Bytes returns the package as it was opened. The caller must not change it.
func (p *Package) Bytes() []byte { return p.archive.data }

// Names returns the names of all files (folders left out), sorted bytewise.
func (p *Package) Names() []string { return slices.Clone(p.names) }

// Has reports whether a file has exactly this name.
func (p *Package) Has(name string) bool { return p.archive.files[name] != nil }

// Reachable reports whether the file can be reached from OFD.xml, so that its
// content can change what a reader shows.
func (p *Package) Reachable(name string) bool { return p.reached[name] }

// FileSize returns the unpacked size of a file as the directory states it, which
// Read and Digest check; 0 when there is no such file.
func (p *Package) FileSize(name string) int {
	if e := p.archive.files[name]; e != nil {
		return e.blob.size
	}
	return 0
}

// Read returns the content of a file. The caller must not change it. The error
// is a *ContentError.
func (p *Package) Read(name string) ([]byte, error) {
	e := p.archive.files[name]
	if e == nil {
		return nil, &ContentError{Problem{1, CodeZipFormat, name, "the package has no such file"}}
	}
	content, err := e.blob.read(p.unpack)
	if err != nil {
		return nil, contentError(name, err)
	}
	return content, nil
}

// Digest returns SM3 of a file's unpacked bytes. It is computed once. The error
// is a *ContentError.
func (p *Package) Digest(name string) ([gm.DigestSize]byte, error) {
	e := p.archive.files[name]
	if e == nil {
		return [gm.DigestSize]byte{}, &ContentError{Problem{1, CodeZipFormat, name, "the package has no such file"}}
	}
	d, err := e.blob.sum(p.unpack)
	if err != nil {
		return d, contentError(name, err)
	}
	return d, nil
}

func contentError(name string, err error) error {
	code := CodeZipCRC
	if err == errLies {
		code = CodeZipMismatch
	}
	return &ContentError{Problem{2, code, name, err.Error()}}
}

// CheckContents unpacks every file that was not unpacked yet and returns what
// is damaged, in the order of names.
func (p *Package) CheckContents() []Problem {
	var ps problems
	for _, name := range p.names {
		if _, err := p.Digest(name); err != nil {
			ps = append(ps, err.(*ContentError).Problem)
		}
	}
	return ps
}

// parse reads a file as XML and records what is wrong with it at step 3. It
// returns nil when the file is absent, damaged or not strict XML. Every file is
// parsed once.
func (p *Package) parse(name, prune string) *node {
	e := p.archive.files[name]
	if e == nil {
		return nil
	}
	b := e.blob
	tree, known := b.trees[prune]
	if !known {
		content, err := b.read(p.unpack)
		if err != nil {
			p.note(err, name)
			return nil
		}
		tree.root, tree.err = parseXML(content, prune, &p.xmlLeft)
		if b.trees == nil {
			b.trees = make(map[string]parsed, 1)
		}
		b.trees[prune] = tree
	}
	if tree.err != nil {
		p.noteOnce(3, tree.err.code, name, "%s", tree.err.Error())
	}
	return tree.root
}

// refuseDTD looks for a document type declaration in XML that is the owner's
// affair and that this package never interprets: custom tags, which at least
// one vendor writes as malformed XML.
func (p *Package) refuseDTD(name string) {
	content, err := p.archive.files[name].blob.read(p.unpack)
	switch {
	case err != nil:
		p.note(err, name)
	case bytes.Contains(content, []byte("<!DOCTYPE")) || bytes.Contains(content, []byte("<!ENTITY")):
		p.noteOnce(3, CodeXMLDTD, name, "the XML holds a declaration (DOCTYPE, ENTITY, …)")
	}
}

// note records damaged content.
func (p *Package) note(err error, name string) {
	pr := contentError(name, err).(*ContentError).Problem
	p.noteOnce(pr.Step, pr.Code, pr.Target, "%s", pr.Detail)
}

// noteOnce records a problem unless the file has one with the same code already.
func (p *Package) noteOnce(step int, code Code, name, format string, args ...any) {
	for _, old := range p.problems {
		if old.Code == code && old.Target == name {
			return
		}
	}
	p.problems.add(step, code, name, format, args...)
}

// locate resolves a location as a reader would to find content: exactly, else
// ignoring case, else from the package root. Only what a signature protects is
// looked up exactly; here a wider net is the safe side, because a file that a
// reader might find counts as reachable.
func (p *Package) locate(base, loc string) string {
	for _, from := range [...]string{base, ""} {
		name, err := ResolvePath(from, loc)
		if err != nil {
			continue
		}
		if p.archive.files[name] != nil {
			return name
		}
		if e := p.archive.folded[foldName(name)]; e != nil && !e.dir {
			return e.name
		}
	}
	return ""
}

// resolve finds the file that loc names in base, exactly.
func (p *Package) resolve(base, loc string) string {
	name, err := ResolvePath(base, loc)
	if err != nil || p.archive.files[name] == nil {
		return ""
	}
	return name
}

// Absolute writes a zip name as a location from the package root.
func Absolute(name string) string { return "/" + strings.TrimPrefix(name, "/") }
