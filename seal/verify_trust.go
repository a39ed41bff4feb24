package seal

import (
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

// SealStatusSource knows which seals were suspended or cancelled, from status
// lists that it already holds. SealStatus must be safe for concurrent use, must
// not block on a network, and must have verified whatever it answers from.
// issuer is the certificate above maker's; nil when maker is an anchor itself
// or no path to one is known. An answer is NotRevoked only when it is about the
// time asked for; otherwise it is CannotAnswer.
type SealStatusSource interface {
	SealStatus(id string, maker, issuer *gm.Certificate, at time.Time) trust.Revocation
}

// doubt notes why a time that is only claimed proves nothing any more.
func (j *judgement) doubt(format string, args ...any) {
	j.doubts = append(j.doubts, fmt.Sprintf(format, args...)+", and nothing shows that it was used before")
}

// claimedOnly says that whoever holds the key now can still choose the time of
// judgement, so that what happened since counts as well.
func (j *judgement) claimedOnly() bool { return j.source == TimeClaimed && j.time.Before(j.at) }

// checkMaker is step 17. It returns the certificate of the maker's issuer, nil
// when no path is known.
//
// The maker's certificate has to be valid when the seal was made, and not be
// revoked by the time the seal was used: the date inside a seal is the maker's
// own, so after the loss of his key it proves nothing. A revocation for a
// harmless reason leaves seals that were made before it alone.
func (j *judgement) checkMaker(maker, signer *gm.Certificate, created time.Time) (issuer *gm.Certificate) {
	if signer != nil && maker.PublicKey.Equal(signer.PublicKey) { // by key: one party may have several certificates
		j.checks.addAs(Fail, 17, "E_MAKER_UNTRUSTED", "maker", "the signer made the seal himself")
		return nil
	}
	v := j.v.anchors.Check(maker, nil, trust.Maker, created)
	j.take(17, "MAKER", maker, v)
	if len(v.Chain) > 1 {
		issuer = v.Chain[1]
	}
	p, ok := trust.CheckDates(maker, j.time)
	ended := !ok && p.Reason == trust.Expired
	if ended && !v.Has(trust.Expired) {
		j.checks.add(17, codeMakerExpiredNow, "maker", p.Detail)
	}
	if v.Revocation.State != trust.NotRevoked {
		return issuer
	}
	used := j.time
	if ended {
		used = maker.NotAfter // nobody revokes what has ended
	}
	then := j.v.anchors.Check(maker, nil, trust.Maker, used).Revocation
	switch {
	case then.State == trust.CannotAnswer:
		j.checks.addAs(Unknown, 17, codeRevocation, "maker", then.Detail)
	case then.State == trust.IsRevoked && then.Harmless():
		j.checks.add(17, codeMakerExpiredNow, "maker", "revoked "+stamp(then.At)+" for a harmless reason, after the seal was made")
	case then.State == trust.IsRevoked:
		j.checks.add(17, codeMakerRevoked, "maker", "revoked "+stamp(then.At)+", before the seal was used")
	case j.claimedOnly() && !ended:
		now := j.v.anchors.Check(maker, nil, trust.Maker, j.at).Revocation
		if now.State == trust.IsRevoked && !now.Harmless() {
			j.doubt("the seal maker's certificate was revoked %s", stamp(now.At))
		}
	}
	return issuer
}

// checkSealStatus is step 19.
func (j *judgement) checkSealStatus(id string, maker, issuer *gm.Certificate) {
	if j.v.status == nil {
		if j.sig != nil { // a seal alone is not asked about
			j.checks.add(19, codeSealStatus, "", "no source of seal status is configured")
		}
		return
	}
	if maker == nil {
		j.checks.addAs(Unknown, 19, codeSealStatus, "", "whose seal it is cannot be read")
		return
	}
	r := j.v.status.SealStatus(id, maker, issuer, j.time)
	switch r.State {
	case trust.IsRevoked:
		j.checks.add(19, codeSealRevoked, "", strings.TrimSpace("since "+stamp(r.At)+" "+r.Detail))
		j.doubt("the seal was suspended or cancelled %s", stamp(r.At))
		return
	case trust.NotRevoked:
	default:
		j.checks.addAs(Unknown, 19, codeSealStatus, "", r.Detail)
		return
	}
	if !j.claimedOnly() {
		return
	}
	switch r := j.v.status.SealStatus(id, maker, issuer, j.at); r.State {
	case trust.IsRevoked:
		j.doubt("the seal was suspended or cancelled %s", stamp(r.At))
	case trust.NotRevoked:
	default:
		j.checks.addAs(Unknown, 19, codeSealStatus, "", "what happened since the claimed time is not known: "+r.Detail)
	}
}

// checkSigner is step 20.
func (j *judgement) checkSigner(signer *gm.Certificate) {
	v := j.v.anchors.Check(signer, j.others, trust.Signer, j.time)
	j.take(20, "SIGNER", signer, v)
	if v.Revocation.State == trust.NotConfigured {
		j.checks.add(20, codeRevocation, "signer", "no source of revocation is configured")
	}
	if v.Revocation.State == trust.IsRevoked {
		j.doubt("the signer's certificate, or one above it, was revoked %s", stamp(v.Revocation.At))
	}
	if v.Revocation.State != trust.NotRevoked || !j.claimedOnly() || j.expiredByNow(signer) {
		return
	}
	switch now := j.v.anchors.Check(signer, j.others, trust.Signer, j.at).Revocation; now.State {
	case trust.IsRevoked:
		j.doubt("the signer's certificate, or one above it, was revoked %s", stamp(now.At))
	case trust.CannotAnswer:
		j.checks.addAs(Unknown, 20, codeRevocation, "signer", "what happened since the claimed time is not known: "+now.Detail)
	}
}

// take turns the verdict on a chain into checks. who is MAKER or SIGNER.
func (j *judgement) take(step int, who string, leaf *gm.Certificate, v trust.Verdict) {
	target := strings.ToLower(who)
	for _, p := range v.Problems {
		outcome, code := Fail, "E_"+who+"_UNTRUSTED"
		switch p.Reason {
		case trust.NoPath:
			outcome = Unknown
		case trust.Expired:
			code = "E_" + who + "_EXPIRED"
		case trust.NotYetValid:
			code = map[string]string{"MAKER": "E_MAKER_EXPIRED", "SIGNER": "E_SIGNER_NOT_YET"}[who]
		case trust.Revoked:
			code = "E_" + who + "_REVOKED"
		case trust.WrongUsage, trust.BadExtension: // of a malformed certificate they mean no more than that it is not believed
			if leaf.Equal(p.Cert) && leaf.FormError == nil {
				code = "E_" + who + "_USAGE"
			}
		}
		j.checks.addAs(outcome, step, code, target, p.Detail)
	}
	if v.Revocation.State == trust.CannotAnswer {
		j.checks.addAs(Unknown, step, codeRevocation, target, v.Revocation.Detail)
	}
}
