package seal_test

import (
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// Whoever steals the right to sign/tbs of a seal's key can have a document
// signed under a seal that he made himself, with any name and picture: the
// engine knows the signer's certificate, not whose seals count (ADR 0007). Step
// 17 is what keeps such a document from ever being valid.
func TestASealThatTheHolderOfAStolenTokenMadeHimselfIsNeverValid(t *testing.T) {
	w := newWorld(t)
	e := engine.New(&keytest.Memory{}, engine.Config{Now: func() time.Time { return signedAt }})
	info, err := e.Create(t.Context(), "seal-rs", keys.Seal)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: "签章人"}, NotBefore: worldBegins, NotAfter: worldEnds,
		KeyUsage: gm.KeyUsageDigitalSignature}, w.root.Certificate, info.Versions[0].Public, w.root.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.InstallCertificate(t.Context(), "seal-rs", 1, []*gm.Certificate{cert, w.root.Certificate}); err != nil {
		t.Fatal(err)
	}
	makeSeal := func(maker *entity, name, picture string) []byte {
		genuine := w.maker
		defer func() { w.maker = genuine }()
		w.maker = maker
		return w.makeSeal(func(i *ses.SealInfo) {
			i.Property.Name, i.Picture.Data, i.Property.Certs = name, []byte(picture), [][]byte{cert.Raw}
		})
	}
	verdict := func(esl []byte) *seal.Report {
		d := blank()
		w.apply(d, 0, sealing{seal: esl, signer: &entity{Certificate: cert}, value: func(tbs []byte) []byte {
			s, err := e.Key("seal-rs").Sign(t.Context(), keys.Request{Type: keys.TypeTBS, Item: tbs, KeyVersion: 1})
			return w.must(s.Value, err)
		}})
		return verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	}
	if r := verdict(makeSeal(w.maker, "某某市行政审批局", "picture")); r.Indication != seal.Valid || codesOf(r) != "" {
		t.Errorf("the genuine seal: %s %q", r.Indication, codesOf(r))
	}
	ownRoot := w.issue(nil, "根", func(x *gm.Template) {
		x.IsCA, x.MaxPathLen, x.KeyUsage = true, 0, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
	})
	for name, maker := range map[string]*entity{
		"a certificate from nowhere":              w.issue(nil, "制章人"),
		"the names of the real root and maker":    w.issue(ownRoot, "制章人"),
		"a CA of his own under the maker's names": ownRoot,
	} {
		r := verdict(makeSeal(maker, "另一个单位", "another picture"))
		if r.Indication == seal.Valid || r.Signatures[0].Indication == seal.Valid {
			t.Errorf("%s: %s %q", name, r.Indication, codesOf(r))
		}
		found := false
		for _, c := range r.Signatures[0].Checks {
			found = found || c.Step == 17 && c.Code == "E_MAKER_UNTRUSTED"
		}
		if !found {
			t.Errorf("%s: step 17 says nothing: %q", name, codesOf(r))
		}
	}
}
