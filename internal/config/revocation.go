package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Revocation configures what authorities say about their own certificates: the
// role revocation publishes it, and `sealgate keys revoke`, `unhold`, `revoked`
// and `crl` act on it. A person's file (no roles) has the section without listen.
type Revocation struct {
	// Listen is host:port; lists and answers are had there by GET, answers by
	// POST too. The role needs it.
	Listen string `yaml:"listen"`
	// TLS of the listener; may be left out, for everything published is signed.
	TLS *TLS `yaml:"tls"`
	// Dir keeps the last list of each authority, so that none goes backwards
	// after a restart.
	Dir string `yaml:"dir"`
	// Authorities are the CAs, each with a key of purpose ca.
	Authorities []RevocationAuthority `yaml:"authorities"`
	// Seals is the status list of seals. It needs the role sealer in the same
	// process, whose state it tells.
	Seals *RevocationSeals `yaml:"seals"`
}

// RevocationAuthority is one CA.
type RevocationAuthority struct {
	// Key is the name of its key of purpose ca.
	Key string `yaml:"key"`
	// Certificate is the CA's certificate in PEM or DER, the first of the file.
	// With it the commands that only write the book need no access to the key.
	Certificate string `yaml:"certificate"`
	// Book is the file with what the CA issued and revoked, which the ceremony
	// made. Everybody who publishes or revokes uses the same file.
	Book string `yaml:"book"`
	// List is the path of its revocation list; /KEY.crl when left out.
	List string `yaml:"list"`
	// OCSP is the path of its responder, such as /ocsp/KEY. Left out: none.
	OCSP string `yaml:"ocsp"`
	// Life is how long a list lasts (24h), Renew how often there is a new one
	// although nothing changed (1h). A revocation gives a new one at once.
	Life  Duration `yaml:"life"`
	Renew Duration `yaml:"renew"`
	// AnswerLife is how long an OCSP answer lasts; 1h, at most 168h.
	AnswerLife Duration `yaml:"answer_life"`
	// AnswersAtOnce bounds how many answers are being signed; beyond it the
	// responder says tryLater. 4.
	AnswersAtOnce int `yaml:"answers_at_once"`
}

// ListPath is List with its default.
func (a RevocationAuthority) ListPath() string {
	if a.List != "" {
		return a.List
	}
	return "/" + a.Key + ".crl"
}

// RevocationSeals configures the status list of seals (docs/revocation.md).
type RevocationSeals struct {
	// Name of the list, printable ASCII.
	Name string `yaml:"name"`
	// Key is the name of the key of purpose licence that signs it; the makers' CA
	// certified it with the profile responder.
	Key string `yaml:"key"`
	// Makers are files with the certificates of the makers it speaks for.
	Makers []string `yaml:"makers"`
	// Path of the list; /seals.json when left out.
	Path string `yaml:"path"`
	// Life is how long a list lasts (24h), Renew how often there is a new one
	// although nothing changed (1h).
	Life  Duration `yaml:"life"`
	Renew Duration `yaml:"renew"`
}

// ListPath is Path with its default.
func (s RevocationSeals) ListPath() string {
	if s.Path != "" {
		return s.Path
	}
	return "/seals.json"
}

// RevocationSources are where a process that verifies gets revocation data from
// while it runs. Only these addresses are gone to, never one that a certificate
// names. What cannot be had, or is over, makes verdicts unknown and never good.
type RevocationSources struct {
	// Refresh is how often every source is asked; 15m.
	Refresh Duration `yaml:"refresh"`
	// Timeout of one source; 10s.
	Timeout Duration `yaml:"timeout"`
	// Dir keeps lists for the next start. Left out: nothing is kept.
	Dir string `yaml:"dir"`
	// Lists are revocation lists.
	Lists []RevocationSource `yaml:"lists"`
	// OCSP are responders that are asked about the certificates named.
	OCSP []RevocationSource `yaml:"ocsp"`
	// Seals are status lists of seals.
	Seals []RevocationSource `yaml:"seals"`
}

// RevocationSource is one address and who vouches for what is had there.
type RevocationSource struct {
	// URL is http or https.
	URL string `yaml:"url"`
	// Issuer is a file with the certificate of the CA that signs: the first of
	// the file. For a status list of seals: the makers' CA.
	Issuer string `yaml:"issuer"`
	// Certificates, for OCSP, are files with the certificates to ask about: the
	// first of each.
	Certificates []string `yaml:"certificates"`
	// Maker, for a status list of seals, is a file with the maker's certificate.
	Maker string `yaml:"maker"`
}

// All returns every source with its place in the section.
func (s *RevocationSources) All(f func(kind string, i int, source *RevocationSource)) {
	for i := range s.Lists {
		f("lists", i, &s.Lists[i])
	}
	for i := range s.OCSP {
		f("ocsp", i, &s.OCSP[i])
	}
	for i := range s.Seals {
		f("seals", i, &s.Seals[i])
	}
}

