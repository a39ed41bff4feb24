package config

import (
	"fmt"
	"strings"
	"testing"
)

const revocationFile = `roles: [revocation, sealer]
node: pki-1
revocation:
  listen: 0.0.0.0:8445
  dir: lists
  authorities:
    - {key: ca-signer, book: anchors, ocsp: /ocsp/ca-signer, life: 48h, renew: 2h, answer_life: 30m}
    - {key: ca-maker, certificate: anchors, book: secret}
  seals: {name: office-seals, key: licence-seals, makers: [anchors]}
sealer: {listen: "127.0.0.1:0", token_file: tokens}
audit: {dir: audit}
keys: {dir: keys, unlock: {file: secret}}
state: {sqlite: state.db}
trust: [anchors]
revocation_sources:
  refresh: 10m
  dir: cache
  lists: [{url: "http://pki.example/ca-signer.crl", issuer: anchors}]
  ocsp: [{url: "https://pki.example/ocsp", issuer: anchors, certificates: [anchors]}]
  seals: [{url: "http://pki.example/seals.json", maker: anchors}]
`

func TestARevocationFileHasItsPathsResolvedAndItsDefaults(t *testing.T) {
	f, dir := loadGood(t, revocationFile)
	checkResolved(t, dir, resolved{f.Revocation.Dir, "lists"}, resolved{f.Revocation.Authorities[1].Certificate, "anchors"}, resolved{f.Revocation.Authorities[0].Book, "anchors"},
		resolved{f.Revocation.Seals.Makers[0], "anchors"}, resolved{f.RevocationSources.Dir, "cache"}, resolved{f.RevocationSources.OCSP[0].Certificates[0], "anchors"},
		resolved{f.RevocationSources.Seals[0].Maker, "anchors"})
	if a := f.Revocation.Authorities[0]; a.ListPath() != "/ca-signer.crl" || f.Revocation.Seals.ListPath() != "/seals.json" {
		t.Errorf("paths %s %s", a.ListPath(), f.Revocation.Seals.ListPath())
	}
}

func TestAPersonsFileNamesAuthoritiesWithoutServingThem(t *testing.T) {
	loadGood(t, "node: revoker-1\naudit: {dir: audit}\nkeys: {dir: keys, unlock: {file: secret}}\n"+
		"revocation: {dir: lists, authorities: [{key: ca-signer, certificate: anchors, book: secret}]}\n")
}

func TestCheckNamesEveryFaultOfRevocation(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"the role without its section", "revocation:\n  listen: 0.0.0.0:8445", "tsa:\n  listen: 0.0.0.0:8445", "unknown key"},
		{"the section of a role that is not run", "[revocation, sealer]", "[sealer]", "the role revocation and the section revocation come together"},
		{"no listener", "listen: 0.0.0.0:8445", "listen: x", "revocation.listen: want host:port"},
		{"no folder", "  dir: lists\n", "", "revocation.dir: a value is needed"},
		{"no book", ", book: secret}", "}", "revocation.authorities.1.book: a value is needed"},
		{"a book that is not there", "book: secret}", "book: none}", "revocation.authorities.1.book: the file does not exist"},
		{"a key twice", "key: ca-maker", "key: ca-signer", "named twice"},
		{"a book twice", "book: secret}", "book: anchors}", "named twice"},
		{"a path over another", "ocsp: /ocsp/ca-signer", "ocsp: /ca-signer.crl/x", "meets the path /ca-signer.crl"},
		{"a path with dots", "ocsp: /ocsp/ca-signer", "ocsp: /../x", "want a path such as"},
		{"a path with a slash at its end", "ocsp: /ocsp/ca-signer", "ocsp: /ocsp/", "want a path such as"},
		{"a list that ends before the next one", "life: 48h", "life: 3h", "twice renew"},
		{"an answer that lasts too long", "answer_life: 30m", "answer_life: 169h", "want 1m to 168h"},
		{"seals without the sealer", "[revocation, sealer]", "[revocation]", "needs the role sealer in the same process"},
		{"seals without makers", "makers: [anchors]", "makers: []", "revocation.seals.makers: a value is needed"},
		{"sources without anchors", "trust: [anchors]\n", "", "trust is needed"},
		{"another scheme", "http://pki.example/ca-signer.crl", "ftp://pki.example/x", "want a URL"},
		{"a file", "http://pki.example/ca-signer.crl", "file:///etc/passwd", "want a URL"},
		{"a password in the address", "http://pki.example/ca-signer.crl", "http://a:b@pki.example/", "want a URL"},
		{"a list of nobody", "ca-signer.crl\", issuer: anchors}", "ca-signer.crl\"}", "revocation_sources.lists.0.issuer: a value is needed"},
		{"OCSP about nothing", ", certificates: [anchors]", "", "certificates to ask about come with ocsp"},
		{"seals of nobody", ", maker: anchors", "", "a maker comes with a status list"},
		{"too often", "refresh: 10m", "refresh: 10ms", "revocation_sources.refresh: want 1s to 24h"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Load(writeConfig(t, spoilt(t, revocationFile, c.from, c.to)))
			got := fmt.Sprint(err)
			if err == nil {
				got = problems(f)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}
