package typeface

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"golang.org/x/image/font/sfnt"
)

// Subset returns a TrueType file with the glyphs of runes and no others (but
// .notdef, glyph 0, which the format demands). Order and repetition of runes
// do not matter: the same set gives the same bytes. A rune that the face lacks
// is a *MissingError.
//
// The file has the tables that readers of embedded fonts ask for: OS/2, cmap
// (format 4, and 12 beyond the basic plane), glyf, head, hhea, hmtx, loca,
// maxp, name (with the copyright and the licence), post (format 3).
func (f *Face) Subset(runes []rune) ([]byte, error) {
	set := slices.Clone(runes)
	slices.Sort(set)
	set = slices.Compact(set)
	glyphs := make([]sfnt.GlyphIndex, 1, len(set)+1) // glyph 0 stays first
	var buf sfnt.Buffer
	for _, r := range set {
		g, err := f.glyph(&buf, r)
		if err != nil {
			return nil, err
		}
		glyphs = append(glyphs, g)
	}

	glyf, loca, err := f.subsetGlyphs(glyphs)
	if err != nil {
		return nil, err
	}
	hmtx, err := f.subsetMetrics(glyphs)
	if err != nil {
		return nil, err
	}
	cmap, err := encodeCmap(set)
	if err != nil {
		return nil, err
	}
	name, err := f.subsetName(set)
	if err != nil {
		return nil, err
	}

	be := binary.BigEndian
	head := bytes.Clone(f.tables["head"])
	be.PutUint32(head[8:], 0) // the checksum of the file, filled in at the end
	hhea := bytes.Clone(f.tables["hhea"])
	be.PutUint16(hhea[34:], uint16(len(glyphs)))
	maxp := bytes.Clone(f.tables["maxp"]) // its maxima stay upper bounds
	be.PutUint16(maxp[4:], uint16(len(glyphs)))
	os2 := bytes.Clone(f.tables["OS/2"])
	if len(set) > 0 {
		be.PutUint16(os2[64:], uint16(min(set[0], 0xFFFF)))
		be.PutUint16(os2[66:], uint16(min(set[len(set)-1], 0xFFFF)))
	}
	post := make([]byte, 32)
	be.PutUint32(post, 0x00030000) // no glyph names

	return writeTables(map[string][]byte{
		"OS/2": os2, "cmap": cmap, "glyf": glyf, "head": head, "hhea": hhea,
		"hmtx": hmtx, "loca": loca, "maxp": maxp, "name": name, "post": post,
	}), nil
}

