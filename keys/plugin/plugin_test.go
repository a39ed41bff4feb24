package plugin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/plugin"
)

// bare is a backend that is asked directly, as Vault's router would.
type bare struct {
	*testing.T
	backend logical.Backend
	storage *logical.InmemStorage
	system  *logical.StaticSystemView
	clock   *keytest.Clock
}

func newBare(t *testing.T) *bare {
	t.Helper()
	b := &bare{T: t, storage: &logical.InmemStorage{}, system: &logical.StaticSystemView{}, clock: keytest.NewClock()}
	var err error
	b.backend, err = plugin.NewFactory(engine.Config{Now: b.clock.Now})(t.Context(), &logical.BackendConfig{System: b.system})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bare) ask(op logical.Operation, path string, data map[string]any) (*logical.Response, error) {
	return b.backend.HandleRequest(b.Context(), &logical.Request{Operation: op, Path: path, Data: data, Storage: b.storage})
}

// must asks and ends the test unless it is answered.
func (b *bare) must(op logical.Operation, path string, data map[string]any) map[string]any {
	b.Helper()
	resp, err := b.ask(op, path, data)
	if err != nil || resp.IsError() {
		b.Fatalf("%s %s: %v %v", op, path, resp, err)
	}
	return resp.Data
}

// refused asks and wants a refusal with a code.
func (b *bare) refused(what string, want *keys.Error, op logical.Operation, path string, data map[string]any) {
	b.Helper()
	resp, err := b.ask(op, path, data)
	if err != nil || !resp.IsError() || !strings.HasPrefix(resp.Error().Error(), want.Code()+": ") {
		b.Errorf("%s: %v %v, want %s", what, resp, err, want.Code())
	}
}

func (b *bare) head(size uint64) string {
	return base64.StdEncoding.EncodeToString(checkpointAt(b.T, b.clock, size))
}

// The help text lists every path and field there is; so does this test, and
// what is in neither does not exist.
func TestOnlyTheListedPathsAndFieldsExist(t *testing.T) {
	b := newBare(t)
	help := b.must(logical.HelpOperation, "", nil)["help"].(string)
	var got []string
	for line := range strings.Lines(help) {
		f := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "   ") && len(f) > 1:
			got = append(got, f[0]+" "+f[1])
		case strings.HasPrefix(line, "          fields: "):
			got[len(got)-1] += ": " + strings.TrimSpace(strings.TrimPrefix(line, "          fields: "))
		}
	}
	want := []string{
		"list keys/",
		"update keys/{name}: purpose",
		"read keys/{name}",
		"update keys/{name}/rotate",
		"update keys/{name}/disable",
		"update keys/{name}/destroy",
		"update keys/{name}/csr: version, common_name, serial_number, country, province, locality, street_address, postal_code, organization, ou",
		"update keys/{name}/certificate: version, certificate",
		"update sign/{type}/{name}: item, key_version, id, batch, items, ids",
		"patch sign/{type}/{name}: item, key_version, id, batch, items, ids",
	}
	if !slices.Equal(got, want) {
		t.Errorf("paths and fields:\n%s", strings.Join(got, "\n"))
	}
}

