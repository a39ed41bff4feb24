package mask

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/sealgate/sealgate/internal/testenv"
)

func TestMasksByKind(t *testing.T) {
	for _, c := range []struct{ kind, value, want string }{
		{KindName, "张三", "张*"}, {KindName, "欧阳娜娜", "欧阳**"}, {KindName, "司马懿", "司马*"}, {KindName, "欧阳", "欧*"}, {KindName, "张", "*"},
		{KindName, "买买提·艾力", "买*****"}, {KindName, "𠮷田", "𠮷*"}, {KindName, "John Smith", hidden}, {KindName, "", hidden}, {KindName, "·张", hidden},
		{KindName, strings.Repeat("张", 21), hidden},
		{KindResidentID, "220102199003070013", "2****************3"}, {KindResidentID, "11010519491231002X", "1****************X"},
		{KindResidentID, "11010519491231002x", "1****************x"}, {KindResidentID, "110105194912310021", "1****************1"}, // a bad check digit is personal data too
		{KindResidentID, "220102900307001", "2*************1"}, {KindResidentID, "22010219900307001", hidden}, {KindResidentID, " 220102199003070013", hidden},
		{KindMobile, "13800000000", "138****0000"}, {KindMobile, "+8613800000000", hidden}, {KindMobile, "12800000000", hidden}, {KindMobile, "1380000000", hidden},
		{KindAddress, "吉林省长春市朝阳区人民大街1号", "吉林省长春市朝阳区****"},
		{KindBankCard, "6222021000000000009", "***************0009"}, {KindBankCard, "2221000000000000", "************0000"}, {KindBankCard, "1222021000000000009", hidden},
		{KindBankCard, "622202100000", hidden}, {KindBankCard, "6222 0210 0000 0000 009", hidden},
		{KindEmail, "zhang.san@example.cn", "z***@example.cn"}, {KindEmail, "a@example.cn", "****@example.cn"}, {KindEmail, "@example.cn", hidden},
		{KindEmail, "a@b@example.cn", hidden}, {KindEmail, "张三@example.cn", hidden}, {KindEmail, "ab@cn", hidden}, {KindEmail, "ab", hidden},
		{KindPlate, "吉A12345", "吉A***45"}, {KindPlate, "吉AD12345", "吉A****45"}, {KindPlate, "吉A·12345", "吉A****45"}, {KindPlate, "吉A1234学", "吉A***4学"},
		{KindPlate, "吉A1234", hidden}, {KindPlate, "A12345", hidden}, {KindPlate, "学A12345", hidden}, {KindPlate, "吉A学1234", hidden},
		{KindUSCC, "91350100M000100Y43", "91350100M000100Y43"}, {KindUSCC, "92220102MA0000000X", "92************000X"}, {KindUSCC, "91350100M000100Y4", hidden},
		{KindUSCC, "91350100M000100Z43", hidden},
		{KindPassport, "E12345678", "E*****678"}, {KindPassport, "EA1234567", "E*****567"}, {KindPassport, "12345678", hidden}, {KindPassport, "E123", hidden},
		{"phone", "043112345678", hidden}, {"", "x", hidden},
	} {
		if got := ByKind(c.kind, c.value); got != c.want {
			t.Errorf("%s %q: %q, want %q", c.kind, c.value, got, c.want)
		}
	}
}

func TestKeepHidesAShortValueWhole(t *testing.T) {
	for _, c := range []struct {
		value string
		n, m  int
		want  string
	}{{"abcdef", 2, 2, "ab**ef"}, {"abcd", 2, 2, "****"}, {"abc", 2, 2, "***"}, {"张三李四王", 1, 1, "张***王"}, {"a", 0, 1, "*"}, {"", 1, 1, ""}, {"abc", 0, 0, "***"}, {"😀a😀", 1, 0, "😀**"}} {
		if got := string(appendKept(nil, []byte(c.value), c.n, c.m)); got != c.want {
			t.Errorf("keep(%d,%d) of %q: %q, want %q", c.n, c.m, c.value, got, c.want)
		}
	}
}

