package seal

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// Binding is what a Prepared will seal: an approval names these values, and
// nothing else can come out.
type Binding struct {
	DocumentSM3 [gm.DigestSize]byte // of the document before sealing
	SealSM3     [gm.DigestSize]byte // of the DER seal
	SealID      string              // esID
	SealName    string
	Position    Position
	At          time.Time // the signing time that will be claimed
}

// Prepared is a sealing that passed every check that can be made without the
// real key. It can be signed once and finished once.
type Prepared struct {
	sealer  *Sealer
	binding Binding
	plan    *ofd.Plan
	cert    []byte
	tbs     []byte
	state   state
	sig     []byte
}

type state int

const (
	fresh state = iota
	signed
	spent
)

// Binding returns what will be sealed.
func (p *Prepared) Binding() Binding { return p.binding }

// TBS returns the DER TBS_Sign that Sign will have signed.
func (p *Prepared) TBS() []byte { return bytes.Clone(p.tbs) }

// Prepare checks everything about a sealing: the document, the signatures that
// it has, the seal, the signer, the position. It then signs with a key made for
// the purpose and thrown away, and runs the Verifier over the result, so that a
// fault shows before a real signature exists. Errors are *Error, or that of ctx.
func (s *Sealer) Prepare(ctx context.Context, r Request) (*Prepared, error) {
	if s.required && s.timestamps == nil {
		return nil, refuseTimestamp(errNoAuthority)
	}
	document := bytes.Clone(r.Document) // nobody else can change it from here on
	pkg, problems := ofd.Open(document)
	if pkg == nil || len(pkg.Bodies) == 0 || pkg.Bodies[0].Document == nil {
		return nil, refuse(CodeSealDocument, firstProblem(problems), "文档不是可以安全读取的版式文件", "the document is not an OFD package that can be read in one way only")
	}
	se, err := s.checkSeal(r)
	if err != nil {
		return nil, err
	}
	if err := s.checkExisting(ctx, pkg, r.At); err != nil {
		return nil, err
	}
	box, refusal := r.Position.boundary(pkg.Bodies[0].Document, se.Info.Picture)
	if refusal != nil {
		return nil, refusal
	}
	plan, err := pkg.PlanSignature(ofd.SignatureRequest{
		Provider: s.provider, At: r.At, Seal: se.Raw, Lock: r.Lock,
		Stamps: []ofd.Placement{{Page: r.Position.Page, Boundary: box}},
	})
	if err != nil {
		return nil, refusePlan(err)
	}
	p := &Prepared{sealer: s, plan: plan, cert: bytes.Clone(r.SignerCert), binding: Binding{
		DocumentSM3: gm.SM3(document), SealSM3: plan.SealDigest(), SealID: se.Info.ID, SealName: se.Info.Property.Name,
		Position: r.Position, At: r.At.UTC().Truncate(time.Second)}}
	hash := plan.DataHash()
	p.tbs, err = ses.TBS{Seal: se, Time: p.binding.At, DataHash: hash[:], PropertyInfo: plan.PropertyInfo()}.Marshal()
	if err != nil {
		return nil, refuse(CodeSealSelfCheck, err, "无法写出签章数据", "the signature data cannot be written")
	}
	return p, p.rehearse(ctx)
}

// firstProblem turns the first fatal problem of a package into an error.
func firstProblem(problems []ofd.Problem) error {
	for _, x := range problems {
		if x.Fatal() {
			return &ofd.ContentError{Problem: x}
		}
	}
	return nil
}

// checkSeal checks the seal and the signer without the document: V4, the maker's
// signature, validity, the list of signers, the signer's certificate.
func (s *Sealer) checkSeal(r Request) (*ses.Seal, error) {
	inactive := func(cause error, zh, en string) error { return refuse(CodeSealInactive, cause, zh, en) }
	se, err := ses.ParseSeal(r.Seal)
	if err != nil {
		return nil, inactive(err, "印章数据不符合 GB/T 38540", "the seal is not one of GB/T 38540")
	}
	if se.Version != ses.V4 {
		return nil, inactive(nil, "只能使用 GB/T 38540-2020 的印章", fmt.Sprintf("the seal is of version %v; only v4 is applied", se.Version))
	}
	maker, err := gm.ParseCertificate(se.Cert)
	if err != nil {
		return nil, inactive(err, "印章中的制章人证书无法读取", "the seal maker's certificate cannot be read")
	}
	if err := s.verifier.verifyMaker(maker, se); err != nil {
		return nil, inactive(err, "印章本身的签名验证不通过", "the seal maker's signature does not verify")
	}
	property := se.Info.Property
	switch at := r.At.Truncate(time.Second); {
	case at.Before(property.NotBefore):
		return nil, inactive(nil, "印章尚未生效", "the seal is not valid before "+stamp(property.NotBefore))
	case at.After(property.NotAfter):
		return nil, inactive(nil, "印章已过期", "the seal expired "+stamp(property.NotAfter))
	}
	signer, err := gm.ParseCertificate(r.SignerCert)
	if err != nil {
		return nil, refuse(CodeSealSigner, err, "签章人证书无法读取", "the signer's certificate cannot be read")
	}
	if signer.PublicKey.Equal(maker.PublicKey) {
		return nil, refuse(CodeSealSigner, nil, "制章人不得使用自己制作的印章", "the seal maker may not apply the seal")
	}
	if problem, ok := trust.CheckDates(signer, r.At); !ok {
		return nil, refuse(CodeSealSigner, nil, "签章人证书不在有效期内", "the signer's certificate is not valid now: "+problem.Detail)
	}
	digest := gm.SM3(r.SignerCert)
	listed := slices.ContainsFunc(property.Certs, func(c []byte) bool { return bytes.Equal(c, r.SignerCert) }) ||
		slices.ContainsFunc(property.Digests, func(d ses.CertDigest) bool { return bytes.Equal(d.Value, digest[:]) })
	if !listed {
		return nil, refuse(CodeSealSigner, nil, "印章未列入该签章人证书，无权使用", "the seal does not list the signer's certificate")
	}
	return se, nil
}

// checkExisting refuses a document with problems, or with a signature that does
// not verify. A signature whose signer is not known here is no obstacle: the
// office that adds its seal vouches for the content, not for others' seals.
func (s *Sealer) checkExisting(ctx context.Context, pkg *ofd.Package, at time.Time) error {
	if cause := firstProblem(pkg.Problems()); cause != nil {
		return refuse(CodeSealDocument, cause, "文档不是可以安全读取的版式文件", "the document cannot be read safely")
	}
	if len(pkg.Signatures()) == 0 {
		return nil
	}
	report := s.verifier.VerifyPackage(ctx, "", pkg, Options{At: at})
	if err := ctx.Err(); err != nil {
		return err
	}
	if c := firstFailure(report, ""); c != nil {
		return refuse(CodeSealExisting, &checkError{*c}, "文档中已有的签章验证不通过", "a signature that is already in the document does not verify")
	}
	return nil
}

// checkError carries a failed check as the cause of a refusal.
type checkError struct{ check Check }

func (e *checkError) Error() string {
	return fmt.Sprintf("%s(%s): %s", e.check.Code, e.check.Target, e.check.Detail)
}

// firstFailure returns the first failed check of a report, except one of the
// given code.
func firstFailure(r *Report, except string) *Check {
	for _, c := range r.Problems() {
		if c.Outcome == Fail && c.Code != except {
			return &c
		}
	}
	return nil
}
