package bundle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

// Signer signs an officer's statement (policy.Statement, canonical JSON), never
// a digest: an implementation parses it and signs nothing else. The signature is
// SM2 over these bytes with the default user identity, in DER. *keys.Pinned
// satisfies it over every key store.
type Signer interface {
	SignBundle(ctx context.Context, statement []byte) (sig []byte, err error)
}

// Sign returns the bundle with one more signature: a release by whoever made it,
// then an approval by somebody else. certs are the officer's certificate and
// those above it. What is there already must verify, and the new signature is
// verified before it is used; whether the officers are believed is decided where
// the bundle is activated.
func (b *Bundle) Sign(ctx context.Context, act policy.Act, signer Signer, certs []*gm.Certificate, at time.Time) (*Bundle, error) {
	if len(certs) == 0 {
		return nil, refuse(ErrOfficer, "no certificate")
	}
	if n := len(b.Signatures); n == len(policy.Acts()) || policy.Acts()[n] != act {
		return nil, refuse(ErrUnsigned, "want a release, then an approval, and it has %d of them", n)
	}
	s := Signature{Act: act, At: at.UTC().Truncate(time.Second), Officer: certs[0].Subject.CommonName, Certificates: certs}
	text, err := b.statement(s)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out := &Bundle{Manifest: b.Manifest, contents: b.contents, Signatures: append(slices.Clone(b.Signatures), s)}
	if err := out.checkPair(); err != nil { // before anything is signed
		return nil, err
	}
	for _, have := range b.Signatures {
		if err := b.checkSignature(have); err != nil {
			return nil, err
		}
	}
	if s.Sig, err = signer.SignBundle(ctx, text); err != nil {
		return nil, fmt.Errorf("sign %s of bundle %s: %w", act, b.Manifest.Name, err)
	}
	if err := out.checkSignature(s); err != nil {
		return nil, err
	}
	out.Signatures[len(out.Signatures)-1] = s
	return out, nil
}
