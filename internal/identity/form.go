package identity

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/gm"
)

// claim is a request's SG1 headers after their form was found right; nothing
// of it has been verified.
type claim struct {
	text     Text
	system   catalog.SystemID // empty: X-SG-App is absent
	session  string           // key id, or empty
	time     time.Time
	digest   [gm.DigestSize]byte
	elements Elements
	sm2      []byte // one of sm2 and mac, or neither: X-SG-Sign is absent
	mac      []byte
}

// parse checks the form of every value (SG1: "format, 400").
func parse(r Request) (claim, error) {
	var c claim
	t := &c.text
	*t = Text{Method: r.Method, Host: r.Host, Path: r.Path, Query: r.Query}
	var sign string
	for i, f := range [...]struct {
		name  string
		value *string
	}{{HeaderApp, &t.App}, {HeaderTime, &t.Time}, {HeaderNonce, &t.Nonce}, {HeaderDigest, &t.Digest}, {HeaderPurpose, &t.Purpose},
		{HeaderItem, &t.Item}, {HeaderBiz, &t.Biz}, {HeaderOrg, &t.Org}, {HeaderOperator, &t.Operator}, {HeaderSign, &sign}} {
		v, err := headerValue(r.Header, f.name, netNames[i])
		if err != nil {
			return claim{}, err
		}
		*f.value = v
	}
	if t.App == "" && sign == "" && r.Certificate == nil {
		return claim{}, &Error{code: "SG-AUTHN-MISSING"}
	}
	if err := t.check(); err != nil {
		return claim{}, err
	}
	if t.App != "" {
		id, key, hasKey := strings.Cut(t.App, "#")
		sys, err := catalog.ParseSystemID(id)
		if err != nil || hasKey && !validKeyID(key) {
			return claim{}, malformed("X-SG-App 格式错误", "X-SG-App is malformed")
		}
		c.system, c.session = sys, key
	}
	if err := c.parseValues(); err != nil {
		return claim{}, err
	}
	return c, c.parseSign(sign)
}

// netNames are the names of SG1's headers in net/http's spelling, in the order
// of parse.
var netNames = [...]string{"X-Sg-App", "X-Sg-Time", "X-Sg-Nonce", "X-Sg-Digest", "X-Sg-Purpose", "X-Sg-Item", "X-Sg-Biz", "X-Sg-Org", "X-Sg-Operator", "X-Sg-Sign"}

// headerValue returns the one trimmed value of a header, "" when absent; key is
// its name in net/http's spelling.
func headerValue(h http.Header, name, key string) (string, error) {
	vs := h[key]
	switch len(vs) {
	case 0:
		return "", nil
	case 1:
	default:
		return "", malformed(name+" 重复出现", name+" is repeated")
	}
	v := strings.Trim(vs[0], " \t")
	for _, b := range []byte(v) {
		if b < 0x21 || b > 0x7e {
			return "", malformed(name+" 含有空格或 ASCII 可见字符以外的字节", name+" holds a space or a byte outside visible ASCII")
		}
	}
	return v, nil
}

// check refuses what would let one signed text be read as two requests. The
// server's own request check is stricter; this one is shared with Sign.
func (t Text) check() error {
	for _, s := range []string{t.Method, t.Host, t.Path} {
		if s == "" {
			return malformed("请求行不完整", "the request line is incomplete")
		}
	}
	if strings.ToUpper(t.Method) != t.Method {
		return malformed("方法必须大写", "the method must be in upper case")
	}
	for _, s := range []string{t.Method, t.Host, t.Path, t.Query} {
		for _, b := range []byte(s) {
			if b < 0x21 || b > 0x7e {
				return malformed("请求行含有 ASCII 可见字符以外的字节", "the request line holds a byte outside visible ASCII")
			}
		}
	}
	if t.Path[0] != '/' || strings.ContainsAny(t.Path, "?#") || strings.ContainsAny(t.Query, ";#") {
		return malformed("路径或查询串含有不允许的字符", "path or query hold a character that is not allowed there")
	}
	return nil
}

func (c *claim) parseValues() error {
	t := c.text
	if !validTime(t.Time) {
		return malformed("X-SG-Time 必须是 13 位毫秒时间戳", "X-SG-Time must be 13 digits of milliseconds")
	}
	ms, err := strconv.ParseInt(t.Time, 10, 64)
	if err != nil {
		return malformed("X-SG-Time 必须是 13 位毫秒时间戳", "X-SG-Time must be 13 digits of milliseconds")
	}
	c.time = time.UnixMilli(ms)
	if _, ok := canonical(base64.RawURLEncoding, t.Nonce, 16); !ok {
		return malformed("X-SG-Nonce 必须是 16 字节的 base64url（22 个字符）", "X-SG-Nonce must be base64url of 16 bytes, 22 characters")
	}
	b64, ok := strings.CutPrefix(t.Digest, "sm3=")
	raw, ok2 := canonical(base64.StdEncoding, b64, gm.DigestSize)
	if !ok || !ok2 {
		return malformed("X-SG-Digest 必须是 sm3= 加 32 字节的 base64", "X-SG-Digest must be sm3= and base64 of 32 bytes")
	}
	c.digest = [gm.DigestSize]byte(raw)
	for _, e := range [...]struct {
		name, in string
		out      *string
	}{{HeaderPurpose, t.Purpose, &c.elements.Purpose}, {HeaderItem, t.Item, &c.elements.Item}, {HeaderBiz, t.Biz, &c.elements.Biz},
		{HeaderOrg, t.Org, &c.elements.Org}, {HeaderOperator, t.Operator, &c.elements.Operator}} {
		v, ok := decodeElement(e.in)
		if !ok {
			return malformed(e.name+" 的百分号编码错误或过长", e.name+" is not valid percent-encoded UTF-8, or too long")
		}
		*e.out = v
	}
	return nil
}

func (c *claim) parseSign(sign string) error {
	if sign == "" {
		return nil
	}
	bad := malformed("X-SG-Sign 必须是 sm2= 或 hmac-sm3= 加 base64", "X-SG-Sign must be sm2= or hmac-sm3= and base64")
	if v, ok := strings.CutPrefix(sign, "sm2="); ok {
		raw, ok := canonical(base64.StdEncoding, v, 0)
		if !ok || gm.CheckSignature(raw) != nil {
			return bad
		}
		c.sm2 = raw
		return nil
	}
	v, ok := strings.CutPrefix(sign, "hmac-sm3=")
	raw, ok2 := canonical(base64.StdEncoding, v, gm.DigestSize)
	if !ok || !ok2 {
		return bad
	}
	c.mac = raw
	return nil
}

// canonical decodes base64 of exactly size bytes (0: 1 to 96) and refuses any
// text but the one that encoding makes.
func canonical(enc *base64.Encoding, s string, size int) ([]byte, bool) {
	if len(s) == 0 || len(s) > 128 {
		return nil, false
	}
	raw, err := enc.DecodeString(s)
	var again [192]byte // of at most 128 characters
	if err != nil || string(enc.AppendEncode(again[:0], raw)) != s || size != 0 && len(raw) != size {
		return nil, false
	}
	return raw, true
}

func validTime(s string) bool {
	if len(s) != 13 || s[0] == '0' {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func validKeyID(s string) bool {
	if len(s) < 8 || len(s) > 32 {
		return false
	}
	for _, c := range []byte(s) {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
