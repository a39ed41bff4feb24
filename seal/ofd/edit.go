package ofd

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
)

const xmlHeader = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// listEntry is one new line of Signatures.xml.
type listEntry struct {
	id  string
	loc string // of Signature.xml, from the package root
	max int    // the new MaxSignId
}

func (e listEntry) element(prefix string) string {
	return fmt.Sprintf(`<%sSignature ID="%s" Type="Seal" BaseLoc="%s"/>`, prefix, escape(e.id), escape(e.loc))
}

// newList writes the first Signatures.xml of a document.
func newList(e listEntry) []byte {
	return fmt.Appendf(nil, `%s<ofd:Signatures xmlns:ofd="%s"><ofd:MaxSignId>%d</ofd:MaxSignId>%s</ofd:Signatures>`,
		xmlHeader, Namespace, e.max, e.element("ofd:"))
}

// insertion replaces the bytes [from, to) of a file by text.
type insertion struct {
	from, to int
	text     string
}

// edit applies insertions to content; everything else stays byte for byte.
func edit(content []byte, ins ...insertion) []byte {
	slices.SortFunc(ins, func(a, b insertion) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	out := make([]byte, 0, len(content)+256)
	at := 0
	for _, i := range ins {
		out = append(out, content[at:i.from]...)
		out = append(out, i.text...)
		at = i.to
	}
	return append(out, content[at:]...)
}

// insertListLocation adds <Signatures> to a DocBody of OFD.xml, behind Versions
// or else DocRoot, as the schema orders them, spelled with the body's prefix.
func (p *Package) insertListLocation(b *DocBody, loc string) []byte {
	content, err := p.Read(RootFile)
	after := b.node.first("Versions")
	if after == nil {
		after = b.node.first("DocRoot")
	}
	if err != nil || after == nil {
		return nil
	}
	tag := b.node.prefixed("Signatures")
	return edit(content, insertion{after.end, after.end, "<" + tag + ">" + escape(loc) + "</" + tag + ">"})
}

// insertSignature adds a signature to a list behind the last one and raises
// every MaxSignId (old software wrote several).
func (p *Package) insertSignature(list string, e listEntry) []byte {
	content, err := p.Read(list)
	root := p.parse(list, "")
	if err != nil || root == nil {
		return nil
	}
	prefix := root.prefixed("")
	max := fmt.Sprintf("<%sMaxSignId>%d</%[1]sMaxSignId>", prefix, e.max)
	if root.innerStart == 0 { // <Signatures/>
		open := content[root.start : root.end-len("/>")]
		return edit(content, insertion{root.start, root.end,
			string(open) + ">" + max + e.element(prefix) + "</" + root.name + ">"})
	}
	var ins []insertion
	at, text := root.innerStart, e.element(prefix)
	counters := root.all("MaxSignId")
	for _, m := range counters {
		ins = append(ins, insertion{m.start, m.end, max})
		at = m.end
	}
	if len(counters) == 0 {
		text = max + text
	}
	if signatures := root.all("Signature"); len(signatures) > 0 {
		at = signatures[len(signatures)-1].end
	}
	return edit(content, append(ins, insertion{at, at, text})...)
}

func base64Text(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

func sortNames(names []string) { slices.Sort(names) }
