package keytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/seal/ses"
)

// sound returns an item of the type that info's purpose signs, or nil when
// the engine does not serve that type yet.
func (e *env) sound(info keys.Info, salt byte) []byte {
	e.Helper()
	v := must[keys.Version](e)(info.Newest())
	switch info.Purpose {
	case keys.Seal:
		return DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(v.Certificate)), salt))
	case keys.SealMaker:
		i := e.outside.SealInfo(e.outside.Certify(newKey(e).Public()))
		i.ID = fmt.Sprintf("2201%d", salt)
		return DER(e, i)
	case keys.Checkpoint:
		return e.checkpoint(uint64(salt))
	case keys.CA:
		return e.leafTBS(v.Certificate, templateFor(keys.Seal))
	case keys.Licence:
		return e.statusList(func(s *trust.SealStatus) { s.Number = uint64(salt) })
	case keys.Policy:
		return e.statement(v.Certificate, func(s *policy.Statement) { s.Manifest.Sequence = uint64(salt) + 2 })
	case keys.TSA:
		return e.timestamp(v.Certificate, func(i *gm.TSTInfo) { i.Serial.SetInt64(int64(salt) + 1) })
	}
	return nil
}

func (e *env) checkpoint(size uint64) []byte { return e.checkpointAt(size, e.clock.Now()) }

func (e *env) checkpointAt(size uint64, at time.Time) []byte {
	e.Helper()
	return must[[]byte](e)(audit.Checkpoint{Log: "test-log", Size: size, Root: gm.SM3([]byte{byte(size)}), Time: at}.Canonical())
}

func testPurposes(e *env) {
	infos := map[keys.Purpose]keys.Info{}
	items := map[keys.Type][]byte{}
	for _, p := range keys.Purposes() {
		infos[p] = e.create(keys.Name("k-"+string(p)), p)
		items[p.Signs()] = e.sound(infos[p], 7)
	}
	items[keys.TypeRevocation] = e.emptyList(infos[keys.CA].Versions[0].Certificate)
	for _, p := range keys.Purposes() {
		for _, ty := range keys.Types() {
			item := items[ty]
			if item == nil {
				item = []byte("{}")
			}
			s, err := e.sign(infos[p].Name, ty, 1, item)
			switch {
			case !p.Allows(ty):
				e.refused(fmt.Sprintf("%s signs %s", p, ty), keys.ErrPurpose, s, err)
			case items[ty] == nil:
				e.refused(fmt.Sprintf("%s is not served", ty), keys.ErrType, s, err)
			default:
				e.verified(infos[p], item, s, err)
			}
			// The right label on the wrong structure.
			if p.Allows(ty) {
				for other, wrong := range items {
					if ty == keys.TypeX509 && other == keys.TypeRevocation {
						continue // the part of it that has a name of its own
					}
					if other != ty && wrong != nil {
						s, err := e.sign(infos[p].Name, ty, 1, wrong)
						if err == nil || len(s.Value) > 0 {
							e.Errorf("%s: signed a structure of type %s as %s", p, other, ty)
						}
					}
				}
			}
		}
	}
}

func testRequests(e *env) {
	info := e.create("c", keys.Checkpoint)
	item := e.sound(info, 1)
	good := keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: "ok"}
	for name, c := range map[string]struct {
		change func(*keys.Request)
		want   error
	}{
		"no type":             {func(q *keys.Request) { q.Type = "" }, keys.ErrType},
		"raw":                 {func(q *keys.Request) { q.Type = "raw" }, keys.ErrType},
		"no version":          {func(q *keys.Request) { q.KeyVersion = 0 }, keys.ErrRequest},
		"negative version":    {func(q *keys.Request) { q.KeyVersion = -1 }, keys.ErrRequest},
		"a version not there": {func(q *keys.Request) { q.KeyVersion = 2 }, keys.ErrVersion},
		"no item":             {func(q *keys.Request) { q.Item = nil }, keys.ErrRequest},
		"a digest":            {func(q *keys.Request) { q.Item = make([]byte, 32) }, keys.ErrItem},
		"a huge item":         {func(q *keys.Request) { q.Item = make([]byte, keys.MaxItemSize+1) }, keys.ErrRequest},
		"a long id":           {func(q *keys.Request) { q.ID = strings.Repeat("x", keys.MaxID+1) }, keys.ErrRequest},
		"a space in the id":   {func(q *keys.Request) { q.ID = "a b" }, keys.ErrRequest},
		"a newline in the id": {func(q *keys.Request) { q.ID = "a\n" }, keys.ErrRequest},
	} {
		q := good
		c.change(&q)
		s, err := e.b.Key("c").Sign(e.ctx, q)
		e.refused(name, c.want, s, err)
	}
	ctx, cancel := context.WithCancel(e.ctx)
	cancel()
	if s, err := e.b.Key("c").Sign(ctx, good); err == nil || len(s.Value) > 0 {
		e.Error("signed under a context that had ended")
	}
}

