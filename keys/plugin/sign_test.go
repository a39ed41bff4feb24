package plugin_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// The three bodies of a signing request mean the same.
func TestOneItemABatchAndAPackedListAreSignedAlike(t *testing.T) {
	b := newBare(t)
	info := b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	data, err := json.Marshal(info)
	if err != nil {
		t.Fatal(err)
	}
	var w wire.Info
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	key, err := w.Info()
	if err != nil {
		t.Fatal(err)
	}
	pub := key.Versions[0].Public
	verify := func(what string, size uint64, sig []byte) {
		t.Helper()
		if err := pub.Verify(checkpointAt(t, b.clock, size), sig); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	text := func(v any) []byte {
		out, err := base64.StdEncoding.DecodeString(v.(string))
		if err != nil {
			t.Fatal(err)
		}
		return out
	}

	one := b.must(logical.UpdateOperation, "sign/checkpoint/c", map[string]any{"item": b.head(1), "key_version": "1", "id": "one"}) // as `vault write` sends it
	verify("item", 1, text(one["signature"]))
	fp := pub.Fingerprint()
	if !gm.Equal(text(one["fingerprint"]), fp[:]) || one["key_version"] != 1 {
		t.Errorf("item: %v", one)
	}

	batch := b.must(logical.UpdateOperation, "sign/checkpoint/c", map[string]any{"batch": []any{
		map[string]any{"item": b.head(1), "key_version": float64(1), "id": "one"},
		map[string]any{"item": "AAAA", "key_version": json.Number("1")},
		map[string]any{"item": b.head(2), "key_version": 1},
	}})
	list := batch["results"].([]any)
	if lines, ok := batch["errors"].([]string); !ok || len(lines) != 1 || lines[0] != "1 "+list[1].(map[string]any)["error"].(string) {
		t.Errorf("batch: refusals %v", batch["errors"])
	}
	if list[0].(map[string]any)["signature"] != one["signature"] {
		t.Error("batch: another answer under the same id")
	}
	if err := wire.ParseError(list[1].(map[string]any)["error"].(string)); err == nil || list[1].(map[string]any)["signature"] != nil {
		t.Errorf("batch: rubbish gave %v", list[1])
	}
	verify("batch", 2, text(list[2].(map[string]any)["signature"]))

	packed := b.must(logical.UpdateOperation, "sign/checkpoint/c", map[string]any{
		"items":       wire.Pack([][]byte{checkpointAt(t, b.clock, 1), []byte("rubbish"), checkpointAt(t, b.clock, 2)}),
		"key_version": 1, "ids": []any{"one", "", ""}})
	sigs, err := wire.Unpack(packed["signatures"].([]string), 3, gm.MaxSignatureSize)
	if err != nil || len(sigs) != 3 {
		t.Fatal(err)
	}
	if base64.StdEncoding.EncodeToString(sigs[0]) != one["signature"] || len(sigs[1]) != 0 {
		t.Error("packed: another answer under the same id, or a signature of rubbish")
	}
	verify("packed", 2, sigs[2])
}

func TestMalformedSigningRequestsAreRefused(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/c", map[string]any{"purpose": "checkpoint"})
	item := b.head(1)
	raw := checkpointAt(t, b.clock, 1)
	many := make([]any, keys.MaxBatch+1)
	tooMany := make([][]byte, keys.MaxBatch+1)
	for i := range many {
		many[i] = map[string]any{"item": item, "key_version": 1}
		tooMany[i] = raw
	}
	for name, c := range map[string]struct {
		data map[string]any
		want *keys.Error
	}{
		"nothing":                 {nil, keys.ErrRequest},
		"no version":              {map[string]any{"item": item}, keys.ErrRequest},
		"item and batch":          {map[string]any{"item": item, "batch": []any{}}, keys.ErrRequest},
		"item and items":          {map[string]any{"item": item, "items": []any{"AAA="}}, keys.ErrRequest},
		"item and ids":            {map[string]any{"item": item, "key_version": 1, "ids": []any{"x"}}, keys.ErrRequest},
		"batch and version":       {map[string]any{"batch": many[:1], "key_version": 1}, keys.ErrRequest},
		"item not a string":       {map[string]any{"item": 1, "key_version": 1}, keys.ErrRequest},
		"item not base64":         {map[string]any{"item": "?", "key_version": 1}, keys.ErrRequest},
		"base64 with bits left":   {map[string]any{"item": "AB==", "key_version": 1}, keys.ErrRequest},
		"version not whole":       {map[string]any{"item": item, "key_version": 1.5}, keys.ErrRequest},
		"version a list":          {map[string]any{"item": item, "key_version": []any{1}}, keys.ErrRequest},
		"id not a string":         {map[string]any{"item": item, "key_version": 1, "id": 7}, keys.ErrRequest},
		"batch not a list":        {map[string]any{"batch": "x"}, keys.ErrRequest},
		"batch of strings":        {map[string]any{"batch": []any{item}}, keys.ErrRequest},
		"empty batch":             {map[string]any{"batch": []any{}}, keys.ErrBatch},
		"257 in a batch":          {map[string]any{"batch": many}, keys.ErrBatch},
		"one id twice in a batch": {map[string]any{"batch": []any{map[string]any{"item": item, "key_version": 1, "id": "x"}, map[string]any{"item": item, "key_version": 1, "id": "x"}}}, keys.ErrBatch},
		"packed: empty":           {map[string]any{"items": []any{""}, "key_version": 1}, keys.ErrBatch},
		"packed: 257":             {map[string]any{"items": wire.Pack(tooMany), "key_version": 1}, keys.ErrRequest},
		"packed: rubbish":         {map[string]any{"items": []any{"////"}, "key_version": 1}, keys.ErrRequest},
		"packed: ids missing":     {map[string]any{"items": wire.Pack([][]byte{raw, raw}), "key_version": 1, "ids": []any{"x"}}, keys.ErrRequest},
		"packed: ids of numbers":  {map[string]any{"items": wire.Pack([][]byte{raw}), "key_version": 1, "ids": []any{1}}, keys.ErrRequest},
	} {
		b.refused(name, c.want, logical.UpdateOperation, "sign/checkpoint/c", c.data)
	}
}

func TestMalformedCertificatesAndSubjectsAreRefused(t *testing.T) {
	b := newBare(t)
	b.must(logical.UpdateOperation, "keys/s", map[string]any{"purpose": "seal"})
	for name, c := range map[string]struct {
		path string
		data map[string]any
		want *keys.Error
	}{
		"no certificate":     {"certificate", map[string]any{"version": 1}, keys.ErrCertificate},
		"rubbish":            {"certificate", map[string]any{"version": 1, "certificate": "x"}, keys.ErrCertificate},
		"a private key":      {"certificate", map[string]any{"version": 1, "certificate": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}, keys.ErrCertificate},
		"too long":           {"certificate", map[string]any{"version": 1, "certificate": string(make([]byte, 300<<10))}, keys.ErrCertificate},
		"subject of numbers": {"csr", map[string]any{"version": 1, "organization": []any{1}}, keys.ErrRequest},
		"subject an object":  {"csr", map[string]any{"version": 1, "common_name": map[string]any{}}, keys.ErrRequest},
		"no such version":    {"csr", map[string]any{"version": 2, "common_name": "x"}, keys.ErrVersion},
	} {
		b.refused(name, c.want, logical.UpdateOperation, "keys/s/"+c.path, c.data)
	}
}
