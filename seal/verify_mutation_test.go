package seal_test

import (
	"bytes"
	"context"
	"encoding/asn1"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

const page = "Doc_0/Pages/Page_0/Content.xml"
const sign0 = "Doc_0/Signs/Sign_0/"

// codesOf returns the codes of all problems but those that every signature
// without timestamp and revocation source has: in order, once each.
func codesOf(r *seal.Report) string {
	var out []string
	for _, c := range r.Problems() {
		switch c.Code {
		case "I_SEAL_STATUS_UNKNOWN", "I_REVOCATION_UNKNOWN", "W_TS_ABSENT":
			continue
		case "W_TIME_CLAIMED":
			if c.Outcome == seal.Warn {
				continue
			}
		}
		if !slices.Contains(out, c.Code) {
			out = append(out, c.Code)
		}
	}
	return strings.Join(out, " ")
}

func TestUntouchedDocumentsAreValid(t *testing.T) {
	w := newWorld(t)
	digests := func(i *ses.SealInfo) {
		sum := gm.SM3(w.signer.Raw)
		i.Property.ListType, i.Property.Certs, i.Property.Digests = ses.ListDigests, nil, []ses.CertDigest{{Type: "SM3", Value: sum[:]}}
	}
	for name, signatures := range map[string][]sealing{
		"one":              {{}},
		"locked":           {{lock: true}},
		"two":              {{}, {}},
		"two, then locked": {{}, {lock: true}},
		"by digest":        {{seal: w.makeSeal(digests)}},
		"GB/T 35275":       {{cms: true}},
		"both kinds":       {{cms: true}, {}},
		"builds on first":  {{}, {relative: "1"}},
	} {
		d := blank()
		for n, s := range signatures {
			w.apply(d, n, s)
		}
		for _, strict := range []bool{false, true} {
			r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow, Strict: strict})
			if r.Indication != seal.Valid || codesOf(r) != "" || len(r.Uncovered) != 0 {
				t.Errorf("%s: %s %s %v", name, r.Indication, codesOf(r), r.Problems())
			}
			for i, s := range r.Signatures {
				if s.Coverage != seal.Whole || s.SignedAt == nil || !s.SignedAt.Equal(signedAt) || s.TimeSource != seal.TimeClaimed || (s.Seal == nil) != signatures[i].cms {
					t.Errorf("%s: signature %d: %+v", name, i, s)
				}
			}
		}
	}
}

