package vault_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
)

var auditTests = []realTest{{"every refusal leaves a readable record in Vault's audit log", refusalsAreAudited}}

type auditEntry struct {
	Type    string `json:"type"`
	Request struct {
		Operation string         `json:"operation"`
		Path      string         `json:"path"`
		Data      map[string]any `json:"data"`
	} `json:"request"`
	Response struct {
		Data map[string]any `json:"data"`
	} `json:"response"`
}

func refusalsAreAudited(t *testing.T, v *testenv.Vault) {
	file := v.EnableAudit(t, "sealgate")
	c := open(t, v, "admin", nil)
	create(t, c, "audited-1", keys.Checkpoint)
	good, bad := headRequest(t, 1, "use-good"), headRequest(t, 2, "use-bad")
	bad.Item = []byte("malformed")
	if _, err := c.Key("audited-1").Sign(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	for want, q := range map[*keys.Error]keys.Request{
		keys.ErrItem:    bad,
		keys.ErrPurpose: {Type: keys.TypeTBS, Item: good.Item, KeyVersion: 1, ID: "use-tbs"},
		keys.ErrVersion: {Type: keys.TypeCheckpoint, Item: good.Item, KeyVersion: 7, ID: "use-v7"},
	} {
		if _, err := c.Key("audited-1").Sign(t.Context(), q); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	// One item alone, as curl would send it: the error is the whole answer.
	if status, _, err := v.Do(t.Context(), v.RootToken, http.MethodPost, "sealgate/sign/checkpoint/audited-1",
		map[string]any{"item": []byte("malformed"), "key_version": 1, "id": "use-curl"}); err != nil || status != http.StatusBadRequest {
		t.Error(status, err)
	}
	// The readable form of a batch: each item's error.
	if status, _, err := v.Do(t.Context(), v.RootToken, http.MethodPost, "sealgate/sign/checkpoint/audited-1", map[string]any{"batch": []map[string]any{
		{"item": good.Item, "key_version": 1}, {"item": []byte("malformed"), "key_version": 1}, {"item": good.Item, "key_version": 9}}}); err != nil || status != http.StatusOK {
		t.Error(status, err)
	}
	// A batch beyond the limit.
	items := make([]map[string]any, keys.MaxBatch+1)
	for i := range items {
		items[i] = map[string]any{"item": good.Item, "key_version": 1}
	}
	if status, _, err := v.Do(t.Context(), v.RootToken, http.MethodPost, "sealgate/sign/checkpoint/audited-1",
		map[string]any{"batch": items}); err != nil || status != http.StatusBadRequest {
		t.Error(status, err)
	}

	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for line := range bytes.Lines(data) {
		var e auditEntry
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatal(err)
		}
		if e.Type != "response" || !strings.Contains(e.Request.Path, "/audited-1") {
			continue
		}
		found[fmt.Sprint(e.Request.Path, " ", e.Request.Data["id"], e.Request.Data["ids"], " ", firstWords(e.Response.Data["error"]), firstWords(e.Response.Data["errors"]))] = true
	}
	for _, want := range []string{
		"sealgate/sign/checkpoint/audited-1 <nil> [use-good] ",
		"sealgate/sign/checkpoint/audited-1 <nil> [use-bad] 0 SG-KEY-ITEM",
		"sealgate/sign/tbs/audited-1 <nil> [use-tbs] 0 SG-KEY-PURPOSE",
		"sealgate/sign/checkpoint/audited-1 <nil> [use-v7] 0 SG-KEY-VERSION",
		"sealgate/sign/checkpoint/audited-1 use-curl<nil> SG-KEY-ITEM",
		"sealgate/sign/checkpoint/audited-1 <nil> <nil> 1 SG-KEY-ITEM,2 SG-KEY-VERSION",
		"sealgate/sign/checkpoint/audited-1 <nil> <nil> SG-KEY-BATCH",
	} {
		if !found[want] {
			t.Errorf("no record %q among %v", want, found)
		}
	}
	if bytes.Contains(data, good.Item[:20]) || bytes.Contains(data, []byte("bWFsZm9ybWVk")) {
		t.Error("an item stands readable in the audit log")
	}
}

// firstWords is the error text up to the end of its code.
func firstWords(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []any:
		var all []string
		for _, x := range v {
			all = append(all, firstWords(x))
		}
		return strings.Join(all, ",")
	}
	text, _, _ := strings.Cut(fmt.Sprint(v), ":")
	return text
}
