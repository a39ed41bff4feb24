package mask

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addressPrefix returns how many bytes of an address may stay: province,
// prefecture and county, from left to right, each at most once (GB/T 2260). It
// returns 0 when none is recognised.
//
// Addresses are free text, so this errs to the side of keeping less: a level
// whose name holds a digit, a road or a housing estate ends the search. The
// names of roads and estates often hold the characters 市, 区, 县 and 旗
// (农贸市场, 阳光小区, 县前街, 红旗街); those are what the rules below are for.
func addressPrefix(v string) int {
	kept, municipality := province(v)
	if !municipality {
		kept += division(v[kept:], 10, "市", "自治州", "盟", "地区")
	}
	if kept == 0 {
		// A county alone may be kept too: 朝阳区人民大街1号.
		return division(v, 12, "区", "县", "旗")
	}
	return kept + division(v[kept:], 12, "区", "县", "旗", "市")
}

// province returns the length of the province at the start of v, and whether it
// is a municipality, which has no prefectures.
func province(v string) (n int, municipality bool) {
	for _, name := range []string{"北京市", "天津市", "上海市", "重庆市"} {
		if strings.HasPrefix(v, name) {
			return len(name), true
		}
	}
	for _, name := range []string{
		"吉林省", "河北省", "山西省", "辽宁省", "黑龙江省", "江苏省", "浙江省", "安徽省", "福建省", "江西省", "山东省", "河南省",
		"湖北省", "湖南省", "广东省", "海南省", "四川省", "贵州省", "云南省", "陕西省", "甘肃省", "青海省", "台湾省",
		"内蒙古自治区", "广西壮族自治区", "西藏自治区", "宁夏回族自治区", "新疆维吾尔自治区",
		"香港特别行政区", "澳门特别行政区",
	} {
		if strings.HasPrefix(v, name) {
			return len(name), false
		}
	}
	return 0, false
}

// division returns the length of the name of an administrative division at the
// start of v, of at most limit runes before one of the suffixes, or 0.
func division(v string, limit int, suffixes ...string) int {
	runes := 0
	for i, r := range v {
		if runes > limit || !unicode.Is(unicode.Han, r) {
			return 0
		}
		if runes > 0 {
			for _, suffix := range suffixes {
				if rest, ok := strings.CutPrefix(v[i:], suffix); ok && plausible(v[:i], suffix, rest) {
					return len(v) - len(rest)
				}
			}
			// Below a county there is nothing to keep. 乡 and 镇 may still be part
			// of its name (新乡县, 镇赉县), the others only at its beginning.
			if strings.ContainsRune("路街道巷弄号村屯组栋室院厦寓", r) {
				return 0
			}
		}
		runes++
	}
	return 0
}

// plausible reports whether name+suffix, followed by rest, reads as a division
// and not as part of a road, an estate or another word.
func plausible(name, suffix, rest string) bool {
	last, _ := utf8.DecodeLastRuneInString(name)
	next, _ := utf8.DecodeRuneInString(rest)
	switch suffix {
	case "区":
		if strings.ContainsRune("路街道巷弄", next) || strings.ContainsRune("小社园校厂院景片街库住宿苑工生墅", last) || strings.HasSuffix(name, "地") {
			return false
		}
	case "县":
		if strings.ContainsRune("路街道巷弄大前后", next) {
			return false
		}
	case "旗":
		if strings.ContainsRune("路街道巷弄大前后乡镇村", next) {
			return false
		}
	case "市":
		if strings.ContainsRune("场政民立容", next) || strings.ContainsRune("超门夜早菜花鱼鸟", last) {
			return false
		}
	}
	// A township before the county's suffix means that the suffix belongs to a
	// place inside the township (卡伦镇开发区), unless it is the last character.
	if i := strings.IndexAny(name, "乡镇"); i > 0 && i+len("乡") < len(name) {
		return false
	}
	return true
}
