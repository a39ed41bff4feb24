package catalog

import (
	"net/netip"
	"slices"
	"time"

	"github.com/sealgate/sealgate/policy"
)

// Grant is what the platform gave, compiled.
type Grant struct {
	ID        GrantID
	System    *System
	Interface *Interface
	Items     []ItemCode
	Purposes  []string
	Actions   map[string]policy.FieldAction // path to how it is shown
	Zones     []string
	Regions   []string
	CIDRs     []netip.Prefix
	NotBefore time.Time // inclusive; zero: from the beginning
	NotAfter  time.Time // exclusive
	Status    string
	Quota     Quota
	View      *policy.Grant // as policies see it
}

// InTerm reports whether at lies in [NotBefore, NotAfter).
func (g *Grant) InTerm(at time.Time) bool { return !at.Before(g.NotBefore) && at.Before(g.NotAfter) }

// overlaps reports whether two grants could both be meant by one call at one time.
func (g *Grant) overlaps(o *Grant) bool {
	return g.NotBefore.Before(o.NotAfter) && o.NotBefore.Before(g.NotAfter)
}

// live: could be used now or after a suspension ends.
func (g *Grant) live() bool { return g.Status == Active || g.Status == Suspended }

func (b *builder) grants() {
	for i, e := range b.file.Grants {
		path := at{"grants", i}
		if b.snap.grants[e.ID] != nil {
			b.fail(path.to("id"), "grant %q stands twice", e.ID)
			continue
		}
		if g := b.grant(e, path); g != nil {
			b.snap.grants[e.ID] = g
			b.index(g, path)
		}
	}
}

func (b *builder) grant(e GrantEntry, path at) *Grant {
	if e.ID == "" {
		b.fail(path, "a grant needs an id")
		return nil
	}
	sys, okSys := find(b, b.snap.systems, e.System, path.to("system"), "system")
	iface, okIface := find(b, b.snap.interfaces, e.Interface, path.to("interface"), "interface")
	if !okSys || !okIface {
		return nil
	}
	g := &Grant{ID: e.ID, System: sys, Interface: iface, Items: e.Items, Purposes: e.Purposes, Regions: e.Regions}
	ok := b.grantItems(g, path)
	ok = b.grantFields(g, e, path) && ok
	ok = b.grantPlace(g, e, path) && ok
	ok = b.grantTerm(g, e, path) && ok
	if e.Quota != nil {
		g.Quota = *e.Quota
		if g.Quota.PerSecond < 0 || g.Quota.PerDay < 0 || g.Quota == (Quota{}) {
			ok = b.fail(path.to("quota"), "want per_second, per_day or both, greater than 0")
		}
	}
	if !ok {
		return nil
	}
	if iface.Share == NoShare {
		b.warn(path, "grant %q is for interface %q, whose share class is none: it has no effect", e.ID, iface.ID)
	}
	g.View = g.view(e)
	return g
}

func (b *builder) grantItems(g *Grant, path at) bool {
	ok := true
	seen := map[ItemCode]bool{}
	for j, code := range g.Items {
		if _, known := find(b, b.snap.items, code, path.to("items", j), "item"); !known {
			ok = false
		} else if seen[code] {
			ok = b.fail(path.to("items", j), "item %q stands twice", code)
		}
		seen[code] = true
	}
	for j, p := range g.Purposes {
		if err := checkText(p, maxPurposeBytes); err != nil || p == "" {
			ok = b.fail(path.to("purposes", j), "a purpose is empty, longer than %d bytes or has characters that do not print", maxPurposeBytes)
		} else if slices.Index(g.Purposes, p) != j {
			ok = b.fail(path.to("purposes", j), "purpose %q stands twice", p)
		}
	}
	for _, l := range []struct {
		key  string
		list int
		nil_ bool
	}{{"items", len(g.Items), g.Items == nil}, {"purposes", len(g.Purposes), g.Purposes == nil}} {
		switch {
		case l.list == 0 && !l.nil_:
			ok = b.fail(path.to(l.key), "an empty list of %s is refused", l.key)
		case l.list == 0 && g.Interface.Elements:
			ok = b.fail(path, "grant %q needs %s: interface %q has fields of grade 3 or 4", g.ID, l.key, g.Interface.ID)
		}
	}
	return ok
}

func (b *builder) grantFields(g *Grant, e GrantEntry, path at) bool {
	if len(e.Fields) == 0 {
		return b.fail(path, "grant %q needs fields: what it does not name does not leave the gateway", e.ID)
	}
	ok := true
	g.Actions = make(map[string]policy.FieldAction, len(e.Fields))
	for _, p := range sortedKeys(e.Fields) {
		if _, known := g.Interface.Fields[p]; !known {
			b.failNear(path.to("fields", p), nearest(p, g.Interface.Fields), "interface %q has no field %q", g.Interface.ID, p)
			ok = false
			continue
		}
		a, err := policy.ParseAction(e.Fields[p])
		if err != nil {
			ok = b.fail(path.to("fields", p), "%v", err)
			continue
		}
		g.Actions[p] = a
		if len(g.Items) > 0 && !b.needed(g, p) {
			b.warn(path.to("fields", p), "grant %q names field %q, which none of its items needs", g.ID, p)
		}
	}
	return ok && b.grantSubtrees(g, path)
}

