package plugin

import (
	"context"
	"encoding/pem"
	"fmt"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// maxCertificateText bounds the PEM text of one certificate with its chain.
const maxCertificateText = 256 << 10

// signFields are those of sign/TYPE/NAME, which serves two operations. Before an
// update Vault asks an external engine whether the path exists, and hands over
// the whole request for it, whether or not the engine has an opinion; before a
// patch it does not. That is a fifth of the time of a signature.
var signFields = []string{"item", "key_version", "id", "batch", "items", "ids"}

// table lists everything that can be asked. The tests walk it.
func (b *backend) table() []route {
	change := func(f func(context.Context, keys.Name) (keys.Info, error)) func(context.Context, call) (map[string]any, error) {
		return func(ctx context.Context, c call) (map[string]any, error) { return infoAnswer(f(ctx, c.name())) }
	}
	return []route{
		{"keys/", logical.ListOperation, false, nil, "the names of all keys", b.list},
		{"keys/{name}", logical.UpdateOperation, true, []string{"purpose"}, "create a key; its purpose is fixed for ever", b.create},
		{"keys/{name}", logical.ReadOperation, false, nil, "public key, versions, certificates and state", change(b.engine.Info)},
		{"keys/{name}/rotate", logical.UpdateOperation, true, nil, "give the key a new version", change(b.engine.Rotate)},
		{"keys/{name}/disable", logical.UpdateOperation, true, nil, "stop the key for good", change(b.engine.Disable)},
		{"keys/{name}/destroy", logical.UpdateOperation, true, nil, "erase a key that has been disabled for the waiting time", change(b.engine.Destroy)},
		{"keys/{name}/csr", logical.UpdateOperation, false, []string{"version", "common_name", "serial_number", "country", "province",
			"locality", "street_address", "postal_code", "organization", "ou"}, "certificate request (PKCS #10) of one version", b.leased(b.csr)},
		{"keys/{name}/certificate", logical.UpdateOperation, true, []string{"version", "certificate"},
			"install a version's certificate, PEM, its issuers after it", b.install},
		{"sign/{type}/{name}", logical.UpdateOperation, false, signFields,
			"sign structures of one type, which the engine parses and judges", b.leased(b.sign)},
		{"sign/{type}/{name}", logical.PatchOperation, false, signFields, "the same, faster", b.leased(b.sign)},
	}
}

// leased gives out what f made with a private key only under the lease.
func (b *backend) leased(f func(context.Context, call) (map[string]any, error)) func(context.Context, call) (map[string]any, error) {
	return func(ctx context.Context, c call) (map[string]any, error) {
		data, err := f(ctx, c)
		if err != nil {
			return nil, err
		}
		s, err := view(ctx)
		if err != nil {
			return nil, err
		}
		if err := b.lease.confirm(ctx, s); err != nil {
			return nil, fmt.Errorf("confirm that this node is active: %w", err)
		}
		return data, nil
	}
}

func (b *backend) list(ctx context.Context, _ call) (map[string]any, error) {
	names, err := b.engine.List(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = string(n)
	}
	return map[string]any{"keys": out}, nil
}

func (b *backend) create(ctx context.Context, c call) (map[string]any, error) {
	purpose, err := c.text("purpose")
	if err != nil {
		return nil, err
	}
	return infoAnswer(b.engine.Create(ctx, c.name(), keys.Purpose(purpose)))
}

func (b *backend) csr(ctx context.Context, c call) (map[string]any, error) {
	var s wire.Subject
	var errs []error
	get := func(field string, into *[]string) {
		v, err := c.texts(field)
		*into = v
		errs = append(errs, err)
	}
	var err error
	s.CommonName, err = c.text("common_name")
	errs = append(errs, err)
	s.SerialNumber, err = c.text("serial_number")
	errs = append(errs, err)
	get("country", &s.Country)
	get("province", &s.Province)
	get("locality", &s.Locality)
	get("street_address", &s.StreetAddress)
	get("postal_code", &s.PostalCode)
	get("organization", &s.Organization)
	get("ou", &s.OrganizationalUnit)
	version, err := c.number("version")
	if err := join(append(errs, err)...); err != nil {
		return nil, err
	}
	req, err := b.engine.CSR(ctx, c.name(), version, s.Name())
	if err != nil {
		return nil, err
	}
	return map[string]any{"csr": string(req.PEM()), "version": version}, nil
}

func (b *backend) install(ctx context.Context, c call) (map[string]any, error) {
	text, err := c.text("certificate")
	version, err2 := c.number("version")
	if err := join(err, err2); err != nil {
		return nil, err
	}
	if len(text) > maxCertificateText {
		return nil, fmt.Errorf("%w: more than %d bytes of PEM", keys.ErrCertificate, maxCertificateText)
	}
	var certs []*gm.Certificate
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("%w: the PEM holds something else, %.40q", keys.ErrCertificate, block.Type)
		}
		certs = append(certs, &gm.Certificate{Raw: block.Bytes}) // the engine parses Raw
	}
	return infoAnswer(b.engine.InstallCertificate(ctx, c.name(), version, certs))
}

func infoAnswer(info keys.Info, err error) (map[string]any, error) {
	if err != nil {
		return nil, err
	}
	return wire.FromInfo(info).Map()
}
