package mask

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// The kinds of fields that have a mask of their own. A field of any other kind
// is masked as ****.
const (
	KindName       = "name"
	KindResidentID = "resident_id"
	KindMobile     = "mobile"
	KindAddress    = "address"
	KindBankCard   = "bank_card"
	KindEmail      = "email"
	KindPlate      = "plate"
	KindUSCC       = "uscc"
	KindPassport   = "passport"
)

// IsIdentifier reports whether values of the kind point to one person or one
// enterprise, so that they belong in the audit ledger's subject index.
func IsIdentifier(kind string) bool {
	switch kind {
	case KindResidentID, KindMobile, KindBankCard, KindEmail, KindPlate, KindUSCC, KindPassport:
		return true
	}
	return false
}

// Normalise writes an identifier in the one form under which the subject index
// finds it again: compatibility forms folded (full-width digits to ASCII),
// white space, hyphens, middle dots and invisible characters removed, letters
// in upper case (e-mail: lower case), a mobile number without +86 or 0086.
func Normalise(kind, value string) string {
	value = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
			return -1
		case kind != KindEmail && (r == '-' || r == '·'):
			return -1
		}
		return r
	}, norm.NFKC.String(value))
	if kind == KindEmail {
		return strings.ToLower(value)
	}
	value = strings.ToUpper(value)
	if kind == KindMobile {
		for _, prefix := range []string{"+86", "0086", "86"} {
			if rest, ok := strings.CutPrefix(value, prefix); ok && len(rest) == 11 {
				return rest
			}
		}
	}
	return value
}