// TestNoTamperedDocumentIsValid changes a good document in one way each and
// wants exactly the codes that say so.
func TestNoTamperedDocumentIsValid(t *testing.T) {
	w := newWorld(t)
	one, two := blank(), blank()
	w.apply(one, 0, sealing{})
	w.apply(two, 0, sealing{})
	w.apply(two, 1, sealing{})
	other := blank()
	other.edit(t, page, "一百", "一千")
	w.apply(other, 0, sealing{})
	list := "Doc_0/Signs/Signatures.xml"

	flip := func(name string) func(*document) {
		return func(d *document) {
			b := []byte(d.get(name))
			b[len(b)-1] ^= 1
			d.set(name, string(b))
		}
	}
	const open, no = seal.Indeterminate, seal.Invalid
	for name, c := range map[string]struct {
		base   *document
		change func(*document)
		want   seal.Indication
		codes  string
	}{
		"page edited":               {one, func(d *document) { d.edit(t, page, "一百", "九百") }, no, "E_REF_DIGEST"},
		"font swapped":              {one, flip("Doc_0/Res/f.ttf"), no, "E_REF_DIGEST"},
		"attachment swapped":        {one, flip("Doc_0/a.txt"), no, "E_REF_DIGEST"},
		"page area changed":         {one, func(d *document) { d.edit(t, "Doc_0/Document.xml", "0 0 210 297", "0 0 210 100") }, no, "E_REF_DIGEST W_STAMP_OFFPAGE"},
		"page white space":          {one, func(d *document) { d.set(page, d.get(page)+"\n") }, no, "E_REF_DIGEST"},
		"page with byte order mark": {one, func(d *document) { d.set(page, "\ufeff"+d.get(page)) }, no, "E_REF_DIGEST"},
		"page removed":              {one, func(d *document) { d.remove(page) }, no, "E_REF_MISSING"},
		"document root redirected": {one, func(d *document) {
			d.set("Doc_0/New.xml", d.get("Doc_0/Document.xml"))
			d.edit(t, "OFD.xml", "Doc_0/Document.xml", "Doc_0/New.xml")
		}, no, "E_UNCOVERED E_REF_DIGEST"},
		"second document": {one, func(d *document) {
			d.edit(t, "OFD.xml", "</ofd:OFD>", "<ofd:DocBody><ofd:DocInfo/><ofd:DocRoot>Doc_0/a.txt</ofd:DocRoot></ofd:DocBody></ofd:OFD>")
		}, no, "E_XML_FORMAT E_REF_DIGEST"},
		"file added":               {one, func(d *document) { d.set("Doc_0/x.xml", "<x/>") }, open, "W_UNCOVERED"},
		"file added and named":     {one, func(d *document) { d.set("Doc_0/x.txt", "x"); d.edit(t, "Doc_0/Attachments.xml", "a.txt", "x.txt") }, no, "E_UNCOVERED E_REF_DIGEST"},
		"case alias":               {one, func(d *document) { d.set("doc_0/A.txt", "x") }, no, "E_ZIP_DUPLICATE"},
		"duplicate entry first":    {one, func(d *document) { d.files = append([]file{{page, "<x/>"}}, d.files...) }, no, "E_ZIP_DUPLICATE"},
		"duplicate entry last":     {one, func(d *document) { d.files = append(d.files, file{page, "<x/>"}) }, no, "E_ZIP_DUPLICATE"},
		"signature edited":         {one, func(d *document) { d.edit(t, sign0+"Signature.xml", "100 200 40 40", "10 20 40 40") }, no, "E_DATAHASH"},
		"stamp moved off the page": {one, func(d *document) { d.edit(t, sign0+"Signature.xml", "100 200 40 40", "900 200 40 40") }, no, "E_DATAHASH W_STAMP_OFFPAGE"},
		"stamp to another page":    {one, func(d *document) { d.edit(t, sign0+"Signature.xml", `PageRef="1"`, `PageRef="7"`) }, no, "E_DATAHASH W_STAMP_PAGE"},
		"reference dropped":        {one, func(d *document) { d.edit(t, sign0+"Signature.xml", `FileRef="/Doc_0/a.txt"`, `FileRef="/OFD.xml"`) }, no, "E_UNCOVERED E_REF_DUPLICATE E_REF_DIGEST E_DATAHASH"},
		"reference to the internet": {one, func(d *document) {
			d.edit(t, sign0+"Signature.xml", `FileRef="/Doc_0/a.txt"`, `FileRef="http://a.example/a.txt"`)
		}, no, "E_UNCOVERED E_REF_MISSING E_DATAHASH"},
		"digest algorithm MD5":     {one, func(d *document) { d.edit(t, sign0+"Signature.xml", `"SM3"`, `"MD5"`) }, no, "E_WEAK_DIGEST E_DATAHASH"},
		"digest algorithm SHA-256": {one, func(d *document) { d.edit(t, sign0+"Signature.xml", `"SM3"`, `"2.16.840.1.101.3.4.2.1"`) }, no, "E_DIGEST_ALG E_DATAHASH"},
		"two SignedInfo": {one, func(d *document) {
			d.edit(t, sign0+"Signature.xml", "<ofd:SignedInfo>", "<ofd:SignedInfo/><ofd:SignedInfo>")
		}, no, "E_UNCOVERED W_UNCOVERED E_SIG_FORMAT E_DATAHASH W_STAMP_PAGE"},
		"XML entity": {one, func(d *document) {
			d.set(sign0+"Signature.xml", `<!DOCTYPE a [<!ENTITY b "c">]>`+d.get(sign0+"Signature.xml"))
		}, no, "E_XML_DTD E_UNCOVERED W_UNCOVERED E_SIG_FORMAT"},
		"seal file swapped": {one, func(d *document) { d.set(sign0+"Seal.esl", string(w.makeSeal(nil))) }, no, "E_REF_DIGEST E_SEAL_MISMATCH"},
		"seal file removed": {one, func(d *document) { d.remove(sign0 + "Seal.esl") }, no, "E_REF_MISSING E_SEAL_MISMATCH"},
		"value edited":      {one, flip(sign0 + "SignedValue.dat"), no, "E_SIG_VALUE"},
		"value cut":         {one, func(d *document) { v := d.get(sign0 + "SignedValue.dat"); d.set(sign0+"SignedValue.dat", v[:len(v)-1]) }, no, "E_SES_STRUCT"},
		"value extended":    {one, func(d *document) { d.set(sign0+"SignedValue.dat", d.get(sign0+"SignedValue.dat")+"\x00") }, no, "E_SES_STRUCT"},
		"value removed":     {one, func(d *document) { d.remove(sign0 + "SignedValue.dat") }, no, "E_SV_MISSING"},
		"signature of another file": {one, func(d *document) {
			d.set(sign0+"Signature.xml", other.get(sign0+"Signature.xml"))
			d.set(sign0+"SignedValue.dat", other.get(sign0+"SignedValue.dat"))
		}, no, "E_REF_DIGEST E_SEAL_MISMATCH"},
		"description removed":        {one, func(d *document) { d.remove(sign0 + "Signature.xml") }, no, "E_UNCOVERED W_UNCOVERED E_SIG_MISSING"},
		"list removed":               {one, func(d *document) { d.remove(list) }, no, "E_SIGLIST_MISSING S_UNSIGNED E_SIG_UNLISTED"},
		"list emptied":               {one, func(d *document) { d.set(list, "<ofd:Signatures"+ns+"/>") }, no, "S_UNSIGNED E_SIG_UNLISTED"},
		"list of digital signatures": {one, func(d *document) { d.edit(t, list, `"Seal"`, `"Sign"`) }, no, "E_CMS_STRUCT"},
		"listed twice": {one, func(d *document) {
			d.edit(t, list, "</ofd:Signatures>", `<ofd:Signature ID="2" BaseLoc="/`+sign0+`Signature.xml"/></ofd:Signatures>`)
		}, no, "W_CHAIN_GAP E_SIG_DUP_ID"},
		"one identifier for two": {two, func(d *document) { d.edit(t, list, `ID="2"`, `ID="1"`) }, no, "E_UNCOVERED E_SIG_DUP_ID"},
		"last signature taken out": {two, func(d *document) {
			d.edit(t, list, `<ofd:Signature ID="2" Type="Seal" BaseLoc="/Doc_0/Signs/Sign_1/Signature.xml"/>`, "")
		}, open, "E_SIG_UNLISTED W_UNCOVERED"},
		"first signature taken out": {two, func(d *document) {
			d.edit(t, list, `<ofd:Signature ID="1" Type="Seal" BaseLoc="/Doc_0/Signs/Sign_0/Signature.xml"/>`, "")
		}, open, "E_SIG_UNLISTED"},
		"first signature broken": {two, flip(sign0 + "SignedValue.dat"), no, "E_SIG_VALUE E_REF_DIGEST"},
	} {
		d := c.base.clone()
		c.change(d)
		r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
		if r.Indication != c.want || codesOf(r) != c.codes {
			t.Errorf("%s: %s %q, want %s %q\n%v", name, r.Indication, codesOf(r), c.want, c.codes, r.Problems())
		}
	}
}

