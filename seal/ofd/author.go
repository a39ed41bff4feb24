package ofd

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/typeface"
)

// Limits of what an Author makes: documents of an office, not books.
const (
	maxSheets     = 500
	maxAuthorText = 4096 // bytes of one piece of text or metadata
	maxCustomData = 256
)

// AuthorInfo is the metadata of a document (GB/T 33190 section 7.4, DocInfo).
type AuthorInfo struct {
	DocID   string    // 32 lower-case hexadecimal digits, unique to the document
	Title   string    // shown by readers in place of the file's name
	Author  string    // the office; may be empty
	Subject string    // may be empty
	Created time.Time // only its date is written, in its own time zone
	Custom  []CustomData
}

// CustomData is one named fact about a document. E-licences put their key
// facts here, where programs find them without reading pages.
type CustomData struct{ Name, Value string }

// AuthorError says what of a document cannot be made.
type AuthorError struct {
	Part   string // the part of the document: "docID", "sheet 2", …
	Reason string
}

func (e *AuthorError) Error() string { return "author " + e.Part + ": " + e.Reason }

// Code is the stable code of the error at an edge.
func (e *AuthorError) Code() string { return "SG-SEAL-REQUEST" }

// Public is what may be told to whoever asked for the document.
func (e *AuthorError) Public() (zh, en string) {
	return "文档的 " + e.Part + " 无法生成：" + e.Reason, e.Error()
}

// An Author builds an OFD document with embedded Chinese type: pages of text,
// lines and images. Sheets are added in order; the first error sticks and
// Bytes returns it. The same calls give the same bytes: time and identity come
// from AuthorInfo, nothing from the machine. It is not for concurrent use.
type Author struct {
	info   AuthorInfo
	face   *typeface.Face
	sheets []*Sheet
	images []authorImage
	runes  map[rune]bool // what the embedded font must have
	lastID int
	fontID int
	err    error
}

// NewAuthor begins a document set in face.
func NewAuthor(info AuthorInfo, face *typeface.Face) *Author {
	a := &Author{info: info, face: face, runes: map[rune]bool{}}
	a.fontID = a.nextID()
	if raw, err := hex.DecodeString(info.DocID); err != nil || len(raw) != 16 || strings.ToLower(info.DocID) != info.DocID {
		a.fail("docID", "not 32 lower-case hexadecimal digits")
	}
	if info.Created.IsZero() {
		a.fail("created", "no date")
	}
	a.checkText("title", info.Title)
	a.checkText("author", info.Author)
	a.checkText("subject", info.Subject)
	if len(info.Custom) > maxCustomData {
		a.fail("custom data", fmt.Sprintf("more than %d", maxCustomData))
	}
	for _, c := range info.Custom {
		if c.Name == "" {
			a.fail("custom data", "one has no name")
		}
		a.checkText("custom data", c.Name)
		a.checkText("custom data", c.Value)
	}
	return a
}

// AddSheet adds a page of width by height millimetres.
func (a *Author) AddSheet(width, height float64) *Sheet {
	s := &Sheet{author: a, number: len(a.sheets) + 1, width: width, height: height, pageID: a.nextID(), layerID: a.nextID()}
	if len(a.sheets) >= maxSheets {
		a.fail("document", fmt.Sprintf("more than %d pages", maxSheets))
		return s
	}
	if !(width >= 10 && width <= 2000 && height >= 10 && height <= 2000) {
		a.fail(s.part(), "a page is 10 to 2000 mm wide and high")
	}
	a.sheets = append(a.sheets, s)
	return s
}

// Bytes finishes the document. Every part is reachable from OFD.xml and every
// character is in the embedded font.
func (a *Author) Bytes() ([]byte, error) {
	if len(a.sheets) == 0 {
		a.fail("document", "no page")
	}
	if a.err != nil {
		return nil, a.err
	}
	runes := make([]rune, 0, len(a.runes))
	for r := range a.runes {
		runes = append(runes, r)
	}
	font, err := a.face.Subset(runes) // sorts them
	if err != nil {
		return nil, fmt.Errorf("embed typeface: %w", err)
	}

	z := newAuthorZip(a.info.Created)
	z.add("OFD.xml", a.rootXML())
	z.add(authorDocDir+"Document.xml", a.documentXML())
	z.add(authorDocDir+"PublicRes.xml", a.publicResXML())
	if len(a.images) > 0 {
		z.add(authorDocDir+"DocumentRes.xml", a.documentResXML())
	}
	for i, s := range a.sheets {
		z.add(authorDocDir+authorPagePath(i), s.xml())
	}
	z.add(authorDocDir+"Res/"+a.fontFile(), font)
	for _, im := range a.images {
		z.add(authorDocDir+"Res/"+im.file, im.data)
	}
	return z.finish()
}

func (a *Author) nextID() int {
	a.lastID++
	return a.lastID
}

func (a *Author) fail(part, reason string) {
	a.failWith(&AuthorError{Part: part, Reason: reason})
}

func (a *Author) failWith(err error) {
	if a.err == nil {
		a.err = err
	}
}

// checkText admits what XML 1.0 can hold on one line.
func (a *Author) checkText(part, text string) bool {
	if len(text) > maxAuthorText {
		a.fail(part, fmt.Sprintf("longer than %d bytes", maxAuthorText))
		return false
	}
	if !utf8.ValidString(text) {
		a.fail(part, "not UTF-8")
		return false
	}
	for _, r := range text {
		if r < 0x20 || r == 0x7F || r == 0xFFFE || r == 0xFFFF {
			a.fail(part, fmt.Sprintf("U+%04X is no printable character", r))
			return false
		}
	}
	return true
}

// width measures text in the style, in millimetres; characters that the
// typeface lacks are an error.
func (a *Author) width(text string, style TextStyle) (float64, error) {
	advances, err := a.face.Advances(text)
	if err != nil {
		return 0, err
	}
	sum := 0.0
	for _, v := range advances {
		sum += v*style.Size + style.Spacing
	}
	if len(advances) > 0 {
		sum -= style.Spacing
	}
	return sum, nil
}

// The file names. Only OFD.xml's is fixed; these are the customary ones.
const authorDocDir = "Doc_0/"

func authorPagePath(i int) string { return fmt.Sprintf("Pages/Page_%d/Content.xml", i) }

func (a *Author) fontFile() string { return fmt.Sprintf("font_%d.ttf", a.fontID) }

// Errors that a document builder's caller may want to tell apart.
var (
	// ErrPageFull says that a permit's content does not fit on its one page.
	ErrPageFull error = &AuthorError{Part: "permit", Reason: "the fields and the text do not fit on one page"}

	errImageFormat = errors.New("neither PNG nor JPEG")
)
