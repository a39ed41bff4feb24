package pki

import (
	"context"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/trust"
)

// SignSealStatus signs a status list of seals with a key of purpose licence.
// Its certificate has to be of profile Responder, issued by the CA of the makers
// that the list speaks of: verifiers accept no other. docs/revocation.md
// describes the list.
func SignSealStatus(ctx context.Context, s trust.SealStatus, signer *keys.Pinned) ([]byte, error) {
	canonical, err := s.Canonical()
	if err != nil {
		return nil, err
	}
	if c := signer.Certificate(); c == nil || !c.OCSPSigning {
		return nil, keys.ErrCertificate
	}
	sig, err := signer.SignStatusList(ctx, canonical)
	if err != nil {
		return nil, err
	}
	return trust.AssembleSealStatusList(canonical, sig, signer.Certificate())
}
