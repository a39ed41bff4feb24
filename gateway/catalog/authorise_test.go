package catalog

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/problem"
)

const benefitItem = ItemCode("11220000013544541J3000117002011")

func question(s *Snapshot) Question {
	return Question{System: s.System("rs-benefit"), Interface: s.Interface("pop.person.query"), Item: benefitItem,
		IP: netip.MustParseAddr("127.0.0.1"), Zone: ZoneExtranet, At: time.Date(2026, 6, 1, 4, 0, 0, 0, time.UTC)}
}

func TestAuthoriseReturnsTheGrantThatCoversTheCall(t *testing.T) {
	s := load(t, good(t))
	g, r := s.Authorise(context.Background(), question(s), &MemoryQuotas{})
	if r != nil || g == nil || g.ID != "g-rs-pop" {
		t.Fatalf("%v %v", g, r)
	}
}

func TestAuthoriseRefusesBeforeAnyPolicyIsAsked(t *testing.T) {
	text := good(t)
	for _, c := range []struct {
		name     string
		old, new string
		change   func(s *Snapshot, q *Question)
		code     string
	}{
		{"no grant for the interface", "", "", func(s *Snapshot, q *Question) { q.System = s.System("sc-licence") }, "SG-AUTHZ-NO-GRANT"},
		{"item outside the grant", "", "", func(_ *Snapshot, q *Question) { q.Item = "other" }, "SG-AUTHZ-ITEM"},
		{"no item named", "", "", func(_ *Snapshot, q *Question) { q.Item = "" }, "SG-AUTHZ-ITEM"},
		{"suspended", "quota: {per_second: 50, per_day: 100000}", "status: suspended", nil, "SG-AUTHZ-GRANT-STATUS"},
		{"revoked", "quota: {per_second: 50, per_day: 100000}", "status: revoked", nil, "SG-AUTHZ-GRANT-STATUS"},
		{"expired by status", "quota: {per_second: 50, per_day: 100000}", "status: expired", nil, "SG-AUTHZ-GRANT-STATUS"},
		{"before the term", "", "", func(_ *Snapshot, q *Question) { q.At = time.Date(2025, 12, 31, 15, 59, 59, 0, time.UTC) }, "SG-AUTHZ-GRANT-TERM"},
		{"after the term", "", "", func(_ *Snapshot, q *Question) { q.At = time.Date(2027, 12, 31, 16, 0, 0, 0, time.UTC) }, "SG-AUTHZ-GRANT-TERM"},
		{"address outside the system's", "", "", func(_ *Snapshot, q *Question) { q.IP = netip.MustParseAddr("10.0.0.1") }, "SG-AUTHZ-ADDRESS"},
		{"address outside the grant's", "quota: {per_second: 50, per_day: 100000}", "cidrs: [127.9.0.0/16]", nil, "SG-AUTHZ-ADDRESS"},
		{"no address", "", "", func(_ *Snapshot, q *Question) { q.IP = netip.Addr{} }, "SG-AUTHZ-ADDRESS"},
		{"zone not named", "", "", func(_ *Snapshot, q *Question) { q.Zone = ZoneInternet }, "SG-AUTHZ-ZONE"},
		{"zone unknown", "", "", func(_ *Snapshot, q *Question) { q.Zone = "" }, "SG-AUTHZ-ZONE"},
		{"system suspended", "department: rs\n    sm2_public_key", "department: rs\n    status: suspended\n    sm2_public_key", nil, "SG-ROUTE-NOT-FOUND"},
		{"nobody", "", "", func(_ *Snapshot, q *Question) { q.System = nil }, "SG-ROUTE-NOT-FOUND"},
		{"no interface", "", "", func(_ *Snapshot, q *Question) { q.Interface = nil }, "SG-ROUTE-NOT-FOUND"},
		{"share class none", "share: authorised # class", "share: none", nil, "SG-ROUTE-NOT-FOUND"},
	} {
		t.Run(c.name, func(t *testing.T) {
			changed := text
			if c.old != "" {
				changed = replace(t, text, c.old, c.new)
			}
			s := load(t, changed)
			q := question(s)
			if c.change != nil {
				c.change(s, &q)
			}
			g, r := s.Authorise(context.Background(), q, &MemoryQuotas{})
			if g != nil || r == nil || r.Code() != c.code || r.Reason.Code != c.code {
				t.Fatalf("got %v %+v, want %s", g, r, c.code)
			}
			if !problem.Known(r.Code()) || r.Reason.ZH == "" || r.Error() == "" {
				t.Errorf("reason: %+v", r.Reason)
			}
			if strings.HasPrefix(c.code, "SG-AUTHZ") && (r.Reason.FixZH == "" || r.Reason.FixEN == "") {
				t.Errorf("says not what to do: %+v", r.Reason)
			}
		})
	}
}

