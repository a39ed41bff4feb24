package keytest

import (
	"bytes"
	"crypto/x509/pkix"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/policy"
)

// statement is a sound item of type bundle by the officer of cert, changed by
// change.
func (e *env) statement(cert *gm.Certificate, change func(*policy.Statement)) []byte {
	e.Helper()
	now := e.clock.Now()
	s := policy.Statement{Act: policy.Release, At: now, Officer: cert.Subject.CommonName,
		Manifest: policy.Manifest{Name: "test", Sequence: 2, Previous: gm.SM3([]byte("the first")), Created: now.Add(-time.Hour),
			Files: []policy.ManifestFile{{Path: "authz.rego", Size: 5, SM3: gm.SM3([]byte("rules"))}}}}
	if change != nil {
		change(&s)
	}
	return must[[]byte](e)(s.Canonical())
}

func testStatements(e *env) {
	info := must[keys.Info](e)(e.b.Create(e.ctx, "officer", keys.Policy))
	public := info.Versions[0].Public
	subject := pkix.Name{CommonName: "王策略 0021", Organization: []string{"省大数据局"}}
	cert := e.outside.CertifyAs(gm.Template{Subject: subject, KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, public)
	item := e.statement(cert, nil)
	s, err := e.sign("officer", keys.TypeBundle, 1, item)
	e.refused("before the certificate", keys.ErrVersion, s, err)

	_, err = e.b.InstallCertificate(e.ctx, "officer", 1, []*gm.Certificate{e.outside.CertifyAs(templateFor(keys.CA), public)})
	e.refused("a CA as an officer", keys.ErrCertificate, keys.Signature{}, err)
	info = must[keys.Info](e)(e.b.InstallCertificate(e.ctx, "officer", 1, []*gm.Certificate{cert, e.outside.Root}))
	for _, act := range policy.Acts() {
		item := e.statement(cert, func(s *policy.Statement) { s.Act = act })
		s, err := e.sign("officer", keys.TypeBundle, 1, item)
		e.verified(info, item, s, err)
	}

	now, window := e.clock.Now(), e.options.ClockWindow
	with := func(change func(*policy.Statement)) []byte { return e.statement(cert, change) }
	manifest := must[[]byte](e)(func() ([]byte, error) {
		s := must[*policy.Statement](e)(policy.ParseStatement(item))
		return s.Manifest.Canonical()
	}())
	for name, c := range map[string]struct {
		item []byte
		want error
	}{
		"of another officer":   {with(func(s *policy.Statement) { s.Officer = "李策略 0022" }), keys.ErrCertificate},
		"of the whole subject": {with(func(s *policy.Statement) { s.Officer = "CN=王策略 0021,O=省大数据局" }), keys.ErrCertificate},
		"made too late":        {with(func(s *policy.Statement) { s.At = now.Add(-window - 2*time.Minute); s.Manifest.Created = s.At }), keys.ErrClock},
		"made ahead of time":   {with(func(s *policy.Statement) { s.At = now.Add(window + 2*time.Minute) }), keys.ErrClock},
		"a manifest alone":     {manifest, keys.ErrItem},
		"another act":          {bytes.Replace(item, []byte(`"release"`), []byte(`"activate"`), 1), keys.ErrItem},
		"no act":               {bytes.Replace(item, []byte(`"act":"release",`), nil, 1), keys.ErrItem},
		"with a space":         {bytes.Replace(item, []byte(`,"at"`), []byte(`, "at"`), 1), keys.ErrItem},
		"behind":               {append(bytes.Clone(item), '\n'), keys.ErrItem},
		"a path upwards":       {bytes.Replace(item, []byte(`"authz.rego"`), []byte(`"../authz.rego"`), 1), keys.ErrItem},
		"an unknown member":    {bytes.Replace(item, []byte(`,"v":1}`), []byte(`,"v":1,"w":1}`), 1), keys.ErrItem},
	} {
		s, err := e.sign("officer", keys.TypeBundle, 1, c.item)
		e.refused(name, c.want, s, err)
	}

	if e.options.RealTime {
		return
	}
	e.clock.Move(e, 3*365*24*time.Hour)
	s, err = e.sign("officer", keys.TypeBundle, 1, e.statement(cert, nil))
	e.refused("an expired certificate", keys.ErrExpired, s, err)
}