func TestExportBackupImportAndRawSigningAreAbsent(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	digest := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for _, path := range []string{"export/c", "export/signing-key/c", "keys/c/export", "backup/c", "keys/c/backup", "restore/c", "import/c",
		"keys/c/import", "keys/c/config", "keys/c/trim", "sign/c", "sign/raw/c/1", "sign/digest/c/x", "encrypt/c", "decrypt/c",
		"datakey/plaintext/c", "hmac/c", "keys", "keys/c/", "config", "", "keys/c/csr/1", "verify/c"} {
		for _, op := range []logical.Operation{logical.ReadOperation, logical.UpdateOperation, logical.CreateOperation, logical.DeleteOperation,
			logical.ListOperation, logical.PatchOperation} {
			if resp, err := b.ask(op, path, map[string]any{"input": digest}); !errors.Is(err, logical.ErrUnsupportedPath) {
				t.Errorf("%s %s: %v %v", op, path, resp, err)
			}
		}
	}
	for _, op := range []logical.Operation{logical.DeleteOperation, logical.PatchOperation, logical.ListOperation, logical.CreateOperation} {
		if resp, err := b.ask(op, "keys/c", nil); !errors.Is(err, logical.ErrUnsupportedOperation) {
			t.Errorf("%s keys/c: %v %v", op, resp, err)
		}
	}
	for _, ty := range []string{"raw", "digest", "prehashed", "sm3", "TBS", "tbs "} {
		b.refused("type "+ty, keys.ErrType, logical.UpdateOperation, "sign/"+ty+"/c", map[string]any{"item": digest, "key_version": 1})
	}
	b.refused("a digest as checkpoint", keys.ErrItem, logical.UpdateOperation, "sign/checkpoint/c", map[string]any{"item": digest, "key_version": 1})
	for _, field := range []string{"uid", "user_id", "prehashed", "hash_algorithm", "signature_algorithm", "digest", "input", "exportable",
		"allow_plaintext_backup", "derived", "key", "private_key", "nonce", "k"} {
		b.refused("sign with "+field, keys.ErrRequest, logical.UpdateOperation, "sign/checkpoint/c",
			map[string]any{"item": b.head(1), "key_version": 1, field: "x"})
		b.refused("create with "+field, keys.ErrRequest, logical.UpdateOperation, "keys/d", map[string]any{"purpose": "seal", field: "x"})
		b.refused("batch with "+field, keys.ErrRequest, logical.UpdateOperation, "sign/checkpoint/c",
			map[string]any{"batch": []any{map[string]any{"item": b.head(1), "key_version": 1, field: "x"}}})
	}
	if _, err := b.ask(logical.ReadOperation, "keys/d", nil); err != nil {
		t.Error(err)
	}
}

// No answer of any path, and no storage entry but the key's own, holds the
// private half, in any of the usual spellings.
func TestThePrivateHalfIsInNoAnswer(t *testing.T) {
	b := newBare(t)
	answers := []any{
		b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"}),
		b.must(logical.ReadOperation, "keys/c", nil),
		b.must(logical.UpdateOperation, "keys/c/csr", map[string]any{"version": 1, "common_name": "x"}),
		b.must(logical.UpdateOperation, "sign/checkpoint/c", map[string]any{"item": b.head(1), "key_version": 1, "id": "x"}),
	}
	entry, err := b.storage.Get(t.Context(), "keys/c")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`"d":"([^"]+)"`).FindSubmatch(entry.Value)
	if m == nil {
		t.Fatal("the entry has changed its form")
	}
	d, err := base64.StdEncoding.DecodeString(string(m[1]))
	if err != nil || len(d) != 32 {
		t.Fatal("private half")
	}
	list, err := logical.CollectKeys(t.Context(), b.storage)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range list {
		if path == "keys/c" {
			continue
		}
		e, err := b.storage.Get(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(e.Value))
	}
	for _, a := range answers {
		text := fmt.Sprint(a)
		for _, secret := range []string{string(d), fmt.Sprintf("%x", d), fmt.Sprintf("%X", d), base64.StdEncoding.EncodeToString(d),
			base64.RawURLEncoding.EncodeToString(d), base64.StdEncoding.EncodeToString(d)[2:40]} {
			if strings.Contains(text, secret) {
				t.Fatal("the private half was given out")
			}
		}
	}
}

