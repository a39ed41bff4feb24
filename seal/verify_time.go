package seal

import (
	"fmt"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal/ses"
)

// When was it signed? A signer claims a time; a timestamp token proves one.
// Everything that depends on time is judged at the proven time, else at the
// claimed one, else at now.

// claim takes the time that the signer states as the time of judgement.
func (j *judgement) claim(t time.Time) {
	if !t.IsZero() {
		j.signedAt, j.time, j.source = t, t, TimeClaimed
	}
}

// checkTimestamps is step 21 for a seal signature.
func (j *judgement) checkTimestamps(sig *ses.Signature) {
	j.checkTimestamp(sig.Timestamp, sig.Value)
	if sig.TBS.TimeToken != nil {
		// What a token inside the signed bytes stamps is not settled, and it
		// could only prove that the signature was made after it.
		j.checks.add(21, codeTimestamp, "", "the signing time is a timestamp inside what was signed; it counts as claimed")
	}
}

// checkTimestamp is step 21 for one signature value. A token that is good in
// every way makes its time the time of judgement; of any other the claimed time
// stays, and the checks say what is wrong.
func (j *judgement) checkTimestamp(token, value []byte) {
	if token == nil {
		j.checks.add(21, codeNoTimestamp, "", "only the signer says when it was signed")
		return
	}
	if t, ok := j.stamped(token, value, j.signedAt, ""); ok {
		j.signedAt, j.time, j.source = t, t, TimeStamped
	}
}

// sealMadeAt returns the time at which the maker's certificate has to be valid:
// createDate, or the time of the seal's own timestamp (V5) when that is good.
func (j *judgement) sealMadeAt(s *ses.Seal) time.Time {
	created := s.Info.Property.Created
	if s.Timestamp == nil {
		return created
	}
	if t, ok := j.stamped(s.Timestamp, s.Signature, created, "seal"); ok {
		return t
	}
	return created
}

// stamped judges a token over a signature value and reports on it. It returns
// the proven time only when the token is good in every way.
func (j *judgement) stamped(token, value []byte, claimed time.Time, target string) (time.Time, bool) {
	v := j.v.anchors.CheckTimestamp(token, [][]byte{value, bitString(value)}, j.at)
	good := v.Outcome == trust.Trusted
	for _, p := range v.Problems {
		outcome := Fail
		if p.Outcome == trust.Unknown {
			outcome = Unknown
		}
		j.checks.addAs(outcome, 21, timestampCode(p), target, p.Detail)
	}
	switch {
	case v.Time.IsZero():
	case !claimed.IsZero() && v.Time.Before(claimed.Add(-clockSkew)):
		j.checks.add(21, codeTSOrder, target, fmt.Sprintf("stamped %s, before the claimed time %s", stamp(v.Time), stamp(claimed)))
		good = false
	case v.Time.After(j.at.Add(clockSkew)):
		j.checks.add(21, codeTSOrder, target, fmt.Sprintf("stamped %s, in the future", stamp(v.Time)))
		good = false
	}
	if !good {
		return time.Time{}, false
	}
	what := [...]string{"the signature value", "the whole BIT STRING of the signature value"}[v.Candidate]
	j.checks.list = append(j.checks.list, Check{Step: 21, Code: CodeOK, Outcome: OK, Target: target, ZH: stepTexts[21].zh, EN: stepTexts[21].en,
		Detail: fmt.Sprintf("stamped %s by %q over %s", stamp(v.Time), v.Authority.Subject, what)})
	return v.Time, true
}

func timestampCode(p trust.TimestampProblem) string {
	switch p.Reason {
	case trust.TimestampImprint:
		return codeTSImprint
	case trust.TimestampSignature:
		if p.Outcome == trust.Unknown {
			return codeTSUntrusted // its certificate is not at hand
		}
		return codeTSSig
	case trust.TimestampUsage:
		return codeTSUsage
	case trust.TimestampUntrusted:
		return codeTSUntrusted
	case trust.TimestampExpired:
		return codeTSExpired
	case trust.TimestampRevocation:
		return codeRevocation
	}
	return codeTSFormat
}

// bitString is the DER BIT STRING around a signature value. Which of the two is
// to be stamped, the content or the whole, is read in both ways.
func bitString(value []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.BIT_STRING, func(b *cryptobyte.Builder) { b.AddUint8(0); b.AddBytes(value) })
	return b.BytesOrPanic() // shorter than DER can say: it was parsed
}

// checkTime is step 22. A claimed time is worth something only while nothing
// has expired or been revoked since: afterwards anybody who holds the old key
// could still claim it.
func (j *judgement) checkTime(signer *gm.Certificate, sealEnd time.Time) {
	if j.source == TimeNone {
		j.checks.add(22, codeTimeNone, "", "validity is judged at "+stamp(j.at))
		return
	}
	if j.time.After(j.at.Add(clockSkew)) {
		j.checks.add(22, codeTimeFuture, "", "the signing time is "+stamp(j.time))
	}
	if j.source == TimeStamped {
		return
	}
	outcome, why := Warn, "nothing shows that it was signed at "+stamp(j.time)
	switch {
	case !sealEnd.IsZero() && j.at.After(sealEnd):
		outcome, why = Unknown, "the seal ended "+stamp(sealEnd)+", and nothing shows that it was used before"
	case signer != nil && j.expiredByNow(signer):
		outcome, why = Unknown, "the signer's certificate has ended since, and nothing shows that it was used before"
	case len(j.doubts) > 0:
		outcome, why = Unknown, j.doubts[0]
	}
	j.checks.addAs(outcome, 22, codeTimeClaimed, "", why)
}

func (j *judgement) expiredByNow(c *gm.Certificate) bool {
	p, ok := trust.CheckDates(c, j.at)
	return !ok && p.Reason == trust.Expired
}