// subsetGlyphs copies the outlines of glyphs. The source has no composite
// glyphs (song/make.py makes none); one would refer to numbers that change.
func (f *Face) subsetGlyphs(glyphs []sfnt.GlyphIndex) (glyf, loca []byte, err error) {
	source, offsets := f.tables["glyf"], f.tables["loca"]
	loca = make([]byte, 0, 4*len(glyphs)+4)
	for _, g := range glyphs {
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		if 4*int(g)+8 > len(offsets) {
			return nil, nil, fmt.Errorf("glyph %d beyond the loca table", g)
		}
		from := binary.BigEndian.Uint32(offsets[4*int(g):])
		to := binary.BigEndian.Uint32(offsets[4*int(g)+4:])
		if from > to || int64(to) > int64(len(source)) {
			return nil, nil, fmt.Errorf("glyph %d outside the glyf table", g)
		}
		outline := source[from:to]
		if len(outline) >= 2 && int16(binary.BigEndian.Uint16(outline)) < 0 {
			return nil, nil, fmt.Errorf("glyph %d is composite", g)
		}
		glyf = append(glyf, outline...)
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	return glyf, binary.BigEndian.AppendUint32(loca, uint32(len(glyf))), nil
}

// subsetMetrics writes a full metric (advance, left bearing) for each glyph.
func (f *Face) subsetMetrics(glyphs []sfnt.GlyphIndex) ([]byte, error) {
	source := f.tables["hmtx"]
	full := int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	if full == 0 || len(source) < 4*full {
		return nil, fmt.Errorf("hmtx table of %d bytes for %d metrics", len(source), full)
	}
	out := make([]byte, 0, 4*len(glyphs))
	for _, g := range glyphs {
		i := int(g)
		if i < full {
			out = append(out, source[4*i:4*i+4]...)
			continue
		}
		// Glyphs after the full ones share the last advance.
		bearing := 4*full + 2*(i-full)
		if bearing+2 > len(source) {
			return nil, fmt.Errorf("glyph %d beyond the hmtx table", g)
		}
		out = append(out, source[4*full-4:4*full-2]...)
		out = append(out, source[bearing:bearing+2]...)
	}
	return out, nil
}

// subsetName writes the name table. The PostScript name carries a tag made of
// the set, as in PDF, so that a reader that remembers fonts by name does not
// take one document's subset for another's.
func (f *Face) subsetName(set []rune) ([]byte, error) {
	sum := sha256.Sum256([]byte(string(set)))
	tag := make([]byte, 6)
	for i := range tag {
		tag[i] = 'A' + sum[i]%26
	}
	type entry struct {
		id   sfnt.NameID
		text string
	}
	entries := []entry{
		{sfnt.NameIDFamily, f.family},
		{sfnt.NameIDSubfamily, "Regular"},
		{sfnt.NameIDUniqueIdentifier, string(tag) + "+" + f.family},
		{sfnt.NameIDFull, f.family},
		{sfnt.NameIDPostScript, string(tag) + "+" + strings.ReplaceAll(f.family, " ", "")},
	}
	for _, id := range [...]sfnt.NameID{sfnt.NameIDCopyright, sfnt.NameIDVersion, sfnt.NameIDLicense} {
		text, err := f.font.Name(nil, id)
		if err != nil {
			return nil, fmt.Errorf("read name %d: %w", id, err)
		}
		entries = append(entries, entry{id, text})
	}
	slices.SortFunc(entries, func(a, b entry) int { return int(a.id) - int(b.id) })

	be := binary.BigEndian
	out := make([]byte, 0, 1024)
	out = be.AppendUint16(out, 0)
	out = be.AppendUint16(out, uint16(len(entries)))
	out = be.AppendUint16(out, uint16(6+12*len(entries)))
	var texts []byte
	for _, e := range entries {
		start := len(texts)
		for _, u := range utf16.Encode([]rune(e.text)) {
			texts = be.AppendUint16(texts, u)
		}
		// Windows platform, UCS-2, US English.
		for _, v := range [...]uint16{3, 1, 0x0409, uint16(e.id), uint16(len(texts) - start), uint16(start)} {
			out = be.AppendUint16(out, v)
		}
	}
	return append(out, texts...), nil
}

// A span is a run of characters that follow one another, whose glyphs do too.
type span struct {
	first, last rune
	glyph       int
}

// encodeCmap maps the i-th rune of the sorted set to glyph i+1.
func encodeCmap(set []rune) ([]byte, error) {
	var spans []span
	for i, r := range set {
		if n := len(spans); n > 0 && spans[n-1].last == r-1 && r != 0x10000 {
			spans[n-1].last = r
			continue
		}
		spans = append(spans, span{first: r, last: r, glyph: i + 1})
	}
	basic := spans
	for i, s := range spans {
		if s.first > 0xFFFF {
			basic = spans[:i]
			break
		}
	}
	low := cmapFormat4(basic)
	if len(low) > math.MaxUint16 {
		return nil, fmt.Errorf("%d runs of characters are too many for one cmap", len(basic))
	}

	be := binary.BigEndian
	subtables := 1
	if len(basic) < len(spans) {
		subtables = 2
	}
	out := be.AppendUint16(nil, 0)
	out = be.AppendUint16(out, uint16(subtables))
	offset := 4 + 8*subtables
	out = append(out, 0, 3, 0, 1) // Windows, basic plane
	out = be.AppendUint32(out, uint32(offset))
	if subtables == 2 {
		out = append(out, 0, 3, 0, 10) // Windows, full repertoire
		out = be.AppendUint32(out, uint32(offset+len(low)))
	}
	out = append(out, low...)
	if subtables == 2 {
		out = append(out, cmapFormat12(spans)...)
	}
	return out, nil
}

func cmapFormat4(spans []span) []byte {
	be := binary.BigEndian
	if n := len(spans); n == 0 || spans[n-1].last != 0xFFFF {
		spans = append(slices.Clone(spans), span{first: 0xFFFF, last: 0xFFFF}) // the end mark, glyph 0
	}
	n := uint16(len(spans))
	search := uint16(1)
	log := uint16(0)
	for search*2 <= n {
		search, log = search*2, log+1
	}
	out := make([]byte, 0, 16+8*len(spans))
	for _, v := range [...]uint16{4, 16 + 8*n, 0, 2 * n, 2 * search, log, 2 * (n - search)} {
		out = be.AppendUint16(out, v)
	}
	for _, s := range spans {
		out = be.AppendUint16(out, uint16(s.last))
	}
	out = append(out, 0, 0)
	for _, s := range spans {
		out = be.AppendUint16(out, uint16(s.first))
	}
	for _, s := range spans {
		out = be.AppendUint16(out, uint16(s.glyph-int(s.first)))
	}
	return append(out, make([]byte, 2*len(spans))...) // no indirect ranges
}

func cmapFormat12(spans []span) []byte {
	be := binary.BigEndian
	out := be.AppendUint16(nil, 12)
	out = be.AppendUint16(out, 0)
	for _, v := range [...]uint32{uint32(16 + 12*len(spans)), 0, uint32(len(spans))} {
		out = be.AppendUint32(out, v)
	}
	for _, s := range spans {
		out = be.AppendUint32(out, uint32(s.first))
		out = be.AppendUint32(out, uint32(s.last))
		out = be.AppendUint32(out, uint32(s.glyph))
	}
	return out
}