func TestPrivateKeysAreSealWrappedAndNothingIsOpen(t *testing.T) {
	p := newBare(t).backend.SpecialPaths()
	if !slices.Equal(p.SealWrapStorage, []string{"keys/"}) || len(p.Unauthenticated)+len(p.LocalStorage)+len(p.Root) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestStandbysAndSecondariesForwardEverything(t *testing.T) {
	for name, c := range map[string]struct {
		state   consts.ReplicationState
		local   bool
		forward bool
	}{
		"active":                               {0, false, false},
		"performance standby":                  {consts.ReplicationPerformanceStandby, false, true},
		"performance secondary":                {consts.ReplicationPerformanceSecondary, false, true},
		"local mount of a secondary":           {consts.ReplicationPerformanceSecondary, true, false},
		"standby of a secondary's local mount": {consts.ReplicationPerformanceSecondary | consts.ReplicationPerformanceStandby, true, true},
	} {
		b := newBare(t)
		b.system.ReplicationStateVal, b.system.LocalMountVal = c.state, c.local
		for path, op := range map[string]logical.Operation{"keys/c": logical.UpdateOperation, "keys/": logical.ListOperation,
			"sign/checkpoint/c": logical.UpdateOperation, "keys/c/disable": logical.UpdateOperation} {
			_, err := b.ask(op, path, map[string]any{})
			if errors.Is(err, logical.ErrReadOnly) != c.forward {
				t.Errorf("%s: %s %s: %v", name, op, path, err)
			}
		}
		if list, err := logical.CollectKeys(t.Context(), b.storage); err != nil || c.forward && len(list) > 0 {
			t.Errorf("%s: wrote %v %v", name, list, err)
		}
	}
}

// readOnly is the storage of a node that turns out not to be active.
type readOnly struct{ logical.Storage }

func (readOnly) Put(context.Context, *logical.StorageEntry) error { return logical.ErrReadOnly }

func TestAReadOnlyStorageMakesVaultForward(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	for path, data := range map[string]map[string]any{"keys/d": {"purpose": "checkpoint"}, "keys/c/rotate": nil,
		"sign/checkpoint/c": {"item": b.head(1), "key_version": 1, "id": "x"}} {
		resp, err := b.backend.HandleRequest(t.Context(), &logical.Request{Operation: logical.UpdateOperation, Path: path, Data: data, Storage: readOnly{b.storage}})
		if err == nil || !strings.Contains(err.Error(), logical.ErrReadOnly.Error()) {
			t.Errorf("%s: %v %v", path, resp, err)
		}
	}
}

func TestInvalidationDropsTheParsedKey(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	b.must(logical.ReadOperation, "keys/c", nil)
	if err := b.storage.Delete(t.Context(), "keys/c"); err != nil {
		t.Fatal(err)
	}
	b.must(logical.ReadOperation, "keys/c", nil) // from the cache
	b.backend.InvalidateKey(t.Context(), "keys/c")
	b.refused("after invalidation", keys.ErrNotFound, logical.ReadOperation, "keys/c", nil)
}

func TestMountOptionsOutsideTheirBoundsAreRefused(t *testing.T) {
	open := func(options map[string]string) error {
		_, err := plugin.Factory(t.Context(), &logical.BackendConfig{Config: options})
		return err
	}
	for _, good := range []map[string]string{nil, {"plugin_name": "x", "version": "1"}, {"clock_window": "10s", "destroy_wait": "24h", "max_answers": "1024"},
		{"fault_check": "engine"}, {"fault_check": "client"}} {
		if err := open(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for name, values := range map[string][]string{"clock_window": {"", "5", "9s", "11m", "-1m"}, "destroy_wait": {"0", "1h", "23h59m", "200000h"},
		"max_answers": {"", "0", "1023", "4194305", "x"}, "fault_check": {"", "none", "Engine"}} {
		for _, v := range values {
			if err := open(map[string]string{name: v}); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: %v", name, v, err)
			}
		}
	}
	b := &bare{T: t, storage: &logical.InmemStorage{}, clock: keytest.NewClock()}
	var err error
	if b.backend, err = plugin.NewFactory(engine.Config{Now: b.clock.Now})(t.Context(), &logical.BackendConfig{System: &logical.StaticSystemView{},
		Config: map[string]string{"clock_window": "30s", "destroy_wait": "48h"}}); err != nil {
		t.Fatal(err)
	}
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	item := b.head(1)
	b.clock.Move(t, 31*time.Second)
	b.refused("31 s old", keys.ErrClock, logical.UpdateOperation, "sign/checkpoint/c", map[string]any{"item": item, "key_version": 1})
	b.must(logical.UpdateOperation, "keys/c/disable", nil)
	b.clock.Move(t, 47*time.Hour)
	b.refused("after 47 h", keys.ErrWait, logical.UpdateOperation, "keys/c/destroy", nil)
	b.clock.Move(t, time.Hour)
	b.must(logical.UpdateOperation, "keys/c/destroy", nil)
}
