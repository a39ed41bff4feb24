package ofd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Box is a rectangle in millimetres; the origin is the page's top left corner
// and y grows downwards (ST_Box).
type Box struct{ X, Y, W, H float64 }

// ParseBox reads "x y w h": four finite numbers.
func ParseBox(s string) (Box, error) {
	f := strings.Fields(s)
	if len(f) != 4 || len(s) > 256 {
		return Box{}, fmt.Errorf("a box needs four numbers")
	}
	var v [4]float64
	for i := range f {
		n, err := strconv.ParseFloat(f[i], 64)
		if err != nil || math.IsInf(n, 0) || math.IsNaN(n) || math.Abs(n) > 1e6 {
			return Box{}, fmt.Errorf("a box needs four finite numbers below a million")
		}
		v[i] = n
	}
	return Box{v[0], v[1], v[2], v[3]}, nil
}

// String writes the box as an OFD attribute, at most three decimals.
func (b Box) String() string {
	return number(b.X) + " " + number(b.Y) + " " + number(b.W) + " " + number(b.H)
}

func number(v float64) string {
	v = math.Round(v*1000) / 1000
	if v == 0 {
		v = 0 // no "-0"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// Empty reports whether the box has no area.
func (b Box) Empty() bool { return !(b.W > 0 && b.H > 0) }

// Intersect returns the common part; it is Empty when there is none.
func (b Box) Intersect(o Box) Box {
	x, y := math.Max(b.X, o.X), math.Max(b.Y, o.Y)
	return Box{x, y, math.Min(b.X+b.W, o.X+o.W) - x, math.Min(b.Y+b.H, o.Y+o.H) - y}
}

// Contains reports whether o lies inside b, with a tolerance of a micrometre.
func (b Box) Contains(o Box) bool {
	const eps = 1e-3
	return o.X >= b.X-eps && o.Y >= b.Y-eps && o.X+o.W <= b.X+b.W+eps && o.Y+o.H <= b.Y+b.H+eps
}
