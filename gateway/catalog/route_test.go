package catalog

import (
	"strings"
	"testing"
)

func routed(t *testing.T, routes ...RouteEntry) (*Snapshot, error) {
	t.Helper()
	f := File{Departments: []Department{{ID: "ga", USCC: "11220000013544541J", Region: "220000", Level: "province"}}}
	for i, r := range routes {
		f.Interfaces = append(f.Interfaces, InterfaceEntry{ID: InterfaceID(string(rune('a' + i))), Provider: "ga", Base: "population", Share: Authorised, Route: r,
			Upstream: UpstreamEntry{URL: "http://127.0.0.1:9/up"}, Response: ResponseEntry{Fields: map[string]FieldEntry{"x": {Grade: 1}}}})
	}
	return New(f)
}

func TestTemplatesMatchOneWholeSegmentAndNothingElse(t *testing.T) {
	s, err := routed(t,
		RouteEntry{Methods: []string{"GET"}, Path: "/a/{x}/b"}, RouteEntry{Methods: []string{"GET"}, Path: "/a/c/d"},
		RouteEntry{Methods: []string{"POST"}, Path: "/a/c/b"}, RouteEntry{Methods: []string{"GET"}, Path: "/p/{x}/{y}"},
		RouteEntry{Host: "one.example", Methods: []string{"GET"}, Path: "/h"}, RouteEntry{Host: "two.example:8443", Methods: []string{"GET"}, Path: "/h"},
		RouteEntry{Methods: []string{"GET"}, Path: "/slash/"}, RouteEntry{Methods: []string{"GET"}, Path: "/"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ host, method, path, want, bound string }{
		{"x", "GET", "/a/1/b", "a", "x=1"},
		{"x", "GET", "/a/c/b", "a", "x=c"}, // found by going back from the literal c
		{"x", "POST", "/a/c/b", "c", ""},
		{"x", "GET", "/a/c/d", "b", ""},
		{"x", "GET", "/p/%E5/2", "d", "x=%E5 y=2"},
		{"one.example", "GET", "/h", "e", ""},
		{"one.example:9000", "GET", "/h", "e", ""},
		{"two.example:8443", "GET", "/h", "f", ""},
		{"two.example", "GET", "/h", "", ""},
		{"three.example", "GET", "/h", "", ""},
		{"x", "GET", "/slash/", "g", ""},
		{"x", "GET", "/slash", "", ""},
		{"x", "GET", "/", "h", ""},
		{"x", "GET", "", "", ""},
		{"x", "GET", "/a//b", "", ""},
		{"x", "GET", "/a/./b", "", ""},
		{"x", "GET", "/a/../b", "", ""},
		{"x", "GET", "/a/1/2/b", "", ""},
		{"x", "GET", "/a/1/b/", "", ""},
		{"x", "GET", "/A/1/b", "", ""},
		{"x", "GET", "/%61/1/b", "", ""},
		{"x", "DELETE", "/a/1/b", "", ""},
		{"x", "get", "/a/1/b", "", ""},
		{"x", "GET", strings.Repeat("/a", 40), "", ""},
	} {
		m, ok := s.Match(c.host, c.method, c.path)
		got, bound := "", ""
		if ok {
			got = string(m.Interface.ID)
			for _, b := range m.Bound {
				bound = strings.TrimSpace(bound + " " + b.Name + "=" + b.Value)
			}
		}
		if got != c.want || bound != c.bound {
			t.Errorf("%s %s%s: %q %q, want %q %q", c.method, c.host, c.path, got, bound, c.want, c.bound)
		}
	}
}

func TestTwoRoutesThatCouldMatchOneRequestAreRefused(t *testing.T) {
	get := func(host, path string) RouteEntry {
		return RouteEntry{Host: host, Methods: []string{"GET"}, Path: path}
	}
	for _, c := range []struct {
		a, b RouteEntry
		ok   bool
	}{
		{get("", "/a"), get("", "/a"), false},
		{get("", "/a/{x}"), get("", "/a/b"), false},
		{get("", "/a/b"), get("", "/a/{x}"), false},
		{get("", "/a/{x}"), get("", "/a/{y}"), false},
		{get("", "/{x}/b"), get("", "/a/{y}"), false},
		{get("", "/a/{x}"), get("", "/a/"), true},
		{get("", "/a/"), get("", "/a/{x}"), true},
		{get("", "/a/{x}/c"), get("", "/a/b/d"), true},
		{get("", "/a/{x}"), get("", "/a/b/c"), true},
		{get("one", "/a"), get("*", "/a"), false},
		{get("one", "/a"), get("one:80", "/a"), false},
		{get("one", "/a"), get("two", "/a"), true},
		{get("one:80", "/a"), get("one:81", "/a"), true},
		{get("", "/a"), RouteEntry{Methods: []string{"POST"}, Path: "/a"}, true},
		{get("", "/a"), RouteEntry{Methods: []string{"POST", "GET"}, Path: "/a"}, false},
	} {
		_, err := routed(t, c.a, c.b)
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "could be meant by the same request") {
			t.Errorf("%v and %v: %v", c.a, c.b, err)
		}
	}
}

func TestInterfaceThatIsNotOfferedIsNotFound(t *testing.T) {
	for _, change := range [][2]string{{"share: authorised # class", "share: none"}, {"status: published", "status: suspended"}, {"status: published", "status: withdrawn"}} {
		s := load(t, replace(t, good(t), change[0], change[1]))
		if _, ok := s.Match("x", "GET", "/pop/v1/persons"); ok {
			t.Errorf("found with %s", change[1])
		}
		if s.Interface("pop.person.query") == nil {
			t.Error("the catalogue lost it")
		}
	}
}

func TestBoundSegmentsReachTheUpstream(t *testing.T) {
	for _, c := range []struct{ route, upstream, path, want string }{
		{"/v1/e/{uscc}", "http://127.0.0.1/api/e", "/v1/e/91X", "/api/e/91X"},
		{"/v1/e/{uscc}", "http://127.0.0.1", "/v1/e/91X", "/91X"},
		{"/v1/e/{uscc}", "http://127.0.0.1/", "/v1/e/91X", "/91X"},
		{"/v1/{a}/{b}", "http://127.0.0.1/api", "/v1/1/%32", "/api/1/%32"},
		{"/v1/{a}/{b}", "http://127.0.0.1/{b}/x/{a}", "/v1/1/2", "/2/x/1"},
		{"/v1/e", "http://127.0.0.1/api/", "/v1/e", "/api/"},
		{"/v1/e", "http://127.0.0.1", "/v1/e", ""},
	} {
		f := File{Departments: []Department{{ID: "ga", USCC: "11220000013544541J", Region: "220000", Level: "province"}},
			Interfaces: []InterfaceEntry{{ID: "a", Provider: "ga", Base: "geo", Share: Authorised, Route: RouteEntry{Methods: []string{"GET"}, Path: c.route},
				Upstream: UpstreamEntry{URL: c.upstream}, Response: ResponseEntry{Fields: map[string]FieldEntry{"x": {Grade: 1}}}}}}
		s, err := New(f)
		if err != nil {
			t.Fatal(err)
		}
		m, ok := s.Match("h", "GET", c.path)
		if !ok || m.UpstreamPath() != c.want {
			t.Errorf("%+v: %v %q", c, ok, m.UpstreamPath())
		}
	}
}
