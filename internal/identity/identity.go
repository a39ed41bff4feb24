// Package identity says who is calling: it makes and verifies SG1 request
// signatures, knows which nonces were used, issues session keys, and takes a
// TLS client certificate for a system.
//
// SG1 signs 14 lines (contract: docs/sg1.md): method, Host, path and sorted
// query as sent, and the X-SG-* values, among them time, nonce and the SM3
// digest of the body. The signature is SM2 (GB/T 32918, default user identity)
// or HMAC-SM3. Content-Type and all other headers are not signed; that is why
// TLS is required outside loopback.
//
// The server checks in this order, and the first fault is the answer: the form
// of every value (400), the system known, the time within 300 s, the digest,
// the signature, and only then the nonce, which is stored before Verify
// returns (401 each). So a stranger can neither fill the nonce store nor use
// up somebody's nonce.
//
// What it refuses to do: it accepts no second spelling of a value (base64,
// decimal or header case of names apart), never decodes a path before it is
// compared, and never lets a call through when the nonce store or a secret
// cannot be asked (503).
//
//	err := identity.Sign(req, body, cred, elements, time.Now())       // caller
//	caller, err := v.Verify(ctx, snapshot, identity.FromHTTP(r, …), at) // gateway
package identity

import (
	"context"
	"errors"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
)

const (
	// Window is how far X-SG-Time may lie from the server's clock, either way.
	Window = 300 * time.Second
	// NonceLife is how long a nonce is remembered. It is at least twice Window,
	// so that a nonce outlives every time at which its request could pass.
	NonceLife = 10 * time.Minute
)

// Auth is how a caller was identified.
type Auth string

// The ways there are.
const (
	AuthMTLS    Auth = "mtls"
	AuthSM2     Auth = "sm2"
	AuthHMAC    Auth = "hmac"
	AuthSession Auth = "session"
)

// Elements are the five elements of a call in plain text (五要素). On the wire
// they are percent-encoded where they are not visible ASCII.
type Elements struct {
	Purpose  string // 用途
	Item     string // 事项编码
	Biz      string // 办件编号
	Org      string // USCC of the calling organisation
	Operator string // operator or device
}

// Complete reports whether all five are there.
func (e Elements) Complete() bool {
	return e.Purpose != "" && e.Item != "" && e.Biz != "" && e.Org != "" && e.Operator != ""
}

// Caller is an identified caller.
type Caller struct {
	System     *catalog.System
	Auth       Auth
	CertSerial string // of the client certificate in hex, when there is one
	Elements   Elements
	Time       time.Time // as the caller says
}

// Systems is what Verify asks the catalogue; *catalog.Snapshot satisfies it.
// Both return nil when there is no such system.
type Systems interface {
	System(id catalog.SystemID) *catalog.System
	SystemByCertificate(sha256 [32]byte) *catalog.System
}

// Secrets gives the symmetric key that a reference of the catalogue names
// (local:NAME, vault:MOUNT/PATH#FIELD, file:PATH). An error means that the key
// cannot be had now; the call is refused. The result is not changed.
type Secrets interface {
	Secret(ctx context.Context, ref string) ([]byte, error)
}

// Nonces remembers which nonces were used. Use stores (app, nonce) at least
// until the time given and returns nil when it was not there before,
// ErrReplayed when it was, and any other error when that cannot be told; the
// call is then refused. Storing and looking are one atomic act, also between
// the gateways that share a store. A nonce that was stored stays stored when
// the answer to Use is lost.
type Nonces interface {
	Use(ctx context.Context, app, nonce string, until time.Time) error
}

// ErrReplayed says that a nonce was used before.
var ErrReplayed = errors.New("nonce was used before")

// Error is why a caller was not identified. It maps to the problem document of
// its code and never holds a value that the caller sent.
type Error struct {
	code   string
	zh, en string
	cause  error // for the log only
}

// Error is the code, the English detail and the cause.
func (e *Error) Error() string {
	s := e.code + ": " + e.en
	if e.cause != nil {
		s += ": " + e.cause.Error()
	}
	return s
}

// Code is the problem's code.
func (e *Error) Code() string { return e.code }

// Public is the detail for the caller, or empty: the table's is used.
func (e *Error) Public() (zh, en string) { return e.zh, e.en }

// Unwrap returns the cause, when there is one.
func (e *Error) Unwrap() error { return e.cause }

func malformed(zh, en string) *Error { return &Error{code: "SG-HTTP-SIGN-FORM", zh: zh, en: en} }
