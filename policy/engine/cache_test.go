package engine

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/rego"
)

func TestSecondCallIsAnsweredFromTheCacheWithAnIDOfItsOwn(t *testing.T) {
	e := shippedEngine(t)
	req := request()
	first, second := e.Decide(context.Background(), req), e.Decide(context.Background(), req)
	if first.Cached || !second.Cached || !second.Allow || first.ID == second.ID || !maps.Equal(first.Actions, second.Actions) ||
		len(second.Obligations) != len(first.Obligations) || second.Revision != first.Revision {
		t.Errorf("%+v\n%+v", first, second)
	}
}

// TestCacheKeyHoldsEverythingThatTheStableStageSees changes one thing at a
// time: none may be answered by the decision that was remembered for another.
func TestCacheKeyHoldsEverythingThatTheStableStageSees(t *testing.T) {
	for name, change := range map[string]func(*Request){
		"system":      func(r *Request) { r.Caller.System = "other" },
		"department":  func(r *Request) { r.Caller.Department = "other" },
		"uscc":        func(r *Request) { r.Caller.USCC = "other" },
		"region":      func(r *Request) { r.Caller.Region = "220100" },
		"level":       func(r *Request) { r.Caller.Level = "city" },
		"zone":        func(r *Request) { r.Caller.Zone = "internet" },
		"auth":        func(r *Request) { r.Caller.Auth = "hmac" },
		"certificate": func(r *Request) { r.Caller.CertSerial = "0a" },
		"interface":   func(r *Request) { i := *r.Interface; r.Interface = &i },
		"grant":       func(r *Request) { g := *r.Grant; r.Grant = &g },
		"item":        func(r *Request) { i := *r.Item; r.Item = &i },
		"scenario":    func(r *Request) { r.Scenario = &policy.Scenario{ID: "s"} },
		"purpose": func(r *Request) {
			r.Purpose = "另一个用途"
			r.Grant.Purposes = append(r.Grant.Purposes, r.Purpose)
		},
		"catalogue": func(r *Request) { r.Catalogue = "c2" },
	} {
		e := shippedEngine(t)
		req := request()
		change(&req) // before the grant is converted, which happens once
		before := request()
		before.Interface, before.Grant, before.Item = req.Interface, req.Grant, req.Item
		switch name {
		case "interface", "grant", "item":
			before = request()
		}
		if d := e.Decide(context.Background(), before); !d.Allow {
			t.Fatalf("%s: %+v", name, d)
		}
		if d := e.Decide(context.Background(), req); d.Cached {
			t.Errorf("%s is not part of the key", name)
		}
	}
}

func TestDecisionIsForgottenAtTheEndOfTheGrant(t *testing.T) {
	e := shippedEngine(t)
	req := request()
	e.Decide(context.Background(), req)
	req.At = req.Until.Add(-1)
	if d := e.Decide(context.Background(), req); !d.Cached {
		t.Error("forgotten too early")
	}
	req.At = req.Until
	if d := e.Decide(context.Background(), req); d.Cached {
		t.Error("remembered beyond the grant")
	}
	req = request()
	req.Until = time.Time{}
	e = shippedEngine(t)
	e.Decide(context.Background(), req)
	if d := e.Decide(context.Background(), req); d.Cached {
		t.Error("a grant without end was remembered")
	}
}

func TestAnotherCatalogueRevisionDropsEverything(t *testing.T) {
	e := shippedEngine(t)
	req := request()
	e.Decide(context.Background(), req)
	next := request()
	next.Catalogue = "c2"
	e.Decide(context.Background(), next)
	if n := e.cache.len(); n != 1 {
		t.Errorf("%d decisions", n)
	}
	if d := e.Decide(context.Background(), req); d.Cached {
		t.Error("a decision of another catalogue was remembered")
	}
}

func TestRefusalsAreNotRemembered(t *testing.T) {
	e := shippedEngine(t)
	req := request()
	for i := range 100 {
		req.Purpose = fmt.Sprint(i)
		e.Decide(context.Background(), req)
	}
	if n := e.cache.len(); n != 0 {
		t.Errorf("%d refusals were remembered", n)
	}
}

func TestCacheIsBounded(t *testing.T) {
	e := engineOf(t, Config{Modules: rego.Modules(), Budget: patience, CacheSize: 64})
	req := request()
	for i := range 1000 {
		req.Caller.CertSerial = fmt.Sprint(i)
		if d := e.Decide(context.Background(), req); !d.Allow {
			t.Fatal(d)
		}
	}
	if n := e.cache.len(); n == 0 || n > 64 {
		t.Errorf("%d decisions in a cache of 64", n)
	}
	off := engineOf(t, Config{Modules: rego.Modules(), Budget: patience, CacheSize: -1})
	for range 3 {
		if d := off.Decide(context.Background(), request()); d.Cached {
			t.Error("a cache that is switched off answered")
		}
	}
}

func TestConvertedObjectsAreBounded(t *testing.T) {
	var b bounded[int, int]
	for i := range maxTerms + 100 {
		if v, err := b.get(i, func(k int) (int, error) { return k + 1, nil }); err != nil || v != i+1 {
			t.Fatal(v, err)
		}
	}
	if len(b.m) != maxTerms {
		t.Errorf("%d", len(b.m))
	}
}

func TestEngineIsSafeForConcurrentUse(t *testing.T) {
	e := hoursEngine(t)
	var wg sync.WaitGroup
	base := request()
	for w := range 8 {
		wg.Go(func() {
			for i := range 60 {
				req := base
				req.Caller.CertSerial = fmt.Sprint(i % 7)
				req.Catalogue = fmt.Sprint(i / 20)
				req.Caller.Zone = []string{"extranet", "internet"}[w%2]
				req.Call = &policy.CallInput{Time: policy.CallTime{Hour: 9 + i%12, Workday: true}}
				want := w%2 == 0 || 9+i%12 < 18
				if d := e.Decide(context.Background(), req); d.Allow != want {
					t.Errorf("%+v, want %v", d, want)
					return
				}
			}
		})
	}
	wg.Wait()
}
