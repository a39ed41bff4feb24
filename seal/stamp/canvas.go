package stamp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"math"

	"golang.org/x/image/vector"

	"github.com/sealgate/sealgate/internal/typeface"
)

// The red of seals: sRGB #E60012.
const inkR, inkG, inkB = 0xE6, 0x00, 0x12

// The levels of coverage that a picture keeps. Sixteen are enough at 300 dpi
// and more, and make the picture, which every signature carries twice, a
// quarter of its size.
const inkLevels = 16

const mmPerInch = 25.4

// A canvas collects outlines, given in millimetres around the centre. Solid
// shapes run clockwise as seen, holes the other way, so that shapes that touch
// never cancel each other.
type canvas struct {
	raster *vector.Rasterizer
	scale  float64 // pixels per mm
	cx, cy float64 // the centre, in pixels
	dpi    int
}

func newCanvas(width, height float64, dpi int) *canvas {
	scale := float64(dpi) / mmPerInch
	w, h := int(math.Round(width*scale)), int(math.Round(height*scale))
	return &canvas{
		raster: vector.NewRasterizer(w, h), scale: scale, dpi: dpi,
		cx: float64(w) / 2, cy: float64(h) / 2,
	}
}

func (c *canvas) pixel(x, y float64) (float32, float32) {
	return float32(c.cx + x*c.scale), float32(c.cy + y*c.scale)
}

func (c *canvas) polygon(points [][2]float64) {
	for i, p := range points {
		x, y := c.pixel(p[0], p[1])
		if i == 0 {
			c.raster.MoveTo(x, y)
		} else {
			c.raster.LineTo(x, y)
		}
	}
	c.raster.ClosePath()
}

// ring draws a border of even thickness whose outer edge is the ellipse. The
// edges are polygons far finer than a pixel.
func (c *canvas) ring(rx, ry, thickness float64) {
	const n = 1440
	outer := make([][2]float64, n)
	inner := make([][2]float64, n)
	for i := range n {
		sin, cos := math.Sincos(2 * math.Pi * float64(i) / n)
		x, y := rx*sin, -ry*cos
		nx, ny := ry*sin, -rx*cos // the outward normal
		l := math.Hypot(nx, ny)
		outer[i] = [2]float64{x, y}
		inner[n-1-i] = [2]float64{x - nx/l*thickness, y - ny/l*thickness}
	}
	c.polygon(outer)
	c.polygon(inner)
}

// star draws a five-pointed star, one point up.
func (c *canvas) star(outer, inner float64) {
	points := make([][2]float64, 10)
	for i := range points {
		r := outer
		if i%2 == 1 {
			r = inner
		}
		sin, cos := math.Sincos(math.Pi * float64(i) / 5)
		points[i] = [2]float64{r * sin, -r * cos}
	}
	c.polygon(points)
}

// A placement says where the foot of a character's em box stands (the middle
// of its lower edge), how the character is turned clockwise about that point,
// and how large its em box becomes.
type placement struct {
	x, y, angle   float64
	width, height float64
}

func (c *canvas) glyph(o *typeface.Outline, p placement) {
	sin, cos := math.Sincos(p.angle)
	at := func(q typeface.Point) (float32, float32) {
		x := (float64(q.X) - o.Advance/2) * p.width
		y := (float64(q.Y) - emDescent) * p.height
		return c.pixel(p.x+x*cos-y*sin, p.y+x*sin+y*cos)
	}
	for i, s := range o.Segments {
		x, y := at(s.P[0])
		switch s.Op {
		case typeface.MoveTo:
			if i > 0 {
				c.raster.ClosePath()
			}
			c.raster.MoveTo(x, y)
		case typeface.LineTo:
			c.raster.LineTo(x, y)
		case typeface.QuadTo:
			x2, y2 := at(s.P[1])
			c.raster.QuadTo(x, y, x2, y2)
		}
	}
	c.raster.ClosePath()
}

// image renders the ink: the value of a pixel is how much of it is covered.
func (c *canvas) image() *image.Alpha {
	size := c.raster.Size()
	mask := image.NewAlpha(image.Rectangle{Max: size})
	c.raster.Draw(mask, mask.Bounds(), image.Opaque, image.Point{})
	return mask
}

func (c *canvas) png() ([]byte, error) {
	mask := c.image()
	picture := image.NewPaletted(mask.Bounds(), palette())
	for i, a := range mask.Pix {
		picture.Pix[i] = uint8((int(a)*(inkLevels-1) + 127) / 255)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("encode seal picture: %w", err)
	}
	return withResolution(out.Bytes(), c.dpi), nil
}

// withResolution puts a pHYs chunk behind the header chunk, so that programs
// that print the picture by itself print it in its size.
func withResolution(data []byte, dpi int) []byte {
	const headerEnd = 8 + 25 // signature, IHDR
	perMetre := uint32(math.Round(float64(dpi) / mmPerInch * 1000))
	body := []byte("pHYs")
	body = binary.BigEndian.AppendUint32(body, perMetre)
	body = binary.BigEndian.AppendUint32(body, perMetre)
	body = append(body, 1) // the unit is the metre
	out := make([]byte, 0, len(data)+21)
	out = append(out, data[:headerEnd]...)
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)-4))
	out = append(out, body...)
	out = binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(body))
	return append(out, data[headerEnd:]...)
}

// palette is red from nothing to full.
func palette() color.Palette {
	p := make(color.Palette, inkLevels)
	for i := range p {
		p[i] = color.NRGBA{inkR, inkG, inkB, uint8(255 * i / (inkLevels - 1))}
	}
	return p
}
