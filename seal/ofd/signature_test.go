package ofd

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
)

// signedFiles is the minimal package with one signature that references
// everything; change sees and may replace each of its XML texts.
type signedFiles struct {
	root, list, description string
	more                    []testFile
}

func goodSigned() signedFiles {
	s := signedFiles{root: rootXML(`<ofd:Signatures>/Doc_0/S.xml</ofd:Signatures>`)}
	s.list = `<ofd:Signatures xmlns:ofd="` + Namespace + `"><ofd:MaxSignId>2</ofd:MaxSignId><ofd:Signature ID="1" Type="Seal" BaseLoc="A/Signature.xml"/></ofd:Signatures>`
	var refs strings.Builder
	for _, f := range s.base() {
		fmt.Fprintf(&refs, `<ofd:Reference FileRef="/%s"><ofd:CheckValue>%s</ofd:CheckValue></ofd:Reference>`, f.name, digest64(f.content))
	}
	fmt.Fprintf(&refs, `<ofd:Reference FileRef="Seal.esl"><ofd:CheckValue>%s</ofd:CheckValue></ofd:Reference>`, digest64("seal"))
	s.description = `<ofd:Signature xmlns:ofd="` + Namespace + `"><ofd:SignedInfo><ofd:Provider ProviderName="x"/><ofd:References CheckMethod="SM3">` + refs.String() + `</ofd:References>` +
		`<ofd:StampAnnot ID="2" PageRef="1" Boundary="10 10 40 40"/><ofd:Seal><ofd:BaseLoc>Seal.esl</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo><ofd:SignedValue>v.dat</ofd:SignedValue></ofd:Signature>`
	return s
}

func digest64(content string) string {
	d := gm.SM3([]byte(content))
	return base64.StdEncoding.EncodeToString(d[:])
}

func (s signedFiles) base() []testFile {
	files := minimal()
	files[0].content = s.root
	return files
}

func (s signedFiles) build() []byte {
	return build(append(append(s.base(), file("Doc_0/S.xml", s.list), file("Doc_0/A/Signature.xml", s.description),
		file("Doc_0/A/Seal.esl", "seal"), file("Doc_0/A/v.dat", "value")), s.more...)...)
}

