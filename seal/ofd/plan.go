package ofd

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Errors of PlanSignature. Nothing is changed when one is returned.
var (
	// ErrUnusable says that the package has problems that make it ambiguous.
	ErrUnusable = errors.New("the package has problems that forbid changing it")
	// ErrLocked says that an existing signature protects a file that a further
	// signature would have to change.
	ErrLocked = errors.New("an existing signature locks the package against further ones")
	// ErrNoPage says that the page number does not exist.
	ErrNoPage = errors.New("the document has no such page")
	// ErrLayout says that the package leaves no room for a signature: too many
	// entries, too deep a folder, or numbers that are used up.
	ErrLayout = errors.New("the package leaves no room for a signature")
)

// SignatureRequest describes a new signature of type Seal.
type SignatureRequest struct {
	Provider Provider
	At       time.Time   // becomes SignatureDateTime and the time of the new zip entries
	Seal     []byte      // the DER seal, written as Seal.esl
	Stamps   []Placement // at least one
	Lock     bool        // protect Signatures.xml too, so that no further signature can be added
}

// Placement puts the seal on one page of the first document that has it.
type Placement struct {
	Page     int // from 1
	Boundary Box
	Clip     *Box
}

// Plan is a signature that is complete but for its value: every file but the
// .dat is fixed, and so is what has to be signed.
type Plan struct {
	p        *Package
	id       string
	dir      string // of the new signature, with slash
	xml      []byte
	replaced map[string][]byte
	added    []newFile // without the .dat
	when     time.Time
	covered  int
}

type newFile struct {
	name    string
	content []byte
	deflate bool
	digest  [gm.DigestSize]byte // set for what Plan.added holds
}

// asBlob is what a reader makes of the file when it is stored as it is.
func (f newFile) asBlob() *blob {
	return &blob{method: methodStored, crc: crc32.ChecksumIEEE(f.content), size: len(f.content),
		packed: f.content, content: f.content, digest: f.digest, digested: true}
}

// ID is the new signature's @ID.
func (pl *Plan) ID() string { return pl.id }

// SignatureXML returns the bytes of the new Signature.xml: dataHash is their SM3.
// They are a copy; what was planned cannot be changed any more.
func (pl *Plan) SignatureXML() []byte { return bytes.Clone(pl.xml) }

// DataHash is SM3 of SignatureXML.
func (pl *Plan) DataHash() [gm.DigestSize]byte { return pl.added[len(pl.added)-1].digest }

// SealDigest is SM3 of the seal.
func (pl *Plan) SealDigest() [gm.DigestSize]byte { return pl.added[len(pl.added)-2].digest }

// Path is the zip name of the new Signature.xml.
func (pl *Plan) Path() string { return pl.dir + "Signature.xml" }

// PropertyInfo is the location of the new Signature.xml from the package root,
// ASCII, for TBS_Sign.
func (pl *Plan) PropertyInfo() string { return Absolute(pl.Path()) }

// Covered is the number of files that the signature protects.
func (pl *Plan) Covered() int { return pl.covered }

// PlanSignature prepares a new signature over every file of the package, in the
// order that GB/T 38540 and 33190 imply: OFD.xml names a list (edited only when
// it names none), the list names the signature, Signature.xml references
// everything but itself, its .dat and (unless Lock) the lists. XML that must
// change is changed by inserting bytes, never by writing it anew.
func (p *Package) PlanSignature(r SignatureRequest) (*Plan, error) {
	if p.problems.fatal() || len(p.Bodies) == 0 || p.Bodies[0].Document == nil {
		return nil, ErrUnusable
	}
	for _, s := range p.Signatures() {
		if problems(s.Problems).fatal() {
			return nil, fmt.Errorf("%w: signature %q is malformed", ErrUnusable, clip(s.ID))
		}
	}
	for _, b := range p.Bodies {
		if p.content[b.SignaturesPath] {
			return nil, fmt.Errorf("%w: the list of signatures is part of a document", ErrUnusable)
		}
	}
	if len(r.Stamps) == 0 {
		return nil, fmt.Errorf("%w: the seal is placed nowhere", ErrNoPage)
	}
	body := p.Bodies[0]
	next := p.nextID()
	if next+len(r.Stamps) > 1<<30 {
		return nil, fmt.Errorf("%w: signature numbers are used up", ErrLayout)
	}
	pl := &Plan{p: p, id: fmt.Sprint(next), when: r.At.UTC(), replaced: map[string][]byte{}}
	signs := signsFolder(folder(body.Document.Path))
	pl.dir = p.freeFolder(signs + "Sign_")

	list := body.SignaturesPath
	entry := listEntry{id: pl.id, loc: pl.PropertyInfo(), max: next + len(r.Stamps)}
	if list == "" {
		list = p.freeName(signs, "Signatures", ".xml")
		pl.add(list, newList(entry), true)
		pl.replaced[RootFile] = p.insertListLocation(body, Absolute(list))
	} else {
		pl.replaced[list] = p.insertSignature(list, entry)
	}
	covered := p.Covered(p.Signatures()...)
	for name, content := range pl.replaced {
		if content == nil {
			return nil, ErrUnusable
		}
		if covered[name] {
			return nil, fmt.Errorf("%w: %s is protected", ErrLocked, name)
		}
	}
	for _, s := range p.Signatures() {
		if p.Locks(s) {
			return nil, fmt.Errorf("%w: signature %q protects the list", ErrLocked, clip(s.ID))
		}
	}
	pl.add(pl.dir+"Seal.esl", bytes.Clone(r.Seal), false)
	if err := pl.writeSignature(r, next, list); err != nil {
		return nil, err
	}
	pl.add(pl.Path(), pl.xml, true)
	return pl, pl.checkRoom()
}

