package httpserve

import (
	"strings"
	"unicode/utf8"
)

const (
	cSyntax  = "SG-HTTP-SYNTAX"
	cFraming = "SG-HTTP-FRAMING"
	cTarget  = "SG-HTTP-TARGET"
	cHeader  = "SG-HTTP-HEADER"
	cBody    = "SG-HTTP-BODY"
)

// checkTarget accepts an origin-form target (RFC 9112 section 3.2.1) that
// every program on the way reads the same.
func checkTarget(target string) *Refusal {
	if len(target) == 0 || target[0] != '/' {
		return refuse(cTarget, "请求地址必须以 / 开头", "the request target must begin with /")
	}
	path, query, _ := strings.Cut(target, "?")
	if r := CheckPath(path); r != nil {
		return r
	}
	return checkQuery(query)
}

// checkTargetUnder accepts what checkTarget does, and a text in base64 below one
// of the paths.
func checkTargetUnder(target string, base64Under []string) *Refusal {
	for _, p := range base64Under {
		if text, below := strings.CutPrefix(target, p+"/"); below && isBase64(text) {
			return nil
		}
	}
	return checkTarget(target)
}

// isBase64 accepts letters, digits, + / = and the encodings of these three.
func isBase64(text string) bool {
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			b, ok := unhex(text, i)
			if !ok || b != '+' && b != '/' && b != '=' {
				return false
			}
			i += 2
		} else if !isAlnum(c) && c != '+' && c != '/' && c != '=' {
			return false
		}
	}
	return text != ""
}

// CheckPath accepts a raw path that has one reading only: printable path
// characters of RFC 3986, no empty or dot segment, no parameter, and no
// percent-encoding of a byte that could become structure when somebody decodes
// once or twice. It returns nil or the refusal.
func CheckPath(path string) *Refusal {
	if path == "" || path[0] != '/' {
		return refuse(cTarget, "路径必须以 / 开头", "the path must begin with /")
	}
	if strings.Contains(path, "//") {
		return refuse(cTarget, "路径含有 //", "the path holds //")
	}
	encoded := false
	for i := 0; i < len(path); i++ {
		c := path[i]
		switch {
		case c == '%':
			b, ok := unhex(path, i)
			if !ok {
				return refuse(cTarget, "路径中的百分号编码不完整", "the path holds an incomplete percent-encoding")
			}
			if b < 0x20 || b == 0x7f || strings.IndexByte(`/\.;%`, b) >= 0 {
				return refuse(cTarget, "路径中编码了斜杠、反斜杠、点、分号、百分号或控制字符", "the path encodes a slash, backslash, dot, semicolon, percent sign or control byte")
			}
			encoded = true
			i += 2
		case c == ';':
			return refuse(cTarget, "路径含有分号", "the path holds a semicolon")
		case !isPathByte(c):
			return refuse(cTarget, "路径含有不允许的字符", "the path holds a character that is not allowed there")
		}
	}
	for seg := range strings.SplitSeq(path[1:], "/") {
		if seg == "." || seg == ".." {
			return refuse(cTarget, "路径含有点段", "the path holds a dot segment")
		}
	}
	if encoded && !utf8.ValidString(decodePercent(path)) {
		return refuse(cTarget, "路径中的百分号编码不是 UTF-8", "the percent-encoding in the path is not UTF-8")
	}
	return nil
}

func checkQuery(query string) *Refusal {
	for i := 0; i < len(query); i++ {
		c := query[i]
		switch {
		case c == '%':
			b, ok := unhex(query, i)
			if !ok {
				return refuse(cTarget, "查询串中的百分号编码不完整", "the query holds an incomplete percent-encoding")
			}
			if b == 0 {
				return refuse(cTarget, "查询串中编码了 NUL", "the query encodes a NUL")
			}
			i += 2
		case c == ';':
			return refuse(cTarget, "查询串含有分号", "the query holds a semicolon")
		case c <= 0x20 || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}", c) >= 0:
			return refuse(cTarget, "查询串含有不允许的字符", "the query holds a character that is not allowed there")
		}
	}
	return nil
}

// checkHost accepts host[:port] of RFC 3986 without user information, one
// spelling only: no empty host, no encoded or non-ASCII bytes.
func checkHost(host string) *Refusal {
	bad := refuse(cHeader, "Host 首部格式错误", "the Host field is malformed")
	if host == "" || len(host) > 255 {
		return bad
	}
	name, port := host, ""
	if host[0] == '[' {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return bad
		}
		for _, c := range []byte(host[1:end]) {
			if !isHex(c) && c != ':' && c != '.' {
				return bad
			}
		}
		name = host[:end+1]
		port = host[end+1:]
		if len(name) < 4 {
			return bad
		}
	} else {
		if i := strings.IndexByte(host, ':'); i >= 0 {
			name, port = host[:i], host[i:]
		}
		if name == "" || name[0] == '.' || strings.Contains(name, "..") {
			return bad
		}
		for _, c := range []byte(name) {
			if !isAlnum(c) && c != '.' && c != '-' && c != '_' {
				return bad
			}
		}
	}
	if port == "" {
		return nil
	}
	if port[0] != ':' || len(port) < 2 || len(port) > 6 {
		return bad
	}
	for _, c := range []byte(port[1:]) {
		if c < '0' || c > '9' {
			return bad
		}
	}
	return nil
}

// isPathByte: pchar of RFC 3986 without % and ;, and the slash.
func isPathByte(c byte) bool {
	return isAlnum(c) || strings.IndexByte("-._~!$&'()*+,=:@/", c) >= 0
}

// isTokenByte: tchar of RFC 9110 without the underscore.
func isTokenByte(c byte) bool {
	return isAlnum(c) || strings.IndexByte("!#$%&'*+-.^`|~", c) >= 0
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hexValue(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

// unhex decodes the percent-encoding at s[i].
func unhex(s string, i int) (byte, bool) {
	if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
		return 0, false
	}
	return hexValue(s[i+1])<<4 | hexValue(s[i+2]), true
}

func decodePercent(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if v, ok := unhex(s, i); ok {
				b.WriteByte(v)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
