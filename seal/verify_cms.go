package seal

import (
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// checkCMS does steps 9 to 22 for a digital signature without a seal
// (Type="Sign"): GB/T 35275 or CMS. Steps about the seal do not apply.
func (j *judgement) checkCMS(dat []byte) {
	s, err := gm.ParseSignedData(dat)
	if err != nil {
		why := err.Error()
		if gm.CheckSignature(dat) == nil {
			j.kind, why = KindBare, "a bare SM2 signature names neither signer nor certificate"
		}
		j.checks.add(9, codeStructCMS, j.sig.ValuePath, why)
		return
	}
	j.kind = KindCMS
	signer, err := s.SignerCertificate()
	if err != nil {
		j.checks.add(9, codeStructCMS, j.sig.ValuePath, err.Error())
	}
	j.checks.done(9)
	j.nameSigner(signer)
	if signer != nil && signer.FormError != nil {
		j.checks.add(10, codeCertForm, "signer", signer.FormError.Error())
	}
	if !s.IsSM2WithSM3() {
		j.checks.add(10, codeAlgorithm, "signer", fmt.Sprintf("the signature's algorithms are %v and %v", s.DigestOID, s.SignatureOID))
	}
	j.checkMethod()
	j.claim(s.SigningTime)
	j.others = s.Certificates
	j.checkTimestamp(tokenOf(s), s.Signature)
	if err := s.CheckMessage(j.sig.Raw); errors.Is(err, gm.ErrCMSDigest) {
		j.checks.add(11, codeDataHash, j.sig.Path, err.Error())
	}
	if signer == nil {
		j.checks.add(13, codeSigValue, j.sig.ValuePath, "there is no key to verify with")
	} else {
		if err := signer.PublicKey.Verify(s.SignedMessage(j.sig.Raw), s.Signature); err != nil {
			j.checks.add(13, codeSigValue, j.sig.ValuePath, err.Error())
		}
		j.checkSigner(signer)
	}
	if loc := j.sig.SealLoc + j.sig.ImageLoc; loc != "" {
		j.checks.add(16, codeSealMismatch, j.sig.Path, "a digital signature carries no seal, so nobody vouches for the one that it shows")
	}
	j.checkTime(signer, time.Time{})
	j.checks.done(10, 11, 13, 20, 21, 22)
}

// tokenOf returns the timestamp token among the unsigned attributes (RFC 3161
// appendix A), nil when there is none. Of several the first one counts.
func tokenOf(s *gm.SignedData) []byte {
	for _, a := range s.UnsignedAttrs {
		if a.ID.Equal(gm.OIDAttrTimestampToken) && len(a.Values) > 0 {
			return a.Values[0]
		}
	}
	return nil
}
