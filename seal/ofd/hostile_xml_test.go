package ofd

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"
)

// TestHostileXMLIsRefusedWithItsCode puts each text in the place of a page's
// XML, which is only checked, and expects the code.
func TestHostileXMLIsRefusedWithItsCode(t *testing.T) {
	format, dtd := []Code{CodeXMLFormat}, []Code{CodeXMLDTD}
	nest := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	attrs := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, ` a%d=""`, i)
		}
		return "<a" + b.String() + "/>"
	}
	wide := func(s string, order binary.AppendByteOrder, bom bool) string {
		units := utf16.Encode([]rune(s))
		if bom {
			units = append([]uint16{0xfeff}, units...)
		}
		var b []byte
		for _, u := range units {
			b = order.AppendUint16(b, u)
		}
		return string(b)
	}
	lol := `<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;&lol;">]><a>&lol2;</a>`
	for _, c := range []struct {
		name string
		xml  string
		want []Code
	}{
		{"page", pageXML, nil},
		{"byte order mark", "\ufeff" + pageXML, nil},
		{"declaration", `<?xml version="1.0" encoding="utf-8" standalone='yes' ?>` + pageXML, nil},
		{"comments around the root", "<!-- a -->" + pageXML + "<!-- b -->\n", nil},
		{"CDATA", `<a><![CDATA[<!DOCTYPE x> & ]]></a>`, nil},
		{"predefined entities", `<a b="&lt;&gt;&amp;&quot;&apos;">&#65;&#x4e2d;</a>`, nil},
		{"depth 256", nest(MaxXMLDepth), nil},
		{"depth 257", nest(MaxXMLDepth + 1), format},
		{"256 attributes", attrs(MaxXMLAttrs), nil},
		{"257 attributes", attrs(MaxXMLAttrs + 1), format},
		{"depth 100,000", nest(100_000), format},
		{"empty", "", format},
		{"only space", " \n", format},
		{"only a comment", "<!-- -->", format},
		{"text only", "hello", format},
		{"DOCTYPE", `<!DOCTYPE a><a/>`, dtd},
		{"DOCTYPE in lower case", `<!doctype a><a/>`, dtd},
		{"billion laughs", lol, dtd},
		{"quadratic blow-up", `<!DOCTYPE a [<!ENTITY x "` + strings.Repeat("A", 1<<16) + `">]><a>` + strings.Repeat("&x;", 1<<12) + `</a>`, dtd},
		{"external entity, file", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>`, dtd},
		{"external entity, network", `<!DOCTYPE a [<!ENTITY x SYSTEM "http://127.0.0.1:1/x">]><a>&x;</a>`, dtd},
		{"parameter entity", `<!DOCTYPE a [<!ENTITY % x SYSTEM "http://127.0.0.1:1/x"> %x;]><a/>`, dtd},
		{"external subset", `<!DOCTYPE a PUBLIC "x" "http://127.0.0.1:1/x.dtd"><a/>`, dtd},
		{"DOCTYPE behind the root", `<a/><!DOCTYPE a>`, dtd},
		{"declaration inside", `<a><!ENTITY x "y"></a>`, dtd},
		{"undefined entity", `<a>&nbsp;</a>`, format},
		{"undefined entity in an attribute", `<a b="&x;"/>`, format},
		{"bare ampersand", `<a>a & b</a>`, format},
		{"character reference to NUL", `<a>&#0;</a>`, format},
		{"character reference to a surrogate", `<a>&#xd800;</a>`, format},
		{"character reference beyond Unicode", `<a>&#x110000;</a>`, format},
		{"character reference that overflows", `<a>&#99999999999999999999;</a>`, format},
		{"XInclude stays unread", `<a xmlns:xi="http://www.w3.org/2001/XInclude"><xi:include href="http://127.0.0.1:1/x"/></a>`, nil},
		{"style sheet instruction", `<?xml-stylesheet href="http://127.0.0.1:1/x"?><a/>`, format},
		{"processing instruction", `<a><?php x?></a>`, format},
		{"second declaration", `<?xml version="1.0"?><?xml version="1.0"?><a/>`, format},
		{"late declaration", ` <?xml version="1.0"?><a/>`, format},
		{"version 1.1", `<?xml version="1.1"?><a/>`, format},
		{"no version", `<?xml encoding="UTF-8"?><a/>`, format},
		{"declared UTF-16, is UTF-8", `<?xml version="1.0" encoding="UTF-16"?><a/>`, format},
		{"declared GBK", `<?xml version="1.0" encoding="GBK"?><a/>`, format},
		{"declared UTF-7", `<?xml version="1.0" encoding="UTF-7"?>+ADw-a/+AD4-`, format},
		{"declared twice", `<?xml version="1.0" encoding="UTF-8" encoding="GBK"?><a/>`, format},
		{"UTF-16 little-endian", wide(`<a/>`, binary.LittleEndian, true), format},
		{"UTF-16 big-endian", wide(`<a/>`, binary.BigEndian, true), format},
		{"UTF-16 without mark", wide(`<a/>`, binary.LittleEndian, false), format},
		{"UTF-32", "\x00\x00\xfe\xff\x00\x00\x00<\x00\x00\x00a\x00\x00\x00/\x00\x00\x00>", format},
		{"not UTF-8", "<a>\xff</a>", format},
		{"overlong UTF-8", "<a>\xc0\xbc</a>", format},
		{"surrogate in UTF-8", "<a>\xed\xa0\x80</a>", format},
		{"NUL", "<a>\x00</a>", format},
		{"escape character", "<a>\x1b</a>", format},
		{"noncharacter", "<a>\uffff</a>", format},
		{"duplicate attribute", `<a b="1" b="2"/>`, format},
		{"duplicate attribute among many", `<a` + strings.Repeat(" ", 9) + `a="" b="" c="" d="" e="" f="" g="" h="" i="" j="" k="" l="" m="" a=""/>`, format},
		{"duplicate attribute by namespace", `<a xmlns:p="u" xmlns:q="u" p:b="1" q:b="2"/>`, format},
		{"duplicate namespace declaration", `<a xmlns:p="u" xmlns:p="v"/>`, format},
		{"same local name in two namespaces", `<a xmlns:p="u" xmlns:q="v" p:b="1" q:b="2"/>`, format},
		{"attribute with and without prefix", `<a xmlns:p="u" p:b="1" b="3"/>`, format},
		{"attribute with and without prefix among many", `<a xmlns:p="u" ` + strings.Repeat(" ", 9) + `a="" b="" c="" d="" e="" f="" g="" h="" i="" j="" k="" l="" m="" p:a=""/>`, format},
		{"attribute of the name of a prefix", `<a xmlns:p="u" p="1"/>`, nil},
		{"attribute of OFD in a namespace", `<a xmlns:p="u" p:BaseLoc="x"/>`, format},
		{"attribute of others in a namespace", `<a xmlns:p="u" p:schemaLocation="x"/>`, nil},
		{"undeclared prefix", `<p:a/>`, format},
		{"undeclared attribute prefix", `<a p:b="1"/>`, format},
		{"prefix out of scope", `<a><b xmlns:p="u"/><p:c/></a>`, format},
		{"empty prefix binding", `<a xmlns:p=""/>`, format},
		{"xmlns as a prefix", `<xmlns:a/>`, format},
		{"xml bound elsewhere", `<a xmlns:xml="u"/>`, format},
		{"two colons", `<a xmlns:p="u"><p:b:c/></a>`, format},
		{"two roots", `<a/><a/>`, format},
		{"text behind the root", `<a/>x`, format},
		{"CDATA behind the root", `<a/><![CDATA[x]]>`, format},
		{"crossed tags", `<a><b></a></b>`, format},
		{"open element", `<a>`, format},
		{"open tag", `<a b="1"`, format},
		{"closing tag first", `</a>`, format},
		{"attribute without quotes", `<a b=1/>`, format},
		{"attribute without value", `<a b/>`, format},
		{"attributes without space", `<a b="1"c="2"/>`, format},
		{"less-than in an attribute", `<a b="<"/>`, format},
		{"end of CDATA in text", `<a>]]></a>`, format},
		{"double hyphen in a comment", `<a><!-- a -- b --></a>`, format},
		{"comment without end", `<a><!-- </a>`, format},
		{"wrong name", `<1a/>`, format},
		{"space before a name", `< a/>`, format},
	} {
		files := minimal()
		files[2] = deflated("Doc_0/Pages/P.xml", c.xml)
		hostile{c.name, build(files...), c.want}.check(t)
	}
}

