package stamp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/typeface"
)

func office() Spec {
	return Spec{Name: "吉林省人力资源和社会保障厅", Line: "电子证照专用章", Code: "2201000012345", Centre: Star, Diameter: 42, DPI: 300}
}

func draw(t testing.TB, s Spec) image.Image {
	t.Helper()
	data, err := Draw(s)
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return picture
}

// ink is how much of a pixel is covered, 0 to 1.
func ink(p image.Image, x, y int) float64 {
	_, _, _, a := p.At(x, y).RGBA()
	return float64(a) / 0xFFFF
}

func TestPictureHasItsNominalSizeAndResolution(t *testing.T) {
	for _, diameter := range []int{42, 45, 50} {
		s := office()
		s.Diameter, s.DPI = diameter, 600
		data, err := Draw(s)
		if err != nil {
			t.Fatal(err)
		}
		config, err := png.DecodeConfig(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		want := int(math.Round(float64(diameter) / 25.4 * 600))
		if config.Width != want || config.Height != want {
			t.Errorf("%d mm: %d×%d pixels, want %d", diameter, config.Width, config.Height, want)
		}
		i := bytes.Index(data, []byte("pHYs"))
		if i < 0 || binary.BigEndian.Uint32(data[i+4:]) != 23622 {
			t.Errorf("%d mm: no pHYs chunk of 600 dpi", diameter)
		}
		if len(data) > 64<<10 {
			t.Errorf("%d mm: %d bytes, too many for something every signature carries", diameter, len(data))
		}
	}
}

func TestInkIsRedAndStaysInsideTheCircle(t *testing.T) {
	s := office()
	p := draw(t, s)
	c, r := float64(p.Bounds().Dx())/2, float64(p.Bounds().Dx())/2
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			red, green, blue, a := p.At(x, y).RGBA()
			if a == 0 {
				continue
			}
			if math.Hypot(float64(x)+0.5-c, float64(y)+0.5-c) > r+1 {
				t.Fatalf("ink at %d,%d outside the seal", x, y)
			}
			if a == 0xFFFF && (red>>8 != inkR || green>>8 != inkG || blue>>8 != inkB) {
				t.Fatalf("colour %04X %04X %04X at %d,%d", red, green, blue, x, y)
			}
		}
	}
}

func TestRingIsUnbrokenAndAsThickAsTheRuleSays(t *testing.T) {
	s := office()
	s.DPI = 600
	p := draw(t, s)
	c := float64(p.Bounds().Dx()) / 2
	scale := 600 / 25.4
	for degree := range 360 {
		sin, cos := math.Sincos(float64(degree) * math.Pi / 180)
		at := func(mm float64) float64 {
			return ink(p, int(c+mm*scale*sin), int(c-mm*scale*cos))
		}
		if at(21-0.15) < 1 || at(21-1.05) < 1 {
			t.Errorf("ring broken at %d°", degree)
		}
		if at(21-1.4) > 0 {
			t.Errorf("ink between ring and text at %d°", degree)
		}
	}
}

func TestStarIsSymmetricWithOnePointUp(t *testing.T) {
	s := Spec{Name: "长春", Centre: Star, Diameter: 42, DPI: 600}
	p := draw(t, s)
	n := p.Bounds().Dx()
	c, scale := float64(n)/2, 600/25.4
	covered := 0.0
	for y := range n {
		for x := range n / 2 {
			if math.Hypot(float64(x)-c, float64(y)-c) > 7.2*scale {
				continue
			}
			left, right := ink(p, x, y), ink(p, n-1-x, y)
			if math.Abs(left-right) > 0.2 {
				t.Fatalf("not symmetric at %d,%d: %.2f and %.2f", x, y, left, right)
			}
			covered += left + right
		}
	}
	// The area of a pentagram of circumscribed radius R is 1.12257 R².
	if want := 1.12257 * 49 * scale * scale; math.Abs(covered-want) > want/100 {
		t.Errorf("the star covers %.0f pixels, want %.0f", covered, want)
	}
	if top := ink(p, n/2, int(c-6.5*scale)); top < 0.5 {
		t.Error("no point at the top")
	}
	if bottom := ink(p, n/2, int(c+6.5*scale)); bottom > 0 {
		t.Error("a point at the bottom")
	}
}

