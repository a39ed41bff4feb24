package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// inspectPDF shows the outline of a PDF: versions, revisions and signature
// dictionaries. Their content is judged by nobody yet.
func inspectPDF(r *inspection, data []byte) (*inspection, error) {
	if !bytes.Contains(data[max(0, len(data)-2048):], []byte("%%EOF")) {
		return nil, fmt.Errorf("PDF 没有结束标记 has no end marker: 文件不完整 the file is cut off")
	}
	note := func(detail string, args ...any) {
		r.Problems = append(r.Problems, inspectedProblem{Code: "PDF", Detail: fmt.Sprintf(detail, args...)})
	}
	line, _, _ := bytes.Cut(data[:min(len(data), 32)], []byte("\n"))
	note("版本 version %s", bytes.TrimSpace(line))
	note("修订 revisions: %d", bytes.Count(data, []byte("%%EOF")))
	note("签名字典 signature dictionaries: %d", bytes.Count(data, []byte("/ByteRange")))
	return r, nil
}

// printInspection writes an inspection for people. Names come from the file:
// control characters are replaced, so that it cannot write on the terminal.
func printInspection(w io.Writer, r *inspection) error {
	p := &printer{w: w}
	p.line("%s: %s, %d 字节 bytes, SM3 %s", r.File, r.Format, r.Size, r.SM3)
	for _, d := range r.Documents {
		p.line("文档 document %s (%s): %d 页 pages", d.Root, d.DocID, len(d.Pages))
	}
	for _, s := range r.Signatures {
		p.line("签名 signature %s (%s) %s: %s, %d 个引用 references", s.ID, s.Type, s.Path, s.Method, s.References)
		for _, st := range s.Stamps {
			p.line("    印章位置 stamp %s", st)
		}
		p.value("    ", s.Value)
	}
	if r.Seal != nil {
		p.seal("", r.Seal)
	}
	p.value("", r.Value)
	for _, e := range r.Entries {
		mark := " "
		if !e.Reachable {
			mark = "·" // nothing leads to it
		}
		p.line("%s %10d  %.16s  %s", mark, e.Size, e.SM3, e.Name)
	}
	for _, pr := range r.Problems {
		p.line("%s %s %s", pr.Code, pr.Target, pr.Detail)
	}
	return p.err
}

type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, args ...any) {
	if p.err != nil {
		return
	}
	text := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return '\uFFFD'
		}
		return r
	}, fmt.Sprintf(format, args...))
	_, p.err = fmt.Fprintln(p.w, text)
}

func (p *printer) value(indent string, v *inspectedValue) {
	if v == nil {
		return
	}
	p.line("%s形式 form %s, 时间 time %s, 保护对象 property %s", indent, v.Form, or(v.Time), or(v.Property))
	p.cert(indent+"签章人 signer ", v.Signer)
	for _, n := range v.Notes {
		p.line("%s注 note %s", indent, n)
	}
	if v.Seal != nil {
		p.seal(indent, v.Seal)
	}
}

func (p *printer) seal(indent string, s *inspectedSeal) {
	p.line("%s印章 seal %s “%s” (%s, %s), %s … %s, 图片 picture %s, 签章人 signers %d", indent, s.ID, s.Name, s.Version, s.Vendor, s.NotBefore, s.NotAfter, s.Picture, s.Signers)
	p.cert(indent+"制章人 maker ", s.Maker)
	for _, n := range s.Notes {
		p.line("%s注 note %s", indent, n)
	}
}

func (p *printer) cert(label string, c *inspectedCert) {
	if c == nil {
		p.line("%s证书不可读 certificate cannot be read", label)
		return
	}
	p.line("%s%s, 序列号 serial %s, %s … %s", label, c.Subject, c.Serial, c.NotBefore, c.NotAfter)
	if c.Form != "" {
		p.line("    %s", c.Form)
	}
}

func or(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
