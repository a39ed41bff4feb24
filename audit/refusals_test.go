package audit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestRefusalsOfOneSecondMakeOneRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Record
		var fail atomic.Bool
		r := &Refusals{counts: map[string]int64{}, append: func(_ context.Context, rec Record) (Receipt, error) {
			if fail.Load() {
				return Receipt{}, errors.New("full")
			}
			if err := rec.check(); err != nil {
				t.Errorf("the ledger would refuse it: %v", err)
			}
			got = append(got, rec)
			return Receipt{}, nil
		}}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		for range 1000 {
			r.Add("SG-AUTHN-TIME")
		}
		r.Add("SG-HTTP-LINE")
		time.Sleep(1100 * time.Millisecond)
		time.Sleep(5 * time.Second) // nothing refused, nothing written
		fail.Store(true)
		r.Add("SG-AUTHN-TIME")
		time.Sleep(3 * time.Second)
		fail.Store(false)
		r.Add("SG-AUTHN-TIME")
		time.Sleep(time.Second)
		r.Add("SG-AUTHN-TIME")
		cancel()
		must(t, <-done)
		want := "[{SG-AUTHN-TIME 1000} {SG-HTTP-LINE 1}] 1001; [{SG-AUTHN-TIME 2}] 2; [{SG-AUTHN-TIME 1}] 1; "
		var text strings.Builder
		for _, rec := range got {
			n, _ := rec.Rows.Value()
			fmt.Fprintf(&text, "%v %d; ", rec.Counts, n)
		}
		if text.String() != want {
			t.Errorf("got  %s\nwant %s", text.String(), want)
		}
	})
}

func TestRefusalsTakeBoundedRoomWhateverTheCodes(t *testing.T) {
	c, _ := fill(t, 0, nil)
	l, err := Open(c)
	must(t, err)
	r := NewRefusals(l)
	for i := range 10_000 {
		r.Add(fmt.Sprintf("SG-X-%d", i))
		r.Add(fmt.Sprintf("not a code %d", i))
	}
	if len(r.counts) > MaxCounts {
		t.Fatalf("%d codes are kept", len(r.counts))
	}
	must(t, r.flush(context.Background()))
	must(t, l.Close())
	for e, err := range Query(c.Dir, Filter{Type: string(AdminRefused)}) {
		must(t, err)
		if n, _ := e.Rows.Value(); n != 20_000 || e.Outcome != Denied {
			t.Errorf("record %s", e.Raw)
		}
	}
	verifyOK(t, c, 1)
}

func TestSubjectsAreKeyedAndSpellingsMeet(t *testing.T) {
	x := NewSubjectIndex([]byte("one key"))
	for _, same := range [][3]string{
		{"resident_id", "22010219900307001x", "２２０１０２ 19900307001X"},
		{"mobile", "13800000000", "+86 138-0000-0000"},
		{"mobile", "13800000000", "0086 13800000000"},
		{"mobile", "13800000000", "8613800000000"},
		{"plate", "吉a12345", " 吉A·12345\u3000"},
		{"bank_card", "6222021000000000009", "6222 0210 0000\u200b0000-009"},
		{"email", "zhang-san@example.cn", "Zhang-San@Example.cn"},
		{"name", "张三", "张\u00a0三"},
	} {
		if x.Token(same[0], same[1]) != x.Token(same[0], same[2]) {
			t.Errorf("%v differ", same)
		}
	}
	if x.Token("mobile", "86138000000") != x.Token("mobile", "86-138000000") || NormaliseSubject("mobile", "86138000000") != "86138000000" {
		t.Error("a number that begins with 86 lost it")
	}
	if x.Token("email", "zhang-san@example.cn") == x.Token("email", "zhangsan@example.cn") {
		t.Error("two e-mail addresses are one")
	}
	seen := map[string]bool{}
	for _, s := range []string{x.Token("a", "b"), x.Token("ab", ""), x.Token("", "ab"), x.Token("b", "a"), NewSubjectIndex([]byte("other")).Token("a", "b")} {
		if seen[s] || !isDigest(s) {
			t.Errorf("token %s twice, or no digest", s)
		}
		seen[s] = true
	}
}

func TestSubjectsBeyondAThousandAreCounted(t *testing.T) {
	s := NewSubjectIndex([]byte("k")).Collect()
	for range 2 {
		for i := range MaxSubjects {
			s.Add("mobile", fmt.Sprint(i))
		}
	}
	r := testRecord(1)
	s.Into(&r)
	if len(r.Subject) != MaxSubjects || r.SubjectMore != (Number{}) {
		t.Fatalf("%d subjects, more %v", len(r.Subject), r.SubjectMore)
	}
	s.Add("mobile", "another")
	s.Add("mobile", "7")
	s.Into(&r)
	if n, ok := r.SubjectMore.Value(); !ok || n != 1 || r.check() != nil {
		t.Errorf("more %d, %v, %v", n, ok, r.check())
	}
}