// Every character of the name must leave ink in its own sector: that catches
// contours that cancel, characters drawn over each other, and blanks.
func TestEveryCharacterOfTheNameIsDrawnInItsSector(t *testing.T) {
	s := Spec{Name: "长春市朝阳区人民政府", Centre: Star, Diameter: 45, DPI: 600}
	p := draw(t, s)
	c, scale := float64(p.Bounds().Dx())/2, 600/25.4
	runes := []rune(s.Name)
	tall := 45 * nameTall
	base := newEllipse(22.5-1.2-nameGap-tall, 22.5-1.2-nameGap-tall)
	pitch := min(tall*namePitch, nameSpan*base.perimeter()/float64(len(runes)))
	step := pitch / base.rx
	share := make([]float64, len(runes))
	outside := 0.0
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			dx, dy := float64(x)+0.5-c, float64(y)+0.5-c
			r := math.Hypot(dx, dy) / scale
			if r < base.rx-0.5 || r > base.rx+tall+0.3 {
				continue
			}
			i := int(math.Floor(math.Atan2(dx, -dy)/step + float64(len(runes))/2))
			if i < 0 || i >= len(share) {
				outside += ink(p, x, y)
				continue
			}
			share[i] += ink(p, x, y)
		}
	}
	for i, r := range runes {
		if cell := tall * tall * scale * scale; share[i] < cell*0.06 || share[i] > cell*0.6 {
			t.Errorf("%c covers %.1f %% of its cell", r, 100*share[i]/cell)
		}
	}
	if outside > 0 {
		t.Errorf("%.0f pixels of text outside the name's arc", outside)
	}
}

func TestTextsNeverTouchEachOtherOrTheStar(t *testing.T) {
	// Drawn part by part, the parts must cover as much as together (but for rounding).
	for name, s := range map[string]Spec{
		"office":    office(),
		"longest":   {Name: strings.Repeat("吉林省政务服务", 4)[:3*24], Line: "行政审批专用章", Centre: Star, Code: "22010000123456", Diameter: 42, DPI: 300},
		"invoice":   {Name: "长春市某某软件技术有限公司", Line: "发票专用章", Code: "91220101MA0000000X", Shape: Oval, Width: 40, Height: 30, DPI: 300},
		"business":  {Name: "长春市某某软件技术有限公司", Line: "财务专用章", Diameter: 38, DPI: 300},
		"contract":  {Name: "长春市某某软件技术有限公司", Line: "合同专用章（1）", Centre: Star, Diameter: 58, DPI: 300},
		"shortName": {Name: "税务", Centre: Star, Diameter: 40, DPI: 300},
	} {
		face, err := typeface.Song()
		if err != nil {
			t.Fatal(err)
		}
		w, h := s.Size()
		blank := func() *canvas { return newCanvas(float64(w), float64(h), s.DPI) }
		border := 1.0
		if s.Shape == Round && s.Diameter >= 42 {
			border = 1.2
		}
		rx, ry := float64(w)/2-border, float64(h)/2-border
		parts := make([]*canvas, 5)
		for i := range parts {
			parts[i] = blank()
		}
		parts[0].ring(float64(w)/2, float64(h)/2, border)
		inner, err := composeName(parts[1], face, s, rx, ry, float64(h))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Centre == Star {
			parts[2].star(float64(h)*starRadius, float64(h)*starRadius*starWaist)
		}
		if s.Line != "" {
			err = errors.Join(err, composeLine(parts[3], face, s.Line, inner, float64(h)))
		}
		if s.Shape == Oval {
			err = errors.Join(err, composeNumber(parts[4], face, s.Code, inner))
		} else if s.Code != "" {
			err = errors.Join(err, composeCode(parts[4], face, s.Code, ry))
		}
		whole := blank()
		if err = errors.Join(err, compose(whole, face, s)); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		sum := 0.0
		for _, part := range parts {
			sum += inkOf(part.image())
		}
		if all := inkOf(whole.image()); math.Abs(all-sum) > 5 {
			t.Errorf("%s: the whole covers %.1f pixels, its parts %.1f", name, all, sum)
		}
	}
}

