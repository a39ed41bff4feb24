package ofd

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

var testTime = time.Date(2026, 11, 24, 8, 30, 0, 0, time.UTC)

func testRequest() SignatureRequest {
	return SignatureRequest{
		Provider: Provider{Name: "测试 <&>", Company: `"Example"`, Version: "1.0"},
		At:       testTime,
		Seal:     []byte("not a seal, only bytes"),
		Stamps:   []Placement{{Page: 1, Boundary: Box{150, 40.5, 40, 40}}},
	}
}

// sign plans and embeds, with bytes that are no signature value.
func sign(t testing.TB, data []byte, r SignatureRequest) []byte {
	t.Helper()
	p, ps := Open(data)
	if p == nil {
		t.Fatal(ps)
	}
	plan, err := p.PlanSignature(r)
	if err != nil {
		t.Fatal(err)
	}
	out, err := plan.Embed([]byte("no signature"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := plan.Embed([]byte("no signature"))
	if err != nil || !bytes.Equal(out, again) {
		t.Fatal("embedding twice gives two packages")
	}
	return out
}

// TestASignedPackageHasNoProblemAndNoGap holds for every unsigned file and for
// the sealed ones that take a further signature, once and twice.
func TestASignedPackageHasNoProblemAndNoGap(t *testing.T) {
	files := corpusFiles(t, "ofd/unsigned")
	files["v4open"] = corpusFiles(t, "ofd/minted")["ofd/minted/v4open.ofd"]
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			once := sign(t, data, testRequest())
			if got := judge(once); got != nil {
				t.Errorf("signed once: %v", got)
			}
			twice := sign(t, once, testRequest())
			if got := judge(twice); got != nil {
				t.Errorf("signed twice: %v", got)
			}
			locked := testRequest()
			locked.Lock = true
			last := sign(t, twice, locked)
			if got := judge(last); got != nil {
				t.Errorf("locked: %v", got)
			}
			p, _ := Open(last)
			if _, err := p.PlanSignature(testRequest()); !errors.Is(err, ErrLocked) {
				t.Errorf("a locked package took a signature: %v", err)
			}
			sameEntries(t, data, once, "OFD.xml", "Signatures.xml")
			sameEntries(t, once, twice, "Signatures.xml")
			for _, g := range p.UncoveredBy(p.Signatures()[0]) {
				t.Errorf("the first signature, when made, left out %s", g.Name)
			}
		})
	}
}

// sameEntries checks with the standard library's reader that every entry but
// the named ones is stored in the same bytes with the same header.
func sameEntries(t *testing.T, before, after []byte, changed ...string) {
	t.Helper()
	old, err := zip.NewReader(bytes.NewReader(before), int64(len(before)))
	if err != nil {
		t.Fatal(err)
	}
	now, err := zip.NewReader(bytes.NewReader(after), int64(len(after)))
	if err != nil {
		t.Fatal(err)
	}
	if old.Comment != now.Comment {
		t.Errorf("the comment changed to %q", now.Comment)
	}
next:
	for i, f := range old.File {
		for _, c := range changed {
			if strings.HasSuffix(f.Name, c) {
				continue next
			}
		}
		g := now.File[i]
		if f.FileHeader.Name != g.Name || !f.Modified.Equal(g.Modified) || f.Flags != g.Flags || f.ExternalAttrs != g.ExternalAttrs ||
			!bytes.Equal(f.Extra, g.Extra) || !bytes.Equal(raw(t, f), raw(t, g)) {
			t.Errorf("entry %s changed", f.Name)
		}
	}
}