// TestEveryFaultOfASignatureHasItsCode changes one thing of a good signature.
func TestEveryFaultOfASignatureHasItsCode(t *testing.T) {
	desc := func(old, new string) func(*signedFiles) {
		return func(s *signedFiles) {
			if !strings.Contains(s.description, old) {
				t.Fatalf("no %q", old)
			}
			s.description = strings.Replace(s.description, old, new, 1)
		}
	}
	list := func(old, new string) func(*signedFiles) {
		return func(s *signedFiles) {
			if !strings.Contains(s.list, old) {
				t.Fatalf("no %q", old)
			}
			s.list = strings.Replace(s.list, old, new, 1)
		}
	}
	page := `<ofd:Reference FileRef="/Doc_0/Pages/P.xml"><ofd:CheckValue>` + digest64(pageXML) + `</ofd:CheckValue></ofd:Reference>`
	const entry = `<ofd:Signature ID="1" Type="Seal" BaseLoc="A/Signature.xml"/>`
	for _, c := range []struct {
		name   string
		change func(*signedFiles)
		want   []string
	}{
		{"nothing", func(*signedFiles) {}, nil},
		{"Type left out", list(` Type="Seal"`, ``), nil},
		{"unknown Type", list(`Type="Seal"`, `Type="Stamp"`), []string{"E_SIG_FORMAT(Doc_0/S.xml)"}},
		{"no ID", list(` ID="1"`, ``), []string{"E_SIG_DUP_ID(Doc_0/S.xml)"}},
		{"listed twice", list(entry, entry+entry), []string{"E_SIG_DUP_ID(Doc_0/A/Signature.xml)", "E_SIG_DUP_ID(Doc_0/S.xml)"}},
		{"description missing", list(`A/Signature.xml`, `B/Signature.xml`), []string{"E_SIG_MISSING(Doc_0/S.xml)", "E_SIG_UNLISTED(Doc_0/A/Signature.xml)"}},
		{"description in another case", list(`A/Signature.xml`, `a/signature.xml`), []string{"E_SIG_MISSING(Doc_0/S.xml)", "E_SIG_UNLISTED(Doc_0/A/Signature.xml)"}},
		{"description outside", list(`A/Signature.xml`, `../../x`), []string{"E_SIG_MISSING(Doc_0/S.xml)", "E_SIG_UNLISTED(Doc_0/A/Signature.xml)"}},
		{"list is no list", list(`<ofd:Signatures `, `<ofd:Other `), nil}, // replaced below
		{"description is no XML", func(s *signedFiles) { s.description = "x" }, []string{"E_SIG_FORMAT(Doc_0/A/Signature.xml)", "E_XML_FORMAT(Doc_0/A/Signature.xml)"}},
		{"description with DOCTYPE", func(s *signedFiles) { s.description = "<!DOCTYPE x>" + s.description }, []string{"E_SIG_FORMAT(Doc_0/A/Signature.xml)", "E_XML_DTD(Doc_0/A/Signature.xml)"}},
		{"signature inside another element of the list", list(`</ofd:Signatures>`, `<x><ofd:Signature ID="9" BaseLoc="B/Signature.xml"/></x></ofd:Signatures>`), []string{"E_SIG_FORMAT(Doc_0/S.xml)"}},
		{"references outside SignedInfo", func(s *signedFiles) {
			desc(`<ofd:References `, `</ofd:SignedInfo><ofd:References `)(s)
			desc(`<ofd:StampAnnot `, `<ofd:SignedInfo><ofd:StampAnnot `)(s)
			desc(`<ofd:SignedInfo><ofd:StampAnnot ID="2" PageRef="1" Boundary="10 10 40 40"/><ofd:Seal><ofd:BaseLoc>Seal.esl</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo>`, ``)(s)
			desc(`<ofd:Provider ProviderName="x"/>`, `<ofd:Provider ProviderName="x"/><ofd:StampAnnot ID="2" PageRef="1" Boundary="10 10 40 40"/>`)(s)
		}, []string{"E_SIG_FORMAT(Doc_0/A/Signature.xml)"}},
		{"two SignedInfo", desc(`<ofd:SignedInfo>`, `<ofd:SignedInfo/><ofd:SignedInfo>`), []string{"E_SIG_FORMAT(Doc_0/A/Signature.xml)"}},
		{"wrapped signature", desc(`<ofd:StampAnnot`, `<ofd:Object><ofd:SignedValue>w</ofd:SignedValue></ofd:Object><ofd:StampAnnot`), []string{"E_SIG_FORMAT(Doc_0/A/Signature.xml)"}},
		{"digest not named", desc(` CheckMethod="SM3"`, ``), []string{"E_WEAK_DIGEST(Doc_0/A/Signature.xml)"}},
		{"MD5", desc(`"SM3"`, `"MD5"`), []string{"E_WEAK_DIGEST(Doc_0/A/Signature.xml)"}},
		{"SHA1 by identifier", desc(`"SM3"`, `"1.3.14.3.2.26"`), []string{"E_WEAK_DIGEST(Doc_0/A/Signature.xml)"}},
		{"unknown digest", desc(`"SM3"`, `"SHA256"`), []string{"E_DIGEST_ALG(Doc_0/A/Signature.xml)"}},
		{"SM3 by identifier", desc(`"SM3"`, `"1.2.156.10197.1.401"`), nil},
		{"SM3 by a vendor's identifier", desc(`"SM3"`, `"1.2.156.10197.1.401.2"`), nil},
		{"reference dropped", desc(page, ``), []string{"E_UNCOVERED(Doc_0/Pages/P.xml)"}},
		{"reference twice", desc(page, page+page), []string{"E_REF_DUPLICATE(Doc_0/Pages/P.xml)"}},
		{"reference to nothing", desc(page, page+`<ofd:Reference FileRef="/x"><ofd:CheckValue>`+digest64("")+`</ofd:CheckValue></ofd:Reference>`), []string{"E_REF_MISSING(/x)"}},
		{"reference to a folder", desc(page, page+`<ofd:Reference FileRef="/Doc_0/"><ofd:CheckValue>`+digest64("")+`</ofd:CheckValue></ofd:Reference>`), []string{"E_REF_MISSING(/Doc_0/)"}},
		{"reference to a URL", desc(`FileRef="/Doc_0/Pages/P.xml"`, `FileRef="http://127.0.0.1/P.xml"`), []string{"E_REF_MISSING(http://127.0.0.1/P.xml)", "E_UNCOVERED(Doc_0/Pages/P.xml)"}},
		{"reference in another case", desc(`FileRef="/Doc_0/Pages/P.xml"`, `FileRef="/Doc_0/pages/P.xml"`), []string{"E_REF_MISSING(/Doc_0/pages/P.xml)", "E_UNCOVERED(Doc_0/Pages/P.xml)"}},
		{"relative reference", desc(`FileRef="/Doc_0/Pages/P.xml"`, `FileRef="../Pages/./P.xml"`), nil},
		{"check value of something else", desc(digest64(pageXML), digest64("x")), []string{"E_REF_DIGEST(Doc_0/Pages/P.xml)"}},
		{"check value too short", desc(digest64(pageXML), "AAAA"), []string{"E_REF_DIGEST(Doc_0/Pages/P.xml)"}},
		{"check value not base64", desc(digest64(pageXML), "!"), []string{"E_REF_DIGEST(Doc_0/Pages/P.xml)"}},
		{"check value of a megabyte", desc(digest64(pageXML), strings.Repeat("A", 1<<20)), []string{"E_REF_DIGEST(Doc_0/Pages/P.xml)"}},
		{"check value broken over lines", desc(digest64(pageXML), digest64(pageXML)[:20]+"\n  "+digest64(pageXML)[20:]), nil},
		{"check value twice", desc(page, strings.Replace(page, `</ofd:CheckValue>`, `</ofd:CheckValue><ofd:CheckValue/>`, 1)), []string{"E_REF_DIGEST(Doc_0/Pages/P.xml)", "E_SIG_FORMAT(Doc_0/A/Signature.xml)"}},
		{"no value file", desc(`v.dat`, `w.dat`), []string{"E_SV_MISSING(Doc_0/A/Signature.xml)", "W_UNCOVERED(Doc_0/A/v.dat)"}},
		{"absolute value file", desc(`v.dat`, `/Doc_0/A/v.dat`), nil},
		{"file added", func(s *signedFiles) { s.more = []testFile{file("Doc_0/x.xml", "x")} }, []string{"W_UNCOVERED(Doc_0/x.xml)"}},
		{"no stamp", desc(`<ofd:StampAnnot ID="2" PageRef="1" Boundary="10 10 40 40"/>`, ``), []string{"W_STAMP_PAGE(Doc_0/A/Signature.xml)"}},
		{"stamp without ID", desc(`ID="2" PageRef`, `PageRef`), []string{"W_STAMP_PAGE(Doc_0/A/Signature.xml)"}},
		{"stamp on another page", desc(`PageRef="1"`, `PageRef="7"`), []string{"W_STAMP_PAGE(Doc_0/A/Signature.xml)"}},
		{"stamp off the page", desc(`"10 10 40 40"`, `"210 10 40 40"`), []string{"W_STAMP_OFFPAGE(Doc_0/A/Signature.xml)"}},
		{"stamp partly off the page", desc(`"10 10 40 40"`, `"200 10 40 40"`), nil},
		{"stamp of no size", desc(`"10 10 40 40"`, `"10 10 0 40"`), []string{"W_STAMP_OFFPAGE(Doc_0/A/Signature.xml)"}},
		{"stamp of no number", desc(`"10 10 40 40"`, `"10 10 NaN 40"`), []string{"W_STAMP_OFFPAGE(Doc_0/A/Signature.xml)"}},
		{"stamp clipped away", desc(`"10 10 40 40"`, `"10 10 40 40" Clip="50 0 10 10"`), []string{"W_STAMP_OFFPAGE(Doc_0/A/Signature.xml)"}},
		{"stamp with a malformed clip", desc(`"10 10 40 40"`, `"10 10 40 40" Clip="x"`), []string{"W_STAMP_OFFPAGE(Doc_0/A/Signature.xml)"}},
		{"slice of a riding seal", desc(`"10 10 40 40"`, `"202 10 40 40" Clip="0 0 8 40"`), nil},
	} {
		s := goodSigned()
		c.change(&s)
		if c.name == "list is no list" {
			s.list = strings.ReplaceAll(s.list, "ofd:Signatures", "ofd:Other")
			c.want = []string{"E_SIG_FORMAT(Doc_0/S.xml)", "E_SIG_UNLISTED(Doc_0/A/Signature.xml)", "S_UNSIGNED()"}
		}
		got := judge(s.build())
		slices.Sort(got)
		if len(c.want) > 0 && strings.HasPrefix(c.want[0], "E_SIG_") { // what follows from it is not listed
			got = slices.DeleteFunc(got, func(s string) bool { return strings.Contains(s, "UNCOVERED") || strings.HasPrefix(s, "W_") })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n got %v\nwant %v", c.name, got, c.want)
		}
	}
}

