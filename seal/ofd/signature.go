package ofd

import (
	"bytes"
	"encoding/base64"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
)

// SignatureType says what the .dat file holds.
type SignatureType string

// The two types of GB/T 33190; an absent @Type means Seal.
const (
	TypeSeal SignatureType = "Seal" // an SES_Signature (GB/T 38540, GM/T 0031)
	TypeSign SignatureType = "Sign" // a GB/T 35275 or CMS SignedData
)

// Signature is one signature of a list, with its Signature.xml read. Fields are
// zero where the file lacks them; Problems says which of those lacks is wrong.
type Signature struct {
	// From the list.
	ID       string
	Type     SignatureType
	Relative string // @Relative: the ID of the signature that this one builds on, or ""
	BaseLoc  string // as written
	Path     string // the Signature.xml, "" when missing
	Body     int    // index of the DocBody

	// From Signature.xml.
	Raw         []byte // the file's bytes: what dataHash is the digest of
	Provider    Provider
	Method      string // SignatureMethod, OID text or ""
	DateTime    string // SignatureDateTime, free text, informational
	CheckMethod string // as written
	References  []Reference
	Stamps      []Stamp
	SealLoc     string // Seal/BaseLoc as written, "" when there is none
	SealPath    string // the seal file, "" when missing
	ImageLoc    string // Seal/ImageLoc (OFD 2.0) as written: a picture beside the seal, "" when there is none
	ImagePath   string // the picture, "" when missing
	ValueLoc    string // SignedValue as written
	ValuePath   string // the .dat file, "" when missing

	Problems []Problem // steps 5, 6 and 9; references are checked by CheckReferences
}

// Provider names the software that made a signature.
type Provider struct{ Name, Company, Version string }

// Reference is one protected file.
type Reference struct {
	Loc   string // FileRef as written
	Name  string // the file it resolves to, "" when missing
	Value []byte // the decoded CheckValue, nil unless it is base64 of 32 bytes
}

// Stamp is one appearance of the seal on a page (StampAnnot).
type Stamp struct {
	ID       string
	PageRef  string
	Boundary *Box // the seal's box on the page; nil when absent or malformed
	Clip     *Box // the part of it that is drawn, relative to the box; nil for all of it
}

// Signatures returns all signatures of all bodies, in the order of the lists.
func (p *Package) Signatures() []*Signature {
	var out []*Signature
	for _, b := range p.Bodies {
		out = append(out, b.Signatures...)
	}
	return out
}

// SignedValue returns the bytes of the signature's .dat file, or E_SV_MISSING.
func (p *Package) SignedValue(s *Signature) ([]byte, error) {
	if s.ValuePath == "" {
		return nil, &ContentError{Problem{9, CodeValueMissing, s.Path, "the file with the signature value does not exist"}}
	}
	if p.FileSize(s.ValuePath) > maxValueSize {
		return nil, &ContentError{Problem{9, CodeValueMissing, s.ValuePath, "the file is too large for a signature value"}}
	}
	return p.Read(s.ValuePath)
}

// loadSignatures reads the list of every body (step 4) and every Signature.xml.
func (p *Package) loadSignatures() {
	ids := map[string]bool{}
	files := map[string]bool{}
	lists := map[string]bool{}
	for i, b := range p.Bodies {
		if b.SignaturesPath == "" || !p.Has(b.SignaturesPath) {
			continue
		}
		if lists[b.SignaturesPath] {
			p.noteOnce(4, CodeSigFormat, b.SignaturesPath, "two documents share one list of signatures")
			continue
		}
		lists[b.SignaturesPath] = true
		p.loadList(i, b, files)
		clear(ids)
		for _, s := range b.Signatures {
			if s.ID == "" || ids[s.ID] {
				s.problem(5, CodeSigDupID, b.SignaturesPath, "the signature has no ID, or one that is used twice")
			}
			ids[s.ID] = true
		}
	}
	if len(p.Signatures()) == 0 {
		p.problems.add(4, CodeUnsigned, "", "the package has no signature")
	}
}