func TestQuotaPerSecondIsARate(t *testing.T) {
	var m MemoryQuotas
	at := time.Date(2026, 6, 1, 4, 0, 0, 0, time.UTC)
	take := func(at time.Time) Spent {
		s, wait, err := m.Take(context.Background(), "g", Quota{PerSecond: 5}, at)
		if err != nil || (s == NotSpent) != (wait == 0) {
			t.Fatalf("%v %v %v", s, wait, err)
		}
		return s
	}
	for i := range 5 {
		if take(at) != NotSpent {
			t.Fatalf("call %d of a burst of 5", i)
		}
	}
	if take(at) != PerSecondSpent {
		t.Fatal("the sixth call in one instant passed")
	}
	if take(at.Add(199*time.Millisecond)) != PerSecondSpent || take(at.Add(200*time.Millisecond)) != NotSpent {
		t.Fatal("one call comes back every 200 ms")
	}
	if take(at.Add(-time.Hour)) != PerSecondSpent {
		t.Fatal("a clock that goes back gave calls back")
	}
}

func TestQuotaPerDayEndsAtMidnightInShanghai(t *testing.T) {
	var m MemoryQuotas
	last := time.Date(2026, 6, 1, 15, 59, 0, 0, time.UTC) // 23:59 +08:00
	for i := range 4 {
		s, wait, _ := m.Take(context.Background(), "g", Quota{PerDay: 3}, last)
		if want := map[bool]Spent{true: NotSpent, false: PerDaySpent}[i < 3]; s != want {
			t.Fatalf("call %d: %v", i, s)
		} else if s == PerDaySpent && wait != time.Minute {
			t.Fatalf("wait %v", wait)
		}
	}
	if s, _, _ := m.Take(context.Background(), "g", Quota{PerDay: 3}, last.Add(time.Minute)); s != NotSpent {
		t.Fatal("the next day does not begin anew")
	}
	if s, _, _ := m.Take(context.Background(), "h", Quota{PerDay: 1}, last); s != NotSpent {
		t.Fatal("grants share a counter")
	}
	if s, _, _ := m.Take(context.Background(), "g", Quota{PerDay: 3}, last); s != NotSpent {
		t.Fatal("a clock that goes back")
	}
	if s, _, _ := m.Take(context.Background(), "g", Quota{PerDay: 2}, last); s != PerDaySpent {
		t.Fatal("a clock that goes back gave calls back")
	}
}

func TestQuotaIsExactUnderConcurrency(t *testing.T) {
	var m MemoryQuotas
	var passed atomic.Int64
	var wg sync.WaitGroup
	at := time.Date(2026, 6, 1, 4, 0, 0, 0, time.UTC)
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if s, _, _ := m.Take(context.Background(), "g", Quota{PerDay: 333}, at); s == NotSpent {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if passed.Load() != 333 {
		t.Errorf("%d of 333 passed", passed.Load())
	}
}

type stubQuotas struct {
	spent Spent
	wait  time.Duration
	err   error
	calls int
}

func (s *stubQuotas) Take(context.Context, GrantID, Quota, time.Time) (Spent, time.Duration, error) {
	s.calls++
	return s.spent, s.wait, s.err
}

func TestAuthoriseRefusesWhenTheQuotaIsSpentOrUnknown(t *testing.T) {
	s := load(t, good(t))
	for _, c := range []struct {
		name  string
		q     Quotas
		code  string
		retry int
	}{
		{"rate", &stubQuotas{spent: PerSecondSpent, wait: 20 * time.Millisecond}, "SG-LIMIT-RATE", 1},
		{"day", &stubQuotas{spent: PerDaySpent, wait: 90 * time.Second}, "SG-LIMIT-QUOTA", 90},
		{"store down", &stubQuotas{spent: NotSpent, err: errors.New("down")}, "SG-STOP-STATE", 0},
		{"answer without meaning", &stubQuotas{}, "SG-STOP-STATE", 0},
		{"no counter at all", nil, "SG-STOP-STATE", 0},
	} {
		g, r := s.Authorise(context.Background(), question(s), c.q)
		if g != nil || r == nil || r.Code() != c.code || r.RetryAfter() != c.retry {
			t.Errorf("%s: %v %+v", c.name, g, r)
		}
	}
}

func TestRefusedCallsDoNotCountAgainstTheQuota(t *testing.T) {
	s := load(t, good(t))
	q := question(s)
	q.Zone = ZoneInternet
	stub := &stubQuotas{spent: NotSpent}
	if _, r := s.Authorise(context.Background(), q, stub); r == nil || stub.calls != 0 {
		t.Errorf("%v, %d calls counted", r, stub.calls)
	}
}
