package ofd

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/image/font/sfnt"

	"github.com/sealgate/sealgate/internal/typeface"
)

const testDocID = "0123456789abcdef0123456789abcdef"

func testDate() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }

func testPermit() Permit {
	return Permit{
		DocID: testDocID, Title: "人力资源服务许可证", Number: "（吉）人服证字〔2026〕第0100001号",
		Fields: []PermitField{
			{"机构名称", "长春市某某人力资源服务有限公司"},
			{"统一社会信用代码", "91220101MA00000003"},
			{"住所", "吉林省长春市朝阳区人民大街1号“数字大厦”A座12层1201室，邮政编码130021"},
			{"法定代表人", "张三"},
			{"业务范围", "为劳动者介绍用人单位；为用人单位推荐劳动者；开展网络招聘；开展高级人才寻访服务 <A&B>。"},
			{"有效期限", "2026年11月24日至2031年11月23日"},
		},
		Statement: "经审核，符合《人力资源市场暂行条例》规定的条件，准予从事上列人力资源服务活动。",
		Office:    "吉林省人力资源和社会保障厅", Issued: testDate(),
		Remark: "本证照为电子证照，经电子印章签署后生效。",
		Custom: []CustomData{{"证照标识", "1.2.156.3005.2.test"}},
	}
}

func testFace(t testing.TB) *typeface.Face {
	t.Helper()
	face, err := typeface.Song()
	if err != nil {
		t.Fatal(err)
	}
	return face
}

func testPNG(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 4, 4))); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// An element is XML as the tests look at it.
type testElement struct {
	XMLName  xml.Name
	Attrs    []xml.Attr    `xml:",any,attr"`
	Text     string        `xml:",chardata"`
	Children []testElement `xml:",any"`
}

