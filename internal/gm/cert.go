package gm

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxCertificateSize bounds one DER certificate in bytes.
const MaxCertificateSize = 64 << 10

// KeyUsage is the bit set of RFC 5280 section 4.2.1.3.
type KeyUsage = smx509.KeyUsage

// Key usages that Sealgate asks for.
const (
	KeyUsageDigitalSignature  = smx509.KeyUsageDigitalSignature
	KeyUsageContentCommitment = smx509.KeyUsageContentCommitment // nonRepudiation
	KeyUsageCertSign          = smx509.KeyUsageCertSign
	KeyUsageCRLSign           = smx509.KeyUsageCRLSign
)

// ErrCertificate says that no SM2 key and validity can be read from a certificate.
var ErrCertificate = errors.New("not a readable SM2 certificate")

// Certificate is an X.509 certificate over an SM2 key. It is immutable.
type Certificate struct {
	Raw        []byte // the whole DER
	RawTBS     []byte // the signed part
	RawSubject []byte
	RawIssuer  []byte
	Serial     *big.Int
	Subject    pkix.Name
	Issuer     pkix.Name
	NotBefore  time.Time
	NotAfter   time.Time
	PublicKey  *PublicKey

	SignatureOID asn1.ObjectIdentifier // algorithm of the issuer's signature
	Signature    []byte                // the issuer's signature, DER

	// KeyUsage and Critical are read of malformed certificates too, so that
	// spoiling a certificate lifts no restriction.
	KeyUsage KeyUsage
	Critical []asn1.ObjectIdentifier // critical extensions nobody handled

	// The extensions below are absent (zero) when FormError is set.
	IsCA           bool
	MaxPathLen     int // -1: no limit
	SubjectKeyID   []byte
	AuthorityKeyID []byte
	TimeStamping   bool // extended key usage timeStamping is critical and alone (RFC 3161 section 2.3)
	OCSPSigning    bool // extended key usage OCSPSigning is present (RFC 6960 section 4.2.2.2)
	OCSPNoCheck    bool // whoever issued it vouches that it needs no revocation check while it lasts
	CRLURLs        []string
	OCSPURLs       []string

	// FormError is not nil when key, names, dates and usage could be read but the
	// rest of the part that the issuer signed is malformed (verification code
	// W_CERT_FORM). Such a certificate is never an anchor or an intermediate.
	FormError error
}

// SerialHex is the serial number in lower-case hexadecimal.
func (c *Certificate) SerialHex() string { return fmt.Sprintf("%x", c.Serial) }

// Fingerprint is the SM3 digest of the certificate's DER.
func (c *Certificate) Fingerprint() [DigestSize]byte { return SM3(c.Raw) }

// Equal reports whether both are the same DER.
func (c *Certificate) Equal(d *Certificate) bool {
	return c != nil && d != nil && bytes.Equal(c.Raw, d.Raw)
}

// CheckSignedBy verifies the issuer's signature with the issuer's key. It
// checks nothing else: names, validity and usages are keys/trust's work.
func (c *Certificate) CheckSignedBy(issuer *PublicKey) error {
	if !c.SignatureOID.Equal(OIDSM2WithSM3) {
		return fmt.Errorf("%w: signature algorithm %v", ErrSignature, c.SignatureOID)
	}
	return issuer.Verify(c.RawTBS, c.Signature)
}

// ParseCertificate reads one DER certificate. When the strict parser refuses
// what the issuer signed, key, names, dates and usage are read tolerantly and
// FormError tells what was wrong; ErrCertificate means that not even those can
// be read, or that something is wrong outside the signed part, where whoever
// hands the certificate over could have changed it. An RSA or NIST-curve
// certificate gives ErrCertificate too.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > MaxCertificateSize {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrCertificate, MaxCertificateSize)
	}
	c, err := parseTolerantly(der)
	if err != nil {
		return nil, err
	}
	x, err := smx509.ParseCertificate(der)
	if err != nil {
		c.FormError = fmt.Errorf("malformed certificate: %w", err)
		return c, nil
	}
	c.Serial, c.Subject, c.Issuer = x.SerialNumber, x.Subject, x.Issuer
	c.IsCA = x.BasicConstraintsValid && x.IsCA
	c.MaxPathLen = -1
	if x.MaxPathLen > 0 || x.MaxPathLenZero {
		c.MaxPathLen = x.MaxPathLen
	}
	c.SubjectKeyID, c.AuthorityKeyID = x.SubjectKeyId, x.AuthorityKeyId
	c.OCSPSigning = slices.Contains(x.ExtKeyUsage, smx509.ExtKeyUsageOCSPSigning)
	for _, e := range x.Extensions {
		c.OCSPNoCheck = c.OCSPNoCheck || e.Id.Equal(oidOCSPNoCheck)
		if e.Id.Equal(oidExtKeyUsage) && e.Critical {
			c.TimeStamping = len(x.UnknownExtKeyUsage) == 0 && slices.Equal(x.ExtKeyUsage, []smx509.ExtKeyUsage{smx509.ExtKeyUsageTimeStamping})
		}
	}
	c.CRLURLs, c.OCSPURLs = x.CRLDistributionPoints, x.OCSPServer
	for _, id := range x.UnhandledCriticalExtensions { // readRestrictions found the others
		if !slices.ContainsFunc(c.Critical, id.Equal) {
			c.Critical = append(c.Critical, id)
		}
	}
	return c, nil
}

