package config

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

var nodeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Check returns everything that is wrong with the file and can be known
// without opening a socket, a key or a ledger, in the order of the document;
// at is the present time, for certificates. What the files named hold (the
// catalogue, the rules, the anchors) is checked by the packages that read them.
func (f *File) Check(at time.Time) []*Error {
	c := &checker{f: f, at: at}
	c.roles()
	if !nodeName.MatchString(f.Node) {
		c.fail("want a name of letters, digits, dot, dash and underscore, at most 63", "node")
	}
	if g := f.Gateway; g != nil {
		c.listen(g.Listen, "gateway", "listen")
		c.tls(g.TLS, g.Listen, "gateway")
		if g.Zone != ZoneExtranet && g.Zone != ZoneInternet {
			c.fail("want extranet or internet", "gateway", "zone")
		}
		for i, p := range g.TrustedProxies {
			if _, err := netip.ParsePrefix(p); err != nil {
				c.fail("want a network such as 10.1.0.0/16", "gateway", "trusted_proxies", i)
			}
		}
		c.need(g.Catalogue, "gateway", "catalogue")
		c.policy(g.Policy)
		c.secret(g.Secrets.Pseudonym, "gateway", "secrets", "pseudonym")
		c.secret(g.Secrets.SubjectIndex, "gateway", "secrets", "subject_index")
		c.limits(g.Limits)
	}
	if s := f.Sealer; s != nil {
		c.listen(s.Listen, "sealer", "listen")
		c.tls(s.TLS, s.Listen, "sealer")
		c.need(s.TokenFile, "sealer", "token_file")
		c.private(s.TokenFile, "sealer", "token_file")
		if t := s.Timestamps; t != nil {
			c.timestamps(t)
		}
	}
	if t := f.TSA; t != nil {
		c.tsa(t)
	}
	if r := f.Revocation; r != nil {
		c.revocation(r)
	}
	if s := f.RevocationSources; s != nil {
		c.sources(s)
	}
	if f.Admin != nil {
		c.listen(f.Admin.Listen, "admin", "listen")
	}
	if f.Freshness.MaxAge > 0 && f.Freshness.Grace >= f.Freshness.MaxAge {
		c.fail("a grace that long means nothing beside max_age", "revocation_freshness", "grace")
	}
	c.need(f.Audit.Dir, "audit", "dir")
	if len(f.Roles) > 0 {
		c.need(f.State.SQLite, "state", "sqlite")
	}
	if f.Keys == nil {
		c.fail("a value is needed", "keys")
	}
	c.keys()
	c.files()
	return c.errs
}

func (c *checker) policy(p Policy) {
	n := 0
	for _, set := range []bool{p.Shipped, p.Dir != "", p.Bundle != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		c.fail("want exactly one of shipped: true, dir and bundle", "gateway", "policy")
	}
	if (p.Bundle != "") != (len(p.Officers) > 0) {
		c.fail("bundle and officers come together", "gateway", "policy")
	}
}

func (c *checker) tsa(t *TSA) {
	c.listen(t.Listen, "tsa", "listen")
	c.need(t.Key, "tsa", "key")
	if _, err := ParseOID(t.Policy); err != nil {
		c.fail("want an object identifier such as 1.2.156.10197.6.7", "tsa", "policy")
	}
	if a := time.Duration(t.Accuracy); a < 0 || a > time.Minute {
		c.fail("want at most 1m", "tsa", "accuracy")
	}
}

func (c *checker) timestamps(t *Timestamps) {
	if len(t.URLs) == 0 {
		c.fail("a value is needed", "sealer", "timestamps", "urls")
	}
	for i, s := range t.URLs {
		if u, err := url.Parse(s); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			c.fail("want a URL such as https://tsa.example/", "sealer", "timestamps", "urls", i)
		}
	}
}

// ParseOID reads an object identifier in dotted form.
func ParseOID(s string) ([]int, error) {
	var out []int
	for _, part := range strings.Split(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil || n < 0 || strconv.Itoa(n) != part {
			return nil, fmt.Errorf("object identifier %.60q", s)
		}
		out = append(out, n)
	}
	if len(out) < 3 || out[0] > 2 || out[0] < 2 && out[1] > 39 {
		return nil, fmt.Errorf("object identifier %.60q", s)
	}
	return out, nil
}

