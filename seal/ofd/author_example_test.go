package ofd_test

import (
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/typeface"
	"github.com/sealgate/sealgate/seal/ofd"
)

func ExampleNewPermit() {
	permit := ofd.Permit{
		DocID: "0123456789abcdef0123456789abcdef", Title: "人力资源服务许可证", Number: "（吉）人服证字〔2026〕第0100001号",
		Fields: []ofd.PermitField{{Label: "机构名称", Value: "长春市某某人力资源服务有限公司"}},
		Office: "吉林省人力资源和社会保障厅", Issued: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
	}
	data, err := ofd.NewPermit(permit)
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _ := ofd.Open(data)
	x, y := permit.SealCentre()
	fmt.Println(len(p.Names()), "files, the seal goes to", x, y)
	// Output: 5 files, the seal goes to 138 241.5
}

func ExampleAuthor() {
	face, err := typeface.Song()
	if err != nil {
		fmt.Println(err)
		return
	}
	a := ofd.NewAuthor(ofd.AuthorInfo{
		DocID: "0123456789abcdef0123456789abcdef", Title: "通知", Created: time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC),
	}, face)
	page := a.AddSheet(210, 297)
	page.Text(105, 40, "通知", ofd.TextStyle{Size: 7.8, Spacing: 4, Align: ofd.AlignCentre})
	page.Line(25, 46, 185, 46, 0.4, ofd.RGB{R: 200})
	data, err := a.Bytes()
	fmt.Println(len(data) > 0, err)
	// Output: true <nil>
}