// TestNoBadlyMadeSignatureIsValid makes signatures that are wrong from the
// beginning: every one is signed properly over what it says.
func TestNoBadlyMadeSignatureIsValid(t *testing.T) {
	w := newWorld(t)
	const open, no = seal.Indeterminate, seal.Invalid
	expired := w.issue(w.root, "旧", func(x *gm.Template) { x.NotAfter = signedAt.AddDate(0, -1, 0) })
	early := w.issue(w.root, "早", func(x *gm.Template) { x.NotBefore = signedAt.AddDate(0, 0, 1) })
	usage := w.issue(w.root, "密", func(x *gm.Template) { x.KeyUsage = gm.KeyUsageCRLSign })
	stranger := w.issue(nil, "外")
	ended := w.issue(w.root, "终", func(x *gm.Template) { x.NotAfter = signedAt.AddDate(0, 0, 10) })
	listing := func(e *entity) []byte {
		return w.makeSeal(func(i *ses.SealInfo) { i.Property.Certs = [][]byte{e.Raw} })
	}
	by := func(e *entity) sealing { return sealing{signer: e, seal: listing(e)} }
	forgedRoot := w.issue(nil, "根", func(x *gm.Template) { x.IsCA, x.MaxPathLen, x.KeyUsage = true, 0, gm.KeyUsageCertSign })
	made := func(maker *entity, change func(*ses.SealInfo)) []byte {
		keep := w.maker
		w.maker = maker
		defer func() { w.maker = keep }()
		return w.makeSeal(change)
	}
	spoilt := func() []byte { // the maker's signature belongs to other bytes
		a, err := ses.ParseSeal(w.makeSeal(nil))
		if err != nil {
			t.Fatal(err)
		}
		return w.must(ses.AssembleSeal(w.must(func() ([]byte, error) {
			info := *a.Info
			info.Property.Name = "另一个单位"
			return info.Marshal()
		}()), a.Cert, a.Signature))
	}
	for name, c := range map[string]struct {
		s     sealing
		want  seal.Indication
		codes string
	}{
		"signed by another key":     {sealing{value: func(m []byte) []byte { return w.must(stranger.key.Sign(m)) }}, no, "E_SIG_VALUE"},
		"signed over a digest":      {sealing{value: func(m []byte) []byte { d := gm.SM3(m); return w.must(w.signer.key.Sign(d[:])) }}, no, "E_SIG_VALUE"},
		"data hash of another file": {sealing{tbs: func(b *ses.TBS) { b.DataHash = make([]byte, 32) }}, no, "E_DATAHASH"},
		"names another place":       {sealing{propertyInfo: "/Doc_0/Signs/Sign_9/Signature.xml"}, seal.Valid, "W_PROPERTY_PATH"},
		"no leading slash":          {sealing{propertyInfo: sign0 + "Signature.xml"}, seal.Valid, ""},
		"signer not in the seal":    {sealing{signer: w.issue(w.root, "冒")}, no, "E_SIGNER_NOT_IN_SEAL"},
		"signer not in the digest list": {sealing{seal: w.makeSeal(func(i *ses.SealInfo) {
			i.Property.ListType, i.Property.Certs, i.Property.Digests = 2, nil, []ses.CertDigest{{Type: "SM3", Value: make([]byte, 32)}}
		})}, no, "E_SIGNER_NOT_IN_SEAL"},
		"seal altered after making":    {sealing{seal: spoilt()}, no, "E_SEAL_SIG"},
		"seal made by the signer":      {sealing{seal: made(w.signer, nil)}, no, "E_MAKER_UNTRUSTED"},
		"seal made by a stranger":      {sealing{seal: made(stranger, nil)}, open, "E_MAKER_UNTRUSTED"},
		"maker under a forged root":    {sealing{seal: made(w.issue(forgedRoot, "伪"), nil)}, open, "E_MAKER_UNTRUSTED"},
		"maker expired at making":      {sealing{seal: made(expired, func(i *ses.SealInfo) { i.Property.Created = signedAt })}, no, "E_MAKER_EXPIRED"},
		"maker expired since":          {sealing{seal: made(expired, nil)}, seal.Valid, "W_MAKER_EXPIRED"},
		"maker may not sign":           {sealing{seal: made(usage, nil)}, no, "E_MAKER_USAGE"},
		"seal not yet valid":           {sealing{seal: w.makeSeal(func(i *ses.SealInfo) { i.Property.NotBefore = signedAt.AddDate(0, 0, 1) })}, no, "E_SEAL_NOT_YET"},
		"seal expired":                 {sealing{seal: w.makeSeal(func(i *ses.SealInfo) { i.Property.NotAfter = signedAt.AddDate(0, 0, -1) })}, no, "E_SEAL_EXPIRED W_TIME_CLAIMED"},
		"seal ended since":             {sealing{seal: w.makeSeal(func(i *ses.SealInfo) { i.Property.NotAfter = signedAt.AddDate(0, 0, 1) })}, open, "W_TIME_CLAIMED"},
		"signer expired":               {by(expired), no, "E_SIGNER_EXPIRED W_TIME_CLAIMED"},
		"signer ended since":           {by(ended), open, "W_TIME_CLAIMED"},
		"signer not yet valid":         {by(early), no, "E_SIGNER_NOT_YET"},
		"signer may not sign":          {by(usage), no, "E_SIGNER_USAGE"},
		"signer untrusted":             {by(stranger), open, "E_SIGNER_UNTRUSTED"},
		"signed in the future":         {sealing{at: worldNow.AddDate(0, 0, 1)}, no, "E_TIME_FUTURE"},
		"signed within the clock skew": {sealing{at: worldNow.Add(4 * time.Minute)}, seal.Valid, ""},
		"digest by object identifier":  {sealing{checkMethod: "1.2.156.10197.1.401"}, seal.Valid, ""},
		"no digest algorithm":          {sealing{checkMethod: " "}, no, "E_WEAK_DIGEST"},
		"signature method RSA":         {sealing{method: "1.2.840.113549.1.1.11"}, no, "E_ALG"},
		"page not referenced":          {sealing{skip: page}, open, "E_UNCOVERED"},
		"OFD.xml not referenced":       {sealing{skip: "OFD.xml"}, open, "E_UNCOVERED"},
		"missing file referenced":      {sealing{refs: `<ofd:Reference FileRef="/x"><ofd:CheckValue>` + strings.Repeat("A", 43) + `=</ofd:CheckValue></ofd:Reference>`}, no, "E_REF_MISSING"},
		"check value too short":        {sealing{skip: "Doc_0/a.txt", refs: `<ofd:Reference FileRef="/Doc_0/a.txt"><ofd:CheckValue>AAAA</ofd:CheckValue></ofd:Reference>`}, no, "E_REF_DIGEST"},
		"other seal beside it":         {sealing{sealFile: string(w.makeSeal(nil))}, no, "E_SEAL_MISMATCH"},
		"unknown base":                 {sealing{relative: "9"}, no, "E_BASE_SIG"},
		"builds on itself":             {sealing{relative: "1"}, no, "E_BASE_SIG"},
		"unknown type":                 {sealing{typ: "Stamp"}, no, "E_SIG_FORMAT"},
		"not shown": {sealing{xml: func(x string) string {
			return strings.Replace(x, `<ofd:StampAnnot ID="1" PageRef="1" Boundary="100 200 40 40"/>`, "", 1)
		}}, seal.Valid, "W_STAMP_PAGE"},
		"critical extension":          {sealing{tbs: func(b *ses.TBS) { b.Extensions = []ses.Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Critical: true}} }}, seal.Valid, "W_EXT_CRITICAL"},
		"GB/T 35275 over other bytes": {sealing{cms: true, xml: nil, signer: stranger}, open, "E_SIGNER_UNTRUSTED"},
	} {
		d := blank()
		w.apply(d, 0, c.s)
		r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
		if r.Indication != c.want || codesOf(r) != c.codes {
			t.Errorf("%s: %s %q, want %s %q\n%v", name, r.Indication, codesOf(r), c.want, c.codes, r.Problems())
		}
	}
}