// TestAmbiguousStructureIsRefused covers XML that is well formed and that two
// readers understand differently.
func TestAmbiguousStructureIsRefused(t *testing.T) {
	root := func(inner string) string {
		return `<ofd:OFD xmlns:ofd="` + Namespace + `" xmlns:e="urn:evil" xmlns:d="urn:default">` + inner + `</ofd:OFD>`
	}
	const doc = `<ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot>`
	format := []Code{CodeXMLFormat}
	for _, c := range []struct {
		name, xml string
		want      []Code
	}{
		{"as it should be", root(`<ofd:DocBody>` + doc + `</ofd:DocBody>`), nil},
		{"no namespace at all", `<OFD><DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody></OFD>`, nil},
		{"another namespace throughout", `<OFD xmlns="http://www.ofdspec.org"><DocBody><DocRoot>Doc_0/Document.xml</DocRoot></DocBody></OFD>`, nil},
		{"CDATA as the whole value", root(`<ofd:DocBody><ofd:DocRoot><![CDATA[Doc_0/Document.xml]]></ofd:DocRoot></ofd:DocBody>`), nil},
		{"foreign DocBody", root(`<ofd:DocBody>` + doc + `</ofd:DocBody><e:DocBody/>`), format},
		{"foreign DocRoot beside", root(`<ofd:DocBody>` + doc + `<e:DocRoot>x</e:DocRoot></ofd:DocBody>`), format},
		{"two DocRoots", root(`<ofd:DocBody>` + doc + doc + `</ofd:DocBody>`), format},
		{"two lists of signatures", root(`<ofd:DocBody>` + doc + `<ofd:Signatures>OFD.xml</ofd:Signatures><ofd:Signatures>b</ofd:Signatures></ofd:DocBody>`), []Code{CodeSigFormat, CodeXMLFormat}},
		{"comment splits a path", root(`<ofd:DocBody><ofd:DocRoot>Doc_0/<!-- -->Document.xml</ofd:DocRoot></ofd:DocBody>`), format},
		{"CDATA splits a path", root(`<ofd:DocBody><ofd:DocRoot>Doc_0/<![CDATA[Document.xml]]></ofd:DocRoot></ofd:DocBody>`), format},
		{"element inside a path", root(`<ofd:DocBody><ofd:DocRoot>Doc_0/Document.xml<x/></ofd:DocRoot></ofd:DocBody>`), format},
		{"no DocBody", root(``), format},
		{"the same document twice", root(`<ofd:DocBody>` + doc + `</ofd:DocBody><ofd:DocBody>` + doc + `</ofd:DocBody>`), format},
		{"65 bodies", root(strings.Repeat(`<ofd:DocBody>`+doc+`</ofd:DocBody>`, 65)), format},
		{"document does not exist", root(`<ofd:DocBody><ofd:DocRoot>x</ofd:DocRoot></ofd:DocBody>`), format},
		{"document outside", root(`<ofd:DocBody><ofd:DocRoot>../../etc/passwd</ofd:DocRoot></ofd:DocBody>`), format},
		{"list does not exist", root(`<ofd:DocBody>` + doc + `<ofd:Signatures>x</ofd:Signatures></ofd:DocBody>`), []Code{CodeSigListMissing}},
		{"another root element", strings.ReplaceAll(root(`<ofd:DocBody>`+doc+`</ofd:DocBody>`), ":OFD", ":Ofd"), format},
	} {
		files := minimal()
		files[0].content = c.xml
		hostile{c.name, build(files...), c.want}.check(t)
	}
	for _, pages := range []string{
		`<ofd:Page ID="1" BaseLoc="Pages/P.xml"/><ofd:Page ID="1" BaseLoc="Pages/P.xml"/>`,
		`<ofd:Page ID="1" BaseLoc="Pages/P.xml"/><ofd:Page ID="01" BaseLoc="Pages/P.xml"/>`,
		`<ofd:Page BaseLoc="Pages/P.xml"/>`,
	} {
		files := minimal()
		files[1].content = strings.Replace(documentXML, `<ofd:Page ID="1" BaseLoc="Pages/P.xml"/>`, pages, 1)
		hostile{"page IDs " + pages, build(files...), format}.check(t)
	}
	files := append(minimal(), file("Doc_0/T.xml", `<T><F/></T>`), file("Doc_0/F.xml", `<!DOCTYPE x><x/>`))
	files[1].content = strings.Replace(documentXML, `</ofd:Document>`, `<ofd:CustomTags>T.xml</ofd:CustomTags></ofd:Document>`, 1)
	files[3].content = `<T><CustomTag><FileLoc>F.xml</FileLoc></CustomTag></T>`
	hostile{"DOCTYPE in a custom tag", build(files...), []Code{CodeXMLDTD}}.check(t)
}

