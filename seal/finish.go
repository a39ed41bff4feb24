package seal

import (
	"context"
	"errors"
	"slices"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// Sealed is a finished document.
type Sealed struct {
	Document []byte
	Report   *Report // of the document, as a stranger would get it
	// TimestampError says why the document carries no timestamp although the
	// Sealer has a Timestamper; nil when it carries one, or none was wanted.
	TimestampError error
}

var (
	errSpent  = errors.New("this sealing was signed or finished before")
	errOrder  = errors.New("this sealing is not signed yet")
	errGap    = errors.New("the signature leaves a file unprotected")
	errAbsent = errors.New("the new signature is not in the result")

	errUnstamped = errors.New("the timestamp in the result does not count")
)

// rehearse seals with a key that exists only here and verifies the result. One
// failure is expected: the value does not belong to the signer's certificate.
func (p *Prepared) rehearse(ctx context.Context) error {
	key, err := gm.GenerateKey()
	if err != nil {
		return refuse(CodeSealSelfCheck, err, "无法完成自检", "the self-check cannot be made")
	}
	sig, err := key.Sign(p.tbs)
	if err != nil {
		return refuse(CodeSealSelfCheck, err, "无法完成自检", "the self-check cannot be made")
	}
	_, err = p.assemble(ctx, sig, nil, codeSigValue)
	return err
}

// Sign asks the signer, once. Whatever it answers, it is not asked again: after
// an error the sealing is spent, because a signature may exist.
func (p *Prepared) Sign(ctx context.Context, signer Signer) error {
	if p.state != fresh {
		return refuse(CodeSealApproval, errSpent, "该次用印已经签名", "a sealing can be signed once")
	}
	if err := ctx.Err(); err != nil {
		return err // the signer was not asked: the sealing is still fresh
	}
	p.state = spent
	sig, err := signer.SignTBS(ctx, p.TBS())
	if err != nil {
		return err // with the code of whoever holds the key
	}
	if err := gm.CheckSignature(sig); err != nil {
		return refuse(CodeSealKey, err, "签名值格式不正确", "what the signer returned is no SM2 signature")
	}
	p.sig, p.state = sig, signed
	return nil
}

// Finish has the signature stamped when the Sealer is set up for that, puts the
// sealed document together and verifies it from its bytes. It returns no
// document that does not verify.
func (p *Prepared) Finish(ctx context.Context) (*Sealed, error) {
	switch p.state {
	case spent:
		return nil, refuse(CodeSealApproval, errSpent, "该次用印已经完成或失败", "a sealing can be finished once")
	case fresh:
		return nil, refuse(CodeSealApproval, errOrder, "该次用印尚未签名", "the sealing is not signed yet")
	}
	p.state = spent
	token, missing, err := p.timestamp(ctx)
	if err != nil {
		return nil, err
	}
	sealed, err := p.assemble(ctx, p.sig, token, "")
	if err != nil {
		return nil, err
	}
	if sealed.TimestampError = missing; missing != nil && p.sealer.unstamped != nil {
		p.sealer.unstamped(p.binding, missing)
	}
	return sealed, nil
}

// assemble writes the document with a signature value and verifies it. No check
// of any signature may fail, except the given code on the new one; the new one
// must be shown on its page, name its own place, and protect everything.
func (p *Prepared) assemble(ctx context.Context, sig, token []byte, expected string) (*Sealed, error) {
	selfCheck := func(cause error) error {
		return refuse(CodeSealSelfCheck, cause, "成品没有通过自检验证，未输出任何文件", "the sealed document does not verify; nothing was written")
	}
	value, err := ses.AssembleSignature(p.tbs, p.cert, sig, token)
	if err != nil {
		return nil, selfCheck(err)
	}
	out, err := p.plan.Embed(value)
	if err != nil {
		return nil, refusePlan(err)
	}
	pkg, problems := p.plan.Reopen(out)
	if pkg == nil {
		return nil, selfCheck(firstProblem(problems))
	}
	report := p.sealer.verifier.VerifyPackage(ctx, "", pkg, Options{At: p.binding.At})
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(report.Signatures, func(s SignatureReport) bool { return s.Path == p.plan.Path() })
	if i < 0 {
		return nil, selfCheck(errAbsent)
	}
	mine := &report.Signatures[i]
	for _, c := range mine.Checks {
		switch {
		case c.Outcome == OK || c.Code == expected:
		case c.Code == codeSigValue:
			return nil, refuse(CodeSealKey, &checkError{c}, "签名密钥与签章人证书不对应", "the key that signed does not belong to the signer's certificate")
		case c.Outcome == Fail, c.Code == codePropertyPath, c.Code == ofd.CodeStampPage, c.Code == ofd.CodeStampOffPage:
			return nil, selfCheck(&checkError{c})
		}
	}
	if token != nil && mine.TimeSource != TimeStamped {
		return nil, selfCheck(errUnstamped)
	}
	if mine.Coverage != Whole {
		return nil, selfCheck(errGap)
	}
	if c := firstFailure(report, expected); c != nil {
		return nil, selfCheck(&checkError{*c})
	}
	return &Sealed{Document: out, Report: report}, nil
}
