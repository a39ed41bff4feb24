package identity

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Names of the headers of SG1.
const (
	HeaderApp      = "X-SG-App"
	HeaderTime     = "X-SG-Time"
	HeaderNonce    = "X-SG-Nonce"
	HeaderDigest   = "X-SG-Digest"
	HeaderPurpose  = "X-SG-Purpose"
	HeaderItem     = "X-SG-Item"
	HeaderBiz      = "X-SG-Biz"
	HeaderOrg      = "X-SG-Org"
	HeaderOperator = "X-SG-Operator"
	HeaderSign     = "X-SG-Sign"
)

// maxElement is the longest element in bytes of plain text.
const maxElement = 256

// Text is what SG1 signs: the request line's parts as sent and the X-SG-*
// values, trimmed. An absent header is an empty value.
type Text struct {
	Method, Host, Path, Query         string // Query without the '?', in any order
	App, Time, Nonce, Digest          string
	Purpose, Item, Biz, Org, Operator string
}

// Canonical returns the signed text: always 14 lines, separated by LF, no LF at
// the end. Host is put in lower case and the query is sorted here; everything
// else stands as it is. The values must not contain LF.
func (t Text) Canonical() string {
	var b strings.Builder
	b.Grow(512)
	b.WriteString("SG1\n")
	for _, s := range []string{t.Method, asciiLower(t.Host), t.Path, SortQuery(t.Query)} {
		b.WriteString(s)
		b.WriteByte('\n')
	}
	lines := [...][2]string{{"x-sg-app:", t.App}, {"x-sg-time:", t.Time}, {"x-sg-nonce:", t.Nonce}, {"x-sg-digest:", t.Digest},
		{"x-sg-purpose:", t.Purpose}, {"x-sg-item:", t.Item}, {"x-sg-biz:", t.Biz}, {"x-sg-org:", t.Org}, {"x-sg-operator:", t.Operator}}
	for i, l := range lines {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(l[0])
		b.WriteString(l[1])
	}
	return b.String()
}

// SortQuery returns the pairs of a raw query, split at '&', as byte strings in
// order, empty ones kept. The gateway forwards the query in this order, so
// that what was signed is what the upstream sees.
func SortQuery(query string) string {
	if strings.IndexByte(query, '&') < 0 {
		return query
	}
	pairs := strings.Split(query, "&")
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// EncodeElement writes plain text as a header value: visible ASCII as it is
// except '%', everything else as percent-encoded UTF-8.
func EncodeElement(s string) string {
	const upper = "0123456789ABCDEF"
	var b strings.Builder
	for _, c := range []byte(s) {
		if c > 0x20 && c < 0x7f && c != '%' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(upper[c>>4])
		b.WriteByte(upper[c&15])
	}
	return b.String()
}

// decodeElement reads a header value back. It refuses a broken encoding, text
// that is not UTF-8 in normal form C, control characters, and what is too
// long: an element is compared and recorded, and must have one spelling.
func decodeElement(s string) (string, bool) {
	if len(s) > 3*maxElement {
		return "", false
	}
	if strings.IndexByte(s, '%') >= 0 {
		var b strings.Builder
		for i := 0; i < len(s); i++ {
			if s[i] != '%' {
				b.WriteByte(s[i])
				continue
			}
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return "", false
			}
			b.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
		}
		s = b.String()
	}
	if len(s) > maxElement || !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) {
		return "", false
	}
	for _, r := range s {
		if r < 0x20 || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return "", false
		}
	}
	return s, true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	}
	return c - 'A' + 10
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
