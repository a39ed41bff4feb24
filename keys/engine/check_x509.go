package engine

import (
	"bytes"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

const (
	// maxBackdate is how far in the past a new certificate may begin.
	maxBackdate = 24 * time.Hour
	// maxRevoked bounds the entries of one revocation list.
	maxRevoked = 1 << 16
)

// checkX509 tells a TBSCertificate of version 3, which begins with [0], from a
// TBSCertList of version 2, which begins with an INTEGER, and from a
// ResponseData of OCSP, which begins with the responder's name, [1].
func (e *Engine) checkX509(v *version, item []byte, now time.Time) error {
	in := cryptobyte.String(item)
	var body cryptobyte.String
	if !in.ReadASN1(&body, casn1.SEQUENCE) || !in.Empty() {
		return fmt.Errorf("%w: neither TBSCertificate nor TBSCertList nor ResponseData", keys.ErrItem)
	}
	if body.PeekASN1Tag(casn1.INTEGER) || body.PeekASN1Tag(responderByName) {
		return e.checkRevocation(v, item, now)
	}
	return e.checkCertificate(v, item, now)
}

// responderByName is [1], with which a ResponseData begins.
var responderByName = casn1.Tag(1).ContextSpecific().Constructed()

// checkRevocation accepts a TBSCertList or a ResponseData of OCSP, and never a
// certificate.
func (e *Engine) checkRevocation(v *version, item []byte, now time.Time) error {
	in := cryptobyte.String(item)
	var body cryptobyte.String
	if in.ReadASN1(&body, casn1.SEQUENCE) && in.Empty() {
		switch {
		case body.PeekASN1Tag(casn1.INTEGER):
			return e.checkCRL(v, body, now)
		case body.PeekASN1Tag(responderByName):
			return e.checkOCSP(v, item, now)
		}
	}
	return fmt.Errorf("%w: neither TBSCertList nor ResponseData", keys.ErrItem)
}

// checkCertificate checks a TBSCertificate. A pending version, which has no
// certificate yet, may sign one thing: a root certificate of itself. A live one
// signs certificates of others, under its own name, inside its own term, and
// no further CA than its path length allows.
func (e *Engine) checkCertificate(v *version, item []byte, now time.Time) error {
	c, err := gm.ParseCertificate(withPlaceholder(item))
	if err == nil {
		err = c.FormError
	}
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if !bytes.Equal(c.RawTBS, item) {
		return fmt.Errorf("%w: TBSCertificate", keys.ErrItem)
	}
	if c.Serial.Sign() <= 0 || c.Serial.BitLen() > 159 {
		return fmt.Errorf("%w: serial number", keys.ErrItem)
	}
	if !c.NotBefore.Before(c.NotAfter) || now.After(c.NotAfter) || c.NotBefore.Before(now.Add(-maxBackdate)) {
		return fmt.Errorf("%w: certificate from %s to %s", keys.ErrClock, c.NotBefore.Format(time.RFC3339), c.NotAfter.Format(time.RFC3339))
	}
	if !c.IsCA && c.KeyUsage&(gm.KeyUsageCertSign|gm.KeyUsageCRLSign) != 0 {
		return fmt.Errorf("%w: a certificate that signs certificates but is no CA", keys.ErrItem)
	}
	if v.Certificate == nil {
		if !bytes.Equal(c.RawIssuer, c.RawSubject) || !c.PublicKey.Equal(v.Public) || !c.IsCA || c.KeyUsage&gm.KeyUsageCertSign == 0 {
			return fmt.Errorf("%w: version %d has no certificate and signs only its own root certificate", keys.ErrVersion, v.Number)
		}
		return nil
	}
	own := v.Certificate
	switch {
	case !bytes.Equal(c.RawIssuer, own.RawSubject):
		return fmt.Errorf("%w: the issuer named is not this CA", keys.ErrCertificate)
	case len(c.AuthorityKeyID) > 0 && !bytes.Equal(c.AuthorityKeyID, own.SubjectKeyID):
		return fmt.Errorf("%w: the authority key identifier is not this CA's", keys.ErrCertificate)
	case c.PublicKey.Equal(v.Public) || bytes.Equal(c.RawSubject, own.RawSubject):
		return fmt.Errorf("%w: a CA does not certify itself again", keys.ErrCertificate)
	case c.NotBefore.Before(own.NotBefore) || c.NotAfter.After(own.NotAfter):
		return fmt.Errorf("%w: the term leaves that of the CA", keys.ErrClock)
	case c.IsCA && own.MaxPathLen >= 0 && (c.MaxPathLen < 0 || c.MaxPathLen >= own.MaxPathLen):
		return fmt.Errorf("%w: path length %d under a CA of path length %d", keys.ErrCertificate, c.MaxPathLen, own.MaxPathLen)
	}
	return nil
}

// withPlaceholder wraps a TBSCertificate into a Certificate whose signature
// means nothing, so that the one certificate parser can judge it. The parser
// also requires that the algorithm inside is the one outside, SM2 with SM3.
func withPlaceholder(tbs []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(gm.OIDSM2WithSM3) })
		b.AddASN1BitString([]byte{0x30, 6, 2, 1, 1, 2, 1, 1})
	})
	out, err := b.Bytes()
	if err != nil {
		return nil // longer than DER can say: no parser accepts it
	}
	return out
}

