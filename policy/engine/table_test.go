package engine

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/policy"
)

// table is the second opinion: what the shipped rules say, as plain Go.
func table(r Request) (codes []string, actions map[string]policy.FieldAction, notify bool) {
	add := func(ok bool, code string) {
		if !ok && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	item := ""
	if r.Item != nil {
		item = r.Item.Code
	}
	covered := false
	for _, g := range r.Grant.Regions {
		covered = covered || regionCovers(g, r.Caller.Region)
	}
	add(r.Interface.Status == "published", "SG-AUTHZ-DENIED")
	add(r.Grant.Status == "active", "SG-AUTHZ-GRANT-STATUS")
	add(slices.Contains(r.Grant.Items, item), "SG-AUTHZ-ITEM")
	add(slices.Contains(r.Grant.Purposes, r.Purpose), "SG-AUTHZ-PURPOSE")
	add(covered, "SG-AUTHZ-REGION")
	add(r.Interface.Share == "unconditional" || r.Interface.Share == "authorised", "SG-AUTHZ-SHARE")
	add(slices.Contains(r.Grant.Zones, r.Caller.Zone), "SG-AUTHZ-ZONE")
	actions = map[string]policy.FieldAction{}
	shown := 0
	for p, text := range r.Grant.Fields {
		a, err := policy.ParseAction(text)
		if err != nil {
			panic(err)
		}
		grade4 := r.Interface.Fields[p].Grade == 4
		if r.Item != nil && !slices.Contains(r.Item.Fields, p) || r.Caller.Zone == "internet" && grade4 {
			a = policy.FieldAction{Kind: policy.Drop}
		}
		notify = notify || grade4
		actions[p] = a
		if a.Kind != policy.Drop {
			shown++
		}
	}
	if len(codes) == 0 && shown == 0 {
		codes = append(codes, "SG-AUTHZ-FIELDS")
	}
	return codes, actions, notify
}

func regionCovers(grant, caller string) bool {
	if grant == "000000" || grant == caller {
		return true
	}
	if len(caller) < 6 {
		return false
	}
	if len(grant) > 6 {
		return len(caller) >= 9 && caller[:9] == grant
	}
	prefix := grant
	for strings.HasSuffix(prefix, "00") && len(prefix) > 2 {
		prefix = prefix[:len(prefix)-2]
	}
	return len(prefix) < 6 && strings.HasPrefix(caller, prefix) || prefix == caller[:6]
}

func TestRegoAgreesWithAPlainGoTable(t *testing.T) {
	e := shippedEngine(t)
	words := func(list ...string) *rapid.Generator[string] {
		// the first word mostly, so that many draws are allowed
		return rapid.Custom(func(t *rapid.T) string {
			if rapid.IntRange(0, 9).Draw(t, "usual") < 8 {
				return list[0]
			}
			return rapid.SampledFrom(list).Draw(t, "word")
		})
	}
	some := func(list ...string) *rapid.Generator[[]string] {
		return rapid.Custom(func(t *rapid.T) []string {
			if rapid.IntRange(0, 9).Draw(t, "usual") < 7 {
				return list[:1+rapid.IntRange(0, len(list)-1).Draw(t, "n")]
			}
			return rapid.SliceOfNDistinct(rapid.SampledFrom(list), 0, len(list), rapid.ID[string]).Draw(t, "some")
		})
	}
	paths := []string{"code", "data.name", "data.idCard", "data.health", "data.list[*].x"}
	draw := rapid.Custom(func(t *rapid.T) Request {
		fields, granted := map[string]policy.Field{}, map[string]string{}
		for _, p := range paths {
			fields[p] = policy.Field{Grade: rapid.IntRange(1, 4).Draw(t, "grade"), Kind: "name"}
			if rapid.Bool().Draw(t, "granted") {
				granted[p] = rapid.SampledFrom([]string{"show", "mask", "keep(1,1)", "drop", "reject"}).Draw(t, "action")
			}
		}
		r := Request{
			Caller: policy.Caller{System: "s", Region: words("220102", "220000", "220100", "220102001", "220102001003", "210000", "").Draw(t, "region"),
				Zone: words("extranet", "internet", "").Draw(t, "zone")},
			Interface: &policy.Interface{ID: "i", Status: words("published", "suspended", "withdrawn").Draw(t, "status"), Share: words("authorised", "unconditional", "none", "").Draw(t, "share"), Fields: fields},
			Grant: &policy.Grant{ID: "g", Items: some("item1", "item2", "").Draw(t, "items"), Purposes: some("审核", "核验", "").Draw(t, "purposes"), Fields: granted,
				Zones: some("extranet", "internet").Draw(t, "zones"), Regions: some("220000", "220100", "220102", "220102001", "000000", "210000").Draw(t, "regions"),
				Status: words("active", "suspended", "revoked", "expired").Draw(t, "gstatus"), CIDRs: []string{}, Quota: map[string]int64{}},
			Purpose: words("审核", "核验", "", "别的").Draw(t, "purpose"),
		}
		if rapid.IntRange(0, 9).Draw(t, "item") < 9 {
			r.Item = &policy.Item{Code: words("item1", "item2", "item3", "").Draw(t, "code"), Fields: rapid.SliceOfNDistinct(rapid.SampledFrom(paths), 0, 5, rapid.ID[string]).Draw(t, "needs")}
		}
		return r
	})
	inputs, allowed := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		for range 150 {
			r := draw.Draw(t, "request")
			inputs++
			codes, actions, notify := table(r)
			d := e.Decide(context.Background(), r)
			if d.Allow != (len(codes) == 0) {
				t.Fatalf("Rego: %+v\nGo: %v", d, codes)
			}
			if d.Allow {
				allowed++
				if !maps.Equal(d.Actions, actions) || (len(d.Obligations) == 1) != notify {
					t.Fatalf("Rego: %+v\nGo: %v %v", d, actions, notify)
				}
				continue
			}
			var got []string
			for _, x := range d.Reasons {
				got = append(got, x.Code)
			}
			if !slices.Equal(got, codes) {
				t.Fatalf("Rego: %v\nGo: %v", got, codes)
			}
		}
	})
	t.Logf("%d inputs, %d allowed, 0 differences", inputs, allowed)
	if inputs < 10_000 || allowed < inputs/10 || allowed > inputs*9/10 {
		t.Errorf("the draw is lopsided: %d inputs, %d allowed", inputs, allowed)
	}
}

