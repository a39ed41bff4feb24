package seal_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/seal"
)

func text(t *testing.T, r *seal.Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := seal.ReportText(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestReportTextTellsAClerkWhatMatters(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{skip: "Doc_0/a.txt"})
	got := text(t, verify(t, w.anchors, zipOf(t, d.files...), seal.Options{At: worldNow}))
	serial := w.signer.SerialHex()
	want := `a.ofd
  结论 verdict: 无法确定 INDETERMINATE
  签章 signature: 有效 VALID
    印章 seal: 某某市行政审批局 (22010000000001)
    制章人 seal maker: CN=制章人
    签章人 signer: CN=签章人, 序列号 serial ` + serial + `
    时间 time: 2026-06-01 16:00:00 +08:00 (签章人声明 as claimed by the signer)
    保护范围 coverage: 部分 partial
    检查 checks: 15 项通过 passed, 4 项提示 noted
      [提示 WARN] I_SEAL_STATUS_UNKNOWN 未查询印章是否被撤销 | whether the seal was revoked is not known
          no source of seal status is configured
      [提示 WARN] I_REVOCATION_UNKNOWN 未查询证书是否被吊销 | whether the certificate was revoked is not known
          signer  no source of revocation is configured
      [提示 WARN] W_TS_ABSENT 没有时间戳 | there is no timestamp
          only the signer says when it was signed
      [提示 WARN] W_TIME_CLAIMED 签章时间由签章人自行声明 | the signing time is only claimed by the signer
          nothing shows that it was signed at 2026-06-01T08:00:00Z
  文件 file: 5 项通过 passed, 1 项提示 noted
    [无法判定 UNKNOWN] E_UNCOVERED 会影响显示的文件未受任何签章保护 | a file that can change what is shown is protected by no signature
        Doc_0/a.txt  a reader shows this file or follows it, and no signature protects it
  未受保护 unprotected: 1 个文件 files
    Doc_0/a.txt
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportTextPutsTheGravestFirst(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{})
	d.edit(t, page, "一百", "九百")
	got := text(t, verify(t, nil, zipOf(t, d.files...), seal.Options{At: worldNow}))
	fail, unknown, warn := strings.Index(got, "[不通过 FAIL] E_REF_DIGEST"), strings.Index(got, "[无法判定 UNKNOWN] E_SIGNER_UNTRUSTED"), strings.Index(got, "[提示 WARN]")
	if fail < 0 || unknown < fail || warn < unknown {
		t.Errorf("order %d, %d, %d:\n%s", fail, unknown, warn, got)
	}
}

func TestReportTextCannotWriteOnTheTerminal(t *testing.T) {
	r := &seal.Report{File: "a\x1b[2J.ofd", Indication: seal.Valid, Signatures: []seal.SignatureReport{{
		Seal: &seal.SealInfo{Name: "印\u202e章", ID: "1\r2"}, Signer: &seal.SignerInfo{Subject: "CN=\u009bx"}}}}
	for _, c := range text(t, r) {
		if c != '\n' && (c < 0x20 || c == 0x7f || c >= 0x80 && c < 0xa0 || c == '\u202e') {
			t.Errorf("the text holds U+%04X", c)
		}
	}
}

// full is a writer that takes nothing.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }

func TestReportTextReturnsTheErrorOfItsWriter(t *testing.T) {
	if err := seal.ReportText(full{}, &seal.Report{}); err == nil {
		t.Error("no error")
	}
}
