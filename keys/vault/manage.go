package vault

import (
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// The life of keys. The methods mean what those of engine.Engine mean; beyond
// its errors they return keys.ErrOutcome when a change was sent and no answer
// came: read the key's Info then.

// Create makes a key.
func (c *Client) Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error) {
	return c.change(ctx, name, "", map[string]any{"purpose": purpose})
}

// Info tells what is publicly known of a key.
func (c *Client) Info(ctx context.Context, name keys.Name) (keys.Info, error) {
	return c.info(ctx, name, request{method: http.MethodGet, repeatable: true})
}

// List returns the names of all keys, sorted.
func (c *Client) List(ctx context.Context) ([]keys.Name, error) {
	var answer struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	err := c.ask(ctx, request{method: methodList, path: c.config.Mount + "/keys/", repeatable: true}, &answer)
	if err != nil {
		return nil, err
	}
	out := make([]keys.Name, len(answer.Data.Keys))
	for i, s := range answer.Data.Keys {
		if out[i], err = keys.ParseName(s); err != nil {
			return nil, fmt.Errorf("%w: list of keys: %w", keys.ErrUnavailable, err)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Rotate gives a key a new version.
func (c *Client) Rotate(ctx context.Context, name keys.Name) (keys.Info, error) {
	return c.change(ctx, name, "/rotate", nil)
}

// Disable stops a key for good.
func (c *Client) Disable(ctx context.Context, name keys.Name) (keys.Info, error) {
	return c.change(ctx, name, "/disable", nil)
}

// Destroy erases a disabled key after its waiting time.
func (c *Client) Destroy(ctx context.Context, name keys.Name) (keys.Info, error) {
	return c.change(ctx, name, "/destroy", nil)
}

// CSR returns a certificate request of one version. The subject may have the
// attributes of wire.Subject.
func (c *Client) CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error) {
	path, err := c.keyPath(name)
	if err != nil {
		return nil, err
	}
	s, err := wire.FromName(subject)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(struct {
		wire.Subject
		Version int `json:"version"`
	}{s, version})
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err)
	}
	var answer struct {
		Data struct {
			CSR string `json:"csr"`
		} `json:"data"`
	}
	// A request for a certificate may be made twice: it changes nothing.
	if err := c.ask(ctx, request{http.MethodPost, path + "/csr", body, true}, &answer); err != nil {
		return nil, err
	}
	block, _ := pem.Decode([]byte(answer.Data.CSR))
	if block == nil {
		return nil, fmt.Errorf("%w: certificate request: %w", keys.ErrUnavailable, wire.ErrForm)
	}
	return gm.ParseRequest(block.Bytes)
}

// InstallCertificate gives a version its certificate, certs[0], and the chain
// above it.
func (c *Client) InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error) {
	var text strings.Builder
	for _, x := range certs {
		if err := pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: x.Raw}); err != nil {
			return keys.Info{}, fmt.Errorf("encode certificate: %w", err)
		}
	}
	return c.change(ctx, name, "/certificate", map[string]any{"version": version, "certificate": text.String()})
}

func (c *Client) keyPath(name keys.Name) (string, error) {
	if _, err := keys.ParseName(string(name)); err != nil {
		return "", err
	}
	return c.config.Mount + "/keys/" + string(name), nil
}

// change posts to a path below the key and reads the Info it answers with.
func (c *Client) change(ctx context.Context, name keys.Name, what string, fields map[string]any) (keys.Info, error) {
	body, err := json.Marshal(fields)
	if err != nil {
		return keys.Info{}, fmt.Errorf("encode request: %w", err)
	}
	if fields == nil {
		body = []byte("{}")
	}
	return c.info(ctx, name, request{method: http.MethodPost, path: what, body: body})
}

// info asks for an Info; q.path is what follows the key's own path.
func (c *Client) info(ctx context.Context, name keys.Name, q request) (keys.Info, error) {
	path, err := c.keyPath(name)
	if err != nil {
		return keys.Info{}, err
	}
	q.path = path + q.path
	var answer struct {
		Data wire.Info `json:"data"`
	}
	if err := c.ask(ctx, q, &answer); err != nil {
		return keys.Info{}, err
	}
	info, err := answer.Data.Info()
	if err == nil && info.Name != name {
		err = wire.ErrForm
	}
	if err != nil {
		return keys.Info{}, fmt.Errorf("%w: info of key %s: %w", keys.ErrUnavailable, name, err)
	}
	return info, nil
}

// ask calls within the time of a management operation and decodes the answer.
func (c *Client) ask(ctx context.Context, q request, into any) error {
	ctx, cancel := context.WithTimeout(ctx, c.config.ManageTimeout)
	defer cancel()
	r, err := c.call(ctx, q)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(r.body, into); err != nil {
		return fmt.Errorf("%w: %w: %w", keys.ErrUnavailable, wire.ErrForm, err)
	}
	return nil
}
