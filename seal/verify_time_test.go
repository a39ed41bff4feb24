package seal_test

import (
	"bytes"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
)

// authority is a timestamp authority under the world's root.
func (w *world) authority(options ...func(*gm.Template)) *entity {
	return w.issue(w.root, "时间戳", append([]func(*gm.Template){func(x *gm.Template) { x.TimeStamping = true }}, options...)...)
}

// stamp makes a token over value.
func (w *world) stamp(by *entity, value []byte, at time.Time) []byte {
	w.t.Helper()
	imprint := gm.SM3(value)
	i := &gm.TSTInfo{Policy: asn1.ObjectIdentifier{1, 2, 3}, HashOID: gm.OIDSM3, Imprint: imprint[:], Serial: big.NewInt(1), Time: at}
	return w.must(gm.CreateTimestampToken(i, []*gm.Certificate{by.Certificate}, true, func(_, attrs []byte) ([]byte, error) { return by.key.Sign(attrs) }))
}

// everybody trusts the root in all roles, with revocation data when there are any.
func (w *world) everybody(data ...[]byte) seal.VerifierConfig {
	w.t.Helper()
	a, err := trust.New(trust.Anchor{Cert: w.root.Certificate, Roles: trust.Maker | trust.Signer | trust.TSA})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(data) == 0 {
		return seal.VerifierConfig{Trust: a}
	}
	r := trust.NewRevocations(trust.RevocationConfig{})
	for _, d := range data {
		if err := r.Add(d); err != nil {
			w.t.Fatal(err)
		}
	}
	return seal.VerifierConfig{Trust: a.WithRevocation(r), SealStatus: r}
}

// withUnsignedAttribute adds a timestamp attribute to the one SignerInfo at the
// end of a SignedData.
func withUnsignedAttribute(t testing.TB, der, token []byte) []byte {
	t.Helper()
	var attr cryptobyte.Builder
	attr.AddASN1(casn1.Tag(1).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(gm.OIDAttrTimestampToken)
			b.AddASN1(casn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(token) })
		})
	})
	// The last element of each of these is where the path goes on.
	var grow func(el cryptobyte.String, depth int) []byte
	grow = func(el cryptobyte.String, depth int) []byte {
		var body cryptobyte.String
		var tag casn1.Tag
		if !el.ReadAnyASN1(&body, &tag) {
			t.Fatal("path to SignerInfo")
		}
		var kids []cryptobyte.String
		for !body.Empty() {
			var kid cryptobyte.String
			var kidTag casn1.Tag
			if !body.ReadAnyASN1Element(&kid, &kidTag) {
				t.Fatal("path to SignerInfo")
			}
			kids = append(kids, kid)
		}
		var b cryptobyte.Builder
		b.AddASN1(tag, func(b *cryptobyte.Builder) {
			for _, k := range kids[:len(kids)-1] {
				b.AddBytes(k)
			}
			if depth == 0 {
				b.AddBytes(kids[len(kids)-1])
				b.AddBytes(attr.BytesOrPanic())
			} else {
				b.AddBytes(grow(kids[len(kids)-1], depth-1))
			}
		})
		return b.BytesOrPanic()
	}
	return grow(der, 4) // ContentInfo, [0], SignedData, SET, SignerInfo
}

// judged seals a blank document and returns the codes of its one signature,
// without those that every row has.
func (w *world) judged(c seal.VerifierConfig, s sealing, now time.Time) (string, *seal.SignatureReport) {
	w.t.Helper()
	d := blank()
	w.apply(d, 0, s)
	report := seal.NewVerifier(c).Verify(w.t.Context(), "x.ofd", zipOf(w.t, d.files...), seal.Options{At: now})
	checkShape(w.t, report)
	if len(report.Signatures) != 1 {
		w.t.Fatalf("%d signatures", len(report.Signatures))
	}
	var codes []string
	for _, k := range report.Signatures[0].Checks {
		if k.Outcome == seal.OK || k.Outcome == seal.Warn && (k.Code == "I_SEAL_STATUS_UNKNOWN" || k.Code == "I_REVOCATION_UNKNOWN") {
			continue
		}
		codes = append(codes, k.Code+map[seal.Outcome]string{seal.Fail: "", seal.Warn: "(warn)", seal.Unknown: "(unknown)"}[k.Outcome])
	}
	slices.Sort(codes)
	return string(report.Signatures[0].Indication) + ": " + strings.Join(slices.Compact(codes), " "), &report.Signatures[0]
}

