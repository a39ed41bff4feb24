package mask

import (
	"bytes"
	"encoding/hex"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sealgate/sealgate/internal/gm"
)

// hidden stands for a value whose form is not recognised: it tells nothing, not
// even the length.
const hidden = "****"

// ByKind masks value as the action `mask` does for a field of the kind. It
// never fails: what it does not recognise it hides whole.
func ByKind(kind, value string) string { return string(appendByKind(nil, kind, []byte(value))) }

// appendByKind appends the masked value. Forms are recognised narrowly and the
// check digits are not asked: a mistyped number is personal data too.
func appendByKind(dst []byte, kind string, v []byte) []byte {
	switch kind {
	case KindName:
		if surname := surnameRunes(v); surname > 0 {
			return appendKept(dst, v, surname, 0)
		}
	case KindResidentID:
		if isResidentID(v) {
			return appendKept(dst, v, 1, 1)
		}
	case KindMobile:
		if len(v) == 11 && v[0] == '1' && v[1] >= '3' && digits(v) {
			return appendKept(dst, v, 3, 4)
		}
	case KindAddress:
		if n := addressPrefix(string(v)); n > 0 {
			return append(append(dst, v[:n]...), hidden...)
		}
	case KindBankCard:
		if len(v) >= 13 && len(v) <= 19 && v[0] >= '2' && v[0] <= '6' && digits(v) {
			return appendKept(dst, v, 0, 4)
		}
	case KindEmail:
		return appendEmail(dst, v)
	case KindPlate:
		if isPlate(v) {
			return appendKept(dst, v, 2, 2)
		}
	case KindUSCC:
		switch {
		case !isUSCC(v):
		case v[0] == '9' && v[1] == '2': // a sole trader's code is close to personal data
			return appendKept(dst, v, 2, 4)
		default:
			return append(dst, v...)
		}
	case KindPassport:
		if isPassport(v) {
			return appendKept(dst, v, 1, 3)
		}
	}
	return append(dst, hidden...)
}

// appendKept keeps the first n and the last m runes and writes one star for
// each rune between; a value of n+m runes or fewer is hidden whole.
func appendKept(dst, v []byte, n, m int) []byte {
	runes := utf8.RuneCount(v)
	if runes <= n+m {
		n, m = 0, 0
	}
	for range n {
		_, size := utf8.DecodeRune(v)
		dst, v = append(dst, v[:size]...), v[size:]
	}
	for range runes - n - m {
		_, size := utf8.DecodeRune(v)
		dst, v = append(dst, '*'), v[size:]
	}
	return append(dst, v...)
}

// appendPseudonym appends 32 hexadecimal digits: the first half of HMAC-SM3
// under the grant's key, so that one grant's answers can be joined and those of
// two grants cannot.
func appendPseudonym(dst, key []byte, kind string, v []byte) []byte {
	sum := gm.HMACSM3(key, []byte(kind), []byte{0}, norm.NFC.Bytes(v))
	return hex.AppendEncode(dst, sum[:16])
}