func TestRawSignatureValueIsReadWithAWarning(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{})
	s, err := ses.ParseSignature([]byte(d.get(sign0 + "SignedValue.dat")))
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S asn1.RawValue }
	if _, err := asn1.Unmarshal(s.Value, &rs); err != nil {
		t.Fatal(err)
	}
	pad := func(b []byte) []byte { return append(make([]byte, 32), b...)[len(b):] }
	raw := append(pad(rs.R.Bytes), pad(rs.S.Bytes)...)
	old, err := asn1.Marshal(asn1.BitString{Bytes: s.Value, BitLength: 8 * len(s.Value)})
	if err != nil {
		t.Fatal(err)
	}
	put := func(value []byte) []byte {
		bits, err := asn1.Marshal(asn1.BitString{Bytes: value, BitLength: 8 * len(value)})
		if err != nil {
			t.Fatal(err)
		}
		body := bytes.Clone(bytes.TrimSuffix(s.Raw[4:], old)) // a SEQUENCE of three to 64 KiB has a header of 4 bytes
		out, err := asn1.Marshal(asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: append(body, bits...)})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	d.set(sign0+"SignedValue.dat", string(put(raw)))
	r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	if r.Indication != seal.Valid || codesOf(r) != "W_RAW_SIGVALUE" {
		t.Errorf("%s %s", r.Indication, codesOf(r))
	}
	raw[5] ^= 1
	d.set(sign0+"SignedValue.dat", string(put(raw)))
	r = verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow})
	if r.Indication != seal.Invalid || codesOf(r) != "W_RAW_SIGVALUE E_SIG_VALUE" {
		t.Errorf("changed: %s %s", r.Indication, codesOf(r))
	}
}

