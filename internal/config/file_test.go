package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const goodFile = `roles: [gateway, sealer]
node: gw-1
gateway:
  listen: 127.0.0.1:8443
  zone: extranet
  trusted_proxies: [10.1.0.0/16]
  catalogue: catalogue.yaml
  policy: {shipped: true}
  secrets: {pseudonym: "file:secret", subject_index: "local:subject-index"}
  limits: {header_bytes: 16KiB, body_bytes: 1MiB, header_timeout: 5s, connections: 100}
sealer:
  listen: 127.0.0.1:8444
  token_file: tokens
admin: {listen: 127.0.0.1:9090}
audit: {dir: audit}
keys:
  dir: keys
  unlock: {file: secret}
state: {sqlite: state.db}
trust: [anchors]
`

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range map[string]string{"sealgate.yaml": text, "catalogue.yaml": "", "secret": "x", "tokens": "x", "anchors": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "sealgate.yaml")
}

// loadGood returns a file that must be accepted, and its folder.
func loadGood(t *testing.T, text string) (f *File, dir string) {
	t.Helper()
	path := writeConfig(t, text)
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if errs := f.Check(time.Now()); len(errs) != 0 {
		t.Fatalf("a good file was refused: %v", errs)
	}
	return f, filepath.Dir(path)
}

// resolved is a path as a file has it, and what was written.
type resolved struct{ got, want string }

func checkResolved(t *testing.T, dir string, paths ...resolved) {
	t.Helper()
	for _, p := range paths {
		if p.got != filepath.Join(dir, p.want) {
			t.Errorf("got %s, want %s in %s", p.got, p.want, dir)
		}
	}
}

func TestLoadResolvesPathsAgainstTheFile(t *testing.T) {
	f, dir := loadGood(t, goodFile)
	checkResolved(t, dir,
		resolved{f.Audit.Dir, "audit"}, resolved{f.Keys.Unlock.File, "secret"}, resolved{f.Gateway.Catalogue, "catalogue.yaml"}, resolved{f.Trust[0], "anchors"},
		resolved{strings.TrimPrefix(f.Gateway.Secrets.Pseudonym, "file:"), "secret"})
	if !f.Has(RoleSealer) || f.Has("console") {
		t.Error("Has is wrong")
	}
}

func TestAFileWithoutRolesNeedsNoServicesAndNoState(t *testing.T) {
	loadGood(t, "node: keyadmin-1\naudit: {dir: audit}\nkeys: {dir: keys, unlock: {file: secret}}\n")
}

