package httpserve

import (
	"strconv"
	"strings"
)

// maxFields is the largest number of header fields.
const maxFields = 100

// head is what a checked request head says about what follows it.
type head struct {
	method, target, host string
	length               int64 // of the body in bytes; meaningless when chunked
	chunked              bool
}

// endOfHead returns the length of the head in b including its empty line, or 0
// when it is not complete. It refuses as soon as a bare LF or CR, or a byte
// that stands in no head, is seen, so that nobody waits for an end that cannot
// come. from is how much of b was looked at before.
func endOfHead(b []byte, from int) (int, *Refusal) {
	for i := max(0, from-3); i < len(b); i++ {
		switch c := b[i]; {
		case c == '\n':
			if i == 0 || b[i-1] != '\r' {
				return 0, refuse(cSyntax, "行以单独的 LF 结束", "a line ends in a bare LF")
			}
			if i >= 3 && b[i-2] == '\n' {
				return i + 1, nil
			}
			if i == 1 {
				return 0, refuse(cSyntax, "请求行之前有空行", "an empty line stands before the request line")
			}
		case i > 0 && b[i-1] == '\r':
			return 0, refuse(cSyntax, "行中有单独的 CR", "a line holds a bare CR")
		case c == '\r', c == '\t', c >= 0x20 && c < 0x7f:
		default:
			return 0, refuse(cSyntax, "首部含有 ASCII 可见字符以外的字节", "the head holds a byte outside printable ASCII")
		}
	}
	return 0, nil
}

// parseHead checks a complete head, as endOfHead delimits it.
func parseHead(b []byte, base64Under []string) (head, *Refusal) {
	line, rest, more := strings.Cut(string(b[:len(b)-4]), "\r\n")
	var h head
	if r := h.requestLine(line, base64Under); r != nil {
		return head{}, r
	}
	if more && strings.Count(rest, "\n") >= maxFields {
		return head{}, refuse("SG-HTTP-HEADER-TOO-LARGE", "首部字段过多", "there are too many header fields")
	}
	var f fields
	for more {
		line, rest, more = strings.Cut(rest, "\r\n")
		if r := f.add(line); r != nil {
			return head{}, r
		}
	}
	if r := f.frame(&h); r != nil {
		return head{}, r
	}
	return h, nil
}

func (h *head) requestLine(line string, base64Under []string) *Refusal {
	if strings.HasPrefix(line, "PRI * HTTP/2") {
		return refuse("SG-HTTP-VERSION", "未经 TLS 协商不接受 HTTP/2", "HTTP/2 is not spoken without TLS negotiation")
	}
	method, rest, ok1 := strings.Cut(line, " ")
	target, version, ok2 := strings.Cut(rest, " ")
	if !ok1 || !ok2 || strings.ContainsAny(line, "\t\r") || method == "" || strings.Contains(version, " ") {
		return refuse(cSyntax, "请求行格式错误", "the request line is malformed")
	}
	for _, c := range []byte(method) {
		if !isTokenByte(c) && c != '_' {
			return refuse(cSyntax, "方法名格式错误", "the method is not a token")
		}
	}
	if version != "HTTP/1.1" {
		if !strings.HasPrefix(version, "HTTP/") {
			return refuse(cSyntax, "请求行格式错误", "the request line is malformed")
		}
		return refuse("SG-HTTP-VERSION", "只支持 HTTP/1.1", "only HTTP/1.1 is spoken here")
	}
	if r := checkMethod(method); r != nil {
		return r
	}
	if r := checkTargetUnder(target, base64Under); r != nil {
		return r
	}
	h.method, h.target = method, target
	return nil
}

// checkMethod accepts the methods that an interface may have. The name that
// conn.go uses for refused heads is not among them.
func checkMethod(method string) *Refusal {
	switch method {
	case "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS":
		return nil
	}
	return refuse("SG-HTTP-METHOD", "网关不支持该方法", "the gateway does not support this method")
}

func bodyAllowed(method string) bool {
	return method == "POST" || method == "PUT" || method == "PATCH"
}

// fields are the header fields that decide framing, and how often each
// singleton came.
type fields struct {
	host, length, coding string
	seen                 [len(singletonNames)]bool
	hasLength, hasCoding bool
}

// singletonNames are fields that a request carries at most once. X-SG-* are
// singletons too (contracts: SG1).
var singletonNames = [...]string{"host", "content-length", "transfer-encoding", "content-type", "content-encoding",
	"authorization", "expect", "date", "user-agent", "referer", "origin", "range", "max-forwards", "if-modified-since", "if-unmodified-since"}

// otherRuled are the fields besides the singletons that checkField has a rule for.
var otherRuled = [...]string{"upgrade", "http2-settings", "trailer", "te", "connection", "proxy-connection"}