// TestASecondSignatureMustProtectTheFirst drops the first signature's files from
// the second, and locks the first.
func TestASecondSignatureMustProtectTheFirst(t *testing.T) {
	out := sign(t, goodSigned().build(), testRequest())
	if got := judge(out); got != nil {
		t.Fatal(got)
	}
	p, _ := Open(out)
	second := p.Signatures()[1]
	second.References = slices.DeleteFunc(second.References, func(r Reference) bool { return r.Name == "Doc_0/A/v.dat" })
	if ps := p.CheckChain(); len(ps) != 1 || ps[0].Code != CodeChainGap || ps[0].Target != "Doc_0/A/v.dat" {
		t.Errorf("%v", ps)
	}
	first := p.Signatures()[0]
	first.References = append(first.References, Reference{Name: "Doc_0/S.xml"})
	if ps := p.CheckChain(); len(ps) != 2 || ps[0].Code != CodePostLockChange || !p.Locks(first) || p.Locks(second) {
		t.Errorf("%v", ps)
	}
}

// TestEveryBodyCountsWithItsOwnSignatures covers the reader that looks at the
// first document only.
func TestEveryBodyCountsWithItsOwnSignatures(t *testing.T) {
	s := goodSigned()
	s.root = strings.Replace(s.root, `</ofd:OFD>`, `<ofd:DocBody><ofd:DocRoot>Doc_1/Document.xml</ofd:DocRoot><ofd:Signatures>Doc_1/S.xml</ofd:Signatures></ofd:DocBody></ofd:OFD>`, 1)
	s.more = []testFile{file("Doc_1/Document.xml", documentXML), file("Doc_1/Pages/P.xml", pageXML),
		file("Doc_1/S.xml", strings.Replace(s.list, `ID="1"`, `ID="1"`, 1)),
		file("Doc_1/A/Signature.xml", signatureXML("")), file("Doc_1/A/v.dat", "x")}
	data := s.build()
	p, _ := Open(data)
	if len(p.Bodies) != 2 || len(p.Signatures()) != 2 || p.Signatures()[1].Body != 1 {
		t.Fatalf("%d bodies, %d signatures", len(p.Bodies), len(p.Signatures()))
	}
	got := judge(data)
	for _, want := range []string{"E_REF_DIGEST(OFD.xml)", "E_UNCOVERED(Doc_1/Document.xml)", "E_UNCOVERED(Doc_1/Pages/P.xml)"} {
		if !slices.Contains(got, want) {
			t.Errorf("%v lacks %s", got, want)
		}
	}
}

// TestDigestsAreOfTheStoredBytes keeps marks and line ends in what is digested.
func TestDigestsAreOfTheStoredBytes(t *testing.T) {
	const odd = "\ufeff<a>\r\n</a>\r\n"
	p, _ := Open(with(deflated("x.xml", odd)))
	want := gm.SM3([]byte(odd))
	if got, err := p.Digest("x.xml"); err != nil || got != want {
		t.Errorf("%x, %v", got, err)
	}
	if content, err := p.Read("x.xml"); err != nil || !bytes.Equal(content, []byte(odd)) {
		t.Errorf("%q, %v", content, err)
	}
	if _, err := p.Digest("y.xml"); err == nil {
		t.Error("a file that does not exist has a digest")
	}
}