func (p *Package) loadList(index int, b *DocBody, files map[string]bool) {
	root := p.parse(b.SignaturesPath, "")
	if root == nil {
		return
	}
	l := loader{p: p, file: b.SignaturesPath, space: root.space}
	if root.local != "Signatures" {
		p.noteOnce(4, CodeSigFormat, b.SignaturesPath, "the root element is not Signatures")
		return
	}
	counts := map[string]int{}
	countNames(root, counts)
	if counts["Signature"] != len(root.all("Signature")) {
		p.noteOnce(4, CodeSigFormat, b.SignaturesPath, "a <Signature> stands inside another element of the list, where only some readers look")
	}
	for _, n := range root.all("MaxSignId") {
		b.MaxSignID = max(b.MaxSignID, numberPart(n.value()))
	}
	for _, n := range l.all(root, "Signature") {
		if len(b.Signatures) == maxSignatures {
			p.noteOnce(4, CodeSigFormat, b.SignaturesPath, "the list has more signatures than are read")
			break
		}
		s := &Signature{ID: n.attr("ID"), Relative: n.attr("Relative"), BaseLoc: n.attr("BaseLoc"), Body: index, Type: TypeSeal}
		switch t, given := n.lookupAttr("Type"); {
		case given && t == string(TypeSign):
			s.Type = TypeSign
		case given && t != string(TypeSeal):
			s.problem(5, CodeSigFormat, b.SignaturesPath, "the signature's Type is neither Seal nor Sign")
		}
		b.Signatures = append(b.Signatures, s)
		s.Path = p.resolve(b.SignaturesPath, s.BaseLoc)
		switch {
		case s.Path == "":
			s.problem(5, CodeSigMissing, b.SignaturesPath, "the file that describes the signature does not exist")
		case files[s.Path]:
			s.problem(5, CodeSigDupID, s.Path, "the signature is listed twice")
		default:
			p.loadSignature(s)
		}
		files[s.Path] = true
	}
}

func (s *Signature) problem(step int, code Code, target, format string, args ...any) {
	ps := problems(s.Problems)
	ps.add(step, code, target, format, args...)
	s.Problems = ps
}

// loadSignature reads one Signature.xml.
func (p *Package) loadSignature(s *Signature) {
	p.reached[s.Path] = true
	size := p.FileSize(s.Path)
	if p.descriptions += size; size > maxDescription || p.descriptions > maxDescriptions {
		s.problem(5, CodeSigFormat, s.Path, "the descriptions of signatures are larger than is read")
		return
	}
	root := p.parse(s.Path, "")
	if root == nil {
		s.problem(5, CodeSigFormat, s.Path, "the file that describes the signature cannot be read")
		return
	}
	s.Raw, _ = p.Read(s.Path) // it was parsed, so it reads
	counts := map[string]int{}
	countNames(root, counts)
	for _, name := range []string{"SignedInfo", "References", "SignedValue"} {
		if counts[name] != 1 {
			s.problem(5, CodeSigFormat, s.Path, "<%s> occurs %d times, want once", name, counts[name])
		}
	}
	l := loader{p: p, file: s.Path, space: root.space}
	info := root.first("SignedInfo")
	if root.local != "Signature" || info == nil || !allowed(info.space, root.space) {
		s.problem(5, CodeSigFormat, s.Path, "the file is not a Signature with SignedInfo")
		return
	}
	if n := l.one(info, "Provider"); n != nil {
		s.Provider = Provider{n.attr("ProviderName"), n.attr("Company"), n.attr("Version")}
		if s.Provider.Name == "" { // one vendor writes child elements
			if name := n.first("ProviderName"); name != nil {
				s.Provider.Name = name.value()
			}
		}
	}
	s.Method = l.text(l.one(info, "SignatureMethod"))
	s.DateTime = l.text(l.one(info, "SignatureDateTime"))
	if seal := l.one(info, "Seal"); seal != nil {
		if s.SealLoc = l.text(l.one(seal, "BaseLoc")); s.SealLoc != "" {
			if s.SealPath = p.resolve(s.Path, s.SealLoc); s.SealPath != "" {
				p.reached[s.SealPath] = true
			}
		}
		if s.ImageLoc = l.text(l.one(seal, "ImageLoc")); s.ImageLoc != "" {
			if s.ImagePath = p.resolve(s.Path, s.ImageLoc); s.ImagePath != "" {
				p.reached[s.ImagePath] = true
			}
		}
	}
	s.ValueLoc = l.text(l.one(root, "SignedValue"))
	if s.ValuePath = p.resolve(s.Path, s.ValueLoc); s.ValuePath == "" {
		s.problem(9, CodeValueMissing, s.Path, "the file with the signature value does not exist")
	} else {
		p.reached[s.ValuePath] = true
	}
	if refs := l.one(info, "References"); refs != nil {
		l.references(s, refs)
	} else if counts["References"] == 1 && counts["SignedInfo"] == 1 {
		s.problem(5, CodeSigFormat, s.Path, "<References> stands outside SignedInfo")
	}
	l.stamps(s, info)
}

