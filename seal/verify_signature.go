package seal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// clockSkew is how far a signing time may lie ahead of the verifier's clock.
const clockSkew = 5 * time.Minute

// judgement gathers what is found out about one signature.
type judgement struct {
	v        *Verifier
	pkg      *ofd.Package
	sig      *ofd.Signature
	position int // in the list of its document
	checks   checks
	at       time.Time // now
	time     time.Time // the time that validity is judged at

	kind       Kind
	seal       *SealInfo
	signer     *SignerInfo
	signedAt   time.Time
	source     TimeSource
	damaged    []ofd.Problem // found while digesting; they concern the file
	partial    bool          // the signature leaves a file open that existed when it was made
	baseFailed bool
}

func (j *judgement) indication() Indication { return j.checks.indication() }

// judge does every check of one signature but step 24.
func (v *Verifier) judge(p *ofd.Package, s *ofd.Signature, o Options) *judgement {
	j := &judgement{v: v, pkg: p, sig: s, checks: checks{strict: o.Strict}, at: o.At, time: o.At, kind: KindUnknown, source: TimeNone}
	j.position = slices.Index(p.Bodies[s.Body].Signatures, s)
	for _, x := range s.Problems {
		j.checks.add(x.Step, x.Code, x.Target, x.Detail)
	}
	if s.Raw == nil {
		return j // no Signature.xml: nothing more to judge
	}
	for _, x := range p.CheckReferences(s) {
		if x.Step < 5 {
			j.damaged = append(j.damaged, x)
			continue
		}
		j.checks.add(x.Step, x.Code, x.Target, x.Detail)
	}
	j.checks.done(5, 6, 7)
	if s.ValuePath != "" {
		dat, err := p.SignedValue(s)
		if err != nil {
			j.checks.add(9, ofd.CodeValueMissing, s.ValuePath, err.Error())
		} else if s.Type == ofd.TypeSign {
			j.checkCMS(dat)
		} else {
			j.checkSES(dat)
		}
	}
	for _, x := range p.CheckStamps(s) {
		j.checks.add(x.Step, x.Code, x.Target, x.Detail)
	}
	j.checks.done(23)
	return j
}

// report returns the public form.
func (j *judgement) report() SignatureReport {
	r := SignatureReport{ID: j.sig.ID, Path: j.sig.Path, Kind: j.kind, Indication: j.indication(), Seal: j.seal, Signer: j.signer,
		TimeSource: j.source, Coverage: Whole, Checks: j.checks.sorted()}
	if j.partial {
		r.Coverage = Partial
	}
	if !j.signedAt.IsZero() {
		at := j.signedAt.UTC()
		r.SignedAt = &at
	}
	return r
}

// checkSES does steps 9 to 22 for a seal signature.
func (j *judgement) checkSES(dat []byte) {
	sig, err := ses.ParseSignature(dat)
	if err != nil {
		if gm.CheckSignature(dat) == nil {
			j.kind = KindBare
		}
		j.checks.add(9, codeStructSES, j.sig.ValuePath, err.Error())
		return
	}
	j.kind = Kind("ses-" + sig.Version.String())
	j.notes(sig.Notes)
	j.checks.done(9)

	signer := j.parseCertificate(sig.Cert, "signer")
	j.nameSigner(signer)
	if !sig.Algorithm.Equal(gm.OIDSM2WithSM3) {
		j.checks.add(10, codeAlgorithm, "signer", fmt.Sprintf("the signature's algorithm is %v", sig.Algorithm))
	}
	j.checkMethod()
	j.claim(sig.TBS.Time)

	if digest, err := j.pkg.Digest(j.sig.Path); err != nil || !bytes.Equal(digest[:], sig.TBS.DataHash) {
		j.checks.add(11, codeDataHash, j.sig.Path, "the signed digest is not that of the signature's description")
	}
	if want := ofd.Absolute(j.sig.Path); ofd.Absolute(sig.TBS.PropertyInfo) != want {
		j.checks.add(12, codePropertyPath, j.sig.Path, fmt.Sprintf("the signature names %.200q", sig.TBS.PropertyInfo))
	}
	j.checkValue(sig.SignerMessage(), sig.Value, signer)
	j.checkListed(sig)
	if j.sig.SealLoc != "" {
		j.checkSealFile(sig.TBS.Seal.Raw)
	}
	j.checkImage(sig.TBS.Seal.Info.Picture)
	j.checkSeal(sig.TBS.Seal, signer)
	j.checks.add(19, codeSealStatus, "", "no source of seal status is configured")
	if signer != nil {
		j.checkSigner(signer, nil)
	}
	j.checkTimestamp(sig.Timestamp != nil || sig.TBS.TimeToken != nil || sig.TBS.Seal.Timestamp != nil)
	j.checkTime(signer, sig.TBS.Seal.Info.Property.NotAfter)
	j.checks.done(10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21, 22)
}

