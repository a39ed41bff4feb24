package typeface

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

func load(t testing.TB) *Face {
	t.Helper()
	face, err := Song()
	if err != nil {
		t.Fatal(err)
	}
	return face
}

func TestFaceDrawsTextsOfSealsAndLicences(t *testing.T) {
	face := load(t)
	const text = "吉林省人力资源和社会保障厅电子证照专用章二〇二六年十一月abcXYZ0123456789（）《》、。·" +
		"祎堃喆昇珺玥㛃䶮𬭳𫖯" // General Standard characters beyond GB 2312, two of them beyond the basic plane
	for _, r := range text {
		o, err := face.Outline(r)
		if err != nil {
			t.Errorf("U+%04X: %v", r, err)
			continue
		}
		if o.Empty() || o.Min.X >= o.Max.X || o.Min.Y >= o.Max.Y {
			t.Errorf("U+%04X has no shape: %+v", r, o)
		}
		if o.Segments[0].Op != MoveTo {
			t.Errorf("U+%04X does not begin with a move", r)
		}
	}
}

func TestFaceSetsHanziOneEmWide(t *testing.T) {
	face := load(t)
	advances, err := face.Advances("章a")
	if err != nil {
		t.Fatal(err)
	}
	if advances[0] != 1 || advances[1] <= 0.3 || advances[1] >= 0.7 {
		t.Errorf("advances %v", advances)
	}
	if a, err := face.Advance('章'); err != nil || a != 1 {
		t.Errorf("Advance(章) = %v, %v", a, err)
	}
}

func TestFaceHasAllOfGB2312(t *testing.T) {
	face := load(t)
	// The first and last characters of level 1 and level 2, and the corners of
	// the symbol rows, stand for the list; the count stands for the rest.
	if err := face.Check("啊座亍齄　╋ё０～￥"); err != nil {
		t.Error(err)
	}
	var buf sfnt.Buffer
	hanzi := 0
	for r := rune(0x4E00); r < 0xA000; r++ {
		if g, _ := face.font.GlyphIndex(&buf, r); g != 0 {
			hanzi++
		}
	}
	if hanzi < 6763 {
		t.Errorf("%d hanzi", hanzi)
	}
}

func TestMissingCharacterIsAnErrorThatNamesIt(t *testing.T) {
	face := load(t)
	_, outlineErr := face.Outline('😀')
	_, advanceErr := face.Advance('😀')
	_, advancesErr := face.Advances("好😀")
	_, subsetErr := face.Subset([]rune("好😀"))
	for name, err := range map[string]error{
		"Outline": outlineErr, "Advance": advanceErr, "Advances": advancesErr,
		"Subset": subsetErr, "Check": face.Check("好😀"),
	} {
		var missing *MissingError
		if !errors.As(err, &missing) || missing.Rune != '😀' {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !strings.Contains(err.Error(), "U+1F600") || missing.Code() != "SG-SEAL-REQUEST" {
			t.Errorf("%s: %v, code %s", name, err, missing.Code())
		}
	}
}

func TestSubsetKeepsShapesAndAdvancesOfItsCharacters(t *testing.T) {
	face := load(t)
	text := []rune("长春市人民政府 2026-11-24 ABC，𬭳～\uFF5E")
	data, err := face.Subset(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(data) > 40_000 {
		t.Errorf("a subset of %d characters has %d bytes", len(text), len(data))
	}
	small, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range text {
		want, err := face.Outline(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := small.Outline(r)
		if err != nil {
			t.Errorf("subset lacks U+%04X: %v", r, err)
			continue
		}
		if got.Advance != want.Advance || got.Min != want.Min || got.Max != want.Max || len(got.Segments) != len(want.Segments) {
			t.Errorf("U+%04X changed its shape", r)
		}
	}
	if _, err := small.Outline('国'); err == nil {
		t.Error("the subset has a character nobody asked for")
	}
	if name, _ := small.font.Name(nil, sfnt.NameIDLicense); !strings.Contains(name, "SIL Open Font License") {
		t.Errorf("licence entry %q", name)
	}
	if b, err := small.font.Bounds(nil, fixed.I(1000), 0); err != nil || b.Empty() {
		t.Errorf("bounds %v, %v", b, err)
	}
}

func TestSubsetIsTheSameForTheSameSet(t *testing.T) {
	face := load(t)
	a, err := face.Subset([]rune("印章印"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := face.Subset([]rune("章印"))
	if err != nil {
		t.Fatal(err)
	}
	if string(a) != string(b) {
		t.Error("order or repetition changed the bytes")
	}
	if checksum(a) != 0xB1B0AFBA {
		t.Errorf("file checksum %08X", checksum(a))
	}
}

func TestSubsetOfEverythingAndOfNothing(t *testing.T) {
	face := load(t)
	var all []rune
	var buf sfnt.Buffer
	for r := rune(0x20); r < 0x32000; r++ {
		if g, _ := face.font.GlyphIndex(&buf, r); g != 0 {
			all = append(all, r)
		}
	}
	if len(all) < 9000 {
		t.Fatalf("only %d characters", len(all))
	}
	data, err := face.Subset(all)
	if err != nil {
		t.Fatal(err)
	}
	big, err := parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := big.Check(string(all)); err != nil {
		t.Error(err)
	}
	if data, err = face.Subset(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := parse(data); err != nil {
		t.Errorf("the empty subset does not parse: %v", err)
	}
}

func FuzzSubset(f *testing.F) {
	face := load(f)
	f.Add("长春市")
	f.Add("")
	f.Add("a\U0002B363\uFFFD")
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 4096 {
			t.Skip()
		}
		data, err := face.Subset([]rune(text))
		if err != nil {
			var missing *MissingError
			if !errors.As(err, &missing) {
				t.Fatal(err)
			}
			return
		}
		small, err := parse(data)
		if err != nil {
			t.Fatal(err)
		}
		if err := small.Check(text); err != nil {
			t.Fatal(err)
		}
	})
}

func BenchmarkSubsetOf100(b *testing.B) {
	face := load(b)
	runes := []rune(strings.Repeat("吉林省人力资源和社会保障厅电子证照专用章", 5))
	for b.Loop() {
		if _, err := face.Subset(runes); err != nil {
			b.Fatal(err)
		}
	}
}
