package keytest

import (
	"crypto/x509/pkix"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

func testBirth(e *env) {
	_, err := e.b.Info(e.ctx, "none")
	e.refused("info of no key", keys.ErrNotFound, keys.Signature{}, err)
	s, err := e.sign("none", keys.TypeTBS, 1, []byte("x"))
	e.refused("sign with no key", keys.ErrNotFound, s, err)
	for _, bad := range []keys.Name{"", "UP", "a/b", "../x"} {
		_, err := e.b.Create(e.ctx, bad, keys.Seal)
		e.refused("create "+string(bad), keys.ErrName, keys.Signature{}, err)
	}
	_, err = e.b.Create(e.ctx, "tls", "tls")
	e.refused("unknown purpose", keys.ErrPurpose, keys.Signature{}, err)

	for _, p := range keys.Purposes() {
		name := keys.Name("k-" + string(p))
		info := must[keys.Info](e)(e.b.Create(e.ctx, name, p))
		wantLive := 1
		if p.CertificateBound() {
			wantLive = 0
		}
		if info.Name != name || info.Purpose != p || info.State != keys.Active || info.Live != wantLive || len(info.Versions) != 1 {
			e.Errorf("%s: unexpected %+v", p, info)
		}
		_, err := e.b.Create(e.ctx, name, keys.Seal)
		e.refused("create again", keys.ErrExists, keys.Signature{}, err)
		again := must[keys.Info](e)(e.b.Key(name).Info(e.ctx))
		if again.Purpose != p || !again.Versions[0].Public.Equal(info.Versions[0].Public) {
			e.Errorf("%s: changed by a second create", p)
		}
	}
	names := must[[]keys.Name](e)(e.b.List(e.ctx))
	if len(names) != len(keys.Purposes()) || !slices.IsSorted(names) {
		e.Errorf("list: %v", names)
	}
}

func testGoesLive(e *env) {
	info := must[keys.Info](e)(e.b.Create(e.ctx, "s", keys.Seal))
	cert := e.outside.Certify(info.Versions[0].Public)
	item := DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(cert)), 0))
	s, err := e.sign("s", keys.TypeTBS, 1, item)
	e.refused("before the certificate", keys.ErrVersion, s, err)
	info = must[keys.Info](e)(e.b.InstallCertificate(e.ctx, "s", 1, []*gm.Certificate{cert}))
	if info.Live != 1 || info.Versions[0].State != keys.Live || !info.Versions[0].Certificate.Equal(cert) {
		e.Fatalf("not live: %+v", info)
	}
	s, err = e.sign("s", keys.TypeTBS, 1, item)
	e.verified(info, item, s, err)
	again := must[keys.Info](e)(e.b.InstallCertificate(e.ctx, "s", 1, []*gm.Certificate{cert}))
	if again.Live != 1 {
		e.Error("installing the same certificate again changed the key")
	}
	_, err = e.b.InstallCertificate(e.ctx, "s", 1, []*gm.Certificate{e.outside.Certify(info.Versions[0].Public)})
	e.refused("a second certificate", keys.ErrCertificate, keys.Signature{}, err)
}

func testUnfitCertificates(e *env) {
	for _, p := range []keys.Purpose{keys.Seal, keys.SealMaker, keys.CA, keys.TSA} {
		name := keys.Name("k-" + string(p))
		info := must[keys.Info](e)(e.b.Create(e.ctx, name, p))
		pub := info.Versions[0].Public
		good := templateFor(p)
		with := func(f func(*gm.Template)) *gm.Certificate {
			t := good
			f(&t)
			return e.outside.CertifyAs(t, pub)
		}
		refuse := func(what string, want error, certs ...*gm.Certificate) {
			e.Helper()
			_, err := e.b.InstallCertificate(e.ctx, name, 1, certs)
			e.refused(string(p)+": "+what, want, keys.Signature{}, err)
		}
		other := newKey(e)
		refuse("nothing", keys.ErrCertificate)
		refuse("another key's", keys.ErrCertificate, e.outside.CertifyAs(good, other.Public()))
		refuse("rubbish", keys.ErrCertificate, &gm.Certificate{Raw: []byte{0x30, 0}, PublicKey: pub})
		refuse("not yet valid", keys.ErrExpired, with(func(t *gm.Template) { t.NotBefore = e.clock.Now().AddDate(0, 1, 0) }))
		refuse("expired", keys.ErrExpired, with(func(t *gm.Template) { t.NotBefore = e.clock.Now().AddDate(-4, 0, 0) }))
		refuse("wrong usages", keys.ErrCertificate, with(func(t *gm.Template) {
			t.IsCA, t.TimeStamping, t.KeyUsage = p != keys.CA, false, gm.KeyUsageCertSign
		}))
		stranger := NewOutside(e, e.clock)
		refuse("a chain that is not its own", keys.ErrCertificate, with(func(*gm.Template) {}), stranger.Root)
		if now := must[keys.Info](e)(e.b.Info(e.ctx, name)); now.Live != 0 || now.Versions[0].Certificate != nil {
			e.Errorf("%s: a refused certificate changed the key", p)
		}
		_, err := e.b.InstallCertificate(e.ctx, name, 2, []*gm.Certificate{with(func(*gm.Template) {})})
		e.refused("unknown version", keys.ErrVersion, keys.Signature{}, err)
	}
}