func testTBS(e *env) {
	info := e.create("s", keys.Seal)
	cert := info.Versions[0].Certificate
	seal := e.outside.Seal(e.outside.SealInfo(cert))
	tbs := e.outside.TBS(seal, 0)
	item := DER(e, tbs)
	s, err := e.sign("s", keys.TypeTBS, 1, item)
	e.verified(info, item, s, err)

	byDigest := e.outside.SealInfo()
	fp := cert.Fingerprint()
	byDigest.Property.ListType, byDigest.Property.Digests = ses.ListDigests, []ses.CertDigest{{Type: "SM3", Value: fp[:]}}
	sealByDigest := e.outside.Seal(byDigest)
	item = DER(e, e.outside.TBS(sealByDigest, 0))
	s, err = e.sign("s", keys.TypeTBS, 1, item)
	e.verified(info, item, s, err)

	window := e.options.ClockWindow
	refuse := func(what string, want error, item []byte) {
		e.Helper()
		s, err := e.sign("s", keys.TypeTBS, 1, item)
		e.refused(what, want, s, err)
	}
	with := func(f func(*ses.TBS)) []byte {
		t := tbs
		f(&t)
		return DER(e, t)
	}
	sealed := func(f func(*ses.SealInfo)) []byte {
		i := e.outside.SealInfo(cert)
		f(&i)
		return with(func(t *ses.TBS) { t.Seal = e.outside.Seal(i) })
	}
	refuse("a trailing byte", keys.ErrItem, append(bytes.Clone(DER(e, tbs)), 0))
	refuse("a byte cut off", keys.ErrItem, DER(e, tbs)[:len(DER(e, tbs))-1])
	refuse("signed too late", keys.ErrClock, with(func(t *ses.TBS) { t.Time = e.clock.Now().Add(-window - 2*time.Minute) }))
	// time.Time.Sub saturates at 292 years, and the smallest Duration has no negative.
	refuse("signed in the year 26", keys.ErrClock, with(func(t *ses.TBS) { t.Time = t.Time.AddDate(-2000, 0, 0) }))
	refuse("signed in the year 4026", keys.ErrClock, with(func(t *ses.TBS) { t.Time = t.Time.AddDate(2000, 0, 0) }))
	refuse("signed ahead of time", keys.ErrClock, with(func(t *ses.TBS) { t.Time = e.clock.Now().Add(window + 2*time.Minute) }))
	refuse("a seal of somebody else", keys.ErrForeignSeal, sealed(func(i *ses.SealInfo) {
		i.Property.Certs = [][]byte{e.outside.Certify(newKey(e).Public()).Raw}
	}))
	refuse("another certificate over the same key", keys.ErrForeignSeal, sealed(func(i *ses.SealInfo) {
		i.Property.Certs = [][]byte{e.outside.Certify(info.Versions[0].Public).Raw}
	}))
	refuse("a seal that has ended", keys.ErrClock, sealed(func(i *ses.SealInfo) {
		i.Property.NotBefore, i.Property.NotAfter = e.clock.Now().AddDate(-2, 0, 0), e.clock.Now().AddDate(-1, 0, 0)
	}))
	refuse("a seal that has not begun", keys.ErrClock, sealed(func(i *ses.SealInfo) { i.Property.NotBefore = e.clock.Now().AddDate(0, 1, 0) }))
	refuse("a seal that its maker did not sign", keys.ErrItem, with(func(t *ses.TBS) {
		t.Seal = e.outside.SealBy(e.outside.SealInfo(cert), e.outside.Maker, newKey(e))
	}))
	refuse("a seal that names the signer as its maker", keys.ErrForeignSeal, with(func(t *ses.TBS) {
		t.Seal = e.outside.SealBy(e.outside.SealInfo(cert), cert, newKey(e))
	}))
	// No byte that the maker vouches for can be changed. (V4 does not make him
	// vouch for his own certificate; the verifier's trust in it does.)
	for i := 0; i < len(item); i += 13 {
		bad := bytes.Clone(item)
		bad[i] ^= 0x20
		if _, err := e.sign("s", keys.TypeTBS, 1, bad); err == nil {
			if t, err := ses.ParseTBS(bad); err != nil || !bytes.Equal(t.Seal.Info.Raw, sealByDigest.Info.Raw) {
				e.Errorf("byte %d changed: signed", i)
			}
		}
	}
	e.clock.Move(e, 3*365*24*time.Hour)
	later := e.outside.TBS(seal, 0)
	refuse("an expired certificate", keys.ErrExpired, DER(e, later))
}