// grantSubtrees refuses an action that would reach a classified field which
// the grant does not name: show on a parent shows the whole subtree, and any
// action that passes something on at `data.*` does so for `data.idCard` too. (A
// mask on a parent gives null, which tells nothing of what is inside.)
func (b *builder) grantSubtrees(g *Grant, path at) bool {
	ok := true
	for _, p := range sortedKeys(g.Actions) {
		kind := g.Actions[p].Kind
		if kind == policy.Drop || kind == policy.Reject {
			continue
		}
		for _, inner := range g.Interface.inside(p) {
			_, named := g.Actions[inner]
			if !named && (kind == policy.Show || depth(p) == depth(inner)) {
				ok = b.fail(path.to("fields", p), "%s on %q would also show %q, which the grant does not name", kind, p, inner)
			}
		}
	}
	return ok
}

// depth counts the segments of a path that is known to parse.
func depth(path string) int {
	p, _ := policy.ParsePath(path)
	return len(p)
}

func (b *builder) needed(g *Grant, field string) bool {
	return slices.ContainsFunc(g.Items, func(code ItemCode) bool {
		it := b.snap.items[code]
		return it != nil && slices.Contains(it.Needs[g.Interface.ID], field)
	})
}

func (b *builder) grantPlace(g *Grant, e GrantEntry, path at) bool {
	ok := true
	g.Zones = e.Zones
	if e.Zones == nil {
		g.Zones = []string{ZoneExtranet}
	}
	for j, z := range e.Zones {
		if _, err := oneOf(z, "", ZoneExtranet, ZoneInternet); err != nil {
			ok = b.fail(path.to("zones", j), "zone %v", err)
		}
	}
	if e.Regions == nil {
		g.Regions = []string{EveryRegion}
	}
	for j, r := range e.Regions {
		if err := checkRegion(r); err != nil {
			ok = b.fail(path.to("regions", j), "%v", err)
		}
	}
	var good bool
	if g.CIDRs, good = b.cidrs(e.CIDRs, path.to("cidrs")); !good {
		ok = false
	}
	for key, empty := range map[string]bool{"zones": e.Zones != nil && len(e.Zones) == 0, "regions": e.Regions != nil && len(e.Regions) == 0} {
		if empty {
			ok = b.fail(path.to(key), "an empty list of %s is refused; leave it out or name one", key)
		}
	}
	return ok
}

func (b *builder) grantTerm(g *Grant, e GrantEntry, path at) bool {
	var err error
	if g.Status, err = oneOf(e.Status, Active, Active, Suspended, Revoked, Expired); err != nil {
		return b.fail(path.to("status"), "status of grant %q: %v", e.ID, err)
	}
	if e.NotBefore != "" {
		if g.NotBefore, err = parseTerm(e.NotBefore, false); err != nil {
			return b.fail(path.to("not_before"), "not_before: %v", err)
		}
	}
	if e.NotAfter == "" {
		return b.fail(path, "grant %q needs not_after: a grant without end is refused", e.ID)
	}
	if g.NotAfter, err = parseTerm(e.NotAfter, true); err != nil {
		return b.fail(path.to("not_after"), "not_after: %v", err)
	}
	if !g.NotBefore.Before(g.NotAfter) {
		return b.fail(path.to("not_after"), "grant %q ends before it begins", e.ID)
	}
	return true
}

// index files a grant under every call it covers, and refuses a second live
// grant for the same call and time: which one counts would be chance.
func (b *builder) index(g *Grant, path at) {
	items := g.Items
	if len(items) == 0 {
		items = []ItemCode{""}
	}
	for _, code := range items {
		k := callKey{g.System.ID, g.Interface.ID, code}
		for _, o := range b.snap.byCall[k] {
			if g.live() && o.live() && g.overlaps(o) {
				b.fail(path, "grants %q and %q cover the same calls (system %q, interface %q, item %q) at the same time",
					o.ID, g.ID, g.System.ID, g.Interface.ID, code)
				return
			}
		}
		list := append(b.snap.byCall[k], g)
		slices.SortStableFunc(list, func(x, y *Grant) int { return y.NotAfter.Compare(x.NotAfter) })
		b.snap.byCall[k] = list
		b.itemView(code, g.Interface)
	}
	p := pairKey{g.System.ID, g.Interface.ID}
	list := append(b.snap.byPair[p], g)
	slices.SortFunc(list, func(x, y *Grant) int { return compareID(x.ID, y.ID) })
	b.snap.byPair[p] = list
}

// view is the grant as policies see it. Items and purposes of a grant that
// names none hold one empty string: a call that names none.
func (g *Grant) view(e GrantEntry) *policy.Grant {
	v := &policy.Grant{ID: string(g.ID), Items: []string{""}, Purposes: []string{""}, Fields: make(map[string]string, len(g.Actions)),
		Zones: g.Zones, Regions: g.Regions, CIDRs: make([]string, len(g.CIDRs)), NotBefore: e.NotBefore, NotAfter: e.NotAfter,
		Status: g.Status, Quota: map[string]int64{}}
	if len(g.Items) > 0 {
		v.Items = make([]string, len(g.Items))
		for i, c := range g.Items {
			v.Items[i] = string(c)
		}
	}
	if len(g.Purposes) > 0 {
		v.Purposes = g.Purposes
	}
	for p, a := range g.Actions {
		v.Fields[p] = a.String()
	}
	for i, c := range g.CIDRs {
		v.CIDRs[i] = c.String()
	}
	if g.Quota.PerSecond > 0 {
		v.Quota["per_second"] = g.Quota.PerSecond
	}
	if g.Quota.PerDay > 0 {
		v.Quota["per_day"] = g.Quota.PerDay
	}
	return v
}