func testRotation(e *env) {
	info := e.create("s", keys.Seal)
	cert := info.Versions[0].Certificate
	tbs := func(c *gm.Certificate, salt byte) []byte {
		return DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(c)), salt))
	}
	info = must[keys.Info](e)(e.b.Rotate(e.ctx, "s"))
	if info.Live != 1 || len(info.Versions) != 2 || info.Versions[1].State != keys.Pending || info.Versions[1].Public.Equal(info.Versions[0].Public) {
		e.Fatalf("after rotate: %+v", info)
	}
	same := must[keys.Info](e)(e.b.Rotate(e.ctx, "s"))
	if len(same.Versions) != 2 || !same.Versions[1].Public.Equal(info.Versions[1].Public) {
		e.Error("a second rotate made a third version")
	}
	item := tbs(cert, 1)
	s, err := e.sign("s", keys.TypeTBS, 1, item)
	e.verified(info, item, s, err)
	s, err = e.sign("s", keys.TypeTBS, 2, item)
	e.refused("the pending version", keys.ErrVersion, s, err)

	info = e.install("s", info)
	if info.Live != 2 || info.Versions[0].State != keys.Retired || info.Versions[1].State != keys.Live {
		e.Fatalf("after install: %+v", info)
	}
	s, err = e.sign("s", keys.TypeTBS, 1, tbs(cert, 2))
	e.refused("the retired version", keys.ErrVersion, s, err)
	_, err = e.b.CSR(e.ctx, "s", 1, pkix.Name{CommonName: "old"})
	e.refused("request of the retired version", keys.ErrVersion, keys.Signature{}, err)
	s, err = e.sign("s", keys.TypeTBS, 2, tbs(cert, 3))
	e.refused("a seal of the old certificate", keys.ErrForeignSeal, s, err)
	item = tbs(info.Versions[1].Certificate, 4)
	s, err = e.sign("s", keys.TypeTBS, 2, item)
	e.verified(info, item, s, err)

	e.create("c", keys.Checkpoint)
	if c := must[keys.Info](e)(e.b.Rotate(e.ctx, "c")); c.Live != 2 || c.Versions[0].State != keys.Retired {
		e.Errorf("a key without certificate: %+v", c)
	}
}

