package vault_test

import (
	"encoding/hex"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/demo"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

// book runs the shell blocks of documents against a server, as they stand: each
// in a bash of its own, all in one folder, with the token of the role that the
// block names. The files that documents show (blocks of YAML with a name) are
// written first, with the address of this server in the place of the example's.
type book struct {
	*testing.T
	v      *testenv.Vault
	dir    string
	env    []string
	tokens map[string]string
	stdin  string // what is typed in the next blocks
	pages  []string
	said   map[string]bool   // the first two words of every command that ran, as "vault kv"
	named  map[string]string // those that the text of a page names
}

func newBook(t *testing.T, v *testenv.Vault) *book {
	t.Helper()
	b := &book{T: t, v: v, dir: t.TempDir(), tokens: map[string]string{"root": v.RootToken, "custodian": ""}, said: map[string]bool{}, named: map[string]string{}}
	bin := t.TempDir()
	build := exec.Command("go", "build", "-o", filepath.Join(bin, "sealgate"), "./cmd/sealgate")
	build.Dir, build.Env = testenv.Root(t), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build sealgate: %v\n%s", err, out)
	}
	for _, e := range v.Env() {
		if path, ok := strings.CutPrefix(e, "PATH="); ok {
			e = "PATH=" + bin + string(os.PathListSeparator) + path
		}
		b.env = append(b.env, e)
	}
	b.env = append(b.env, "HOME="+b.dir, "POLICIES="+filepath.Join(testenv.Root(t), "deploy", "vault"), "PLUGIN_DIR="+v.PluginDir,
		"VAULT_AUDIT_LOG="+filepath.Join(b.dir, "audit.log"), "LC_ALL=C.UTF-8")
	return b
}

// as gives a role of the books a token with the policy of the same name, which
// also lies in ROLE.token.
func (b *book) as(role string) string {
	b.Helper()
	if _, ok := b.tokens[role]; !ok {
		b.tokens[role] = b.v.Must(b, http.MethodPost, "auth/token/create",
			map[string]any{"policies": []string{b.v.WritePolicy(b, role)}, "no_default_policy": true, "ttl": "10m"})["client_token"].(string)
		b.write(role+".token", b.tokens[role])
	}
	return b.tokens[role]
}

func (b *book) write(name, text string) {
	b.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

var (
	fencedBlock = regexp.MustCompile("(?ms)^ *```([^\n]*)\n(.*?)^ *```$")
	shellKind   = regexp.MustCompile(`^sh [a-z]+$`)
	yamlKind    = regexp.MustCompile(`^yaml [a-z-]+\.yaml$`)
	inlineCode  = regexp.MustCompile("`((?:sealgate|vault) [a-z][^`]*)`")
	exampleAddr = regexp.MustCompile(`addresses: \["https://vault-1\.example:8200"\], ca: vault-ca\.pem`)
)

// run runs the blocks of a document in order, calling after(i) after shell
// block i.
func (b *book) run(path string, after func(i int)) {
	b.Helper()
	b.pages = append(b.pages, path)
	text, err := os.ReadFile(filepath.Join(testenv.Root(b), path))
	if err != nil {
		b.Fatal(err)
	}
	var shell [][]string
	for _, m := range fencedBlock.FindAllStringSubmatch(string(text), -1) {
		kind, name, _ := strings.Cut(m[1], " ")
		switch {
		case shellKind.MatchString(m[1]):
			shell = append(shell, []string{name, m[2]})
		case yamlKind.MatchString(m[1]):
			yaml := exampleAddr.ReplaceAllLiteralString(m[2], `addresses: ["`+b.v.Addr+`"]`)
			if before, after, ok := strings.Cut(yaml, "ROLE-ID"); ok {
				yaml = before + roleID(b.T, b.v, "sealer") + after
			}
			b.write(name, yaml)
		case m[1] == "hcl": // of Vault's server: no command
		default:
			b.Fatalf("%s: a block %q is neither run nor written", path, kind)
		}
	}
	for i, block := range shell {
		role, script := block[0], block[1]
		command := []string{"bash", "-euo", "pipefail", "-c", script}
		if role == "custodian" { // types at a terminal
			command = []string{"script", "-qec", strings.TrimSpace(script), "/dev/null"}
		}
		cmd := exec.Command(command[0], command[1:]...)
		cmd.Dir, cmd.Env, cmd.Stdin = b.dir, append(slices.Clone(b.env), "VAULT_TOKEN="+b.as(role)), strings.NewReader(b.stdin)
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s, block %d as %s: %v\n%s\n%s", path, i+1, role, err, script, out)
		}
		for _, said := range regexp.MustCompile(`\b(?:sealgate|vault) [a-z]+`).FindAllString(script, -1) {
			b.said[said] = true
		}
		if after != nil {
			after(i + 1)
		}
	}
	for _, m := range inlineCode.FindAllStringSubmatch(string(text), -1) {
		words := strings.Fields(m[1])
		b.named[words[0]+" "+words[1]] = path
	}
}

