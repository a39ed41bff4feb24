package ses

import (
	"strings"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// china is the zone of times that V1 vendors write without one.
var china = time.FixedZone("UTC+8", 8*60*60)

// generalized reads YYYYMMDDHHMMSS[.f](Z|+hhmm|-hhmm). canonical reports
// whether it is the DER form: Z, no trailing zero in the fraction.
func generalized(s string) (t time.Time, canonical, ok bool) {
	return clock(s, "20060102150405", true)
}

// utcTime reads YYMMDDHHMMSS(Z|+hhmm|-hhmm) with the pivot of RFC 5280: years
// 50 to 99 belong to the 20th century.
func utcTime(s string) (t time.Time, canonical, ok bool) {
	t, canonical, ok = clock(s, "060102150405", false)
	if ok && t.Year() >= 2050 {
		t = t.AddDate(-100, 0, 0)
	}
	return t, canonical, ok
}

func clock(s, layout string, fraction bool) (t time.Time, canonical, ok bool) {
	n := len(layout)
	if len(s) <= n || !digits(s[:n]) {
		return t, false, false
	}
	local, err := time.Parse(layout, s[:n])
	if err != nil {
		return t, false, false
	}
	rest := s[n:]
	canonical = true
	if fraction && rest[0] == '.' {
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		if end == 1 || end > 10 { // 1 to 9 digits
			return t, false, false
		}
		d, err := time.ParseDuration("0" + rest[:end] + "s")
		if err != nil {
			return t, false, false
		}
		canonical = rest[end-1] != '0'
		local, rest = local.Add(d), rest[end:]
	}
	if rest == "Z" {
		return local.UTC(), canonical, true
	}
	if len(rest) != 5 || (rest[0] != '+' && rest[0] != '-') || !digits(rest[1:]) {
		return t, false, false
	}
	hours := int(rest[1]-'0')*10 + int(rest[2]-'0')
	minutes := int(rest[3]-'0')*10 + int(rest[4]-'0')
	if hours > 23 || minutes > 59 {
		return t, false, false
	}
	offset := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if rest[0] == '-' {
		offset = -offset
	}
	return local.Add(-offset).UTC(), false, true
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// time reads a time of the wanted type; V1 properties (either) may carry
// GeneralizedTime where the standard says UTCTime.
func (r *reader) time(in *cryptobyte.String, tag casn1.Tag, either bool, field string) time.Time {
	if either && in.PeekASN1Tag(casn1.GeneralizedTime) {
		r.note(NoteTime, field, "GeneralizedTime where UTCTime is due")
		tag = casn1.GeneralizedTime
	}
	b := r.body(in, tag, field)
	if r.err != nil {
		return time.Time{}
	}
	read := generalized
	if tag == casn1.UTCTime {
		read = utcTime
	}
	t, canonical, ok := read(string(b))
	if !ok {
		r.fail(field, "%.40q is not a time with a zone", string(b))
		return time.Time{}
	}
	if !canonical {
		r.note(NoteNonCanonical, field, "time is written %.40q", string(b))
	}
	return t
}

// timeInfoV1 reads the content of V1's timeInfo BIT STRING. It tries, in this
// order: a DER timestamp token (returned as token), a DER time, the texts
// YYMMDDhhmmssZ and YYYYMMDDhhmmssZ, and yyyy-MM-dd HH:mm:ss, which is Chinese
// local time. RFC 3339 text comes last, with a note, for one vendor writes it.
func (r *reader) timeInfoV1(b []byte, field string) (t time.Time, token []byte) {
	if r.err != nil {
		return t, nil
	}
	in := cryptobyte.String(b)
	var body cryptobyte.String
	var tag casn1.Tag
	if in.ReadAnyASN1(&body, &tag) && in.Empty() {
		switch tag {
		case casn1.SEQUENCE:
			return t, b
		case casn1.UTCTime:
			if t, _, ok := utcTime(string(body)); ok {
				return t, nil
			}
		case casn1.GeneralizedTime:
			if t, _, ok := generalized(string(body)); ok {
				return t, nil
			}
		}
	}
	s := strings.TrimRight(string(b), "\x00 ")
	if t, _, ok := utcTime(s); ok {
		return t, nil
	}
	if t, _, ok := generalized(s); ok {
		return t, nil
	}
	if len(s) == len(time.DateTime) {
		if t, err := time.ParseInLocation(time.DateTime, s, china); err == nil {
			return t.UTC(), nil
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		r.note(NoteTime, field, "time is written %.40q", s)
		return t.UTC(), nil
	}
	r.note(NoteTime, field, "no known form of time: %.40q", s)
	return time.Time{}, nil
}
