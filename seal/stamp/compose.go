package stamp

import (
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/typeface"
)

// Everything here is in millimetres with the origin at the seal's centre, x to
// the right and y down.

// Proportions of the drawing rule.
const (
	nameTall, nameLow = 0.125, 0.10 // height of the name's characters, of the smaller axis
	narrowest         = 0.60        // least width of a character, of its height
	comfortable       = 0.74        // width below which the height gives way first
	namePitch         = 1.22        // most distance of characters on the base line, of their height
	nameTight         = 1.06        // least distance, of their width
	nameGap           = 0.9         // between name and border
	nameSpan          = 300.0 / 360 // most of the perimeter that a name takes
	nameSpanAboveCode = 265.0 / 360 // the same when a number stands below
	starRadius        = 1.0 / 6     // circumscribed, of the diameter
	starWaist         = 0.381966    // inner radius of a star, of the outer
	lineDrop          = 0.22        // centre of the straight line below the seal's, of the diameter
	lineTall, lineLow = 0.105, 0.08 // height of the straight line, of the diameter
	codeHeight        = 1.4         // of the digits on the lower arc
	codeGap           = 0.8         // between digits and border
	codeSpan          = 70.0 / 360  // of the perimeter
	emDescent         = 0.12        // of a Song em box below the base line
)

func compose(c *canvas, face *typeface.Face, s Spec) error {
	w, h := s.Size()
	rx, ry := float64(w)/2, float64(h)/2
	small := 2 * ry // the diameter, or the height of an oval
	border := 1.0
	if s.Shape == Round && s.Diameter >= 42 {
		border = 1.2
	}
	c.ring(rx, ry, border)

	inner, err := composeName(c, face, s, rx-border, ry-border, small)
	if err != nil {
		return err
	}
	if s.Centre == Star {
		c.star(small*starRadius, small*starRadius*starWaist)
	}
	if s.Line != "" {
		if err := composeLine(c, face, s.Line, inner, small); err != nil {
			return err
		}
	}
	switch {
	case s.Code == "":
		return nil
	case s.Shape == Oval:
		return composeNumber(c, face, s.Code, inner)
	default:
		return composeCode(c, face, s.Code, ry-border)
	}
}

// composeName sets the name along the upper arc inside an ellipse of semi-axes
// rx, ry and returns the ellipse on which it stands. It is as tall as the rule
// allows while it is comfortably wide; longer names first get lower, then
// narrower, then refused.
func composeName(c *canvas, face *typeface.Face, s Spec, rx, ry, small float64) (ellipse, error) {
	n := float64(utf8.RuneCountInString(s.Name))
	span := nameSpan
	if s.Code != "" && s.Shape == Round {
		span = nameSpanAboveCode
	}
	for i := 0; ; i++ {
		tall := small * (nameTall - 0.005*float64(i))
		low := tall <= small*nameLow+1e-9
		base := newEllipse(rx-nameGap-tall, ry-nameGap-tall)
		pitch := min(tall*namePitch, span*base.perimeter()/n)
		wide := min(1, pitch/nameTight/tall)
		if wide < comfortable && !low {
			continue
		}
		if wide < narrowest {
			return base, &SpecError{"name", fmt.Sprintf("%.0f characters do not fit legibly on a seal of this size", n)}
		}
		at := -pitch * (n - 1) / 2 // from the top of the arc, clockwise
		for _, r := range s.Name {
			outline, err := face.Outline(r)
			if err != nil {
				return base, err
			}
			x, y, angle := base.at(at)
			c.glyph(outline, placement{x: x, y: y, angle: angle, width: tall * wide, height: tall})
			at += pitch
		}
		return base, nil
	}
}

// composeLine sets a straight text below the centre, inside the name.
func composeLine(c *canvas, face *typeface.Face, text string, inside ellipse, small float64) error {
	advances, err := face.Advances(text)
	if err != nil {
		return err
	}
	length := 0.0 // in em
	for _, a := range advances {
		length += a
	}
	centre := small * lineDrop
	for i := 0; ; i++ {
		tall := small * (lineTall - 0.005*float64(i))
		low := tall <= small*lineLow+1e-9
		bottom := centre + tall/2
		room := 2 * (inside.halfWidth(bottom) - nameGap)
		wide := min(1, room/(length*tall))
		if wide < comfortable && !low {
			continue
		}
		if wide < narrowest {
			return &SpecError{"line", fmt.Sprintf("%d characters do not fit legibly below the centre", len(advances))}
		}
		return straight(c, face, text, advances, bottom, tall, wide)
	}
}