func TestAddressesKeepNothingBelowTheCounty(t *testing.T) {
	for in, kept := range map[string]string{
		"吉林省吉林市昌邑区解放东路2号":    "吉林省吉林市昌邑区",
		"吉林省公主岭市河南大街3号":      "吉林省公主岭市",
		"吉林省延边朝鲜族自治州延吉市光明街":  "吉林省延边朝鲜族自治州延吉市",
		"吉林省白城市镇赉县镇赉镇":       "吉林省白城市镇赉县",
		"吉林省松原市前郭尔罗斯蒙古族自治县":  "吉林省松原市前郭尔罗斯蒙古族自治县",
		"北京市海淀区苏州街12号":       "北京市海淀区",
		"北京市朝阳区":             "北京市朝阳区",
		"山东省济南市市中区经四路":       "山东省济南市市中区",
		"黑龙江省哈尔滨市道里区中央大街":    "黑龙江省哈尔滨市道里区",
		"河南省新乡市新乡县":          "河南省新乡市新乡县",
		"江苏省南京市鼓楼区":          "江苏省南京市鼓楼区",
		"长春市南关区东大街":          "长春市南关区",
		"朝阳区人民大街1号":          "朝阳区",
		"吉林省长春市人民大街1号阳光小区":   "吉林省长春市",
		"吉林省长春市阳光小区3栋":       "吉林省长春市",
		"吉林省长春市红旗街5号":        "吉林省长春市",
		"吉林省长春市卡伦镇开发区一号":     "吉林省长春市",
		"吉林省农贸市场12号":         "吉林省",
		"吉林省桦甸市县前街":          "吉林省桦甸市",
		"内蒙古自治区锡林郭勒盟镶黄旗新宝拉格": "内蒙古自治区锡林郭勒盟镶黄旗",
		"人民大街1号":             "",
		"No. 1 Renmin Str.":  "",
		"":                   "",
		"１２３号":               "",
	} {
		if got := in[:addressPrefix(in)]; got != kept {
			t.Errorf("%s: kept %q, want %q", in, got, kept)
		}
	}
}

func TestMasksOfTheCorpusIdentifiersHideThem(t *testing.T) {
	data, err := os.ReadFile(testenv.Corpus(t, "identifiers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var ids map[string]json.RawMessage
	if err := json.Unmarshal(data, &ids); err != nil {
		t.Fatal(err)
	}
	for list, kind := range map[string]string{"resident_id_ok": KindResidentID, "resident_id_bad": KindResidentID, "gat_residence_ok": KindResidentID,
		"foreign_pr_ok": KindResidentID, "luhn_ok": KindBankCard} {
		var values []string
		if err := json.Unmarshal(ids[list], &values); err != nil || len(values) == 0 {
			t.Fatalf("%s: %v", list, err)
		}
		for _, v := range values {
			if got := ByKind(kind, v); got == hidden || strings.Count(got, "*") < len(v)-4 {
				t.Errorf("%s %s: %s", kind, v, got)
			}
		}
	}
	var codes []string
	if err := json.Unmarshal(ids["uscc_ok"], &codes); err != nil {
		t.Fatal(err)
	}
	for _, v := range codes {
		if got := ByKind(KindUSCC, v); got != v {
			t.Errorf("%s: %s", v, got)
		}
	}
}

// No mask shows more of a value than its rule says, whatever the value.
func TestMasksOfArbitraryTextShowLittle(t *testing.T) {
	kinds := []string{KindName, KindResidentID, KindMobile, KindBankCard, KindEmail, KindPlate, KindPassport, "other"}
	rapid.Check(t, func(t *rapid.T) {
		kind := rapid.SampledFrom(kinds).Draw(t, "kind")
		v := rapid.OneOf(rapid.String(), rapid.StringMatching(`[0-9A-Z吉张·@.]{0,24}`)).Draw(t, "value")
		got := ByKind(kind, v)
		if !utf8.ValidString(got) || !strings.Contains(got, "*") {
			t.Fatalf("%s %q: %q", kind, v, got)
		}
		n, m := rapid.IntRange(0, 30).Draw(t, "n"), rapid.IntRange(0, 30).Draw(t, "m")
		kept := string(appendKept(nil, []byte(v), n, m))
		if utf8.RuneCountInString(kept) != utf8.RuneCountInString(v) || kept == v && v != "" && strings.Trim(v, "*") != "" {
			t.Fatalf("keep(%d,%d) of %q: %q", n, m, v, kept)
		}
	})
}