// TestRepeatedNamingIsReadOnce keeps a small file that names the same parts over
// Where two fonts or templates have one ID, one reader shows the first and
// another the last, and a signature protects both.
func TestIDsOfPartsThatAreDrawnAreUniqueInADocument(t *testing.T) {
	res := func(ids ...string) string {
		x := `<ofd:Res xmlns:ofd="` + Namespace + `"><ofd:Fonts>`
		for _, id := range ids {
			x += `<ofd:Font ID="` + id + `"/>`
		}
		return x + `</ofd:Fonts></ofd:Res>`
	}
	for name, c := range map[string]struct {
		public, document, templates string
		want                        []Code
	}{
		"different":             {res("5", "6"), res("7"), `<ofd:TemplatePage ID="1" BaseLoc="Pages/P.xml"/><ofd:TemplatePage ID="2" BaseLoc="Pages/P.xml"/>`, nil},
		"fonts of one file":     {res("5", "5"), res(), "", []Code{CodeXMLFormat}},
		"fonts of two files":    {res("5"), res("6", "5"), "", []Code{CodeXMLFormat}},
		"the same number":       {res("5"), res("05"), "", []Code{CodeXMLFormat}},
		"templates of one name": {res(), res(), `<ofd:TemplatePage ID="1" BaseLoc="Pages/P.xml"/><ofd:TemplatePage ID="1" BaseLoc="OFD.xml"/>`, []Code{CodeXMLFormat}},
	} {
		files := append(minimal(), file("Doc_0/A.xml", c.public), file("Doc_0/B.xml", c.document))
		files[1].content = strings.Replace(documentXML, "</ofd:CommonData>", "<ofd:PublicRes>A.xml</ofd:PublicRes><ofd:DocumentRes>B.xml</ofd:DocumentRes>"+c.templates+"</ofd:CommonData>", 1)
		hostile{name, build(files...), c.want}.check(t)
	}
}

// and over from costing more than its size.
func TestRepeatedNamingIsReadOnce(t *testing.T) {
	var pages, res strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&pages, `<ofd:Page ID="%d" BaseLoc="Pages/P.xml"/>`, i)
		res.WriteString(`<ofd:PageRes>R.xml</ofd:PageRes>`)
	}
	files := append(minimal(), deflated("Doc_0/Pages/R.xml", `<R><F>`+strings.Repeat(`<MultiMedia><MediaFile>x</MediaFile></MultiMedia>`, 10_000)+`</F></R>`))
	files[1].content = strings.Replace(documentXML, `<ofd:Page ID="1" BaseLoc="Pages/P.xml"/>`, pages.String(), 1)
	files[2] = deflated("Doc_0/Pages/P.xml", strings.Replace(pageXML, `<ofd:Content>`, res.String()+`<ofd:Content>`, 1))
	hostile{"repeated naming", build(files...), nil}.check(t)
	p, _ := Open(build(files...))
	if n := len(p.Bodies[0].Document.Parts); n > 60_000 {
		t.Errorf("%d parts", n)
	}
}
