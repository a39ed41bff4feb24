package mask

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