func raw(t *testing.T, f *zip.File) []byte {
	t.Helper()
	r, err := f.OpenRaw()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPlanFixesWhatIsSigned(t *testing.T) {
	data := build(minimal()...)
	p, _ := Open(data)
	plan, err := p.PlanSignature(testRequest())
	if err != nil {
		t.Fatal(err)
	}
	if plan.ID() != "1" || plan.PropertyInfo() != "/Doc_0/Signs/Sign_0/Signature.xml" {
		t.Errorf("id %s at %s", plan.ID(), plan.PropertyInfo())
	}
	out, _ := plan.Embed([]byte("value"))
	q, ps := plan.Reopen(out)
	if q == nil || len(ps) != 0 {
		t.Fatal(ps)
	}
	s := q.Signatures()[0]
	if !bytes.Equal(s.Raw, plan.SignatureXML()) || s.Path != plan.Path() || s.ID != "1" || len(s.References) != plan.Covered() {
		t.Errorf("read back: %+v", s)
	}
	value, err := q.SignedValue(s)
	if err != nil || string(value) != "value" {
		t.Errorf("value %q, %v", value, err)
	}
	if s.Provider != testRequest().Provider || s.DateTime != "20261124083000Z" || s.Method != gm.OIDSM2WithSM3.String() {
		t.Errorf("read back: %+v", s)
	}
	if st := s.Stamps[0]; st.ID != "2" || st.PageRef != "1" || *st.Boundary != (Box{150, 40.5, 40, 40}) || st.Clip != nil {
		t.Errorf("stamp: %+v", st)
	}
}

func TestXMLIsChangedByInsertingBytesOnly(t *testing.T) {
	list := func(body string) string { return `<s:Signatures xmlns:s="urn:x" ` + body }
	for _, c := range []struct{ name, before, after string }{
		{"after the last signature", list(`>
  <s:MaxSignId>7</s:MaxSignId>
  <s:Signature ID="s003" BaseLoc="/x"></s:Signature> <!-- c -->
</s:Signatures>`), list(`>
  <s:MaxSignId>9</s:MaxSignId>
  <s:Signature ID="s003" BaseLoc="/x"></s:Signature><s:Signature ID="8" Type="Seal" BaseLoc="/n"/> <!-- c -->
</s:Signatures>`)},
		{"two counters behind", list(`><s:Signature ID="1" BaseLoc="/x"/><s:MaxSignId>1</s:MaxSignId><s:MaxSignId/></s:Signatures>`),
			list(`><s:Signature ID="1" BaseLoc="/x"/><s:Signature ID="8" Type="Seal" BaseLoc="/n"/><s:MaxSignId>9</s:MaxSignId><s:MaxSignId>9</s:MaxSignId></s:Signatures>`)},
		{"no counter", list(`></s:Signatures>`), list(`><s:MaxSignId>9</s:MaxSignId><s:Signature ID="8" Type="Seal" BaseLoc="/n"/></s:Signatures>`)},
		{"self-closing", list(`/>`), list(`><s:MaxSignId>9</s:MaxSignId><s:Signature ID="8" Type="Seal" BaseLoc="/n"/></s:Signatures>`)},
		{"no prefix", `<Signatures><MaxSignId>0</MaxSignId></Signatures>`, `<Signatures><MaxSignId>9</MaxSignId><Signature ID="8" Type="Seal" BaseLoc="/n"/></Signatures>`},
	} {
		p, _ := Open(build(append(minimal(), file("L.xml", c.before))...))
		got := p.insertSignature("L.xml", listEntry{id: "8", loc: "/n", max: 9})
		if string(got) != c.after {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.after)
		}
	}
	root := `<?xml version="1.0"?>` + "\r\n" + `<o:OFD xmlns:o="http://www.ofdspec.org/2016"><o:DocBody><o:DocInfo/><o:DocRoot>Doc_0/Document.xml</o:DocRoot>` + "\r\n\t" + `</o:DocBody></o:OFD>`
	files := minimal()
	files[0].content = root
	p, _ := Open(build(files...))
	want := strings.Replace(root, "</o:DocRoot>", "</o:DocRoot><o:Signatures>/S.xml</o:Signatures>", 1)
	if got := p.insertListLocation(p.Bodies[0], "/S.xml"); string(got) != want {
		t.Errorf("OFD.xml became %s", got)
	}
}

func TestNumbersContinueBehindEverythingInUse(t *testing.T) {
	files := append(minimal(), file("Doc_0/S.xml", `<ofd:Signatures xmlns:ofd="`+Namespace+`"><ofd:MaxSignId>s004</ofd:MaxSignId><ofd:MaxSignId>002</ofd:MaxSignId>`+
		`<ofd:Signature ID="011" BaseLoc="A/Signature.xml"/></ofd:Signatures>`),
		file("Doc_0/A/Signature.xml", signatureXML(`<ofd:StampAnnot ID="s023" PageRef="1" Boundary="0 0 1 1"/>`)),
		file("Doc_0/A/v.dat", "x"))
	files[0].content = rootXML(`<ofd:Signatures>Doc_0/S.xml</ofd:Signatures>`)
	out := sign(t, build(files...), testRequest())
	p, _ := Open(out)
	if s := p.Signatures()[1]; s.ID != "24" || s.Stamps[0].ID != "25" || p.Bodies[0].MaxSignID != 25 {
		t.Errorf("signature %s, stamp %s, MaxSignId %d", s.ID, s.Stamps[0].ID, p.Bodies[0].MaxSignID)
	}
}

