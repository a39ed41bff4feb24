// Package pki is the small certification authority that Sealgate runs itself:
// a root, a CA for seal makers, certificates for makers, signers, timestamp
// authorities and policy officers (GB/T 20518 over RFC 5280), revocation lists
// and OCSP answers (RFC 6960), timestamps (RFC 3161, GM/T 0033), and, apart from
// all that, ECDSA certificates for TLS.
//
// Which function do you want?
//
//   - NewRoot, once; Open, at every later start; Enrol, for each key that
//     needs a certificate (request, issue, install in one step).
//   - ParsePlan and (*Plan).Run, to make all of that in one ceremony from one
//     reviewed file.
//   - Issue, for a request that came from outside.
//   - For a licensed CA outside: the engine's CSR gives the request,
//     InstallAnswer takes what comes back.
//   - Book keeps what a CA issued and revoked; NewCRLs and NewOCSP publish it
//     over HTTP; Fetcher keeps a verifier's copy fresh; SignSealStatus makes the
//     status list of seals.
//   - NewTSA is a timestamp authority, TSAClient asks one, ours or another's.
//   - NewTLSAuthority, for the gateway's TLS and mTLS.
//
// What it refuses to do: it holds no SM2 private key. Everything is signed by a
// key of purpose ca in a key engine, which parses what it signs and holds this
// package to the CA's name, term and path length. TLS keys are ordinary ECDSA
// keys in memory and files: they sign no document and no certificate that a
// seal is judged by.
//
//	root, err := pki.NewRoot(ctx, ks.Key("root"), ks, pkix.Name{CommonName: "吉林省根"}, from, until)
//	cert, err := root.Enrol(ctx, ks.Key("seal-rs"), ks, pki.Signer, subject, from, until)
package pki

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Profile says what a certificate is for.
type Profile int

// The profiles. Key usages are critical, as GB/T 20518 wants them.
const (
	SubCA   Profile = iota + 1 // a CA below, which issues no further CA: keyCertSign, cRLSign, path length 0
	Maker                      // 制章人: digitalSignature, nonRepudiation
	Signer                     // 签章人: digitalSignature, nonRepudiation
	TSA                        // the same, with the critical extended usage timeStamping alone (RFC 3161)
	Officer                    // signs policy bundles: digitalSignature, nonRepudiation
	// Responder speaks for its issuer about revocation: OCSP answers, status
	// lists of seals. digitalSignature, OCSPSigning, nocheck (RFC 6960).
	Responder
)

// ErrProfile says that a value is none of the profiles.
var ErrProfile = errors.New("unknown certificate profile")

// rootPath is the path length of a root made here: root, CA, end certificate.
const rootPath = 1

func (p Profile) template() (gm.Template, error) {
	t := gm.Template{KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}
	switch p {
	case SubCA:
		t.IsCA, t.MaxPathLen, t.KeyUsage = true, 0, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
	case TSA:
		t.TimeStamping = true
	case Responder:
		t.OCSPSigning, t.KeyUsage = true, gm.KeyUsageDigitalSignature
	case Maker, Signer, Officer:
	default:
		return t, fmt.Errorf("%w: %d", ErrProfile, p)
	}
	return t, nil
}

// Life is the part of a key engine that certifies keys.
type Life interface {
	CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error)
	InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error)
}

// Authority is a CA whose key lies in an engine. It is immutable and safe for
// concurrent use.
type Authority struct {
	signer *keys.Pinned
	cert   *gm.Certificate
	chain  []*gm.Certificate

	crlURLs, ocspURLs []string
	book              *Book
}

// With returns the same CA with the addresses that it writes into the
// certificates it issues, and a book in which it enters them. Either may be
// empty. What it issued is entered before it is handed out.
func (a *Authority) With(book *Book, crlURLs, ocspURLs []string) *Authority {
	b := *a
	b.book, b.crlURLs, b.ocspURLs = book, crlURLs, ocspURLs
	return &b
}

