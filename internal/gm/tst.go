package gm

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// Limits of timestamp messages (RFC 3161, GM/T 0033).
const (
	MaxTimestampRequest = 16 << 10  // bytes
	MaxTimestampToken   = 256 << 10 // bytes, also of a whole response
	maxSerialBits       = 160       // RFC 3161 section 2.4.2
	maxNonceBits        = 256
)

// Identifiers of timestamp tokens.
var (
	OIDTSTInfo                  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	OIDAttrSigningCertificate   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 12} // RFC 2634
	OIDAttrSigningCertificateV2 = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 47} // RFC 5035
	OIDAttrTimestampToken       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 2, 14} // RFC 3161 appendix A
)

// ErrTimestamp says that bytes are not a timestamp message of RFC 3161 or
// GM/T 0033.
var ErrTimestamp = errors.New("not a timestamp message of RFC 3161")

func badTimestamp(what string) error { return fmt.Errorf("%w: malformed at %s", ErrTimestamp, what) }

// TSTInfo is what a timestamp token says (RFC 3161 section 2.4.2).
type TSTInfo struct {
	Policy   asn1.ObjectIdentifier
	HashOID  asn1.ObjectIdentifier // of the imprint
	Imprint  []byte
	Serial   *big.Int
	Time     time.Time     // genTime, UTC
	Accuracy time.Duration // 0 when not stated; whole microseconds
	Ordering bool
	Nonce    *big.Int // nil when absent
	TSA      []byte   // DER GeneralName of the authority, nil when absent
	// Extensions is the DER SEQUENCE of extensions, nil when absent. None of
	// them is critical: a message with a critical one is refused.
	Extensions []byte
}

// ParseTSTInfo reads a DER TSTInfo, nothing behind it. DEFAULT values that are
// written out are tolerated; compare with Marshal where that matters.
func ParseTSTInfo(der []byte) (*TSTInfo, error) {
	in := cryptobyte.String(der)
	var seq, imprint cryptobyte.String
	var version int64
	i := &TSTInfo{Serial: new(big.Int)}
	if len(der) > MaxTimestampToken || !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() || !seq.ReadASN1Integer(&version) || version != 1 {
		return nil, badTimestamp("TSTInfo version")
	}
	if !seq.ReadASN1ObjectIdentifier(&i.Policy) {
		return nil, badTimestamp("policy")
	}
	if !seq.ReadASN1(&imprint, casn1.SEQUENCE) || !i.readImprint(imprint) {
		return nil, badTimestamp("messageImprint")
	}
	if !seq.ReadASN1Integer(i.Serial) || i.Serial.Sign() < 0 || i.Serial.BitLen() > maxSerialBits {
		return nil, badTimestamp("serialNumber")
	}
	var ok bool
	if i.Time, ok = readGenTime(&seq); !ok {
		return nil, badTimestamp("genTime")
	}
	if seq.PeekASN1Tag(casn1.SEQUENCE) {
		if i.Accuracy, ok = readAccuracy(&seq); !ok {
			return nil, badTimestamp("accuracy")
		}
	}
	if seq.PeekASN1Tag(casn1.BOOLEAN) && !seq.ReadASN1Boolean(&i.Ordering) {
		return nil, badTimestamp("ordering")
	}
	if seq.PeekASN1Tag(casn1.INTEGER) {
		if i.Nonce = new(big.Int); !seq.ReadASN1Integer(i.Nonce) || i.Nonce.BitLen() > maxNonceBits {
			return nil, badTimestamp("nonce")
		}
	}
	if seq.PeekASN1Tag(contextTag(0)) {
		var wrapped, name cryptobyte.String
		var tag casn1.Tag
		if !seq.ReadASN1(&wrapped, contextTag(0)) || !wrapped.ReadAnyASN1Element(&name, &tag) || !wrapped.Empty() {
			return nil, badTimestamp("tsa")
		}
		i.TSA = bytes.Clone(name)
	}
	if seq.PeekASN1Tag(contextTag(1)) {
		var list cryptobyte.String
		if !seq.ReadASN1Element(&list, contextTag(1)) {
			return nil, badTimestamp("extensions")
		}
		i.Extensions = bytes.Clone(list)
		i.Extensions[0] = byte(casn1.SEQUENCE)
		if exts, ok := readExtensions(i.Extensions); !ok || hasCritical(exts) {
			return nil, badTimestamp("extensions: malformed or critical")
		}
	}
	if !seq.Empty() {
		return nil, badTimestamp("end of TSTInfo")
	}
	return i, nil
}

