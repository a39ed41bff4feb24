package ofd

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// xmlError says where and why XML was refused. code is E_XML_FORMAT or E_XML_DTD.
type xmlError struct {
	code   Code
	offset int
	msg    string
}

func (e *xmlError) Error() string { return fmt.Sprintf("byte %d: %s", e.offset, e.msg) }

// xmlScanner reads XML 1.0 with namespaces, strictly: UTF-8 without DOCTYPE,
// entities other than the five predefined, or processing instructions. What it
// accepts, encoding/xml accepts with the same elements (a fuzz test holds it to
// that), but it is several times faster, keeps byte offsets for editing in
// place, and refuses what encoding/xml lets pass: duplicate attributes,
// unbound prefixes, several roots, text outside the root, depth without end.
type xmlScanner struct {
	src   string
	pos   int
	stack []string  // raw names of the open elements
	ns    []binding // namespace declarations in force
	attrs []attr    // of the current start tag; reused
	own   bool      // what is kept is copied, so that src can go

	// The current token.
	kind  tokenKind
	name  string // raw element name
	start int    // offset of the token's first byte
	empty bool   // a start tag of the form <x/>: the end tag follows by itself
	text  string // raw text between tags, or literal content of a CDATA section
	cdata bool
}

type tokenKind uint8

const (
	tokenStart tokenKind = iota + 1
	tokenEnd
	tokenText
	tokenEOF
)

// attr is one attribute of a start tag; value is raw until unescape.
type attr struct {
	prefix, local string
	value         string
}

type binding struct {
	prefix, uri string
	depth       int
}

const xmlNamespace = "http://www.w3.org/XML/1998/namespace"

