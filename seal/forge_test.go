package seal_test

import (
	"archive/zip"
	"bytes"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal/ses"
)

// What follows makes signed packages without the Sealer, so that every part of
// one can be made wrong on purpose and the rest be right.

type file struct{ name, data string }

// document is an OFD package being built.
type document struct{ files []file }

func (d *document) get(name string) string {
	for _, f := range d.files {
		if f.name == name {
			return f.data
		}
	}
	return ""
}

func (d *document) set(name, data string) {
	for i := range d.files {
		if d.files[i].name == name {
			d.files[i].data = data
			return
		}
	}
	d.files = append(d.files, file{name, data})
}

func (d *document) edit(t testing.TB, name, old, new string) {
	t.Helper()
	if !strings.Contains(d.get(name), old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	d.set(name, strings.Replace(d.get(name), old, new, 1))
}

func (d *document) remove(name string) {
	d.files = slices.DeleteFunc(d.files, func(f file) bool { return f.name == name })
}

func (d *document) clone() *document { return &document{slices.Clone(d.files)} }

func zipOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func unzip(t testing.TB, data []byte) *document {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			t.Fatal(err)
		}
		d.files = append(d.files, file{f.Name, b.String()})
	}
	return d
}

const ns = ` xmlns:ofd="http://www.ofdspec.org/2016"`

// blank is an unsigned package with one page, a resource and an attachment.
func blank() *document {
	return &document{[]file{
		{"OFD.xml", `<ofd:OFD` + ns + ` Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo><ofd:DocID>0123456789abcdef0123456789abcdef</ofd:DocID></ofd:DocInfo><ofd:DocRoot>Doc_0/Document.xml</ofd:DocRoot><ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures></ofd:DocBody></ofd:OFD>`},
		{"Doc_0/Document.xml", `<ofd:Document` + ns + `><ofd:CommonData><ofd:MaxUnitID>9</ofd:MaxUnitID><ofd:PageArea><ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox></ofd:PageArea><ofd:PublicRes>PublicRes.xml</ofd:PublicRes></ofd:CommonData><ofd:Pages><ofd:Page ID="1" BaseLoc="Pages/Page_0/Content.xml"/></ofd:Pages><ofd:Attachments>Attachments.xml</ofd:Attachments></ofd:Document>`},
		{"Doc_0/PublicRes.xml", `<ofd:Res` + ns + ` BaseLoc="Res"><ofd:Fonts><ofd:Font ID="2" FontName="F"><ofd:FontFile>f.ttf</ofd:FontFile></ofd:Font></ofd:Fonts></ofd:Res>`},
		{"Doc_0/Res/f.ttf", "font"},
		{"Doc_0/Attachments.xml", `<ofd:Attachments` + ns + `><ofd:Attachment ID="3" Name="a"><ofd:FileLoc>a.txt</ofd:FileLoc></ofd:Attachment></ofd:Attachments>`},
		{"Doc_0/a.txt", "attachment"},
		{"Doc_0/Pages/Page_0/Content.xml", `<ofd:Page` + ns + `><ofd:Content><ofd:Layer ID="4"><ofd:TextObject ID="5" Boundary="10 10 100 10" Font="2" Size="5"><ofd:TextCode X="0" Y="5">补贴一百元</ofd:TextCode></ofd:TextObject></ofd:Layer></ofd:Content></ofd:Page>`},
	}}
}

// entity is a certificate with its key.
type entity struct {
	*gm.Certificate
	key *gm.PrivateKey
}

// world is a small PKI: a root, a seal maker, a signer.
type world struct {
	t                   testing.TB
	root, maker, signer *entity
	anchors             *trust.Anchors
	seed                string // not empty: keys are the same in every process
	issued              int
}

var (
	worldBegins = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	worldEnds   = time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC)
	signedAt    = time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC)
	worldNow    = time.Date(2026, 7, 1, 8, 0, 0, 0, time.UTC)
)

