package ofd

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// The namespace of GB/T 33190-2016 and the head of every file we author.
const (
	authorNamespace = "http://www.ofdspec.org/2016"
	authorXMLHead   = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
)

// rootXML is OFD.xml. The order of DocInfo's children is the schema's.
func (a *Author) rootXML() []byte {
	var b strings.Builder
	b.WriteString(authorXMLHead)
	fmt.Fprintf(&b, `<ofd:OFD xmlns:ofd="%s" Version="1.0" DocType="OFD"><ofd:DocBody><ofd:DocInfo>`, authorNamespace)
	authorElement(&b, "DocID", a.info.DocID)
	authorOptional(&b, "Title", a.info.Title)
	authorOptional(&b, "Author", a.info.Author)
	authorOptional(&b, "Subject", a.info.Subject)
	authorElement(&b, "CreationDate", a.info.Created.Format("2006-01-02"))
	authorElement(&b, "Creator", "Sealgate")
	if len(a.info.Custom) > 0 {
		b.WriteString("<ofd:CustomDatas>")
		for _, c := range a.info.Custom {
			fmt.Fprintf(&b, `<ofd:CustomData Name="%s">%s</ofd:CustomData>`, authorEscape(c.Name), authorEscape(c.Value))
		}
		b.WriteString("</ofd:CustomDatas>")
	}
	b.WriteString("</ofd:DocInfo>")
	authorElement(&b, "DocRoot", authorDocDir+"Document.xml")
	b.WriteString("</ofd:DocBody></ofd:OFD>\n")
	return []byte(b.String())
}

// documentXML is written last of all in mind: MaxUnitID is the highest
// identifier that any part uses.
func (a *Author) documentXML() []byte {
	var b strings.Builder
	b.WriteString(authorXMLHead)
	fmt.Fprintf(&b, `<ofd:Document xmlns:ofd="%s"><ofd:CommonData>`, authorNamespace)
	authorElement(&b, "MaxUnitID", strconv.Itoa(a.lastID))
	b.WriteString("<ofd:PageArea>")
	authorElement(&b, "PhysicalBox", authorBox(0, 0, a.sheets[0].width, a.sheets[0].height))
	b.WriteString("</ofd:PageArea>")
	authorElement(&b, "PublicRes", "PublicRes.xml")
	if len(a.images) > 0 {
		authorElement(&b, "DocumentRes", "DocumentRes.xml")
	}
	b.WriteString("</ofd:CommonData><ofd:Pages>")
	for i, s := range a.sheets {
		fmt.Fprintf(&b, `<ofd:Page ID="%d" BaseLoc="%s"/>`, s.pageID, authorPagePath(i))
	}
	b.WriteString("</ofd:Pages></ofd:Document>\n")
	return []byte(b.String())
}

func (a *Author) publicResXML() []byte {
	family := authorEscape(a.face.Family())
	return []byte(authorXMLHead + fmt.Sprintf(
		`<ofd:Res xmlns:ofd="%s" BaseLoc="Res"><ofd:Fonts><ofd:Font ID="%d" FontName="%s" FamilyName="%s">`+
			"<ofd:FontFile>%s</ofd:FontFile></ofd:Font></ofd:Fonts></ofd:Res>\n",
		authorNamespace, a.fontID, family, family, a.fontFile()))
}

func (a *Author) documentResXML() []byte {
	var b strings.Builder
	b.WriteString(authorXMLHead)
	fmt.Fprintf(&b, `<ofd:Res xmlns:ofd="%s" BaseLoc="Res"><ofd:MultiMedias>`, authorNamespace)
	for _, im := range a.images {
		fmt.Fprintf(&b, `<ofd:MultiMedia ID="%d" Type="Image" Format="%s"><ofd:MediaFile>%s</ofd:MediaFile></ofd:MultiMedia>`,
			im.id, im.format, im.file)
	}
	b.WriteString("</ofd:MultiMedias></ofd:Res>\n")
	return []byte(b.String())
}

func (s *Sheet) xml() []byte {
	var b strings.Builder
	b.WriteString(authorXMLHead)
	fmt.Fprintf(&b, `<ofd:Page xmlns:ofd="%s"><ofd:Area>`, authorNamespace)
	authorElement(&b, "PhysicalBox", authorBox(0, 0, s.width, s.height))
	fmt.Fprintf(&b, "</ofd:Area><ofd:Content><ofd:Layer ID=\"%d\" Type=\"Body\">\n", s.layerID)
	b.WriteString(s.objects.String())
	b.WriteString("</ofd:Layer></ofd:Content></ofd:Page>\n")
	return []byte(b.String())
}

func authorElement(b *strings.Builder, name, text string) {
	fmt.Fprintf(b, "<ofd:%s>%s</ofd:%s>", name, authorEscape(text), name)
}

func authorOptional(b *strings.Builder, name, text string) {
	if text != "" {
		authorElement(b, name, text)
	}
}

// authorEscape escapes text for element content and for attributes in double
// quotes. checkText has refused what XML cannot hold.
func authorEscape(text string) string {
	if !strings.ContainsAny(text, `&<>"`) {
		return text
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(text)
}

// String is the colour as in @Value.
func (c RGB) String() string { return fmt.Sprintf("%d %d %d", c.R, c.G, c.B) }

// authorMM writes a length to the micrometre, without superfluous zeros.
func authorMM(v float64) string {
	v = math.Round(v*1000) / 1000
	if v == 0 {
		v = 0 // no "-0"
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// authorBox writes an ST_Box.
func authorBox(x, y, w, h float64) string {
	return authorMM(x) + " " + authorMM(y) + " " + authorMM(w) + " " + authorMM(h)
}