func digits(v []byte) bool {
	for _, c := range v {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(v) > 0
}

// isResidentID accepts the 18-character forms of GB 11643 and of the residence
// permits, and the 15-digit form of before 1999.
func isResidentID(v []byte) bool {
	switch len(v) {
	case 15:
		return digits(v)
	case 18:
		last := v[17]
		return digits(v[:17]) && (last >= '0' && last <= '9' || last == 'X' || last == 'x')
	}
	return false
}

// isUSCC accepts 18 characters of the alphabet of GB 32100.
func isUSCC(v []byte) bool {
	const letters = "ABCDEFGHJKLMNPQRTUWXY" // without I, O, S, V, Z
	for _, c := range v {
		if (c < '0' || c > '9') && bytes.IndexByte([]byte(letters), c) < 0 {
			return false
		}
	}
	return len(v) == 18 && digits(v[2:8])
}

// isPassport accepts passports and exit-entry permits that begin with a letter:
// one or two letters, then digits, 8 to 11 characters in all.
func isPassport(v []byte) bool {
	if len(v) < 8 || len(v) > 11 || v[0] < 'A' || v[0] > 'Z' {
		return false
	}
	for i, c := range v[1:] {
		if (c < '0' || c > '9') && (i > 0 || c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// isPlate accepts a province character, a letter, and five or six letters or
// digits, of which the last may be one of the characters of special plates; a
// middle dot may stand after the letter (GA 36).
func isPlate(v []byte) bool {
	const provinces = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
	r, size := utf8.DecodeRune(v)
	if !bytes.ContainsRune([]byte(provinces), r) {
		return false
	}
	v = v[size:]
	if len(v) == 0 || v[0] < 'A' || v[0] > 'Z' {
		return false
	}
	v = bytes.TrimPrefix(v[1:], []byte("·"))
	if n := utf8.RuneCount(v); n != 5 && n != 6 {
		return false
	}
	for len(v) > 0 {
		r, size := utf8.DecodeRune(v)
		v = v[size:]
		ascii := r >= '0' && r <= '9' || r >= 'A' && r <= 'Z'
		special := len(v) == 0 && bytes.ContainsRune([]byte("挂学警港澳"), r)
		if !ascii && !special {
			return false
		}
	}
	return true
}

// appendEmail keeps the first character of the local part and the domain; a
// local part of one character is hidden too.
func appendEmail(dst, v []byte) []byte {
	at := bytes.IndexByte(v, '@')
	if at < 1 || at > 64 || len(v)-at > 191 || len(v)-at < 4 || bytes.IndexByte(v[at+1:], '.') < 1 {
		return append(dst, hidden...)
	}
	for i, c := range v {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '-'
		if !letter && (i > at || i < at && bytes.IndexByte([]byte("_%+"), c) < 0) {
			return append(dst, hidden...)
		}
	}
	first := v[0]
	if at == 1 {
		first = '*'
	}
	return append(append(append(dst, first), "***"...), v[at:]...)
}

// surnameRunes returns how many runes of a personal name are the surname, or 0
// when the value is not a name in Han characters of at most 20 runes. With a
// middle dot it is the first character only.
func surnameRunes(v []byte) int {
	runes, dot := 0, false
	for _, r := range string(v) {
		runes++
		switch {
		case r == '·' && runes > 1:
			dot = true
		case !unicode.Is(unicode.Han, r):
			return 0
		}
	}
	switch {
	case runes == 0 || runes > 20:
		return 0
	case !dot && runes > 2 && compoundSurname(v):
		return 2
	}
	return 1
}

// compoundSurname reports whether v begins with one of the surnames of two
// characters that are in use.
func compoundSurname(v []byte) bool {
	if len(v) < 6 {
		return false
	}
	switch string(v[:6]) {
	case "欧阳", "太史", "端木", "上官", "司马", "东方", "独孤", "南宫", "万俟", "闻人",
		"夏侯", "诸葛", "尉迟", "公羊", "赫连", "澹台", "皇甫", "宗政", "濮阳", "公冶",
		"太叔", "申屠", "公孙", "慕容", "仲孙", "钟离", "长孙", "宇文", "司徒", "鲜于",
		"司空", "闾丘", "子车", "亓官", "司寇", "巫马", "公西", "颛孙", "壤驷", "公良",
		"漆雕", "乐正", "宰父", "谷梁", "拓跋", "夹谷", "轩辕", "令狐", "段干", "百里",
		"呼延", "东郭", "南门", "羊舌", "微生", "梁丘", "左丘", "东门", "西门", "南荣",
		"第五", "纳兰", "完颜", "叶赫", "爱新", "那拉", "富察", "瓜尔", "钮祜", "耶律",
		"贺兰", "哥舒", "屈突", "达奚", "淳于", "单于", "纥奚", "归海", "涂钦", "岳帅":
		return true
	}
	return false
}
