package keytest

import (
	"bytes"
	"crypto/x509/pkix"
	"math/big"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// leafTBS is a TBSCertificate of a new key, issued by issuer from a template.
func (e *env) leafTBS(issuer *gm.Certificate, t gm.Template) []byte {
	e.Helper()
	return e.certTBS(issuer, t, newKey(e).Public())
}

func (e *env) certTBS(issuer *gm.Certificate, t gm.Template, subject *gm.PublicKey) []byte {
	e.Helper()
	if t.NotBefore.IsZero() {
		t.NotBefore = e.clock.Now()
	}
	if t.NotAfter.IsZero() {
		t.NotAfter = t.NotBefore.AddDate(1, 0, 0)
	}
	return Captured(e, func(sign gm.SignFunc) error {
		_, err := gm.CreateCertificate(t, issuer, subject, sign)
		return err
	})
}

func testCertificates(e *env) {
	info := must[keys.Info](e)(e.b.Create(e.ctx, "ca", keys.CA))
	pub := info.Versions[0].Public
	root := gm.Template{Subject: pkix.Name{CommonName: "Engine Root"}, IsCA: true, MaxPathLen: 1,
		KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign, NotBefore: e.clock.Now(), NotAfter: e.clock.Now().AddDate(10, 0, 0)}
	refuse := func(what string, want error, tbs []byte) {
		e.Helper()
		s, err := e.sign("ca", keys.TypeX509, 1, tbs)
		e.refused(what, want, s, err)
	}
	notCA := root
	notCA.IsCA, notCA.KeyUsage = false, gm.KeyUsageDigitalSignature
	refuse("a leaf of itself before the root", keys.ErrVersion, e.certTBS(nil, notCA, pub))
	refuse("another's root", keys.ErrVersion, e.leafTBS(nil, root))
	refuse("a certificate under another CA", keys.ErrVersion, e.leafTBS(e.outside.Root, templateFor(keys.Seal)))

	rootTBS := e.certTBS(nil, root, pub)
	s, err := e.sign("ca", keys.TypeX509, 1, rootTBS)
	e.verified(info, rootTBS, s, err)
	cert := must[*gm.Certificate](e)(gm.CreateCertificate(root, nil, pub, func(tbs []byte) ([]byte, error) {
		s, err := e.sign("ca", keys.TypeX509, 1, tbs)
		return s.Value, err
	}))
	info = must[keys.Info](e)(e.b.InstallCertificate(e.ctx, "ca", 1, []*gm.Certificate{cert}))

	leaf := templateFor(keys.Seal)
	tbs := e.leafTBS(cert, leaf)
	s, err = e.sign("ca", keys.TypeX509, 1, tbs)
	e.verified(info, tbs, s, err)
	sub := templateFor(keys.CA)
	tbs = e.leafTBS(cert, sub)
	s, err = e.sign("ca", keys.TypeX509, 1, tbs)
	e.verified(info, tbs, s, err)

	with := func(t gm.Template, f func(*gm.Template)) []byte {
		f(&t)
		return e.leafTBS(cert, t)
	}
	refuse("another issuer", keys.ErrCertificate, e.leafTBS(e.outside.Root, leaf))
	refuse("itself again", keys.ErrCertificate, e.certTBS(cert, sub, pub))
	refuse("its own name", keys.ErrCertificate, with(sub, func(t *gm.Template) { t.Subject = root.Subject }))
	refuse("too long a path", keys.ErrCertificate, with(sub, func(t *gm.Template) { t.MaxPathLen = 1 }))
	refuse("an endless path", keys.ErrCertificate, with(sub, func(t *gm.Template) { t.MaxPathLen = -1 }))
	refuse("longer than the CA", keys.ErrClock, with(leaf, func(t *gm.Template) { t.NotAfter = cert.NotAfter.Add(time.Second) }))
	refuse("before the CA", keys.ErrClock, with(leaf, func(t *gm.Template) { t.NotBefore = cert.NotBefore.Add(-time.Second) }))
	refuse("an empty term", keys.ErrClock, with(leaf, func(t *gm.Template) { t.NotBefore, t.NotAfter = e.clock.Now(), e.clock.Now() }))
	refuse("a leaf that signs certificates", keys.ErrItem, with(leaf, func(t *gm.Template) { t.KeyUsage |= gm.KeyUsageCertSign }))
	refuse("a long serial number", keys.ErrItem, with(leaf, func(t *gm.Template) { t.Serial = new(big.Int).Lsh(big.NewInt(1), 159) }))
	refuse("a trailing byte", keys.ErrItem, append(e.leafTBS(cert, leaf), 0))
	other := bytes.Clone(e.leafTBS(cert, leaf)) // another algorithm inside than SM2 with SM3
	if i := bytes.Index(other, []byte{0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75}); i < 0 {
		e.Error("no algorithm found to change")
	} else {
		other[i+6] = 0x76
		refuse("another algorithm", keys.ErrItem, other)
	}
	req := must[*gm.Request](e)(e.b.CSR(e.ctx, "ca", 1, pkix.Name{CommonName: "x"}))
	refuse("a certificate request", keys.ErrItem, req.Raw)
}

// emptyList is a TBSCertList of issuer, issued now, that revokes nothing.
func (e *env) emptyList(issuer *gm.Certificate) []byte {
	return Captured(e, func(sign gm.SignFunc) error {
		_, err := gm.CreateRevocationList(big.NewInt(1), e.clock.Now(), e.clock.Now().AddDate(0, 0, 7), nil, issuer, sign)
		return err
	})
}

func testRevocationLists(e *env) {
	info := e.create("ca", keys.CA)
	cert := info.Versions[0].Certificate
	list := func(issuer *gm.Certificate, this, next time.Time, revoked ...gm.RevokedEntry) []byte {
		return Captured(e, func(sign gm.SignFunc) error {
			_, err := gm.CreateRevocationList(big.NewInt(4), this, next, revoked, issuer, sign)
			return err
		})
	}
	now := e.clock.Now()
	week := now.AddDate(0, 0, 7)
	gone := gm.RevokedEntry{Serial: big.NewInt(9), At: now, Reason: 1}
	for _, tbs := range [][]byte{list(cert, now, week), list(cert, now, week, gone, gm.RevokedEntry{Serial: big.NewInt(10), At: now})} {
		for _, ty := range []keys.Type{keys.TypeX509, keys.TypeRevocation} {
			s, err := e.sign("ca", ty, 1, tbs)
			e.verified(info, tbs, s, err)
		}
	}
	for name, c := range map[string]struct {
		tbs  []byte
		want error
	}{
		"another issuer":     {list(e.outside.Root, now, week, gone), keys.ErrCertificate},
		"old":                {list(cert, now.AddDate(0, 0, -7), week, gone), keys.ErrClock},
		"outlives the CA":    {list(cert, now, cert.NotAfter.AddDate(0, 0, 1), gone), keys.ErrClock},
		"a serial twice":     {list(cert, now, week, gone, gone), keys.ErrItem},
		"revoked in future":  {list(cert, now, week, gm.RevokedEntry{Serial: big.NewInt(9), At: week}), keys.ErrItem},
		"trailing byte":      {append(list(cert, now, week, gone), 0), keys.ErrItem},
		"cut off":            {list(cert, now, week, gone)[:40], keys.ErrItem},
		"nothing but a list": {[]byte{0x30, 3, 2, 1, 1}, keys.ErrItem},
	} {
		for _, ty := range []keys.Type{keys.TypeX509, keys.TypeRevocation} {
			s, err := e.sign("ca", ty, 1, c.tbs)
			e.refused(name+" as "+string(ty), c.want, s, err)
		}
	}
	s, err := e.sign("ca", keys.TypeRevocation, 1, e.leafTBS(cert, templateFor(keys.Seal)))
	e.refused("a certificate through the right to revoke", keys.ErrItem, s, err)
	young := must[keys.Info](e)(e.b.Create(e.ctx, "young", keys.CA))
	s, err = e.sign("young", keys.TypeX509, 1, list(cert, now, week, gone))
	e.refused("a CA without certificate", keys.ErrVersion, s, err)
	root := e.certTBS(nil, gm.Template{Subject: pkix.Name{CommonName: "Young Root"}, IsCA: true, MaxPathLen: 1,
		KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign, NotBefore: now, NotAfter: now.AddDate(10, 0, 0)}, young.Versions[0].Public)
	s, err = e.sign("young", keys.TypeRevocation, 1, root)
	e.refused("a root through the right to revoke", keys.ErrVersion, s, err)
}
