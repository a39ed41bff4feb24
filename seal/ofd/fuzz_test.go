package ofd

import (
	"bytes"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
)

// rewrite copies every entry of p into a new zip file.
func rewrite(t *testing.T, p *Package) []byte {
	w := &zipWriter{when: testTime}
	for _, e := range p.archive.entries {
		w.copy(p.archive.data, e)
	}
	out, err := w.finish(p.archive.comment)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// FuzzOpen: no input panics; what opens, opens again after its entries were
// copied into a new archive, with the same names, contents and problems; and
// what takes a signature has no problem afterwards.
func FuzzOpen(f *testing.F) {
	f.Add(build(minimal()...))
	f.Add(sign(f, build(minimal()...), testRequest()))
	for _, c := range append(zipStructureCases(), zipNameCases()...) {
		if len(c.data) < 4096 {
			f.Add(c.data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, first := Open(data)
		if p == nil {
			if len(first) == 0 {
				t.Fatal("refused without a problem")
			}
			return
		}
		first = slices.DeleteFunc(append(slices.Clone(first), p.CheckContents()...), func(x Problem) bool { return x.Code == CodeZipPrefix })
		q, second := Open(rewrite(t, p))
		if q == nil {
			t.Fatalf("the copy does not open: %v", second)
		}
		if second = append(second, q.CheckContents()...); !slices.Equal(first, second) {
			t.Fatalf("problems %v, of the copy %v", first, second)
		}
		if !slices.Equal(p.Names(), q.Names()) {
			t.Fatal("the copy has other names")
		}
		for _, name := range p.Names() {
			a, errA := p.Digest(name)
			b, errB := q.Digest(name)
			if a != b || (errA == nil) != (errB == nil) {
				t.Fatalf("%s differs in the copy", name)
			}
		}
		plan, err := p.PlanSignature(testRequest())
		if err != nil {
			return
		}
		out, err := plan.Embed([]byte("v"))
		if err != nil {
			t.Fatal(err)
		}
		r, ps := plan.Reopen(out)
		if r == nil || problems(ps).fatal() {
			t.Fatalf("signing broke the package: %v", ps)
		}
		all := r.Signatures()
		if s := all[len(r.Bodies[0].Signatures)-1]; len(s.Problems) != 0 || len(r.CheckReferences(s)) != 0 || len(r.UncoveredBy(s)) != 0 {
			t.Fatalf("the new signature has problems %v %v %v", s.Problems, r.CheckReferences(s), r.UncoveredBy(s))
		}
	})
}

// FuzzResolvePath: a resolved path never leaves the package, is in normal form,
// and resolves to itself from everywhere.
func FuzzResolvePath(f *testing.F) {
	for _, s := range []string{"a.xml", "/a/b.xml", "../x", "a/./b/../c", "//x", `a\b`, "C:/x", "http://x/y", " Doc_0/Document.xml\n", "数据/文件", "..", ".", "", "a/", "%2e%2e/x", "a\x00"} {
		f.Add("Doc_0/Pages/P.xml", s)
		f.Add("OFD.xml", s)
	}
	f.Fuzz(func(t *testing.T, base, loc string) {
		var ps problems
		if checkName(base, &ps); len(ps) != 0 || strings.HasSuffix(base, "/") {
			return
		}
		got, err := ResolvePath(base, loc)
		if err != nil {
			return
		}
		for seg := range strings.SplitSeq(got, "/") {
			if seg == "" || seg == "." || seg == ".." {
				t.Fatalf("%q from %q gives %q", loc, base, got)
			}
		}
		if got[0] == '/' || len(got) > MaxNameLength || strings.ContainsAny(got, "\\\x00") {
			t.Fatalf("%q from %q gives %q", loc, base, got)
		}
		if strings.HasSuffix(got, " ") {
			return // an inner space that `..` left at the end; no entry has such a name
		}
		for _, from := range []string{base, "OFD.xml", "x/y/z"} {
			if again, err := ResolvePath(from, Absolute(got)); err != nil || again != got {
				t.Fatalf("/%s from %q gives %q, %v", got, from, again, err)
			}
		}
	})
}

// FuzzXML: what our reader accepts, encoding/xml accepts with the same elements,
// attributes and text; and cutting the file at an element's offsets gives that
// element again.
func FuzzXML(f *testing.F) {
	f.Add(pageXML)
	f.Add(documentXML)
	f.Add(rootXML(""))
	f.Add(signatureXML(""))
	f.Add(`<?xml version="1.0" encoding="utf-8"?><a b='&lt;' xmlns:x="u" x:b="&#65;"><![CDATA[ ]] ]]>t&amp;<!-- c --><x:c/></a>`)
	f.Fuzz(func(t *testing.T, src string) {
		root, err := parseAlone([]byte(src))
		if err != nil {
			return
		}
		ascii := strings.IndexFunc(src, func(r rune) bool { return r > 0x7e }) < 0
		if !ascii { // encoding/xml follows an older edition for names beyond ASCII
			return
		}
		var ours, theirs []string
		walk(root, src, &ours, t)
		d := xml.NewDecoder(strings.NewReader(src))
		for {
			tok, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("encoding/xml refuses: %v", err)
			}
			switch e := tok.(type) {
			case xml.StartElement:
				line := e.Name.Space + " " + e.Name.Local
				for _, a := range e.Attr {
					if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
						line += " " + a.Name.Local + "=" + a.Value
					}
				}
				theirs = append(theirs, line)
			}
		}
		if len(ours) != len(theirs) {
			t.Fatalf("ours %q\ntheirs %q", ours, theirs)
		}
		for i := range ours {
			if flat(ours[i]) != flat(theirs[i]) {
				t.Fatalf("ours %q\ntheirs %q", ours[i], theirs[i])
			}
		}
	})
}

// flat undoes the difference in how white space in attributes is normalised.
func flat(s string) string { return strings.Join(strings.Fields(s), " ") }

func walk(n *node, src string, out *[]string, t *testing.T) {
	space := n.space
	line := space + " " + n.local
	for _, a := range n.attrs {
		line += " " + a.local + "=" + a.value
	}
	*out = append(*out, line)
	if element := src[n.start:n.end]; !strings.HasPrefix(element, "<"+n.name) || !strings.HasSuffix(element, ">") {
		t.Fatalf("the offsets of <%s> give %q", n.name, element)
	}
	for _, k := range n.kids {
		walk(k, src, out, t)
	}
}

// TestTheScannerAgreesWithTheStandardLibraryOnRealFiles runs the same comparison
// as FuzzXML over every XML part of the corpus.
func TestTheScannerAgreesWithTheStandardLibraryOnRealFiles(t *testing.T) {
	for name, data := range allCorpusFiles(t) {
		p, _ := Open(data)
		for _, part := range p.Names() {
			content, err := p.Read(part)
			if err != nil || !strings.HasSuffix(part, ".xml") {
				continue
			}
			content = bytes.TrimPrefix(content, []byte("\ufeff"))
			root, xerr := parseAlone(content)
			if xerr != nil {
				continue
			}
			var ours, theirs []string
			walk(root, string(content), &ours, t)
			d := xml.NewDecoder(bytes.NewReader(content))
			for {
				tok, err := d.Token()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("%s %s: %v", name, part, err)
				}
				if e, ok := tok.(xml.StartElement); ok {
					theirs = append(theirs, e.Name.Local)
				}
			}
			if len(ours) != len(theirs) {
				t.Errorf("%s %s: %d elements, the standard library has %d", name, part, len(ours), len(theirs))
			}
		}
	}
}
