// Package keys is the vocabulary of signing keys: what a key is called (Name),
// what it is for (Purpose), what it may sign (Type), what is publicly known of
// it (Info), and how one asks for a signature (Key, Request, Signature).
//
// Which function do you want?
//
//   - You need a signature: take a Key, read its Info once, Pin the live
//     version, and hand the Pinned to whatever declares a one-method signer
//     (SignTBS, SignSealInfo, SignCheckpoint).
//   - You manage keys: see keys/engine (life of a key), keys/local (the
//     embedded store) and keys/pki (certificates).
//
// What this package refuses to do: no private key bytes, no digest and no
// user identity pass this API. A key is born with one purpose and signs only
// the structures of that purpose, which the engine parses itself; ZA of
// GB/T 32918.2 is computed inside with the default identity of GM/T 0009. So
// whoever steals the right to call Sign can obtain the very structures the
// key exists for, within the clock window, and nothing else.
//
//	info, err := key.Info(ctx)
//	pinned, err := keys.Pin(key, info, info.Live)
//	sig, err := pinned.SignTBS(ctx, tbs) // GB/T 38540 TBS_Sign
package keys

import (
	"fmt"
	"slices"
)

// MaxNameLength is the longest Name in bytes.
const MaxNameLength = 63

// Name is the name of a key: [a-z0-9][a-z0-9-]{0,62}. Make one with ParseName.
type Name string

// ParseName checks s and returns it as a Name, or ErrName.
func ParseName(s string) (Name, error) {
	if len(s) == 0 || len(s) > MaxNameLength || s[0] == '-' {
		return "", fmt.Errorf("%w: %.80q", ErrName, s)
	}
	for i := range len(s) {
		if c := s[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", fmt.Errorf("%w: %.80q", ErrName, s)
		}
	}
	return Name(s), nil
}

// Purpose is what a key is for. It is fixed when the key is created.
type Purpose string

// The purposes. There is none for TLS (TLS keys are ECDSA and live outside the
// engine) and none for "anything".
const (
	SealMaker  Purpose = "seal-maker" // 制章人: signs eSealInfo (GB/T 38540)
	Seal       Purpose = "seal"       // 签章人: signs TBS_Sign
	Licence    Purpose = "licence"    // signs status lists of e-licences and seals
	Policy     Purpose = "policy"     // a policy officer: signs statements about policy bundles
	Checkpoint Purpose = "checkpoint" // signs the heads of one audit ledger
	TSA        Purpose = "tsa"        // signs timestamp tokens (GM/T 0033)
	CA         Purpose = "ca"         // signs certificates, revocation lists, OCSP answers
)

// Purposes lists all purposes in a stable order.
func Purposes() []Purpose {
	return []Purpose{SealMaker, Seal, Licence, Policy, Checkpoint, TSA, CA}
}

// ParsePurpose returns the purpose called s, or ErrPurpose.
func ParsePurpose(s string) (Purpose, error) {
	if p := Purpose(s); slices.Contains(Purposes(), p) {
		return p, nil
	}
	return "", fmt.Errorf("%w: %.80q is no purpose", ErrPurpose, s)
}

// Type is the kind of structure that is signed.
type Type string

// The types: the last part of the engine's path sign/TYPE/NAME.
const (
	TypeTBS        Type = "tbs"        // DER TBS_Sign of GB/T 38540
	TypeSealInfo   Type = "sealinfo"   // DER eSealInfo of GB/T 38540
	TypeStatusList Type = "statuslist" // canonical JSON of a status list of seals or licences
	TypeCheckpoint Type = "checkpoint" // canonical JSON head of an audit ledger
	TypeBundle     Type = "bundle"     // canonical JSON of an officer's statement about a policy bundle
	TypeTST        Type = "tst"        // DER TSTInfo with its signed attributes (gm.TSTItem); see Type.Message
	TypeX509       Type = "x509"       // DER TBSCertificate, TBSCertList or ResponseData of OCSP
	TypeRevocation Type = "revocation" // of those of x509 the last two: what says that something is no longer good
)

// Types lists all types in a stable order.
func Types() []Type {
	return []Type{TypeTBS, TypeSealInfo, TypeStatusList, TypeCheckpoint, TypeBundle, TypeTST, TypeX509, TypeRevocation}
}

// ParseType returns the type called s, or ErrType.
func ParseType(s string) (Type, error) {
	if t := Type(s); slices.Contains(Types(), t) {
		return t, nil
	}
	return "", fmt.Errorf("%w: %.80q is no type", ErrType, s)
}

// Signs returns the one type that a key of this purpose signs, or "" for an
// unknown purpose. That every purpose has exactly one type is what keeps a
// signature made for one duty from being shown as another's.
func (p Purpose) Signs() Type {
	switch p {
	case SealMaker:
		return TypeSealInfo
	case Seal:
		return TypeTBS
	case Licence:
		return TypeStatusList
	case Policy:
		return TypeBundle
	case Checkpoint:
		return TypeCheckpoint
	case TSA:
		return TypeTST
	case CA:
		return TypeX509
	}
	return ""
}

// Allows reports whether a key of this purpose may sign structures of type t:
// those of its one type. TypeRevocation is no second one. It is the part of
// TypeX509 that a publisher of revocation needs, as a right of its own (the path
// sign/revocation/NAME), so that whoever steals it issues no certificate.
func (p Purpose) Allows(t Type) bool {
	if t == TypeRevocation {
		t = TypeX509
	}
	return t != "" && p.Signs() == t
}

// CertificateBound reports whether a version of such a key goes live only when
// its certificate is installed, because what it signs names that certificate.
// Versions of the other purposes are known by their public key and go live at
// once.
func (p Purpose) CertificateBound() bool {
	switch p {
	case SealMaker, Seal, Policy, TSA, CA:
		return true
	}
	return false
}
