package ofd

import (
	"strings"
	"unicode/utf8"
)

// checkReferences checks every & of raw text: it must begin one of the five
// predefined entities or a reference to a character that XML allows.
func (s *xmlScanner) checkReferences(raw string) *xmlError {
	for {
		i := strings.IndexByte(raw, '&')
		if i < 0 {
			return nil
		}
		raw = raw[i:]
		n, _ := reference(raw)
		if n == 0 {
			return s.fail("an entity is not one of the five predefined, or a character reference is malformed")
		}
		raw = raw[n:]
	}
}

// reference reads the reference at the beginning of s, which begins with `&`.
// It returns its length and the character, or 0.
func reference(s string) (int, rune) {
	end := strings.IndexByte(s[:min(len(s), 12)], ';')
	if end < 0 {
		return 0, 0
	}
	switch name := s[1:end]; name {
	case "lt":
		return end + 1, '<'
	case "gt":
		return end + 1, '>'
	case "amp":
		return end + 1, '&'
	case "quot":
		return end + 1, '"'
	case "apos":
		return end + 1, '\''
	default:
		digits, base := strings.TrimPrefix(name, "#"), rune(10)
		if digits == name || digits == "" {
			return 0, 0
		}
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		if digits == "" {
			return 0, 0
		}
		var r rune
		for _, c := range []byte(digits) {
			d := rune(99)
			switch {
			case c >= '0' && c <= '9':
				d = rune(c - '0')
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				d = rune(c|0x20-'a') + 10
			}
			if d >= base {
				return 0, 0
			}
			if r = r*base + d; r > utf8.MaxRune {
				return 0, 0
			}
		}
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || !utf8.ValidRune(r) || r == 0xfffe || r == 0xffff {
			return 0, 0
		}
		return end + 1, r
	}
}

// unescape replaces references, which checkReferences has checked, and
// normalises line ends (XML 1.0 section 2.11); in attribute values white space
// becomes a space (section 3.3.3).
func unescape(raw string, attribute bool) string {
	special := "&\r"
	if attribute {
		special = "&\r\n\t"
	}
	if !strings.ContainsAny(raw, special) {
		return raw
	}
	var b strings.Builder
	b.Grow(len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '&':
			n, r := reference(raw[i:])
			b.WriteRune(r)
			i += n - 1
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n': // the \n follows
		case attribute && (c == '\r' || c == '\n' || c == '\t'):
			b.WriteByte(' ')
		case c == '\r':
			b.WriteByte('\n')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escape writes s as XML text or as an attribute value in double quotes.
func escape(s string) string {
	if !strings.ContainsAny(s, "&<>\"\t\n\r") {
		return s
	}
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;",
		"\t", "&#9;", "\n", "&#10;", "\r", "&#13;").Replace(s)
}
