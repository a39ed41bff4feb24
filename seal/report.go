// Package seal applies SM2 electronic seals to documents and verifies them.
//
// The Verifier carries out the whole verification procedure of GB/T 38540 and
// GB/T 33190 signatures (package integrity, digests, coverage, seal, maker,
// signer, times, chains) and never stops at the first problem: a Report lists
// every check with a stable code, in Chinese and English. It asks what is *not*
// protected too, because content that no signature covers cannot be vouched
// for.
//
// What it refuses to do: it uses no network, no clock of its own (the time of
// judgement is an argument), no default trust anchors, and gives no bool. The
// answer is valid 有效, invalid 无效 or indeterminate 无法确定.
//
//	v := seal.NewVerifier(seal.VerifierConfig{Trust: anchors})
//	r := v.Verify(ctx, "permit.ofd", data, seal.Options{At: now})
//	if r.Indication != seal.Valid { … r.Checks, r.Signatures[i].Checks … }
//
// The Sealer applies seals of GB/T 38540-2020. It holds no key and cannot have
// anything signed but the TBS_Sign that it prepared; it refuses locked
// documents and documents whose signatures do not verify, and hands out nothing
// that it has not verified itself.
//
//	p, err := sealer.Prepare(ctx, seal.Request{Document: data, Seal: esl, SignerCert: cert, Position: at, At: now})
//	err = p.Sign(ctx, signer)
//	out, err := p.Finish(ctx)
package seal

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// Indication is a verdict. Its zero value is no verdict and never valid.
type Indication string

// The verdicts.
const (
	Valid         Indication = "valid"         // 有效
	Invalid       Indication = "invalid"       // 无效
	Indeterminate Indication = "indeterminate" // 无法确定
)

// Outcome is the result of one check.
type Outcome string

// The outcomes. One Fail makes the verdict invalid, else one Unknown makes it
// indeterminate; Warn never changes it.
const (
	OK      Outcome = "ok"
	Fail    Outcome = "fail"
	Warn    Outcome = "warn"
	Unknown Outcome = "unknown"
)

// Format is what kind of file was verified.
type Format string

// The formats.
const (
	FormatOFD     Format = "ofd"
	FormatPDF     Format = "pdf"
	FormatSeal    Format = "esl" // a seal without a document
	FormatUnknown Format = "unknown"
)

// Kind says what form a signature has.
type Kind string

// The kinds.
const (
	KindV1      Kind = "ses-v1" // GM/T 0031-2014
	KindV4      Kind = "ses-v4" // GB/T 38540-2020
	KindV5      Kind = "ses-v5" // GM/T 0031-2025
	KindCMS     Kind = "cms"    // GB/T 35275 or CMS
	KindBare    Kind = "bare"   // an SM2 signature without structure
	KindUnknown Kind = "unknown"
)

// TimeSource says where the time of a signature comes from.
type TimeSource string

// The sources.
const (
	TimeStamped TimeSource = "timestamp"
	TimeClaimed TimeSource = "claimed"
	TimeNone    TimeSource = "none"
)

// Coverage says whether a signature protects everything that existed when it
// was made.
type Coverage string

// The coverages.
const (
	Whole   Coverage = "whole"
	Partial Coverage = "partial"
)

// Report is the result of verifying one file. Its JSON form is a contract:
// every key is present even when it is empty.
type Report struct {
	V          int               `json:"v"` // 1
	File       string            `json:"file"`
	Format     Format            `json:"format"`
	Indication Indication        `json:"indication"`
	Checks     []Check           `json:"checks"` // of the file as a whole
	Signatures []SignatureReport `json:"signatures"`
	Uncovered  []string          `json:"uncovered"` // entries that no signature protects, sorted
}

// SignatureReport is the result of verifying one signature.
type SignatureReport struct {
	ID         string      `json:"id"`
	Path       string      `json:"path"` // zip name of Signature.xml
	Kind       Kind        `json:"kind"`
	Indication Indication  `json:"indication"`
	Seal       *SealInfo   `json:"seal"`
	Signer     *SignerInfo `json:"signer"`
	SignedAt   *time.Time  `json:"signed_at"` // UTC, whole seconds or as precise as written
	TimeSource TimeSource  `json:"time_source"`
	Coverage   Coverage    `json:"coverage"`
	Checks     []Check     `json:"checks"`
}

// SealInfo names the seal that was applied.
type SealInfo struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Maker string `json:"maker"` // subject of the maker's certificate
}

// SignerInfo names the certificate that signed.
type SignerInfo struct {
	Subject string `json:"subject"`
	Serial  string `json:"serial"` // lower-case hexadecimal
}

// Check is one check: a problem with its code, or a step without problem.
type Check struct {
	Step    int     `json:"step"` // 1 to 25
	Code    string  `json:"code"`
	Outcome Outcome `json:"outcome"`
	Target  string  `json:"target"` // what it is about: a zip name, "maker", "signer"
	Detail  string  `json:"detail"` // one English sentence with the particulars
	ZH      string  `json:"zh"`
	EN      string  `json:"en"`
}

// JSON returns the report as one line of JSON without a line end.
func (r *Report) JSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Has reports whether any check of the file or of a signature has the code.
func (r *Report) Has(code string) bool {
	has := func(c Check) bool { return c.Code == code }
	if slices.ContainsFunc(r.Checks, has) {
		return true
	}
	for _, s := range r.Signatures {
		if slices.ContainsFunc(s.Checks, has) {
			return true
		}
	}
	return false
}

// Problems returns every check of the file and its signatures that is not ok.
func (r *Report) Problems() []Check {
	var out []Check
	add := func(list []Check) {
		for _, c := range list {
			if c.Outcome != OK {
				out = append(out, c)
			}
		}
	}
	add(r.Checks)
	for _, s := range r.Signatures {
		add(s.Checks)
	}
	return out
}

// checks collects the checks of a file or of a signature.
type checks struct {
	list   []Check
	strict bool
}

// add records a problem with the outcome that its code means.
func (c *checks) add(step int, code, target, detail string) {
	c.addAs(outcomeOf(code, c.strict), step, code, target, detail)
}

// addAs records a problem whose outcome depends on more than its code.
func (c *checks) addAs(o Outcome, step int, code, target, detail string) {
	info := describe(code)
	c.list = append(c.list, Check{step, code, o, target, detail, info.ZH, info.EN})
}

// done closes steps: one without problem gets a check that says so.
func (c *checks) done(steps ...int) {
	for _, step := range steps {
		if !slices.ContainsFunc(c.list, func(k Check) bool { return k.Step == step }) {
			c.list = append(c.list, Check{Step: step, Code: CodeOK, Outcome: OK, ZH: stepTexts[step].zh, EN: stepTexts[step].en})
		}
	}
}

// sorted returns the checks by step; never nil.
func (c *checks) sorted() []Check {
	slices.SortStableFunc(c.list, func(a, b Check) int { return a.Step - b.Step })
	return append([]Check{}, c.list...)
}

// indication is the verdict of the checks alone.
func (c *checks) indication() Indication {
	v := Valid
	for _, k := range c.list {
		switch k.Outcome {
		case Fail:
			return Invalid
		case Unknown:
			v = Indeterminate
		}
	}
	return v
}

// worst combines verdicts: invalid over indeterminate over valid.
func worst(list ...Indication) Indication {
	v := Valid
	for _, i := range list {
		switch i {
		case Invalid:
			return Invalid
		case Valid:
		default:
			v = Indeterminate
		}
	}
	return v
}
