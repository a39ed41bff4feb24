package mask

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Codes of the errors; internal/problem's table says what each means to the caller.
const (
	CodeSyntax    = "SG-MASK-SYNTAX"       // not exactly one JSON value
	CodeDuplicate = "SG-MASK-DUPLICATE"    // two members of one object have the same name
	CodeUTF8      = "SG-MASK-UTF8"         // not UTF-8, or a byte order mark
	CodeDepth     = "SG-MASK-DEPTH"        // nested too deeply
	CodeSize      = "SG-MASK-TOO-LARGE"    // longer than the interface allows
	CodeRejected  = "SG-MASK-REJECT"       // a field under the action reject is present
	CodeType      = "SG-MASK-CONTENT-TYPE" // a content type or charset that cannot be masked
	CodeEncoding  = "SG-MASK-ENCODING"     // a Content-Encoding other than identity
	CodeAction    = "SG-MASK-ACTION"       // the plan holds an action that this version cannot apply
	CodePlan      = "SG-MASK-PLAN"         // the plan cannot be compiled
	CodeUpstream  = "SG-UPSTREAM-ABORTED"  // the body ended with a transport error
)

// Error is why an answer was withheld or broken off. It never holds a byte of
// the answer: only a code, an offset and our own words.
type Error struct {
	code string
	what string
	err  error // transport errors only; the parser's own text may quote the input

	Offset int64 // in the upstream's body, where it was noticed
	Sent   int64 // bytes of the masked answer that the caller already has
}

// Code returns the stable code of the error. It is empty when the caller could
// not be written to: there is nobody to tell then.
func (e *Error) Code() string { return e.code }

// Error tells the consequence along with the cause.
func (e *Error) Error() string {
	s := "mask: " + e.what
	if e.Offset > 0 {
		s += fmt.Sprintf(" at offset %d", e.Offset)
	}
	if e.Sent > 0 {
		s += fmt.Sprintf("; broken off after %d bytes", e.Sent)
	}
	if e.err != nil {
		s += ": " + cause(e.err)
	}
	return s
}

// cause tells apart the transport errors that are usual. The text of others is
// left out: net/http quotes a trailer that it cannot parse, and a GOAWAY frame
// brings words of the upstream's own.
func cause(err error) string {
	for _, known := range []error{io.ErrUnexpectedEOF, io.ErrNoProgress, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return fmt.Sprintf("%T", err)
}

// Unwrap returns the transport's error, when there is one.
func (e *Error) Unwrap() error { return e.err }

// ClientGone reports whether the fault is that the caller could not be written to.
func (e *Error) ClientGone() bool { return e.code == "" }

// Withheld reports whether the caller has seen nothing of the answer, so that a
// problem document can still be sent. Otherwise the connection must be broken:
// a clean end would make the part look whole.
func (e *Error) Withheld() bool { return e.Sent == 0 }

func fail(code, format string, args ...any) *Error {
	return &Error{code: code, what: fmt.Sprintf(format, args...)}
}

// ErrorCode returns the code of an error of this package, or "".
func ErrorCode(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.code
	}
	return ""
}