// certify answers a certificate request in a file with a certificate.
func (b *book) certify(csr, cert string) {
	b.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, csr))
	if err != nil {
		b.Fatal(err)
	}
	req, err := gm.ParseRequest(data)
	if err != nil {
		b.Fatal(err)
	}
	outside := keytest.NewOutside(b, &keytest.Clock{})
	c := outside.CertifyAs(gm.Template{Subject: req.Subject, KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, req.PublicKey)
	b.write(cert, string(c.PEM())+string(outside.Root.PEM()))
}

// do runs a command that is no part of a page.
func (b *book) do(script string) {
	b.Helper()
	cmd := exec.Command("bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = b.dir, b.env
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// planDigest is what those present at the ceremony of README.md compute.
func planDigest(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "vault", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range fencedBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "yaml plan.yaml" {
			digest := gm.SM3([]byte(m[2]))
			return hex.EncodeToString(digest[:])
		}
	}
	t.Fatal("README.md has no plan.yaml")
	return ""
}

// The commands of the handbook and of deploy/vault/README.md, run as they
// stand against a server of their own. bin/vault is the command line as well.
func TestRunbooksDoWhatTheySay(t *testing.T) {
	v := testenv.StartVault(t)
	for _, program := range []string{"bash", "curl", "sha256sum", "openssl", "script"} {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Missing(t, "no "+program)
		}
	}
	v.BuildPlugin(t, "./cmd/sealgate-vault-plugin", testenv.Engine)
	b := newBook(t, v)
	b.stdin = planDigest(t) + "\n" + planDigest(t) + "\n" // those present
	b.run("deploy/vault/README.md", nil)
	b.run("docs/handbook/keys-vault.md", nil)
	file := filepath.Join(b.dir, "wrapped-secret-id")
	sealer, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: &vault.AppRole{RoleID: roleID(t, v, "sealer"), WrappedSecretIDFile: file}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sealer.Close() })
	if err := sealer.Ready(t.Context()); err != nil {
		t.Fatalf("the role of README.md: %v", err)
	}
	admin := keysAdmin(t, b)
	outside := keytest.NewOutside(t, &keytest.Clock{})
	sign := func(n int) error {
		info, err := sealer.Info(t.Context(), "seal-rs")
		if err != nil {
			return err
		}
		item := keytest.DER(t, outside.TBS(outside.Seal(outside.SealInfo(info.Versions[n-1].Certificate)), 1))
		_, err = sealer.Key("seal-rs").Sign(t.Context(), keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: n})
		return err
	}

	b.run("docs/handbook/keys-vault-rotate.md", func(i int) {
		if i == 2 {
			if err := sign(1); err != nil {
				t.Errorf("the old version must sign until the new certificate is there: %v", err)
			}
			b.certify("seal-rs.csr", "seal-rs.pem")
		}
	})
	if err := sign(2); err != nil {
		t.Errorf("after the rotation: %v", err)
	}
	if err := sign(1); !errors.Is(err, keys.ErrVersion) {
		t.Errorf("the old version after the rotation: %v", err)
	}

	b.run("docs/handbook/keys-vault-sealed.md", func(i int) {
		if i == 2 {
			if err := sealer.Ready(t.Context()); !errors.Is(err, keys.ErrSealed) {
				t.Errorf("ready: %v", err)
			}
			b.stdin = v.UnsealKey() + "\n"
		}
	})
	b.stdin = ""
	eventually(t, 10e9, "signing after unsealing", func() error { return sign(2) })

	b.run("docs/handbook/keys-vault-restore.md", func(i int) {
		switch i {
		case 2: // after the snapshot: one key is disabled, another made
			create(t, admin, "ledger-new", keys.Checkpoint)
			b.do("sealgate keys disable -config keyadmin.yaml seal-rs")
		case 3:
			eventually(t, 30e9, "answers after the restore", func() error { _, err := admin.Info(t.Context(), "seal-rs"); return err })
			if _, err := admin.Info(t.Context(), "ledger-new"); !errors.Is(err, keys.ErrNotFound) {
				t.Errorf("a key made after the snapshot: %v", err)
			}
			if err := sign(2); err != nil {
				t.Errorf("the restored key: %v", err)
			}
		}
	})
	if err := sign(2); !errors.Is(err, keys.ErrDisabled) {
		t.Errorf("a key that was disabled before the restore signs after it: %v", err)
	}

	create(t, admin, "seal-other", keys.Seal)
	b.run("docs/handbook/keys-vault-compromised.md", func(i int) {
		if i == 3 {
			if err := sign(2); !errors.Is(err, keys.ErrForbidden) {
				t.Errorf("the old secret id still works: %v", err)
			}
			again, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: &vault.AppRole{RoleID: roleID(t, v, "sealer"), WrappedSecretIDFile: file}})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			if _, err := again.Info(t.Context(), "seal-other"); err != nil {
				t.Errorf("the new secret id: %v", err)
			}
		}
	})
	gateway := v.Must(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"gateway"}, "no_default_policy": true})["client_token"].(string)
	secrets, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: vault.TokenFile(testenv.SecretFile(t, gateway))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { secrets.Close() })
	const callers = "vault:secret/sealgate/gateway/rs-benefit#key"
	b.run("docs/handbook/keys-vault-secrets.md", func(i int) {
		got, err := secrets.Secrets(0).Secret(t.Context(), callers)
		if i == 1 && (err != nil || len(got) != 32) || i == 2 && !errors.Is(err, keys.ErrSecret) {
			t.Errorf("the caller's key after block %d: %v", i, err)
		}
	})
	if _, err := secrets.Secrets(0).Secret(t.Context(), "vault:secret/sealgate/gateway/pseudonym#key"); err != nil {
		t.Errorf("the secrets of README.md: %v", err)
	}

	v.Must(t, http.MethodPost, "secret/data/sealgate/gateway/pseudonym", map[string]any{"data": map[string]string{"key": secretText(1, 32)}})
	if status, body, err := v.Do(t.Context(), gateway, http.MethodGet, "secret/data/sealgate/gateway/pseudonym?version=1", nil); err != nil || status != http.StatusNotFound {
		t.Errorf("the gateway reads a former version: %d %s %v", status, body, err)
	}

	b.oldOffice()
	b.run("docs/handbook/keys-vault-migrate.md", func(i int) {
		if i == 1 {
			b.certify("requests/maker-tj.csr", "maker-tj.pem")
			b.certify("requests/seal-tj.csr", "seal-tj.pem")
		}
	})

	pages, err := filepath.Glob(filepath.Join(testenv.Root(t), "docs", "handbook", "keys-vault*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if !slices.Contains(b.pages, "docs/handbook/"+filepath.Base(page)) {
			t.Errorf("nobody has run the commands of %s", page)
		}
	}
	for command, page := range b.named {
		if !b.said[command] && strings.HasPrefix(page, "docs/") {
			t.Errorf("%s names %q, which no block of any page has run", page, command)
		}
	}
	if t.Failed() {
		return
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "audit.log")); err != nil || !strings.Contains(string(text), "SG-KEY-DISABLED") {
		t.Errorf("the refused signature is not in the audit log: %v", err)
	}
}

