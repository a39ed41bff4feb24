package seal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
)

// VerifierConfig configures a Verifier.
type VerifierConfig struct {
	// Trust holds the anchors for seal makers, signers and timestamp authorities.
	// Nil trusts nobody: whatever is cryptographically in order is then
	// indeterminate. With a revocation source (WithRevocation) it is also asked
	// whether certificates were revoked; a source that cannot answer leaves the
	// verdict open, no source only leaves a warning.
	Trust *trust.Anchors
	// SealStatus knows which seals were suspended or cancelled; the same rule
	// holds. *trust.Revocations is one.
	SealStatus SealStatusSource
}

// Verifier verifies sealed documents. It is safe for concurrent use.
type Verifier struct {
	anchors *trust.Anchors
	status  SealStatusSource
	seals   sealCache
}

// NewVerifier returns a Verifier.
func NewVerifier(c VerifierConfig) *Verifier {
	return &Verifier{anchors: c.Trust, status: c.SealStatus}
}

// Options says how one file is judged.
type Options struct {
	// At is the time of judgement, "now". It must be set: every signature lies
	// in the future of the zero time and is invalid.
	At time.Time
	// Strict makes invalid what is otherwise indeterminate or warned about:
	// unprotected content, bytes before the package, a signature that names
	// another place.
	Strict bool
}

// Verify verifies a file: an OFD package with all its signatures, or a seal
// (.esl). Anything else gets a report too. name is only repeated in the report.
// Nobody may change data while Verify runs. When ctx ends early the report says
// so and is not valid.
func (v *Verifier) Verify(ctx context.Context, name string, data []byte, o Options) *Report {
	if format, known := sniff(data); known {
		return v.verifyOther(name, format, data, o)
	}
	p, problems := ofd.Open(data)
	if p == nil || !p.Has(ofd.RootFile) {
		format := FormatUnknown
		if p == nil && bytes.HasPrefix(data, []byte("PK\x03\x04")) {
			format = FormatOFD
		}
		file := checks{strict: o.Strict}
		for _, x := range problems {
			file.add(x.Step, x.Code, x.Target, x.Detail)
		}
		return finish(&Report{File: name, Format: format}, &file)
	}
	return v.VerifyPackage(ctx, name, p, o)
}

// sniff recognises files that are no packages by their first bytes.
func sniff(data []byte) (Format, bool) {
	switch {
	case bytes.HasPrefix(data, []byte("%PDF-")):
		return FormatPDF, true
	case len(data) > 2 && data[0] == 0x30:
		if _, err := ses.ParseSeal(data); err == nil {
			return FormatSeal, true
		}
	}
	return FormatUnknown, false
}

// VerifyPackage is Verify on a package that was opened already. It uses p from
// one goroutine and leaves it usable.
func (v *Verifier) VerifyPackage(ctx context.Context, name string, p *ofd.Package, o Options) *Report {
	file := checks{strict: o.Strict}
	report := &Report{File: name, Format: FormatOFD}
	var judged []*judgement
	for _, s := range p.Signatures() {
		if ctx.Err() != nil {
			file.add(1, codeInterrupted, "", "the time for verifying was over before every signature was judged")
			break
		}
		judged = append(judged, v.judge(p, s, o))
	}
	linkBases(p, judged)
	fileChecks(&file, p, judged)
	report.Uncovered = coverage(&file, p, judged)
	ownGaps(p, judged, report.Uncovered)
	for _, j := range judged {
		report.Signatures = append(report.Signatures, j.report())
	}
	return finish(report, &file)
}

// finish closes the file level and sums up.
func finish(r *Report, file *checks) *Report {
	r.V = 1
	r.Checks = file.sorted()
	if r.Signatures == nil {
		r.Signatures = []SignatureReport{}
	}
	if r.Uncovered == nil {
		r.Uncovered = []string{}
	}
	r.Indication = file.indication()
	for _, s := range r.Signatures {
		r.Indication = worst(r.Indication, s.Indication)
	}
	return r
}

// fileChecks takes over what the package reader found (steps 1 to 4), unpacks
// what nobody unpacked yet (step 2), and adds the order of signatures (step 25).
func fileChecks(file *checks, p *ofd.Package, judged []*judgement) {
	seen := make(map[[2]string]bool)
	add := func(x ofd.Problem) {
		if key := [2]string{x.Code, x.Target}; !seen[key] {
			seen[key] = true
			file.add(x.Step, x.Code, x.Target, x.Detail)
		}
	}
	for _, x := range p.Problems() {
		add(x)
	}
	touched := make(map[string]bool) // read or digested, and so checked, already
	for _, j := range judged {
		for _, x := range j.damaged {
			add(x)
		}
		touched[j.sig.Path], touched[j.sig.ValuePath] = true, true
		for _, r := range j.sig.References {
			touched[r.Name] = true
		}
	}
	for _, name := range p.Names() {
		if touched[name] {
			continue
		}
		var damage *ofd.ContentError
		if _, err := p.Digest(name); errors.As(err, &damage) {
			add(damage.Problem)
		}
	}
	file.done(1, 2, 3, 4)
	if len(judged) > 0 {
		for _, x := range p.CheckChain() {
			add(x)
		}
		file.done(25)
	}
}