func TestStrictFailsWhatIsOtherwiseOpenOrNoted(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		s      sealing
		change func([]byte) []byte
		plain  seal.Indication
		code   string
	}{
		"page uncovered": {sealing{skip: page}, nil, seal.Indeterminate, "E_UNCOVERED"},
		"other place":    {sealing{propertyInfo: "/x"}, nil, seal.Valid, "W_PROPERTY_PATH"},
		"prefix":         {sealing{}, func(b []byte) []byte { return append([]byte("junk"), b...) }, seal.Valid, "W_ZIP_PREFIX"},
	} {
		d := blank()
		w.apply(d, 0, c.s)
		data := zipOf(t, d.files...)
		if c.change != nil {
			data = c.change(data)
		}
		plain := verify(t, w.anchors, data, seal.Options{At: worldNow})
		strict := verify(t, w.anchors, data, seal.Options{At: worldNow, Strict: true})
		if plain.Indication != c.plain || !plain.Has(c.code) || strict.Indication != seal.Invalid || !strict.Has(c.code) {
			t.Errorf("%s: %s, strict %s: %v", name, plain.Indication, strict.Indication, strict.Problems())
		}
	}
}

func TestCoverageCountsValidSignaturesOnly(t *testing.T) {
	w := newWorld(t)
	stranger := w.issue(nil, "外")
	d := blank()
	w.apply(d, 0, sealing{skip: "Doc_0/a.txt"})
	w.apply(d, 1, sealing{signer: stranger, seal: w.makeSeal(func(i *ses.SealInfo) { i.Property.Certs = [][]byte{stranger.Raw} })})
	data := zipOf(t, d.files...)
	r := verify(t, w.anchors, data, seal.Options{At: worldNow})
	want := "Doc_0/Signs/Sign_1/Seal.esl Doc_0/a.txt"
	if r.Indication != seal.Indeterminate || strings.Join(r.Uncovered, " ") != want {
		t.Errorf("only the first is trusted: %s %v", r.Indication, r.Uncovered)
	}
	if r = verify(t, nil, data, seal.Options{At: worldNow}); r.Indication != seal.Indeterminate || len(r.Uncovered) != 0 {
		t.Errorf("nobody is trusted: %s %v", r.Indication, r.Uncovered)
	}
	if r.Signatures[0].Coverage != seal.Partial || r.Signatures[1].Coverage != seal.Whole {
		t.Errorf("coverage %s, %s", r.Signatures[0].Coverage, r.Signatures[1].Coverage)
	}
}

