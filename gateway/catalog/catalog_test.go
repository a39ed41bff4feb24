package catalog

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/policy"
)

// good is the catalogue that tests start from; they replace lines of it.
func good(t testing.TB) string {
	t.Helper()
	b, err := os.ReadFile("testdata/good.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func load(t testing.TB, text string) *Snapshot {
	t.Helper()
	s, err := Load([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// replace fails the test when old does not stand exactly once in text.
func replace(t testing.TB, text, old, new string) string {
	t.Helper()
	if n := strings.Count(text, old); n != 1 {
		t.Fatalf("%q stands %d times", old, n)
	}
	return strings.Replace(text, old, new, 1)
}

func TestLoadIndexesWhatTheFileSays(t *testing.T) {
	s := load(t, good(t))
	sys := s.System("rs-benefit")
	if sys == nil || sys.Department.ID != "rs" || sys.Key == nil || sys.HMACKeyRef != "local:rs-benefit" || !sys.Usable() {
		t.Fatalf("system: %+v", sys)
	}
	if c := sys.Caller(ZoneExtranet, "sm2", "0a"); c != (policy.Caller{System: "rs-benefit", Department: "rs", USCC: "11220000013544541J",
		Region: "220000", Level: "province", Zone: "extranet", Auth: "sm2", CertSerial: "0a"}) {
		t.Errorf("caller: %+v", c)
	}
	it := s.Interface("pop.person.query")
	if it == nil || !it.Elements || it.MaxResponseBytes != 8<<20 || it.Upstream.Timeout != 3*time.Second || it.MaxRequestBytes != 0 {
		t.Fatalf("interface: %+v", it)
	}
	if it.Kinds["data.idCard"] != "resident_id" || it.Fields["data.idCard"].Grade != 3 || it.NumbersAsText {
		t.Errorf("fields: %+v", it.Fields)
	}
	if v := it.View("GET"); v == nil || v.Method != "GET" || v.Share != Authorised || it.View("POST") != nil {
		t.Errorf("view: %+v", v)
	}
	if le := s.Interface("ent.base.query"); le.Elements || !le.NumbersAsText || le.MaxRequestBytes != 4<<10 {
		t.Errorf("interface without personal data: %+v", le)
	}
	g := s.GrantByID("g-rs-pop")
	if g.Actions["data.idCard"].Kind != policy.Mask || g.Actions["data.mobile"] != (policy.FieldAction{Kind: policy.Keep, N: 3, M: 4}) {
		t.Errorf("actions: %+v", g.Actions)
	}
	if !reflect.DeepEqual(g.Zones, []string{ZoneExtranet}) || !reflect.DeepEqual(g.View.Regions, []string{EveryRegion}) ||
		g.View.Fields["data.mobile"] != "keep(3,4)" || g.View.Quota["per_second"] != 50 {
		t.Errorf("grant: %+v", g.View)
	}
	if v := s.ItemView("11220000013544541J3000117002011", "pop.person.query"); v == nil || !slices.Contains(v.Fields, "data.name") {
		t.Errorf("item: %+v", v)
	}
	if v := s.ScenarioView("11220000013544541J3000117002011", "pop.person.query"); v == nil || v.ID != "benefit-check" {
		t.Errorf("scenario: %+v", v)
	}
	if s.Revision() == "" || len(s.Revision()) != 64 {
		t.Errorf("revision %q", s.Revision())
	}
	for range s.Systems() {
	}
	if s.Department("ga") == nil || s.Item("11220000013544541J3000117002011") == nil || s.Scenario("benefit-check") == nil {
		t.Error("lookups")
	}
}

func TestBareDatesAreDaysInShanghai(t *testing.T) {
	g := load(t, good(t)).GrantByID("g-rs-pop")
	begin := time.Date(2025, 12, 31, 16, 0, 0, 0, time.UTC) // 2026-01-01 00:00 +08:00
	end := time.Date(2027, 12, 31, 16, 0, 0, 0, time.UTC)   // the end of 2027-12-31 +08:00
	for _, c := range []struct {
		at time.Time
		in bool
	}{{begin.Add(-1), false}, {begin, true}, {end.Add(-1), true}, {end, false}} {
		if g.InTerm(c.at) != c.in {
			t.Errorf("%s: in term %v", c.at, !c.in)
		}
	}
}

func TestContractsExampleOfAGrantLoads(t *testing.T) {
	load(t, replace(t, good(t), `not_after: "2027-12-31", quota: {per_second: 50, per_day: 100000}`,
		`not_after: 2027-12-31, quota: {per_second: 50, per_day: 100000}`))
}

func TestLoadRefusesTheWholeCatalogueAndNamesTheLine(t *testing.T) {
	text := good(t)
	line := func(part string) int { return 1 + strings.Count(text[:strings.Index(text, part)], "\n") }
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "provider: ga\n    base: population", "providr: ga\n    base: population", `unknown key "providr" (nearest: "provider")`},
		{"duplicate department", "{id: ga, ", "{id: rs, ", `department "rs" stands twice`},
		{"duplicate system", "{id: sc-licence, department: scjg", "{id: rs-benefit, department: scjg", `system "rs-benefit" stands twice`},
		{"dangling department", "department: scjg, hmac_key_ref", "department: scj, hmac_key_ref", `department "scj" is not in the catalogue (nearest: "scjg")`},
		{"dangling provider", "provider: ga\n    base: population", "provider: gaa\n    base: population", `department "gaa" is not in the catalogue (nearest: "ga")`},
		{"dangling interface in needs", "pop.person.query: [code, data.name", "pop.person.qeury: [code, data.name", `interface "pop.person.qeury" is not in the catalogue (nearest: "pop.person.query")`},
		{"unknown field in needs", "pop.person.query: [code, data.name", "pop.person.query: [code, data.nam", `interface "pop.person.query" has no field "data.nam" (nearest: "data.name")`},
		{"dangling item in grant", "id: g-rs-pop, system: rs-benefit, interface: pop.person.query, items: [11220000013544541J3000117002011]", "id: g-rs-pop, system: rs-benefit, interface: pop.person.query, items: [11220000013544541J3000117002099]", `item "11220000013544541J3000117002099" is not in the catalogue (nearest: "11220000013544541J3000117002011")`},
		{"dangling system in grant", "id: g-rs-pop, system: rs-benefit", "id: g-rs-pop, system: rs-benefits", `system "rs-benefits" is not in the catalogue (nearest: "rs-benefit")`},
		{"granted field that the interface lacks", `"data.mobile": "keep(3,4)"`, `"data.mobiles": "keep(3,4)"`, `interface "pop.person.query" has no field "data.mobiles" (nearest: "data.mobile")`},
		{"bad action", `"data.mobile": "keep(3,4)"`, `"data.mobile": "hide"`, `field action "hide"`},
		{"bad path", `"data.address": {grade: 3, kind: address}`, `"data..address": {grade: 3, kind: address}`, `field path "data..address"`},
		{"path not canonical", `"data.address": {grade: 3, kind: address}`, `"data[\"address\"]": {grade: 3, kind: address}`, `is written "data.address"`},
		{"bad kind", `"data.address": {grade: 3, kind: address}`, `"data.address": {grade: 3, kind: Address-1}`, "want a kind of"},
		{"grade 5", `"data.address": {grade: 3, kind: address}`, `"data.address": {grade: 5, kind: address}`, "want 1 (public) to 4"},
		{"grade missing", `"data.address": {grade: 3, kind: address}`, `"data.address": {kind: address}`, "want 1 (public) to 4"},
		{"bad base", "base: population", "base: people", "want one of population, legal_entity, geo, credit, licence, macro"},
		{"bad share", "share: authorised # class", "share: everyone # class", "want one of unconditional, authorised, none"},
		{"bad interface status", "status: published", "status: active", "want one of published, suspended, withdrawn"},
		{"bad grant status", "status: active", "status: on", "want one of active, suspended, revoked, expired"},
		{"bad system cidr", "cidrs: [127.0.0.0/8]", "cidrs: [127.0.0.1/8]", "the network is 127.0.0.0/8"},
		{"cidr words", "cidrs: [127.0.0.0/8]", "cidrs: [localhost]", "want a network such as"},
		{"empty list", "cidrs: [127.0.0.0/8]", "cidrs: []", "an empty list of cidrs is refused"},
		{"bad date", `not_after: "2027-12-31", quota: {per_second: 50`, `not_after: "2027-02-30", quota: {per_second: 50`, "want a date"},
		{"grant without end", `not_after: "2027-12-31", quota: {per_second: 50`, `quota: {per_second: 50`, "a grant without end is refused"},
		{"ends before it begins", `not_after: "2027-12-31", quota: {per_second: 50`, `not_after: "2025-12-31", quota: {per_second: 50`, "ends before it begins"},
		{"negative quota", "quota: {per_second: 50, per_day: 100000}", "quota: {per_second: -1}", "want per_second, per_day or both"},
		{"empty quota", "quota: {per_second: 50, per_day: 100000}", "quota: {}", "want per_second, per_day or both"},
		{"bad zone", "zones: [extranet, internet]", "zones: [extranet, intranet]", "want one of extranet, internet"},
		{"bad grant region", `regions: ["220000"]`, `regions: ["22"]`, "want a region code"},
		{"bad department region", `region: "220100"`, `region: "22010"`, "want a region code"},
		{"bad level", "level: city", "level: town", "want one of province, city, county, township"},
		{"bad uscc", `uscc: "112200000135445439"`, `uscc: "11220000"`, "want a USCC"},
		{"bad key", "hmac_key_ref: local:rs-benefit", "hmac_key_ref: synthetic-key", "never the key itself"},
		{"personal data without items", "items: [11220000013544541J3000117002011], purposes: [失业保险金审核], fields: {code", "purposes: [失业保险金审核], fields: {code", "has fields of grade 3 or 4"},
		{"personal data without purposes", "purposes: [失业保险金审核], fields: {code", "fields: {code", "has fields of grade 3 or 4"},
		{"grant without fields", "fields: {regno: show}, zones", "fields: {}, zones", "needs fields"},
		{"method", "methods: [GET], path: /pop/v1/persons", "methods: [get], path: /pop/v1/persons", "want each of GET"},
		{"path without slash", "path: /pop/v1/persons", "path: pop/v1/persons", "want a path that begins with /"},
		{"dot segment", "path: /pop/v1/persons", "path: /pop/../persons", "dot segment"},
		{"partial template", "path: /pop/v1/persons", `path: "/pop/v1/p-{id}"`, "must be a whole segment"},
		{"gateway's own path", "path: /pop/v1/persons", "path: /.sealgate/persons", "gateway's own"},
		{"same route", `path: "/ent/v1/enterprises/{uscc}"`, `path: "/{any}/v1/persons"`, "could be meant by the same request"},
		{"upstream scheme", "url: http://127.0.0.1:9101/persons", "url: ftp://127.0.0.1/persons", "want an http or https URL"},
		{"upstream with password", "url: http://127.0.0.1:9101/persons", "url: http://a:b@127.0.0.1/persons", "user, query and fragment are refused"},
		{"upstream query", "url: http://127.0.0.1:9101/persons", "url: http://127.0.0.1/persons?a=b", "user, query and fragment are refused"},
		{"upstream name", "url: http://127.0.0.1:9101/persons", `url: "http://127.0.0.1/persons/{id}"`, "its route has no {id}"},
		{"size without unit", "max_bytes: 8MiB", `max_bytes: "8"`, "want a size with its unit"},
		{"size too large", "max_bytes: 8MiB", "max_bytes: 2GiB", "want at most 1GiB"},
		{"type", "type: json, max_bytes", "type: xml, max_bytes", "want one of json"},
		{"numbers", "numbers: string", "numbers: text", "want one of null, string"},
		{"id form", "{id: benefit-check", `{id: "benefit check"`, "want an id of"},
		{"same call granted twice", "id: g-rs-ent-old, system: rs-benefit, interface: ent.base.query, purposes: [企业核验], fields: {regno: show}, not_before: \"2024-01-01\", not_after: \"2025-12-31\"",
			"id: g-rs-ent-old, system: rs-benefit, interface: ent.base.query, purposes: [企业核验], fields: {regno: show}, not_before: \"2024-01-01\", not_after: \"2026-01-01\"", `grants "g-rs-ent" and "g-rs-ent-old" cover the same calls`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load([]byte(replace(t, text, c.old, c.new)))
			var e *InvalidError
			if !errors.As(err, &e) || e.Code() != "SG-CONFIG-INVALID" {
				t.Fatalf("got %v", err)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
			if p := e.Problems[0]; p.Line < line(c.old) || p.Line > line(c.old)+strings.Count(c.new, "\n") {
				t.Errorf("names line %d, the fault is in line %d: %v", p.Line, line(c.old), err)
			}
			if strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("several lines: %q", err)
			}
		})
	}
}

func TestAllProblemsAreNamedAtOnce(t *testing.T) {
	text := replace(t, good(t), "base: population", "base: people")
	text = replace(t, text, "level: city", "level: town")
	_, err := Load([]byte(text))
	var e *InvalidError
	if !errors.As(err, &e) || len(e.Problems) != 2 || !strings.HasSuffix(err.Error(), "(and 1 more)") {
		t.Fatalf("got %v", err)
	}
	var first *config.Error
	if !errors.As(err, &first) || first.Line == 0 {
		t.Errorf("no config error inside %v", err)
	}
}

func TestShowOnAParentMayNotShowAFieldThatTheGrantDoesNotName(t *testing.T) {
	text := replace(t, good(t), `"data.address": {grade: 3, kind: address}`, "\"data\": {grade: 2}\n        \"data.address\": {grade: 3, kind: address}")
	_, err := Load([]byte(replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,4)", data: show`)))
	if err == nil || !strings.Contains(err.Error(), `show on "data" would also show "data.address"`) {
		t.Fatalf("got %v", err)
	}
	load(t, replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,4)", data: show, "data.address": mask, "data.health[*].code": drop`))
}

func TestWildcardMayNotMaskAFieldThatTheGrantDoesNotName(t *testing.T) {
	text := replace(t, good(t), `"data.address": {grade: 3, kind: address}`, "\"data.*\": {grade: 2}\n        \"data.address\": {grade: 3, kind: address}")
	for _, action := range []string{"show", "mask", `"keep(6,4)"`, "pseudonym", `"fixed(\"x\")"`} {
		_, err := Load([]byte(replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,4)", "data.*": `+action)))
		if err == nil || !strings.Contains(err.Error(), `on "data.*" would also show "data.address"`) {
			t.Errorf("%s: got %v", action, err)
		}
	}
	load(t, replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,4)", "data.*": drop`))
	load(t, replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,4)", "data.*": mask, "data.address": drop`))
}

// An answer whose outcome cannot be recorded has left without a record.
func TestEveryFieldThatMayBeGrantedFitsIntoAnAuditRecord(t *testing.T) {
	file := func(paths ...string) File {
		f := File{Departments: []Department{{ID: "rs", USCC: "11220000013544541J", Region: "220000", Level: "province"}}}
		fields := map[string]FieldEntry{}
		for _, p := range paths {
			fields[p] = FieldEntry{Grade: 1}
		}
		f.Interfaces = []InterfaceEntry{{ID: "i", Provider: "rs", Base: "macro", Share: Unconditional, Route: RouteEntry{Methods: []string{"GET"}, Path: "/p"},
			Upstream: UpstreamEntry{URL: "http://127.0.0.1:1"}, Response: ResponseEntry{Fields: fields}}}
		return f
	}
	for name, paths := range map[string][]string{
		"a path of 513 bytes": {strings.Repeat("a", 513)},
		"a line feed":         {"[\"a\nb\"]"},
		"a delete":            {"a\x7fb"},
		"49 KiB of paths":     longPaths(98),
	} {
		if _, err := New(file(paths...)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	paths := longPaths(96)
	s, err := New(file(paths...))
	if err != nil {
		t.Fatal(err)
	}
	r := audit.Record{Type: audit.CallOutcome, RequestID: "r", Outcome: audit.OK, Node: "n", Time: time.Now(),
		Fields: audit.Fields{Shown: paths, Masked: paths}}
	index := audit.NewSubjectIndex([]byte("k"))
	for i := range audit.MaxSubjects {
		r.Subject = append(r.Subject, index.Token("mobile", strconv.Itoa(i)))
	}
	if _, err := r.Canonical(); err != nil || len(s.Interface("i").Fields) != len(paths) {
		t.Error(err)
	}
}

// longPaths are n paths of 512 bytes, as many of them quotes as can be.
func longPaths(n int) (paths []string) {
	for i := range n {
		name := fmt.Sprintf("%03d", i)
		paths = append(paths, `["`+name+strings.Repeat(`\"`, (512-4-len(name)-1)/2)+`x"]`)
	}
	return paths
}

func TestGrantOutsideTheItemMatrixIsFlagged(t *testing.T) {
	s := load(t, replace(t, good(t), "pop.person.query: [code, data.name", "pop.person.query: [data.name"))
	if !slices.ContainsFunc(s.Warnings(), func(w Warning) bool {
		return w.Line > 0 && strings.Contains(w.Message, `names field "code", which none of its items needs`)
	}) {
		t.Errorf("warnings: %+v", s.Warnings())
	}
}

func TestRevisionIgnoresOrderAndCommentsButNothingElse(t *testing.T) {
	text := good(t)
	base := load(t, text)
	var swapped File
	if err := config.Decode([]byte(text), &swapped); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(swapped.Grants)
	slices.Reverse(swapped.Departments)
	s, err := New(swapped)
	if err != nil {
		t.Fatal(err)
	}
	if s.Revision() != base.Revision() || load(t, "# a comment\n"+text).Revision() != base.Revision() {
		t.Error("the revision depends on order or comments")
	}
	if load(t, replace(t, text, `"data.mobile": "keep(3,4)"`, `"data.mobile": "keep(3,3)"`)).Revision() == base.Revision() {
		t.Error("the revision does not depend on an action")
	}
}

func TestExportLoadsToTheSameSnapshot(t *testing.T) {
	s := load(t, good(t))
	out, err := s.Export()
	if err != nil {
		t.Fatal(err)
	}
	again, err := Load(out)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if again.Revision() != s.Revision() || !reflect.DeepEqual(again.file, s.file) {
		t.Errorf("got %s", out)
	}
}

func TestSecondGrantTakesOverWhenTheFirstEnds(t *testing.T) {
	s := load(t, good(t))
	for at, want := range map[string]GrantID{"2023-06-01": "g-rs-ent", "2025-06-01": "g-rs-ent-old", "2026-06-01": "g-rs-ent", "2030-01-01": "g-rs-ent"} {
		day, _ := time.Parse(time.DateOnly, at)
		if g := s.Grant("rs-benefit", "ent.base.query", "", day); g == nil || g.ID != want {
			t.Errorf("%s: %v, want %s", at, g, want)
		}
	}
	if s.Grant("rs-benefit", "ent.base.query", "x", time.Now()) != nil || s.Grant("nobody", "ent.base.query", "", time.Now()) != nil {
		t.Error("a grant was found for a call that it does not cover")
	}
}

func TestEmptyHolderKnowsNobodyAndOffersNothing(t *testing.T) {
	var h Holder
	s := h.Current()
	if _, ok := s.Match("x", "GET", "/"); ok || s.System("rs") != nil || s.Grant("a", "b", "c", time.Now()) != nil || s.Interface("x") != nil {
		t.Error("the empty snapshot holds something")
	}
	snap := load(t, good(t))
	if old := h.Replace(snap); old != nil || h.Current() != snap || NewHolder(snap).Current() != snap {
		t.Error("replace")
	}
}

func TestAddressForms(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/8", "10.1.2.3": "10.1.2.3/32", "::1": "::1/128", "fd00::/8": "fd00::/8", "::ffff:10.0.0.1": "10.0.0.1/32"} {
		if p, err := parsePrefix(in); err != nil || p.String() != want {
			t.Errorf("%s: %v %v", in, p, err)
		}
	}
	for _, in := range []string{"", "10.0.0.1/8", "10.0.0.0/33", "::ffff:10.0.0.0/104", "fe80::1%eth0", "10.0.0.0/8 "} {
		if p, err := parsePrefix(in); err == nil {
			t.Errorf("%q was read as %s", in, p)
		}
	}
	if !within([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, netip.MustParseAddr("::ffff:10.1.1.1")) {
		t.Error("an IPv4 address in IPv6 form is not recognised")
	}
}

func TestUSCCCheckCharacter(t *testing.T) {
	if !usccCheckOK("11220000013544541J") || usccCheckOK("11220000013544541K") {
		t.Error("check character")
	}
}

// FuzzLoad: no input makes the loader panic; every refusal is one line; what
// loads is exported and loads again to a snapshot of the same revision.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(good(f)))
	f.Add([]byte("departments: [{id: rs, uscc: 11220000013544541J, region: \"220000\", level: province, name: \"# - 'x' \\\"y\\\" : z\"}]\n"))
	f.Add([]byte("departments:\n- {id: \"1\", uscc: \"112200000135445411\", region: \"000000\", level: city, name: \"1e3\"}\n- {id: \"true\", uscc: \"112200000135445411\", region: \"000000\", level: city, name: null1}\n"))
	f.Add([]byte("{}"))
	f.Add([]byte("grants: [{}]"))
	f.Add([]byte("interfaces: [{id: a, response: {fields: {\"a.b\": {grade: 1}}}}]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Load(data)
		if err != nil {
			var e *InvalidError
			if !errors.As(err, &e) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("bad refusal: %q", err)
			}
			return
		}
		out, err := s.Export()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(out)
		if err != nil {
			t.Fatalf("export does not load: %v\n%s", err, out)
		}
		if again.Revision() != s.Revision() {
			t.Fatalf("export loads to another snapshot:\n%s", out)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	s := load(b, good(b))
	for _, path := range []string{"/pop/v1/persons", "/ent/v1/enterprises/91220101MA0000001X"} {
		b.Run(path, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := s.Match("gw.example:8443", "GET", path); !ok {
					b.Fatal(path)
				}
			}
		})
	}
}

func BenchmarkGrantLookupDoesNotDependOnTheNumberOfGrants(b *testing.B) {
	for _, n := range []int{500, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := many(b, n)
			at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
			id := ItemCode(fmt.Sprintf("item%06d", n/2))
			b.ReportAllocs()
			for b.Loop() {
				if s.Grant("rs-benefit", "pop.person.query", id, at) == nil {
					b.Fatal("no grant")
				}
			}
		})
	}
}

// many makes a catalogue of n grants, one for each of n items.
func many(t testing.TB, n int) *Snapshot {
	t.Helper()
	var f File
	if err := config.Decode([]byte(good(t)), &f); err != nil {
		t.Fatal(err)
	}
	g := f.Grants[0]
	for i := range n {
		code := ItemCode(fmt.Sprintf("item%06d", i))
		f.Items = append(f.Items, ItemEntry{Code: code, Department: "rs", Needs: f.Items[0].Needs})
		g.ID, g.Items = GrantID(fmt.Sprintf("g%06d", i)), []ItemCode{code}
		f.Grants = append(f.Grants, g)
	}
	s, err := New(f)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
