package pki_test

import (
	"sync"
	"testing"

	"github.com/sealgate/sealgate/keys/pki"
)

// Many ask at once while something is revoked and the lists are renewed beside
// them: nobody gets a list that is older than one he had.
func TestManyAskersSeeListsInTheirOrder(t *testing.T) {
	p := publish(t)
	lists := p.kept(t, "", nil)
	x, err := pki.NewPublisher([]pki.Published{{Name: "root", ListPath: "/root.crl", Lists: lists}})
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			last := int64(0)
			for range 50 {
				l, err := lists.Current(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				if n := l.Number.Int64(); n < last {
					t.Errorf("list %d after %d", n, last)
				} else {
					last = n
				}
				x.States()
				x.Degraded(p.clock.Now())
			}
		})
	}
	for _, reason := range []int{6, 1} {
		p.revoke(t, reason)
		if err := x.Renew(t.Context()); err != nil {
			t.Error(err)
		}
	}
	all.Wait()
	if l := current(t, lists); len(l.Revoked) != 1 || l.Revoked[0].Reason != 1 {
		t.Errorf("%+v", l.Revoked)
	}
}