func testSealInfo(e *env) {
	info := e.create("m", keys.SealMaker)
	signer := e.outside.Certify(newKey(e).Public())
	item := DER(e, e.outside.SealInfo(signer))
	s, err := e.sign("m", keys.TypeSealInfo, 1, item)
	e.verified(info, item, s, err)
	for name, c := range map[string]struct {
		change func(*ses.SealInfo)
		want   error
	}{
		"no signer":      {func(i *ses.SealInfo) { i.Property.Certs = nil }, keys.ErrItem},
		"rubbish signer": {func(i *ses.SealInfo) { i.Property.Certs = [][]byte{{1, 2, 3}} }, keys.ErrItem},
		"himself":        {func(i *ses.SealInfo) { i.Property.Certs = [][]byte{info.Versions[0].Certificate.Raw} }, keys.ErrItem},
		"short digest": {func(i *ses.SealInfo) {
			i.Property.ListType, i.Property.Certs = ses.ListDigests, nil
			i.Property.Digests = []ses.CertDigest{{Type: "SM3", Value: make([]byte, 31)}}
		}, keys.ErrItem},
		"no name":    {func(i *ses.SealInfo) { i.Property.Name = "" }, keys.ErrItem},
		"no id":      {func(i *ses.SealInfo) { i.ID = "" }, keys.ErrItem},
		"no picture": {func(i *ses.SealInfo) { i.Picture.Data = nil }, keys.ErrItem},
		"no size":    {func(i *ses.SealInfo) { i.Picture.Width = 0 }, keys.ErrItem},
		"empty term": {func(i *ses.SealInfo) { i.Property.NotBefore = i.Property.NotAfter }, keys.ErrItem},
		"ended": {func(i *ses.SealInfo) {
			i.Property.NotBefore, i.Property.NotAfter = Start.AddDate(-3, 0, 0), Start.AddDate(-2, 0, 0)
		}, keys.ErrClock},
		"made before": {func(i *ses.SealInfo) { i.Property.Created = i.Property.Created.Add(-time.Hour) }, keys.ErrClock},
	} {
		i := e.outside.SealInfo(signer)
		c.change(&i)
		der, err := i.Marshal()
		if err != nil {
			continue // cannot even be written
		}
		s, err := e.sign("m", keys.TypeSealInfo, 1, der)
		e.refused(name, c.want, s, err)
	}
	whole := e.outside.Seal(e.outside.SealInfo(signer))
	s, err = e.sign("m", keys.TypeSealInfo, 1, whole.Raw)
	e.refused("a whole seal", keys.ErrItem, s, err)
}

func testCheckpoint(e *env) {
	info := e.create("c", keys.Checkpoint)
	item := e.checkpoint(5)
	s, err := e.sign("c", keys.TypeCheckpoint, 1, item)
	e.verified(info, item, s, err)
	for name, c := range map[string]struct {
		item []byte
		want error
	}{
		"white space":   {append([]byte(" "), item...), keys.ErrItem},
		"trailing text": {append(bytes.Clone(item), '\n'), keys.ErrItem},
		"other members": {bytes.Replace(item, []byte(`{`), []byte(`{"a":1,`), 1), keys.ErrItem},
		"member twice":  {bytes.Replace(item, []byte(`"v":1`), []byte(`"v":1,"v":1`), 1), keys.ErrItem},
		"not an object": {[]byte(`"x"`), keys.ErrItem},
		"an old one":    {e.checkpointAt(5, e.clock.Now().Add(-e.options.ClockWindow-2*time.Minute)), keys.ErrClock},
		"one to come":   {e.checkpointAt(5, e.clock.Now().Add(e.options.ClockWindow+2*time.Minute)), keys.ErrClock},
	} {
		s, err := e.sign("c", keys.TypeCheckpoint, 1, c.item)
		e.refused(name, c.want, s, err)
	}
}

