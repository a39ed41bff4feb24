package catalog

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/policy"
)

// Limits and defaults of an interface.
const (
	maxFields          = 2000
	maxFieldPath       = 512      // bytes; what an audit record takes
	maxFieldPaths      = 48 << 10 // bytes of all paths together, so that a record can name each as shown and as masked
	defaultTimeout     = 10 * time.Second
	maxTimeout         = 5 * time.Minute
	defaultRequestMax  = 1 << 20
	defaultResponseMax = 8 << 20
	maxRequestMax      = 64 << 20
	maxResponseMax     = 1 << 30
)

func methods() []string { return []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} }

func (b *builder) interfaces() {
	for i, e := range b.file.Interfaces {
		path := at{"interfaces", i}
		if b.snap.interfaces[e.ID] != nil {
			b.fail(path.to("id"), "interface %q stands twice", e.ID)
			continue
		}
		if e.ID == "" {
			b.fail(path, "an interface needs an id")
			continue
		}
		it := &Interface{ID: e.ID, Name: e.Name, Route: e.Route, entry: e}
		b.snap.interfaces[e.ID] = it
		b.interfaceWords(it, e, path)
		b.fields(it, e, path)
		segments, names := b.route(it, e, path)
		b.upstream(it, e, names, path)
		b.sizes(it, e, path)
		it.views = make(map[string]*policy.Interface, len(e.Route.Methods))
		for _, m := range e.Route.Methods {
			it.views[m] = &policy.Interface{ID: string(it.ID), Provider: string(e.Provider), Base: it.Base, Share: it.Share,
				Method: m, Status: it.Status, Fields: it.Fields}
		}
		if segments == nil {
			continue
		}
		host := e.Route.Host
		if host == "*" {
			host = ""
		}
		if rival := b.snap.routes.insert(segments, routeEnd{host, e.Route.Methods, names, it}); rival != nil {
			b.fail(path.to("route"), "interfaces %q and %q could be meant by the same request", rival.ID, e.ID)
		}
	}
}

func (b *builder) interfaceWords(it *Interface, e InterfaceEntry, path at) {
	it.Provider, _ = find(b, b.snap.departments, e.Provider, path.to("provider"), "department")
	word := func(into *string, key, value, fallback string, words ...string) {
		w, err := oneOf(value, fallback, words...)
		if err != nil {
			b.fail(path.to(key), "%s of interface %q: %v", key, e.ID, err)
		}
		*into = w
	}
	word(&it.Base, "base", e.Base, "", bases()...)
	word(&it.Share, "share", e.Share, "", Unconditional, Authorised, NoShare)
	word(&it.Status, "status", e.Status, Published, Published, Suspended, Withdrawn)
	if err := checkText(e.Name, maxNameBytes); err != nil {
		b.fail(path.to("name"), "name %v", err)
	}
	var err error
	if it.ResponseType, err = oneOf(e.Response.Type, "json", "json"); err != nil {
		b.fail(path.to("response", "type"), "response type of interface %q: %v", e.ID, err)
	}
	numbers, err := oneOf(e.Response.Numbers, "null", "null", "string")
	if err != nil {
		b.fail(path.to("response", "numbers"), "numbers of interface %q: %v", e.ID, err)
	}
	it.NumbersAsText = numbers == "string"
}

func (b *builder) fields(it *Interface, e InterfaceEntry, path at) {
	if n := len(e.Response.Fields); n == 0 || n > maxFields {
		b.fail(path.to("response"), "interface %q needs 1 to %d fields", e.ID, maxFields)
		return
	}
	it.Fields = make(map[string]policy.Field, len(e.Response.Fields))
	it.Kinds = make(map[string]string, len(e.Response.Fields))
	total := 0
	for _, p := range sortedKeys(e.Response.Fields) {
		f, where := e.Response.Fields[p], path.to("response", "fields", p)
		parsed, err := policy.ParsePath(p)
		switch {
		case err != nil:
			b.fail(where, "%v", err)
		case parsed.String() != p:
			b.fail(where, "field path %q is written %q", p, parsed)
		case checkText(p, maxFieldPath) != nil:
			b.fail(where, "field path %.60q %v: it could not be recorded", p, checkText(p, maxFieldPath))
		}
		if total += len(p); total > maxFieldPaths && total-len(p) <= maxFieldPaths {
			b.fail(where, "the field paths of interface %q have more than %d bytes together", e.ID, maxFieldPaths)
		}
		if f.Grade < 1 || f.Grade > 4 {
			b.fail(where, "grade of field %q: want 1 (public) to 4 (sensitive personal)", p)
		}
		if err := checkKind(f.Kind); err != nil {
			b.fail(where, "kind of field %q: %v", p, err)
		}
		it.Fields[p] = policy.Field{Grade: f.Grade, Kind: f.Kind}
		it.Kinds[p] = f.Kind
		it.Elements = it.Elements || f.Grade >= 3
	}
}

