package main

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
)

// TestVaultScripts runs testdata/vault: the program with its keys in a real
// Vault, each script with a server of its own, under the policies that are
// shipped in deploy/vault.
func TestVaultScripts(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join("testdata", "vault", "*.txt"))
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	first := testenv.StartVault(t) // without a server: skips once, or fails
	plugin := filepath.Join(first.PluginDir, testenv.Engine)
	sum := first.BuildPlugin(t, "./cmd/sealgate-vault-plugin", testenv.Engine)
	for i, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".txt"), func(t *testing.T) {
			v := first
			if i > 0 {
				v = testenv.StartVault(t)
				binary, err := os.ReadFile(plugin)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(v.PluginDir, testenv.Engine), binary, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			v.Must(t, http.MethodPost, "sys/plugins/catalog/secret/"+testenv.Engine, map[string]any{"sha256": sum, "command": testenv.Engine})
			v.MountEngine(t, "sealgate", nil)
			v.Must(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
			c := vaultCommands{t, v}
			runScripts(t, testscript.Params{Files: []string{script}, Cmds: map[string]func(*testscript.TestScript, bool, []string){
				"token": c.token, "approle": c.approle, "secret": c.secret, "vault": c.vault, "fill": cmdFill, "samekey": cmdSameKey, "listening": cmdListening, "answers": cmdAnswers, "refuses": cmdRefuses,
			}}, func(env *testscript.Env) {
				env.Setenv("VAULT", v.Addr)
				env.Setenv("ROOT", testenv.Root(t))
				env.Setenv("SEALGATE_VAULT_PLUGIN", plugin)
				env.Setenv("SEALGATE_VAULT_PORT", strings.TrimPrefix(testenv.FreePort(t), "127.0.0.1:"))
				testenv.FreePort(t) // the script takes the next port too
			})
		})
	}
}

// vaultCommands are what the administrator of a script's server does.
type vaultCommands struct {
	t *testing.T
	v *testenv.Vault
}

// token NAME POLICY...: makes a token with these shipped policies; it lies in
// NAME.token.
func (c vaultCommands) token(ts *testscript.TestScript, _ bool, args []string) {
	for _, policy := range args[1:] {
		c.v.WritePolicy(c.t, policy)
	}
	made := c.v.Must(c.t, http.MethodPost, "auth/token/create", map[string]any{"policies": args[1:], "no_default_policy": true, "ttl": "1h"})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".token"), []byte(made["client_token"].(string)), 0o600))
}

// approle NAME POLICY...: makes a role with these shipped policies. Its secret
// id lies in NAME.secret, its role id in the variable ROLE_NAME.
func (c vaultCommands) approle(ts *testscript.TestScript, _ bool, args []string) {
	for _, policy := range args[1:] {
		c.v.WritePolicy(c.t, policy)
	}
	ts.Setenv("ROLE_"+args[0], c.v.Role(c.t, args[0], args[1:], nil))
	id := c.v.Must(c.t, http.MethodPost, "auth/approle/role/"+args[0]+"/secret-id", nil)["secret_id"].(string)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".secret"), []byte(id), 0o600))
}

// secret PATH FIELD FILE: puts a secret into the KV engine. secret -d PATH:
// deletes its latest version.
func (c vaultCommands) secret(ts *testscript.TestScript, _ bool, args []string) {
	if args[0] == "-d" {
		c.v.Must(c.t, http.MethodDelete, "secret/data/"+args[1], nil)
		return
	}
	c.v.Must(c.t, http.MethodPost, "secret/data/"+args[0], map[string]any{"data": map[string]string{args[1]: ts.ReadFile(args[2])}})
}

// vault seal|unseal.
func (c vaultCommands) vault(ts *testscript.TestScript, _ bool, args []string) {
	switch args[0] {
	case "seal":
		c.v.Seal(c.t)
	case "unseal":
		c.v.Unseal(c.t)
	default:
		ts.Fatalf("vault %s?", args[0])
	}
}

// fill FILE...: replaces each $NAME by the variable's value.
func cmdFill(ts *testscript.TestScript, _ bool, args []string) {
	for _, f := range args {
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(os.Expand(ts.ReadFile(f), ts.Getenv)), 0o644))
	}
}

// samekey CSR CSR: both ask for a certificate of one public key.
func cmdSameKey(ts *testscript.TestScript, neg bool, args []string) {
	var all []*gm.PublicKey
	for _, f := range args {
		req, err := gm.ParseRequest([]byte(ts.ReadFile(f)))
		ts.Check(err)
		all = append(all, req.PublicKey)
	}
	if all[0].Equal(all[1]) == neg {
		ts.Fatalf("%v: the same key: %v", args, neg)
	}
}

// listening PROCESS ROLE NAME: waits until the role listens and sets NAME to
// its host and port.
func cmdListening(ts *testscript.TestScript, _ bool, args []string) {
	p := running(ts, args[0])
	line := `msg=listening role=` + args[1] + ` addr=([0-9.:]+)`
	ts.Check(p.await(line))
	ts.Setenv(args[2], regexp.MustCompile(line).FindStringSubmatch(p.text())[1])
}