// notes takes over what the parser of the structures tolerated.
func (j *judgement) notes(list []ses.Note) {
	for _, n := range list {
		j.checks.add(9, n.Code, n.Field, n.Detail)
	}
}

func (j *judgement) nameSigner(c *gm.Certificate) {
	if c != nil {
		j.signer = &SignerInfo{Subject: c.Subject.String(), Serial: c.SerialHex()}
	}
}

// claim takes the time that the signer states as the time of judgement.
func (j *judgement) claim(t time.Time) {
	if !t.IsZero() {
		j.signedAt, j.time, j.source = t, t, TimeClaimed
	}
}

// checkMethod is the part of step 10 that the description tells. Both
// identifiers are in use for SM2 signatures over SM3.
func (j *judgement) checkMethod() {
	switch m := strings.TrimSpace(j.sig.Method); m {
	case "", gm.OIDSM2WithSM3.String(), gm.OIDSM2Sign.String():
	default:
		j.checks.add(10, codeAlgorithm, j.sig.Path, fmt.Sprintf("SignatureMethod is %.60q", m))
	}
}

// checkValue is step 13. One platform writes r and s as 64 plain bytes.
func (j *judgement) checkValue(message, value []byte, signer *gm.Certificate) {
	if signer == nil {
		j.checks.add(13, codeSigValue, j.sig.ValuePath, "there is no key to verify with")
		return
	}
	if len(value) == 64 && gm.CheckSignature(value) != nil {
		if der, err := gm.SignatureFromRaw(value); err == nil {
			j.checks.add(13, codeRawSigValue, j.sig.ValuePath, "the value is 64 bytes without structure")
			value = der
		}
	}
	if err := signer.PublicKey.Verify(message, value); err != nil {
		j.checks.add(13, codeSigValue, j.sig.ValuePath, err.Error())
	}
}

// checkListed is step 14: the signer's certificate stands in the seal's list,
// byte for byte or by its SM3 digest. A list with entries of no known form
// leaves the question open, unless another entry answers it.
func (j *judgement) checkListed(sig *ses.Signature) {
	p := sig.TBS.Seal.Info.Property
	listed := slices.ContainsFunc(p.Certs, func(c []byte) bool { return bytes.Equal(c, sig.Cert) })
	if !listed && len(p.Digests) > 0 {
		digest := gm.SM3(sig.Cert)
		listed = slices.ContainsFunc(p.Digests, func(d ses.CertDigest) bool { return bytes.Equal(d.Value, digest[:]) })
	}
	switch {
	case listed:
	case p.Unreadable > 0:
		j.checks.add(14, codeSignerList, "signer", fmt.Sprintf("%d entries of the seal's list are neither certificate nor digest", p.Unreadable))
	default:
		j.checks.add(14, codeSignerNotInSeal, "signer", "the seal does not list the signer's certificate")
	}
}

// checkSealFile is step 16.
func (j *judgement) checkSealFile(embedded []byte) {
	if j.sig.SealPath == "" {
		j.checks.add(16, codeSealMismatch, j.sig.Path, "the seal file does not exist")
		return
	}
	file, err := j.pkg.Read(j.sig.SealPath)
	if err != nil || !bytes.Equal(file, embedded) {
		j.checks.add(16, codeSealMismatch, j.sig.SealPath, "the file is not the seal inside the signature")
	}
}

// checkImage is the part of step 16 about OFD 2.0: a reader may show the picture
// that the description names instead of the seal's own.
func (j *judgement) checkImage(picture ses.Picture) {
	if j.sig.ImageLoc == "" {
		return
	}
	if j.sig.ImagePath != "" {
		if file, err := j.pkg.Read(j.sig.ImagePath); err == nil && bytes.Equal(file, picture.Data) {
			return
		}
	}
	j.checks.add(16, codeSealImage, j.sig.ImagePath, "the picture beside the seal is not the one that the seal's maker signed")
}