// ruled returns the lower-case name of a field that there is a rule for, else "".
func ruled(name string) string {
	for _, s := range singletonNames {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return s
		}
	}
	for _, s := range otherRuled {
		if len(s) == len(name) && strings.EqualFold(s, name) {
			return s
		}
	}
	return ""
}

func singleton(name string) int {
	for i, s := range singletonNames {
		if s == name {
			return i
		}
	}
	return -1
}

func (f *fields) add(line string) *Refusal {
	if line != "" && (line[0] == ' ' || line[0] == '\t') {
		return refuse(cSyntax, "首部使用了折行", "a header field is folded over lines")
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok {
		return refuse(cSyntax, "首部缺少冒号", "a header field has no colon")
	}
	if r := checkName(name); r != nil {
		return r
	}
	value = strings.Trim(value, " \t")
	name = ruled(name)
	if i := singleton(name); i >= 0 {
		if f.seen[i] {
			code := cHeader
			if name == "content-length" || name == "transfer-encoding" {
				code = cFraming
			}
			return refuse(code, "只能出现一次的首部重复出现", "a header field that may come once is repeated")
		}
		f.seen[i] = true
	}
	switch name {
	case "host":
		f.host = value
	case "content-length":
		f.length, f.hasLength = value, true
	case "transfer-encoding":
		f.coding, f.hasCoding = value, true
	}
	return checkField(name, value)
}

// checkName accepts a field name without underscore: many programs read X_A
// and X-A as one name.
func checkName(name string) *Refusal {
	if name == "" {
		return refuse(cSyntax, "首部名称为空", "a header field has no name")
	}
	for _, c := range []byte(name) {
		if c == '_' {
			return refuse(cHeader, "首部名称含有下划线", "a header field's name holds an underscore")
		}
		if !isTokenByte(c) {
			return refuse(cSyntax, "首部名称格式错误", "a header field's name is not a token")
		}
	}
	return nil
}

// checkField accepts a field by its name as ruled gives it and its trimmed
// value, in both versions of HTTP.
func checkField(name, value string) *Refusal {
	for _, c := range []byte(value) {
		if c != '\t' && (c < 0x20 || c > 0x7e) {
			return refuse(cHeader, "首部的值含有 ASCII 可见字符以外的字节", "a header field's value holds a byte outside printable ASCII")
		}
	}
	switch name {
	case "upgrade", "http2-settings":
		return refuse(cHeader, "不接受协议升级", "a protocol upgrade is not accepted")
	case "trailer":
		return refuse(cHeader, "不接受尾部字段", "trailer fields are not accepted")
	case "expect":
		if !strings.EqualFold(value, "100-continue") {
			return refuse("SG-HTTP-EXPECT", "不支持该 Expect 值", "this Expect value is not supported")
		}
	case "te":
		if value != "" && !strings.EqualFold(value, "trailers") {
			return refuse(cHeader, "不支持该 TE 值", "this TE value is not supported")
		}
	case "connection", "proxy-connection":
		for opt := range strings.SplitSeq(value, ",") {
			switch strings.ToLower(strings.Trim(opt, " \t")) {
			case "close", "keep-alive", "te", "":
			default:
				return refuse(cHeader, "Connection 首部含有不允许的选项", "the Connection field holds an option that is not allowed")
			}
		}
	}
	return nil
}

// frame decides the length of the body (RFC 9112 section 6.3) and refuses
// every case in which two readers could differ.
func (f *fields) frame(h *head) *Refusal {
	if !f.seen[singleton("host")] {
		return refuse(cHeader, "缺少 Host 首部", "the Host field is missing")
	}
	if r := checkHost(f.host); r != nil {
		return r
	}
	h.host = f.host
	if f.hasLength && f.hasCoding {
		return refuse(cFraming, "同时出现 Content-Length 和 Transfer-Encoding", "Content-Length and Transfer-Encoding both came")
	}
	if f.hasCoding {
		if !strings.EqualFold(f.coding, "chunked") {
			return refuse(cFraming, "只接受 Transfer-Encoding: chunked", "the only transfer coding accepted is chunked")
		}
		h.chunked = true
	}
	if f.hasLength {
		n, ok := parseLength(f.length)
		if !ok {
			return refuse(cFraming, "Content-Length 不是一个十进制数", "Content-Length is not one plain decimal number")
		}
		h.length = n
	}
	if (h.chunked || h.length > 0) && !bodyAllowed(h.method) {
		return refuse(cBody, "该方法不允许带请求体", "this method takes no body")
	}
	return nil
}

// parseLength reads 1*DIGIT without leading zeros, at most 18 digits.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 || len(s) > 1 && s[0] == '0' {
		return 0, false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}
