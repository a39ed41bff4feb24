// Package ses reads and writes the ASN.1 structures of Chinese electronic
// seals: GB/T 38540-2020 (called V4 here), GM/T 0031-2014 (V1) and
// GM/T 0031-2025 (V5).
//
// What it does: strict DER, no trailing bytes, size limits on every member,
// version detection by shape first and by number second, and the exact bytes
// that each signature covers (MakerMessage, SignerMessage). Forms that vendors
// write and DER forbids, such as an explicit critical FALSE, are read, kept
// byte for byte, and named in Notes; they are never re-encoded.
//
// What it refuses to do: it verifies nothing, trusts no certificate, and does
// not look into the picture or into certificates. Builders write V4 only.
//
//	sig, err := ses.ParseSignature(dat)              // SignedValue.dat
//	msg := sig.SignerMessage()                       // what the signer signed
//	msg = sig.TBS.Seal.MakerMessage()                // what the seal maker signed
//	der, err := ses.TBS{Seal: seal, Time: now, ...}.Marshal()
package ses

import (
	"encoding/asn1"
	"fmt"
	"time"
)

// Version names the standard that a structure follows.
type Version int

// The three standards, named by the number they write into the header.
const (
	V1 Version = 1 // GM/T 0031-2014 (files carry 1, 2 or 3)
	V4 Version = 4 // GB/T 38540-2020
	V5 Version = 5 // GM/T 0031-2025
)

// String returns the short name used in reports: v1, v4, v5.
func (v Version) String() string { return fmt.Sprintf("v%d", int(v)) }

// Limits on what is read. Real seals stay below 64 KiB.
const (
	MaxSize       = 16 << 20 // a whole structure, in bytes
	MaxPicture    = 8 << 20  // picture data, in bytes
	MaxListed     = 4096     // entries in a seal's certificate list
	MaxExtensions = 128      // entries in one ExtensionDatas
	maxText       = 1024     // one IA5String, UTF8String or PrintableString, in bytes
)

// Values of Property.ListType (GB/T 38540 certListType).
const (
	ListCertificates = 1 // Property.Certs holds DER certificates
	ListDigests      = 2 // Property.Digests holds SM3 digests of certificates
)

// Seal is SESeal: who may stamp with which picture, signed by the seal maker.
// Byte slices of a parsed Seal share one private copy of the input and must
// not be modified.
type Seal struct {
	Raw       []byte // the whole DER
	Version   Version
	Info      *SealInfo
	Cert      []byte                // DER of the seal maker's certificate, as written
	Algorithm asn1.ObjectIdentifier // maker's signature algorithm
	Signature []byte                // maker's signature, content of the BIT STRING
	Timestamp []byte                // V5 only: timestamp token, nil when absent
	Notes     []Note                // deviations in this structure and below
}

// MakerMessage returns the bytes that the seal maker signed: the eSealInfo of
// V4 and V5; of V1 SEQUENCE{eSealInfo, cert, signatureAlgorithm}.
func (s *Seal) MakerMessage() []byte {
	if s.Version != V1 {
		return s.Info.Raw
	}
	return makerMessageV1(s.Info.Raw, s.Cert, s.Algorithm)
}

// SealInfo is SES_SealInfo, the part that the seal maker vouches for.
type SealInfo struct {
	Raw        []byte // the whole DER; nil in a SealInfo that is being built
	Version    Version
	Number     int64  // header version as written
	VendorID   string // Vid
	ID         string // esID, the unique number of the seal
	Property   Property
	Picture    Picture
	Extensions []Extension
	Notes      []Note
}

// Property is SES_ESPropertyInfo.
type Property struct {
	Type       int64 // business-defined; V1: 1 organisation, 2 person
	Name       string
	ListType   int64    // ListCertificates or ListDigests; V1 has only the first
	Certs      [][]byte // DER certificates of the allowed signers
	Digests    []CertDigest
	Unreadable int // entries of the list in a form that no standard knows
	Created    time.Time
	NotBefore  time.Time // valid from, inclusive
	NotAfter   time.Time // valid to, inclusive
}

// CertDigest names an allowed signer by the SM3 digest of the certificate's DER.
type CertDigest struct {
	Type  string // vendor-defined text; says nothing that may be relied on
	Value []byte // 32 bytes in what this package writes
}

// Picture is SES_ESPictureInfo. Data is hostile input: it may be an image of
// any kind or a complete little OFD package.
type Picture struct {
	Type          string // "PNG", "ofd", ... in any case
	Data          []byte
	Width, Height int64 // millimetres
}

// Extension is one ExtData.
type Extension struct {
	ID       asn1.ObjectIdentifier
	Critical bool
	Value    []byte
}

// TBS is TBS_Sign, the part that the signer signs.
type TBS struct {
	Raw          []byte // the whole DER; nil in a TBS that is being built
	Version      Version
	Number       int64 // version as written
	Seal         *Seal
	Time         time.Time // signing time as the signer claims it; zero when unreadable
	TimeToken    []byte    // V1: timeInfo was a timestamp token, kept raw
	DataHash     []byte    // SM3 of the protected original
	PropertyInfo string    // OFD: absolute package path of Signature.xml
	Extensions   []Extension
	Cert         []byte                // V1 only: DER of the signer's certificate
	Algorithm    asn1.ObjectIdentifier // V1 only
	Notes        []Note
}

// Signature is SES_Signature, the content of SignedValue.dat.
type Signature struct {
	Raw       []byte
	Version   Version
	TBS       *TBS
	Cert      []byte                // DER of the signer's certificate (V1: taken from TBS)
	Algorithm asn1.ObjectIdentifier // signer's signature algorithm (V1: taken from TBS)
	Value     []byte                // signature, content of the BIT STRING
	Timestamp []byte                // RFC 3161 token, nil when absent
	Notes     []Note
}

// SignerMessage returns the bytes that the signer signed: the exact toSign.
func (s *Signature) SignerMessage() []byte { return s.TBS.Raw }

// Codes of notes. All are warnings: the bytes were read without doubt.
const (
	NoteNonCanonical = "W_SES_NONCANONICAL" // a form that DER forbids
	NoteVersion      = "W_SES_VERSION"      // version numbers disagree with the shape
	NoteTime         = "W_SES_TIME"         // a time in a form that the standard does not name
	NoteList         = "W_SES_CERTLIST"     // an entry of the signer list is neither certificate nor digest
	NoteCritical     = "W_EXT_CRITICAL"     // a critical extension of the signature that nobody knows
	NoteSealCritical = "W_SES_EXTENSION"    // the same in the seal
)

// Note is one deviation that was tolerated.
type Note struct {
	Code   string // one of the Note constants
	Field  string // where, in the standard's words: "eSealInfo.property.certList"
	Detail string
}

// StructError says that bytes are not the structure asked for. Code is
// E_SES_STRUCT.
type StructError struct {
	Field  string // where, in the standard's words
	Detail string
}

func (e *StructError) Error() string {
	return fmt.Sprintf("seal structure is malformed at %s: %s", e.Field, e.Detail)
}

// Code returns the verification code E_SES_STRUCT.
func (e *StructError) Code() string { return "E_SES_STRUCT" }