// checkSeal does steps 15, 17 and 18, and the maker's part of step 10. signer
// is nil when a seal is judged alone.
func (j *judgement) checkSeal(s *ses.Seal, signer *gm.Certificate) {
	p := s.Info.Property
	maker := j.parseCertificate(s.Cert, "maker")
	j.seal = &SealInfo{ID: s.Info.ID, Name: p.Name}
	if maker != nil {
		j.seal.Maker = maker.Subject.String()
	}
	if !s.Algorithm.Equal(gm.OIDSM2WithSM3) {
		j.checks.add(10, codeAlgorithm, "maker", fmt.Sprintf("the seal's algorithm is %v", s.Algorithm))
	}
	if maker == nil {
		j.checks.add(15, codeSealSig, "maker", "there is no key to verify with")
		j.checks.addAs(Unknown, 17, "E_MAKER_UNTRUSTED", "maker", "the maker's certificate cannot be read")
	} else {
		if err := j.v.verifyMaker(maker, s); err != nil {
			j.checks.add(15, codeSealSig, "maker", err.Error())
		}
		j.checkMaker(maker, signer, p.Created)
	}
	switch {
	case p.NotAfter.Before(p.NotBefore):
		j.checks.add(18, codeSealExpired, "", "the seal ends before it begins")
	case j.time.Before(p.NotBefore):
		j.checks.add(18, codeSealNotYet, "", "the seal begins "+stamp(p.NotBefore))
	case j.time.Truncate(time.Second).After(p.NotAfter):
		j.checks.add(18, codeSealExpired, "", "the seal ended "+stamp(p.NotAfter))
	}
}

// checkMaker is step 17.
func (j *judgement) checkMaker(maker, signer *gm.Certificate, created time.Time) {
	if signer != nil && maker.PublicKey.Equal(signer.PublicKey) { // by key: one party may have several certificates
		j.checks.addAs(Fail, 17, "E_MAKER_UNTRUSTED", "maker", "the signer made the seal himself")
		return
	}
	v := j.v.anchors.Check(maker, nil, trust.Maker, created)
	j.take(17, "MAKER", maker, v)
	if p, ok := trust.CheckDates(maker, j.time); !ok && p.Reason == trust.Expired && !v.Has(trust.Expired) {
		j.checks.add(17, codeMakerExpiredNow, "maker", p.Detail)
	}
}

// checkSigner is step 20.
func (j *judgement) checkSigner(signer *gm.Certificate, others []*gm.Certificate) {
	v := j.v.anchors.Check(signer, others, trust.Signer, j.time)
	j.take(20, "SIGNER", signer, v)
	if v.Revocation.State == trust.NotConfigured {
		j.checks.add(20, codeRevocation, "signer", "no source of revocation is configured")
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

// checkTimestamp is step 21.
func (j *judgement) checkTimestamp(present bool) {
	if present {
		j.checks.add(21, codeTimestamp, "", "the signature carries a timestamp, which is not verified; the claimed time counts")
	} else {
		j.checks.add(21, codeNoTimestamp, "", "only the signer says when it was signed")
	}
}

// checkTime is step 22. A claimed time is worth something only while nothing
// has expired or been revoked since: afterwards anybody who holds the old key
// could still claim it.
func (j *judgement) checkTime(signer *gm.Certificate, sealEnd time.Time) {
	if j.source == TimeNone {
		j.checks.add(22, codeTimeNone, "", "validity is judged at "+stamp(j.at))
		return
	}
	if j.time.After(j.at.Add(clockSkew)) {
		j.checks.add(22, codeTimeFuture, "", "the signing time is "+stamp(j.time))
	}
	outcome, why := Warn, "nothing shows that it was signed at "+stamp(j.time)
	switch {
	case !sealEnd.IsZero() && j.at.After(sealEnd):
		outcome, why = Unknown, "the seal ended "+stamp(sealEnd)+", and nothing shows that it was used before"
	case signer != nil && j.endedByNow(signer):
		outcome, why = Unknown, "the signer's certificate has ended since, and nothing shows that it was used before"
	}
	j.checks.addAs(outcome, 22, codeTimeClaimed, "", why)
}

func (j *judgement) endedByNow(signer *gm.Certificate) bool {
	if p, ok := trust.CheckDates(signer, j.at); !ok && p.Reason == trust.Expired {
		return true
	}
	return j.v.anchors.Check(signer, nil, trust.Signer, j.at).Has(trust.Revoked)
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