// revoked is a revocation source: it knows since when, or cannot answer.
type revoked struct {
	cert *gm.Certificate
	at   time.Time
}

func (r revoked) Status(c, _ *gm.Certificate, at time.Time) trust.Revocation {
	switch {
	case r.cert == nil:
		return trust.Revocation{State: trust.CannotAnswer, Detail: "the list is too old"}
	case c.Equal(r.cert) && !at.Before(r.at):
		return trust.Revocation{State: trust.IsRevoked, At: r.at}
	}
	return trust.Revocation{State: trust.NotRevoked}
}

func TestRevocationCountsWhenASourceIsConfigured(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{})
	data := zipOf(t, d.files...)
	for name, c := range map[string]struct {
		source revoked
		want   seal.Indication
		codes  string
	}{
		"nothing revoked":       {revoked{w.root.Certificate, signedAt}, seal.Valid, ""},
		"signer revoked before": {revoked{w.signer.Certificate, signedAt.AddDate(0, -1, 0)}, seal.Invalid, "E_SIGNER_REVOKED W_TIME_CLAIMED"},
		"signer revoked since":  {revoked{w.signer.Certificate, signedAt.AddDate(0, 0, 1)}, seal.Indeterminate, "W_TIME_CLAIMED"},
		"maker revoked":         {revoked{w.maker.Certificate, worldBegins}, seal.Invalid, "E_MAKER_REVOKED"},
		"source cannot answer":  {revoked{}, seal.Indeterminate, ""},
	} {
		r := verify(t, w.anchors.WithRevocation(c.source), data, seal.Options{At: worldNow})
		if r.Indication != c.want || codesOf(r) != c.codes {
			t.Errorf("%s: %s %q: %v", name, r.Indication, codesOf(r), r.Problems())
		}
	}
}

func TestInterruptedVerificationIsNotValid(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := seal.NewVerifier(seal.VerifierConfig{Trust: w.anchors}).Verify(ctx, "a", zipOf(t, d.files...), seal.Options{At: worldNow})
	checkShape(t, r)
	if r.Indication != seal.Indeterminate || !r.Has("I_INTERRUPTED") {
		t.Errorf("%s %v", r.Indication, r.Problems())
	}
}

func TestForgottenTimeOfJudgementIsNotValid(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{})
	if r := verify(t, w.anchors, zipOf(t, d.files...), seal.Options{}); r.Indication != seal.Invalid || !r.Has("E_TIME_FUTURE") {
		t.Errorf("%s %v", r.Indication, r.Problems())
	}
}
