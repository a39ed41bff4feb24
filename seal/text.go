package seal

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// chinaTime is the zone in which people read times.
var chinaTime = time.FixedZone("UTC+8", 8*60*60)

// ReportText writes a report for people: the verdict first, then who sealed
// what and when, then what is wrong, in Chinese with English beside it. Checks
// without problem are summed up in one line. Control characters of names that
// stand in the file are replaced, so that a file cannot write on the terminal.
func ReportText(w io.Writer, r *Report) error {
	t := textWriter{w: w}
	t.line("%s", clean(r.File))
	t.line("  结论 verdict: %s", verdictText(r.Indication))
	for i := range r.Signatures {
		t.signature(&r.Signatures[i], len(r.Signatures) > 1)
	}
	t.checks("  ", "文件 file", r.Checks)
	if n := len(r.Uncovered); n > 0 && len(r.Signatures) > 0 {
		t.line("  未受保护 unprotected: %d 个文件 files", n)
		for i, name := range r.Uncovered {
			if i == maxListed {
				t.line("    … 以及另外 %d 个 and %d more", n-i, n-i)
				break
			}
			t.line("    %s", clean(name))
		}
	}
	return t.err
}

// maxListed bounds the lists of the text form; the JSON form is complete.
const maxListed = 50

type textWriter struct {
	w   io.Writer
	err error
}

func (t *textWriter) line(format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintf(t.w, format+"\n", args...)
	}
}

func (t *textWriter) signature(s *SignatureReport, several bool) {
	head := "签章 signature"
	if s.Kind == KindCMS || s.Kind == KindBare {
		head = "签名 signature"
	}
	if several {
		head += " " + clean(s.ID)
	}
	t.line("  %s: %s", head, verdictText(s.Indication))
	if s.Seal != nil {
		t.line("    印章 seal: %s (%s)", clean(s.Seal.Name), clean(s.Seal.ID))
		t.line("    制章人 seal maker: %s", clean(s.Seal.Maker))
	}
	if s.Signer != nil {
		t.line("    签章人 signer: %s, 序列号 serial %s", clean(s.Signer.Subject), clean(s.Signer.Serial))
	}
	switch {
	case s.SignedAt == nil:
		t.line("    时间 time: 未知 unknown")
	case s.TimeSource == TimeStamped:
		t.line("    时间 time: %s (时间戳 timestamp)", clock(*s.SignedAt))
	default:
		t.line("    时间 time: %s (签章人声明 as claimed by the signer)", clock(*s.SignedAt))
	}
	if s.Coverage == Partial {
		t.line("    保护范围 coverage: 部分 partial")
	} else {
		t.line("    保护范围 coverage: 全部 whole")
	}
	t.checks("    ", "检查 checks", s.Checks)
}

// checks writes the problems, gravest first, and how many steps had none.
func (t *textWriter) checks(indent, name string, list []Check) {
	passed, shown := 0, 0
	for _, c := range list {
		if c.Outcome == OK {
			passed++
		}
	}
	t.line("%s%s: %d 项通过 passed, %d 项提示 noted", indent, name, passed, len(list)-passed)
	for _, want := range []Outcome{Fail, Unknown, Warn} {
		for _, c := range list {
			if c.Outcome != want {
				continue
			}
			if shown++; shown > maxListed {
				t.line("%s  …", indent)
				return
			}
			t.line("%s  [%s] %s %s | %s", indent, outcomeText(c.Outcome), c.Code, c.ZH, c.EN)
			if about := strings.TrimSpace(c.Target + "  " + c.Detail); about != "" {
				t.line("%s      %s", indent, clean(about))
			}
		}
	}
}

func verdictText(i Indication) string {
	switch i {
	case Valid:
		return "有效 VALID"
	case Invalid:
		return "无效 INVALID"
	}
	return "无法确定 INDETERMINATE"
}

func outcomeText(o Outcome) string {
	switch o {
	case Fail:
		return "不通过 FAIL"
	case Unknown:
		return "无法判定 UNKNOWN"
	case Warn:
		return "提示 WARN"
	}
	return "通过 OK"
}

func clock(t time.Time) string { return t.In(chinaTime).Format("2006-01-02 15:04:05 -07:00") }

// clean replaces what a terminal would obey, or what could make a text read
// otherwise than it is written (controls, bidirectional marks).
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || unicode.Is(unicode.Cf, c) || c == '\u2028' || c == '\u2029' {
			return '\uFFFD'
		}
		return c
	}, s)
}
