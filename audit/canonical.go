package audit

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// This file writes and reads the subset of RFC 8785 (JSON Canonicalization
// Scheme) that records and checkpoints use: objects whose members are sorted and
// known, strings without control characters, integers 0 <= n < 2^53, booleans,
// arrays of strings. No white space, no null, no floats. In this subset the only
// escapes are \" and \\; everything else stands as UTF-8, also < > & and U+2028.

// maxInteger is the largest integer that every JSON reader keeps exact.
const maxInteger = 1<<53 - 1

// timeLayout is RFC 3339 in UTC with exactly nine fraction digits.
const timeLayout = "2006-01-02T15:04:05.000000000Z"

// appendMember begins a member of the object that dst ends in.
func appendMember(dst []byte, name string) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		i := indexEscape(s)
		if i < 0 {
			dst = append(dst, s...)
			return append(dst, '"')
		}
		dst = append(dst, s[:i]...)
		dst = append(dst, '\\', s[i])
		s = s[i+1:]
	}
}

func indexEscape(s string) int {
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			return i
		}
	}
	return -1
}

// appendText appends a member, and nothing when the value is empty: absent
// values are left out.
func appendText(dst []byte, name, value string) []byte {
	if value == "" {
		return dst
	}
	return appendString(appendMember(dst, name), value)
}

func appendNumber(dst []byte, name string, n Number) []byte {
	if !n.set {
		return dst
	}
	return strconv.AppendInt(appendMember(dst, name), n.n, 10)
}

func appendTexts(dst []byte, name string, values []string) []byte {
	if len(values) == 0 {
		return dst
	}
	dst = append(appendMember(dst, name), '[')
	for i, v := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(dst, v)
	}
	return append(dst, ']')
}

func appendBytes(dst []byte, name string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	dst = append(appendMember(dst, name), '"')
	dst = base64.StdEncoding.AppendEncode(dst, value)
	return append(dst, '"')
}

func appendTime(dst []byte, name string, t time.Time) []byte {
	dst = append(appendMember(dst, name), '"')
	dst = t.UTC().AppendFormat(dst, timeLayout)
	return append(dst, '"')
}

// checkText wants 1..max bytes of UTF-8 without control characters. Its errors
// name the member and never show the value.
func checkText(name, s string, max int) error {
	switch {
	case s == "":
		return fmt.Errorf("%s is missing", name)
	case len(s) > max:
		return fmt.Errorf("%s has %d bytes, at most %d are allowed", name, len(s), max)
	}
	ascii := true
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return fmt.Errorf("%s holds a control character", name)
		}
		ascii = ascii && s[i] < 0x80
	}
	if !ascii && !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8", name)
	}
	return nil
}

func checkOptional(name, s string, max int) error {
	if s == "" {
		return nil
	}
	return checkText(name, s, max)
}

func checkNumber(name string, n Number) error {
	if n.n < 0 || n.n > maxInteger {
		return fmt.Errorf("%s is not in 0..2^53-1", name)
	}
	return nil
}

// checkTime wants a year that the layout can hold.
func checkTime(name string, t time.Time) error {
	if y := t.UTC().Year(); y < 1970 || y > 9999 {
		return fmt.Errorf("%s has a year outside 1970..9999", name)
	}
	return nil
}

// reader walks over one canonical object. Because members are sorted and known,
// it asks for each in turn; the first error sticks and makes the rest no-ops.
type reader struct {
	in  []byte
	pos int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("byte %d: "+format, append([]any{r.pos}, args...)...)
	}
}

func (r *reader) expect(c byte) {
	if r.err != nil {
		return
	}
	if r.pos >= len(r.in) || r.in[r.pos] != c {
		r.fail("want %q", c)
		return
	}
	r.pos++
}

func (r *reader) open() { r.expect('{') }

// close ends an object; a member that was not asked for is met here.
func (r *reader) close() {
	if r.err == nil && r.pos < len(r.in) && r.in[r.pos] == ',' {
		r.fail("a member is unknown, repeated or out of order")
	}
	r.expect('}')
}