// oldOffice makes what the page about the migration starts from: a seal service
// with software keys, which has sealed something.
func (b *book) oldOffice() {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(b), "docs", "handbook", "keys-vault-migrate.md"))
	if err != nil {
		b.Fatal(err)
	}
	for _, m := range fencedBlock.FindAllStringSubmatch(string(text), -1) {
		if m[1] == "yaml old.yaml" {
			b.write("old.yaml", m[2])
		}
	}
	paper, err := demo.SamplePermit(time.Now())
	if err != nil {
		b.Fatal(err)
	}
	b.write("paper.ofd", string(paper))
	b.write("unlock", "correct horse battery staple")
	b.write("tokens", "office abcdefghijklmnopqrstuvwxyz012345\n")
	b.do(`sealgate keys create -config old.yaml -purpose checkpoint ledger-sealer
sealgate keys create -config old.yaml -purpose seal-maker maker-tj
sealgate keys create -config old.yaml -purpose seal seal-tj
sealgate keys csr -config old.yaml -subject C=CN,O=统计局,CN=制章人 maker-tj -o maker-old.csr
sealgate keys csr -config old.yaml -subject C=CN,O=统计局,CN=签章人 seal-tj -o seal-old.csr`)
	b.certify("maker-old.csr", "maker-old.pem")
	b.certify("seal-old.csr", "seal-old.pem")
	b.do(`sealgate keys install-cert -config old.yaml maker-tj maker-old.pem
sealgate keys install-cert -config old.yaml seal-tj seal-old.pem
sealgate seals make -config old.yaml -maker maker-tj -id 22000000000031 -title 统计局 seal-tj`)
}

// keysAdmin is a client with the policy keyadmin.
func keysAdmin(t *testing.T, b *book) *vault.Client {
	t.Helper()
	c, err := vault.Open(vault.Config{Addresses: []string{b.v.Addr}, Login: vault.TokenFile(testenv.SecretFile(t, b.as("keyadmin")))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