func testBatch(e *env) {
	info := e.create("c", keys.Checkpoint)
	key := e.b.Key("c")
	for _, n := range []int{0, keys.MaxBatch + 1} {
		if rs, err := key.SignBatch(e.ctx, make([]keys.Request, n)); !errors.Is(err, keys.ErrBatch) || rs != nil {
			e.Errorf("%d requests: %v", n, err)
		}
	}
	rs := make([]keys.Request, keys.MaxBatch)
	for i := range rs {
		rs[i] = keys.Request{Type: keys.TypeCheckpoint, Item: e.checkpoint(uint64(i)), KeyVersion: 1}
		if i%3 == 0 {
			rs[i].ID = fmt.Sprintf("batch-%d", i)
		}
	}
	rs[10].Item = []byte("rubbish")
	rs[20].KeyVersion = 9
	rs[30].Type = keys.TypeTBS
	want := map[int]error{10: keys.ErrItem, 20: keys.ErrVersion, 30: keys.ErrPurpose}
	out := must[[]keys.Result](e)(key.SignBatch(e.ctx, rs))
	if len(out) != len(rs) {
		e.Fatalf("%d answers", len(out))
	}
	for i, r := range out {
		if w := want[i]; w != nil {
			e.refused(fmt.Sprintf("item %d", i), w, r.Signature, r.Err)
			continue
		}
		e.verified(info, rs[i].Item, r.Signature, r.Err)
	}
	again := must[[]keys.Result](e)(key.SignBatch(e.ctx, rs))
	for i := range rs {
		if same := bytes.Equal(again[i].Signature.Value, out[i].Signature.Value); rs[i].ID != "" && !same {
			e.Errorf("item %d: another answer under the same id", i)
		}
	}
	rs[3].ID, rs[6].ID = "twice", "twice"
	if rs, err := key.SignBatch(e.ctx, rs); !errors.Is(err, keys.ErrBatch) || rs != nil {
		e.Errorf("an id twice in one batch: %v", err)
	}
	if rs, err := e.b.Key("none").SignBatch(e.ctx, rs[:2]); !errors.Is(err, keys.ErrNotFound) || rs != nil {
		e.Errorf("no key: %v", err)
	}
}

func testIdempotency(e *env) {
	info := e.create("c", keys.Checkpoint)
	e.create("d", keys.Checkpoint)
	one, two := e.checkpoint(1), e.checkpoint(2)
	ask := func(name keys.Name, item []byte, version int) (keys.Signature, error) {
		return e.b.Key(name).Sign(e.ctx, keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: version, ID: "use-1"})
	}
	first, err := ask("c", one, 1)
	e.verified(info, one, first, err)
	same := func(what string) {
		e.Helper()
		s, err := ask("c", one, 1)
		if err != nil || !bytes.Equal(s.Value, first.Value) || s.Fingerprint != first.Fingerprint || s.KeyVersion != 1 {
			e.Errorf("%s: another answer: %v", what, err)
		}
	}
	same("at once")
	s, err := ask("c", two, 1)
	e.refused("another item", keys.ErrIdempotency, s, err)
	s, err = ask("c", one, 2)
	e.refused("another version", keys.ErrIdempotency, s, err)
	if s, err := ask("d", one, 1); err != nil || bytes.Equal(s.Value, first.Value) {
		e.Errorf("an id is a key's own: %v", err)
	}
	must[keys.Info](e)(e.b.Rotate(e.ctx, "c"))
	same("after a rotation")
	if e.options.Reopen != nil {
		e.b = e.options.Reopen(e.T, e.b)
		same("after a restart")
		s, err = ask("c", two, 1)
		e.refused("another item after a restart", keys.ErrIdempotency, s, err)
	}
	e.clock.Move(e, 23*time.Hour)
	same("after 23 hours, outside the clock window")
	e.clock.Move(e, 2*time.Hour)
	s, err = ask("c", e.checkpoint(2), 2)
	e.verified(must[keys.Info](e)(e.b.Info(e.ctx, "c")), e.checkpoint(2), s, err)

	// What was refused does not use up its id.
	bad := keys.Request{Type: keys.TypeCheckpoint, Item: []byte("rubbish"), KeyVersion: 2, ID: "use-2"}
	s, err = e.b.Key("c").Sign(e.ctx, bad)
	e.refused("rubbish", keys.ErrItem, s, err)
	bad.Item = e.checkpoint(3)
	if _, err := e.b.Key("c").Sign(e.ctx, bad); err != nil {
		e.Errorf("the id of a refused request is spent: %v", err)
	}
}

func testConcurrentID(e *env) {
	e.create("c", keys.Checkpoint)
	item := e.checkpoint(1)
	const n = 32
	sigs := make([][]byte, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			s, err := e.b.Key("c").Sign(e.ctx, keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: "race"})
			if err != nil {
				e.Error(err)
			}
			sigs[i] = s.Value
		})
	}
	wg.Wait()
	for i := range sigs {
		if !bytes.Equal(sigs[i], sigs[0]) {
			e.Fatal("two different answers under one id")
		}
	}
}
