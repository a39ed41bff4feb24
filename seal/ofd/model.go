package ofd

import "strings"

// DocBody is one document of the package with its signatures.
type DocBody struct {
	DocID    string
	DocRoot  string // the location as written
	Document *Document

	// SignaturesLoc is the location of the list as written, "" when the body
	// names none; SignaturesPath is the file it resolves to, "" when missing.
	SignaturesLoc  string
	SignaturesPath string
	MaxSignID      int
	Signatures     []*Signature

	node *node // in OFD.xml, for editing in place
}

// Document is one Document.xml.
type Document struct {
	Path  string
	Pages []Page
	Parts []Part // every file that the document names, once per naming
	Area  *Box   // CommonData/PageArea, for pages without an area of their own
}

// Page is one page in reading order.
type Page struct {
	ID   string
	Path string // "" when the file is missing
	Box  *Box   // PhysicalBox of the page, else of the document; nil when neither has one
}

// PartKind says what a file is for.
type PartKind string

// The kinds of parts.
const (
	PartPage        PartKind = "page"
	PartTemplate    PartKind = "template"
	PartPublicRes   PartKind = "public-res"
	PartDocumentRes PartKind = "document-res"
	PartPageRes     PartKind = "page-res"
	PartFont        PartKind = "font"
	PartMedia       PartKind = "media"
	PartProfile     PartKind = "colour-profile"
	PartAnnotations PartKind = "annotations"
	PartAnnotation  PartKind = "page-annotation"
	PartAttachments PartKind = "attachments"
	PartAttachment  PartKind = "attachment"
	PartCustomTags  PartKind = "custom-tags"
	PartCustomTag   PartKind = "custom-tag"
	PartSchema      PartKind = "custom-tag-schema"
	PartExtensions  PartKind = "extensions"
	PartExtension   PartKind = "extension"
	PartVersion     PartKind = "version"
	PartVersionRoot PartKind = "version-root"
	PartVersionFile PartKind = "version-file"
	PartCover       PartKind = "cover"
)

// Part is one file that a document names.
type Part struct {
	Kind PartKind
	ID   string // as far as the naming element has one
	Name string // display name of an attachment, else ""
	From string // the XML file that names it
	Loc  string // the location as written
	Path string // the file, "" when missing
}

// load reads OFD.xml and everything that it leads to.
func (p *Package) load() {
	root := p.parse(RootFile, "")
	if root == nil {
		if !p.Has(RootFile) {
			p.problems.add(3, CodeXMLFormat, RootFile, "the package has no OFD.xml")
		}
		return
	}
	p.show(RootFile)
	l := loader{p: p, file: RootFile, space: root.space}
	if root.local != "OFD" {
		p.noteOnce(3, CodeXMLFormat, RootFile, "the root element is not OFD")
		return
	}
	l.visited = map[string]bool{}
	for _, n := range l.all(root, "DocBody") {
		if len(p.Bodies) == maxBodies {
			p.noteOnce(3, CodeXMLFormat, RootFile, "OFD has more documents than are read")
			break
		}
		p.Bodies = append(p.Bodies, l.body(n))
	}
	if len(p.Bodies) == 0 {
		p.noteOnce(3, CodeXMLFormat, RootFile, "OFD has no DocBody")
	}
	p.loadSignatures()
	p.findUnlisted()
}

// loader reads the elements of one XML file.
type loader struct {
	p     *Package
	file  string // the zip name, the base of its locations
	space string // the root's namespace
	doc   *Document

	visited map[string]bool // files that were read with their parts, whoever names them
}

// visit reports whether a file is read for the first time in this role.
func (l loader) visit(role, path string) bool {
	key := role + "\x00" + path
	if l.visited[key] {
		return false
	}
	l.visited[key] = true
	return true
}

// first reports whether an ID is new among those of its kind in the document.
// IDs are numbers: 7 and 07 are one to some readers. Where two parts have one
// ID, readers differ on which of them they show.
func (l loader) first(kind, id string) bool {
	if trimmed := strings.TrimLeft(id, "0"); trimmed != "" {
		id = trimmed
	}
	return l.visit(l.doc.Path+"\x00"+kind+" ID", id)
}

// at returns a loader for the root element of another file of the document.
func (l loader) at(file string, root *node) loader {
	return loader{p: l.p, file: file, space: root.space, doc: l.doc, visited: l.visited}
}

// all returns the children with a local name. A child in a foreign namespace is
// reported: a reader that goes by local names sees it, one that goes by
// namespaces does not.
func (l loader) all(n *node, local string) []*node {
	found := n.all(local)
	for _, k := range found {
		if !allowed(k.space, l.space) {
			l.p.noteOnce(3, CodeXMLFormat, l.file, "<%s> stands in a foreign namespace", local)
		}
	}
	return found
}

// one returns the only child with a local name, or nil; a second is reported.
func (l loader) one(n *node, local string) *node {
	found := l.all(n, local)
	if len(found) > 1 {
		l.p.noteOnce(3, CodeXMLFormat, l.file, "<%s> occurs more than once", local)
	}
	if len(found) == 0 {
		return nil
	}
	return found[0]
}

// text returns the value of a leaf; a value that readers piece together
// differently is reported.
func (l loader) text(n *node) string {
	if n == nil {
		return ""
	}
	if n.split || len(n.kids) != 0 {
		l.p.noteOnce(3, CodeXMLFormat, l.file, "the text of <%s> is interrupted", n.local)
	}
	return n.value()
}

func (l loader) body(n *node) *DocBody {
	b := &DocBody{node: n}
	if info := l.one(n, "DocInfo"); info != nil {
		b.DocID = l.text(info.first("DocID"))
		if cover := l.text(info.first("Cover")); cover != "" {
			l.reach(cover)
		}
	}
	b.DocRoot = l.text(l.one(n, "DocRoot"))
	if list := l.one(n, "Signatures"); list != nil {
		b.SignaturesLoc = l.text(list)
		b.SignaturesPath = l.p.resolve(l.file, b.SignaturesLoc)
		if b.SignaturesPath == "" {
			l.p.noteOnce(4, CodeSigListMissing, RootFile, "a DocBody names a list of signatures that does not exist")
		} else {
			l.p.reached[b.SignaturesPath] = true
		}
	}
	path := l.p.locate(l.file, b.DocRoot)
	if path == "" {
		l.p.noteOnce(3, CodeXMLFormat, RootFile, "a DocBody names a document that does not exist")
		return b
	}
	if !l.visit("document", path) {
		l.p.noteOnce(3, CodeXMLFormat, RootFile, "two DocBody elements name the same document")
		return b
	}
	if b.Document = l.document(path); b.Document != nil {
		l.doc = b.Document
		if versions := l.one(n, "Versions"); versions != nil {
			l.versions(versions)
		}
	}
	return b
}

// reach marks what loc names as part of a document and returns its name.
func (l loader) reach(loc string) string {
	name := l.p.locate(l.file, loc)
	l.p.show(name)
	return name
}

// show marks a file as reachable and as part of a document, which the files of
// signatures are not.
func (p *Package) show(name string) {
	if name != "" {
		p.reached[name], p.content[name] = true, true
	}
}

// part records one named file and returns it.
func (l loader) part(kind PartKind, id, loc string) string {
	path := l.p.locate(l.file, loc)
	if kind != PartVersionFile { // a list of all files may well name those of signatures
		l.p.show(path)
	} else if path != "" {
		l.p.reached[path] = true
	}
	l.doc.Parts = append(l.doc.Parts, Part{Kind: kind, ID: id, From: l.file, Loc: loc, Path: path})
	return path
}