func testDeath(e *env) {
	info := e.create("s", keys.Seal)
	item := DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(info.Versions[0].Certificate)), 0))
	q := keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: 1, ID: "use-1"}
	s, err := e.b.Key("s").Sign(e.ctx, q)
	e.verified(info, item, s, err)
	_, err = e.b.Destroy(e.ctx, "s")
	e.refused("destroy an active key", keys.ErrWait, keys.Signature{}, err)

	info = must[keys.Info](e)(e.b.Disable(e.ctx, "s"))
	if info.State != keys.Disabled || info.DisabledAt.IsZero() || !info.DestroyFrom.After(info.DisabledAt) {
		e.Errorf("after disable: %+v", info)
	}
	s, err = e.b.Key("s").Sign(e.ctx, keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: 1})
	e.refused("sign", keys.ErrDisabled, s, err)
	s, err = e.b.Key("s").Sign(e.ctx, q)
	e.refused("a remembered answer", keys.ErrDisabled, s, err)
	_, err = e.b.Rotate(e.ctx, "s")
	e.refused("rotate", keys.ErrDisabled, keys.Signature{}, err)
	_, err = e.b.CSR(e.ctx, "s", 1, pkix.Name{CommonName: "x"})
	e.refused("csr", keys.ErrDisabled, keys.Signature{}, err)
	_, err = e.b.Destroy(e.ctx, "s")
	e.refused("destroy at once", keys.ErrWait, keys.Signature{}, err)

	e.clock.Move(e, e.options.DestroyWait-time.Second)
	_, err = e.b.Destroy(e.ctx, "s")
	e.refused("destroy a second too early", keys.ErrWait, keys.Signature{}, err)
	if again := must[keys.Info](e)(e.b.Disable(e.ctx, "s")); !again.DisabledAt.Equal(info.DisabledAt) {
		e.Error("a second disable moved the waiting time")
	}
	e.clock.Move(e, time.Second)
	info = must[keys.Info](e)(e.b.Destroy(e.ctx, "s"))
	if info.State != keys.Destroyed || info.Versions[0].Certificate == nil {
		e.Errorf("after destroy: %+v", info)
	}
	must[keys.Info](e)(e.b.Destroy(e.ctx, "s"))
	s, err = e.sign("s", keys.TypeTBS, 1, item)
	e.refused("sign with a destroyed key", keys.ErrDisabled, s, err)
	_, err = e.b.Create(e.ctx, "s", keys.Seal)
	e.refused("use the name again", keys.ErrExists, keys.Signature{}, err)
	if names := must[[]keys.Name](e)(e.b.List(e.ctx)); !slices.Contains(names, "s") {
		e.Error("a destroyed key is not listed")
	}
}

func testCSR(e *env) {
	for _, p := range keys.Purposes() {
		name := keys.Name("k-" + string(p))
		info := must[keys.Info](e)(e.b.Create(e.ctx, name, p))
		req := must[*gm.Request](e)(e.b.CSR(e.ctx, name, 1, pkix.Name{CommonName: "测试", Organization: []string{"省厅"}}))
		if !req.PublicKey.Equal(info.Versions[0].Public) || req.Subject.CommonName != "测试" {
			e.Errorf("%s: %+v", p, req)
		}
		if _, err := gm.ParseRequest(req.Raw); err != nil {
			e.Errorf("%s: %v", p, err)
		}
		_, err := e.b.CSR(e.ctx, name, 2, pkix.Name{CommonName: "x"})
		e.refused("unknown version", keys.ErrVersion, keys.Signature{}, err)
	}
}

func testRestart(e *env) {
	if e.options.Reopen == nil {
		e.Skip("this backend is not restarted here")
	}
	before := e.create("s", keys.Seal)
	must[keys.Info](e)(e.b.Rotate(e.ctx, "s"))
	e.create("gone", keys.Licence)
	must[keys.Info](e)(e.b.Disable(e.ctx, "gone"))
	e.b = e.options.Reopen(e.T, e.b)
	after := must[keys.Info](e)(e.b.Info(e.ctx, "s"))
	if after.Live != 1 || len(after.Versions) != 2 || !after.Versions[0].Certificate.Equal(before.Versions[0].Certificate) || len(after.Versions[0].Chain) != 1 {
		e.Errorf("changed by a restart: %+v", after)
	}
	item := DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(before.Versions[0].Certificate)), 0))
	s, err := e.sign("s", keys.TypeTBS, 1, item)
	e.verified(before, item, s, err)
	if gone := must[keys.Info](e)(e.b.Info(e.ctx, "gone")); gone.State != keys.Disabled {
		e.Error("a disabled key came back")
	}
}

func testDisableRace(e *env) {
	info := e.create("s", keys.Seal)
	item := DER(e, e.outside.TBS(e.outside.Seal(e.outside.SealInfo(info.Versions[0].Certificate)), 0))
	var mu sync.Mutex
	stopped := false
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				mu.Lock()
				after := stopped
				mu.Unlock()
				_, err := e.sign("s", keys.TypeTBS, 1, item)
				if after && err == nil {
					e.Error("signed after disable had returned")
				}
				if err != nil && !errors.Is(err, keys.ErrDisabled) {
					e.Error(err)
				}
				if err != nil {
					return
				}
			}
		})
	}
	must[keys.Info](e)(e.b.Disable(e.ctx, "s"))
	mu.Lock()
	stopped = true
	mu.Unlock()
	wg.Wait()
}