func (i *TSTInfo) readImprint(in cryptobyte.String) bool {
	var alg, octets cryptobyte.String
	if !in.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&i.HashOID) || !parametersAbsent(alg) ||
		!in.ReadASN1(&octets, casn1.OCTET_STRING) || !in.Empty() || len(octets) == 0 || len(octets) > 64 {
		return false
	}
	i.Imprint = bytes.Clone(octets)
	return true
}

// readGenTime reads the GeneralizedTime of RFC 3161: seconds, an optional
// fraction without trailing zeros, Z.
func readGenTime(in *cryptobyte.String) (time.Time, bool) {
	var body cryptobyte.String
	if !in.ReadASN1(&body, casn1.GeneralizedTime) || len(body) < 15 || len(body) > 25 {
		return time.Time{}, false
	}
	t, err := time.Parse("20060102150405.999999999Z", string(body))
	if err != nil || t.Format(genTimeLayout) != string(body) {
		return time.Time{}, false
	}
	return t, true
}

const genTimeLayout = "20060102150405.999999999Z"

func readAccuracy(in *cryptobyte.String) (time.Duration, bool) {
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) {
		return 0, false
	}
	var total time.Duration
	if seq.PeekASN1Tag(casn1.INTEGER) {
		var s int64
		if !seq.ReadASN1Integer(&s) || s < 0 || s > 1<<20 {
			return 0, false
		}
		total = time.Duration(s) * time.Second
	}
	for tag, unit := range []time.Duration{time.Millisecond, time.Microsecond} {
		var n int64
		t := casn1.Tag(tag).ContextSpecific()
		if !seq.PeekASN1Tag(t) {
			continue
		}
		if !seq.ReadASN1Int64WithTag(&n, t) || n < 1 || n > 999 {
			return 0, false
		}
		total += time.Duration(n) * unit
	}
	return total, seq.Empty()
}

// Marshal returns the DER TSTInfo.
func (i *TSTInfo) Marshal() ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1ObjectIdentifier(i.Policy)
		addImprint(b, i.HashOID, i.Imprint)
		b.AddASN1BigInt(i.Serial)
		b.AddASN1(casn1.GeneralizedTime, func(b *cryptobyte.Builder) { b.AddBytes([]byte(i.Time.UTC().Format(genTimeLayout))) })
		if i.Accuracy > 0 {
			b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if s := i.Accuracy / time.Second; s > 0 {
					b.AddASN1Int64(int64(s))
				}
				for tag, n := range []time.Duration{i.Accuracy / time.Millisecond % 1000, i.Accuracy / time.Microsecond % 1000} {
					if n > 0 {
						b.AddASN1Int64WithTag(int64(n), casn1.Tag(tag).ContextSpecific())
					}
				}
			})
		}
		if i.Ordering {
			b.AddASN1Boolean(true)
		}
		if i.Nonce != nil {
			b.AddASN1BigInt(i.Nonce)
		}
		if i.TSA != nil {
			b.AddASN1(contextTag(0), func(b *cryptobyte.Builder) { b.AddBytes(i.TSA) })
		}
		if i.Extensions != nil {
			implicit := bytes.Clone(i.Extensions)
			implicit[0] = byte(contextTag(1))
			b.AddBytes(implicit)
		}
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("marshal TSTInfo: %w", err)
	}
	return der, nil
}

func addImprint(b *cryptobyte.Builder, hash asn1.ObjectIdentifier, imprint []byte) {
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addAlgorithm(b, hash)
		b.AddASN1OctetString(imprint)
	})
}

// extension is one X.509 extension of a message that smx509 does not read.
type extension struct {
	id       asn1.ObjectIdentifier
	critical bool
	value    []byte
}

// readExtensions reads a DER SEQUENCE OF Extension; none may occur twice.
func readExtensions(der []byte) ([]extension, bool) {
	in := cryptobyte.String(der)
	var list cryptobyte.String
	if !in.ReadASN1(&list, casn1.SEQUENCE) || !in.Empty() || list.Empty() {
		return nil, false
	}
	var out []extension
	for !list.Empty() {
		var x extension
		var seq, value cryptobyte.String
		if len(out) == 32 || !list.ReadASN1(&seq, casn1.SEQUENCE) || !seq.ReadASN1ObjectIdentifier(&x.id) ||
			seq.PeekASN1Tag(casn1.BOOLEAN) && !seq.ReadASN1Boolean(&x.critical) ||
			!seq.ReadASN1(&value, casn1.OCTET_STRING) || !seq.Empty() {
			return nil, false
		}
		for _, y := range out {
			if y.id.Equal(x.id) {
				return nil, false
			}
		}
		x.value = value
		out = append(out, x)
	}
	return out, true
}

func hasCritical(list []extension) bool {
	for _, x := range list {
		if x.critical {
			return true
		}
	}
	return false
}
