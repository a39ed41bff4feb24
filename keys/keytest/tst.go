package keytest

import (
	"encoding/asn1"
	"math/big"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// timestamp is a sound item of type tst under cert, changed by change.
func (e *env) timestamp(cert *gm.Certificate, change func(*gm.TSTInfo)) []byte {
	e.Helper()
	imprint := gm.SM3([]byte("signature"))
	i := &gm.TSTInfo{Policy: asn1.ObjectIdentifier{1, 2, 3, 4}, HashOID: gm.OIDSM3, Imprint: imprint[:], Serial: big.NewInt(7),
		Time: e.clock.Now().Add(250 * time.Millisecond), Accuracy: time.Second, Nonce: big.NewInt(99), TSA: gm.DirectoryName(cert.RawSubject)}
	if change != nil {
		change(i)
	}
	var item []byte
	_, err := gm.CreateTimestampToken(i, []*gm.Certificate{cert}, true, func(info, attrs []byte) ([]byte, error) {
		item = must[[]byte](e)(gm.TSTItem(info, attrs))
		return nil, errCaptured
	})
	if item == nil {
		e.Fatalf("nothing was to be signed: %v", err)
	}
	return item
}

func testTimestamps(e *env) {
	info := e.create("tsa", keys.TSA)
	cert := info.Versions[0].Certificate
	for _, change := range []func(*gm.TSTInfo){nil, func(i *gm.TSTInfo) { i.Nonce, i.TSA, i.Accuracy = nil, nil, 0 }} {
		item := e.timestamp(cert, change)
		s, err := e.sign("tsa", keys.TypeTST, 1, item)
		e.verified(info, item, s, err)
	}
	other := e.outside.CertifyAs(templateFor(keys.TSA), newKey(e).Public())
	with := func(change func(*gm.TSTInfo)) []byte { return e.timestamp(cert, change) }
	tst, attrs, _ := gm.SplitTSTItem(with(nil))
	later, _, _ := gm.SplitTSTItem(with(func(i *gm.TSTInfo) { i.Time = i.Time.Add(time.Second) }))
	join := func(info, attrs []byte) []byte { return must[[]byte](e)(gm.TSTItem(info, attrs)) }
	for name, c := range map[string]struct {
		item []byte
		want error
	}{
		"of yesterday":                 {with(func(i *gm.TSTInfo) { i.Time = i.Time.AddDate(0, 0, -1) }), keys.ErrClock},
		"of tomorrow":                  {with(func(i *gm.TSTInfo) { i.Time = i.Time.AddDate(0, 0, 1) }), keys.ErrClock},
		"another certificate":          {e.timestamp(other, nil), keys.ErrItem},
		"another name":                 {with(func(i *gm.TSTInfo) { i.TSA = gm.DirectoryName(e.outside.Root.RawSubject) }), keys.ErrItem},
		"attributes of another":        {join(later, attrs), keys.ErrItem},
		"attributes alone":             {attrs, keys.ErrItem},
		"TSTInfo alone":                {tst, keys.ErrItem},
		"not SM3":                      {with(func(i *gm.TSTInfo) { i.HashOID = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1} }), keys.ErrItem},
		"a short imprint":              {with(func(i *gm.TSTInfo) { i.Imprint = i.Imprint[:31] }), keys.ErrItem},
		"serial number zero":           {with(func(i *gm.TSTInfo) { i.Serial = new(big.Int) }), keys.ErrItem},
		"a very long serial number":    {with(func(i *gm.TSTInfo) { i.Serial = new(big.Int).Lsh(big.NewInt(1), 159) }), keys.ErrItem},
		"an accuracy that says little": {with(func(i *gm.TSTInfo) { i.Accuracy = time.Hour }), keys.ErrItem},
		"trailing byte":                {append(with(nil), 0), keys.ErrItem},
		"any other attributes":         {join(tst, []byte{0x31, 0}), keys.ErrItem},
	} {
		s, err := e.sign("tsa", keys.TypeTST, 1, c.item)
		e.refused(name, c.want, s, err)
	}
}
