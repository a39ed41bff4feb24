package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http/httptest"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/gateway/mask"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/policy"
)

func params(t *testing.T) CatalogueParams {
	t.Helper()
	p := CatalogueParams{At: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC), Keys: map[string]*gm.PublicKey{}, HMACRefs: map[string]string{}, Upstreams: map[string]string{}}
	for _, id := range Systems() {
		key, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		p.Keys[id] = key.Public()
		p.HMACRefs[id] = "local:" + id
	}
	for _, id := range Providers() {
		p.Upstreams[id] = "http://127.0.0.1:9000"
	}
	return p
}

func load(t *testing.T, p CatalogueParams) *catalog.Snapshot {
	t.Helper()
	text, err := Catalogue(p)
	if err != nil {
		t.Fatal(err)
	}
	snap, err := catalog.Load(text)
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

func TestCatalogueLoadsWithoutAWarning(t *testing.T) {
	snap := load(t, params(t))
	for _, w := range snap.Warnings() {
		t.Errorf("line %d: %s", w.Line, w.Message)
	}
	bases, shares := map[string]bool{}, map[string]bool{}
	for i := range snap.Interfaces() {
		bases[i.Base], shares[i.Share] = true, true
	}
	if len(bases) != 6 || len(shares) != 3 {
		t.Errorf("base libraries %v, share classes %v", bases, shares)
	}
	kinds := map[policy.ActionKind]bool{}
	for g := range snap.Grants() {
		for _, a := range g.Actions {
			kinds[a.Kind] = true
		}
	}
	for _, k := range []policy.ActionKind{policy.Show, policy.Mask, policy.Keep, policy.Last, policy.Fixed, policy.Pseudonym, policy.Drop} {
		if !kinds[k] {
			t.Errorf("no grant shows the action %s", k)
		}
	}
	for it := range snap.Items() {
		if len(it.Code) != 31 {
			t.Errorf("item code %s", it.Code)
		}
	}
}

func TestCatalogueRefusesMissingParameters(t *testing.T) {
	for name, spoil := range map[string]func(*CatalogueParams){
		"time":     func(p *CatalogueParams) { p.At = time.Time{} },
		"key":      func(p *CatalogueParams) { delete(p.Keys, SystemBenefit) },
		"secret":   func(p *CatalogueParams) { delete(p.HMACRefs, SystemRegister) },
		"upstream": func(p *CatalogueParams) { delete(p.Upstreams, ProviderStats) },
		"a quote":  func(p *CatalogueParams) { p.Upstreams[ProviderStats] = `http://x"` },
	} {
		p := params(t)
		spoil(&p)
		if text, err := Catalogue(p); err == nil || text != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCallsShowWhatTheySay sends every sample call through the catalogue, the
// provider and the masker, without a gateway between.
func TestCallsShowWhatTheySay(t *testing.T) {
	p := params(t)
	snap := load(t, p)
	upstreams := Upstreams()
	answered := map[string]bool{}
	for _, c := range Calls() {
		t.Run(c.EN, func(t *testing.T) {
			path, query, _ := strings.Cut(c.Target, "?")
			m, found := snap.Match("127.0.0.1:8080", "GET", path)
			if !found {
				if c.Denied != "SG-ROUTE-NOT-FOUND" {
					t.Error("no route")
				}
				return
			}
			if m.Interface.ID != catalog.InterfaceID(c.Interface) {
				t.Fatal("the route does not mean the interface")
			}
			sys := snap.System(catalog.SystemID(c.System))
			if sys.Department.USCC != c.Org {
				t.Errorf("the calling department's code is %s", sys.Department.USCC)
			}
			grant, refusal := snap.Authorise(context.Background(), catalog.Question{System: sys, Interface: m.Interface, Item: catalog.ItemCode(c.Item),
				IP: netip.MustParseAddr("127.0.0.1"), Zone: catalog.ZoneExtranet, At: p.At}, boundless{})
			if refusal != nil {
				if refusal.Code() != c.Denied {
					t.Errorf("refused with %s, want %q", refusal.Code(), c.Denied)
				}
				return
			}
			if known := slices.Contains(grant.Purposes, c.Purpose); known != (c.Denied != "SG-AUTHZ-PURPOSE") {
				t.Fatalf("purpose in the grant: %v", known)
			}
			if c.Denied != "" {
				return
			}
			answered[m.Interface.Base] = true
			plan, err := mask.Compile(grant.Actions, m.Interface.Kinds, mask.Options{MaxBytes: m.Interface.MaxResponseBytes,
				NumbersAsStrings: m.Interface.NumbersAsText, PseudonymKey: []byte("the key of a sample grant")})
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("GET", m.UpstreamPath()+"?"+query, nil)
			w := httptest.NewRecorder()
			upstreams[string(m.Interface.Provider.ID)].ServeHTTP(w, r)
			if err := mask.CheckContentType(w.Header()); err != nil || w.Code != 200 {
				t.Fatal(w.Code, err)
			}
			var out bytes.Buffer
			stats, err := plan.Apply(&out, w.Body)
			if err != nil || stats.Rows == 0 {
				t.Fatal(err, stats)
			}
			if !json.Valid(out.Bytes()) {
				t.Error("not JSON")
			}
			for _, s := range c.Sees {
				if !strings.Contains(out.String(), s) {
					t.Errorf("lacks %s", s)
				}
			}
			for _, s := range c.Lacks {
				if strings.Contains(out.String(), s) {
					t.Errorf("holds %s", s)
				}
			}
			if t.Failed() {
				t.Logf("%s", out.Bytes())
			}
		})
	}
	if len(answered) != 6 {
		t.Errorf("answered calls for %v only", answered)
	}
}

// boundless is a quota store that never refuses.
type boundless struct{}

func (boundless) Take(context.Context, catalog.GrantID, catalog.Quota, time.Time) (catalog.Spent, time.Duration, error) {
	return catalog.NotSpent, 0, nil
}

func TestProvidersAnswerNothingFoundInTheirEnvelope(t *testing.T) {
	for id, path := range map[string]string{ProviderPolice: "/persons?idCard=1", ProviderMarket: "/enterprises/x", ProviderLand: "/parcels?ownerId=1", ProviderData: "/licences"} {
		w := httptest.NewRecorder()
		Upstreams()[id].ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != 200 || !json.Valid(w.Body.Bytes()) || mask.CheckContentType(w.Header()) != nil {
			t.Errorf("%s: %d %s", id, w.Code, w.Body)
		}
	}
}

func TestCheckDigitsAgreeWithPublishedNumbers(t *testing.T) {
	data, err := os.ReadFile(testenv.Corpus(t, "identifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ids struct {
		ResidentID []string `json:"resident_id_ok"`
		USCC       []string `json:"uscc_ok"`
		Org        []string `json:"org_ok"`
		Luhn       []string `json:"luhn_ok"`
	}
	if err := json.Unmarshal(data, &ids); err != nil || len(ids.ResidentID)*len(ids.USCC)*len(ids.Org)*len(ids.Luhn) == 0 {
		t.Fatal(err)
	}
	for _, s := range ids.ResidentID {
		if residentID(s[:17]) != s {
			t.Errorf("resident id %s: %s", s, residentID(s[:17]))
		}
	}
	for _, s := range ids.Org {
		if s = strings.ReplaceAll(s, "-", ""); organisationCode(s[:8]) != s {
			t.Errorf("organisation code %s: %s", s, organisationCode(s[:8]))
		}
	}
	for _, s := range ids.USCC {
		if got := uscc(s[:2], s[2:8], s[8:16]); got != s {
			t.Errorf("USCC %s: %s", s, got)
		}
	}
	for _, s := range ids.Luhn {
		if bankCard(s[:len(s)-1]) != s {
			t.Errorf("bank card %s: %s", s, bankCard(s[:len(s)-1]))
		}
	}
}

func TestNobodyIsReal(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range People() {
		if !strings.HasPrefix(p.ResidentID, "22") || p.ResidentID[4:6] != "00" || residentID(p.ResidentID[:17]) != p.ResidentID {
			t.Errorf("%s: a number that may have been issued, or with a wrong check character", p.ResidentID)
		}
		if _, err := time.Parse(time.DateOnly, p.Birth); err != nil || p.ResidentID[6:14] != strings.ReplaceAll(p.Birth, "-", "") {
			t.Errorf("%s: born %s, %v", p.ResidentID, p.Birth, err)
		}
		if !strings.HasPrefix(p.Mobile, "1380000") || len(p.Mobile) != 11 || len(p.BankCard) != 19 {
			t.Errorf("%s %s", p.Mobile, p.BankCard)
		}
		for kind, v := range map[string]string{mask.KindName: p.Name, mask.KindResidentID: p.ResidentID, mask.KindMobile: p.Mobile, mask.KindEmail: p.Email,
			mask.KindBankCard: p.BankCard, mask.KindPlate: p.Plate, mask.KindPassport: p.Passport, mask.KindAddress: p.Address} {
			if got := mask.ByKind(kind, v); got == "****" || got == v {
				t.Errorf("the mask of %s does not recognise %s", kind, v)
			}
		}
		if seen[p.ResidentID] || seen[p.Mobile] {
			t.Errorf("%s stands twice", p.ResidentID)
		}
		seen[p.ResidentID], seen[p.Mobile] = true, true
	}
	for _, e := range Enterprises() {
		if e.USCC[8:13] != "MADEM" || seen[e.USCC] {
			t.Errorf("%s", e.USCC)
		}
		seen[e.USCC] = true
	}
}