// inside lists the classified fields that lie inside the value at p.
func (it *Interface) inside(p string) []string {
	outer, err := policy.ParsePath(p)
	if err != nil {
		return nil
	}
	var found []string
	for _, q := range sortedKeys(it.Fields) {
		if inner, err := policy.ParsePath(q); err == nil && q != p && covers(outer, inner) {
			found = append(found, q)
		}
	}
	return found
}

func (b *builder) route(it *Interface, e InterfaceEntry, path at) (segments, names []string) {
	ok := true
	if h := e.Route.Host; h != "" && h != "*" && !plainHost(h) {
		ok = b.fail(path.to("route", "host"), `host of interface %q: want "*" or a host in lower case, with or without port`, e.ID)
	}
	if len(e.Route.Methods) == 0 {
		ok = b.fail(path.to("route"), "route of interface %q needs methods", e.ID)
	}
	for j, m := range e.Route.Methods {
		if _, err := oneOf(m, "", methods()...); err != nil || slices.Index(e.Route.Methods, m) != j {
			ok = b.fail(path.to("route", "methods", j), "method %.20q of interface %q: want each of %s at most once", m, e.ID, strings.Join(methods(), ", "))
		}
	}
	segments, names, err := parsePath(e.Route.Path)
	if err != nil {
		ok = b.fail(path.to("route", "path"), "path of interface %q: %v", e.ID, err)
	} else if segments[0] == ".sealgate" {
		ok = b.fail(path.to("route", "path"), "path of interface %q: /.sealgate/ is the gateway's own", e.ID)
	}
	if !ok {
		return nil, nil
	}
	return segments, names
}

func plainHost(h string) bool {
	return len(h) <= 261 && strings.ToLower(h) == h && !strings.ContainsFunc(h, func(r rune) bool {
		return r >= 0x80 || !alphanumeric(byte(r)) && !strings.ContainsRune(".-:[]", r)
	})
}

func (b *builder) upstream(it *Interface, e InterfaceEntry, names []string, path at) {
	where := path.to("upstream", "url")
	u, err := url.Parse(e.Upstream.URL)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Host == "" || u.Hostname() == "", u.Opaque != "":
		b.fail(where, "upstream of interface %q: want an http or https URL with a host", e.ID)
		return
	case u.User != nil, u.RawQuery != "" || u.ForceQuery, u.Fragment != "":
		b.fail(where, "upstream of interface %q: user, query and fragment are refused", e.ID)
		return
	}
	it.Upstream = Upstream{URL: u, Timeout: e.Upstream.Timeout.Or(defaultTimeout)}
	if it.Upstream.Timeout > maxTimeout {
		b.fail(path.to("upstream", "timeout"), "upstream timeout of interface %q: want at most %s", e.ID, maxTimeout)
	}
	if u.Path == "" {
		return
	}
	segments, used, err := parsePath(u.Path)
	if err != nil {
		b.fail(where, "upstream path of interface %q: %v", e.ID, err)
		return
	}
	it.Upstream.path = segments
	for _, n := range used {
		if !slices.Contains(names, n) {
			b.fail(where, "upstream of interface %q: its route has no {%s}", e.ID, n)
		}
	}
	if len(used) > 0 && len(used) != len(names) {
		b.fail(where, "upstream of interface %q: place every {name} of the route, or none", e.ID)
	}
}