func inkOf(p image.Image) float64 {
	sum := 0.0
	for y := range p.Bounds().Dy() {
		for x := range p.Bounds().Dx() {
			sum += ink(p, x, y)
		}
	}
	return sum
}

func TestSameSpecGivesTheSamePicture(t *testing.T) {
	a, err := Draw(office())
	if err != nil {
		t.Fatal(err)
	}
	b, err := Draw(office())
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("two pictures of one seal differ")
	}
}

func TestSpecOutsideTheRulesIsRefusedWithItsField(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Spec)
		field  string
	}{
		"too small":              {func(s *Spec) { s.Diameter = 20 }, "diameter"},
		"too large":              {func(s *Spec) { s.Diameter = 600 }, "diameter"},
		"coarse":                 {func(s *Spec) { s.DPI = 72 }, "dpi"},
		"huge":                   {func(s *Spec) { s.DPI = 100000 }, "dpi"},
		"no name":                {func(s *Spec) { s.Name = "" }, "name"},
		"name too long":          {func(s *Spec) { s.Name = strings.Repeat("省", 41) }, "name"},
		"name does not fit":      {func(s *Spec) { s.Name = strings.Repeat("省", 36) }, "name"},
		"name with a line break": {func(s *Spec) { s.Name = "长春\n市" }, "name"},
		"name with a space":      {func(s *Spec) { s.Name = "长春 市" }, "name"},
		"name not UTF-8":         {func(s *Spec) { s.Name = "长春\xff" }, "name"},
		"bidi control in name":   {func(s *Spec) { s.Name = "长\u202e春市" }, "name"},
		"line does not fit":      {func(s *Spec) { s.Line = strings.Repeat("章", 20) }, "line"},
		"code of letters":        {func(s *Spec) { s.Code = "22010000123AB" }, "code"},
		"code too short":         {func(s *Spec) { s.Code = "220100" }, "code"},
		"unknown shape":          {func(s *Spec) { s.Shape = 9 }, "shape"},
		"unknown centre":         {func(s *Spec) { s.Centre = 9 }, "centre"},
		"oval with a star":       {func(s *Spec) { s.Shape, s.Width, s.Height = Oval, 40, 30 }, "code"},
		"upright oval":           {func(s *Spec) { s.Shape, s.Width, s.Height = Oval, 30, 40 }, "size"},
	} {
		s := office()
		c.change(&s)
		picture, err := Draw(s)
		var spec *SpecError
		if !errors.As(err, &spec) || picture != nil {
			t.Errorf("%s: error %v, picture of %d bytes", name, err, len(picture))
			continue
		}
		if name != "oval with a star" && spec.Field != c.field {
			t.Errorf("%s: field %q, want %q (%v)", name, spec.Field, c.field, err)
		}
		if spec.Code() != "SG-SEAL-REQUEST" {
			t.Errorf("%s: code %q", name, spec.Code())
		}
	}
}

func TestCharacterThatTheTypefaceLacksIsRefused(t *testing.T) {
	s := office()
	s.Name = "长春市\U0002A6D6局"
	_, err := Draw(s)
	var missing *typeface.MissingError
	if !errors.As(err, &missing) || missing.Rune != 0x2A6D6 {
		t.Errorf("got %v", err)
	}
}

func BenchmarkDraw(b *testing.B) {
	s := office()
	s.DPI = 600
	for b.Loop() {
		if _, err := Draw(s); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzDraw(f *testing.F) {
	f.Add("长春市人民政府", "专用章", "2201000012345", 42, true)
	f.Add("税务", "", "", 60, false)
	f.Add("a.b", "x", "22010000123456", 35, true)
	f.Fuzz(func(t *testing.T, name, line, code string, diameter int, star bool) {
		s := Spec{Name: name, Line: line, Code: code, Diameter: diameter, DPI: MinDPI}
		if star {
			s.Centre = Star
		}
		data, err := Draw(s)
		if err != nil {
			return
		}
		if _, err := png.Decode(bytes.NewReader(data)); err != nil {
			t.Fatal(err)
		}
	})
}