func TestATimestampSettlesTheTime(t *testing.T) {
	w := newWorld(t)
	tsa := w.authority()
	late := worldEnds.AddDate(1, 0, 0) // every certificate and the seal have ended
	stamped := signedAt.Add(3 * time.Second)
	good := sealing{stamp: func(sig []byte) []byte { return w.stamp(tsa, sig, stamped) }}
	for _, cms := range []bool{false, true} {
		s := good
		s.cms = cms
		got, r := w.judged(w.everybody(), s, late)
		if got != "valid: " || r.TimeSource != seal.TimeStamped || r.SignedAt == nil || !r.SignedAt.Equal(stamped) {
			t.Errorf("cms %v: %s %v %v", cms, got, r.TimeSource, r.SignedAt)
		}
		for _, k := range r.Checks {
			if k.Step == 21 && (k.Code != seal.CodeOK || !strings.Contains(k.Detail, "over the signature value")) {
				t.Errorf("step 21: %+v", k)
			}
		}
	}
	if got, r := w.judged(w.everybody(), sealing{}, late); got != "indeterminate: W_TIME_CLAIMED(unknown) W_TS_ABSENT(warn)" || r.TimeSource != seal.TimeClaimed {
		t.Errorf("without a timestamp: %s", got)
	}
	whole := sealing{stamp: func(sig []byte) []byte {
		return w.stamp(tsa, append([]byte{3, byte(len(sig) + 1), 0}, sig...), stamped)
	}}
	got, r := w.judged(w.everybody(), whole, worldNow)
	if i := slices.IndexFunc(r.Checks, func(k seal.Check) bool { return k.Step == 21 }); got != "valid: " || !strings.Contains(r.Checks[i].Detail, "whole BIT STRING") {
		t.Errorf("imprint of the BIT STRING: %s %+v", got, r.Checks[i])
	}
}