type checker struct {
	f    *File
	at   time.Time
	errs []*Error
}

func (c *checker) fail(message string, where ...any) {
	steps := make([]string, len(where))
	for i, w := range where {
		steps[i] = fmt.Sprint(w)
	}
	if c.f.doc == nil {
		c.errs = append(c.errs, &Error{Message: strings.Join(steps, ".") + ": " + message})
		return
	}
	c.errs = append(c.errs, c.f.doc.Errorf(c.f.doc.At(where...), "%s: %s", strings.Join(steps, "."), message))
}

func (c *checker) roles() {
	f := c.f
	for i, r := range f.Roles {
		switch {
		case r != RoleGateway && r != RoleSealer && r != RoleTSA && r != RoleRevocation:
			msg := "want gateway, sealer, tsa or revocation"
			if n := Nearest(string(r), []string{string(RoleGateway), string(RoleSealer), string(RoleTSA), string(RoleRevocation)}); n != "" {
				msg += fmt.Sprintf(" (nearest: %q)", n)
			}
			c.fail(msg, "roles", i)
		case slices.Index(f.Roles, r) != i:
			c.fail("the role is named twice", "roles", i)
		}
	}
	if f.Has(RoleGateway) != (f.Gateway != nil) {
		c.fail("the role gateway and the section gateway come together", "gateway")
	}
	if f.Has(RoleSealer) != (f.Sealer != nil) {
		c.fail("the role sealer and the section sealer come together", "sealer")
	}
	if f.Has(RoleTSA) != (f.TSA != nil) {
		c.fail("the role tsa and the section tsa come together", "tsa")
	}
	if f.Has(RoleRevocation) != (f.Revocation != nil) && len(f.Roles) > 0 {
		c.fail("the role revocation and the section revocation come together", "revocation")
	}
}

func (c *checker) need(v string, where ...any) {
	if v == "" {
		c.fail("a value is needed", where...)
	}
}

func (c *checker) listen(addr string, where ...any) {
	_, port, err := net.SplitHostPort(addr)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
		c.fail("want host:port", where...)
	}
}

// Loopback reports whether a listen address is reachable from this machine
// only. A name, also "localhost", counts as not loopback unless it is one.
func Loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (c *checker) tls(t *TLS, listen, role string) {
	if t == nil {
		if !Loopback(listen) {
			c.fail("TLS is required outside loopback", role)
		}
		return
	}
	c.need(t.Cert, role, "tls", "cert")
	c.need(t.Key, role, "tls", "key")
	c.private(t.Key, role, "tls", "key")
	if t.Cert == "" || t.Key == "" {
		return
	}
	if pair, err := tls.LoadX509KeyPair(t.Cert, t.Key); err == nil {
		leaf, perr := x509.ParseCertificate(pair.Certificate[0])
		switch {
		case perr != nil:
			c.fail("the certificate cannot be read", role, "tls", "cert")
		case c.at.After(leaf.NotAfter):
			c.fail("the certificate expired on "+leaf.NotAfter.UTC().Format(time.RFC3339), role, "tls", "cert")
		case c.at.Before(leaf.NotBefore):
			c.fail("the certificate is not valid before "+leaf.NotBefore.UTC().Format(time.RFC3339), role, "tls", "cert")
		}
	} else if exists(t.Cert) && exists(t.Key) {
		c.fail("certificate and key are not a pair of PEM files that fit each other", role, "tls", "cert")
	}
	if t.ClientCA != "" {
		data, err := os.ReadFile(t.ClientCA)
		if err == nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
			c.fail("holds no PEM certificate", role, "tls", "client_ca")
		}
	}
}

func (c *checker) secret(ref string, where ...any) {
	r, err := ParseSecretRef(ref)
	if err != nil {
		c.fail(err.Error(), where...)
		return
	}
	if complaint := r.Kept(c.f.Keys); complaint != "" {
		c.fail(complaint, where...)
	}
	if r.Scheme == SecretFile {
		if !exists(r.Path) {
			c.fail("the file does not exist", where...)
		}
		c.private(r.Path, where...)
	}
}

// private refuses secrets that others can read.
func (c *checker) private(path string, where ...any) {
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		c.fail(fmt.Sprintf("mode %04o lets others read it; want 0600", st.Mode().Perm()), where...)
	}
}

