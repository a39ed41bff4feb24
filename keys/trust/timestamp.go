package trust

import (
	"bytes"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// TimestampReason says which rule a timestamp token breaks.
type TimestampReason uint8

// The reasons.
const (
	TimestampFormat     TimestampReason = iota + 1 // not a token of RFC 3161 or GM/T 0033
	TimestampImprint                               // it stamps something else
	TimestampSignature                             // it is not signed by the authority that it names
	TimestampUsage                                 // the certificate is not one of a timestamp authority
	TimestampUntrusted                             // no path to a TSA anchor, a broken path, or revoked
	TimestampExpired                               // the certificate, or one above it, was not valid at the time of the token
	TimestampRevocation                            // whether the certificate was revoked is not known
)

func (r TimestampReason) String() string {
	names := [...]string{"", "format", "imprint", "signature", "usage", "untrusted", "expired", "revocation unknown"}
	if int(r) < len(names) {
		return names[r]
	}
	return fmt.Sprintf("reason %d", r)
}

// TimestampProblem is one broken rule. Outcome is Refused, or Unknown where
// more anchors or revocation data could still make the token good.
type TimestampProblem struct {
	Reason  TimestampReason
	Outcome Outcome
	Detail  string // one English sentence
}

// Timestamp is the verdict on a token. Its zero value proves nothing.
type Timestamp struct {
	Outcome   Outcome // Trusted: it existed at Time, says an authority that is believed
	Problems  []TimestampProblem
	Time      time.Time // genTime; zero when it cannot be read
	Accuracy  time.Duration
	Authority *gm.Certificate // nil when it is not at hand
	// Candidate is the index of what was stamped, -1 when it is none of them.
	Candidate int
}

func (t *Timestamp) add(r TimestampReason, o Outcome, detail string) {
	t.Problems = append(t.Problems, TimestampProblem{r, o, detail})
}

// CheckTimestamp judges a timestamp token (DER ContentInfo, or a whole
// TimeStampResp) over one of candidates, with SM3 and SM2. The authority's
// certificate is judged in the role TSA at the time of the token; with a
// revocation source also at now, since a lost key makes every token doubtful
// (RFC 3161 section 4.1). Whether the time fits others is the caller's to ask.
func (a *Anchors) CheckTimestamp(token []byte, candidates [][]byte, now time.Time) Timestamp {
	t := Timestamp{Candidate: -1}
	parsed, err := gm.ParseTimestampToken(token)
	if err != nil {
		t.add(TimestampFormat, Refused, err.Error())
		t.Outcome = Refused
		return t
	}
	i := parsed.Info
	t.Time, t.Accuracy = i.Time, i.Accuracy
	for n, c := range candidates {
		if digest := gm.SM3(c); gm.IsSM3(i.HashOID) && bytes.Equal(i.Imprint, digest[:]) {
			t.Candidate = n
			break
		}
	}
	switch {
	case !gm.IsSM3(i.HashOID):
		t.add(TimestampImprint, Refused, fmt.Sprintf("the imprint is by %v, not SM3", i.HashOID))
	case t.Candidate < 0:
		t.add(TimestampImprint, Refused, "the imprint is of something else")
	}
	if t.Authority = a.authority(parsed); t.Authority == nil {
		t.add(TimestampSignature, Unknown, missingAuthority(parsed.Signed))
	} else if err := parsed.Verify(t.Authority); err != nil {
		t.add(TimestampSignature, Refused, err.Error())
	} else {
		a.judgeAuthority(&t, parsed.Signed.Certificates, now)
	}
	t.Outcome = Trusted
	for _, p := range t.Problems {
		if p.Outcome == Refused || t.Outcome == Trusted {
			t.Outcome = p.Outcome
		}
	}
	return t
}

// missingAuthority says why no certificate can verify a token.
func missingAuthority(s *gm.SignedData) string {
	switch {
	case !s.IsSM2WithSM3():
		return fmt.Sprintf("the token is not signed with SM2 and SM3 but with %v and %v: nobody here can verify that", s.SignatureOID, s.DigestOID)
	case s.Unreadable > 0:
		return "no certificate in the token that has a key of SM2 is the authority's, and no anchor"
	}
	return "the authority's certificate is not in the token and no anchor"
}

// authority finds the certificate that the token's signer identifier names:
// inside it, or among the anchors when the token leaves it out.
func (a *Anchors) authority(t *gm.TimestampToken) *gm.Certificate {
	if c, err := t.Signed.SignerCertificate(); err == nil {
		return c
	}
	if a == nil {
		return nil
	}
	for _, list := range a.bySubject {
		for _, x := range list {
			if x.Roles&TSA != 0 && t.Names(x.Cert) {
				return x.Cert
			}
		}
	}
	return nil
}

func (a *Anchors) judgeAuthority(t *Timestamp, others []*gm.Certificate, now time.Time) {
	if t.Authority.FormError != nil {
		t.add(TimestampUsage, Refused, "the authority's certificate is malformed")
	}
	v := a.Check(t.Authority, others, TSA, t.Time)
	for _, p := range v.Problems {
		switch p.Reason {
		case NoPath:
			t.add(TimestampUntrusted, Unknown, p.Detail)
		case Expired, NotYetValid:
			t.add(TimestampExpired, Refused, p.Detail)
		case WrongUsage:
			t.add(TimestampUsage, Refused, p.Detail)
		case BadExtension:
			if t.Authority.Equal(p.Cert) {
				t.add(TimestampUsage, Refused, p.Detail)
				continue
			}
			t.add(TimestampUntrusted, Refused, p.Detail)
		default:
			t.add(TimestampUntrusted, Refused, p.Detail)
		}
	}
	if v.Outcome != Trusted || a.revoked == nil {
		return
	}
	if v.Revocation.State == CannotAnswer {
		t.add(TimestampRevocation, Unknown, v.Revocation.Detail)
	}
	if later := a.Check(t.Authority, others, TSA, now); later.Has(Revoked) && !later.Revocation.Harmless() {
		t.add(TimestampUntrusted, Refused, fmt.Sprintf("the authority's certificate, or one above it, was revoked %s, and not for a harmless reason", stamp(later.Revocation.At)))
	}
}