func TestSignaturesOfADocumentInANonASCIIFolderGoToTheRoot(t *testing.T) {
	files := minimal()
	files[0].content = strings.ReplaceAll(files[0].content, "Doc_0/", "文档/")
	for i := range files[1:] {
		files[i+1].name = strings.ReplaceAll(files[i+1].name, "Doc_0/", "文档/")
	}
	out := sign(t, build(files...), testRequest())
	p, _ := Open(out)
	if s := p.Signatures()[0]; s.Path != "Signs/Sign_0/Signature.xml" || p.Bodies[0].SignaturesPath != "Signs/Signatures.xml" {
		t.Errorf("signature at %s", s.Path)
	}
	if got := judge(out); got != nil {
		t.Error(got)
	}
}

func TestPlanRefusesWhatItCannotDo(t *testing.T) {
	broken := minimal()
	broken[1].content = "<x>"
	second := append(minimal(), file("Doc_0/Signs/Signatures.xml", "<Signatures/>"))
	second[0].content = rootXML("") // names no list, but one is there
	for _, c := range []struct {
		name   string
		files  []testFile
		change func(*SignatureRequest)
		want   error
	}{
		{"broken XML", broken, nil, ErrUnusable},
		{"page 0", minimal(), func(r *SignatureRequest) { r.Stamps[0].Page = 0 }, ErrNoPage},
		{"page 2 of 1", minimal(), func(r *SignatureRequest) { r.Stamps[0].Page = 2 }, ErrNoPage},
		{"no place", minimal(), func(r *SignatureRequest) { r.Stamps = nil }, ErrNoPage},
		{"a file where a folder must be", append(minimal(), file("Doc_0/Signs", "")), nil, ErrLayout},
		{"a list that nobody names", second, nil, nil},
	} {
		r := testRequest()
		if c.change != nil {
			c.change(&r)
		}
		p, ps := Open(build(c.files...))
		if p == nil {
			t.Fatalf("%s: %v", c.name, ps)
		}
		if _, err := p.PlanSignature(r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// The digests that a plan shares with the reader of its result are of what is
// written: nobody else can reach those bytes.
func TestNobodyCanChangeWhatAPlanDigested(t *testing.T) {
	p, _ := Open(build(minimal()...))
	r := testRequest()
	r.Seal = bytes.Clone(r.Seal)
	plan, err := p.PlanSignature(r)
	if err != nil {
		t.Fatal(err)
	}
	clear(plan.SignatureXML())
	clear(r.Seal)
	out, err := plan.Embed([]byte("value"))
	if err != nil {
		t.Fatal(err)
	}
	shared, ps := plan.Reopen(out)
	fresh, _ := Open(out)
	if shared == nil || fresh == nil || len(ps) != 0 {
		t.Fatal(ps)
	}
	for _, name := range fresh.Names() {
		a, aerr := shared.Digest(name)
		b, berr := fresh.Digest(name)
		if aerr != nil || berr != nil || a != b {
			t.Errorf("%s: %x, read afresh %x", name, a, b)
		}
	}
	if got := judge(out); got != nil {
		t.Error(got)
	}
}

func TestTenThousandFoldersOfSignaturesDoNotHoldUpAPlan(t *testing.T) {
	files := minimal()
	for i := range MaxEntries - 10 {
		files = append(files, file(fmt.Sprintf("Doc_0/Signs/Sign_%d/x", i), ""))
	}
	p, _ := Open(build(files...))
	begin := time.Now()
	plan, err := p.PlanSignature(testRequest())
	if err != nil || plan.Path() != fmt.Sprintf("Doc_0/Signs/Sign_%d/Signature.xml", MaxEntries-10) {
		t.Fatalf("%v, %v", plan, err)
	}
	if d := time.Since(begin); d > time.Second {
		t.Errorf("planning took %v", d)
	}
}