func (c *checker) limits(l Limits) {
	at := func(key string) []any { return []any{"gateway", "limits", key} }
	if n := l.HeaderBytes; n != 0 && (n < 4<<10 || n > 1<<20) {
		c.fail("want 4KiB to 1MiB", at("header_bytes")...)
	}
	if n := l.BodyBytes; n > 64<<20 {
		c.fail("want at most 64MiB", at("body_bytes")...)
	}
	for _, d := range []struct {
		key string
		v   Duration
	}{{"header_timeout", l.HeaderTimeout}, {"read_timeout", l.ReadTimeout}, {"write_timeout", l.WriteTimeout}, {"idle_timeout", l.IdleTimeout}} {
		if v := time.Duration(d.v); v != 0 && (v < 100*time.Millisecond || v > 10*time.Minute) {
			c.fail("want 100ms to 10m", at(d.key)...)
		}
	}
	for _, n := range []struct {
		key string
		v   int
	}{{"connections", l.Connections}, {"connections_per", l.ConnectionsPer}, {"concurrent", l.Concurrent}} {
		if n.v < 0 || n.v > 1<<20 {
			c.fail("want 1 to 1048576", at(n.key)...)
		}
	}
}

func (c *checker) keys() {
	k := c.f.Keys
	if k == nil {
		return
	}
	if k.Vault != nil {
		c.vault(k)
		return
	}
	c.need(k.Dir, "keys", "dir")
	n := 0
	for _, set := range []bool{k.Unlock.File != "", k.Unlock.FD != 0, k.Unlock.Credential != ""} {
		if set {
			n++
		}
	}
	if n != 1 {
		c.fail("want exactly one of file, fd, credential", "keys", "unlock")
	}
	if k.Unlock.FD != 0 && k.Unlock.FD < 3 {
		c.fail("want a file descriptor of 3 or higher", "keys", "unlock", "fd")
	}
	if strings.ContainsAny(k.Unlock.Credential, "/\\") || strings.HasPrefix(k.Unlock.Credential, ".") {
		c.fail("want a plain name", "keys", "unlock", "credential")
	}
	c.private(k.Unlock.File, "keys", "unlock", "file")
}

func (c *checker) vault(k *Keys) {
	v := k.Vault
	if k.Dir != "" || k.Unlock != (Unlock{}) {
		c.fail("want either dir with unlock, or vault", "keys")
	}
	if len(v.Addresses) == 0 {
		c.fail("a value is needed", "keys", "vault", "addresses")
	}
	for i, a := range v.Addresses {
		u, err := url.Parse(a)
		switch {
		case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "https" && u.Scheme != "http":
			c.fail("want a URL such as https://vault-1.example:8200", "keys", "vault", "addresses", i)
		case u.Scheme == "http" && !Loopback(u.Host):
			c.fail("want https: http is for loopback only", "keys", "vault", "addresses", i)
		}
	}
	role := 0
	for _, set := range []bool{v.SecretID != "", v.WrappedSecretID != ""} {
		if set {
			role++
		}
	}
	if (v.RoleID != "") == (v.Token != "") || v.RoleID != "" && role != 1 || v.Token != "" && role != 0 {
		c.fail("want role_id with exactly one of secret_id and wrapped_secret_id, or token", "keys", "vault")
	}
	if a := time.Duration(v.SecretAge); a != 0 && (a < time.Second || a > time.Hour) {
		c.fail("want 1s to 1h", "keys", "vault", "secret_age")
	}
	c.private(v.SecretID, "keys", "vault", "secret_id")
	c.private(v.WrappedSecretID, "keys", "vault", "wrapped_secret_id")
	c.private(v.Token, "keys", "vault", "token")
}

// files checks that what must exist does, and that two uses do not share one
// place: a ledger inside the key store would be wiped with it.
func (c *checker) files() {
	seen := map[string]string{}
	for _, p := range c.f.paths() {
		if *p.path == "" {
			continue
		}
		if !p.folder {
			if !exists(*p.path) {
				c.fail("the file does not exist", p.where...)
			}
			continue
		}
		clean := filepath.Clean(*p.path)
		name := fmt.Sprint(p.where[0])
		if other, dup := seen[clean]; dup {
			c.fail("is the same place as that of "+other, p.where...)
		}
		seen[clean] = name
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }
