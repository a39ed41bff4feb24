package seal_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// Attacks that each once gave, or could give, a good verdict on something that
// nobody vouched for.

const list0 = "Doc_0/Signs/Signatures.xml"

// Whoever prepares a document chooses what its parts are. A list of signatures
// that is a part too would be content that may change after sealing.
func TestAListOfSignaturesThatIsContentTooIsNotExemptFromCoverage(t *testing.T) {
	w := newWorld(t)
	for role, prepare := range map[string]func(*document){
		"attachment": func(d *document) { d.edit(t, "Doc_0/Attachments.xml", "a.txt", "/"+list0) },
		"annotation": func(d *document) {
			d.edit(t, "Doc_0/Document.xml", "<ofd:Attachments>", "<ofd:Annotations>Annotations.xml</ofd:Annotations><ofd:Attachments>")
			d.set("Doc_0/Annotations.xml", `<ofd:Annotations`+ns+`><ofd:Page PageID="1"><ofd:FileLoc>signs/signatures.xml</ofd:FileLoc></ofd:Page></ofd:Annotations>`)
		},
		"template": func(d *document) {
			d.edit(t, "Doc_0/Document.xml", "<ofd:PublicRes>", `<ofd:TemplatePage ID="8" BaseLoc="Signs/Signatures.xml"/><ofd:PublicRes>`)
		},
	} {
		d := blank()
		prepare(d)
		w.apply(d, 0, sealing{})
		d.edit(t, list0, "</ofd:Signatures>", `<ofd:Annot ID="9"/></ofd:Signatures>`)
		r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
		if r.Indication != seal.Indeterminate || strings.Join(r.Uncovered, " ") != list0 || codesOf(r) != "E_UNCOVERED" {
			t.Errorf("%s: %s %q %v", role, r.Indication, codesOf(r), r.Uncovered)
		}

		u := blank() // and nobody gets such a document sealed
		prepare(u)
		u.set(list0, `<ofd:Signatures`+ns+`></ofd:Signatures>`)
		if _, err := w.seal(w.sealer(), w.request(zipOf(t, u.files...))); code(err) != seal.CodeSealDocument {
			t.Errorf("%s: sealed: %v", role, err)
		}
	}
}

// A digital signature carries no seal, so that a picture beside it is nobody's.
func TestASealBesideADigitalSignatureIsNobodysSeal(t *testing.T) {
	w := newWorld(t)
	d := blank()
	d.set("Doc_0/Seal.esl", string(w.makeSeal(nil)))
	citizen := w.issue(w.root, "某人")
	w.apply(d, 0, sealing{cms: true, signer: citizen, xml: func(x string) string {
		return strings.Replace(x, "</ofd:SignedInfo>", `<ofd:StampAnnot ID="1" PageRef="1" Boundary="100 200 40 40"/><ofd:Seal><ofd:BaseLoc>/Doc_0/Seal.esl</ofd:BaseLoc></ofd:Seal></ofd:SignedInfo>`, 1)
	}})
	r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	if r.Indication != seal.Invalid || codesOf(r) != "E_SEAL_MISMATCH" {
		t.Errorf("%s %q", r.Indication, codesOf(r))
	}
}

// OFD 2.0 lets a signature name a picture beside the seal: only the maker's
// own picture may be shown.
func TestAnotherPictureThanTheSealsIsNotVouchedFor(t *testing.T) {
	w := newWorld(t)
	for content, want := range map[string]struct {
		seal.Indication
		codes string
	}{"picture": {seal.Valid, ""}, "another": {seal.Indeterminate, "I_SEAL_IMAGE"}, "": {seal.Indeterminate, "I_SEAL_IMAGE"}} {
		d := blank()
		if content != "" {
			d.set("Doc_0/p.png", content)
		}
		w.apply(d, 0, sealing{xml: func(x string) string {
			return strings.Replace(x, "</ofd:Seal>", "<ofd:ImageLoc>/Doc_0/p.png</ofd:ImageLoc></ofd:Seal>", 1)
		}})
		r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
		if r.Indication != want.Indication || codesOf(r) != want.codes {
			t.Errorf("%q: %s %q", content, r.Indication, codesOf(r))
		}
	}
}

// withTail appends a fifth member, which no maker's signature covers, to a seal.
func withTail(t *testing.T, esl, tail []byte) []byte {
	t.Helper()
	bits, err := asn1.Marshal(asn1.BitString{Bytes: tail, BitLength: 8 * len(tail)})
	if err != nil {
		t.Fatal(err)
	}
	tagged, err := asn1.Marshal(asn1.RawValue{Class: 2, Tag: 0, IsCompound: true, Bytes: bits})
	if err != nil {
		t.Fatal(err)
	}
	var outer asn1.RawValue
	if _, err := asn1.Unmarshal(esl, &outer); err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(outer.Bytes, tagged...)})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// A published seal with a package in its unsigned tail is a good seal to one
// program and a document to every zip reader that tolerates a prefix.
func TestASealThatIsAPackageTooIsNoGoodSeal(t *testing.T) {
	w := newWorld(t)
	esl := w.makeSeal(nil)
	if r := verify(t, w.anchors, esl, seal.Options{At: worldNow}); r.Format != seal.FormatSeal || r.Indication != seal.Valid {
		t.Fatalf("the seal alone: %s %s", r.Format, r.Indication)
	}
	forged := blank()
	for name, tail := range map[string][]byte{
		"to its end":     zipOf(t, forged.files...),
		"and junk after": append(zipOf(t, forged.files...), 1, 2, 3),
	} {
		r := verify(t, w.anchors, withTail(t, esl, tail), seal.Options{At: worldNow})
		if r.Indication != seal.Invalid {
			t.Errorf("%s: %s %s %q", name, r.Format, r.Indication, codesOf(r))
		}
	}
	vector := w.makeSeal(func(i *ses.SealInfo) { i.Picture.Type, i.Picture.Data = "ofd", zipOf(t, forged.files...) })
	if r := verify(t, w.anchors, vector, seal.Options{At: worldNow}); r.Format != seal.FormatSeal || r.Indication != seal.Valid {
		t.Errorf("a vector seal: %s %s %q", r.Format, r.Indication, codesOf(r))
	}
}

// The maker and the signer are two parties. A second certificate for one key
// does not make two of it.
func TestAMakerWithTheSignersKeyIsTheSigner(t *testing.T) {
	w := newWorld(t)
	twin, err := gm.CreateCertificate(gm.Template{Subject: w.maker.Subject, NotBefore: worldBegins, NotAfter: worldEnds, KeyUsage: gm.KeyUsageDigitalSignature},
		w.root.Certificate, w.signer.PublicKey, w.root.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	w.maker = &entity{twin, w.signer.key}
	d := blank()
	w.apply(d, 0, sealing{})
	r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	if r.Indication != seal.Invalid || codesOf(r) != "E_MAKER_UNTRUSTED" {
		t.Errorf("%s %q", r.Indication, codesOf(r))
	}
	q := w.request(corpusFile(t, "unsigned/helloworld.ofd"))
	q.Seal = w.makeSeal(nil)
	if _, err := w.sealer().Prepare(context.Background(), q); code(err) != seal.CodeSealSigner {
		t.Errorf("sealed: %v", err)
	}
}

// A certificate that forbids signing does not allow it once somebody has
// spoilt its wrapping.
func TestASpoiltCertificateDoesNotBecomeAMaker(t *testing.T) {
	w := newWorld(t)
	limited := w.issue(w.root, "密", func(x *gm.Template) { x.KeyUsage = gm.KeyUsageCRLSign })
	var cert asn1.RawValue
	if _, err := asn1.Unmarshal(limited.Raw, &cert); err != nil {
		t.Fatal(err)
	}
	spoilt, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(bytes.Clone(cert.Bytes), 5, 0)})
	if err != nil {
		t.Fatal(err)
	}
	w.maker = limited
	good, err := ses.ParseSeal(w.makeSeal(nil))
	if err != nil {
		t.Fatal(err)
	}
	d := blank()
	w.apply(d, 0, sealing{seal: w.must(ses.AssembleSeal(good.Info.Raw, spoilt, good.Signature))})
	r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	if r.Indication != seal.Invalid || !r.Has("E_CERT_FORMAT") {
		t.Errorf("%s %q", r.Indication, codesOf(r))
	}
}

// A trusted second signer can protect what the first left open, after having
// changed it. The first signature then says that it does not vouch for it.
func TestWhatOnlyALaterSignatureProtectsIsSaidOfTheEarlierOne(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{skip: "OFD.xml"})
	d.edit(t, "OFD.xml", "Doc_0/Document.xml", "Doc_1/Document.xml")
	for _, name := range []string{"Doc_0/Document.xml", "Doc_0/PublicRes.xml", "Doc_0/Attachments.xml", page} {
		d.set(strings.Replace(name, "Doc_0", "Doc_1", 1), strings.Replace(d.get(name), "一百", "九百", 1))
	}
	w.apply(d, 1, sealing{})
	data := zipOf(t, d.files...)
	r := verify(t, w.anchors, data, seal.Options{At: worldNow})
	var first []string
	for _, c := range r.Signatures[0].Checks {
		if c.Code == "W_SIGNATURE_GAP" {
			first = append(first, c.Target)
		}
	}
	if got := strings.Join(first, " "); !strings.Contains(got, "OFD.xml") || !strings.Contains(got, "Doc_1/Document.xml") || r.Signatures[0].Coverage != seal.Partial {
		t.Errorf("the first signature protects all but %q, coverage %s", got, r.Signatures[0].Coverage)
	}
	for _, c := range r.Signatures[1].Checks {
		if c.Code == "W_SIGNATURE_GAP" {
			t.Errorf("the last signature has a gap at %s", c.Target)
		}
	}
	if r := verify(t, w.anchors, data, seal.Options{At: worldNow, Strict: true}); r.Indication != seal.Invalid {
		t.Errorf("strict: %s", r.Indication)
	}
}

// A signing time before the seal existed is not the signing time.
func TestASealCannotHaveBeenUsedBeforeItWasMade(t *testing.T) {
	w := newWorld(t)
	for made, want := range map[time.Time]seal.Indication{
		signedAt.AddDate(0, 0, 1):      seal.Indeterminate,
		signedAt.Add(10 * time.Second): seal.Valid, // two clocks
	} {
		d := blank()
		w.apply(d, 0, sealing{seal: w.makeSeal(func(i *ses.SealInfo) { i.Property.Created = made })})
		r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
		if r.Indication != want || (want == seal.Indeterminate) != (codesOf(r) == "W_TIME_CLAIMED") {
			t.Errorf("made %v: %s %q", made, r.Indication, codesOf(r))
		}
	}
}