// findUnlisted looks for signatures that are in the package and that no list
// names. The list itself cannot be protected while further signatures may
// follow, so that a seal could be made to disappear by taking its line out; but
// a later signature protects its files, and they are still here.
func (p *Package) findUnlisted() {
	for _, name := range p.names {
		e := p.archive.files[name]
		if p.reached[name] || e.blob.size > maxDescription {
			continue
		}
		content, err := e.blob.read(p.unpack)
		if err != nil || !bytes.Contains(content, []byte("SignedInfo")) {
			continue // damage is for CheckContents
		}
		left := maxXMLKept // the tree is not kept
		if root, err := parseXML(content, "", &left); err == nil && root.local == "Signature" && root.first("SignedInfo") != nil {
			p.problems.add(4, CodeSigUnlisted, name, "the file describes a signature that no list names")
		}
	}
}

// countNames counts elements by local name: a second SignedInfo anywhere is a
// signature wrapped in another.
func countNames(n *node, counts map[string]int) {
	counts[n.local]++
	for _, k := range n.kids {
		countNames(k, counts)
	}
}

func (l loader) references(s *Signature, refs *node) {
	s.CheckMethod = refs.attr("CheckMethod")
	if code, why := checkMethod(s.CheckMethod); code != "" {
		s.problem(6, code, s.Path, "%s", why)
	}
	for _, n := range l.all(refs, "Reference") {
		r := Reference{Loc: n.attr("FileRef")}
		r.Name = l.p.resolve(l.file, r.Loc)
		values := l.all(n, "CheckValue")
		if len(values) != 1 {
			s.problem(5, CodeSigFormat, s.Path, "a Reference has %d CheckValue elements, want one", len(values))
		} else {
			r.Value = decodeDigest(l.text(values[0]))
		}
		s.References = append(s.References, r)
	}
	if len(s.References) == 0 {
		s.problem(5, CodeSigFormat, s.Path, "the signature references no file")
	}
}

// checkMethod accepts SM3 by name and by its object identifiers (GM/T 0006);
// one vendor writes the keyed variant .401.2 for plain SM3.
func checkMethod(method string) (Code, string) {
	switch strings.ToUpper(strings.TrimSpace(method)) {
	case "SM3", gm.OIDSM3.String(), gm.OIDSM3NoKey.String(), gm.OIDSM3Keyed.String():
		return "", ""
	case "": // the schema's default is MD5
		return CodeWeakDigest, "no digest algorithm is named, which means MD5"
	case "MD5", "SHA1", "SHA-1", "1.2.840.113549.2.5", "1.3.14.3.2.26":
		return CodeWeakDigest, "the digest algorithm is broken"
	}
	return CodeDigestAlg, "the digest algorithm is not SM3"
}

// decodeDigest returns the 32 bytes of canonical base64, or nil.
func decodeDigest(s string) []byte {
	if len(s) > maxCheckValue {
		return nil
	}
	s = strings.Join(strings.Fields(s), "")
	d, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || len(d) != gm.DigestSize {
		return nil
	}
	return d
}

func (l loader) stamps(s *Signature, info *node) {
	for _, n := range l.all(info, "StampAnnot") {
		st := Stamp{ID: n.attr("ID"), PageRef: n.attr("PageRef")}
		if box, err := ParseBox(n.attr("Boundary")); err == nil {
			st.Boundary = &box
		}
		if clip, given := n.lookupAttr("Clip"); given {
			box, err := ParseBox(clip)
			if err != nil {
				box = Box{} // draws nothing; step 23 says so
			}
			st.Clip = &box
		}
		s.Stamps = append(s.Stamps, st)
	}
}

// numberPart returns the digits at the end of an ID such as 1, 01 or s001 as a
// number, or 0.
func numberPart(id string) int {
	i := len(id)
	for i > 0 && id[i-1] >= '0' && id[i-1] <= '9' && len(id)-i < 9 {
		i--
	}
	n := 0
	for _, c := range id[i:] {
		n = n*10 + int(c-'0')
	}
	return n
}
