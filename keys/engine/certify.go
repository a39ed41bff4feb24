package engine

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// maxChain bounds the issuer certificates installed with a certificate.
const maxChain = 8

// CSR returns a certificate request (PKCS #10) of one version, pending or
// live, signed by that version. It is the one structure that a key of every
// purpose signs, about itself only: the engine builds it, the caller gives
// the subject.
func (e *Engine) CSR(ctx context.Context, name keys.Name, n int, subject pkix.Name) (*gm.Request, error) {
	l := e.lock(name)
	l.RLock()
	defer l.RUnlock()
	r, err := e.load(ctx, name)
	if err != nil {
		return nil, err
	}
	if err := active(r); err != nil {
		return nil, err
	}
	v, err := r.version(n)
	if err != nil {
		return nil, err
	}
	if v.private == nil {
		return nil, fmt.Errorf("%w: version %d of key %s is %s", keys.ErrVersion, n, name, v.State)
	}
	return gm.CreateRequest(subject, v.Public, v.private.Sign)
}

// InstallCertificate gives version n its certificate: certs[0] is the key's
// own, the rest, which may be empty, the chain of issuers above it in order.
// The certificate must hold this version's key, be valid now, and carry the
// usages of the purpose. The version then goes live and the one before it is
// retired. A certificate is installed once: the same again changes nothing,
// another is refused (Rotate instead).
func (e *Engine) InstallCertificate(ctx context.Context, name keys.Name, n int, certs []*gm.Certificate) (keys.Info, error) {
	own, chain, err := reparse(certs)
	if err != nil {
		return keys.Info{}, err
	}
	return e.change(ctx, name, func(r *record) error {
		if err := active(r); err != nil {
			return err
		}
		v, err := r.version(n)
		if err != nil {
			return err
		}
		if v.Certificate != nil {
			if v.Certificate.Equal(own) {
				return errUnchanged
			}
			return fmt.Errorf("%w: version %d of key %s has its certificate, rotate for another", keys.ErrCertificate, n, name)
		}
		if v.State == keys.Retired {
			return fmt.Errorf("%w: version %d of key %s is retired", keys.ErrVersion, n, name)
		}
		if !own.PublicKey.Equal(v.Public) {
			return fmt.Errorf("%w: it holds another key", keys.ErrCertificate)
		}
		if err := usable(own, r.Purpose); err != nil {
			return err
		}
		if err := e.validNow(own); err != nil {
			return err
		}
		v.Certificate, v.Chain = own, chain
		r.goLive(v)
		return nil
	})
}

// reparse reads the certificates again from their bytes, because a
// gm.Certificate is a struct that a caller could have filled in, and checks
// that each is signed by the next.
func reparse(certs []*gm.Certificate) (own *gm.Certificate, chain []*gm.Certificate, err error) {
	if len(certs) == 0 || len(certs) > 1+maxChain {
		return nil, nil, fmt.Errorf("%w: want one, and at most %d issuers", keys.ErrCertificate, maxChain)
	}
	var all []*gm.Certificate
	for _, c := range certs {
		d, err := gm.ParseCertificate(c.Raw)
		if err == nil {
			err = d.FormError
		}
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", keys.ErrCertificate, err)
		}
		all = append(all, d)
	}
	for i, c := range all {
		issuer := c
		if i+1 < len(all) {
			issuer = all[i+1]
		} else if !bytes.Equal(c.RawIssuer, c.RawSubject) {
			break // the chain ends below its root: nothing to check this one with
		}
		if !bytes.Equal(c.RawIssuer, issuer.RawSubject) || i+1 < len(all) && !issuer.IsCA {
			return nil, nil, fmt.Errorf("%w: %q is not issued by the next certificate", keys.ErrCertificate, c.Subject)
		}
		if err := c.CheckSignedBy(issuer.PublicKey); err != nil {
			return nil, nil, fmt.Errorf("%w: %q: %w", keys.ErrCertificate, c.Subject, err)
		}
	}
	return all[0], all[1:], nil
}

// usable checks the usages of GB/T 20518 that the purpose needs.
func usable(c *gm.Certificate, p keys.Purpose) error {
	ok := !c.IsCA && c.KeyUsage&(gm.KeyUsageCertSign|gm.KeyUsageCRLSign) == 0
	switch p {
	case keys.CA:
		ok = c.IsCA && c.KeyUsage&gm.KeyUsageCertSign != 0
	case keys.Seal, keys.SealMaker, keys.Policy:
		ok = ok && c.KeyUsage&(gm.KeyUsageDigitalSignature|gm.KeyUsageContentCommitment) != 0
	case keys.TSA:
		ok = ok && c.TimeStamping
	}
	if !ok {
		return fmt.Errorf("%w: its usages are not those of purpose %s", keys.ErrCertificate, p)
	}
	return nil
}

func (e *Engine) validNow(c *gm.Certificate) error {
	if now := e.config.Now(); now.Before(c.NotBefore) || now.After(c.NotAfter) {
		return fmt.Errorf("%w: %s to %s", keys.ErrExpired, c.NotBefore.Format("2006-01-02"), c.NotAfter.Format("2006-01-02"))
	}
	return nil
}
