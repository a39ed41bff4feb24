package keytest

import (
	"math/big"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

func testOCSP(e *env) {
	info := e.create("ca", keys.CA)
	cert := info.Versions[0].Certificate
	now := e.clock.Now()
	answer := func(ca *gm.Certificate, change func(*gm.ResponseData)) []byte {
		d := gm.ResponseData{ProducedAt: now, Nonce: []byte("0123456789abcdef"), Statuses: []gm.OCSPStatus{
			{ID: gm.NewCertID(ca, big.NewInt(5)), State: gm.CertGood, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
			{ID: gm.NewCertID(ca, big.NewInt(6)), State: gm.CertRevoked, RevokedAt: now.Add(-time.Hour), Reason: 4, ThisUpdate: now, NextUpdate: now.Add(time.Hour)},
		}}
		change(&d)
		return Captured(e, func(sign gm.SignFunc) error {
			_, err := gm.CreateOCSPResponse(d, ca, ca, sign)
			return err
		})
	}
	for _, change := range []func(*gm.ResponseData){func(*gm.ResponseData) {}, func(d *gm.ResponseData) { d.Nonce, d.Statuses = nil, d.Statuses[:1] }} {
		tbs := answer(cert, change)
		for _, ty := range []keys.Type{keys.TypeX509, keys.TypeRevocation} {
			s, err := e.sign("ca", ty, 1, tbs)
			e.verified(info, tbs, s, err)
		}
	}
	with := func(change func(*gm.ResponseData)) []byte { return answer(cert, change) }
	for name, c := range map[string]struct {
		tbs  []byte
		want error
	}{
		"another CA":                   {answer(e.outside.Root, func(*gm.ResponseData) {}), keys.ErrCertificate},
		"about another's certificates": {with(func(d *gm.ResponseData) { d.Statuses[1].ID = gm.NewCertID(e.outside.Root, big.NewInt(1)) }), keys.ErrCertificate},
		"produced yesterday":           {with(func(d *gm.ResponseData) { d.ProducedAt = now.AddDate(0, 0, -1) }), keys.ErrItem},
		"produced tomorrow":            {with(func(d *gm.ResponseData) { d.ProducedAt = now.AddDate(0, 0, 1) }), keys.ErrClock},
		"an old answer":                {with(func(d *gm.ResponseData) { d.Statuses[0].ThisUpdate = now.AddDate(0, 0, -1) }), keys.ErrClock},
		"an answer without an end":     {with(func(d *gm.ResponseData) { d.Statuses[0].NextUpdate = time.Time{} }), keys.ErrItem},
		"an answer for a year":         {with(func(d *gm.ResponseData) { d.Statuses[0].NextUpdate = now.AddDate(1, 0, 0) }), keys.ErrClock},
		"revoked in future":            {with(func(d *gm.ResponseData) { d.Statuses[1].RevokedAt = now.AddDate(0, 1, 0) }), keys.ErrItem},
		"trailing byte":                {append(with(func(*gm.ResponseData) {}), 0), keys.ErrItem},
	} {
		s, err := e.sign("ca", keys.TypeX509, 1, c.tbs)
		e.refused(name, c.want, s, err)
	}
	must[keys.Info](e)(e.b.Create(e.ctx, "young", keys.CA))
	s, err := e.sign("young", keys.TypeX509, 1, with(func(*gm.ResponseData) {}))
	e.refused("a CA without certificate", keys.ErrVersion, s, err)
}
