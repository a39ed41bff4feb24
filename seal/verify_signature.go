package seal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
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
	at       time.Time         // now
	time     time.Time         // the time that validity is judged at
	others   []*gm.Certificate // came with the signature; may serve as intermediates
	doubts   []string          // why a time that is only claimed cannot be believed

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
	j.checkTimestamps(sig)

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
	if signer != nil {
		j.checkSigner(signer)
	}
	j.checkTime(signer, sig.TBS.Seal.Info.Property.NotAfter)
	j.checks.done(10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22)
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
	if !j.holds(j.sig.SealPath, embedded) {
		j.checks.add(16, codeSealMismatch, j.sig.SealPath, "the file is not the seal inside the signature")
	}
}

// holds reports whether a file of the package has exactly this content. A file
// of another size is not unpacked to find out.
func (j *judgement) holds(name string, want []byte) bool {
	if j.pkg.FileSize(name) != len(want) {
		return false
	}
	got, err := j.pkg.Read(name)
	return err == nil && bytes.Equal(got, want)
}

// checkImage is the part of step 16 about OFD 2.0: a reader may show the picture
// that the description names instead of the seal's own.
func (j *judgement) checkImage(picture ses.Picture) {
	if j.sig.ImageLoc == "" {
		return
	}
	if j.holds(j.sig.ImagePath, picture.Data) {
		return
	}
	j.checks.add(16, codeSealImage, j.sig.ImagePath, "the picture beside the seal is not the one that the seal's maker signed")
}

// checkSeal does steps 15, 17, 18 and 19, and the maker's part of step 10.
// signer is nil when a seal is judged alone.
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
		j.checkSealStatus(s.Info.ID, nil, nil)
	} else {
		if err := j.v.verifyMaker(maker, s); err != nil {
			j.checks.add(15, codeSealSig, "maker", err.Error())
		}
		created := j.sealMadeAt(s)
		j.checkSealStatus(s.Info.ID, maker, j.checkMaker(maker, signer, created))
	}
	if signer != nil && j.source == TimeClaimed && p.Created.After(j.time.Add(clockSkew)) {
		j.doubts = append(j.doubts, "the seal was made "+stamp(p.Created)+", after the claimed time")
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

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