// parseTolerantly reads the outer structure, names, validity, key, and the
// extensions that restrict the key. Of the signed part it requires no more than
// that the ASN.1 can be walked that far.
func parseTolerantly(der []byte) (*Certificate, error) {
	fail := func(what string) (*Certificate, error) { return nil, fmt.Errorf("%w: %s", ErrCertificate, what) }
	in := cryptobyte.String(der)
	var cert, tbs, alg, outerAlg, innerAlg cryptobyte.String
	var sig []byte
	c := &Certificate{Raw: append([]byte(nil), der...), MaxPathLen: -1}
	if !in.ReadASN1(&cert, casn1.SEQUENCE) || !in.Empty() {
		return fail("outer SEQUENCE")
	}
	var rawTBS cryptobyte.String
	if !cert.ReadASN1Element(&rawTBS, casn1.SEQUENCE) {
		return fail("TBSCertificate")
	}
	c.RawTBS = append([]byte(nil), rawTBS...)
	if !cert.ReadASN1Element(&outerAlg, casn1.SEQUENCE) || !cert.ReadASN1BitStringAsBytes(&sig) || !cert.Empty() {
		return fail("signature")
	}
	c.Signature = append([]byte(nil), sig...)
	if !rawTBS.ReadASN1(&tbs, casn1.SEQUENCE) || !tbs.SkipOptionalASN1(casn1.Tag(0).ContextSpecific().Constructed()) {
		return fail("version")
	}
	var serial, issuer, validity, subject, spki cryptobyte.String
	if !tbs.ReadASN1(&serial, casn1.INTEGER) || !tbs.ReadASN1Element(&innerAlg, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&issuer, casn1.SEQUENCE) || !tbs.ReadASN1(&validity, casn1.SEQUENCE) ||
		!tbs.ReadASN1Element(&subject, casn1.SEQUENCE) || !tbs.ReadASN1Element(&spki, casn1.SEQUENCE) {
		return fail("TBSCertificate members")
	}
	if !bytes.Equal(innerAlg, outerAlg) || !innerAlg.ReadASN1(&alg, casn1.SEQUENCE) || !alg.ReadASN1ObjectIdentifier(&c.SignatureOID) {
		return fail("signature algorithm")
	}
	c.Serial = new(big.Int).SetBytes(serial)
	c.RawIssuer, c.RawSubject = append([]byte(nil), issuer...), append([]byte(nil), subject...)
	c.Issuer, c.Subject = readName(issuer), readName(subject)
	var err error
	if c.NotBefore, err = readTime(&validity); err != nil {
		return fail("notBefore")
	}
	if c.NotAfter, err = readTime(&validity); err != nil {
		return fail("notAfter")
	}
	if c.PublicKey, err = ParseSPKI(spki); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCertificate, err)
	}
	if !c.readRestrictions(tbs) {
		return fail("extensions")
	}
	return c, nil
}

// readRestrictions reads what follows the key in a TBSCertificate: which uses
// the issuer allows, and which critical extensions there are.
func (c *Certificate) readRestrictions(tbs cryptobyte.String) bool {
	var list, ext, value cryptobyte.String
	var present bool
	if !tbs.SkipOptionalASN1(casn1.Tag(1).ContextSpecific()) || !tbs.SkipOptionalASN1(casn1.Tag(2).ContextSpecific()) ||
		!tbs.ReadOptionalASN1(&list, &present, contextTag(3)) || !tbs.Empty() {
		return false
	}
	if !present {
		return true
	}
	if all := list; !all.ReadASN1(&list, casn1.SEQUENCE) || !all.Empty() {
		return false
	}
	seen := make(map[string]bool)
	for !list.Empty() {
		var id asn1.ObjectIdentifier
		var critical bool
		if !list.ReadASN1(&ext, casn1.SEQUENCE) || !ext.ReadASN1ObjectIdentifier(&id) ||
			ext.PeekASN1Tag(casn1.BOOLEAN) && !ext.ReadASN1Boolean(&critical) ||
			!ext.ReadASN1(&value, casn1.OCTET_STRING) || !ext.Empty() || seen[id.String()] {
			return false
		}
		seen[id.String()] = true
		switch {
		case id.Equal(oidKeyUsage):
			var bits asn1.BitString
			if !value.ReadASN1BitString(&bits) || !value.Empty() {
				return false
			}
			for i := range 9 {
				c.KeyUsage |= KeyUsage(bits.At(i)) << i
			}
			if c.KeyUsage == 0 {
				return false // present and empty: it would look like no restriction
			}
		case critical && !handled(id):
			c.Critical = append(c.Critical, id)
		}
	}
	return true
}

var oidKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 15}

// handled reports whether a critical extension may be passed over, because it
// restricts nothing that a signature depends on or is judged elsewhere:
// identifiers of keys, alternative names, basic constraints, places of
// revocation lists, policies, extended usage, authority information. Name and
// policy constraints are not among them: keys/trust does not enforce them.
func handled(id asn1.ObjectIdentifier) bool {
	if len(id) == 4 && id[0] == 2 && id[1] == 5 && id[2] == 29 {
		switch id[3] {
		case 14, 17, 18, 19, 31, 32, 35, 37:
			return true
		}
	}
	return id.String() == "1.3.6.1.5.5.7.1.1"
}

func readName(der []byte) pkix.Name {
	var n pkix.Name
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &seq); err != nil || len(rest) != 0 {
		seq = readNameTolerantly(der)
	}
	n.FillFromRDNSequence(&seq)
	return n
}

// readNameTolerantly reads a name whose strings do not fit their types, for
// display: authorities have put UTF-8 into an IA5String. Bytes that are not
// UTF-8 are left out.
func readNameTolerantly(der []byte) pkix.RDNSequence {
	in := cryptobyte.String(der)
	var names, set, attr, value cryptobyte.String
	var seq pkix.RDNSequence
	if !in.ReadASN1(&names, casn1.SEQUENCE) {
		return nil
	}
	for names.ReadASN1(&set, casn1.SET) {
		var rdn pkix.RelativeDistinguishedNameSET
		for set.ReadASN1(&attr, casn1.SEQUENCE) {
			var a pkix.AttributeTypeAndValue
			var tag casn1.Tag
			if attr.ReadASN1ObjectIdentifier(&a.Type) && attr.ReadAnyASN1(&value, &tag) && utf8.Valid(value) {
				a.Value = string(value)
				rdn = append(rdn, a)
			}
		}
		seq = append(seq, rdn)
	}
	return seq
}

func readTime(in *cryptobyte.String) (time.Time, error) {
	var body cryptobyte.String
	var tag casn1.Tag
	if !in.ReadAnyASN1(&body, &tag) {
		return time.Time{}, ErrCertificate
	}
	layouts := []string{"20060102150405Z0700"}
	if tag == casn1.UTCTime {
		layouts = []string{"060102150405Z0700", "0601021504Z0700"}
	} else if tag != casn1.GeneralizedTime {
		return time.Time{}, ErrCertificate
	}
	for _, l := range layouts {
		if t, err := time.Parse(l, string(body)); err == nil {
			if tag == casn1.UTCTime && t.Year() >= 2050 {
				t = t.AddDate(-100, 0, 0) // RFC 5280 section 4.1.2.5.1
			}
			return t.UTC(), nil
		}
	}
	return time.Time{}, ErrCertificate
}

// ParseCertificates reads any mix of PEM certificates, or one or more DER
// certificates behind each other. Anything else in data is refused.
func ParseCertificates(data []byte) ([]*Certificate, error) {
	var out []*Certificate
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		for {
			var b *pem.Block
			b, data = pem.Decode(data)
			if b == nil {
				break
			}
			if b.Type != "CERTIFICATE" {
				return nil, fmt.Errorf("%w: PEM block %.32q, want CERTIFICATE", ErrCertificate, b.Type)
			}
			c, err := ParseCertificate(b.Bytes)
			if err != nil {
				return nil, err
			}
			out = append(out, c)
		}
		if len(bytes.TrimSpace(data)) != 0 || len(out) == 0 {
			return nil, fmt.Errorf("%w: text that is not PEM", ErrCertificate)
		}
		return out, nil
	}
	for in := cryptobyte.String(data); !in.Empty() || len(out) == 0; {
		var el cryptobyte.String
		if !in.ReadASN1Element(&el, casn1.SEQUENCE) {
			return nil, fmt.Errorf("%w: neither PEM nor DER", ErrCertificate)
		}
		c, err := ParseCertificate(el)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

// PEM returns the certificate as a PEM block CERTIFICATE.
func (c *Certificate) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
