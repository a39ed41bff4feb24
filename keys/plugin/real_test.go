package plugin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

// Each kind of bad input, sent to a real server as curl would: a named error,
// no signature, and a record of it that an auditor can read.
func TestEveryBadInputGetsANameARecordAndNoSignature(t *testing.T) {
	v := testenv.StartVault(t)
	v.InstallEngine(t)
	file := v.EnableAudit(t, "sealgate")
	c, err := vault.Open(vault.Config{Addresses: []string{v.Addr}, Login: vault.TokenFile(testenv.SecretFile(t, v.RootToken))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	clock := &keytest.Clock{}
	outside := keytest.NewOutside(t, clock)
	const life = 3 * time.Second
	create := func(name keys.Name, p keys.Purpose, from time.Time) *gm.Certificate {
		t.Helper()
		info, err := c.Create(t.Context(), name, p)
		if err != nil || !p.CertificateBound() {
			return nil
		}
		cert := outside.CertifyAs(gm.Template{KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment, NotBefore: from}, info.Versions[0].Public)
		if _, err := c.InstallCertificate(t.Context(), name, 1, []*gm.Certificate{cert}); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	born := clock.Now()
	brief := create("brief", keys.Seal, born.AddDate(-2, 0, 0).Add(life)) // certificates are for two years
	own := create("own", keys.Seal, time.Time{})
	create("ledger", keys.Checkpoint, time.Time{})
	tbs := func(at time.Time, listed *gm.Certificate) []byte {
		x := outside.TBS(outside.Seal(outside.SealInfo(listed)), 1)
		x.Time = at
		return keytest.DER(t, x)
	}
	head := func(at time.Time) []byte {
		b, err := audit.Checkpoint{Log: "test-log", Size: 1, Root: gm.SM3(nil), Time: at}.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	now, old := born, born.Add(-time.Hour)
	good := tbs(now, own)
	var many []any
	for range keys.MaxBatch + 1 {
		many = append(many, map[string]any{"item": good, "key_version": 1})
	}
	time.Sleep(time.Until(born.Add(life + time.Second)))
	for i, q := range []struct {
		what, path string
		item       []byte
		more       map[string]any
		want       *keys.Error // nil: signed
	}{
		{"sound", "tbs/own", good, nil, nil},
		{"malformed DER", "tbs/own", append(bytes.Clone(good), 0), nil, keys.ErrItem},
		{"rubbish", "tbs/own", []byte("rubbish"), nil, keys.ErrItem},
		{"a digest", "tbs/own", good[:32], nil, keys.ErrItem},
		{"wrong purpose", "checkpoint/own", head(now), nil, keys.ErrPurpose},
		{"wrong purpose of a ledger's key", "tbs/ledger", good, nil, keys.ErrPurpose},
		{"expired certificate", "tbs/brief", tbs(now, brief), nil, keys.ErrExpired},
		{"TBS of an hour ago", "tbs/own", tbs(old, own), nil, keys.ErrClock},
		{"TBS of the next hour", "tbs/own", tbs(now.Add(time.Hour), own), nil, keys.ErrClock},
		{"checkpoint of an hour ago", "checkpoint/ledger", head(old), nil, keys.ErrClock},
		{"foreign seal", "tbs/own", tbs(now, brief), nil, keys.ErrForeignSeal},
		{"oversized batch", "tbs/own", nil, map[string]any{"batch": many}, keys.ErrBatch},
		{"a type that does not exist", "prehashed/own", good[:32], nil, keys.ErrType},
		{"an identity of one's own", "tbs/own", good, map[string]any{"uid": "x"}, keys.ErrRequest},
	} {
		id := fmt.Sprint("bad-", i)
		body := map[string]any{"item": q.item, "key_version": 1, "id": id}
		if q.more["batch"] != nil {
			body, id = map[string]any{}, "<nil>"
		}
		for k, x := range q.more {
			body[k] = x
		}
		status, answer, err := v.Do(t.Context(), v.RootToken, http.MethodPost, "sealgate/sign/"+q.path, body)
		record := recorded(t, file, "sealgate/sign/"+q.path, id)
		if q.want == nil {
			if err != nil || status != http.StatusOK || !bytes.Contains(answer, []byte(`"signature"`)) || record != "<nil>" {
				t.Errorf("%s: %d %s %v, recorded %q", q.what, status, answer, err, record)
			}
			continue
		}
		if err != nil || status != http.StatusBadRequest || !bytes.Contains(answer, []byte(`["`+q.want.Code()+`: `)) || bytes.Contains(answer, []byte("signature\"")) {
			t.Errorf("%s: %d %s %v, want %s", q.what, status, answer, err, q.want.Code())
		}
		if !strings.HasPrefix(record, q.want.Code()+": ") {
			t.Errorf("%s: recorded %q, want %s", q.what, record, q.want.Code())
		}
	}
	for _, path := range []string{"export/own", "keys/own/export", "backup/own", "keys/own/backup", "restore/own", "keys/own/import", "keys/own/config", "sign/own"} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete, "LIST"} {
			status, answer, err := v.Do(t.Context(), v.RootToken, method, "sealgate/"+path, map[string]any{})
			if err != nil || status != http.StatusNotFound && status != http.StatusMethodNotAllowed {
				t.Errorf("%s %s: %d %s %v", method, path, status, answer, err)
			}
		}
	}
}

// recorded is the error of the last answer that Vault's audit log has under a
// path and an id.
func recorded(t *testing.T, file, path, id string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := "no record"
	for line := range bytes.Lines(data) {
		var e struct {
			Type    string
			Request struct {
				Path string
				Data map[string]any
			}
			Response struct{ Data map[string]any }
		}
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type == "response" && e.Request.Path == path && fmt.Sprint(e.Request.Data["id"]) == id {
			found = fmt.Sprint(e.Response.Data["error"])
		}
	}
	return found
}
