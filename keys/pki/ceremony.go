package pki

import (
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// ErrPlan says that a ceremony's file describes no sound set of authorities and
// certificates.
var ErrPlan = errors.New("the plan of the ceremony is not sound")

// Plan is a key ceremony: every key and certificate that is made, from one file
// that several persons review before it is run.
//
//	ceremony: 吉林省电子印章根密钥仪式
//	present: [张三, 李四]
//	authorities:
//	  - {key: root, subject: {country: CN, organisation: 吉林省, name: 电子印章根}, from: "2026-11-24", until: "2046-12-31"}
//	  - {key: maker-ca, issuer: root, subject: {country: CN, name: 制章 CA}, until: "2036-12-31", crl: [http://pki.example/maker-ca.crl]}
//	certificates:
//	  - {key: maker-1, issuer: maker-ca, profile: maker, subject: {country: CN, name: 制章人}, until: "2031-12-31"}
//	  - {key: seal-rs, issuer: root, profile: signer, subject: {country: CN, name: 省人社厅}, until: "2029-12-31"}
//
// profile is maker, signer, tsa, officer or responder, which also fixes what the
// key is for. Dates are RFC 3339, or bare days of Asia/Shanghai; without from, a
// certificate begins when it is made. A key engine backdates by a day at most. TLS certificates come from a CA of their
// own (TLSAuthority) and are no part of a ceremony.
type Plan struct {
	Name         string        `yaml:"ceremony"`
	Present      []string      `yaml:"present"` // who reviews and confirms: two at least
	Authorities  []PlannedCA   `yaml:"authorities"`
	Certificates []PlannedCert `yaml:"certificates"`

	digest [gm.DigestSize]byte
	items  []planned
}

// PlannedCA is a root (no issuer) or a CA below one.
type PlannedCA struct {
	Key     string      `yaml:"key"`
	Issuer  string      `yaml:"issuer"`
	Subject PlannedName `yaml:"subject"`
	From    string      `yaml:"from"`
	Until   string      `yaml:"until"`
	CRL     []string    `yaml:"crl"`  // addresses written into what it issues
	OCSP    []string    `yaml:"ocsp"` // likewise
}

// PlannedCert is an end certificate.
type PlannedCert struct {
	Key     string      `yaml:"key"`
	Issuer  string      `yaml:"issuer"`
	Profile string      `yaml:"profile"`
	Subject PlannedName `yaml:"subject"`
	From    string      `yaml:"from"`
	Until   string      `yaml:"until"`
}

// PlannedName is a distinguished name.
type PlannedName struct {
	Country      string `yaml:"country"`
	Province     string `yaml:"province"`
	Locality     string `yaml:"locality"`
	Organisation string `yaml:"organisation"`
	Unit         string `yaml:"unit"`
	Name         string `yaml:"name"`
}

func (n PlannedName) name() pkix.Name {
	list := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	return pkix.Name{Country: list(n.Country), Province: list(n.Province), Locality: list(n.Locality),
		Organization: list(n.Organisation), OrganizationalUnit: list(n.Unit), CommonName: n.Name}
}

// planned is one certificate of a plan, in the order of making.
type planned struct {
	key         keys.Name
	issuer      keys.Name // "" for a root
	profile     Profile   // 0 for a root
	purpose     keys.Purpose
	subject     pkix.Name
	from, until time.Time // from zero: when it is made
	crl, ocsp   []string
}

// profiles are the words of a plan.
var profiles = map[string]struct {
	profile Profile
	purpose keys.Purpose
}{
	"maker": {Maker, keys.SealMaker}, "signer": {Signer, keys.Seal}, "tsa": {TSA, keys.TSA},
	"officer": {Officer, keys.Policy}, "responder": {Responder, keys.Licence},
}

const maxPlanned = 256

// ParsePlan reads and checks a ceremony's file. The error wraps ErrPlan, or is
// a *config.Error with line and column.
func ParsePlan(data []byte) (*Plan, error) {
	p := &Plan{digest: gm.SM3(data)}
	if err := config.Decode(data, p); err != nil {
		return nil, err
	}
	bad := func(format string, args ...any) (*Plan, error) {
		return nil, fmt.Errorf("%w: %s", ErrPlan, fmt.Sprintf(format, args...))
	}
	if p.Name == "" || len(p.Present) < 2 || len(p.Authorities) == 0 {
		return bad("a ceremony has a name, two persons present and an authority")
	}
	for i, name := range p.Present {
		if strings.TrimSpace(name) == "" || slices.Contains(p.Present[:i], name) {
			return bad("present: %q is no name, or stands there twice", name)
		}
	}
	if len(p.Authorities)+len(p.Certificates) > maxPlanned {
		return bad("more than %d certificates", maxPlanned)
	}
	for _, a := range p.Authorities {
		x := planned{issuer: keys.Name(a.Issuer), purpose: keys.CA, subject: a.Subject.name(), crl: a.CRL, ocsp: a.OCSP}
		if a.Issuer != "" {
			x.profile = SubCA
		}
		if err := p.add(x, a.Key, a.From, a.Until); err != nil {
			return nil, err
		}
	}
	for _, c := range p.Certificates {
		kind, known := profiles[c.Profile]
		if !known {
			return bad("%s: profile %.40q; there are maker, signer, tsa, officer and responder", c.Key, c.Profile)
		}
		if c.Issuer == "" {
			return bad("%s: no issuer", c.Key)
		}
		x := planned{issuer: keys.Name(c.Issuer), profile: kind.profile, purpose: kind.purpose, subject: c.Subject.name()}
		if err := p.add(x, c.Key, c.From, c.Until); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add checks one certificate against those before it.
func (p *Plan) add(x planned, key, from, until string) error {
	bad := func(what string) error { return fmt.Errorf("%w: %.80s: %s", ErrPlan, key, what) }
	var err error
	if x.key, err = keys.ParseName(key); err != nil {
		return bad("a key's name is [a-z0-9][a-z0-9-]{0,62}")
	}
	if x.subject.CommonName == "" {
		return bad("the subject has no name")
	}
	var ok bool
	if x.until, ok = planDate(until, true); !ok {
		return bad("until is needed: RFC 3339, or a day as 2046-12-31, in quotes")
	}
	if from != "" {
		if x.from, ok = planDate(from, false); !ok || !x.from.Before(x.until) {
			return bad("from is no date before until")
		}
	}
	for _, u := range append(slices.Clone(x.crl), x.ocsp...) {
		if !strings.HasPrefix(u, "http://") && !strings.HasPrefix(u, "https://") {
			return bad(fmt.Sprintf("%.80q is no http address", u))
		}
	}
	var issuer *planned
	for i := range p.items {
		y := &p.items[i]
		if y.key == x.key {
			return bad("stands there twice")
		}
		if y.key == x.issuer {
			issuer = y
		}
		if y.subject.String() == x.subject.String() && y.purpose == keys.CA && x.purpose == keys.CA {
			return bad("two authorities of one name")
		}
	}
	if x.issuer != "" {
		switch {
		case issuer == nil || issuer.purpose != keys.CA:
			return bad(fmt.Sprintf("its issuer %.63q is no authority that stands before it", x.issuer))
		case x.purpose == keys.CA && issuer.issuer != "":
			return bad("a CA below a CA below a root; there are at most two above a certificate")
		case x.until.After(issuer.until):
			return bad("it outlives its issuer")
		case !x.from.IsZero() && (issuer.from.IsZero() || x.from.Before(issuer.from)):
			return bad("it begins before its issuer, or its issuer has no from")
		}
	}
	p.items = append(p.items, x)
	return nil
}

// china is the time zone of bare days. It has had no other offset since 1991.
var china = time.FixedZone("UTC+8", 8*60*60)

func planDate(s string, end bool) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t.UTC(), true
	}
	t, err := time.ParseInLocation(time.DateOnly, s, china)
	if end {
		t = t.AddDate(0, 0, 1).Add(-time.Second)
	}
	return t.UTC(), err == nil
}

// Digest is the SM3 of the file, in hexadecimal: what those present compare
// with the file that they reviewed, and confirm.
func (p *Plan) Digest() string { return hex.EncodeToString(p.digest[:]) }
