package vault_test

import (
	"encoding/pem"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

// book runs the shell blocks of a document against a server: each in a bash of
// its own, all in one folder, with the token of the role the block names.
type book struct {
	*testing.T
	v      *testenv.Vault
	dir    string
	env    []string
	tokens map[string]string
}

func newBook(t *testing.T, v *testenv.Vault) *book {
	t.Helper()
	b := &book{T: t, v: v, dir: t.TempDir(), tokens: map[string]string{"root": v.RootToken}}
	b.env = append(v.Env(), "HOME="+b.dir, "POLICIES="+filepath.Join(testenv.Root(t), "deploy", "vault"), "PLUGIN_DIR="+v.PluginDir,
		"VAULT_AUDIT_LOG="+filepath.Join(b.dir, "audit.log"), "LC_ALL=C.UTF-8")
	return b
}

// as gives a role of the books a token with the policy of the same name.
func (b *book) as(role string) string {
	b.Helper()
	if b.tokens[role] == "" {
		b.tokens[role] = b.v.Must(b, http.MethodPost, "auth/token/create",
			map[string]any{"policies": []string{b.v.WritePolicy(b, role)}, "no_default_policy": true, "ttl": "10m"})["client_token"].(string)
	}
	return b.tokens[role]
}

var shellBlock = regexp.MustCompile("(?ms)^ *```sh ([a-z]+)\n(.*?)^ *```$")

// run runs the blocks of a document in order, calling after(i) after block i.
func (b *book) run(path string, after func(i int)) {
	b.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.Root(b), path))
	if err != nil {
		b.Fatal(err)
	}
	blocks := shellBlock.FindAllStringSubmatch(string(text), -1)
	if len(blocks) == 0 {
		b.Fatalf("%s has no shell blocks", path)
	}
	for i, m := range blocks {
		cmd := exec.Command("bash", "-euo", "pipefail", "-c", m[2])
		cmd.Dir, cmd.Env = b.dir, append(b.env, "VAULT_TOKEN="+b.as(m[1]))
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s, block %d as %s: %v\n%s\n%s", path, i+1, m[1], err, m[2], out)
		}
		if after != nil {
			after(i + 1)
		}
	}
}

// certify answers a certificate request in a file with a certificate.
func (b *book) certify(csr, cert string) {
	b.Helper()
	data, err := os.ReadFile(filepath.Join(b.dir, csr))
	if err != nil {
		b.Fatal(err)
	}
	block, _ := pem.Decode(data)
	if block == nil {
		b.Fatalf("%s is not PEM: %s", csr, data)
	}
	req, err := gm.ParseRequest(block.Bytes)
	if err != nil {
		b.Fatal(err)
	}
	if req.Subject.CommonName != "签章人" || len(req.Subject.Organization) != 1 {
		b.Errorf("subject %v", req.Subject)
	}
	outside := keytest.NewOutside(b, &keytest.Clock{})
	c := outside.CertifyAs(gm.Template{Subject: req.Subject, KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, req.PublicKey)
	if err := os.WriteFile(filepath.Join(b.dir, cert), append(c.PEM(), outside.Root.PEM()...), 0o600); err != nil {
		b.Fatal(err)
	}
}

// The commands of the handbook and of deploy/vault/README.md, run as they
// stand against a server of their own. bin/vault is the command line as well.
func TestRunbooksDoWhatTheySay(t *testing.T) {
	v := testenv.StartVault(t)
	for _, program := range []string{"bash", "curl", "sha256sum"} {
		if _, err := exec.LookPath(program); err != nil {
			testenv.Missing(t, "no "+program)
		}
	}
	v.BuildPlugin(t, "./cmd/sealgate-vault-plugin", testenv.Engine)
	b := newBook(t, v)
	b.run("deploy/vault/README.md", nil)
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
	create(t, admin, "seal-rs", keys.Seal)
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
			v.Unseal(t) // what the custodians do by typing
		}
	})
	eventually(t, 10e9, "signing after unsealing", func() error { return sign(2) })

	b.run("docs/handbook/keys-vault-restore.md", func(i int) {
		switch i {
		case 1: // after the snapshot: one key is disabled, another made
			create(t, admin, "ledger-new", keys.Checkpoint)
			if _, err := admin.Disable(t.Context(), "seal-rs"); err != nil {
				t.Fatal(err)
			}
		case 2:
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
		if i == 2 {
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
	if t.Failed() {
		return
	}
	if text, err := os.ReadFile(filepath.Join(b.dir, "audit.log")); err != nil || !strings.Contains(string(text), "SG-KEY-DISABLED") {
		t.Errorf("the refused signature is not in the audit log: %v", err)
	}
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
