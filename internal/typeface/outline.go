package typeface

import (
	"math"

	"golang.org/x/image/font/sfnt"
)

// Op says how a Segment goes on from where the last one ended.
type Op uint8

// The operations of a TrueType outline.
const (
	MoveTo Op = iota // begins a contour at P[0]
	LineTo           // straight to P[0]
	QuadTo           // a quadratic curve by way of P[0] to P[1]
)

// A Point is in em: x to the right of the pen, y down from the base line.
type Point struct{ X, Y float32 }

// A Segment is one step along an outline.
type Segment struct {
	Op Op
	P  [2]Point
}

// An Outline is the shape of one character. It is filled by the non-zero rule;
// every contour ends where it began. It may have no segments, as a space has.
type Outline struct {
	Rune     rune
	Advance  float64 // em
	Segments []Segment
	// Min and Max are corners of a box around all points, curve points that
	// the curve only leans to among them. Both are zero for an empty outline.
	Min, Max Point
}

// Empty says whether the outline puts no ink on the page.
func (o *Outline) Empty() bool { return len(o.Segments) == 0 }

func (f *Face) segment(s sfnt.Segment) Segment {
	at := func(i int) Point {
		return Point{X: float32(s.Args[i].X) / f.unitsPerEm, Y: float32(s.Args[i].Y) / f.unitsPerEm}
	}
	switch s.Op {
	case sfnt.SegmentOpMoveTo:
		return Segment{Op: MoveTo, P: [2]Point{at(0)}}
	case sfnt.SegmentOpLineTo:
		return Segment{Op: LineTo, P: [2]Point{at(0)}}
	default: // TrueType outlines have no cubic curves
		return Segment{Op: QuadTo, P: [2]Point{at(0), at(1)}}
	}
}

func (o *Outline) measure() {
	if o.Empty() {
		return
	}
	inf := float32(math.Inf(1))
	o.Min, o.Max = Point{inf, inf}, Point{-inf, -inf}
	for _, s := range o.Segments {
		n := 1
		if s.Op == QuadTo {
			n = 2
		}
		for _, p := range s.P[:n] {
			o.Min.X, o.Max.X = min(o.Min.X, p.X), max(o.Max.X, p.X)
			o.Min.Y, o.Max.Y = min(o.Min.Y, p.Y), max(o.Max.Y, p.Y)
		}
	}
}