func (b *builder) sizes(it *Interface, e InterfaceEntry, path at) {
	for _, m := range e.Route.Methods {
		if m == "POST" || m == "PUT" || m == "PATCH" {
			it.MaxRequestBytes = defaultRequestMax
		}
	}
	if e.Request != nil {
		it.MaxRequestBytes = int64(e.Request.MaxBytes)
	}
	if it.MaxRequestBytes < 0 || it.MaxRequestBytes > maxRequestMax {
		b.fail(path.to("request", "max_bytes"), "request max_bytes of interface %q: want at most 64MiB", e.ID)
	}
	it.MaxResponseBytes = e.Response.MaxBytes.Or(defaultResponseMax)
	if it.MaxResponseBytes <= 0 || it.MaxResponseBytes > maxResponseMax {
		b.fail(path.to("response", "max_bytes"), "response max_bytes of interface %q: want at most 1GiB", e.ID)
	}
}

func (b *builder) items() {
	for i, e := range b.file.Items {
		path := at{"items", i}
		if b.snap.items[e.Code] != nil {
			b.fail(path.to("code"), "item %q stands twice", e.Code)
			continue
		}
		if e.Code == "" {
			b.fail(path, "an item needs a code")
			continue
		}
		if !itemCodeStandard(e.Code) {
			b.warn(path.to("code"), "item code %q is not of GB/T 39554.1 (31 or 33 characters)", e.Code)
		}
		if err := checkText(e.Name, maxNameBytes); err != nil {
			b.fail(path.to("name"), "name %v", err)
		}
		it := &Item{Code: e.Code, Name: e.Name, Needs: e.Needs}
		it.Department, _ = find(b, b.snap.departments, e.Department, path.to("department"), "department")
		b.snap.items[e.Code] = it
		for _, id := range sortedKeys(e.Needs) {
			iface, ok := find(b, b.snap.interfaces, id, path.to("needs", string(id)), "interface")
			if ok && b.knownFields(iface, e.Needs[id], path.to("needs", string(id))) {
				b.itemView(e.Code, iface)
			}
		}
	}
}

func (b *builder) knownFields(iface *Interface, fields []string, path at) bool {
	ok := true
	if len(fields) == 0 {
		ok = b.fail(path, "an empty list of fields is refused")
	}
	for j, p := range fields {
		if _, known := iface.Fields[p]; !known {
			b.failNear(path.to(j), nearest(p, iface.Fields), "interface %q has no field %q", iface.ID, p)
			ok = false
		} else if slices.Index(fields, p) != j {
			ok = b.fail(path.to(j), "field %q stands twice", p)
		}
	}
	return ok
}

// itemView prepares the item as policies see it in calls of iface.
func (b *builder) itemView(code ItemCode, iface *Interface) {
	k := itemKey{iface.ID, code}
	it := b.snap.items[code]
	if it == nil || b.snap.itemViews[k] != nil {
		return
	}
	fields := it.Needs[iface.ID]
	if fields == nil {
		fields = []string{}
	}
	b.snap.itemViews[k] = &policy.Item{Code: string(code), Fields: fields}
}

func (b *builder) scenarios() {
	for i, e := range b.file.Scenarios {
		path := at{"scenarios", i}
		if b.snap.scenarios[e.ID] != nil {
			b.fail(path.to("id"), "scenario %q stands twice", e.ID)
			continue
		}
		if e.ID == "" || len(e.Items) == 0 {
			b.fail(path, "a scenario needs an id and items")
			continue
		}
		if err := checkText(e.Name, maxNameBytes); err != nil {
			b.fail(path.to("name"), "name %v", err)
		}
		sc := &Scenario{ID: e.ID, Name: e.Name, Items: e.Items, Fields: e.Fields}
		b.snap.scenarios[e.ID] = sc
		var ok bool
		if sc.Interface, ok = find(b, b.snap.interfaces, e.Interface, path.to("interface"), "interface"); !ok {
			continue
		}
		b.knownFields(sc.Interface, e.Fields, path.to("fields"))
		view := &policy.Scenario{ID: string(e.ID), Fields: e.Fields}
		for j, code := range e.Items {
			if _, ok := find(b, b.snap.items, code, path.to("items", j), "item"); ok {
				view.Items = append(view.Items, string(code))
			}
			if k := (itemKey{sc.Interface.ID, code}); b.snap.fits[k] == nil || string(e.ID) < b.snap.fits[k].ID {
				b.snap.fits[k] = view
			}
		}
	}
}