// coverage is step 8: what none of the signatures that count protects. Valid
// signatures count; where there is none, those that are not invalid; where all
// are invalid, what they claim, so that the list still tells apart what nobody
// ever signed.
func coverage(file *checks, p *ofd.Package, judged []*judgement) []string {
	if len(judged) == 0 {
		return p.Names()
	}
	for _, accepted := range []Indication{Valid, Indeterminate, Invalid} {
		var counting []*ofd.Signature
		for _, j := range judged {
			if j.indication() == accepted {
				counting = append(counting, j.sig)
			}
		}
		if len(counting) == 0 {
			continue
		}
		var names []string
		for _, gap := range p.Uncovered(p.Covered(counting...)) {
			names = append(names, gap.Name)
			if gap.Reachable {
				file.add(8, ofd.CodeUncovered, gap.Name, "a reader shows this file or follows it, and no signature protects it")
			} else {
				file.add(8, ofd.WarnUncovered, gap.Name, "nothing in the document names this file, and no signature protects it")
			}
		}
		file.done(8)
		return names
	}
	return nil
}

// maxOwnGaps bounds what is listed of one signature.
const maxOwnGaps = 100

// ownGaps adds to step 8 what a signature leaves open and another one closes.
// All is protected then, but whoever made the other signature may have changed
// it before, under the first one's seal.
func ownGaps(p *ofd.Package, judged []*judgement, uncovered []string) {
	for _, j := range judged {
		gaps := p.UncoveredBy(j.sig)
		j.partial = len(gaps) > 0
		if len(judged) == 1 || j.sig.Raw == nil {
			continue
		}
		listed := 0
		for _, g := range gaps {
			if !g.Reachable || listed == maxOwnGaps {
				continue
			}
			if _, open := slices.BinarySearch(uncovered, g.Name); !open {
				j.checks.add(8, codeSignatureGap, g.Name, "only another signature protects this file")
				listed++
			}
		}
	}
}

// linkBases is step 24: a signature that builds on another needs it to be
// there, before it, and not invalid. What one failure breaks is found by going
// round until nothing changes.
func linkBases(p *ofd.Package, judged []*judgement) {
	base := func(j *judgement) *judgement {
		for _, o := range judged {
			if o.sig.Body == j.sig.Body && o.sig.ID == j.sig.Relative && o.position < j.position {
				return o
			}
		}
		return nil
	}
	for changed := true; changed; {
		changed = false
		for _, j := range judged {
			if j.sig.Relative == "" || j.baseFailed {
				continue
			}
			switch b := base(j); {
			case b == nil:
				j.checks.add(24, codeBaseSig, j.sig.Path, fmt.Sprintf("no earlier signature has the identifier %.40q", j.sig.Relative))
			case b.checks.indication() == Invalid:
				j.checks.add(24, codeBaseSig, b.sig.Path, "the signature it builds on is invalid")
			default:
				continue
			}
			j.baseFailed, changed = true, true
		}
	}
	for _, j := range judged {
		j.checks.done(24)
	}
}

// verifyOther judges what is no package: a seal alone, or a format that is
// recognised but not verified.
func (v *Verifier) verifyOther(name string, format Format, data []byte, o Options) *Report {
	file := checks{strict: o.Strict}
	if format == FormatPDF {
		file.add(1, codeFormat, "", "signatures of PDF documents are not verified")
		return finish(&Report{File: name, Format: format}, &file)
	}
	s, err := ses.ParseSeal(data)
	if err != nil { // sniff parsed it
		file.add(9, codeStructSES, "", err.Error())
		return finish(&Report{File: name, Format: format}, &file)
	}
	if hidesPackage(data, s) {
		file.add(1, ofd.CodeZipFormat, "", "the file is a seal to one program and a package to another")
		return finish(&Report{File: name, Format: format}, &file)
	}
	j := &judgement{v: v, checks: checks{strict: o.Strict}, at: o.At, time: o.At}
	j.notes(s.Notes)
	j.checkSeal(s, nil)
	j.checks.done(9, 10, 15, 17, 18, 19)
	return finish(&Report{File: name, Format: format}, &j.checks)
}

// hidesPackage reports whether zip readers that tolerate a prefix could take a
// seal for a package: the end of a zip directory stands behind the part that
// the maker signed. Inside it a picture may well be a package of its own.
func hidesPackage(data []byte, s *ses.Seal) bool {
	signed := bytes.Index(data, s.Info.Raw) + len(s.Info.Raw)
	return bytes.Contains(data[signed:], []byte("PK\x05\x06"))
}

// parseCertificate reads a certificate that a signature carries. who is
// "maker" or "signer". It returns nil when no key can be read.
func (j *judgement) parseCertificate(der []byte, who string) *gm.Certificate {
	c, err := gm.ParseCertificate(der)
	if err != nil {
		j.checks.add(10, codeCertFormat, who, err.Error())
		return nil
	}
	if c.FormError != nil {
		j.checks.add(10, codeCertForm, who, c.FormError.Error())
	}
	return c
}