func TestCheckNamesEveryFaultWithItsLine(t *testing.T) {
	for _, c := range []struct{ name, from, to, want string }{
		{"unknown role", "[gateway, sealer]", "[gateway, sealre]", `:1:18: roles.1: want gateway, sealer, tsa or revocation (nearest: "sealer")`},
		{"role twice", "[gateway, sealer]", "[gateway, sealer, gateway]", "the role is named twice"},
		{"role without section", "sealer:\n  listen: 127.0.0.1:8444\n  token_file: tokens\n", "", "the role sealer and the section sealer come together"},
		{"no node", "node: gw-1\n", "", "node: want a name"},
		{"bad listen", "listen: 127.0.0.1:8443", "listen: \"8443\"", "sealgate.yaml:4:11: gateway.listen: want host:port"},
		{"port out of range", "listen: 127.0.0.1:8443", "listen: 127.0.0.1:84430", "want host:port"},
		{"no TLS outside loopback", "listen: 127.0.0.1:8443", "listen: 0.0.0.0:8443", "TLS is required outside loopback"},
		{"zone", "zone: extranet", "zone: intranet", "want extranet or internet"},
		{"proxy", "10.1.0.0/16", "10.1.0.0", "want a network"},
		{"no catalogue", "catalogue: catalogue.yaml", "catalogue: none.yaml", ":7:14: gateway.catalogue: the file does not exist"},
		{"two policies", "{shipped: true}", "{shipped: true, dir: .}", "exactly one of shipped: true, dir and bundle"},
		{"a bundle and a folder", "{shipped: true}", "{dir: ., bundle: a.sgb, officers: [.]}", "exactly one of shipped: true, dir and bundle"},
		{"a bundle without officers", "{shipped: true}", "{bundle: a.sgb}", "bundle and officers come together"},
		{"officers without a bundle", "{shipped: true}", "{shipped: true, officers: [.]}", "bundle and officers come together"},
		{"officers who are not there", "{shipped: true}", "{bundle: a.sgb, officers: [nobody]}", "gateway.policy.officers.0: the file does not exist"},
		{"no policy", "{shipped: true}", "{shipped: false}", "exactly one of shipped: true, dir and bundle"},
		{"secret in line", "\"file:secret\"", "\"hunter2\"", "gateway.secrets.pseudonym: want a reference"},
		{"secret file missing", "\"file:secret\"", "\"file:none\"", "gateway.secrets.pseudonym: the file does not exist"},
		{"secret in a Vault that nobody named", "local:subject-index", "vault:kv/sealgate#index", "gateway.secrets.subject_index: vault: needs the section keys.vault; without it want local:NAME or file:PATH"},
		{"header limit", "header_bytes: 16KiB", "header_bytes: 1KiB", "want 4KiB to 1MiB"},
		{"time limit", "header_timeout: 5s", "header_timeout: 1h", "want 100ms to 10m"},
		{"negative connections", "connections: 100", "connections: -1", "want 1 to 1048576"},
		{"no token file", "token_file: tokens", "token_file: none", "sealer.token_file: the file does not exist"},
		{"no ledger", "audit: {dir: audit}\n", "", "audit.dir: a value is needed"},
		{"two unlocks", "{file: secret}", "{file: secret, fd: 3}", "exactly one of file, fd, credential"},
		{"low fd", "{file: secret}", "{fd: 2}", "3 or higher"},
		{"credential path", "{file: secret}", "{credential: ../x}", "want a plain name"},
		{"shared place", "dir: keys", "dir: audit", "is the same place as that of audit"},
		{"sealer without keys", "keys:\n  dir: keys\n  unlock: {file: secret}\n", "", "keys: a value is needed"},
		{"TLS pair missing", "zone: extranet", "zone: extranet\n  tls: {cert: c.pem, key: k.pem}", "gateway.tls.cert: the file does not exist"},
		{"TLS pair is rubbish", "zone: extranet", "zone: extranet\n  tls: {cert: secret, key: secret}", "not a pair of PEM files"},
		{"a grace beyond the maximum age", "trust: [anchors]", "trust: [anchors]\nrevocation_freshness: {grace: 72h, max_age: 72h}", "revocation_freshness.grace: a grace that long"},
		{"trust missing", "[anchors]", "[none]", "trust.0: the file does not exist"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, err := Load(writeConfig(t, spoilt(t, goodFile, c.from, c.to)))
			if err != nil {
				t.Fatal(err)
			}
			if s := problems(f); !strings.Contains(s, c.want) {
				t.Errorf("got  %s\nwant %s", s, c.want)
			}
		})
	}
}

func TestCheckRefusesSecretsThatOthersCanRead(t *testing.T) {
	path := writeConfig(t, goodFile)
	if err := os.Chmod(filepath.Join(filepath.Dir(path), "secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if errs := f.Check(time.Now()); len(errs) != 2 || !strings.Contains(errs[0].Error(), "lets others read it") {
		t.Errorf("got %v", errs)
	}
}

func TestLoopback(t *testing.T) {
	for in, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "0.0.0.0:1": false, ":1": false, "10.0.0.1:1": false, "gw.example:1": false, "x": false} {
		if Loopback(in) != want {
			t.Errorf("Loopback(%q) is not %v", in, want)
		}
	}
}

// spoilt is a good file with one thing changed.
func spoilt(t *testing.T, file, from, to string) string {
	t.Helper()
	if !strings.Contains(file, from) {
		t.Fatalf("the test is wrong: no %q", from)
	}
	return strings.Replace(file, from, to, 1)
}

// problems is what Check says of f, a line each.
func problems(f *File) string {
	var all []string
	for _, e := range f.Check(time.Now()) {
		all = append(all, e.Error())
	}
	return strings.Join(all, "\n")
}
