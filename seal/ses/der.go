package ses

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// reader walks one structure. The first error sticks, so that a parser reads
// top to bottom without a test after every member; every method returns a zero
// value once err is set.
type reader struct {
	err   *StructError
	notes []Note
}

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = &StructError{Field: field, Detail: fmt.Sprintf(format, args...)}
	}
}

func (r *reader) note(code, field, format string, args ...any) {
	if r.err == nil {
		r.notes = append(r.notes, Note{Code: code, Field: field, Detail: fmt.Sprintf(format, args...)})
	}
}

// top checks the size and copies, so that a caller who changes der afterwards
// cannot change what was parsed.
func (r *reader) top(der []byte, field string) cryptobyte.String {
	if len(der) > MaxSize {
		r.fail(field, "longer than %d bytes", MaxSize)
		return nil
	}
	return bytes.Clone(der)
}

// element reads one whole element with the wanted tag, header included.
func (r *reader) element(in *cryptobyte.String, tag casn1.Tag, field string) []byte {
	var out cryptobyte.String
	if r.err != nil {
		return nil
	}
	if !in.ReadASN1Element(&out, tag) {
		r.fail(field, "want tag 0x%02x with a DER length, %s", uint8(tag), found(*in))
		return nil
	}
	return out
}

// body reads the content of one element with the wanted tag.
func (r *reader) body(in *cryptobyte.String, tag casn1.Tag, field string) cryptobyte.String {
	var out cryptobyte.String
	if r.err != nil {
		return nil
	}
	if !in.ReadASN1(&out, tag) {
		r.fail(field, "want tag 0x%02x with a DER length, %s", uint8(tag), found(*in))
		return nil
	}
	return out
}

func found(in cryptobyte.String) string {
	if len(in) == 0 {
		return "found the end"
	}
	return fmt.Sprintf("found 0x%02x", in[0])
}

func (r *reader) end(in cryptobyte.String, field string) {
	if r.err == nil && !in.Empty() {
		r.fail(field, "%d bytes too many", len(in))
	}
}

func (r *reader) integer(in *cryptobyte.String, field string) int64 {
	var v int64
	if r.err == nil && !in.ReadASN1Integer(&v) {
		r.fail(field, "want a minimal INTEGER of at most 8 bytes, %s", found(*in))
		return 0
	}
	return v
}

func (r *reader) oid(in *cryptobyte.String, field string) asn1.ObjectIdentifier {
	var v asn1.ObjectIdentifier
	if r.err == nil && !in.ReadASN1ObjectIdentifier(&v) {
		r.fail(field, "want an OBJECT IDENTIFIER, %s", found(*in))
		return nil
	}
	return v
}

func (r *reader) octets(in *cryptobyte.String, field string) []byte {
	return r.body(in, casn1.OCTET_STRING, field)
}

// bits reads a BIT STRING of whole bytes.
func (r *reader) bits(in *cryptobyte.String, field string) []byte {
	var v []byte
	if r.err == nil && !in.ReadASN1BitStringAsBytes(&v) {
		r.fail(field, "want a BIT STRING without unused bits, %s", found(*in))
		return nil
	}
	return v
}

// explicitBits reads an optional [0] EXPLICIT BIT STRING; nil when absent.
func (r *reader) explicitBits(in *cryptobyte.String, field string) []byte {
	if r.err != nil || !in.PeekASN1Tag(tag0) {
		return nil
	}
	inner := r.body(in, tag0, field)
	v := r.bits(&inner, field)
	r.end(inner, field)
	if v == nil && r.err == nil {
		v = []byte{}
	}
	return v
}

var tag0 = casn1.Tag(0).Constructed().ContextSpecific()

// text reads a character string. Bytes outside the type's own alphabet are
// kept with a note when they are valid UTF-8; control characters are refused,
// for these strings end up in paths and on screens.
func (r *reader) text(in *cryptobyte.String, tag casn1.Tag, field string) string {
	b := r.body(in, tag, field)
	if r.err != nil {
		return ""
	}
	if len(b) > maxText {
		r.fail(field, "text longer than %d bytes", maxText)
		return ""
	}
	if !utf8.Valid(b) {
		r.fail(field, "text is not UTF-8")
		return ""
	}
	wide := false
	for _, c := range b {
		if c < 0x20 || c == 0x7f {
			r.fail(field, "text holds the control character 0x%02x", c)
			return ""
		}
		wide = wide || c >= 0x80
	}
	if wide && tag != casn1.UTF8String {
		r.note(NoteNonCanonical, field, "ASCII string type holds other characters")
	}
	return string(b)
}

// extensions reads the members of an ExtensionDatas whose header was read.
// A critical one is noted under code: nobody here knows any.
func (r *reader) extensions(in cryptobyte.String, field, code string) []Extension {
	var out []Extension
	for r.err == nil && !in.Empty() {
		if len(out) == MaxExtensions {
			r.fail(field, "more than %d extensions", MaxExtensions)
			return nil
		}
		e := r.body(&in, casn1.SEQUENCE, field)
		var x Extension
		x.ID = r.oid(&e, field+".extnID")
		if r.err == nil && e.PeekASN1Tag(casn1.BOOLEAN) {
			if !e.ReadASN1Boolean(&x.Critical) {
				r.fail(field+".critical", "want BOOLEAN 00 or FF")
			} else if !x.Critical {
				r.note(NoteNonCanonical, field+".critical", "%v writes the default FALSE", x.ID)
			} else {
				r.note(code, field, "%v", x.ID)
			}
		}
		x.Value = r.octets(&e, field+".extnValue")
		r.end(e, field)
		out = append(out, x)
	}
	return out
}

// count returns how many elements stand in in, up to limit+1.
func count(in cryptobyte.String, limit int) int {
	n := 0
	for !in.Empty() && n <= limit {
		var el cryptobyte.String
		var tag casn1.Tag
		if !in.ReadAnyASN1Element(&el, &tag) {
			return n
		}
		n++
	}
	return n
}
