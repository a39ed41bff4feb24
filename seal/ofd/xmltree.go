package ofd

import "strings"

// Namespace is the namespace of OFD elements (GB/T 33190-2016). Producers also
// write others or none, so elements are matched by local name; see allowed.
const Namespace = "http://www.ofdspec.org/2016"

// node is one element of an XML part that is read as a tree.
type node struct {
	name  string // as written, with its prefix
	local string
	space string // namespace URI
	attrs []attr // values unescaped, namespace declarations left out
	kids  []*node
	text  string // the first run of character data, references replaced
	split bool   // there is a second run

	start, end           int // the element's bytes
	innerStart, innerEnd int // its content's bytes; both 0 for <x/>
}

// What a tree costs in memory: elements and attributes by their structures,
// whatever they hold by its length.
const (
	nodeCost = 176
	attrCost = 48
)

// ownFrom is the size from which a tree copies the strings that it keeps. Below
// it they share the file's text, which lives as long as one of them.
const ownFrom = 16 << 10

// parseXML reads data as a tree. The content of elements named prune below
// the root's children is checked like everything else but not kept. What the
// tree costs is taken from left; hostile packages have small files that are
// large trees.
func parseXML(data []byte, prune string, left *int) (*node, *xmlError) {
	s, err := newXMLScanner(data)
	if err != nil {
		return nil, err
	}
	s.own = len(data) >= ownFrom
	if !s.own {
		*left -= len(data)
	}
	var (
		root  *node
		stack []*node
		slab  []node
		count int
		skip  int // depth of the pruned element, 0 when none
	)
	for {
		if err := s.next(); err != nil {
			return nil, err
		}
		switch s.kind {
		case tokenStart:
			if skip > 0 {
				continue
			}
			if count++; count > maxXMLNodes {
				return nil, s.fail("the XML has more than %d elements", maxXMLNodes)
			}
			if len(slab) == 0 {
				slab = make([]node, min(16+count, 1024))
			}
			n := &slab[0]
			slab = slab[1:]
			if *left -= s.fill(n); *left < 0 {
				return nil, s.tooMuch()
			}
			if len(stack) == 0 {
				root = n
			} else {
				up := stack[len(stack)-1]
				up.kids = append(up.kids, n)
			}
			for _, a := range n.attrs {
				if a.prefix != "" && isOFDAttribute(a.local) {
					return nil, s.fail("the attribute %q stands in a namespace, where only some readers find it", a.local)
				}
			}
			stack = append(stack, n)
			if prune != "" && n.local == prune && len(stack) == 2 && !s.empty {
				skip = len(s.stack)
			}
		case tokenEnd:
			if skip > 0 && len(s.stack) >= skip {
				continue
			}
			skip = 0
			n := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			n.end = s.pos
			if n.innerStart != 0 {
				n.innerEnd = s.start
			}
		case tokenText:
			if skip == 0 {
				if *left -= stack[len(stack)-1].addText(s.text, s.cdata, s.own); *left < 0 {
					return nil, s.tooMuch()
				}
			}
		case tokenEOF:
			return root, nil
		}
	}
}

func (s *xmlScanner) tooMuch() *xmlError {
	return s.fail("the XML files of the package need more than %d bytes of memory", maxXMLKept)
}

// keep returns what the tree may hold of the file's text.
func (s *xmlScanner) keep(v string) string {
	if s.own {
		return strings.Clone(v)
	}
	return v
}

// fill copies the scanner's start tag into n and returns what it costs.
func (s *xmlScanner) fill(n *node) int {
	name := s.keep(s.name)
	prefix, local, _ := splitName(name)
	n.name, n.local, n.start = name, local, s.start
	n.space, _ = s.lookup(prefix)
	n.space = s.keep(n.space)
	cost := nodeCost + len(name) + len(n.space)
	if !s.empty {
		n.innerStart = s.pos
	}
	for _, a := range s.attrs {
		if a.prefix == "xmlns" || a.prefix == "" && a.local == "xmlns" {
			continue
		}
		if n.attrs == nil {
			n.attrs = make([]attr, 0, len(s.attrs))
			cost += attrCost * len(s.attrs)
		}
		n.attrs = append(n.attrs, attr{prefix: s.keep(a.prefix), local: s.keep(a.local), value: s.keep(unescape(a.value, true))})
		cost += len(a.prefix) + len(a.local) + len(a.value)
	}
	return cost
}

// addText keeps the first run of character data that is not blank, and returns
// what it costs. Comments, CDATA sections and elements end a run; a second run
// makes the text split, because readers disagree on what the value is then.
func (n *node) addText(raw string, cdata, own bool) int {
	if strings.Trim(raw, " \t\r\n") == "" {
		return 0
	}
	if n.text != "" {
		n.split = true
		return 0
	}
	cost := len(raw)
	if !cdata {
		raw = unescape(raw, false)
	}
	if own {
		raw = strings.Clone(raw)
	}
	n.text = raw
	return cost
}

// attr returns the value of an attribute without prefix, or "".
func (n *node) attr(local string) string {
	v, _ := n.lookupAttr(local)
	return v
}

func (n *node) lookupAttr(local string) (string, bool) {
	for _, a := range n.attrs {
		if a.prefix == "" && a.local == local {
			return a.value, true
		}
	}
	return "", false
}

// all returns the children with this local name.
func (n *node) all(local string) []*node {
	var out []*node
	for _, k := range n.kids {
		if k.local == local {
			out = append(out, k)
		}
	}
	return out
}

// first returns the first child with this local name, or nil.
func (n *node) first(local string) *node {
	for _, k := range n.kids {
		if k.local == local {
			return k
		}
	}
	return nil
}

// prefixed spells local with the prefix of n, for elements written beside it.
func (n *node) prefixed(local string) string {
	return n.name[:len(n.name)-len(n.local)] + local
}

// value returns the trimmed text of a leaf.
func (n *node) value() string { return strings.Trim(n.text, " \t\r\n") }

// isOFDAttribute knows the attributes that decide what a package consists of and
// what a signature says. OFD writes them without prefix.
func isOFDAttribute(local string) bool {
	switch local {
	case "ID", "BaseLoc", "Type", "Relative", "FileRef", "CheckMethod", "PageRef", "PageID", "Boundary", "Clip", "Profile", "TypeID", "RefId":
		return true
	}
	return false
}

// allowed reports whether an element in this namespace, inside a file whose
// root has the namespace rootSpace, is an OFD element to strict and to lenient
// readers alike.
func allowed(space, rootSpace string) bool {
	return space == Namespace || space == "" || space == rootSpace
}