func (e testElement) attr(name string) string {
	for _, a := range e.Attrs {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func (e testElement) names() []string {
	var out []string
	for _, c := range e.Children {
		out = append(out, c.XMLName.Local)
	}
	return out
}

func (e testElement) find(t testing.TB, path ...string) testElement {
	t.Helper()
	for _, name := range path {
		i := slices.IndexFunc(e.Children, func(c testElement) bool { return c.XMLName.Local == name })
		if i < 0 {
			t.Fatalf("no %s in %s", name, e.XMLName.Local)
		}
		e = e.Children[i]
	}
	return e
}

type testPackage struct {
	names []string
	files map[string][]byte
}

func unpack(t testing.TB, data []byte) testPackage {
	t.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	p := testPackage{files: map[string][]byte{}}
	for _, f := range r.File {
		rc, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(rc)
		if err != nil {
			t.Fatal(err)
		}
		p.names = append(p.names, f.Name)
		p.files[f.Name] = content
		if f.NonUTF8 || f.Flags&0x800 == 0 || f.Flags&0x8 != 0 || strings.HasSuffix(f.Name, "/") {
			t.Errorf("entry %s: flags %04x", f.Name, f.Flags)
		}
		for _, c := range []byte(f.Name) {
			if c <= ' ' || c > '~' || c == '\\' {
				t.Errorf("entry %q is no plain ASCII name", f.Name)
			}
		}
	}
	return p
}

func (p testPackage) xml(t testing.TB, name string) testElement {
	t.Helper()
	var e testElement
	if err := xml.Unmarshal(p.files[name], &e); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if e.XMLName.Space != "http://www.ofdspec.org/2016" {
		t.Errorf("%s is in namespace %q", name, e.XMLName.Space)
	}
	return e
}

func TestPermitFollowsEveryReferenceOfItsPackage(t *testing.T) {
	data, err := NewPermit(testPermit())
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 128<<10 {
		t.Errorf("a one-page permit of %d bytes", len(data))
	}
	p := unpack(t, data)
	seen := map[string]bool{"OFD.xml": true}
	follow := func(from, loc string) string {
		name := path.Join(path.Dir(from), loc)
		if p.files[name] == nil {
			t.Fatalf("%s refers to %s, which is not there", from, name)
		}
		seen[name] = true
		return name
	}
	root := p.xml(t, "OFD.xml")
	docName := follow("OFD.xml", root.find(t, "DocBody", "DocRoot").Text)
	doc := p.xml(t, docName)
	resName := follow(docName, doc.find(t, "CommonData", "PublicRes").Text)
	res := p.xml(t, resName)
	font := res.find(t, "Fonts", "Font")
	fontName := follow(resName, path.Join(res.attr("BaseLoc"), font.find(t, "FontFile").Text))
	for _, page := range doc.find(t, "Pages").Children {
		follow(docName, page.attr("BaseLoc"))
	}
	for _, name := range p.names {
		if !seen[name] {
			t.Errorf("%s is reachable from nowhere", name)
		}
	}
	if _, err := sfnt.Parse(p.files[fontName]); err != nil {
		t.Errorf("the embedded font does not parse: %v", err)
	}
	if box := doc.find(t, "CommonData", "PageArea", "PhysicalBox").Text; box != "0 0 210 297" {
		t.Errorf("page %s", box)
	}
}

func TestPermitWritesElementsInTheOrderOfTheSchema(t *testing.T) {
	pkg := unpack(t, must(t, testPermit()))
	root := pkg.xml(t, "OFD.xml")
	if v := root.attr("DocType") + root.attr("Version"); v != "OFD1.0" {
		t.Errorf("OFD attributes %s", v)
	}
	info := root.find(t, "DocBody", "DocInfo")
	for _, c := range []struct {
		e     testElement
		order string
	}{
		{root.find(t, "DocBody"), "DocInfo DocRoot"},
		{info, "DocID Title Author CreationDate Creator CustomDatas"},
		{pkg.xml(t, "Doc_0/Document.xml"), "CommonData Pages"},
		{pkg.xml(t, "Doc_0/Document.xml").find(t, "CommonData"), "MaxUnitID PageArea PublicRes"},
		{pkg.xml(t, "Doc_0/Pages/Page_0/Content.xml"), "Area Content"},
	} {
		if got := strings.Join(c.e.names(), " "); got != c.order {
			t.Errorf("%s: %s, want %s", c.e.XMLName.Local, got, c.order)
		}
	}
	if id := info.find(t, "DocID").Text; id != testDocID {
		t.Errorf("DocID %s", id)
	}
	if date := info.find(t, "CreationDate").Text; date != "2026-11-24" {
		t.Errorf("CreationDate %s", date)
	}
	facts := map[string]string{}
	for _, c := range info.find(t, "CustomDatas").Children {
		facts[c.attr("Name")] = c.Text
	}
	if facts["证照编号"] != testPermit().Number || facts["业务范围"] != testPermit().Fields[4].Value || facts["颁发日期"] != "2026-11-24" || facts["证照标识"] == "" {
		t.Errorf("facts %q", facts)
	}
}

func must(t testing.TB, p Permit) []byte {
	t.Helper()
	data, err := NewPermit(p)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPermitTextIsCompleteSpacedAndInTheEmbeddedFont(t *testing.T) {
	pkg := unpack(t, must(t, testPermit()))
	var font []byte
	for name, data := range pkg.files {
		if strings.HasSuffix(name, ".ttf") {
			font = data
		}
	}
	f, err := sfnt.Parse(font)
	if err != nil {
		t.Fatal(err)
	}
	page := pkg.xml(t, "Doc_0/Pages/Page_0/Content.xml")
	ids := map[string]bool{}
	highest := 0
	var all strings.Builder
	for _, o := range page.find(t, "Content", "Layer").Children {
		if ids[o.attr("ID")] {
			t.Errorf("identifier %s twice", o.attr("ID"))
		}
		ids[o.attr("ID")] = true
		if n, _ := strconv.Atoi(o.attr("ID")); n > highest {
			highest = n
		}
		var x, y, w, h float64
		if _, err := fmt.Sscan(o.attr("Boundary"), &x, &y, &w, &h); err != nil || x < 0 || y < 0 || x+w > 210 || y+h > 297 {
			t.Errorf("boundary %q", o.attr("Boundary"))
		}
		if o.XMLName.Local != "TextObject" {
			continue
		}
		if got := strings.Join(o.names(), " "); got != "FillColor TextCode" {
			t.Errorf("children of a text: %s", got)
		}
		code := o.find(t, "TextCode")
		n := utf8.RuneCountInString(code.Text)
		deltas := strings.Fields(code.attr("DeltaX"))
		if len(deltas) != n-1 {
			t.Errorf("%q: %d deltas for %d characters", code.Text, len(deltas), n)
		}
		sum := 0.0
		for _, d := range deltas {
			v, err := strconv.ParseFloat(d, 64)
			if err != nil || v <= 0 {
				t.Errorf("delta %q", d)
			}
			sum += v
		}
		if sum > w {
			t.Errorf("%q is wider than its boundary", code.Text)
		}
		for _, r := range code.Text {
			if g, _ := f.GlyphIndex(nil, r); g == 0 {
				t.Errorf("%c is not in the embedded font", r)
			}
		}
		all.WriteString(code.Text)
	}
	p := testPermit()
	for _, want := range append([]string{p.Title, p.Number, p.Statement, p.Office, p.Remark, "2026年11月24日"}, p.Fields[2].Value, p.Fields[4].Value) {
		if !strings.Contains(all.String(), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if max := pkg.xml(t, "Doc_0/Document.xml").find(t, "CommonData", "MaxUnitID").Text; max != strconv.Itoa(highest) {
		t.Errorf("MaxUnitID %s, highest %d", max, highest)
	}
}

func TestSamePermitGivesTheSameBytes(t *testing.T) {
	if !bytes.Equal(must(t, testPermit()), must(t, testPermit())) {
		t.Error("two permits of one description differ")
	}
}

func TestPermitThatCannotBeMadeIsRefused(t *testing.T) {
	many := make([]PermitField, 40)
	for i := range many {
		many[i] = PermitField{"项目", "值"}
	}
	for name, change := range map[string]func(*Permit){
		"no title":              func(p *Permit) { p.Title = "" },
		"no number":             func(p *Permit) { p.Number = "" },
		"no office":             func(p *Permit) { p.Office = "" },
		"document id":           func(p *Permit) { p.DocID = "0123" },
		"upper-case id":         func(p *Permit) { p.DocID = strings.ToUpper(testDocID) },
		"no date":               func(p *Permit) { p.Issued = time.Time{} },
		"control character":     func(p *Permit) { p.Title = "许可\x00证" },
		"line feed in a field":  func(p *Permit) { p.Fields[0].Value = "甲\n乙" },
		"not UTF-8":             func(p *Permit) { p.Statement = "甲\xff" },
		"not UTF-8 in metadata": func(p *Permit) { p.Custom = []CustomData{{"a", "\xff"}} },
		"nameless fact":         func(p *Permit) { p.Custom = []CustomData{{"", "x"}} },
		"too many fields":       func(p *Permit) { p.Fields = many },
		"endless statement":     func(p *Permit) { p.Statement = strings.Repeat("甲", 1000) },
		"endless value":         func(p *Permit) { p.Fields[0].Value = strings.Repeat("甲", 100_000) },
		"office too wide":       func(p *Permit) { p.Office = strings.Repeat("局", 60) },
	} {
		p := testPermit()
		change(&p)
		data, err := NewPermit(p)
		var author *AuthorError
		if !errors.As(err, &author) || data != nil {
			t.Errorf("%s: %v and %d bytes", name, err, len(data))
			continue
		}
		if author.Code() != "SG-SEAL-REQUEST" {
			t.Errorf("%s: code %s", name, author.Code())
		}
	}
	p := testPermit()
	p.Fields = many
	if _, err := NewPermit(p); !errors.Is(err, ErrPageFull) {
		t.Errorf("too many fields: %v", err)
	}
	p = testPermit()
	p.Fields[3].Value = "张\U0002A6D6"
	_, err := NewPermit(p)
	var missing *typeface.MissingError
	if !errors.As(err, &missing) || missing.Rune != 0x2A6D6 {
		t.Errorf("a character that the typeface lacks: %v", err)
	}
}

func TestSealGoesOverOfficeAndDateInsideThePage(t *testing.T) {
	x, y := testPermit().SealCentre()
	const half = 25 // of the largest seal of an office
	if x-half < 16 || x+half > 210-16 || y-half < permitBodyEnd || y+half > 297-16 || y < permitOfficeY || y > permitDateY {
		t.Errorf("centre %v, %v", x, y)
	}
}

func TestAuthorEmbedsAnImageOnceHoweverOftenItIsPlaced(t *testing.T) {
	a := NewAuthor(AuthorInfo{DocID: testDocID, Title: "图", Created: testDate()}, testFace(t))
	picture := testPNG(t)
	for range 2 {
		s := a.AddSheet(210, 297)
		s.Image(10, 10, 20, 20, picture)
		s.Text(10, 40, "第一页", TextStyle{Size: 5})
	}
	data, err := a.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	pkg := unpack(t, data)
	media := pkg.xml(t, "Doc_0/DocumentRes.xml").find(t, "MultiMedias").Children
	if len(media) != 1 || media[0].attr("Format") != "PNG" {
		t.Fatalf("%d images", len(media))
	}
	if got := pkg.files["Doc_0/Res/"+media[0].find(t, "MediaFile").Text]; !bytes.Equal(got, picture) {
		t.Error("the image changed")
	}
	object := pkg.xml(t, "Doc_0/Pages/Page_1/Content.xml").find(t, "Content", "Layer", "ImageObject")
	if object.attr("ResourceID") != media[0].attr("ID") || object.attr("CTM") != "20 0 0 20 0 0" {
		t.Errorf("image object %v", object.Attrs)
	}
}

func TestAuthorRefusesWhatLiesOutsideThePage(t *testing.T) {
	for name, place := range map[string]func(*Sheet){
		"text right":    func(s *Sheet) { s.Text(95, 50, "甲乙", TextStyle{Size: 5}) },
		"text above":    func(s *Sheet) { s.Text(5, 2, "甲", TextStyle{Size: 5}) },
		"text size":     func(s *Sheet) { s.Text(5, 50, "甲", TextStyle{}) },
		"line":          func(s *Sheet) { s.Line(5, 5, 105, 5, 0.2, RGB{}) },
		"no thickness":  func(s *Sheet) { s.Line(5, 5, 50, 5, 0, RGB{}) },
		"rectangle":     func(s *Sheet) { s.Rect(-5, 5, 10, 10, 0.2, RGB{}) },
		"image":         func(s *Sheet) { s.Image(90, 90, 20, 20, testPNG(t)) },
		"not an image":  func(s *Sheet) { s.Image(1, 1, 2, 2, []byte("GIF89a")) },
		"page too wide": func(s *Sheet) { s.author.AddSheet(5000, 100) },
	} {
		a := NewAuthor(AuthorInfo{DocID: testDocID, Created: testDate()}, testFace(t))
		place(a.AddSheet(100, 100))
		var author *AuthorError
		if data, err := a.Bytes(); !errors.As(err, &author) || data != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := NewAuthor(AuthorInfo{DocID: testDocID, Created: testDate()}, testFace(t)).Bytes(); err == nil {
		t.Error("a document without pages was made")
	}
}

func TestLinesBreakWhereChineseTextMay(t *testing.T) {
	a := NewAuthor(AuthorInfo{DocID: testDocID, Created: testDate()}, testFace(t))
	style := TextStyle{Size: 1}
	for _, c := range []struct {
		text string
		room float64
		want string
	}{
		{"一二三四五六", 3, "一二三|四五六"},
		{"一二三，四五", 3, "一二|三，四|五"},
		{"一二（三四）五", 3, "一二|（三|四）五"},
		{"编号 AB12-34 止", 4, "编号|AB12-34|止"},
		{"", 3, ""},
		{"甲", 0.5, "甲"},
		{"WWWWWWWWWW", 3, "WW|WW|WW|WW|WW"},
	} {
		lines, err := a.wrap(c.text, style, c.room)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(lines, "|"); got != c.want {
			t.Errorf("%q in %v: %q, want %q", c.text, c.room, got, c.want)
		}
	}
}

func FuzzNewPermit(f *testing.F) {
	f.Add("许可证", "编号1", "名称", "值 <&>\"'", "经审核，准予。", "局")
	f.Add("a", "b", "", "", "", "c")
	f.Fuzz(func(t *testing.T, title, number, label, value, statement, office string) {
		p := Permit{DocID: testDocID, Title: title, Number: number, Fields: []PermitField{{label, value}},
			Statement: statement, Office: office, Issued: testDate()}
		data, err := NewPermit(p)
		if err != nil {
			return
		}
		pkg := unpack(t, data)
		info := pkg.xml(t, "OFD.xml").find(t, "DocBody", "DocInfo")
		if got := info.find(t, "Title").Text; got != title {
			t.Errorf("title %q became %q", title, got)
		}
		pkg.xml(t, "Doc_0/Pages/Page_0/Content.xml")
	})
}

func BenchmarkNewPermit(b *testing.B) {
	p := testPermit()
	for b.Loop() {
		if _, err := NewPermit(p); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStrictReaderFindsNothingWrongWithAPermit(t *testing.T) {
	p, problems := Open(must(t, testPermit()))
	if p == nil {
		t.Fatal(problems)
	}
	for _, problem := range append(problems, p.CheckContents()...) {
		if problem.Code != CodeUnsigned {
			t.Error(problem)
		}
	}
	for _, name := range p.Names() {
		if !p.Reachable(name) && name != RootFile {
			t.Errorf("%s is reachable from nowhere", name)
		}
	}
	if len(p.Bodies) != 1 || len(p.Bodies[0].Document.Pages) != 1 || p.Bodies[0].DocID != testDocID {
		t.Fatalf("bodies %+v", p.Bodies)
	}
	if b := p.Bodies[0].Document.Pages[0].Box; b == nil || b.W != 210 || b.H != 297 {
		t.Errorf("page box %+v", b)
	}
}
