package catalog

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/sealgate/sealgate/internal/config"
)

// TestExportOfAnyCatalogueLoadsToTheSameRevision draws catalogues whose texts
// look like numbers, dates, keywords and YAML punctuation.
func TestExportOfAnyCatalogueLoadsToTheSameRevision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		awkward := rapid.OneOf(
			rapid.SampledFrom([]string{"true", "null", "~", "1e3", "0x1f", "007", "1_000", ".inf", "2027-12-31", "a: b", "a #b", "# a", "- a", "? a", "[a", "{a}", "&a", "*a", "!a", "|", ">", "%a",
				"@a", "`a", "'", `"`, `\`, `\n`, "a,b", "省:厅", "：", "<<", "=", "yes", "On", "1:30", "+1", "-", "--- a", "...", "a'b", `a"b`, "é", "𠮷"}),
			rapid.StringOfN(rapid.RuneFrom([]rune("ab1 .,:#-?[]{}&*!|>'\"%@`\\~=<省")), 0, 12, 40),
		).Filter(func(s string) bool { return checkText(s, 200) == nil })
		id := rapid.StringMatching(`[A-Za-z0-9][A-Za-z0-9._-]{0,8}`)
		member := rapid.StringMatching(`[a-z][A-Za-z0-9]{0,6}`)
		dep := Department{ID: DepartmentID(id.Draw(t, "dep")), Name: awkward.Draw(t, "name"), Region: rapid.SampledFrom([]string{"220000", "010000", "220102001"}).Draw(t, "region"),
			USCC: rapid.SampledFrom([]string{"11220000013544541J", "112200000135445439"}).Draw(t, "uscc"), Level: "city"}
		fields := map[string]FieldEntry{}
		actions := map[string]string{}
		for _, m := range rapid.SliceOfNDistinct(member, 1, 4, rapid.ID[string]).Draw(t, "members") {
			path := rapid.SampledFrom([]string{"%s", "data.%s", "data[*].%s", "*.%s", `["a.%s"]`, `["\\\"%s"].x`}).Draw(t, "path")
			p := fmt.Sprintf(path, m)
			fields[p] = FieldEntry{Grade: rapid.IntRange(1, 2).Draw(t, "grade"), Kind: rapid.SampledFrom([]string{"", "name", "null", "y"}).Draw(t, "kind")}
			actions[p] = rapid.SampledFrom([]string{"mask", "drop", "keep(1,4)", `fixed("#: '省' \"x\"")`, "generalise(range(10))"}).Draw(t, "action")
		}
		f := File{
			Departments: []Department{dep},
			Systems:     []SystemEntry{{ID: SystemID(id.Draw(t, "sys")), Department: dep.ID, HMACKeyRef: "local:x"}},
			Interfaces: []InterfaceEntry{{ID: InterfaceID(id.Draw(t, "iface")), Name: awkward.Draw(t, "iname"), Provider: dep.ID, Base: "geo", Share: Authorised,
				Route: RouteEntry{Host: rapid.SampledFrom([]string{"", "*", "a.example:8443", "[::1]:80"}).Draw(t, "host"), Methods: []string{"GET"}, Path: "/a/{b}"}, Upstream: UpstreamEntry{URL: "http://[::1]:80/{b}", Timeout: config.Duration(rapid.Int64Range(1, 1e9).Draw(t, "timeout"))},
				Response: ResponseEntry{Fields: fields, MaxBytes: config.Size(rapid.Int64Range(1, 1<<20).Draw(t, "max"))}}},
		}
		purpose := awkward.Filter(func(s string) bool { return s != "" })
		f.Grants = []GrantEntry{{ID: GrantID(id.Draw(t, "grant")), System: f.Systems[0].ID, Interface: f.Interfaces[0].ID, Fields: actions,
			Purposes: rapid.SliceOfNDistinct(purpose, 1, 3, rapid.ID[string]).Draw(t, "purposes"), NotAfter: rapid.SampledFrom([]string{"2027-12-31", "2027-12-31T00:00:00Z"}).Draw(t, "end"),
			CIDRs: rapid.SampledFrom([][]string{nil, {"::/0"}, {"10.0.0.0/8", "::1"}}).Draw(t, "cidrs"), Quota: rapid.SampledFrom([]*Quota{nil, {PerSecond: 1}, {PerDay: 7}}).Draw(t, "quota")}}
		s, err := New(f)
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Export()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Load(out)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if again.Revision() != s.Revision() {
			t.Fatalf("another revision:\n%s", out)
		}
	})
}
