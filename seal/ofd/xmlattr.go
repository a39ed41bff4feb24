package ofd

import (
	"slices"
	"strings"
)

func (s *xmlScanner) attribute() *xmlError {
	if len(s.attrs) >= MaxXMLAttrs {
		return s.fail("an element has more than %d attributes", MaxXMLAttrs)
	}
	name := s.scanName()
	prefix, local, ok := splitName(name)
	s.skipSpace()
	if !ok || s.pos+1 >= len(s.src) || s.src[s.pos] != '=' {
		return s.fail("an attribute is malformed")
	}
	s.pos++
	s.skipSpace()
	if s.pos >= len(s.src) || (s.src[s.pos] != '"' && s.src[s.pos] != '\'') {
		return s.fail("an attribute has no quotes")
	}
	value, _, ok := strings.Cut(s.src[s.pos+1:], s.src[s.pos:s.pos+1])
	if !ok || len(value) > maxAttrValue || strings.IndexByte(value, '<') >= 0 {
		return s.fail("an attribute does not end, is too long, or contains <")
	}
	if err := s.checkReferences(value); err != nil {
		return err
	}
	s.pos += len(value) + 2
	s.attrs = append(s.attrs, attr{prefix: prefix, local: local, value: value})
	return nil
}

// checkAttributes enforces Namespaces in XML 1.0: declarations are sane and used
// prefixes are bound. No attribute occurs twice, not even in two namespaces: OFD
// readers go by local names and take the first or the last.
func (s *xmlScanner) checkAttributes(prefix string) *xmlError {
	depth := len(s.stack)
	for _, a := range s.attrs {
		switch {
		case a.prefix == "xmlns":
			uri := unescape(a.value, true)
			if uri == "" || a.local == "xmlns" || (a.local == "xml") != (uri == xmlNamespace) {
				return s.fail("a namespace declaration is malformed")
			}
			s.ns = append(s.ns, binding{prefix: a.local, uri: uri, depth: depth})
		case a.prefix == "" && a.local == "xmlns":
			s.ns = append(s.ns, binding{uri: unescape(a.value, true), depth: depth})
		}
	}
	if _, ok := s.lookup(prefix); !ok {
		return s.fail("the prefix %q is not declared", clip(prefix))
	}
	if len(s.attrs) < 2 {
		if len(s.attrs) == 1 && !s.bound(s.attrs[0].prefix) {
			return s.fail("the prefix %q is not declared", clip(s.attrs[0].prefix))
		}
		return nil
	}
	var seen map[string]bool
	if len(s.attrs) > 12 {
		seen = make(map[string]bool, len(s.attrs))
	}
	for i, a := range s.attrs {
		if !s.bound(a.prefix) {
			return s.fail("the prefix %q is not declared", clip(a.prefix))
		}
		twice := false
		if seen != nil {
			key := a.local
			if a.prefix == "xmlns" {
				key = "xmlns:" + key
			}
			twice = seen[key]
			seen[key] = true
		} else {
			twice = slices.ContainsFunc(s.attrs[:i], func(b attr) bool {
				return b.local == a.local && (b.prefix == "xmlns") == (a.prefix == "xmlns")
			})
		}
		if twice {
			return s.fail("the attribute %q occurs twice", clip(a.local))
		}
	}
	return nil
}

func (s *xmlScanner) bound(prefix string) bool {
	if prefix == "" || prefix == "xmlns" {
		return true
	}
	_, ok := s.lookup(prefix)
	return ok
}

// lookup returns the namespace of an element prefix; the empty prefix is
// always bound, to the default namespace or to none.
func (s *xmlScanner) lookup(prefix string) (string, bool) {
	for i := len(s.ns) - 1; i >= 0; i-- {
		if s.ns[i].prefix == prefix {
			return s.ns[i].uri, true
		}
	}
	if prefix == "xml" {
		return xmlNamespace, true
	}
	return "", prefix == ""
}