func (pl *Plan) add(name string, content []byte, deflate bool) {
	pl.added = append(pl.added, newFile{name, content, deflate, gm.SM3(content)})
}

// nextID is one more than every number that signatures and stamps use.
func (p *Package) nextID() int {
	top := 0
	for _, b := range p.Bodies {
		top = max(top, b.MaxSignID)
		for _, s := range b.Signatures {
			top = max(top, numberPart(s.ID))
			for _, st := range s.Stamps {
				top = max(top, numberPart(st.ID))
			}
		}
	}
	return top + 1
}

// signsFolder is where signatures go: beside the document, or at the package
// root when the document's folder is not ASCII, because propertyInfo is IA5.
func signsFolder(dir string) string {
	for i := 0; i < len(dir); i++ {
		if dir[i] >= 0x7f || dir[i] < 0x20 {
			return "Signs/"
		}
	}
	return dir + "Signs/"
}

// freeFolder returns prefix, the lowest free number and a slash: no entry lies there.
func (p *Package) freeFolder(prefix string) string {
	stem := foldName(prefix)
	used := make(map[string]bool)
	for name := range p.archive.folded {
		if rest, ok := strings.CutPrefix(name, stem); ok {
			number, _, _ := strings.Cut(rest, "/")
			used[number] = true
		}
	}
	for n := 0; ; n++ {
		if number := fmt.Sprint(n); !used[number] {
			return prefix + number + "/"
		}
	}
}

func (p *Package) freeName(dir, stem, ext string) string {
	name := dir + stem + ext
	for n := 1; p.archive.folded[foldName(name)] != nil; n++ {
		name = fmt.Sprintf("%s%s_%d%s", dir, stem, n, ext)
	}
	return name
}

// checkRoom checks that the new package stays within the limits of its reader.
func (pl *Plan) checkRoom() error {
	var ps problems
	for _, f := range append(pl.added[:len(pl.added):len(pl.added)], newFile{name: pl.dir + "SignedValue.dat"}) {
		checkName(f.name, &ps)
		key := foldName(f.name)
		for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
			if up := pl.p.archive.folded[key[:i]]; up != nil && !up.dir {
				return fmt.Errorf("%w: %q is a file", ErrLayout, up.name)
			}
		}
	}
	if len(ps) != 0 || len(pl.p.archive.entries)+len(pl.added)+1 > MaxEntries {
		return ErrLayout
	}
	return nil
}

// writeSignature writes Signature.xml: every file of the new package with its
// digest, sorted by name, then the places of the seal.
func (pl *Plan) writeSignature(r SignatureRequest, id int, list string) error {
	p := pl.p
	lists := map[string]bool{list: true}
	for _, b := range p.Bodies {
		lists[b.SignaturesPath] = true
	}
	names := p.Names()
	for _, f := range pl.added {
		names = append(names, f.name)
	}
	sortNames(names)
	var b strings.Builder
	b.Grow(1024 + 160*len(names))
	b.WriteString(xmlHeader + `<ofd:Signature xmlns:ofd="` + Namespace + `"><ofd:SignedInfo><ofd:Provider ProviderName="`)
	b.WriteString(escape(r.Provider.Name) + `" Company="` + escape(r.Provider.Company) + `" Version="` + escape(r.Provider.Version))
	b.WriteString(`"/><ofd:SignatureMethod>` + gm.OIDSM2WithSM3.String() + `</ofd:SignatureMethod><ofd:SignatureDateTime>`)
	b.WriteString(pl.when.Format("20060102150405Z") + `</ofd:SignatureDateTime><ofd:References CheckMethod="` + gm.OIDSM3.String() + `">`)
	for _, name := range names {
		if lists[name] && !r.Lock {
			continue
		}
		digest, err := pl.digest(name)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnusable, err)
		}
		b.WriteString(`<ofd:Reference FileRef="` + escape(Absolute(name)) + `"><ofd:CheckValue>` + base64Text(digest[:]) + `</ofd:CheckValue></ofd:Reference>`)
		pl.covered++
	}
	b.WriteString(`</ofd:References>`)
	pages := p.Bodies[0].Document.Pages
	for i, st := range r.Stamps {
		if st.Page < 1 || st.Page > len(pages) {
			return fmt.Errorf("%w: page %d of %d", ErrNoPage, st.Page, len(pages))
		}
		fmt.Fprintf(&b, `<ofd:StampAnnot ID="%d" PageRef="%s" Boundary="%s"`, id+1+i, escape(pages[st.Page-1].ID), st.Boundary)
		if st.Clip != nil {
			fmt.Fprintf(&b, ` Clip="%s"`, *st.Clip)
		}
		b.WriteString(`/>`)
	}
	b.WriteString(`<ofd:Seal><ofd:BaseLoc>` + Absolute(pl.dir) + `Seal.esl</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo><ofd:SignedValue>`)
	b.WriteString(Absolute(pl.dir) + `SignedValue.dat</ofd:SignedValue></ofd:Signature>`)
	pl.xml = []byte(b.String())
	return nil
}

func (pl *Plan) digest(name string) ([gm.DigestSize]byte, error) {
	for _, f := range pl.added {
		if f.name == name {
			return f.digest, nil
		}
	}
	if content, ok := pl.replaced[name]; ok {
		return gm.SM3(content), nil
	}
	return pl.p.Digest(name)
}