// revocationPaths are the paths of both sections.
func (f *File) revocationPaths() []pathField {
	var out []pathField
	if r := f.Revocation; r != nil {
		if t := r.TLS; t != nil {
			out = append(out, pathField{&t.Cert, []any{"revocation", "tls", "cert"}, false}, pathField{&t.Key, []any{"revocation", "tls", "key"}, false},
				pathField{&t.ClientCA, []any{"revocation", "tls", "client_ca"}, false})
		}
		out = append(out, pathField{&r.Dir, []any{"revocation", "dir"}, true})
		for i := range r.Authorities {
			a := &r.Authorities[i]
			out = append(out, pathField{&a.Book, []any{"revocation", "authorities", i, "book"}, false},
				pathField{&a.Certificate, []any{"revocation", "authorities", i, "certificate"}, false})
		}
		if s := r.Seals; s != nil {
			for i := range s.Makers {
				out = append(out, pathField{&s.Makers[i], []any{"revocation", "seals", "makers", i}, false})
			}
		}
	}
	if s := f.RevocationSources; s != nil {
		out = append(out, pathField{&s.Dir, []any{"revocation_sources", "dir"}, true})
		s.All(func(kind string, i int, x *RevocationSource) {
			at := func(field ...any) []any { return append([]any{"revocation_sources", kind, i}, field...) }
			out = append(out, pathField{&x.Issuer, at("issuer"), false}, pathField{&x.Maker, at("maker"), false})
			for j := range x.Certificates {
				out = append(out, pathField{&x.Certificates[j], at("certificates", j), false})
			}
		})
	}
	return out
}

var publishedPath = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+$`)

func (c *checker) revocation(r *Revocation) {
	if c.f.Has(RoleRevocation) {
		c.listen(r.Listen, "revocation", "listen")
	} else if r.Listen != "" {
		c.fail("listen is for the role revocation", "revocation", "listen")
	}
	if r.TLS != nil {
		c.tls(r.TLS, r.Listen, "revocation")
	}
	c.need(r.Dir, "revocation", "dir")
	if len(r.Authorities) == 0 {
		c.fail("a value is needed", "revocation", "authorities")
	}
	var paths []string
	path := func(p string, where ...any) {
		if !publishedPath.MatchString(p) {
			c.fail("want a path such as /ca.crl", where...)
			return
		}
		for _, q := range paths {
			if strings.HasPrefix(p+"/", q+"/") || strings.HasPrefix(q+"/", p+"/") {
				c.fail(fmt.Sprintf("meets the path %s", q), where...)
				return
			}
		}
		paths = append(paths, p)
	}
	seen := map[string]bool{}
	for i, a := range r.Authorities {
		at := func(field string) []any { return []any{"revocation", "authorities", i, field} }
		c.need(a.Key, at("key")...)
		c.need(a.Book, at("book")...)
		if seen[a.Key] || seen["book "+a.Book] {
			c.fail("the key or its book is named twice", at("key")...)
		}
		seen[a.Key], seen["book "+a.Book] = true, true
		path(a.ListPath(), at("list")...)
		if a.OCSP != "" {
			path(a.OCSP, at("ocsp")...)
		}
		c.lives(a.Life, a.Renew, 400*24*time.Hour, at("life")...)
		if l := time.Duration(a.AnswerLife); l != 0 && (l < time.Minute || l > 7*24*time.Hour) {
			c.fail("want 1m to 168h", at("answer_life")...)
		}
		if a.AnswersAtOnce < 0 || a.AnswersAtOnce > 1024 {
			c.fail("want 1 to 1024", at("answers_at_once")...)
		}
	}
	if s := r.Seals; s != nil {
		c.need(s.Name, "revocation", "seals", "name")
		c.need(s.Key, "revocation", "seals", "key")
		if len(s.Makers) == 0 {
			c.fail("a value is needed", "revocation", "seals", "makers")
		}
		path(s.ListPath(), "revocation", "seals", "path")
		c.lives(s.Life, s.Renew, 31*24*time.Hour, "revocation", "seals", "life")
		if !c.f.Has(RoleSealer) {
			c.fail("needs the role sealer in the same process: its state is what the list tells", "revocation", "seals")
		}
	}
}

// lives checks how long a list lasts and how often there is a new one.
func (c *checker) lives(life, renew Duration, most time.Duration, where ...any) {
	l, n := time.Duration(life), time.Duration(renew)
	if l == 0 {
		l = 24 * time.Hour
	}
	if n == 0 {
		n = time.Hour
	}
	if n < time.Minute || l > most || 2*n > l {
		c.fail(fmt.Sprintf("want life of at most %v and twice renew or more, and renew of 1m or more", most), where...)
	}
}

func (c *checker) sources(s *RevocationSources) {
	if len(c.f.Trust) == 0 && !(c.f.Gateway != nil && c.f.Gateway.Policy.Bundle != "") {
		c.fail("revocation without trust anchors is about nobody: trust is needed", "revocation_sources")
	}
	for _, d := range []struct {
		field string
		v     Duration
	}{{"refresh", s.Refresh}, {"timeout", s.Timeout}} {
		if v := time.Duration(d.v); v != 0 && (v < time.Second || v > 24*time.Hour) {
			c.fail("want 1s to 24h", "revocation_sources", d.field)
		}
	}
	n := 0
	s.All(func(kind string, i int, x *RevocationSource) {
		n++
		at := func(field string) []any { return []any{"revocation_sources", kind, i, field} }
		if u, err := url.Parse(x.URL); err != nil || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "http" && u.Scheme != "https" {
			c.fail("want a URL such as http://pki.example/ca.crl", at("url")...)
		}
		if kind != "seals" || x.Maker == "" {
			c.need(x.Issuer, at("issuer")...)
		}
		if (kind == "ocsp") != (len(x.Certificates) > 0) {
			c.fail("certificates to ask about come with ocsp", at("certificates")...)
		}
		if (kind == "seals") != (x.Maker != "") {
			c.fail("a maker comes with a status list of seals", at("maker")...)
		}
	})
	if n == 0 {
		c.fail("want lists, ocsp or seals", "revocation_sources")
	}
}
