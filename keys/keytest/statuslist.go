package keytest

import (
	"bytes"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/trust"
)

// statusList is a sound item of type statuslist, changed by change.
func (e *env) statusList(change func(*trust.SealStatus)) []byte {
	e.Helper()
	now := e.clock.Now()
	s := trust.SealStatus{Name: "test-seals", Number: 3, Issued: now, Next: now.Add(24 * time.Hour), Makers: [][gm.DigestSize]byte{e.outside.Maker.Fingerprint()},
		Revoked: []trust.SealEntry{{ID: "22010000000001", Since: now.Add(-time.Hour), Reason: "cancelled"}}}
	if change != nil {
		change(&s)
	}
	return must[[]byte](e)(s.Canonical())
}

func testStatusLists(e *env) {
	info := e.create("list", keys.Licence)
	item := e.statusList(nil)
	s, err := e.sign("list", keys.TypeStatusList, 1, item)
	e.verified(info, item, s, err)
	now := e.clock.Now()
	for name, c := range map[string]struct {
		item []byte
		want error
	}{
		"of yesterday": {e.statusList(func(s *trust.SealStatus) { s.Issued = now.AddDate(0, 0, -1) }), keys.ErrClock},
		"of tomorrow":  {e.statusList(func(s *trust.SealStatus) { s.Issued, s.Next = now.AddDate(0, 0, 1), now.AddDate(0, 0, 2) }), keys.ErrClock},
		"for a year":   {e.statusList(func(s *trust.SealStatus) { s.Next = now.AddDate(1, 0, 0) }), keys.ErrClock},
		"begins later": {e.statusList(func(s *trust.SealStatus) { s.Revoked[0].Since = now.AddDate(0, 0, 1) }), keys.ErrItem},
		"ends later":   {e.statusList(func(s *trust.SealStatus) { s.Revoked[0].Until = now.AddDate(0, 0, 1) }), keys.ErrItem},
		"another kind": {bytes.Replace(item, []byte(`"kind":"seals"`), []byte(`"kind":"other"`), 1), keys.ErrItem},
		"with a space": {bytes.Replace(item, []byte(`,"kind"`), []byte(`, "kind"`), 1), keys.ErrItem},
		"behind":       {append(bytes.Clone(item), '\n'), keys.ErrItem},
	} {
		s, err := e.sign("list", keys.TypeStatusList, 1, c.item)
		e.refused(name, c.want, s, err)
	}
}
