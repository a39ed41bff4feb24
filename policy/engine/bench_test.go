package engine

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/policy/rego"
)

// BenchmarkDecideUncached is one full decision by Rego: allow, actions and
// obligations, everything else looked up in Go. Goal: 50 us.
func BenchmarkDecideUncached(b *testing.B) {
	e := engineOf(b, Config{Modules: rego.Modules(), Budget: patience, CacheSize: -1})
	benchmarkDecide(b, e, request())
}

// BenchmarkDecideCached is the same decision remembered. Goal: 1 us.
func BenchmarkDecideCached(b *testing.B) {
	e := shippedEngine(b)
	benchmarkDecide(b, e, request())
}

// BenchmarkDecideDenied includes the reasons.
func BenchmarkDecideDenied(b *testing.B) {
	e := shippedEngine(b)
	req := request()
	req.Purpose = "贷款营销"
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if d := e.Decide(ctx, req); d.Allow || len(d.Reasons) != 1 {
			b.Fatal(d)
		}
	}
}

func benchmarkDecide(b *testing.B, e *Engine, req Request) {
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if d := e.Decide(ctx, req); !d.Allow {
			b.Fatal(d)
		}
	}
}

// BenchmarkDecideAmong50000Grants goes from the ids of a call to the decision
// through a catalogue of 50,000 grants, another grant each time.
func BenchmarkDecideAmong50000Grants(b *testing.B) {
	const n = 50_000
	snap := manyGrants(b, n)
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	codes := make([]catalog.ItemCode, n)
	for i := range codes {
		codes[i] = catalog.ItemCode(fmt.Sprintf("item%06d", i))
	}
	sys, iface := snap.System("s"), snap.Interface("i")
	decide := func(b *testing.B, e *Engine, code catalog.ItemCode) {
		g := snap.Grant(sys.ID, iface.ID, code, at)
		d := e.Decide(context.Background(), Request{Caller: sys.Caller(catalog.ZoneExtranet, "sm2", ""), Interface: iface.View("GET"), Grant: g.View,
			Item: snap.ItemView(code, iface.ID), Purpose: "审核", Catalogue: snap.Revision(), At: at, Until: g.NotAfter})
		if !d.Allow {
			b.Fatal(d)
		}
	}
	b.Run("uncached", func(b *testing.B) {
		e := engineOf(b, Config{Modules: rego.Modules(), Budget: patience, CacheSize: -1})
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			decide(b, e, codes[i*7919%n])
		}
	})
	b.Run("uncached, known grants", func(b *testing.B) {
		e := engineOf(b, Config{Modules: rego.Modules(), Budget: patience, CacheSize: -1})
		for i := range 1000 {
			decide(b, e, codes[i*7919%n])
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			decide(b, e, codes[i%1000*7919%n])
		}
	})
	b.Run("cached", func(b *testing.B) {
		e := shippedEngine(b)
		for i := range 1000 {
			decide(b, e, codes[i*7919%n])
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			decide(b, e, codes[i%1000*7919%n])
		}
	})
}

func manyGrants(b *testing.B, n int) *catalog.Snapshot {
	b.Helper()
	fields := map[string]catalog.FieldEntry{"code": {Grade: 1}, "data.name": {Grade: 3, Kind: "name"}, "data.idCard": {Grade: 3, Kind: "resident_id"},
		"data.mobile": {Grade: 3, Kind: "mobile"}, "data.address": {Grade: 3, Kind: "address"}}
	needs := []string{"code", "data.name", "data.idCard", "data.mobile"}
	f := catalog.File{
		Departments: []catalog.Department{{ID: "d", USCC: "11220000013544541J", Region: "220000", Level: "province"}},
		Systems:     []catalog.SystemEntry{{ID: "s", Department: "d", HMACKeyRef: "local:s"}},
		Interfaces: []catalog.InterfaceEntry{{ID: "i", Provider: "d", Base: "population", Share: "authorised", Route: catalog.RouteEntry{Methods: []string{"GET"}, Path: "/i"},
			Upstream: catalog.UpstreamEntry{URL: "http://127.0.0.1:9/"}, Response: catalog.ResponseEntry{Fields: fields}}},
	}
	for i := range n {
		code := catalog.ItemCode(fmt.Sprintf("item%06d", i))
		f.Items = append(f.Items, catalog.ItemEntry{Code: code, Department: "d", Needs: map[catalog.InterfaceID][]string{"i": needs}})
		f.Grants = append(f.Grants, catalog.GrantEntry{ID: catalog.GrantID(fmt.Sprintf("g%06d", i)), System: "s", Interface: "i", Items: []catalog.ItemCode{code}, Purposes: []string{"审核"},
			Fields: map[string]string{"code": "show", "data.name": "show", "data.idCard": "mask", "data.mobile": "mask"}, NotAfter: "2027-12-31"})
	}
	snap, err := catalog.New(f)
	if err != nil {
		b.Fatal(err)
	}
	return snap
}
