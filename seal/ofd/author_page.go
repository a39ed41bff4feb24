package ofd

import (
	"bytes"
	"fmt"
	"image"
	_ "image/jpeg" // a format of image objects
	_ "image/png"  // the other
	"math"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
)

// RGB is a colour of the default colour space.
type RGB struct{ R, G, B uint8 }

// Align says which point of a text its position is.
type Align uint8

// The alignments.
const (
	AlignLeft Align = iota
	AlignCentre
	AlignRight
)

// TextStyle says how a text looks.
type TextStyle struct {
	Size    float64 // mm; 小四 is 4.23
	Spacing float64 // mm added between characters
	Align   Align
	Colour  RGB
}

// A Sheet is a page in the making. Positions are in millimetres from its top
// left corner. What lies outside the page is an error of the Author.
type Sheet struct {
	author          *Author
	number          int
	width, height   float64
	pageID, layerID int
	objects         strings.Builder
}

// authorImage is an image resource.
type authorImage struct {
	id     int
	file   string
	format string // as in MultiMedia@Format
	sum    [gm.DigestSize]byte
	data   []byte
}

const maxImagePixels = 64 << 20

func (s *Sheet) part() string { return fmt.Sprintf("sheet %d", s.number) }

// inside checks a box against the page, with a hair's tolerance.
func (s *Sheet) inside(what string, x, y, w, h float64) bool {
	const hair = 0.001
	if x >= -hair && y >= -hair && w >= 0 && h >= 0 && x+w <= s.width+hair && y+h <= s.height+hair {
		return true
	}
	s.author.fail(s.part(), what+" outside the page")
	return false
}

// Text sets one line of text with its base line at y and its left end, middle
// or right end at x. Empty text sets nothing.
func (s *Sheet) Text(x, y float64, text string, style TextStyle) {
	a := s.author
	if a.err != nil || text == "" || !a.checkText(s.part(), text) {
		return
	}
	if !(style.Size >= 0.5 && style.Size <= 200) || math.IsNaN(style.Spacing) || math.Abs(style.Spacing) > 200 {
		a.fail(s.part(), "text size or spacing out of range")
		return
	}
	advances, err := a.face.Advances(text)
	if err != nil {
		a.failWith(fmt.Errorf("author %s: %w", s.part(), err))
		return
	}
	deltas := make([]string, len(advances)-1)
	width := advances[len(advances)-1] * style.Size
	for i := range deltas {
		d := advances[i]*style.Size + style.Spacing
		deltas[i] = authorMM(d)
		width += d
	}
	switch style.Align {
	case AlignCentre:
		x -= width / 2
	case AlignRight:
		x -= width
	}
	// The box is an em above the base line and a third below it, so that
	// readers that clip objects to their box cut nothing off.
	top, height := y-style.Size, style.Size*4/3
	if !s.inside("text", x, top, width, height) {
		return
	}
	for _, r := range text {
		a.runes[r] = true
	}
	o := &s.objects
	fmt.Fprintf(o, `<ofd:TextObject ID="%d" Boundary="%s" Font="%d" Size="%s">`,
		a.nextID(), authorBox(x, top, width, height), a.fontID, authorMM(style.Size))
	fmt.Fprintf(o, `<ofd:FillColor Value="%s"/>`, style.Colour)
	fmt.Fprintf(o, `<ofd:TextCode X="0" Y="%s"`, authorMM(style.Size))
	if len(deltas) > 0 {
		fmt.Fprintf(o, ` DeltaX="%s"`, strings.Join(deltas, " "))
	}
	fmt.Fprintf(o, ">%s</ofd:TextCode></ofd:TextObject>\n", authorEscape(text))
}

// Line draws a straight stroke.
func (s *Sheet) Line(x1, y1, x2, y2, thickness float64, colour RGB) {
	x, y := min(x1, x2), min(y1, y2)
	w, h := math.Abs(x2-x1), math.Abs(y2-y1)
	s.path("line", x, y, w, h, thickness, colour, fmt.Sprintf("M %s %s L %s %s",
		authorMM(x1-x+thickness), authorMM(y1-y+thickness), authorMM(x2-x+thickness), authorMM(y2-y+thickness)))
}

// Rect draws the outline of a rectangle, the stroke centred on its edges.
func (s *Sheet) Rect(x, y, w, h, thickness float64, colour RGB) {
	l, r, b := authorMM(thickness), authorMM(w+thickness), authorMM(h+thickness)
	s.path("rectangle", x, y, w, h, thickness, colour,
		fmt.Sprintf("M %s %s L %s %s L %s %s L %s %s C", l, l, r, l, r, b, l, b))
}

// path writes a stroked path whose box is the geometry widened by a thickness
// on every side, so that no reader clips the stroke.
func (s *Sheet) path(what string, x, y, w, h, thickness float64, colour RGB, data string) {
	if s.author.err != nil {
		return
	}
	if !(thickness > 0 && thickness <= 50) {
		s.author.fail(s.part(), "stroke out of range")
		return
	}
	x, y, w, h = x-thickness, y-thickness, w+2*thickness, h+2*thickness
	if !s.inside(what, x, y, w, h) {
		return
	}
	fmt.Fprintf(&s.objects, `<ofd:PathObject ID="%d" Boundary="%s" LineWidth="%s"><ofd:StrokeColor Value="%s"/>`+
		"<ofd:AbbreviatedData>%s</ofd:AbbreviatedData></ofd:PathObject>\n",
		s.author.nextID(), authorBox(x, y, w, h), authorMM(thickness), colour, data)
}

// Image places a PNG or JPEG so that it fills the box. The same bytes placed
// twice are one resource.
func (s *Sheet) Image(x, y, w, h float64, data []byte) {
	a := s.author
	if a.err != nil || !s.inside("image", x, y, w, h) {
		return
	}
	im, err := a.image(data)
	if err != nil {
		a.fail(s.part(), "image: "+err.Error())
		return
	}
	fmt.Fprintf(&s.objects, `<ofd:ImageObject ID="%d" Boundary="%s" CTM="%s 0 0 %s 0 0" ResourceID="%d"/>`+"\n",
		a.nextID(), authorBox(x, y, w, h), authorMM(w), authorMM(h), im.id)
}

func (a *Author) image(data []byte) (authorImage, error) {
	sum := gm.SM3(data)
	for _, im := range a.images {
		if im.sum == sum {
			return im, nil
		}
	}
	config, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return authorImage{}, errImageFormat
	}
	if int64(config.Width)*int64(config.Height) > maxImagePixels {
		return authorImage{}, fmt.Errorf("more than %d pixels", maxImagePixels)
	}
	im := authorImage{id: a.nextID(), sum: sum, data: bytes.Clone(data)}
	switch format {
	case "png":
		im.format, im.file = "PNG", fmt.Sprintf("image_%d.png", im.id)
	case "jpeg":
		im.format, im.file = "JPEG", fmt.Sprintf("image_%d.jpg", im.id)
	default:
		return authorImage{}, errImageFormat
	}
	a.images = append(a.images, im)
	return im, nil
}
