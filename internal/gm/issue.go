package gm

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
)

// SignFunc signs one to-be-signed DER structure (never a digest) and returns
// the DER signature. A key engine's typed signature satisfies it.
type SignFunc func(tbs []byte) ([]byte, error)

// Template is what CreateCertificate certifies (RFC 5280, GB/T 20518).
type Template struct {
	Serial     *big.Int // nil: 16 random bytes
	Subject    pkix.Name
	NotBefore  time.Time
	NotAfter   time.Time
	KeyUsage   KeyUsage
	IsCA       bool
	MaxPathLen int // with IsCA: 0 or more; -1 for no limit

	// TimeStamping writes a critical extended key usage holding only
	// timeStamping (RFC 3161 section 2.3).
	TimeStamping bool
	// OCSPSigning writes the extended key usage OCSPSigning and the extension
	// id-pkix-ocsp-nocheck (RFC 6960 section 4.2.2.2): such a certificate speaks
	// for its issuer about revocation, so it is short-lived.
	OCSPSigning bool
	CRLURLs     []string
	OCSPURLs    []string
}

var (
	oidExtKeyUsage  = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidTimeStamping = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 8}
	oidOCSPNoCheck  = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}
)

// CreateCertificate issues a certificate for subject, signed by issuer's key
// through sign. issuer nil makes it self-signed. The result is verified under
// the issuer's key before it is returned.
func CreateCertificate(t Template, issuer *Certificate, subject *PublicKey, sign SignFunc) (*Certificate, error) {
	if t.Serial == nil {
		b := make([]byte, 16)
		if _, err := rand.Read(b); err != nil {
			return nil, fmt.Errorf("draw serial number: %w", err)
		}
		b[0] = b[0]&0x7f | 0x40 // positive, full length
		t.Serial = new(big.Int).SetBytes(b)
	}
	fp := subject.Fingerprint()
	x := &smx509.Certificate{
		SerialNumber: t.Serial, Subject: t.Subject, NotBefore: t.NotBefore.UTC(), NotAfter: t.NotAfter.UTC(),
		KeyUsage: t.KeyUsage, BasicConstraintsValid: true, IsCA: t.IsCA, SubjectKeyId: fp[:20],
		SignatureAlgorithm:    smx509.SM2WithSM3,
		CRLDistributionPoints: t.CRLURLs, OCSPServer: t.OCSPURLs, MaxPathLen: -1,
	}
	if t.IsCA {
		x.MaxPathLen, x.MaxPathLenZero = t.MaxPathLen, t.MaxPathLen == 0
	}
	if t.TimeStamping {
		v, err := asn1.Marshal([]asn1.ObjectIdentifier{oidTimeStamping})
		if err != nil {
			return nil, err
		}
		x.ExtraExtensions = []pkix.Extension{{Id: oidExtKeyUsage, Critical: true, Value: v}}
	}
	if t.OCSPSigning {
		x.ExtKeyUsage = []smx509.ExtKeyUsage{smx509.ExtKeyUsageOCSPSigning}
		x.ExtraExtensions = append(x.ExtraExtensions, pkix.Extension{Id: oidOCSPNoCheck, Value: asn1.NullBytes})
	}
	parent, signer := x, subject
	if issuer != nil {
		p, err := smx509.ParseCertificate(issuer.Raw)
		if err != nil {
			return nil, fmt.Errorf("read issuer certificate: %w", err)
		}
		parent, signer = p, issuer.PublicKey
	}
	der, err := smx509.CreateCertificate(rand.Reader, x, parent, subject.key, messageSigner{signer, sign})
	if err != nil {
		return nil, fmt.Errorf("create certificate: %w", err)
	}
	c, err := ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if c.FormError != nil {
		return nil, c.FormError
	}
	if err := c.CheckSignedBy(signer); err != nil {
		return nil, fmt.Errorf("check new certificate: %w", err)
	}
	return c, nil
}

// Request is a PKCS #10 certificate request whose self-signature was checked.
type Request struct {
	Raw       []byte
	Subject   pkix.Name
	PublicKey *PublicKey
}

// PEM returns the request as a PEM block CERTIFICATE REQUEST.
func (r *Request) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: r.Raw})
}

// CreateRequest makes a certificate request for key, signed through sign.
func CreateRequest(subject pkix.Name, key *PublicKey, sign SignFunc) (*Request, error) {
	der, err := smx509.CreateCertificateRequest(rand.Reader,
		&smx509.CertificateRequest{Subject: subject, SignatureAlgorithm: smx509.SM2WithSM3}, messageSigner{key, sign})
	if err != nil {
		return nil, fmt.Errorf("create certificate request: %w", err)
	}
	return ParseRequest(der)
}

