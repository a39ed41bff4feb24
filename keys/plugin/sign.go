package plugin

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// sign serves sign/TYPE/NAME. A request has one of three bodies:
//
//	{"item": "base64", "key_version": 1, "id": "use-1"}
//	{"batch": [{"item": "base64", "key_version": 1, "id": "use-1"}, …]}
//	{"items": ["base64 of a packed list"], "key_version": 1, "ids": ["use-1", …]}
//
// id may be left out. The third says what the second says, in the form of
// wire.Pack, which costs Vault far less; its ids may be left out, or hold ""
// for none. The last two hold at most keys.MaxBatch items, the third of
// wire.MaxList bytes together, and answer each by itself:
//
//	{"signature": "base64", "key_version": 1, "fingerprint": "base64"}
//	{"results": [{"signature": …, "key_version": …, "fingerprint": …} | {"error": "CODE: text"}, …], "errors": ["3 CODE: text"]}
//	{"signatures": ["base64 of a packed list"], "key_version": 1, "fingerprint": "base64", "hints": "base64", "errors": ["3 CODE: text"]}
//
// where errors has a line for each refused item, its index first: a list of
// strings can be left readable in Vault's audit log by the name of its field,
// an object cannot. A refused item of a packed list has an empty signature.
// hints holds 32 bytes for each item, the gm.Hint of its signature.
func (b *backend) sign(ctx context.Context, c call) (map[string]any, error) {
	t, key := keys.Type(c.params["type"]), b.engine.Key(c.name())
	_, one := c.data["item"]
	_, many := c.data["batch"]
	_, packed := c.data["items"]
	_, version := c.data["key_version"]
	_, id := c.data["id"]
	_, ids := c.data["ids"]
	switch {
	case one && !many && !packed && !ids:
		r, err := c.request(t)
		if err != nil {
			return nil, err
		}
		s, err := key.Sign(ctx, r)
		if err != nil {
			return nil, err
		}
		return answer(s), nil
	case many && !one && !packed && !version && !id && !ids:
		return signBatch(ctx, key, t, c)
	case packed && !one && !many && !id:
		return signPacked(ctx, key, t, c)
	}
	return nil, fmt.Errorf("%w: want item, key_version and id, or batch, or items, key_version and ids", keys.ErrRequest)
}

// request reads item, key_version and id.
func (c call) request(t keys.Type) (keys.Request, error) {
	text, err := c.text("item")
	version, err2 := c.number("key_version")
	id, err3 := c.text("id")
	if err := join(err, err2, err3); err != nil {
		return keys.Request{}, err
	}
	if len(text) > base64.StdEncoding.EncodedLen(keys.MaxItemSize) {
		return keys.Request{}, fmt.Errorf("%w: an item has at most %d bytes", keys.ErrRequest, keys.MaxItemSize)
	}
	item, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return keys.Request{}, wrong("item", "base64")
	}
	return keys.Request{Type: t, Item: item, KeyVersion: version, ID: id}, nil
}

func answer(s keys.Signature) map[string]any {
	return map[string]any{
		"signature":   base64.StdEncoding.EncodeToString(s.Value),
		"key_version": s.KeyVersion,
		"fingerprint": base64.StdEncoding.EncodeToString(s.Fingerprint[:]),
	}
}

func signBatch(ctx context.Context, key keys.Key, t keys.Type, c call) (map[string]any, error) {
	list, ok := c.data["batch"].([]any)
	if !ok {
		return nil, wrong("batch", "a list")
	}
	if len(list) == 0 || len(list) > keys.MaxBatch {
		return nil, fmt.Errorf("%w, not %d", keys.ErrBatch, len(list))
	}
	rs := make([]keys.Request, len(list))
	for i, x := range list {
		data, ok := x.(map[string]any)
		if !ok {
			return nil, wrong("batch["+strconv.Itoa(i)+"]", "an object")
		}
		for field := range data {
			if !slices.Contains([]string{"item", "key_version", "id"}, field) {
				return nil, fmt.Errorf("%w: batch[%d]: no field %.40q here", keys.ErrRequest, i, field)
			}
		}
		var err error
		if rs[i], err = (call{data: data}).request(t); err != nil {
			return nil, fmt.Errorf("batch[%d]: %w", i, err)
		}
	}
	out, err := key.SignBatch(ctx, rs)
	if err != nil {
		return nil, err
	}
	results := make([]any, len(out))
	for i, r := range out {
		if r.Err != nil {
			results[i] = map[string]any{"error": itemError(r.Err)}
		} else {
			results[i] = answer(r.Signature)
		}
	}
	return withErrors(map[string]any{"results": results}, out), nil
}

// withErrors adds the list of what was refused, when something was.
func withErrors(data map[string]any, out []keys.Result) map[string]any {
	var refused []string
	for i, r := range out {
		if r.Err != nil {
			refused = append(refused, strconv.Itoa(i)+" "+itemError(r.Err))
		}
	}
	if len(refused) > 0 {
		data["errors"] = refused
	}
	return data
}

func signPacked(ctx context.Context, key keys.Key, t keys.Type, c call) (map[string]any, error) {
	chunks, err := c.texts("items")
	version, err2 := c.number("key_version")
	ids, err3 := c.texts("ids")
	if err := join(err, err2, err3); err != nil {
		return nil, err
	}
	items, err := wire.Unpack(chunks, keys.MaxBatch, keys.MaxItemSize)
	if err != nil {
		return nil, fmt.Errorf("%w: items: %w", keys.ErrRequest, err)
	}
	if len(ids) != 0 && len(ids) != len(items) {
		return nil, fmt.Errorf("%w: %d ids for %d items", keys.ErrRequest, len(ids), len(items))
	}
	rs := make([]keys.Request, len(items))
	for i, item := range items {
		rs[i] = keys.Request{Type: t, Item: item, KeyVersion: version}
		if len(ids) != 0 {
			rs[i].ID = ids[i]
		}
	}
	out, err := key.SignBatch(ctx, rs)
	if err != nil {
		return nil, err
	}
	signatures := make([][]byte, len(out))
	hints := make([]byte, 0, len(out)*len(gm.Hint{}))
	data := map[string]any{"key_version": version}
	for i, r := range out {
		hints = append(hints, r.Signature.Hint[:]...)
		if r.Err != nil {
			continue
		}
		// All requests name one version, and an answer, also a remembered
		// one, is of the version that was named.
		signatures[i] = r.Signature.Value
		if data["fingerprint"] == nil {
			data["fingerprint"] = base64.StdEncoding.EncodeToString(r.Signature.Fingerprint[:])
		}
	}
	data["signatures"] = wire.Pack(signatures)
	data["hints"] = base64.StdEncoding.EncodeToString(hints)
	return withErrors(data, out), nil
}

// itemError is the text of one refused item. A fault without a code says
// nothing of the inside.
func itemError(err error) string {
	if text := wire.ErrorText(err); text != "" {
		return text
	}
	return wire.ErrorText(fmt.Errorf("%w: %w", keys.ErrUnavailable, errFault))
}
