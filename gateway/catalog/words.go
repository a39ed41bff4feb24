package catalog

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/policy"
)

// Zones a call may come from.
const (
	ZoneExtranet = "extranet" // 电子政务外网
	ZoneInternet = "internet" // 互联网
)

// States of a grant, and of a system (active, suspended).
const (
	Active    = "active"
	Suspended = "suspended"
	Revoked   = "revoked"
	Expired   = "expired"
)

// States of an interface besides Suspended.
const (
	Published = "published"
	Withdrawn = "withdrawn"
)

// Share classes (共享类型).
const (
	Unconditional = "unconditional" // 无条件共享
	Authorised    = "authorised"    // 授权共享
	NoShare       = "none"          // 非共享
)

// EveryRegion covers all regions in a grant.
const EveryRegion = "000000"

// Limits of text that people write.
const (
	maxNameBytes    = 400
	maxPurposeBytes = 200
)

// shanghai is the time zone of bare dates and of the calendar day of quotas:
// UTC+8 without summer time since 1991. Fixed, so that no time zone database is
// needed.
func shanghai() *time.Location { return time.FixedZone("Asia/Shanghai", 8*3600) }

func bases() []string {
	return []string{"population", "legal_entity", "geo", "credit", "licence", "macro"}
}

func levels() []string { return []string{"province", "city", "county", "township"} }

// parseTerm reads one end of a grant's term: RFC 3339, or a bare date that
// means its first instant (not_before) or the first instant after it
// (not_after, which is exclusive).
func parseTerm(s string, end bool) (time.Time, error) {
	if t, err := time.ParseInLocation(time.DateOnly, s, shanghai()); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || len(s) > 35 {
		return time.Time{}, fmt.Errorf(`want a date ("2027-12-31") or a time of RFC 3339 ("2027-12-31T12:00:00+08:00")`)
	}
	return t, nil
}

// parsePrefix reads a CIDR or a single address. Host bits must be zero: they
// are a slip that would read as another network.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" {
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	switch {
	case err != nil:
		return p, fmt.Errorf("want a network such as 10.1.0.0/16 or an address")
	case p != p.Masked():
		return p, fmt.Errorf("has bits set behind its prefix; the network is %s", p.Masked())
	case p.Addr().Is4In6():
		return p, fmt.Errorf("write the IPv4 network plainly")
	}
	return p, nil
}

// checkText refuses what would not print as it is stored.
func checkText(s string, limit int) error {
	if len(s) > limit || !utf8.ValidString(s) {
		return fmt.Errorf("is longer than %d bytes, or not UTF-8", limit)
	}
	if s != strings.TrimSpace(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("has white space at its ends, or characters that do not print")
	}
	return nil
}

func checkUSCC(s string) error {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	if len(s) != 18 || strings.Trim(s, alphabet) != "" || !digits(s[2:8]) {
		return fmt.Errorf("want a USCC of 18 characters (GB 32100)")
	}
	return nil
}

// usccCheckOK computes the check character of GB 32100 (MOD 31).
func usccCheckOK(s string) bool {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	sum, weight := 0, 1
	for i := range 17 {
		sum += strings.IndexByte(alphabet, s[i]) * weight
		weight = weight * 3 % 31
	}
	return alphabet[(31-sum%31)%31] == s[17]
}

func checkRegion(s string) error {
	if !digits(s) || len(s) != 6 && len(s) != 9 && len(s) != 12 {
		return fmt.Errorf("want a region code of 6, 9 or 12 digits (GB/T 2260)")
	}
	return nil
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// itemCodeStandard reports whether a code has the form of GB/T 39554.1: the USCC
// of the implementing body and 13 digits, for business items 2 more.
func itemCodeStandard(c ItemCode) bool {
	s := string(c)
	return (len(s) == 31 || len(s) == 33) && checkUSCC(s[:18]) == nil && digits(s[18:])
}

func checkKind(s string) error {
	ok := len(s) <= 32
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = 'a' <= c && c <= 'z' || i > 0 && (c == '_' || '0' <= c && c <= '9')
	}
	if !ok {
		return fmt.Errorf("want a kind of at most 32 lower-case letters, digits and '_'")
	}
	return nil
}

// covers reports whether a value that p names holds, or is, one that q names.
func covers(p, q policy.Path) bool {
	if len(p) > len(q) {
		return false
	}
	for i, s := range p {
		t := q[i]
		switch {
		case s == t:
		case s.Kind == policy.AnyMember && t.Kind == policy.Member:
		default:
			return false
		}
	}
	return true
}

// oneOf returns value, or fallback when it is empty, if it is among the words.
func oneOf(value, fallback string, words ...string) (string, error) {
	if value == "" {
		value = fallback
	}
	if !slices.Contains(words, value) {
		return "", fmt.Errorf("want one of %s", strings.Join(words, ", "))
	}
	return value, nil
}
