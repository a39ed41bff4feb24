package trust

import (
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func stamps(t *gm.Template) { t.TimeStamping = true }

func tokenOf(t testing.TB, by *entity, value []byte, at time.Time) []byte {
	t.Helper()
	return makeToken(t, by, value, at, true)
}

func makeToken(t testing.TB, by *entity, value []byte, at time.Time, embed bool) []byte {
	t.Helper()
	imprint := gm.SM3(value)
	i := &gm.TSTInfo{Policy: asn1.ObjectIdentifier{1, 2, 3}, HashOID: gm.OIDSM3, Imprint: imprint[:], Serial: big.NewInt(1), Time: at}
	der, err := gm.CreateTimestampToken(i, certs(by), embed, func(_, attrs []byte) ([]byte, error) { return by.key.Sign(attrs) })
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// says compares outcome and problems, written "refused: imprint, usage".
func says(t *testing.T, name string, got Timestamp, want string) {
	t.Helper()
	text := got.Outcome.String()
	for i, p := range got.Problems {
		text += [...]string{": ", ", "}[min(i, 1)] + p.Reason.String()
		if p.Detail == "" || p.Outcome == Trusted {
			t.Errorf("%s: problem %+v", name, p)
		}
	}
	if text != want {
		t.Errorf("%s: %s (%v), want %s", name, text, got.Problems, want)
	}
}

func TestATimestampProvesOneTimeOfOneThing(t *testing.T) {
	root, other := issue(t, nil, "root", listCA), issue(t, nil, "other", listCA)
	tsa := issue(t, root, "tsa", stamps)
	value, tlv := []byte("signature value"), []byte("whole bit string")
	candidates := [][]byte{value, tlv}
	a := anchors(t, TSA, root)
	good := tokenOf(t, tsa, value, mid)
	v := a.CheckTimestamp(good, candidates, to)
	says(t, "good", v, "trusted")
	if !v.Time.Equal(mid) || v.Candidate != 0 || !v.Authority.Equal(tsa.Certificate) {
		t.Errorf("%+v", v)
	}
	if v := a.CheckTimestamp(tokenOf(t, tsa, tlv, mid), candidates, to); v.Candidate != 1 || v.Outcome != Trusted {
		t.Errorf("second candidate: %+v", v)
	}
	response, err := (&gm.TimestampResponse{Failure: gm.TimestampNoFailure, Token: good}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	says(t, "a whole response", a.CheckTimestamp(response, candidates, to), "trusted")
	says(t, "something else", a.CheckTimestamp(tokenOf(t, tsa, []byte("x"), mid), candidates, to), "refused: imprint")
	says(t, "rubbish", a.CheckTimestamp([]byte("rubbish"), candidates, to), "refused: format")
	says(t, "before the certificate", a.CheckTimestamp(tokenOf(t, tsa, value, from.Add(-time.Second)), candidates, to), "refused: expired, expired")
	says(t, "no usage", a.CheckTimestamp(tokenOf(t, issue(t, root, "signer"), value, mid), candidates, to), "refused: usage")
	says(t, "another root", anchors(t, TSA, other).CheckTimestamp(good, candidates, to), "unknown: untrusted")
	says(t, "an anchor of another role", anchors(t, Signer|Maker, root).CheckTimestamp(good, candidates, to), "unknown: untrusted")
	var none *Anchors
	says(t, "no anchors", none.CheckTimestamp(good, candidates, to), "unknown: untrusted")

	for i := range good {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x20
		if v := a.CheckTimestamp(bad, candidates, to); v.Outcome == Trusted && (!v.Time.Equal(mid) || v.Candidate != 0) {
			t.Fatalf("byte %d changes what a trusted token says", i)
		}
	}
}

func TestATimestampOfAForgerIsRefused(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	fake := issue(t, nil, "root", listCA)
	forged := issue(t, fake, "tsa", stamps)
	v := anchors(t, TSA, root).CheckTimestamp(tokenOf(t, forged, []byte("v"), mid), [][]byte{[]byte("v")}, to)
	if v.Outcome == Trusted {
		t.Error("trusted")
	}
}

func TestATokenWithoutItsCertificateIsJudgedByAnAnchor(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	tsa := issue(t, root, "tsa", stamps)
	bare := makeToken(t, tsa, []byte("v"), mid, false)
	says(t, "anchor", anchors(t, TSA, tsa).CheckTimestamp(bare, [][]byte{[]byte("v")}, to), "trusted")
	says(t, "not at hand", anchors(t, TSA, root).CheckTimestamp(bare, [][]byte{[]byte("v")}, to), "unknown: signature")
}

func TestARevokedAuthorityMakesTokensDoubtful(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	tsa := issue(t, root, "tsa", stamps)
	token := tokenOf(t, tsa, []byte("v"), mid)
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"not revoked":          {list(t, root, mid.Add(day), to), "trusted"},
		"revoked before":       {list(t, root, mid.Add(day), to, gone(tsa, mid.Add(-day), 4)), "refused: untrusted"},
		"superseded later":     {list(t, root, mid.Add(2*day), to, gone(tsa, mid.Add(day), 4)), "trusted"},
		"key lost later":       {list(t, root, mid.Add(2*day), to, gone(tsa, mid.Add(day), 1)), "refused: untrusted"},
		"revoked later, why?":  {list(t, root, mid.Add(2*day), to, gone(tsa, mid.Add(day), 0)), "refused: untrusted"},
		"the list is outdated": {list(t, root, mid.Add(-2*day), mid.Add(-day)), "unknown: revocation unknown"},
	} {
		a := anchors(t, TSA, root).WithRevocation(held(t, RevocationConfig{}, c.data))
		says(t, name, a.CheckTimestamp(token, [][]byte{[]byte("v")}, to), c.want)
	}
}

func ExampleAnchors_CheckTimestamp() {
	var anchors *Anchors // no anchors: nobody is believed
	v := anchors.CheckTimestamp([]byte("rubbish"), nil, time.Time{})
	fmt.Println(v.Outcome, strings.SplitN(v.Problems[0].Detail, ":", 2)[0])
	// Output: refused not a timestamp message of RFC 3161
}