// end wants nothing more.
func (r *reader) end() {
	if r.err == nil && r.pos != len(r.in) {
		r.fail("bytes after the object")
	}
}

// member reports whether the next member is name, and steps to its value.
func (r *reader) member(name string) bool {
	if r.err != nil || r.pos == 0 {
		return false
	}
	rest := r.in[r.pos:]
	comma := 1
	if r.in[r.pos-1] == '{' {
		comma = 0
	} else if len(rest) == 0 || rest[0] != ',' {
		return false
	}
	rest = rest[comma:]
	n := len(name)
	if len(rest) < n+3 || rest[0] != '"' || string(rest[1:n+1]) != name || rest[n+1] != '"' || rest[n+2] != ':' {
		return false
	}
	r.pos += comma + n + 3
	return true
}

// text reads a string; its value rules are checked by the caller.
func (r *reader) text() string {
	r.expect('"')
	if r.err != nil {
		return ""
	}
	start := r.pos
	var out []byte
	for r.pos < len(r.in) {
		switch c := r.in[r.pos]; {
		case c == '"':
			raw := r.in[start:r.pos]
			r.pos++
			if out == nil {
				return string(raw)
			}
			return string(append(out, raw...))
		case c == '\\':
			if r.pos+1 >= len(r.in) || r.in[r.pos+1] != '"' && r.in[r.pos+1] != '\\' {
				r.fail("an escape that the canonical form does not use")
				return ""
			}
			out = append(out, r.in[start:r.pos]...)
			start = r.pos + 1
			r.pos += 2
		default:
			r.pos++
		}
	}
	r.fail("the string has no end")
	return ""
}

// optional reads a string member when it is there.
func (r *reader) optional(name string) string {
	if !r.member(name) {
		return ""
	}
	return r.text()
}

// required reads a string member that must be there.
func (r *reader) required(name string) string {
	if !r.member(name) {
		r.fail("member %s is missing or out of order", name)
		return ""
	}
	return r.text()
}

func (r *reader) integer() int64 {
	start := r.pos
	for r.pos < len(r.in) && r.in[r.pos] >= '0' && r.in[r.pos] <= '9' && r.pos-start < 17 {
		r.pos++
	}
	digits := r.in[start:r.pos]
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n > maxInteger || digits[0] == '0' && len(digits) > 1 {
		r.fail("want an integer in 0..2^53-1")
		return 0
	}
	return n
}

func (r *reader) number(name string) Number {
	if !r.member(name) {
		return Number{}
	}
	return N(r.integer())
}

func (r *reader) requiredInteger(name string) int64 {
	if !r.member(name) {
		r.fail("member %s is missing or out of order", name)
		return 0
	}
	return r.integer()
}

func (r *reader) boolean() bool {
	for _, word := range []string{"true", "false"} {
		if bytes.HasPrefix(r.in[min(r.pos, len(r.in)):], []byte(word)) {
			r.pos += len(word)
			return word == "true"
		}
	}
	r.fail("want true or false")
	return false
}

// texts reads an array of strings, at most max.
func (r *reader) texts(name string, max int) []string {
	if !r.member(name) {
		return nil
	}
	r.expect('[')
	var out []string
	for r.err == nil {
		if len(out) == max {
			r.fail("more than %d values", max)
			return nil
		}
		out = append(out, r.text())
		if r.pos < len(r.in) && r.in[r.pos] == ',' {
			r.pos++
			continue
		}
		r.expect(']')
		break
	}
	return out
}

// hash reads a base64 member of exactly size bytes when it is there.
func (r *reader) bytes(name string) []byte {
	s := r.optional(name)
	if s == "" || r.err != nil {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil {
		r.fail("member %s is not canonical base64", name)
	}
	return b
}

func (r *reader) time(name string) time.Time {
	s := r.required(name)
	if r.err != nil {
		return time.Time{}
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil || len(s) != len(timeLayout) {
		r.fail("member %s is not RFC 3339 in UTC with nine fraction digits", name)
	}
	return t
}

func base64Std(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// unbase64 decodes what isDigest has accepted.
func unbase64(s string) []byte {
	b, _ := base64.StdEncoding.DecodeString(s)
	return b
}
