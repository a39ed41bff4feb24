package catalog

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxSegments bounds the depth of the route tree.
const maxSegments = 32

// Upstream is a provider's server.
type Upstream struct {
	URL     *url.URL // its path may hold {name}s
	Timeout time.Duration

	path []string // segments of URL.Path; "{name}" stands for a bound one
}

// Match is a request that means an interface. Method, Bound and the interface
// are what is needed to call the upstream.
type Match struct {
	Interface *Interface
	Method    string
	Bound     []Binding // the template's segments in order, as sent
}

// Binding is one segment that a {name} of the route took, as sent.
type Binding struct{ Name, Value string }

// UpstreamPath is the path to ask of the upstream: its own, with the bound
// segments in their {name}s, or behind it when it has none.
func (m Match) UpstreamPath() string {
	u := m.Interface.Upstream
	var b strings.Builder
	placed := false
	for _, seg := range u.path {
		b.WriteByte('/')
		if name, ok := placeholder(seg); ok {
			placed = true
			for _, v := range m.Bound {
				if v.Name == name {
					seg = v.Value
				}
			}
		}
		b.WriteString(seg)
	}
	if placed {
		return b.String()
	}
	path := b.String()
	for _, v := range m.Bound {
		path = strings.TrimSuffix(path, "/") + "/" + v.Value
	}
	return path
}

// routeTree finds routes by path segment. Of any request at most one route can
// be meant: insert refuses a second one that could match the same request, so
// there is no precedence to know.
type routeTree struct{ root routeNode }

type routeNode struct {
	literal map[string]*routeNode
	param   *routeNode
	ends    []routeEnd
}

type routeEnd struct {
	host    string // empty: any
	methods []string
	names   []string // of the template's segments
	iface   *Interface
}

func (e *routeEnd) accepts(host, bare, method string) bool {
	return (e.host == "" || e.host == host || e.host == bare) && slices.Contains(e.methods, method)
}

// Match finds the interface that a request means. host is the Host of the
// request in lower case, path the raw path as sent: nothing is decoded, so an
// escaped spelling of a route is another route. An interface that is not
// offered is not found.
func (s *Snapshot) Match(host, method, path string) (Match, bool) {
	if !strings.HasPrefix(path, "/") || strings.Count(path, "/") > maxSegments {
		return Match{}, false
	}
	bare := host
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		bare = host[:i]
	}
	var values [maxSegments]string
	end, n := s.routes.root.find(path[1:], host, bare, method, &values, 0)
	if end == nil || !end.iface.Offered() {
		return Match{}, false
	}
	m := Match{Interface: end.iface, Method: method}
	if n > 0 {
		m.Bound = make([]Binding, n)
		for i := range n {
			m.Bound[i] = Binding{end.names[i], values[i]}
		}
	}
	return m, true
}

func (n *routeNode) find(rest, host, bare, method string, values *[maxSegments]string, bound int) (*routeEnd, int) {
	seg, tail, more := strings.Cut(rest, "/")
	try := func(child *routeNode, bound int) (*routeEnd, int) {
		if child == nil {
			return nil, 0
		}
		if more {
			return child.find(tail, host, bare, method, values, bound)
		}
		for i := range child.ends {
			if child.ends[i].accepts(host, bare, method) {
				return &child.ends[i], bound
			}
		}
		return nil, 0
	}
	if end, k := try(n.literal[seg], bound); end != nil {
		return end, k
	}
	if seg == "" || seg == "." || seg == ".." || bound == maxSegments {
		return nil, 0
	}
	values[bound] = seg
	return try(n.param, bound+1)
}

// insert adds a route, or returns the interface whose route could match the
// same request.
func (t *routeTree) insert(segments []string, e routeEnd) *Interface {
	if rival := t.root.rival(segments, e); rival != nil {
		return rival
	}
	n := &t.root
	for _, seg := range segments {
		if _, ok := placeholder(seg); ok {
			if n.param == nil {
				n.param = &routeNode{}
			}
			n = n.param
			continue
		}
		if n.literal == nil {
			n.literal = map[string]*routeNode{}
		}
		if n.literal[seg] == nil {
			n.literal[seg] = &routeNode{}
		}
		n = n.literal[seg]
	}
	n.ends = append(n.ends, e)
	return nil
}

func (n *routeNode) rival(segments []string, e routeEnd) *Interface {
	if len(segments) == 0 {
		for _, o := range n.ends {
			if hostsOverlap(o.host, e.host) && slices.ContainsFunc(o.methods, func(m string) bool { return slices.Contains(e.methods, m) }) {
				return o.iface
			}
		}
		return nil
	}
	if n.param != nil && segments[0] != "" {
		if r := n.param.rival(segments[1:], e); r != nil {
			return r
		}
	}
	if _, ok := placeholder(segments[0]); !ok {
		if c := n.literal[segments[0]]; c != nil {
			return c.rival(segments[1:], e)
		}
		return nil
	}
	for seg, c := range n.literal {
		if seg == "" {
			continue
		}
		if r := c.rival(segments[1:], e); r != nil {
			return r
		}
	}
	return nil
}

func hostsOverlap(a, b string) bool {
	bare := func(h string) string {
		if i := strings.LastIndexByte(h, ':'); i > strings.LastIndexByte(h, ']') {
			return h[:i]
		}
		return h
	}
	return a == "" || b == "" || a == b || a == bare(b) || b == bare(a)
}

func placeholder(seg string) (string, bool) {
	if len(seg) > 2 && seg[0] == '{' && seg[len(seg)-1] == '}' {
		return seg[1 : len(seg)-1], true
	}
	return "", false
}

// parsePath splits a route's or an upstream's path and checks every segment.
func parsePath(path string) (segments, names []string, err error) {
	if !strings.HasPrefix(path, "/") || len(path) > 1024 {
		return nil, nil, fmt.Errorf("want a path that begins with / and has at most 1024 bytes")
	}
	segments = strings.Split(path[1:], "/")
	if len(segments) > maxSegments {
		return nil, nil, fmt.Errorf("more than %d segments", maxSegments)
	}
	for i, seg := range segments {
		name, isName := placeholder(seg)
		switch {
		case isName && !checkName(name):
			return nil, nil, fmt.Errorf("{%s}: want a name of letters, digits and '_'", name)
		case isName && slices.Contains(names, name):
			return nil, nil, fmt.Errorf("{%s} stands twice", name)
		case isName:
			names = append(names, name)
		case seg == "" && i < len(segments)-1:
			return nil, nil, fmt.Errorf("has an empty segment (//)")
		case seg == "." || seg == "..":
			return nil, nil, fmt.Errorf("has a dot segment")
		case strings.ContainsFunc(seg, func(r rune) bool { return !pathRune(r) }):
			return nil, nil, fmt.Errorf("segment %d has a character that is not plain in a path; {name} must be a whole segment", i+1)
		}
	}
	return segments, names, nil
}

func checkName(s string) bool {
	for i := range len(s) {
		if c := s[i]; !alphanumeric(c) && c != '_' {
			return false
		}
	}
	return len(s) <= 32
}

// pathRune: the plain characters of RFC 3986 pchar, without ';' (which servers
// read differently) and without escapes (which would make two spellings of one
// route).
func pathRune(r rune) bool {
	return r < 0x80 && (alphanumeric(byte(r)) || strings.ContainsRune("-._~!$&'()*+,=:@", r))
}
