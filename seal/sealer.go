package seal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/seal/ofd"
)

// Signer is the one right that sealing needs: a signature of type TBS_Sign.
// SignTBS receives the whole DER TBS_Sign of GB/T 38540, never a digest, so that
// the holder of the key can read what it signs and refuse. It returns a DER SM2
// signature over it with the default user identity. An error means that nothing
// may be assumed: a signature may or may not have been made.
type Signer interface {
	SignTBS(ctx context.Context, tbs []byte) (sig []byte, err error)
}

// Timestamper has signature values stamped by a timestamp authority.
type Timestamper interface {
	// Stamp returns a DER token (RFC 3161, GM/T 0033) over the SM3 of sigValue.
	// It bounds its own time. The Sealer verifies what it returns, so a
	// Timestamper that answers with rubbish does no more harm than one that
	// fails. It must be safe for concurrent use.
	Stamp(ctx context.Context, sigValue []byte) (token []byte, err error)
}

// SealerConfig configures a Sealer.
type SealerConfig struct {
	// Verifier judges the signatures that a document already has, and the result.
	// With nil a Verifier without anchors does: trust is then indeterminate, which
	// keeps nobody from sealing, and everything else is judged. Timestamps need
	// one whose anchors include the authority in the role TSA: a token that it
	// does not verify in every respect is never written.
	Verifier *Verifier
	// Timestamps stamps every new signature; nil writes none.
	Timestamps Timestamper
	// RequireTimestamp refuses to seal without a timestamp. When it is not set, a
	// failing authority leads to a seal without one, and Sealed.TimestampError
	// says why.
	RequireTimestamp bool
	// OnUnstamped is told when a document was sealed without the timestamp that
	// was wished for, and why. It must not block. nil tells nobody.
	OnUnstamped func(b Binding, why error)
	// Provider is written into every signature; the name is required by the
	// standard and defaults to "Sealgate".
	Provider ofd.Provider
}

// Sealer applies electronic seals to OFD documents: GB/T 38540-2020 (V4) only,
// one page position, any number of seals one after the other.
//
// Prepare does every check and touches no real key; Sign asks the key once;
// Finish puts the document together and verifies it as a stranger would. What
// Prepare returns can be redeemed once and holds everything that was checked,
// so nothing can be swapped in between. No step writes a file.
//
// A Sealer is safe for concurrent use; a Prepared is used by one goroutine.
type Sealer struct {
	verifier   *Verifier
	provider   ofd.Provider
	timestamps Timestamper
	required   bool
	unstamped  func(Binding, error)
}

// NewSealer returns a Sealer.
func NewSealer(c SealerConfig) *Sealer {
	s := &Sealer{verifier: c.Verifier, provider: c.Provider, timestamps: c.Timestamps, required: c.RequireTimestamp, unstamped: c.OnUnstamped}
	if s.verifier == nil {
		s.verifier = NewVerifier(VerifierConfig{})
	}
	if s.provider.Name == "" {
		s.provider.Name = "Sealgate"
	}
	return s
}

// Request describes one application of a seal.
type Request struct {
	Document   []byte    // the OFD package; it is copied
	Seal       []byte    // DER SESeal, V4
	SignerCert []byte    // DER of the signer's certificate, listed in the seal
	Position   Position  // where the seal is shown
	Lock       bool      // no further seal may be added afterwards
	At         time.Time // now: the time of judgement and the signing time that is claimed
}

// Codes of refused sealing. The table of internal/problem explains them.
const (
	CodeSealDocument  = "SG-SEAL-DOCUMENT"         // not an OFD package that can be read in one way, or no room in it
	CodeSealLocked    = "SG-SEAL-LOCKED"           // an existing signature locks the document
	CodeSealExisting  = "SG-SEAL-EXISTING-INVALID" // an existing signature does not verify
	CodeSealPosition  = "SG-SEAL-POSITION"         // no such page, or not wholly on it
	CodeSealInactive  = "SG-SEAL-INACTIVE"         // the seal is malformed, not V4, forged, not yet valid or expired
	CodeSealSigner    = "SG-SEAL-SIGNER"           // the signer's certificate is not in the seal, not valid now, or unreadable
	CodeSealKey       = "SG-SEAL-KEY"              // the key does not belong to the signer's certificate
	CodeSealSelfCheck = "SG-SEAL-SELFCHECK"        // the result did not verify
	CodeSealApproval  = "SG-SEAL-APPROVAL"         // a Prepared was used twice or out of order
	CodeSealTimestamp = "SG-STOP-TIMESTAMP"        // a timestamp is required and cannot be had, or what came is none
)

// Error is a refusal to seal. Nothing was written, and unless Code is
// SG-SEAL-KEY, SG-SEAL-SELFCHECK or SG-STOP-TIMESTAMP after Sign, no key was
// asked.
type Error struct {
	code   string
	zh, en string
	cause  error
}

func refuse(code string, cause error, zh, en string) *Error {
	return &Error{code: code, zh: zh, en: en, cause: cause}
}

// Error returns the reason in English, with its cause.
func (e *Error) Error() string {
	if e.cause != nil {
		return fmt.Sprintf("seal: %s: %v", e.en, e.cause)
	}
	return "seal: " + e.en
}

// Code returns the stable code, one of the CodeSeal constants.
func (e *Error) Code() string { return e.code }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.cause }

// Public returns the reason for the person who asked, without content of the document.
func (e *Error) Public() (zh, en string) { return e.zh, e.en }

// refusePlan names what ofd.PlanSignature refused.
func refusePlan(err error) *Error {
	switch {
	case errors.Is(err, ofd.ErrLocked):
		return refuse(CodeSealLocked, err, "已有签章锁定了文档，不能再加盖", "a signature that is already there locks the document")
	case errors.Is(err, ofd.ErrNoPage):
		return refuse(CodeSealPosition, err, "没有这一页", "there is no such page")
	case errors.Is(err, ofd.ErrLayout):
		return refuse(CodeSealDocument, err, "文档包内没有放置签章的余地", "the package has no room for a signature")
	}
	return refuse(CodeSealDocument, err, "文档不是可以安全读取的版式文件", "the document cannot be read safely")
}
