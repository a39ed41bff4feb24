package vault_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
)

var policyTests = []realTest{{"the shipped policies grant what they say and nothing else", shippedPolicies}}

// shippedPolicies loads every file of deploy/vault into the server and asks,
// for each, a list of requests. What Vault allows reaches the engine, whose
// answer is then a refusal of its own or success; what it forbids is 403.
func shippedPolicies(t *testing.T, v *testenv.Vault) {
	requests := []struct{ method, path string }{
		{"LIST", "sealgate/keys/"},
		{"GET", "sealgate/keys/seal-a"}, {"GET", "sealgate/keys/ledger-gateway"}, {"GET", "sealgate/keys/ledger-sealer"}, {"GET", "sealgate/keys/ca-a"},
		{"GET", "sealgate/keys/maker-a"}, {"GET", "sealgate/keys/tsa-a"}, {"GET", "sealgate/keys/licence-a"}, {"GET", "sealgate/keys/officer-a"}, {"GET", "sealgate/keys/officer-b"},
		{"POST", "sealgate/keys/seal-a"}, {"POST", "sealgate/keys/seal-a/rotate"}, {"POST", "sealgate/keys/seal-a/disable"}, {"POST", "sealgate/keys/seal-a/destroy"},
		{"POST", "sealgate/keys/seal-a/csr"}, {"POST", "sealgate/keys/seal-a/certificate"},
		{"POST", "sealgate/sign/tbs/seal-a"}, {"POST", "sealgate/sign/tbs/other"}, {"POST", "sealgate/sign/sealinfo/maker-a"}, {"POST", "sealgate/sign/sealinfo/seal-a"},
		{"POST", "sealgate/sign/statuslist/licence-a"}, {"POST", "sealgate/sign/checkpoint/ledger-sealer"}, {"POST", "sealgate/sign/checkpoint/ledger-gateway"},
		{"POST", "sealgate/sign/checkpoint/ledger-keyadmin"}, {"POST", "sealgate/sign/checkpoint/ledger-destroyer"}, {"POST", "sealgate/sign/checkpoint/ledger-ceremony"},
		{"POST", "sealgate/sign/checkpoint/ledger-maker"}, {"POST", "sealgate/sign/checkpoint/ledger-tsa"}, {"GET", "sealgate/keys/ledger-maker"}, {"GET", "sealgate/keys/ledger-tsa"},
		{"POST", "sealgate/sign/bundle/officer-a"}, {"POST", "sealgate/sign/bundle/officer-b"}, {"POST", "sealgate/sign/tst/tsa-a"}, {"POST", "sealgate/sign/x509/ca-a"}, {"POST", "sealgate/sign/x509/root"},
		{"POST", "sealgate/sign/revocation/ca-a"}, {"POST", "sealgate/sign/revocation/root"}, {"POST", "sealgate/sign/checkpoint/ledger-ca"}, {"GET", "sealgate/keys/ledger-ca"},
		{"POST", "sealgate/sign/checkpoint/ledger-revocation"}, {"POST", "sealgate/sign/checkpoint/ledger-revoker"}, {"GET", "sealgate/keys/ledger-revocation"}, {"GET", "sealgate/keys/ledger-revoker"},
		{"PATCH", "sealgate/sign/tbs/seal-a"}, {"PATCH", "sealgate/sign/checkpoint/ledger-gateway"}, {"PATCH", "sealgate/keys/seal-a"},
		{"GET", "secret/data/sealgate/gateway/rs"}, {"GET", "secret/data/sealgate/sealer/x"}, {"GET", "secret/data/other"}, {"GET", "secret/metadata/sealgate/gateway/rs"},
		{"LIST", "secret/metadata/sealgate/gateway/"}, {"LIST", "secret/metadata/"}, {"POST", "secret/data/sealgate/gateway/rs"}, {"PATCH", "secret/data/sealgate/gateway/rs"},
		{"DELETE", "secret/data/sealgate/gateway/rs"}, {"POST", "secret/undelete/sealgate/gateway/rs"}, {"POST", "secret/destroy/sealgate/gateway/rs"}, {"GET", "secret/subkeys/sealgate/gateway/rs"},
		{"DELETE", "secret/metadata/sealgate/gateway/rs"}, {"POST", "secret/delete/sealgate/gateway/rs"}, {"GET", "secret/config"}, {"POST", "secret/config"},
		{"GET", "sys/mounts"}, {"POST", "sys/mounts/sealgate/tune"}, {"POST", "sys/mounts/x"}, {"PUT", "sys/policies/acl/x"}, {"GET", "sys/raw/logical"}, {"POST", "auth/token/create"},
		{"GET", "auth/token/lookup-self"}, {"POST", "auth/token/renew-self"},
		{"GET", "sys/storage/raft/snapshot"}, {"POST", "sys/storage/raft/snapshot"}, {"GET", "sys/audit"}, {"GET", "sys/storage/raft/configuration"},
	}
	mountKV(t, v)
	self := "GET auth/token/lookup-self,POST auth/token/renew-self"
	allKeys := "GET sealgate/keys/seal-a,GET sealgate/keys/ledger-gateway,GET sealgate/keys/ledger-sealer,GET sealgate/keys/ca-a,GET sealgate/keys/maker-a," +
		"GET sealgate/keys/tsa-a,GET sealgate/keys/licence-a,GET sealgate/keys/officer-a,GET sealgate/keys/officer-b," +
		"GET sealgate/keys/ledger-maker,GET sealgate/keys/ledger-tsa,GET sealgate/keys/ledger-ca,GET sealgate/keys/ledger-revocation,GET sealgate/keys/ledger-revoker,LIST sealgate/keys/"
	for policy, allowed := range map[string]string{
		"sealer":    "GET sealgate/keys/seal-a,GET sealgate/keys/ledger-sealer,POST sealgate/sign/tbs/seal-a,PATCH sealgate/sign/tbs/seal-a,POST sealgate/sign/checkpoint/ledger-sealer",
		"gateway":   "GET secret/data/sealgate/gateway/rs,GET sealgate/keys/ledger-gateway,POST sealgate/sign/checkpoint/ledger-gateway,PATCH sealgate/sign/checkpoint/ledger-gateway",
		"maker":     "GET sealgate/keys/maker-a,GET sealgate/keys/seal-a,GET sealgate/keys/ledger-maker,POST sealgate/sign/sealinfo/maker-a,POST sealgate/sign/checkpoint/ledger-maker",
		"licensing": "GET sealgate/keys/licence-a,POST sealgate/sign/statuslist/licence-a",
		"tsa":       "GET sealgate/keys/tsa-a,GET sealgate/keys/ledger-tsa,POST sealgate/sign/tst/tsa-a,POST sealgate/sign/checkpoint/ledger-tsa",
		"ca":        "GET sealgate/keys/ca-a,GET sealgate/keys/ledger-ca,POST sealgate/sign/x509/ca-a,POST sealgate/sign/revocation/ca-a,POST sealgate/sign/checkpoint/ledger-ca",
		"revocation": "GET sealgate/keys/ca-a,GET sealgate/keys/licence-a,GET sealgate/keys/ledger-revocation,POST sealgate/sign/revocation/ca-a,POST sealgate/sign/statuslist/licence-a," +
			"POST sealgate/sign/checkpoint/ledger-revocation",
		"revoker":        "GET sealgate/keys/ca-a,GET sealgate/keys/ledger-revoker,POST sealgate/sign/checkpoint/ledger-revoker",
		"policy-officer": "GET sealgate/keys/officer-a,POST sealgate/sign/bundle/officer-a",
		"keyadmin": allKeys + ",POST sealgate/keys/seal-a,POST sealgate/keys/seal-a/rotate,POST sealgate/keys/seal-a/disable," +
			"POST sealgate/keys/seal-a/csr,POST sealgate/keys/seal-a/certificate,POST sealgate/sign/checkpoint/ledger-keyadmin",
		"ceremony": allKeys + ",POST sealgate/keys/seal-a,POST sealgate/keys/seal-a/csr,POST sealgate/keys/seal-a/certificate," +
			"POST sealgate/sign/x509/ca-a,POST sealgate/sign/x509/root,POST sealgate/sign/revocation/root,POST sealgate/sign/checkpoint/ledger-ceremony",
		"secretadmin": "POST secret/data/sealgate/gateway/rs,DELETE secret/data/sealgate/gateway/rs,POST secret/destroy/sealgate/gateway/rs,POST secret/delete/sealgate/gateway/rs," +
			"GET secret/metadata/sealgate/gateway/rs,LIST secret/metadata/sealgate/gateway/",
		"destroyer": allKeys + ",POST sealgate/keys/seal-a/destroy,POST sealgate/sign/checkpoint/ledger-destroyer",
		"auditor":   allKeys + ",GET sys/audit",
		"operator":  "GET sys/storage/raft/snapshot,GET sys/storage/raft/configuration",
	} {
		t.Run(policy, func(t *testing.T) {
			v.WritePolicy(t, policy)
			token := v.Must(t, http.MethodPost, "auth/token/create", map[string]any{"policies": []string{policy}, "no_default_policy": true, "ttl": "5m"})["client_token"].(string)
			want := map[string]bool{}
			for _, s := range strings.Split(allowed+","+self, ",") {
				want[s] = true
			}
			for _, q := range requests {
				status, body, err := v.Do(t.Context(), token, q.method, q.path, map[string]any{})
				if err != nil {
					t.Fatal(err)
				}
				name := q.method + " " + q.path
				if got := status != http.StatusForbidden; got != want[name] {
					t.Errorf("%s: allowed is %v, want %v (%d %.200s)", name, got, want[name], status, body)
				}
				delete(want, name)
			}
			for name := range want {
				t.Errorf("%s was not asked", name)
			}
		})
	}
	// The same through the product's client, for the red line of T10.
	v.Role(t, "gateway", []string{v.WritePolicy(t, "gateway")}, nil)
	admin := open(t, v, "admin", nil)
	create(t, admin, "ledger-gateway", keys.Checkpoint)
	create(t, admin, "seal-b", keys.Seal)
	c := open(t, v, "gateway", nil)
	if _, err := c.Key("ledger-gateway").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
		t.Errorf("the gateway's own ledger: %v", err)
	}
	if _, err := c.Key("seal-b").Sign(t.Context(), keys.Request{Type: keys.TypeTBS, Item: []byte("x"), KeyVersion: 1}); !errors.Is(err, keys.ErrForbidden) {
		t.Errorf("the gateway may use a seal's key: %v", err)
	}
	if _, err := c.Create(t.Context(), "x", keys.Checkpoint); !errors.Is(err, keys.ErrForbidden) {
		t.Errorf("the gateway may create keys: %v", err)
	}
}
