package main

import (
	"crypto/x509/pkix"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/vault"
)

// officerNames are the officers of the scripts in testdata/officers.
var officerNames = map[string]string{"a": "王策略 0021", "b": "李策略 0022"}

func TestPolicyBundlesRunUnchangedOverBothKeyStores(t *testing.T) {
	script := testscript.Params{Files: []string{filepath.Join("testdata", "officers", "policy.txt")}}
	t.Run("embedded", func(t *testing.T) {
		stores := map[string]keyService{}
		dir := t.TempDir()
		for _, who := range []string{"root", "a", "b"} {
			path := filepath.Join(dir, who)
			ks, err := local.Create(t.Context(), path, []byte("correct horse battery "+who), local.Options{KDF: local.CheapKDF()})
			if err != nil {
				t.Fatal(err)
			}
			stores[who] = ks
			if err := os.WriteFile(path+".pass", []byte("correct horse battery "+who+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		public := certifyOfficers(t, stores["root"], stores)
		for _, ks := range stores {
			if err := ks.Close(); err != nil {
				t.Fatal(err)
			}
		}
		runScripts(t, script, func(env *testscript.Env) {
			env.Setenv("NL", "\n")
			writeOffices(t, env.WorkDir, public, func(who string) string {
				return fmt.Sprintf("{dir: %s, unlock: {file: %s.pass}}", filepath.Join(dir, who), filepath.Join(dir, who))
			})
		})
	})
	t.Run("Vault", func(t *testing.T) {
		v := testenv.StartVault(t)
		v.InstallEngine(t)
		admin, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: vault.TokenFile(testenv.SecretFile(t, v.RootToken))})
		if err != nil {
			t.Fatal(err)
		}
		public := certifyOfficers(t, admin, map[string]keyService{"a": admin, "b": admin})
		if err := admin.Close(); err != nil {
			t.Fatal(err)
		}
		shipped, err := os.ReadFile(filepath.Join(testenv.Root(t), "deploy", "vault", "policy-officer.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		tokens := map[string]string{}
		for who := range officerNames { // the shipped policy names officer-a: it is copied for each
			name := "officer-" + who
			text := strings.ReplaceAll(string(shipped), "officer-a", name)
			v.Must(t, http.MethodPut, "sys/policies/acl/"+name, map[string]string{"policy": text})
			made := v.Must(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{name}, "no_default_policy": true, "ttl": "1h"})
			tokens[who] = testenv.SecretFile(t, made["client_token"].(string))
		}
		runScripts(t, script, func(env *testscript.Env) {
			env.Setenv("NL", "\n")
			writeOffices(t, env.WorkDir, public, func(who string) string {
				return fmt.Sprintf("{vault: {addresses: [%q], token: %s}}", v.Addr, tokens[who])
			})
		})
	})
}

// certifyOfficers makes a root in one key store and the officers' keys in
// theirs, and returns the files that the root publishes: its certificate, a
// revocation list without entries, and one that revokes officer b.
func certifyOfficers(t *testing.T, authority keyService, stores map[string]keyService) map[string][]byte {
	t.Helper()
	ctx := t.Context()
	from := time.Now().Truncate(time.Second)
	if _, err := authority.Create(ctx, "root", keys.CA); err != nil {
		t.Fatal(err)
	}
	root, err := pki.NewRoot(ctx, authority.Key("root"), authority, pkix.Name{CommonName: "策略管理员根"}, from, from.AddDate(5, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	serials := map[string]*big.Int{}
	for who, name := range officerNames {
		key := keys.Name("officer-" + who)
		if _, err := stores[who].Create(ctx, key, keys.Policy); err != nil {
			t.Fatal(err)
		}
		subject := pkix.Name{CommonName: name, Organization: []string{"省大数据局"}}
		c, err := root.Enrol(ctx, stores[who].Key(key), stores[who], pki.Officer, subject, from, from.AddDate(2, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		serials[who] = c.Serial
	}
	public := map[string][]byte{filepath.Join("officers", "root.pem"): root.Certificate().PEM()}
	for i, revoked := range [][]gm.RevokedEntry{nil, {{Serial: serials["b"], At: from, Reason: 5}}} {
		list, err := root.RevocationList(ctx, big.NewInt(int64(i+1)), from, from.AddDate(0, 0, 7), revoked)
		if err != nil {
			t.Fatal(err)
		}
		public[fmt.Sprintf("list-%d.crl", i+1)] = list.Raw
	}
	return public
}

// writeOffices writes the officers' configurations and whom the gateway trusts.
func writeOffices(t *testing.T, dir string, public map[string][]byte, keys func(who string) string) {
	t.Helper()
	files := maps.Clone(public)
	for who := range officerNames {
		files[who+".yaml"] = fmt.Appendf(nil, `node: officer-%s
audit: {dir: audit-%s}
keys: %s
`, who, who, keys(who))
	}
	if err := os.MkdirAll(filepath.Join(dir, "officers"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
