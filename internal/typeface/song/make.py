#!/usr/bin/python3
"""Makes song.ttf, the Chinese typeface inside the sealgate program.

    make.py NotoSerifCJK-Regular.ttc Unihan_OtherMappings.txt song.ttf

The inputs are those of the Debian 12 packages fonts-noto-cjk (1:20220127) and
unicode-data (15.0.0); it runs with the package python3-fonttools (4.38.0). The
result depends on nothing else, so the same inputs give the same bytes.

Coverage: ASCII, all of GB 2312 (6,763 hanzi, symbols, full-width forms) and
the 8,105 characters of the Table of General Standard Chinese Characters
(2013), which is what the names of persons and places are written with.

The outlines become quadratic (TrueType) curves within one unit of 1,000, with
no hints and no layout tables: seals are drawn large, documents are scaled.

Song.ttf is a Modified Version under the SIL Open Font License 1.1 (OFL.txt)
and so carries a name of its own.
"""
import sys

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTCollection, newTable

FAMILY = "Sealgate Song"
TOLERANCE = 1.0  # units of 1/1000 em


def gb2312():
    for row in range(0xA1, 0xF8):
        for cell in range(0xA1, 0xFF):
            try:
                yield ord(bytes((row, cell)).decode("gb2312"))
            except UnicodeDecodeError:
                pass


def general_standard(path):
    with open(path, encoding="utf-8") as f:
        for line in f:
            field = line.rstrip("\n").split("\t")
            if len(field) == 3 and field[1] == "kTGH":
                yield int(field[0][2:], 16)


def main(source, unihan, target):
    font = next(f for f in TTCollection(source)
                if f["name"].getDebugName(1) == "Noto Serif CJK SC")
    runes = set(range(0x20, 0x7F)) | set(gb2312()) | set(general_standard(unihan))
    runes |= set(range(0xFF01, 0xFF5F)) | set(map(ord, "〇·—–…‘’“”•￥¥©®°±×÷№"))
    absent = sorted(r for r in runes if r not in font.getBestCmap())
    print("runes %d, absent from the source: %s"
          % (len(runes), " ".join("U+%04X" % r for r in absent) or "none"))

    o = subset.Options()
    o.layout_features, o.hinting, o.notdef_outline = [], False, True
    o.desubroutinize, o.name_IDs, o.recalc_timestamp = True, [], False
    o.drop_tables += ["BASE", "VORG", "GSUB", "GPOS", "GDEF", "DSIG", "vhea", "vmtx"]
    s = subset.Subsetter(o)
    s.populate(unicodes=sorted(runes - set(absent)))
    copyright_, licence = (font["name"].getDebugName(i) for i in (0, 13))
    s.subset(font)

    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    glyf = newTable("glyf")
    glyf.glyphOrder, glyf.glyphs = order, {}
    for name in order:
        pen = TTGlyphPen(glyphs)
        glyphs[name].draw(Cu2QuPen(pen, TOLERANCE, reverse_direction=True))
        glyf.glyphs[name] = pen.glyph()
    font["loca"], font["glyf"] = newTable("loca"), glyf
    del font["CFF "]

    font["cmap"].tables = [t for t in font["cmap"].tables if t.platformID == 3]

    maxp = font["maxp"]
    maxp.tableVersion, maxp.maxZones = 0x10000, 1
    for field in ("TwilightPoints", "Storage", "FunctionDefs", "InstructionDefs",
                  "StackElements", "SizeOfInstructions", "ComponentElements", "Points",
                  "Contours", "CompositePoints", "CompositeContours", "ComponentDepth"):
        setattr(maxp, "max" + field, 0)  # fonttools computes what it can
    font["post"].formatType = 3.0
    font["head"].glyphDataFormat = 0
    font.sfntVersion = "\0\1\0\0"
    font.recalcTimestamp = False
    for number, text in ((0, copyright_), (1, FAMILY), (2, "Regular"),
                         (3, FAMILY + " Regular 1.000"), (4, FAMILY), (5, "Version 1.000"),
                         (6, FAMILY.replace(" ", "") + "-Regular"), (13, licence)):
        font["name"].setName(text, number, 3, 1, 0x409)
    font.save(target)


if __name__ == "__main__":
    main(*sys.argv[1:])