// ParseRequest reads a request, DER or PEM, and checks its self-signature.
func ParseRequest(data []byte) (*Request, error) {
	if b, _ := pem.Decode(data); b != nil {
		if b.Type != "CERTIFICATE REQUEST" && b.Type != "NEW CERTIFICATE REQUEST" {
			return nil, errors.New("PEM block is not a CERTIFICATE REQUEST")
		}
		data = b.Bytes
	}
	if len(data) > MaxCertificateSize {
		return nil, fmt.Errorf("certificate request longer than %d bytes", MaxCertificateSize)
	}
	x, err := smx509.ParseCertificateRequest(data)
	if err != nil {
		return nil, fmt.Errorf("read certificate request: %w", err)
	}
	pub, err := ParseSPKI(x.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, err
	}
	if x.SignatureAlgorithm != smx509.SM2WithSM3 {
		return nil, fmt.Errorf("certificate request is not signed with SM2 and SM3")
	}
	if err := pub.Verify(x.RawTBSCertificateRequest, x.Signature); err != nil {
		return nil, fmt.Errorf("check certificate request: %w", err)
	}
	return &Request{Raw: append([]byte(nil), data...), Subject: x.Subject, PublicKey: pub}, nil
}

// RevokedEntry is one line of a revocation list.
type RevokedEntry struct {
	Serial  *big.Int
	At      time.Time
	Reason  int       // RFC 5280 section 5.3.1; 0 also when none is given
	Invalid time.Time // invalidityDate: since when the key is suspect; zero when not given
}

// RevocationList is a certificate revocation list (RFC 5280 section 5).
type RevocationList struct {
	Raw, RawTBS, RawIssuer []byte
	AuthorityKeyID         []byte
	Number                 *big.Int // nil when absent
	ThisUpdate, NextUpdate time.Time
	Scope                  ListScope
	// KeepsExpired: certificates that ended after this time stay on the list
	// (expiredCertsOnCRL of X.509); zero: they leave it when they end.
	KeepsExpired time.Time
	Revoked      []RevokedEntry
	Signature    []byte
}

// ListTemplate is what CreateList writes.
type ListTemplate struct {
	Number                 *big.Int
	ThisUpdate, NextUpdate time.Time
	Revoked                []RevokedEntry
	// KeepsExpired promises that certificates which ended after this time stay
	// on the list (expiredCertsOnCRL), so that it tells about the past too. The
	// zero time promises nothing.
	KeepsExpired time.Time
}

// CreateRevocationList makes a revocation list of issuer, signed through sign.
func CreateRevocationList(number *big.Int, thisUpdate, nextUpdate time.Time, revoked []RevokedEntry, issuer *Certificate, sign SignFunc) (*RevocationList, error) {
	return CreateList(ListTemplate{Number: number, ThisUpdate: thisUpdate, NextUpdate: nextUpdate, Revoked: revoked}, issuer, sign)
}

// CreateList makes a revocation list of issuer, signed through sign. The result
// is read back and verified before it is returned.
func CreateList(l ListTemplate, issuer *Certificate, sign SignFunc) (*RevocationList, error) {
	p, err := smx509.ParseCertificate(issuer.Raw)
	if err != nil {
		return nil, fmt.Errorf("read issuer certificate: %w", err)
	}
	t := &smx509.RevocationList{Number: l.Number, ThisUpdate: l.ThisUpdate.UTC(), NextUpdate: l.NextUpdate.UTC(), SignatureAlgorithm: smx509.SM2WithSM3}
	if !l.KeepsExpired.IsZero() {
		value, err := generalizedTime(l.KeepsExpired)
		if err != nil {
			return nil, fmt.Errorf("create revocation list: expiredCertsOnCRL: %w", err)
		}
		t.ExtraExtensions = []pkix.Extension{{Id: oidExpiredCertsOn, Value: value}}
	}
	for _, r := range l.Revoked {
		e := smx509.RevocationListEntry{SerialNumber: r.Serial, RevocationTime: r.At.UTC(), ReasonCode: r.Reason}
		if !r.Invalid.IsZero() {
			value, err := generalizedTime(r.Invalid)
			if err != nil {
				return nil, fmt.Errorf("create revocation list: invalidityDate: %w", err)
			}
			e.ExtraExtensions = []pkix.Extension{{Id: oidInvalidityDate, Value: value}}
		}
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, e)
	}
	der, err := smx509.CreateRevocationList(rand.Reader, t, p, messageSigner{issuer.PublicKey, sign})
	if err != nil {
		return nil, fmt.Errorf("create revocation list: %w", err)
	}
	return ParseRevocationList(der, issuer)
}

func generalizedTime(t time.Time) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1GeneralizedTime(t.UTC())
	return b.Bytes()
}

// ParseRevocationList reads a revocation list and checks that issuer signed it.
func ParseRevocationList(data []byte, issuer *Certificate) (*RevocationList, error) {
	l, err := ReadRevocationList(data)
	if err != nil {
		return nil, err
	}
	if err := l.CheckSignedBy(issuer); err != nil {
		return nil, err
	}
	return l, nil
}