func newWorld(t testing.TB) *world { return newSeededWorld(t, "") }

// newSeededWorld makes the same keys from the same seed, as fuzzing needs: its
// workers are other processes.
func newSeededWorld(t testing.TB, seed string) *world {
	w := &world{t: t, seed: seed}
	w.root = w.issue(nil, "根", func(x *gm.Template) {
		x.IsCA, x.MaxPathLen, x.KeyUsage = true, 0, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
	})
	w.maker, w.signer = w.issue(w.root, "制章人"), w.issue(w.root, "签章人")
	var err error
	if w.anchors, err = trust.New(trust.Anchor{Cert: w.root.Certificate, Roles: trust.Maker | trust.Signer}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) issue(issuer *entity, name string, options ...func(*gm.Template)) *entity {
	w.t.Helper()
	key, err := gm.GenerateKey()
	if w.seed != "" {
		w.issued++
		scalar := gm.SM3(fmt.Appendf(nil, "%s %d", w.seed, w.issued))
		key, err = gm.NewPrivateKey(scalar[:])
	}
	if err != nil {
		w.t.Fatal(err)
	}
	tmpl := gm.Template{Subject: pkix.Name{CommonName: name}, NotBefore: worldBegins, NotAfter: worldEnds, KeyUsage: gm.KeyUsageDigitalSignature}
	for _, o := range options {
		o(&tmpl)
	}
	var parent *gm.Certificate
	sign := key.Sign
	if issuer != nil {
		parent, sign = issuer.Certificate, issuer.key.Sign
	}
	c, err := gm.CreateCertificate(tmpl, parent, key.Public(), sign)
	if err != nil {
		w.t.Fatal(err)
	}
	return &entity{c, key}
}

func (w *world) must(b []byte, err error) []byte {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

// makeSeal makes a seal for the world's signer; change may spoil it.
func (w *world) makeSeal(change func(*ses.SealInfo)) []byte {
	info := ses.SealInfo{VendorID: "TEST", ID: "22010000000001",
		Property: ses.Property{Type: 1, Name: "某某市行政审批局", ListType: ses.ListCertificates, Certs: [][]byte{w.signer.Raw},
			Created: worldBegins.AddDate(0, 1, 0), NotBefore: worldBegins.AddDate(0, 1, 0), NotAfter: worldEnds},
		Picture: ses.Picture{Type: "PNG", Data: []byte("picture"), Width: 40, Height: 40}}
	if change != nil {
		change(&info)
	}
	der := w.must(info.Marshal())
	return w.must(ses.AssembleSeal(der, w.maker.Raw, w.must(w.maker.key.Sign(der))))
}

// sealing says how one signature is made. The zero value, through apply, makes
// a good one; every field makes one thing different.
type sealing struct {
	id, typ, relative, checkMethod, method, propertyInfo string

	seal     []byte
	signer   *entity
	at       time.Time
	skip     string                      // a file that is not referenced
	refs     string                      // references added as XML
	tbs      func(*ses.TBS)              // before signing
	value    func(message []byte) []byte // instead of the signer's signature
	sealFile string                      // instead of the seal, in Seal.esl
	xml      func(string) string         // of Signature.xml, before signing
	lock     bool                        // reference Signatures.xml
	cms      bool                        // Type="Sign", GB/T 35275
	stamp    func(sig []byte) []byte     // timestamp token
}

// apply adds a signature to d, as Sign_n of the first document.
func (w *world) apply(d *document, n int, s sealing) {
	w.t.Helper()
	or := func(v *string, otherwise string) {
		if *v == "" {
			*v = otherwise
		}
	}
	dir := fmt.Sprintf("Doc_0/Signs/Sign_%d/", n)
	or(&s.id, fmt.Sprint(n+1))
	or(&s.typ, map[bool]string{true: "Sign", false: "Seal"}[s.cms])
	or(&s.checkMethod, "SM3")
	or(&s.method, "1.2.156.10197.1.501")
	or(&s.propertyInfo, "/"+dir+"Signature.xml")
	if s.seal == nil {
		s.seal = w.makeSeal(nil)
	}
	if s.signer == nil {
		s.signer = w.signer
	}
	if s.at.IsZero() {
		s.at = signedAt
	}
	or(&s.sealFile, string(s.seal))

	list := "Doc_0/Signs/Signatures.xml"
	if d.get(list) == "" {
		d.set(list, `<ofd:Signatures`+ns+`></ofd:Signatures>`)
	}
	relative := ""
	if s.relative != "" {
		relative = fmt.Sprintf(` Relative="%s"`, s.relative)
	}
	d.edit(w.t, list, `</ofd:Signatures>`, fmt.Sprintf(`<ofd:Signature ID="%s" Type="%s" BaseLoc="/%sSignature.xml"%s/></ofd:Signatures>`, s.id, s.typ, dir, relative))
	sealXML, stamp := "", ""
	if !s.cms {
		d.set(dir+"Seal.esl", s.sealFile)
		sealXML = `<ofd:Seal><ofd:BaseLoc>/` + dir + `Seal.esl</ofd:BaseLoc></ofd:Seal>`
		stamp = `<ofd:StampAnnot ID="1" PageRef="1" Boundary="100 200 40 40"/>`
	}
	var refs strings.Builder
	for _, f := range d.files {
		if f.name == s.skip || f.name == list && !s.lock {
			continue
		}
		digest := gm.SM3([]byte(f.data))
		fmt.Fprintf(&refs, `<ofd:Reference FileRef="/%s"><ofd:CheckValue>%s</ofd:CheckValue></ofd:Reference>`, f.name, base64.StdEncoding.EncodeToString(digest[:]))
	}
	xml := `<ofd:Signature` + ns + `><ofd:SignedInfo><ofd:Provider ProviderName="test"/><ofd:SignatureMethod>` + s.method + `</ofd:SignatureMethod>` +
		`<ofd:References CheckMethod="` + s.checkMethod + `">` + refs.String() + s.refs + `</ofd:References>` + stamp + sealXML + `</ofd:SignedInfo>` +
		`<ofd:SignedValue>/` + dir + `SignedValue.dat</ofd:SignedValue></ofd:Signature>`
	if s.xml != nil {
		xml = s.xml(xml)
	}
	d.set(dir+"Signature.xml", xml)
	d.set(dir+"SignedValue.dat", string(w.signedValue(xml, s)))
}

func (w *world) signedValue(xml string, s sealing) []byte {
	w.t.Helper()
	sign := s.signer.key.Sign
	if s.value != nil {
		sign = func(m []byte) ([]byte, error) { return s.value(m), nil }
	}
	if s.cms {
		der := w.must(gm.CreateSignedData(gm.SignedDataTemplate{Document: []byte(xml), Certificates: []*gm.Certificate{s.signer.Certificate}, SigningTime: s.at}, sign))
		if s.stamp != nil {
			parsed, err := gm.ParseSignedData(der)
			if err != nil {
				w.t.Fatal(err)
			}
			der = withUnsignedAttribute(w.t, der, s.stamp(parsed.Signature))
		}
		return der
	}
	parsed, err := ses.ParseSeal(s.seal)
	if err != nil {
		w.t.Fatal(err)
	}
	hash := gm.SM3([]byte(xml))
	tbs := ses.TBS{Seal: parsed, Time: s.at, DataHash: hash[:], PropertyInfo: s.propertyInfo}
	if s.tbs != nil {
		s.tbs(&tbs)
	}
	der := w.must(tbs.Marshal())
	sig := w.must(sign(der))
	var token []byte
	if s.stamp != nil {
		token = s.stamp(sig)
	}
	return w.must(ses.AssembleSignature(der, s.signer.Raw, sig, token))
}