// NewRoot makes the newest version of key a root: it signs its own certificate
// and installs it. key is of purpose ca and has no certificate for that version.
// from may lie at most a day back.
func NewRoot(ctx context.Context, key keys.Key, life Life, subject pkix.Name, from, until time.Time) (*Authority, error) {
	info, err := key.Info(ctx)
	if err != nil {
		return nil, err
	}
	v, err := info.Newest()
	if err != nil {
		return nil, err
	}
	if info.Purpose != keys.CA || v.Certificate != nil {
		return nil, fmt.Errorf("make root of key %s: %w: purpose %s, or it has a certificate", info.Name, keys.ErrPurpose, info.Purpose)
	}
	p, err := keys.Pin(key, info, v.Number)
	if err != nil {
		return nil, err
	}
	cert, err := gm.CreateCertificate(gm.Template{Subject: subject, NotBefore: from, NotAfter: until, IsCA: true, MaxPathLen: rootPath,
		KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign}, nil, v.Public, p.X509(ctx))
	if err != nil {
		return nil, fmt.Errorf("make root of key %s: %w", info.Name, err)
	}
	if _, err := life.InstallCertificate(ctx, info.Name, v.Number, []*gm.Certificate{cert}); err != nil {
		return nil, err
	}
	return &Authority{signer: p, cert: cert}, nil
}

// Open returns the CA of key's live version.
func Open(ctx context.Context, key keys.Key) (*Authority, error) {
	info, err := key.Info(ctx)
	if err != nil {
		return nil, err
	}
	p, err := keys.Pin(key, info, info.Live)
	if err != nil {
		return nil, err
	}
	if info.Purpose != keys.CA {
		return nil, fmt.Errorf("open CA of key %s: %w: %s", info.Name, keys.ErrPurpose, info.Purpose)
	}
	return &Authority{signer: p, cert: p.Certificate(), chain: p.Version().Chain}, nil
}

// Certificate returns the CA's own certificate.
func (a *Authority) Certificate() *gm.Certificate { return a.cert }

// Chain returns the CA's certificate and those above it, the root last.
func (a *Authority) Chain() []*gm.Certificate {
	return append([]*gm.Certificate{a.cert}, a.chain...)
}

// Issue answers a request with a certificate. The request's signature, which
// proves that the applicant has the key, is checked again from its bytes; that
// the applicant is who the subject says is the caller's to know.
func (a *Authority) Issue(ctx context.Context, p Profile, req *gm.Request, from, until time.Time) (*gm.Certificate, error) {
	t, err := p.template()
	if err != nil {
		return nil, err
	}
	checked, err := gm.ParseRequest(req.Raw)
	if err != nil {
		return nil, err
	}
	t.Subject, t.NotBefore, t.NotAfter = checked.Subject, from, until
	t.CRLURLs, t.OCSPURLs = a.crlURLs, a.ocspURLs
	c, err := gm.CreateCertificate(t, a.cert, checked.PublicKey, a.signer.X509(ctx))
	if err != nil {
		return nil, fmt.Errorf("issue certificate for %q: %w", checked.Subject, err)
	}
	if a.book != nil {
		if err := a.book.Issued(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Enrol certifies the newest version of another key of the same engine:
// request, certificate, installation together with the chain.
func (a *Authority) Enrol(ctx context.Context, key keys.Key, life Life, p Profile, subject pkix.Name, from, until time.Time) (*gm.Certificate, error) {
	info, err := key.Info(ctx)
	if err != nil {
		return nil, err
	}
	v, err := info.Newest()
	if err != nil {
		return nil, err
	}
	req, err := life.CSR(ctx, info.Name, v.Number, subject)
	if err != nil {
		return nil, err
	}
	c, err := a.Issue(ctx, p, req, from, until)
	if err != nil {
		return nil, err
	}
	if _, err := life.InstallCertificate(ctx, info.Name, v.Number, append([]*gm.Certificate{c}, a.Chain()...)); err != nil {
		return nil, err
	}
	return c, nil
}

// RevocationList issues the CA's list number, valid from now until next. revoked
// names everything that the CA ever revoked, also what has ended: the list
// promises that (expiredCertsOnCRL), so that old signatures can be judged by it.
// Numbers grow; the caller, such as a Book, keeps them.
func (a *Authority) RevocationList(ctx context.Context, number *big.Int, now, next time.Time, revoked []gm.RevokedEntry) (*gm.RevocationList, error) {
	return gm.CreateList(gm.ListTemplate{Number: number, ThisUpdate: now, NextUpdate: next, Revoked: revoked, KeepsExpired: a.cert.NotBefore}, a.cert, a.signer.Revocation(ctx))
}
