// Package stamp draws the pictures of seals: red ink on nothing, to the size
// in millimetres that 国发〔1999〕25号 prescribes for physical seals, because an
// electronic seal's picture is that of its physical twin (GB/T 33481).
//
// It draws round seals (name on the upper arc, star or empty centre, an
// optional straight line below it and an optional filing number on the lower
// arc) and oval ones (发票专用章 and the like). The proportions follow the
// drawing rule of the project's specification, section 5.3.
//
// What it refuses to do: it draws no national emblem and no party emblem (a
// seal that has one is scanned from the filed impression 印模, not redrawn); it
// never squeezes a text beyond legibility or leaves out a character that the
// typeface lacks, it says so; and it does not allocate filing numbers.
//
//	png, err := stamp.Draw(stamp.Spec{
//		Name: "吉林省人力资源和社会保障厅", Line: "电子证照专用章",
//		Centre: stamp.Star, Diameter: 42, DPI: 600,
//	})
package stamp

import (
	"fmt"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/typeface"
)

// Shape is the outline of a seal.
type Shape uint8

// The shapes.
const (
	Round Shape = iota // 圆形, of Spec.Diameter
	Oval               // 椭圆形, of Spec.Width by Spec.Height
)

// Centre is what stands in the middle of a seal.
type Centre uint8

// The centres.
const (
	Empty Centre = iota // nothing, as on 专用章
	Star                // the five-pointed star 五角星, one point up
)

// Limits of a Spec. The sizes are those in use (35 mm dry seals to the 60 mm
// of the State Council; ovals of 40×30 and 45×30), the resolutions those that
// print well: 300 dpi is the least that GB/T 33481 practice accepts.
const (
	MinDiameter, MaxDiameter = 35, 60 // mm
	MinOval, MaxOval         = 25, 60 // mm, either axis
	MinDPI, MaxDPI           = 300, 1200
	MaxName                  = 40 // characters; what fits is found by drawing
	MaxLine                  = 20 // characters
)

// A Spec says what to draw.
type Spec struct {
	Shape    Shape
	Diameter int // mm, of a round seal: 42 for most offices, 45 and 50 for higher ones
	Width    int // mm, of an oval seal
	Height   int // mm, of an oval seal
	DPI      int // pixels an inch; 600 serves screen and print

	Name   string // 法定名称, along the upper arc
	Line   string // the use, straight below the centre: 财务专用章; may be empty
	Code   string // the 13 or 14 digits of the public-security filing, on the lower arc of a round seal, in the middle of an oval one (tax number: 15 to 20 letters and digits); may be empty
	Centre Centre
}

// A SpecError says which field of a Spec cannot be drawn, and why.
type SpecError struct {
	Field  string
	Reason string
}

func (e *SpecError) Error() string { return fmt.Sprintf("seal picture: %s: %s", e.Field, e.Reason) }

// Code is the stable code of the error at an edge.
func (e *SpecError) Code() string { return "SG-SEAL-REQUEST" }

// Public is what may be told to whoever asked for the picture.
func (e *SpecError) Public() (zh, en string) {
	return "印模参数 " + e.Field + " 不符合规则：" + e.Reason, e.Error()
}

// Size returns the nominal width and height in millimetres: what the seal's
// SES_ESPictureInfo says and the box that it takes on a page.
func (s Spec) Size() (width, height int) {
	if s.Shape == Oval {
		return s.Width, s.Height
	}
	return s.Diameter, s.Diameter
}

// Check returns a *SpecError for a Spec outside the limits, a
// *typeface.MissingError for a character that cannot be drawn. Whether the
// texts fit is found by Draw alone.
func (s Spec) Check() error {
	switch s.Shape {
	case Round:
		if s.Diameter < MinDiameter || s.Diameter > MaxDiameter {
			return &SpecError{"diameter", fmt.Sprintf("%d mm is not between %d and %d", s.Diameter, MinDiameter, MaxDiameter)}
		}
		if s.Code != "" && !digits(s.Code, 13, 14) {
			return &SpecError{"code", "a filing number has 13 or 14 digits"}
		}
	case Oval:
		if min(s.Width, s.Height) < MinOval || max(s.Width, s.Height) > MaxOval || s.Width < s.Height {
			return &SpecError{"size", fmt.Sprintf("an oval of %d×%d mm: both between %d and %d, wider than high", s.Width, s.Height, MinOval, MaxOval)}
		}
		if s.Centre != Empty {
			return &SpecError{"centre", "an oval seal has its number in the middle, no star"}
		}
		if s.Code != "" && !taxNumber(s.Code) {
			return &SpecError{"code", "a tax number has 15 to 20 digits and capital letters"}
		}
	default:
		return &SpecError{"shape", "unknown"}
	}
	if s.Centre > Star {
		return &SpecError{"centre", "unknown"}
	}
	if s.DPI < MinDPI || s.DPI > MaxDPI {
		return &SpecError{"dpi", fmt.Sprintf("%d is not between %d and %d", s.DPI, MinDPI, MaxDPI)}
	}
	if err := checkText("name", s.Name, 2, MaxName); err != nil {
		return err
	}
	if err := checkText("line", s.Line, 0, MaxLine); err != nil {
		return err
	}
	face, err := typeface.Song()
	if err != nil {
		return err
	}
	return face.Check(s.Name + s.Line + s.Code)
}

// checkText admits visible characters only: a seal's text has no spaces.
func checkText(field, text string, least, most int) error {
	if !utf8.ValidString(text) {
		return &SpecError{field, "not UTF-8"}
	}
	n := utf8.RuneCountInString(text)
	if n < least || n > most {
		return &SpecError{field, fmt.Sprintf("%d characters are not between %d and %d", n, least, most)}
	}
	for _, r := range text {
		if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.Mn, r) {
			return &SpecError{field, fmt.Sprintf("U+%04X is no character of a seal", r)}
		}
	}
	return nil
}

func digits(s string, least, most int) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

func taxNumber(s string) bool {
	for _, c := range []byte(s) {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) >= 15 && len(s) <= 20
}

// Draw draws the seal and returns it as a PNG with a transparent background,
// Size() millimetres at DPI. The same Spec gives the same picture. Errors are
// those of Check, and a *SpecError when a text does not fit legibly.
func Draw(s Spec) ([]byte, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	face, err := typeface.Song()
	if err != nil {
		return nil, err
	}
	width, height := s.Size()
	c := newCanvas(float64(width), float64(height), s.DPI)
	if err := compose(c, face, s); err != nil {
		return nil, err
	}
	return c.png()
}