func newXMLScanner(data []byte) (*xmlScanner, *xmlError) {
	s := &xmlScanner{stack: make([]string, 0, 16), attrs: make([]attr, 0, 16)}
	if len(data) > MaxXMLSize {
		return nil, s.fail("the XML has %d bytes, at most %d are read", len(data), MaxXMLSize)
	}
	s.src = string(data)
	if err := s.checkCharacters(); err != nil {
		return nil, err
	}
	if strings.HasPrefix(s.src, "\ufeff") { // skipped, not cut off: offsets count from the file's first byte
		s.pos = len("\ufeff")
	}
	if strings.HasPrefix(s.src[s.pos:], "<?xml") {
		if err := s.declaration(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *xmlScanner) fail(format string, args ...any) *xmlError {
	return &xmlError{code: CodeXMLFormat, offset: s.pos, msg: fmt.Sprintf(format, args...)}
}

// checkCharacters checks the encoding and the characters of XML 1.0 section 2.2.
func (s *xmlScanner) checkCharacters() *xmlError {
	if !utf8.ValidString(s.src) {
		return s.fail("the XML is not UTF-8")
	}
	for i := 0; i < len(s.src); i++ {
		switch c := s.src[i]; {
		case c < 0x20 && c != '\t' && c != '\n' && c != '\r':
			s.pos = i
			return s.fail("the XML contains a control character")
		case c == 0xef && (s.src[i:i+3] == "\ufffe" || s.src[i:i+3] == "\uffff"):
			s.pos = i
			return s.fail("the XML contains a noncharacter")
		}
	}
	return nil
}

// declaration reads `<?xml version encoding? standalone? ?>`.
func (s *xmlScanner) declaration() *xmlError {
	end := strings.Index(s.src[s.pos:], "?>")
	if end < 0 {
		return s.fail("the XML declaration does not end")
	}
	body := s.src[s.pos+len("<?xml") : s.pos+end]
	want := []string{"version", "encoding", "standalone"}
	for {
		rest := strings.TrimLeft(body, " \t\r\n")
		if rest == "" {
			break
		}
		name, after, ok := strings.Cut(rest, "=")
		after = strings.TrimLeft(after, " \t\r\n")
		if !ok || len(rest) == len(body) || len(after) < 2 || (after[0] != '"' && after[0] != '\'') {
			return s.fail("the XML declaration is malformed")
		}
		value, tail, ok := strings.Cut(after[1:], after[:1])
		name = strings.TrimRight(name, " \t\r\n")
		for len(want) > 0 && want[0] != name && len(want) < 3 { // version is not optional, encoding is
			want = want[1:]
		}
		if !ok || len(want) == 0 || want[0] != name {
			return s.fail("the XML declaration is malformed")
		}
		want = want[1:]
		switch {
		case name == "version" && value != "1.0":
			return s.fail("the XML version is not 1.0")
		case name == "encoding" && !strings.EqualFold(value, "UTF-8"):
			return s.fail("the XML is declared to be %q, not UTF-8", clip(value))
		case name == "standalone" && value != "yes" && value != "no":
			return s.fail("the XML declaration is malformed")
		}
		body = tail
	}
	if len(want) == 3 {
		return s.fail("the XML declaration names no version")
	}
	s.pos += end + 2
	return nil
}

// next reads one token. After tokenEOF it must not be called again.
func (s *xmlScanner) next() *xmlError {
	if s.empty { // the end of <x/>
		s.empty, s.kind = false, tokenEnd
		s.pop()
		return nil
	}
	for {
		s.start = s.pos
		rest := s.src[s.pos:]
		switch {
		case rest == "":
			if len(s.stack) != 0 {
				return s.fail("the XML ends inside <%s>", clip(s.stack[len(s.stack)-1]))
			}
			if s.kind == 0 {
				return s.fail("the XML has no root element")
			}
			s.kind = tokenEOF
			return nil
		case rest[0] != '<' && len(s.stack) == 0:
			end := len(rest) - len(strings.TrimLeft(rest, " \t\r\n"))
			if end < len(rest) && rest[end] != '<' {
				return s.fail("text stands outside the root element")
			}
			s.pos += end
		case rest[0] != '<':
			return s.characters(rest)
		case strings.HasPrefix(rest, "</"):
			return s.endTag()
		case strings.HasPrefix(rest, "<!--"):
			if err := s.comment(rest); err != nil {
				return err
			}
		case strings.HasPrefix(rest, "<![CDATA["):
			end := strings.Index(rest, "]]>")
			if end < 0 || len(s.stack) == 0 {
				return s.fail("a CDATA section does not end, or stands outside the root")
			}
			s.kind, s.text, s.cdata = tokenText, rest[len("<![CDATA["):end], true
			s.pos += end + 3
			return nil
		case strings.HasPrefix(rest, "<!"):
			err := s.fail("the XML holds a declaration (DOCTYPE, ENTITY, …)")
			err.code = CodeXMLDTD
			return err
		case strings.HasPrefix(rest, "<?"):
			return s.fail("the XML holds a processing instruction")
		default:
			return s.startTag()
		}
	}
}

// characters reads text up to the next tag.
func (s *xmlScanner) characters(rest string) *xmlError {
	end := strings.IndexByte(rest, '<')
	if end < 0 {
		end = len(rest)
	}
	text := rest[:end]
	if strings.Contains(text, "]]>") {
		return s.fail("text contains ]]>")
	}
	if err := s.checkReferences(text); err != nil {
		return err
	}
	s.kind, s.text, s.cdata = tokenText, text, false
	s.pos += end
	return nil
}

func (s *xmlScanner) comment(rest string) *xmlError {
	end := strings.Index(rest[4:], "--")
	if end < 0 || !strings.HasPrefix(rest[4+end:], "-->") {
		return s.fail("a comment does not end or contains --")
	}
	s.pos += 4 + end + 3
	return nil
}

func (s *xmlScanner) endTag() *xmlError {
	s.pos += 2
	name := s.scanName()
	s.skipSpace()
	if s.pos >= len(s.src) || s.src[s.pos] != '>' {
		return s.fail("an end tag is malformed")
	}
	if len(s.stack) == 0 || s.stack[len(s.stack)-1] != name {
		return s.fail("</%s> closes nothing that is open", clip(name))
	}
	s.pos++
	s.kind, s.name = tokenEnd, name
	s.pop()
	return nil
}

func (s *xmlScanner) pop() {
	depth := len(s.stack)
	s.stack = s.stack[:depth-1]
	for len(s.ns) > 0 && s.ns[len(s.ns)-1].depth == depth {
		s.ns = s.ns[:len(s.ns)-1]
	}
}

func (s *xmlScanner) startTag() *xmlError {
	s.pos++
	name := s.scanName()
	prefix, _, ok := splitName(name)
	if !ok || prefix == "xmlns" {
		return s.fail("an element name is malformed")
	}
	if len(s.stack) == 0 && s.kind != 0 {
		return s.fail("the XML has more than one root element")
	}
	if len(s.stack) >= MaxXMLDepth {
		return s.fail("elements are nested deeper than %d", MaxXMLDepth)
	}
	s.stack = append(s.stack, name)
	s.kind, s.name, s.empty = tokenStart, name, false
	s.attrs = s.attrs[:0]
	for {
		spaced := s.skipSpace()
		if s.pos >= len(s.src) {
			return s.fail("a start tag does not end")
		}
		switch c := s.src[s.pos]; {
		case c == '>':
			s.pos++
			return s.checkAttributes(prefix)
		case c == '/' && strings.HasPrefix(s.src[s.pos:], "/>"):
			s.pos += 2
			s.empty = true
			return s.checkAttributes(prefix)
		case !spaced:
			return s.fail("a start tag is malformed")
		}
		if err := s.attribute(); err != nil {
			return err
		}
	}
}

func (s *xmlScanner) skipSpace() bool {
	from := s.pos
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\r', '\n':
			s.pos++
			continue
		}
		break
	}
	return s.pos > from
}

// scanName reads a name: letters, digits, `_`, `-`, `.`, `:`; it may be empty.
func (s *xmlScanner) scanName() string {
	from := s.pos
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s.src[s.pos:])
			if !unicode.IsLetter(r) && (s.pos == from || !unicode.In(r, unicode.Digit, unicode.Mn, unicode.Mc) && r != '·') {
				return s.src[from:s.pos]
			}
			s.pos += n
			continue
		}
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || c == ':'
		if !letter && (s.pos == from || (c < '0' || c > '9') && c != '-' && c != '.') {
			break
		}
		s.pos++
	}
	return s.src[from:s.pos]
}

// splitName splits a qualified name at its one colon.
func splitName(name string) (prefix, local string, ok bool) {
	i := strings.IndexByte(name, ':')
	if i < 0 {
		return "", name, name != ""
	}
	prefix, local = name[:i], name[i+1:]
	return prefix, local, prefix != "" && local != "" && nameStart(local) && strings.IndexByte(local, ':') < 0
}

func nameStart(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return r == '_' || unicode.IsLetter(r)
}

// clip keeps hostile names out of error texts.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
