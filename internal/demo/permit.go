package demo

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/stamp"
)

// The office of the story, which issues the permit and owns the seal.
const (
	OfficeName = "演示人力资源和社会保障厅"
	SealID     = "22000000000001"
)

// samplePermit is the permit of the story.
func samplePermit(at time.Time) ofd.Permit {
	e := Enterprises()[3]
	legal := People()[e.Legal]
	year := at.Format("2006")
	return ofd.Permit{
		Title: "人力资源服务许可证", Number: "（吉）人服证字〔" + year + "〕第 0000000001 号",
		Fields: []ofd.PermitField{
			{Label: "机构名称", Value: e.Name},
			{Label: "统一社会信用代码", Value: e.USCC},
			{Label: "法定代表人", Value: legal.Name},
			{Label: "许可范围", Value: "职业中介活动；人力资源供求信息的收集与发布"},
			{Label: "有效期限", Value: at.Format("2006年1月2日") + " 至 " + at.AddDate(5, 0, -1).Format("2006年1月2日")},
		},
		Statement: "经审查，上述机构符合从事人力资源服务的条件，准予许可。",
		Office:    OfficeName, Issued: at,
		Remark: "本证照由 Sealgate 演示程序制作，内容均为虚构，不具有任何效力。",
	}
}

// SamplePermit returns the unsigned permit of the story as an OFD file.
func SamplePermit(at time.Time) ([]byte, error) {
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, fmt.Errorf("draw document id: %w", err)
	}
	p := samplePermit(at)
	p.DocID = hex.EncodeToString(id)
	return ofd.NewPermit(p)
}

// SealCentre is where the seal belongs on the permit, in millimetres from the
// page's top left corner.
func SealCentre() (x, y float64) { return samplePermit(time.Time{}).SealCentre() }

// SealSpec is the picture of the office's seal.
func SealSpec() stamp.Spec {
	return stamp.Spec{Shape: stamp.Round, Diameter: 42, DPI: 600, Name: OfficeName, Line: "电子证照专用章", Centre: stamp.Star, Code: SealID}
}
