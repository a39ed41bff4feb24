package vault_test

import (
	"testing"

	"github.com/sealgate/sealgate/internal/testenv"
)

// realTest is one test that needs a real Vault. They share one server, which
// each leaves unsealed and without quotas.
type realTest struct {
	name string
	test func(t *testing.T, v *testenv.Vault)
}

func TestAgainstARealVault(t *testing.T) {
	v := startServer(t)
	for _, list := range [][]realTest{contractTests, policyTests, failureTests, loginTests, auditTests, batchTests, migrateTests, secretTests, alarmTests} {
		for _, c := range list {
			t.Run(c.name, func(t *testing.T) { c.test(t, v) })
		}
	}
}
