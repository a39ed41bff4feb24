package ofd

import (
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/typeface"
)

// PermitField is a row of a permit's table.
type PermitField struct{ Label, Value string }

// Permit is a licence or permit on one A4 page: title, number, a table of
// fields, an operative paragraph, issuing office and date.
type Permit struct {
	DocID     string // 32 lower-case hexadecimal digits
	Title     string // 人力资源服务许可证
	Number    string // the licence number, shown and put into CustomDatas
	Fields    []PermitField
	Statement string // the operative paragraph; may be empty
	Office    string // 颁发机构, above the date; the seal goes over both
	Issued    time.Time
	Remark    string       // small print at the foot; may be empty
	Custom    []CustomData // further facts for programs, after the permit's own
}

// Measures of the page, in millimetres.
const (
	permitWidth, permitHeight = 210.0, 297.0
	permitLeft, permitRight   = 27.0, 183.0
	permitLabelWidth          = 46.0
	permitTitleY              = 48.0
	permitNumberY             = 62.0
	permitTableY              = 68.0
	permitOfficeX             = 138.0 // the middle of office and date
	permitOfficeY             = 236.0
	permitDateY               = 247.0
	permitBodyEnd             = 214.0 // the seal begins below
	permitRemarkY             = 273.0
	permitPadding             = 3.2
	permitRowLine             = 7.0
)

// SealCentre is where the centre of the seal belongs, in millimetres from the
// page's top left corner: over office and date (骑年盖月, GB/T 9704).
func (p Permit) SealCentre() (x, y float64) {
	return permitOfficeX, (permitOfficeY + permitDateY) / 2
}

// NewPermit makes the permit's OFD file. The same Permit gives the same
// bytes. A text with a character that the typeface lacks is a
// *typeface.MissingError, one that XML cannot hold an *AuthorError, content
// that does not fit ErrPageFull.
func NewPermit(p Permit) ([]byte, error) {
	face, err := typeface.Song()
	if err != nil {
		return nil, err
	}
	for _, required := range [...]struct{ part, text string }{
		{"title", p.Title}, {"number", p.Number}, {"office", p.Office},
	} {
		if required.text == "" {
			return nil, &AuthorError{Part: required.part, Reason: "empty"}
		}
	}
	custom := []CustomData{{"证照名称", p.Title}, {"证照编号", p.Number}}
	for _, f := range p.Fields {
		custom = append(custom, CustomData{f.Label, f.Value})
	}
	custom = append(custom, CustomData{"颁发机构", p.Office}, CustomData{"颁发日期", p.Issued.Format("2006-01-02")})
	a := NewAuthor(AuthorInfo{
		DocID: p.DocID, Title: p.Title, Author: p.Office, Created: p.Issued, Custom: append(custom, p.Custom...),
	}, face)
	s := a.AddSheet(permitWidth, permitHeight)

	frame := RGB{R: 150, G: 110, B: 50}
	s.Rect(14, 14, permitWidth-28, permitHeight-28, 0.9, frame)
	s.Rect(16, 16, permitWidth-32, permitHeight-32, 0.25, frame)
	s.permitTitle(p.Title)
	s.Text(permitRight, permitNumberY, "编号："+p.Number, TextStyle{Size: 4.23, Align: AlignRight})
	y := s.permitTable(p.Fields)
	s.permitStatement(p.Statement, y+12)
	s.Text(permitOfficeX, permitOfficeY, p.Office, TextStyle{Size: 5.2, Align: AlignCentre})
	s.Text(permitOfficeX, permitDateY, chineseDate(p.Issued), TextStyle{Size: 5.2, Align: AlignCentre})
	s.Text(permitWidth/2, permitRemarkY, p.Remark, TextStyle{Size: 3.2, Align: AlignCentre, Colour: RGB{R: 90, G: 90, B: 90}})
	return a.Bytes()
}

// permitTitle sets the title as large as fits, short ones spaced out.
func (s *Sheet) permitTitle(title string) {
	style := TextStyle{Size: 11, Align: AlignCentre}
	if len([]rune(title)) <= 10 {
		style.Spacing = 3
	}
	for style.Size > 5 {
		w, err := s.author.width(title, style)
		if err != nil {
			s.author.failWith(err)
			return
		}
		if w <= permitRight-permitLeft {
			break
		}
		style.Size, style.Spacing = style.Size-0.5, 0
	}
	s.Text(permitWidth/2, permitTitleY, title, style)
}

// permitTable draws the rows and returns where the table ends.
func (s *Sheet) permitTable(fields []PermitField) float64 {
	style := TextStyle{Size: 4.6}
	ink := RGB{}
	y := permitTableY
	middle := permitLeft + permitLabelWidth
	for _, f := range fields {
		labels := s.permitLines(f.Label, style, permitLabelWidth-2*permitPadding)
		values := s.permitLines(f.Value, style, permitRight-middle-2*permitPadding)
		rows := max(len(labels), len(values))
		height := float64(rows)*permitRowLine + 2*permitPadding
		if s.author.err != nil {
			return y
		}
		if y+height > permitBodyEnd {
			s.author.failWith(ErrPageFull)
			return y
		}
		s.Line(permitLeft, y, permitRight, y, 0.25, ink)
		s.permitCell(labels, permitLeft+permitLabelWidth/2, y, height, TextStyle{Size: style.Size, Align: AlignCentre})
		s.permitCell(values, middle+permitPadding, y, height, style)
		y += height
	}
	if len(fields) > 0 {
		s.Line(permitLeft, y, permitRight, y, 0.25, ink)
		for _, x := range [...]float64{permitLeft, middle, permitRight} {
			s.Line(x, permitTableY, x, y, 0.25, ink)
		}
	}
	return y
}

// permitCell sets lines in the middle of a row's height.
func (s *Sheet) permitCell(lines []string, x, y, height float64, style TextStyle) {
	first := y + (height-float64(len(lines))*permitRowLine)/2
	for i, line := range lines {
		// A hanzi's body is 0.88 em above and 0.12 em below the base line.
		s.Text(x, first+(float64(i)+0.5)*permitRowLine+0.38*style.Size, line, style)
	}
}

// permitStatement sets the operative paragraph, its first line indented by
// two characters.
func (s *Sheet) permitStatement(text string, y float64) {
	if text == "" {
		return
	}
	style := TextStyle{Size: 4.94}
	const leading = 9.0
	for _, line := range s.permitLines("　　"+text, style, permitRight-permitLeft) {
		if y > permitBodyEnd {
			s.author.failWith(ErrPageFull)
			return
		}
		s.Text(permitLeft, y, line, style)
		y += leading
	}
}

func (s *Sheet) permitLines(text string, style TextStyle, room float64) []string {
	if !s.author.checkText(s.part(), text) {
		return nil
	}
	lines, err := s.author.wrap(text, style, room)
	if err != nil {
		s.author.failWith(fmt.Errorf("author %s: %w", s.part(), err))
	}
	return lines
}

func chineseDate(t time.Time) string {
	return fmt.Sprintf("%d年%d月%d日", t.Year(), int(t.Month()), t.Day())
}