// checkCRL checks a TBSCertList of version 2 (RFC 5280 section 5.1), body
// being what is inside its SEQUENCE: this CA's name, issued now, a next update
// before the CA's own end, well-formed entries with distinct serial numbers.
func (e *Engine) checkCRL(v *version, body cryptobyte.String, now time.Time) error {
	bad := func(what string) error { return fmt.Errorf("%w: TBSCertList: %s", keys.ErrItem, what) }
	own := v.Certificate
	if own == nil {
		return fmt.Errorf("%w: version %d has no certificate yet", keys.ErrVersion, v.Number)
	}
	if own.KeyUsage&gm.KeyUsageCRLSign == 0 {
		return fmt.Errorf("%w: its certificate does not allow cRLSign", keys.ErrCertificate)
	}
	var number int64
	var algorithm, issuer cryptobyte.String
	var oid asn1.ObjectIdentifier
	if !body.ReadASN1Integer(&number) || number != 1 {
		return bad("version")
	}
	if !body.ReadASN1(&algorithm, casn1.SEQUENCE) || !algorithm.ReadASN1ObjectIdentifier(&oid) || !oid.Equal(gm.OIDSM2WithSM3) || !algorithm.Empty() {
		return bad("algorithm")
	}
	if !body.ReadASN1Element(&issuer, casn1.SEQUENCE) {
		return bad("issuer")
	}
	if !bytes.Equal(issuer, own.RawSubject) {
		return fmt.Errorf("%w: the issuer named is not this CA", keys.ErrCertificate)
	}
	this, ok := readTime(&body)
	next, ok2 := readTime(&body)
	if !ok || !ok2 {
		return bad("thisUpdate or nextUpdate")
	}
	if !this.Before(next) || next.After(own.NotAfter) {
		return fmt.Errorf("%w: list from %s to %s", keys.ErrClock, this.Format(time.RFC3339), next.Format(time.RFC3339))
	}
	if body.PeekASN1Tag(casn1.SEQUENCE) {
		var list cryptobyte.String
		if !body.ReadASN1(&list, casn1.SEQUENCE) || !readRevoked(list, now.Add(e.config.ClockWindow)) {
			return bad("revokedCertificates")
		}
	}
	var wrapped, extensions cryptobyte.String
	if !body.ReadASN1(&wrapped, casn1.Tag(0).ContextSpecific().Constructed()) || !body.Empty() ||
		!wrapped.ReadASN1(&extensions, casn1.SEQUENCE) || !wrapped.Empty() || !readExtensions(extensions) {
		return bad("crlExtensions")
	}
	return e.inWindow("thisUpdate", this, now)
}

func readRevoked(list cryptobyte.String, until time.Time) bool {
	seen := map[string]bool{}
	for !list.Empty() {
		var entry cryptobyte.String
		serial := new(big.Int)
		if !list.ReadASN1(&entry, casn1.SEQUENCE) || !entry.ReadASN1Integer(serial) || serial.Sign() <= 0 {
			return false
		}
		at, ok := readTime(&entry)
		if !ok || at.After(until) {
			return false
		}
		if !entry.Empty() {
			var extensions cryptobyte.String
			if !entry.ReadASN1(&extensions, casn1.SEQUENCE) || !entry.Empty() || !readExtensions(extensions) {
				return false
			}
		}
		if s := serial.String(); seen[s] || len(seen) == maxRevoked {
			return false
		} else {
			seen[s] = true
		}
	}
	return len(seen) > 0 // an empty list is left out in DER
}

// readExtensions checks the form of a list of extensions, not their meaning:
// what counts here is that nothing but a list of extensions is signed.
func readExtensions(list cryptobyte.String) bool {
	seen := map[string]bool{}
	for !list.Empty() {
		var x, value cryptobyte.String
		var id asn1.ObjectIdentifier
		if !list.ReadASN1(&x, casn1.SEQUENCE) || !x.ReadASN1ObjectIdentifier(&id) || seen[id.String()] {
			return false
		}
		seen[id.String()] = true
		if x.PeekASN1Tag(casn1.BOOLEAN) {
			var critical bool
			if !x.ReadASN1Boolean(&critical) || !critical { // FALSE is the default and left out
				return false
			}
		}
		if !x.ReadASN1(&value, casn1.OCTET_STRING) || !x.Empty() {
			return false
		}
	}
	return len(seen) > 0
}

// readTime reads a Time of RFC 5280 section 4.1.2.5: UTCTime up to 2049,
// GeneralizedTime after, whole seconds, Z.
func readTime(in *cryptobyte.String) (time.Time, bool) {
	var t time.Time
	if in.PeekASN1Tag(casn1.UTCTime) {
		return t, in.ReadASN1UTCTime(&t)
	}
	return t, in.ReadASN1GeneralizedTime(&t) && t.Year() >= 2050
}
