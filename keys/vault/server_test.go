package vault_test

import (
	"net/http"
	"testing"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

// adminPolicy lets a test client do everything on every mount of the engine.
const adminPolicy = `
path "+/keys/*" { capabilities = ["read", "update", "list"] }
path "+/keys"   { capabilities = ["list"] }
path "+/sign/*" { capabilities = ["update", "patch"] }
path "transit/sign/*" { capabilities = ["update"] }
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
`

// startServer starts a real Vault with the engine at "sealgate", and a role
// "admin" that may do everything with it.
func startServer(t testing.TB) *testenv.Vault {
	t.Helper()
	v := testenv.StartVault(t)
	install(t, v)
	return v
}

func install(t testing.TB, v *testenv.Vault) {
	t.Helper()
	v.InstallEngine(t)
	v.Must(t, http.MethodPut, "sys/policies/acl/admin", map[string]string{"policy": adminPolicy})
	v.Role(t, "admin", []string{"admin"}, nil)
}

// open returns a client logged in as role; change may alter its configuration.
func open(t testing.TB, v *testenv.Vault, role string, change func(*vault.Config)) *vault.Client {
	t.Helper()
	id := v.Must(t, http.MethodGet, "auth/approle/role/"+role+"/role-id", nil)["role_id"].(string)
	c := vault.Config{Addresses: []string{v.Addr}, Login: &vault.AppRole{RoleID: id, SecretIDFile: v.SecretID(t, role)}}
	if change != nil {
		change(&c)
	}
	client, err := vault.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// create makes a key and, for a seal key, gives it a certificate.
func create(t testing.TB, c *vault.Client, name keys.Name, p keys.Purpose) keys.Info {
	t.Helper()
	info, err := c.Create(t.Context(), name, p)
	if err != nil {
		t.Fatal(err)
	}
	if p.CertificateBound() {
		cert := keytest.NewOutside(t, &keytest.Clock{}).Certify(info.Versions[0].Public)
		if info, err = c.InstallCertificate(t.Context(), name, 1, []*gm.Certificate{cert}); err != nil {
			t.Fatal(err)
		}
	}
	return info
}

// checkpoint is a sound ledger head of now.
func checkpoint(t testing.TB, size uint64) []byte {
	t.Helper()
	b, err := audit.Checkpoint{Log: "test-log", Size: size, Root: gm.SM3([]byte{byte(size)}), Time: (&keytest.Clock{}).Now()}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func headRequest(t testing.TB, size uint64, id string) keys.Request {
	t.Helper()
	return keys.Request{Type: keys.TypeCheckpoint, Item: checkpoint(t, size), KeyVersion: 1, ID: id}
}
