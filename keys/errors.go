package keys

// Error is a refusal with a stable code of the family SG-KEY-*. The variables
// below are the only values; compare with errors.Is, read the code through
// errors.As with interface{ Code() string }.
type Error struct{ code, text string }

// Error returns the English text.
func (e *Error) Error() string { return e.text }

// Code returns the stable code, such as SG-KEY-CLOCK.
func (e *Error) Code() string { return e.code }

// What a key, its engine or its store answers instead of a signature. Every
// one of them means: nothing was signed and nothing was changed, except where
// the text says otherwise.
var (
	ErrName        = &Error{"SG-KEY-NAME", "key name is not [a-z0-9][a-z0-9-]{0,62}"}
	ErrNotFound    = &Error{"SG-KEY-NOT-FOUND", "no such key"}
	ErrExists      = &Error{"SG-KEY-EXISTS", "a key of this name exists or existed"}
	ErrPurpose     = &Error{"SG-KEY-PURPOSE", "the key's purpose does not allow this"}
	ErrType        = &Error{"SG-KEY-TYPE", "structures of this type are not signed here"}
	ErrVersion     = &Error{"SG-KEY-VERSION", "the named key version is not the live one"}
	ErrDisabled    = &Error{"SG-KEY-DISABLED", "the key is disabled or destroyed"}
	ErrWait        = &Error{"SG-KEY-WAIT", "the key may not be destroyed yet"}
	ErrCertificate = &Error{"SG-KEY-CERTIFICATE", "the certificate does not fit the key"}
	ErrExpired     = &Error{"SG-KEY-CERT-EXPIRED", "the key's certificate is not valid now"}
	ErrItem        = &Error{"SG-KEY-ITEM", "the item is not a well-formed structure of its type"}
	ErrForeignSeal = &Error{"SG-KEY-FOREIGN-SEAL", "the seal does not name this key's certificate"}
	ErrClock       = &Error{"SG-KEY-CLOCK", "the time in the item is outside the clock window"}
	ErrRequest     = &Error{"SG-KEY-REQUEST", "the signing request is malformed"}
	ErrBatch       = &Error{"SG-KEY-BATCH", "a batch holds 1 to 256 requests"}
	ErrIdempotency = &Error{"SG-KEY-IDEMPOTENCY", "this request id was used for another request"}
	ErrAnswersFull = &Error{"SG-KEY-ANSWERS-FULL", "too many request ids are remembered"}
	ErrFault       = &Error{"SG-KEY-FAULT", "a signature did not verify and was withheld"}

	ErrLocked     = &Error{"SG-KEY-LOCKED", "the keystore is locked"}
	ErrPassphrase = &Error{"SG-KEY-PASSPHRASE", "the passphrase does not open the keystore"}
	ErrWeak       = &Error{"SG-KEY-PASSPHRASE-FORM", "a passphrase has 12 to 1024 bytes, no NUL and no line break"}
	ErrBusy       = &Error{"SG-KEY-BUSY", "another process uses the keystore"}
	ErrStore      = &Error{"SG-KEY-STORE", "the keystore is damaged or was changed"}
	ErrAccess     = &Error{"SG-KEY-ACCESS", "a key file or folder is open to others or is a link"}
	ErrSecret     = &Error{"SG-KEY-SECRET", "no such secret"}

	// Of keys that another process holds (keys/vault).
	ErrUnavailable = &Error{"SG-KEY-UNAVAILABLE", "the key service does not answer"}
	ErrSealed      = &Error{"SG-KEY-SEALED", "the key service is sealed or not initialised"}
	ErrForbidden   = &Error{"SG-KEY-FORBIDDEN", "the key service does not allow us this"}
	ErrLimited     = &Error{"SG-KEY-LIMITED", "the key service takes no more requests for now"}
	// ErrOutcome is the exception to the rule above: the request was sent and
	// no answer came. It may have been carried out. A signing request is
	// repeated only under its ID; after a change of a key, read its Info.
	ErrOutcome = &Error{"SG-KEY-OUTCOME", "it is not known whether the key service did it"}
)

// Errors lists every Error above, for tables that must name each code.
func Errors() []*Error {
	return []*Error{ErrName, ErrNotFound, ErrExists, ErrPurpose, ErrType, ErrVersion, ErrDisabled, ErrWait,
		ErrCertificate, ErrExpired, ErrItem, ErrForeignSeal, ErrClock, ErrRequest, ErrBatch, ErrIdempotency,
		ErrAnswersFull, ErrFault, ErrLocked, ErrPassphrase, ErrWeak, ErrBusy, ErrStore, ErrAccess, ErrSecret,
		ErrUnavailable, ErrSealed, ErrForbidden, ErrLimited, ErrOutcome}
}