func TestEveryFaultOfATimestampHasItsCode(t *testing.T) {
	w := newWorld(t)
	tsa := w.authority()
	stranger := newWorld(t)
	brief := w.authority(func(x *gm.Template) { x.NotAfter = signedAt.Add(-time.Hour) })
	const claimed = " W_TIME_CLAIMED(warn)"
	for name, c := range map[string]struct {
		stamp func([]byte) []byte
		want  string
	}{
		"rubbish":             {func([]byte) []byte { return []byte("rubbish") }, "invalid: E_TS_FORMAT" + claimed},
		"of another value":    {func([]byte) []byte { return w.stamp(tsa, []byte("other"), signedAt) }, "invalid: E_TS_IMPRINT" + claimed},
		"no usage":            {func(s []byte) []byte { return w.stamp(w.signer, s, signedAt) }, "invalid: E_TS_CERT_USAGE" + claimed},
		"a stranger's":        {func(s []byte) []byte { return w.stamp(stranger.authority(), s, signedAt) }, "indeterminate: E_TS_UNTRUSTED(unknown)" + claimed},
		"an ended authority":  {func(s []byte) []byte { return w.stamp(brief, s, signedAt) }, "invalid: E_TS_EXPIRED" + claimed},
		"before the signing":  {func(s []byte) []byte { return w.stamp(tsa, s, signedAt.Add(-6*time.Minute)) }, "invalid: E_TS_ORDER" + claimed},
		"a little before":     {func(s []byte) []byte { return w.stamp(tsa, s, signedAt.Add(-4*time.Minute)) }, "valid: "},
		"in the future":       {func(s []byte) []byte { return w.stamp(tsa, s, worldNow.Add(6*time.Minute)) }, "invalid: E_TS_ORDER" + claimed},
		"a whole response":    {func(s []byte) []byte { return responseOf(t, w.stamp(tsa, s, signedAt)) }, "valid: "},
		"of a changed sign":   {func(s []byte) []byte { return spoilt(w.stamp(tsa, s, signedAt)) }, "invalid: E_TS_SIG" + claimed},
		"a refusing response": {func([]byte) []byte { return refusal(t) }, "invalid: E_TS_FORMAT" + claimed},
	} {
		if got, _ := w.judged(w.everybody(), sealing{stamp: c.stamp}, worldNow); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	if got, r := w.judged(seal.VerifierConfig{}, sealing{stamp: func(s []byte) []byte { return w.stamp(tsa, s, signedAt) }}, worldNow); !strings.HasPrefix(got, "indeterminate") || r.TimeSource != seal.TimeClaimed {
		t.Errorf("no anchors: %s", got)
	}
}

func responseOf(t *testing.T, token []byte) []byte {
	t.Helper()
	der, err := (&gm.TimestampResponse{Failure: gm.TimestampNoFailure, Token: token}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func refusal(t *testing.T) []byte {
	t.Helper()
	der, err := (&gm.TimestampResponse{Status: gm.TimestampRejection, Failure: gm.TimestampTimeNotAvailable}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// spoilt changes the last byte, which belongs to the signature.
func spoilt(token []byte) []byte {
	bad := bytes.Clone(token)
	bad[len(bad)-1] ^= 1
	return bad
}

// The time between the loss of a key and now is where a claimed and a proven
// time differ.
func TestRevocationIsJudgedAtTheProvenTimeAndTheClaimedTimeIsDoubted(t *testing.T) {
	w := newWorld(t)
	tsa := w.authority()
	stamped := sealing{stamp: func(sig []byte) []byte { return w.stamp(tsa, sig, signedAt) }}
	before, after := signedAt.Add(-time.Hour), signedAt.Add(time.Hour)
	list := func(until time.Time, revoked ...gm.RevokedEntry) []byte {
		l, err := gm.CreateRevocationList(big.NewInt(1), worldNow.Add(-time.Hour), until, revoked, w.root.Certificate, w.root.key.Sign)
		if err != nil {
			t.Fatal(err)
		}
		return l.Raw
	}
	fresh := worldNow.AddDate(0, 0, 7)
	gone := func(e *entity, at time.Time, reason int) gm.RevokedEntry {
		return gm.RevokedEntry{Serial: e.Serial, At: at, Reason: reason}
	}
	status := w.sealList(w.maker)
	cancelled := func(at time.Time) []byte {
		return w.sealList(w.maker, trust.SealEntry{ID: "22010000000001", Since: at, Reason: "cancelled"})
	}
	const ts, c, cu = " W_TS_ABSENT(warn)", " W_TIME_CLAIMED(warn)", " W_TIME_CLAIMED(unknown)"
	for name, x := range map[string]struct {
		data             [][]byte
		claimed, stamped string
	}{
		"nothing revoked":           {[][]byte{list(fresh), status}, "valid:" + c + ts, "valid: "},
		"the list ended":            {[][]byte{list(worldNow.Add(-time.Minute)), status}, "indeterminate: I_REVOCATION_UNKNOWN(unknown)" + c + ts, "valid: "},
		"signer before":             {[][]byte{list(fresh, gone(w.signer, before, 1)), status}, "invalid: E_SIGNER_REVOKED" + cu + ts, "invalid: E_SIGNER_REVOKED"},
		"signer after":              {[][]byte{list(fresh, gone(w.signer, after, 4)), status}, "indeterminate:" + cu + ts, "valid: "},
		"maker's key lost before":   {[][]byte{list(fresh, gone(w.maker, before, 1)), status}, "invalid: E_MAKER_REVOKED" + c + ts, "invalid: E_MAKER_REVOKED"},
		"maker replaced before":     {[][]byte{list(fresh, gone(w.maker, before, 4)), status}, "valid: W_MAKER_EXPIRED(warn)" + c + ts, "valid: W_MAKER_EXPIRED(warn)"},
		"maker before the seal":     {[][]byte{list(fresh, gone(w.maker, worldBegins, 4)), status}, "invalid: E_MAKER_REVOKED" + c + ts, "invalid: E_MAKER_REVOKED"},
		"maker's key lost after":    {[][]byte{list(fresh, gone(w.maker, after, 1)), status}, "indeterminate:" + cu + ts, "valid: "},
		"maker replaced after":      {[][]byte{list(fresh, gone(w.maker, after, 4)), status}, "valid:" + c + ts, "valid: "},
		"seal cancelled before":     {[][]byte{list(fresh), cancelled(before)}, "invalid: E_SEAL_REVOKED" + cu + ts, "invalid: E_SEAL_REVOKED"},
		"seal cancelled after":      {[][]byte{list(fresh), cancelled(after)}, "indeterminate:" + cu + ts, "valid: "},
		"no status list":            {[][]byte{list(fresh)}, "indeterminate: I_SEAL_STATUS_UNKNOWN(unknown)" + c + ts, "indeterminate: I_SEAL_STATUS_UNKNOWN(unknown)"},
		"no revocation list":        {[][]byte{status}, "indeterminate: I_REVOCATION_UNKNOWN(unknown)" + c + ts, "indeterminate: I_REVOCATION_UNKNOWN(unknown)" + c},
		"authority's key lost":      {[][]byte{list(fresh, gone(tsa, after, 1)), status}, "valid:" + c + ts, "invalid: E_TS_UNTRUSTED" + c},
		"authority replaced":        {[][]byte{list(fresh, gone(tsa, after, 4)), status}, "valid:" + c + ts, "valid: "},
		"authority revoked earlier": {[][]byte{list(fresh, gone(tsa, before, 4)), status}, "valid:" + c + ts, "invalid: E_TS_UNTRUSTED" + c},
	} {
		if got, _ := w.judged(w.everybody(x.data...), sealing{}, worldNow); got != x.claimed {
			t.Errorf("%s, claimed: %s, want %s", name, got, x.claimed)
		}
		if got, _ := w.judged(w.everybody(x.data...), stamped, worldNow); got != x.stamped {
			t.Errorf("%s, stamped: %s, want %s", name, got, x.stamped)
		}
	}
}

// sealList is a status list about the maker's seals, signed by the maker.
func (w *world) sealList(maker *entity, entries ...trust.SealEntry) []byte {
	w.t.Helper()
	s := trust.SealStatus{Name: "seals", Number: 1, Issued: worldNow.Add(-time.Hour), Next: worldNow.AddDate(0, 0, 7),
		Makers: [][gm.DigestSize]byte{maker.Fingerprint()}, Revoked: entries}
	c := w.must(s.Canonical())
	return w.must(trust.AssembleSealStatusList(c, w.must(maker.key.Sign(c)), maker.Certificate))
}

func TestASealAloneIsAskedAboutToo(t *testing.T) {
	w := newWorld(t)
	list := w.sealList(w.maker, trust.SealEntry{ID: "22010000000001", Since: signedAt, Reason: "cancelled"})
	crl, err := gm.CreateRevocationList(big.NewInt(1), worldNow.Add(-time.Hour), worldNow.AddDate(0, 0, 7), nil, w.root.Certificate, w.root.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	r := seal.NewVerifier(w.everybody(crl.Raw, list)).Verify(t.Context(), "x.esl", w.makeSeal(nil), seal.Options{At: worldNow})
	if r.Format != seal.FormatSeal || r.Indication != seal.Invalid || !r.Has("E_SEAL_REVOKED") {
		t.Errorf("%s %v", r.Indication, r.Problems())
	}
}