// TestExactlyTheGrantedCellsAllow walks caller x interface x item: all that
// the catalogue does not grant is refused, and nothing else.
func TestExactlyTheGrantedCellsAllow(t *testing.T) {
	const systems, interfaces, items = 8, 6, 10
	var f catalog.File
	granted := map[[3]int]bool{}
	f.Departments = []catalog.Department{{ID: "d", USCC: "11220000013544541J", Region: "220000", Level: "province"}}
	for i := range interfaces {
		f.Interfaces = append(f.Interfaces, catalog.InterfaceEntry{ID: catalog.InterfaceID(fmt.Sprintf("i%d", i)), Provider: "d", Base: "population", Share: "authorised",
			Route:    catalog.RouteEntry{Methods: []string{"GET"}, Path: fmt.Sprintf("/i%d", i)},
			Upstream: catalog.UpstreamEntry{URL: "http://127.0.0.1:9/"}, Response: catalog.ResponseEntry{Fields: map[string]catalog.FieldEntry{"name": {Grade: 3, Kind: "name"}}}})
	}
	for i := range items {
		needs := map[catalog.InterfaceID][]string{}
		for j := range interfaces {
			needs[f.Interfaces[j].ID] = []string{"name"}
		}
		f.Items = append(f.Items, catalog.ItemEntry{Code: catalog.ItemCode(fmt.Sprintf("item%d", i)), Department: "d", Needs: needs})
	}
	for s := range systems {
		f.Systems = append(f.Systems, catalog.SystemEntry{ID: catalog.SystemID(fmt.Sprintf("s%d", s)), Department: "d", HMACKeyRef: "local:s"})
		for i := range interfaces {
			g := catalog.GrantEntry{ID: catalog.GrantID(fmt.Sprintf("g%d.%d", s, i)), System: f.Systems[s].ID, Interface: f.Interfaces[i].ID,
				Purposes: []string{"审核"}, Fields: map[string]string{"name": "mask"}, NotAfter: "2027-12-31"}
			for k := range items {
				if (s*31+i*17+k*7)%5 == 0 {
					g.Items = append(g.Items, f.Items[k].Code)
					granted[[3]int{s, i, k}] = true
				}
			}
			if len(g.Items) > 0 {
				f.Grants = append(f.Grants, g)
			}
		}
	}
	snap, err := catalog.New(f)
	if err != nil {
		t.Fatal(err)
	}
	e := shippedEngine(t)
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	allowed := 0
	for s := range systems {
		for i := range interfaces {
			for k := range items {
				ok := decideCell(snap, e, f, s, i, k, at)
				if ok != granted[[3]int{s, i, k}] {
					t.Errorf("system %d, interface %d, item %d: allowed %v", s, i, k, ok)
				}
				if ok {
					allowed++
				}
			}
		}
	}
	if allowed != len(granted) || allowed == 0 {
		t.Errorf("%d of %d cells allowed, %d granted", allowed, systems*interfaces*items, len(granted))
	}
	t.Logf("%d of %d cells allowed", allowed, systems*interfaces*items)
}

// decideCell goes the gateway's way for one cell. Where Go finds no grant, the
// policy is asked as well with the grant of another item: it must refuse too.
func decideCell(snap *catalog.Snapshot, e *Engine, f catalog.File, s, i, k int, at time.Time) bool {
	sys, iface, code := snap.System(f.Systems[s].ID), snap.Interface(f.Interfaces[i].ID), f.Items[k].Code
	g, refusal := snap.Authorise(context.Background(), catalog.Question{System: sys, Interface: iface, Item: code,
		IP: netip.MustParseAddr("127.0.0.1"), Zone: catalog.ZoneExtranet, At: at}, nil)
	if refusal != nil {
		others := snap.GrantsOf(sys.ID, iface.ID)
		if len(others) == 0 {
			return false
		}
		g = others[0]
	}
	return e.Decide(context.Background(), Request{Caller: sys.Caller(catalog.ZoneExtranet, "sm2", ""), Interface: iface.View("GET"), Grant: g.View,
		Item: snap.ItemView(code, iface.ID), Purpose: "审核", Catalogue: snap.Revision(), At: at, Until: g.NotAfter}).Allow
}
