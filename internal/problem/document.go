package problem

import (
	"fmt"
	"strings"
)

// Document is docs/errors.md: the whole table as Markdown.
func Document() string {
	var b strings.Builder
	b.WriteString(`# Error codes 错误代码

Written from internal/problem by ` + "`make docs`" + `; do not edit. 本文件由程序生成。

Every refusal is a problem document (RFC 9457, ` + "`application/problem+json`" + `) with
` + "`type, title, status, detail, code, request_id, title_zh, detail_zh, reasons, hint, hint_zh`" + `.
Programs rely on ` + "`code`" + `; people read the rest. Name the ` + "`request_id`" + ` when you ask for help.
程序以 ` + "`code`" + ` 为准；咨询时请提供 ` + "`request_id`" + `。
`)
	for _, f := range Families() {
		fmt.Fprintf(&b, "\n## SG-%s: %s %s\n\n| code | status | meaning | what to do |\n|---|---|---|---|\n", f.Name, f.Title, f.TitleZH)
		for _, e := range f.Entries {
			status := fmt.Sprint(e.Status)
			if e.RetryAfter > 0 {
				status += ", Retry-After"
			}
			fmt.Fprintf(&b, "| `%s` | %s | **%s** %s<br>**%s** %s | %s<br>%s |\n",
				e.Code, status, e.TitleZH, e.DetailZH, e.Title, e.Detail, e.HintZH, e.Hint)
		}
	}
	return b.String()
}