// composeNumber sets the tax number of an oval seal, 26 mm of a 40 mm width.
func composeNumber(c *canvas, face *typeface.Face, text string, inside ellipse) error {
	advances, err := face.Advances(text)
	if err != nil {
		return err
	}
	length := 0.0
	for _, a := range advances {
		length += a
	}
	room := 2 * (inside.halfWidth(0) - nameGap)
	tall := min(3.7, room/length)
	return straight(c, face, text, advances, tall*0.5, tall, min(1, room/(length*tall)))
}

// straight sets text centred, its em boxes standing on bottom.
func straight(c *canvas, face *typeface.Face, text string, advances []float64, bottom, tall, wide float64) error {
	x := 0.0
	for _, a := range advances {
		x -= a * tall * wide / 2
	}
	i := 0
	for _, r := range text {
		outline, err := face.Outline(r)
		if err != nil {
			return err
		}
		step := advances[i] * tall * wide
		c.glyph(outline, placement{x: x + step/2, y: bottom, width: tall * wide, height: tall})
		x += step
		i++
	}
	return nil
}

// composeCode sets the filing number along the lower arc, left to right, the
// digits' feet towards the border of inner radius r.
func composeCode(c *canvas, face *typeface.Face, code string, r float64) error {
	base := r - codeGap
	// A digit's ink is about 0.72 em high and stands on the base line.
	em := codeHeight / 0.72
	step := codeSpan * 2 * math.Pi / float64(len(code)-1)
	for i, d := range code {
		outline, err := face.Outline(d)
		if err != nil {
			return err
		}
		angle := step * (float64(len(code)-1)/2 - float64(i)) // from the bottom, clockwise seen from the centre
		feet := base + em*emDescent
		c.glyph(outline, placement{
			x: -feet * math.Sin(angle), y: feet * math.Cos(angle), angle: angle, width: em, height: em,
		})
	}
	return nil
}

// An ellipse with its perimeter measured, so that text can be spaced evenly
// along it.
type ellipse struct {
	rx, ry float64
	length []float64 // arc length from the top to each of the steps, clockwise
}

const ellipseSteps = 4096

func newEllipse(rx, ry float64) ellipse {
	e := ellipse{rx: rx, ry: ry, length: make([]float64, ellipseSteps+1)}
	px, py := e.point(0)
	for i := 1; i <= ellipseSteps; i++ {
		x, y := e.point(2 * math.Pi * float64(i) / ellipseSteps)
		e.length[i] = e.length[i-1] + math.Hypot(x-px, y-py)
		px, py = x, y
	}
	return e
}

// point is at the parameter t, 0 at the top, clockwise.
func (e ellipse) point(t float64) (x, y float64) { return e.rx * math.Sin(t), -e.ry * math.Cos(t) }

func (e ellipse) perimeter() float64 { return e.length[ellipseSteps] }

// at returns the point at a distance along the arc from the top, clockwise,
// and the angle by which an upright character there is turned clockwise.
func (e ellipse) at(distance float64) (x, y, angle float64) {
	sign := 1.0
	if distance < 0 {
		sign, distance = -1, -distance
	}
	i := 0
	for i < ellipseSteps && e.length[i+1] < distance {
		i++
	}
	part := (distance - e.length[i]) / (e.length[i+1] - e.length[i])
	t := 2 * math.Pi * (float64(i) + part) / ellipseSteps
	x, y = e.point(t)
	// The normal of the ellipse, not the direction from its centre.
	return sign * x, y, sign * math.Atan2(e.ry*math.Sin(t), e.rx*math.Cos(t))
}

// halfWidth is the ellipse's half width at the height y.
func (e ellipse) halfWidth(y float64) float64 {
	return e.rx * math.Sqrt(max(0, 1-y*y/(e.ry*e.ry)))
}
