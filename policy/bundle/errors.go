package bundle

import "fmt"

// Error is a refusal with a stable code of the family SG-POLICY-*. The variables
// below are the only values; compare with errors.Is.
type Error struct{ code, text string }

// Error returns the English text.
func (e *Error) Error() string { return e.text }

// Code returns the stable code, such as SG-POLICY-BUNDLE-SEQUENCE.
func (e *Error) Code() string { return e.code }

// Why a bundle is not taken. Rules that do not compile are the evaluator's own
// error (SG-POLICY-INVALID).
var (
	ErrFormat    = &Error{"SG-POLICY-BUNDLE-FORMAT", "not a policy bundle, or a damaged one"}
	ErrUnsigned  = &Error{"SG-POLICY-BUNDLE-UNSIGNED", "the bundle lacks a release or an approval"}
	ErrSignature = &Error{"SG-POLICY-BUNDLE-SIGNATURE", "an officer's signature does not verify"}
	ErrOfficer   = &Error{"SG-POLICY-BUNDLE-OFFICER", "an officer is not one whose word counts here"}
	ErrSame      = &Error{"SG-POLICY-BUNDLE-SAME-OFFICER", "release and approval are of one officer"}
	ErrSequence  = &Error{"SG-POLICY-BUNDLE-SEQUENCE", "the bundle does not follow the one that was activated last"}
	ErrSelfCheck = &Error{"SG-POLICY-BUNDLE-SELFCHECK", "the rules allow what must be denied"}
)

func refuse(kind *Error, format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{kind}, args...)...)
}
