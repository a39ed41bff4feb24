package vault_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

var loginTests = []realTest{
	{"a periodic token without the default policy renews itself for ever", periodicToken},
	{"a token that nears its maximum is replaced before it ends", endingToken},
	{"a wrapped secret id is opened once", wrappedSecret},
	{"a wrapping token that was used or made elsewhere is refused", foreignWrapping},
	{"a person's token is used and told from a bad one", personToken},
}

// signFor signs without pause for d and fails on the first error.
func signFor(t *testing.T, c *vault.Client, name keys.Name, d time.Duration) {
	t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if _, err := c.Key(name).Sign(t.Context(), headRequest(t, 1, "")); err != nil {
			t.Fatal(err)
		}
	}
}

func periodicToken(t *testing.T, v *testenv.Vault) {
	v.Role(t, "periodic", []string{"admin"}, map[string]any{"token_period": "3s"})
	var w *watcher
	c := open(t, v, "periodic", func(c *vault.Config) { w = watch(c) })
	create(t, c, "periodic-1", keys.Checkpoint)
	signFor(t, c, "periodic-1", 7*time.Second)
	if logins, renewals := w.seen("/login"), w.seen("renew-self"); logins != 1 || renewals < 2 {
		t.Errorf("%d logins, %d renewals", logins, renewals)
	}
	status, body, err := v.Do(context.Background(), w.lastToken(), http.MethodGet, "auth/token/lookup-self", nil)
	if err != nil || status != http.StatusOK {
		t.Errorf("lookup-self: %d %s %v", status, body, err)
	}
	status, _, err = v.Do(context.Background(), w.lastToken(), http.MethodGet, "sys/internal/ui/resultant-acl", nil)
	if err != nil || status != http.StatusForbidden {
		t.Errorf("the token has the default policy: %d %v", status, err)
	}
}

func endingToken(t *testing.T, v *testenv.Vault) {
	v.Role(t, "ending", []string{"admin"}, map[string]any{"token_period": 0, "token_ttl": "2s", "token_max_ttl": "3s"})
	var w *watcher
	c := open(t, v, "ending", func(c *vault.Config) { w = watch(c) })
	create(t, c, "ending-1", keys.Checkpoint)
	signFor(t, c, "ending-1", 6*time.Second)
	if logins := w.seen("/login"); logins < 2 || logins > 6 {
		t.Errorf("%d logins", logins)
	}
}

// wrapped makes a response-wrapped secret id of the role admin.
func wrapped(t *testing.T, v *testenv.Vault) string {
	t.Helper()
	return wrapToken(t, v, "auth/approle/role/admin/secret-id", nil)
}

func roleID(t *testing.T, v *testenv.Vault, role string) string {
	t.Helper()
	return v.Must(t, http.MethodGet, "auth/approle/role/"+role+"/role-id", nil)["role_id"].(string)
}

func openWrapped(t *testing.T, v *testenv.Vault, file string) *vault.Client {
	t.Helper()
	c, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: &vault.AppRole{RoleID: roleID(t, v, "admin"), WrappedSecretIDFile: file}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wrappedSecret(t *testing.T, v *testenv.Vault) {
	file := testenv.SecretFile(t, wrapped(t, v))
	c := openWrapped(t, v, file)
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the used wrapping token stays in its file")
	}
	if _, err := c.List(t.Context()); err != nil {
		t.Error(err)
	}
}

func foreignWrapping(t *testing.T, v *testenv.Vault) {
	used := wrapped(t, v)
	if status, _, err := v.Do(t.Context(), used, http.MethodPost, "sys/wrapping/unwrap", nil); err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	own := wrapToken(t, v, "sys/wrapping/wrap", map[string]string{"secret_id": "mine"})
	for name, token := range map[string]string{"used by somebody else": used, "made of a secret of somebody's own": own, "rubbish": "hvs.rubbish"} {
		if err := openWrapped(t, v, testenv.SecretFile(t, token)).Ready(t.Context()); !errors.Is(err, keys.ErrForbidden) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func personToken(t *testing.T, v *testenv.Vault) {
	token := v.Must(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{"admin"}, "ttl": "1m"})["client_token"].(string)
	file := testenv.SecretFile(t, token)
	openFile := func() *vault.Client {
		c, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: vault.TokenFile(file)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	c := openFile()
	if err := c.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if status, _, err := v.Do(context.Background(), token, http.MethodGet, "auth/token/lookup-self", nil); err != nil || status != http.StatusOK {
		t.Errorf("closing the client ended a person's token: %d %v", status, err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := openFile().Ready(t.Context()); !errors.Is(err, keys.ErrAccess) {
		t.Errorf("a token file that others can read: %v", err)
	}
	revoke(t, v, token)
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := openFile().Ready(t.Context()); !errors.Is(err, keys.ErrForbidden) {
		t.Errorf("a revoked token: %v", err)
	}
}
