// Package typeface carries one Chinese typeface inside the program, so that a
// bare machine can draw seals and author documents: outlines for drawing,
// advances for setting text, and small subsets for embedding.
//
// The face is a Song (宋体), as 国发〔1999〕25号 asks of seal texts. It covers
// ASCII, GB 2312 and the Table of General Standard Chinese Characters
// (通用规范汉字表, 8,105 characters), which is what names of persons and places
// are written with. See song/make.py for how it was made and song/OFL.txt for
// its licence.
//
// What it refuses to do: it never draws a blank or a box for a character that
// the face lacks; that is a *MissingError naming the code point, because a
// seal or a licence with a silently missing character is a wrong document. It
// does not shape, hint, kern or break lines, and it reads no font but its own.
//
//	face, err := typeface.Song()
//	outline, err := face.Outline('章')
//	font, err := face.Subset([]rune("长春市人民政府"))
package typeface

import (
	_ "embed"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

//go:embed song/song.ttf
var songTTF string

// MissingError says that a face has no glyph for a character.
type MissingError struct {
	Face string
	Rune rune
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the typeface %s has no glyph for %q (U+%04X)", e.Face, e.Rune, e.Rune)
}

// Code is the stable code of the error at an edge.
func (e *MissingError) Code() string { return "SG-SEAL-REQUEST" }

// Public is what may be told to whoever sent the text.
func (e *MissingError) Public() (zh, en string) {
	return fmt.Sprintf("字体中没有字符 U+%04X", e.Rune), fmt.Sprintf("The typeface has no glyph for U+%04X", e.Rune)
}

// A Face is a typeface. It is immutable and may be used concurrently.
type Face struct {
	family     string
	unitsPerEm float32
	font       *sfnt.Font
	tables     map[string][]byte // views of the file, by tag; never written to
}

// Song returns the embedded Song face. It is read once for the process.
func Song() (*Face, error) { return song() }

var song = sync.OnceValues(func() (*Face, error) { return parse([]byte(songTTF)) })

func parse(ttf []byte) (*Face, error) {
	font, err := sfnt.Parse(ttf)
	if err != nil {
		return nil, fmt.Errorf("parse typeface: %w", err)
	}
	family, err := font.Name(nil, sfnt.NameIDFamily)
	if err != nil {
		return nil, fmt.Errorf("read the typeface's name: %w", err)
	}
	tables, err := readTables(ttf)
	if err != nil {
		return nil, fmt.Errorf("read typeface %s: %w", family, err)
	}
	return &Face{family: family, unitsPerEm: float32(font.UnitsPerEm()), font: font, tables: tables}, nil
}

// Family is the name under which documents refer to the face.
func (f *Face) Family() string { return f.family }

// Check returns a *MissingError for the first character of text that the face
// lacks, nil when it has them all.
func (f *Face) Check(text string) error {
	var buf sfnt.Buffer
	for _, r := range text {
		if _, err := f.glyph(&buf, r); err != nil {
			return err
		}
	}
	return nil
}

// Advance returns how far the pen moves after r, in em: 1 for a hanzi, about a
// half for a Latin letter.
func (f *Face) Advance(r rune) (float64, error) {
	var buf sfnt.Buffer
	g, err := f.glyph(&buf, r)
	if err != nil {
		return 0, err
	}
	return f.advance(&buf, g, r)
}

// Advances returns the advance of each character of text, in em.
func (f *Face) Advances(text string) ([]float64, error) {
	var buf sfnt.Buffer
	out := make([]float64, 0, len(text)/3+1)
	for _, r := range text {
		g, err := f.glyph(&buf, r)
		if err != nil {
			return nil, err
		}
		a, err := f.advance(&buf, g, r)
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// Outline returns the shape of r.
func (f *Face) Outline(r rune) (*Outline, error) {
	var buf sfnt.Buffer
	g, err := f.glyph(&buf, r)
	if err != nil {
		return nil, err
	}
	advance, err := f.advance(&buf, g, r)
	if err != nil {
		return nil, err
	}
	// At one pixel per font unit the 26.6 numbers of sfnt are font units.
	segments, err := f.font.LoadGlyph(&buf, g, fixed.Int26_6(f.unitsPerEm), nil)
	if err != nil {
		return nil, fmt.Errorf("load the glyph of U+%04X: %w", r, err)
	}
	o := &Outline{Rune: r, Advance: advance, Segments: make([]Segment, len(segments))}
	for i, s := range segments {
		o.Segments[i] = f.segment(s)
	}
	o.measure()
	return o, nil
}

func (f *Face) glyph(buf *sfnt.Buffer, r rune) (sfnt.GlyphIndex, error) {
	g, err := f.font.GlyphIndex(buf, r)
	if err != nil && !errors.Is(err, sfnt.ErrNotFound) {
		return 0, fmt.Errorf("look up U+%04X: %w", r, err)
	}
	if g == 0 {
		return 0, &MissingError{Face: f.family, Rune: r}
	}
	return g, nil
}

func (f *Face) advance(buf *sfnt.Buffer, g sfnt.GlyphIndex, r rune) (float64, error) {
	a, err := f.font.GlyphAdvance(buf, g, fixed.Int26_6(f.unitsPerEm), 0)
	if err != nil {
		return 0, fmt.Errorf("measure U+%04X: %w", r, err)
	}
	return float64(a) / float64(f.unitsPerEm), nil
}
