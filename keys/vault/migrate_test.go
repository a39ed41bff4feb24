package vault_test

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/vault"
)

var migrateTests = []realTest{{"keys of the embedded store get successors in Vault and no private key travels", migrateToVault}}

// oldStore is an embedded store with one key of each kind that matters.
func oldStore(t *testing.T) (*engine.Engine, *keytest.Outside) {
	t.Helper()
	outside := keytest.NewOutside(t, &keytest.Clock{})
	e := engine.New(&keytest.Memory{}, engine.Config{Software: true})
	for name, p := range map[keys.Name]keys.Purpose{"seal-rs": keys.Seal, "maker": keys.SealMaker, "ledger": keys.Checkpoint, "gone": keys.Seal, "young": keys.Seal, "root": keys.CA} {
		info, err := e.Create(t.Context(), name, p)
		if err != nil {
			t.Fatal(err)
		}
		if p == keys.CA {
			now := time.Now().UTC().Truncate(time.Second)
			if _, err := pki.NewRoot(t.Context(), e.Key(name), e, pkix.Name{CommonName: "Old Root"}, now, now.AddDate(10, 0, 0)); err != nil {
				t.Fatal(err)
			}
		} else if p.CertificateBound() && name != "young" {
			cert := outside.CertifyAs(gm.Template{Subject: pkix.Name{CommonName: "签章人 " + string(name), Organization: []string{"省厅"}},
				KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, info.Versions[0].Public)
			if _, err := e.InstallCertificate(t.Context(), name, 1, []*gm.Certificate{cert}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := e.Disable(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	return e, outside
}

func migrate(t *testing.T, to interface {
	vault.Target
	Key(keys.Name) keys.Key
}) {
	from, outside := oldStore(t)
	late := true // the licensed CA has not answered for the maker yet
	certify := func(_ context.Context, old keys.Info, req *gm.Request) ([]*gm.Certificate, error) {
		if old.Purpose == keys.SealMaker && late {
			return nil, nil
		}
		return []*gm.Certificate{outside.CertifyAs(gm.Template{Subject: req.Subject,
			KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}, req.PublicKey), outside.Root}, nil
	}
	run := func(want map[keys.Name]vault.Step) map[keys.Name]vault.Migrated {
		t.Helper()
		list, err := vault.Migrate(t.Context(), from, to, certify)
		if err != nil || len(list) != len(want) {
			t.Fatalf("%d keys, %v", len(list), err)
		}
		got := map[keys.Name]vault.Migrated{}
		for _, m := range list {
			got[m.Name] = m
			if m.Step != want[m.Name] || (m.Err != nil) != (m.Step == vault.Failed) {
				t.Errorf("%s: %s %v, want %s", m.Name, m.Step, m.Err, want[m.Name])
			}
		}
		return got
	}
	want := map[keys.Name]vault.Step{"seal-rs": vault.Done, "maker": vault.Pending, "ledger": vault.Done, "gone": vault.Skipped, "young": vault.Skipped, "root": vault.Root}
	first := run(want)
	m := first["seal-rs"]
	before, after := m.Old.Versions[0], m.New.Versions[0]
	if before.Public.Equal(after.Public) || after.Certificate.Subject.String() != before.Certificate.Subject.String() || m.New.Purpose != keys.Seal {
		t.Errorf("the new key is not a new key under the old name: %+v", after)
	}
	if _, err := keys.PinLive(t.Context(), to.Key("seal-rs")); err != nil {
		t.Error(err)
	}
	if r := first["maker"].Request; r == nil || r.Subject.CommonName != "签章人 maker" {
		t.Errorf("no request for the licensed CA: %+v", r)
	}
	for _, name := range []keys.Name{"gone", "young", "root"} {
		if _, err := to.Info(t.Context(), name); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Again, when the licensed CA has answered: what was done stays.
	late, want["maker"] = false, vault.Done
	second := run(want)
	if !second["seal-rs"].New.Versions[0].Public.Equal(after.Public) || len(second["seal-rs"].New.Versions) != 1 {
		t.Error("a second run made another key")
	}
}

func migrateToVault(t *testing.T, v *testenv.Vault) {
	v.MountEngine(t, "migrated", nil)
	t.Cleanup(func() { v.Must(t, http.MethodDelete, "sys/mounts/migrated", nil) })
	migrate(t, open(t, v, "admin", func(c *vault.Config) { c.Mount = "migrated" }))
}

func TestMigrateMakesNewKeysAndGoesOnWhereItStopped(t *testing.T) {
	migrate(t, engine.New(&keytest.Memory{}, engine.Config{}))
}

func TestMigrateLeavesATargetsOtherKeyAlone(t *testing.T) {
	from, _ := oldStore(t)
	to := engine.New(&keytest.Memory{}, engine.Config{})
	if _, err := to.Create(t.Context(), "seal-rs", keys.Checkpoint); err != nil {
		t.Fatal(err)
	}
	list, err := vault.Migrate(t.Context(), from, to, func(context.Context, keys.Info, *gm.Request) ([]*gm.Certificate, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Name == "seal-rs" && (m.Step != vault.Failed || !errors.Is(m.Err, keys.ErrExists)) {
			t.Errorf("%s %v", m.Step, m.Err)
		}
	}
	// Onto itself nothing is migrated: the live keys are found and left.
	list, err = vault.Migrate(t.Context(), from, from, func(context.Context, keys.Info, *gm.Request) ([]*gm.Certificate, error) { return nil, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if m.Step == vault.Done && m.Name == "seal-rs" {
			t.Error("a store was migrated onto itself")
		}
	}
}
