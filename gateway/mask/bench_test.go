package mask

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
)

// benchDocument is an answer of 200 records, about 76 KB, of which four fields
// are masked and one is left out.
func benchDocument() []byte {
	var b strings.Builder
	b.WriteString(`{"code":200,"message":"查询成功","data":{"total":200,"list":[`)
	for i := range 200 {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"id":%d,"name":"张三丰","idCard":"22010219900307%04d","mobile":"1380000%04d","address":"吉林省长春市朝阳区人民大街%d号",`+
			`"gender":"1","nation":"汉族","birth":"1990-03-07","status":"正常","score":98.50,"tags":["低保","失业登记"],"verified":true,"updated":"2024-05-01T08:00:00+08:00",`+
			`"note":"二〇二四年度社会保险缴费基数申报记录"}`, 10000000000+i, i, i, i)
	}
	b.WriteString(`]}}`)
	return []byte(b.String())
}

func benchPlan(b *testing.B) *Plan {
	return compile(b, acts(b, "code=show", "message=show", "data.total=show", "data.list[*]=show", "data.list[*].name=mask",
		"data.list[*].idCard=mask", "data.list[*].mobile=mask", "data.list[*].address=mask", "data.list[*].nation=drop"),
		map[string]string{"data.list[*].name": KindName, "data.list[*].idCard": KindResidentID,
			"data.list[*].mobile": KindMobile, "data.list[*].address": KindAddress}, Options{})
}

// BenchmarkMask compares the walk with what a gateway does that decodes into
// any, masks and encodes again, on the same document in the same run.
func BenchmarkMask(b *testing.B) {
	doc := benchDocument()
	plan := benchPlan(b)
	b.Run("stream", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plan.Apply(io.Discard, bytes.NewReader(doc)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one_pass_under_64KiB", func(b *testing.B) {
		small := append(bytes.Clone(doc[:bytes.LastIndex(doc[:Window-8], []byte(`,{"id"`))]), "]}}"...)
		b.SetBytes(int64(len(small)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := plan.Apply(io.Discard, bytes.NewReader(small)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding_json_any", func(b *testing.B) {
		b.SetBytes(int64(len(doc)))
		b.ReportAllocs()
		for b.Loop() {
			var v map[string]any
			if err := json.Unmarshal(doc, &v); err != nil {
				b.Fatal(err)
			}
			for _, e := range v["data"].(map[string]any)["list"].([]any) {
				m := e.(map[string]any)
				for _, f := range []string{KindName, "idCard", KindMobile, KindAddress} {
					m[f] = hidden
				}
				delete(m, "nation")
			}
			if _, err := json.Marshal(v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
