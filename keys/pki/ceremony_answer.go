package pki

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// InstallAnswer installs what a licensed CA sent back for the request of a key's
// version: it finds the certificate that holds the version's key, orders the
// chain above it, and hands both to the engine, which checks them again. An
// encryption certificate of a double-certificate answer is left aside, and so is
// the encryption key that comes with it: no private key is taken from outside.
func InstallAnswer(ctx context.Context, key keys.Key, life Life, version int, answer []byte) (keys.Info, error) {
	info, err := key.Info(ctx)
	if err != nil {
		return keys.Info{}, err
	}
	v, err := info.Version(version)
	if err != nil {
		return keys.Info{}, err
	}
	a, err := gm.ParseAnswer(answer)
	if err != nil {
		return keys.Info{}, fmt.Errorf("%w: %w", keys.ErrCertificate, err)
	}
	chain, err := orderChain(a.Certificates, v.Public)
	if err != nil {
		return keys.Info{}, err
	}
	return life.InstallCertificate(ctx, info.Name, version, chain)
}

// orderChain finds the certificate of a public key and those above it.
func orderChain(certs []*gm.Certificate, public *gm.PublicKey) ([]*gm.Certificate, error) {
	var chain []*gm.Certificate
	for _, c := range certs {
		if c.PublicKey.Equal(public) {
			chain = append(chain, c)
			break
		}
	}
	if len(chain) == 0 {
		return nil, fmt.Errorf("%w: no certificate of the answer holds this version's key", keys.ErrCertificate)
	}
	for {
		last := chain[len(chain)-1]
		if bytes.Equal(last.RawIssuer, last.RawSubject) {
			return chain, nil
		}
		next := issuerAmong(certs, last)
		if next == nil || len(chain) > len(certs) {
			return chain, nil
		}
		chain = append(chain, next)
	}
}

func issuerAmong(certs []*gm.Certificate, c *gm.Certificate) *gm.Certificate {
	for _, x := range certs {
		if x.IsCA && bytes.Equal(x.RawSubject, c.RawIssuer) && c.CheckSignedBy(x.PublicKey) == nil {
			return x
		}
	}
	return nil
}
