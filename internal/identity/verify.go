package identity

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/gm"
)

// Request is what Verify looks at: the request as it was sent, its whole body,
// and the client certificate that TLS (or a trusted terminator) has verified.
type Request struct {
	Method, Host, Path, Query string // as sent; Query without '?'
	Header                    http.Header
	Body                      []byte
	Certificate               *Certificate // nil: none
}

// Certificate is a client certificate whose chain and possession were verified
// by TLS.
type Certificate struct {
	SHA256   [32]byte // over its DER
	Serial   string   // hex
	NotAfter time.Time
}

// FromX509 describes a verified TLS client certificate.
func FromX509(c *x509.Certificate) *Certificate {
	return &Certificate{SHA256: sha256.Sum256(c.Raw), Serial: c.SerialNumber.Text(16), NotAfter: c.NotAfter}
}

// Verifier identifies callers. It is safe for concurrent use.
type Verifier struct {
	nonces   Nonces
	secrets  Secrets
	sessions *Sessions
}

// NewVerifier returns a verifier. sessions may be nil: session keys are then
// unknown.
func NewVerifier(nonces Nonces, secrets Secrets, sessions *Sessions) *Verifier {
	return &Verifier{nonces: nonces, secrets: secrets, sessions: sessions}
}

// Verify returns who sent r, judged at the time at, or an *Error. When it
// returns a caller, the request's nonce is stored and a second Verify of the
// same request fails.
func (v *Verifier) Verify(ctx context.Context, systems Systems, r Request, at time.Time) (*Caller, error) {
	c, err := parse(r)
	if err != nil {
		return nil, err
	}
	caller := &Caller{Elements: c.elements, Time: c.time}
	owner, err := byCertificate(systems, r.Certificate, &c, at)
	if err != nil {
		return nil, err
	}
	system := owner
	if system == nil {
		if c.system == "" || c.sm2 == nil && c.mac == nil {
			return nil, &Error{code: "SG-AUTHN-MISSING"}
		}
		if system = systems.System(c.system); system == nil || !system.Usable() {
			return nil, &Error{code: "SG-AUTHN-APP"}
		}
	}
	caller.System = system
	if d := c.time.Sub(at); d > Window || d < -Window {
		return nil, &Error{code: "SG-AUTHN-TIME"}
	}
	if got := gm.SM3(r.Body); !gm.Equal(got[:], c.digest[:]) {
		return nil, &Error{code: "SG-AUTHN-DIGEST"}
	}
	if c.sm2 != nil || c.mac != nil {
		if caller.Auth, err = v.signature(ctx, system, &c, at); err != nil {
			return nil, err
		}
	}
	if owner != nil {
		caller.Auth, caller.CertSerial = AuthMTLS, r.Certificate.Serial
	}
	switch err := v.nonces.Use(ctx, string(system.ID), c.text.Nonce, at.Add(NonceLife)); {
	case errors.Is(err, ErrReplayed):
		return nil, &Error{code: "SG-AUTHN-REPLAY"}
	case err != nil:
		return nil, &Error{code: "SG-STOP-NONCES", cause: err}
	}
	return caller, nil
}

// byCertificate returns the system that owns the certificate, or nil when
// there is no certificate or none that is registered and a signature stands in
// its place.
func byCertificate(systems Systems, cert *Certificate, c *claim, at time.Time) (*catalog.System, error) {
	if cert == nil {
		return nil, nil
	}
	refused := &Error{code: "SG-AUTHN-CERTIFICATE"}
	owner := systems.SystemByCertificate(cert.SHA256)
	switch {
	case owner == nil && (c.sm2 != nil || c.mac != nil):
		return nil, nil
	case owner == nil, !owner.Usable(), c.system != "" && c.system != owner.ID, !cert.NotAfter.IsZero() && at.After(cert.NotAfter):
		return nil, refused
	}
	return owner, nil
}

// signature verifies X-SG-Sign under the system's key of its kind.
func (v *Verifier) signature(ctx context.Context, system *catalog.System, c *claim, at time.Time) (Auth, error) {
	text := []byte(c.text.Canonical())
	wrong := &Error{code: "SG-AUTHN-SIGNATURE"}
	switch {
	case c.sm2 != nil:
		if system.Key == nil || c.session != "" {
			return "", &Error{code: "SG-AUTHN-APP"}
		}
		if system.Key.Verify(text, c.sm2) != nil {
			return "", wrong
		}
		return AuthSM2, nil
	case c.session != "":
		key, ok := v.sessions.key(c.session, system, at)
		if !ok {
			return "", &Error{code: "SG-AUTHN-SESSION"}
		}
		if mac := gm.HMACSM3(key, text); !gm.Equal(mac[:], c.mac) {
			return "", wrong
		}
		return AuthSession, nil
	}
	if system.HMACKeyRef == "" {
		return "", &Error{code: "SG-AUTHN-APP"}
	}
	key, err := v.secrets.Secret(ctx, system.HMACKeyRef)
	if err != nil {
		return "", &Error{code: "SG-STOP-SECRETS", cause: err}
	}
	if len(key) < 16 {
		return "", &Error{code: "SG-STOP-SECRETS", cause: errors.New("HMAC key is shorter than 16 bytes")}
	}
	if mac := gm.HMACSM3(key, text); !gm.Equal(mac[:], c.mac) {
		return "", wrong
	}
	return AuthHMAC, nil
}
