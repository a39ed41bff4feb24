// Package trust answers one question: may this SM2 certificate be believed, in
// this role, at this time? It holds the configured anchors and builds chains
// (RFC 5280 section 6 over GB/T 20518 certificates).
//
// What it refuses to do: it has no built-in anchors, opens no connection, reads
// no clock (the time of judgement is an argument), and never answers with a
// bool. An answer is Trusted, Unknown (no path to an anchor of that role) or
// Refused (a path exists and breaks a rule), with every reason. A malformed
// certificate is never an anchor and never an issuer.
//
//	anchors, err := trust.Load("/etc/sealgate/trust")
//	v := anchors.Check(cert, others, trust.Signer, at)
//	if v.Outcome != trust.Trusted { … v.Problems … }
package trust

import (
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Role says what a certificate is to be believed for.
type Role uint8

// The roles. An anchor may hold several.
const (
	Maker   Role = 1 << iota // signs seals (制章者)
	Signer                   // signs documents (签章者)
	TSA                      // signs timestamps
	Officer                  // signs statements about policy bundles; only LoadAs gives this role

	anyRole = Maker | Signer | TSA
)

// String names the roles as the sub-folders of a trust folder are named.
func (r Role) String() string {
	var out []string
	for _, f := range folders {
		if r&f.role != 0 {
			out = append(out, f.name)
		}
	}
	if r&Officer != 0 {
		out = append(out, "officer")
	}
	return strings.Join(out, "+")
}

var folders = [...]struct {
	name string
	role Role
}{{"maker", Maker}, {"signer", Signer}, {"tsa", TSA}}

// Outcome is the answer. Its zero value trusts nothing.
type Outcome uint8

// The outcomes.
const (
	Unknown Outcome = iota // no path to a configured anchor of the role
	Refused                // a path exists, or none is needed, and a rule is broken
	Trusted
)

func (o Outcome) String() string {
	return [...]string{"unknown", "refused", "trusted"}[min(o, Trusted)]
}

// Reason says which rule is broken.
type Reason uint8

// The reasons. All but the first make a verdict Refused.
const (
	NoPath       Reason = iota + 1 // nothing leads to an anchor of the role
	BadSignature                   // an issuer's key does not verify a certificate of the path
	BadIssuer                      // an issuer is no CA, may not sign certificates, or its path length is exceeded
	BadExtension                   // a critical extension that nobody handles
	Expired                        // ended before the time of judgement
	NotYetValid                    // began after the time of judgement
	WrongUsage                     // the key usage forbids the role
	Revoked                        // revoked at the time of judgement
)

func (r Reason) String() string {
	names := [...]string{"", "no path", "bad signature", "bad issuer", "unknown critical extension", "expired", "not yet valid", "wrong usage", "revoked"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("reason %d", r)
}

// Problem is one broken rule.
type Problem struct {
	Reason Reason
	Cert   *gm.Certificate // the certificate it was found on
	Detail string          // one English sentence
}

// Verdict is the answer to Check. Its zero value trusts nothing.
type Verdict struct {
	Outcome    Outcome
	Problems   []Problem         // empty exactly when Trusted
	Chain      []*gm.Certificate // leaf first, anchor last; nil when there is no path
	Revocation Revocation        // the worst of the chain, anchor left out; CannotAnswer too when there is no chain to ask about
}

// Has reports whether one of the problems has the reason.
func (v Verdict) Has(r Reason) bool {
	for _, p := range v.Problems {
		if p.Reason == r {
			return true
		}
	}
	return false
}

// RevocationState says what is known about a certificate's revocation.
type RevocationState uint8

// The states. The zero value claims nothing.
const (
	NotConfigured RevocationState = iota // no source was configured
	CannotAnswer                         // a source is configured and has no answer for that time
	NotRevoked
	IsRevoked
)

// Revocation is the answer of a RevocationSource.
type Revocation struct {
	State  RevocationState
	At     time.Time // when it was revoked
	Reason int       // of RFC 5280 section 5.3.1; 0 also when none is known
	Detail string    // with CannotAnswer: why; else may be empty
}

// RevocationSource knows revoked certificates, from CRLs or OCSP answers that
// it already holds. Status must be safe for concurrent use, must not block on a
// network, and must have verified whatever it answers from. An answer that is
// older or newer than at allows is CannotAnswer, never NotRevoked.
type RevocationSource interface {
	Status(cert, issuer *gm.Certificate, at time.Time) Revocation
}

// CheckDates returns the problem of a certificate at a time: Expired,
// NotYetValid, or none. Both ends are inclusive (RFC 5280 section 4.1.2.5).
func CheckDates(c *gm.Certificate, at time.Time) (Problem, bool) {
	switch {
	case at.Before(c.NotBefore):
		return Problem{NotYetValid, c, fmt.Sprintf("certificate %s begins %s", name(c), stamp(c.NotBefore))}, false
	case at.Truncate(time.Second).After(c.NotAfter):
		return Problem{Expired, c, fmt.Sprintf("certificate %s ended %s", name(c), stamp(c.NotAfter))}, false
	}
	return Problem{}, true
}

// CheckUsage returns the problem of an end certificate in a role: WrongUsage,
// BadExtension, or none. A certificate without key usage is not restricted; of
// a malformed one (FormError) usage and critical extensions are known and count.
func CheckUsage(c *gm.Certificate, role Role) (Problem, bool) {
	const signs = gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment
	switch {
	case len(c.Critical) > 0:
		return Problem{BadExtension, c, fmt.Sprintf("certificate %s has the unknown critical extension %v", name(c), c.Critical[0])}, false
	case c.KeyUsage != 0 && c.KeyUsage&signs == 0:
		return Problem{WrongUsage, c, fmt.Sprintf("certificate %s may not sign documents", name(c))}, false
	case role == TSA && !c.TimeStamping:
		return Problem{WrongUsage, c, fmt.Sprintf("certificate %s has not the one critical extended usage timeStamping", name(c))}, false
	}
	return Problem{}, true
}

func name(c *gm.Certificate) string { return fmt.Sprintf("%q (%s)", c.Subject.String(), c.SerialHex()) }

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
