package gm

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxRevocationListSize bounds one DER revocation list in bytes.
const MaxRevocationListSize = 16 << 20

// ErrRevocationList says that bytes are not a revocation list that can be used:
// malformed, of another algorithm, or of a kind whose meaning is not understood
// here (delta lists, indirect lists, unknown critical extensions).
var ErrRevocationList = errors.New("not a usable revocation list")

// ListScope says which of its issuer's certificates a list speaks of (RFC 5280
// section 5.2.5). The zero value: of all.
type ListScope struct {
	URLs              []string // not empty: only those certificates that name one of these distribution points
	OnlyUser, OnlyCAs bool     // only certificates that are none, or that are CAs
}

// Covers reports whether c, a certificate of the list's issuer, is in scope.
func (s ListScope) Covers(c *Certificate) bool {
	if c.IsCA && s.OnlyUser || !c.IsCA && s.OnlyCAs {
		return false
	}
	return len(s.URLs) == 0 || slices.ContainsFunc(s.URLs, func(u string) bool { return slices.Contains(c.CRLURLs, u) })
}

// Key is equal for scopes that are equal.
func (s ListScope) Key() string { return fmt.Sprintf("%t %t %q", s.OnlyUser, s.OnlyCAs, s.URLs) }

var (
	oidIssuingPoint    = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidDeltaIndicator  = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidExpiredCertsOn  = asn1.ObjectIdentifier{2, 5, 29, 60}
	oidInvalidityDate  = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidEntryReason     = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidListNumber      = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidAuthorityKey    = asn1.ObjectIdentifier{2, 5, 29, 35}
	knownListExtension = []asn1.ObjectIdentifier{oidIssuingPoint, oidExpiredCertsOn, oidListNumber, oidAuthorityKey}
)

// ReadRevocationList reads a revocation list, DER or PEM (X509 CRL), without
// verifying it: do that with CheckSignedBy before believing anything in it. The
// error wraps ErrRevocationList.
func ReadRevocationList(data []byte) (*RevocationList, error) {
	bad := func(what any) (*RevocationList, error) { return nil, fmt.Errorf("%w: %v", ErrRevocationList, what) }
	if len(data) > 2*MaxRevocationListSize {
		return bad("too long")
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("-----BEGIN ")) {
		b, rest := pem.Decode(data)
		if b == nil || b.Type != "X509 CRL" || len(bytes.TrimSpace(rest)) > 0 {
			return bad("PEM is not one block X509 CRL")
		}
		data = b.Bytes
	}
	if len(data) > MaxRevocationListSize {
		return bad("too long")
	}
	x, err := smx509.ParseRevocationList(data)
	if err != nil {
		return bad(err)
	}
	if x.SignatureAlgorithm != smx509.SM2WithSM3 {
		return bad("not signed with SM2 and SM3")
	}
	if !x.ThisUpdate.Before(x.NextUpdate) {
		return bad("no next update after this one")
	}
	l := &RevocationList{Raw: x.Raw, RawTBS: x.RawTBSRevocationList, RawIssuer: x.RawIssuer, AuthorityKeyID: x.AuthorityKeyId, Number: x.Number,
		ThisUpdate: x.ThisUpdate.UTC(), NextUpdate: x.NextUpdate.UTC(), Signature: x.Signature}
	for _, e := range x.Extensions {
		switch {
		case e.Id.Equal(oidDeltaIndicator):
			return bad("a delta list")
		case e.Id.Equal(oidIssuingPoint):
			var ok bool
			if l.Scope, ok = readIssuingPoint(e.Value); !ok {
				return bad("a list of this scope is not understood")
			}
		case e.Id.Equal(oidExpiredCertsOn):
			in := cryptobyte.String(e.Value)
			if !in.ReadASN1GeneralizedTime(&l.KeepsExpired) || !in.Empty() {
				return bad("expiredCertsOnCRL")
			}
		case e.Critical && !slices.ContainsFunc(knownListExtension, e.Id.Equal):
			return bad("critical extension " + e.Id.String())
		}
	}
	for _, e := range x.RevokedCertificateEntries {
		r := RevokedEntry{Serial: e.SerialNumber, At: e.RevocationTime.UTC(), Reason: e.ReasonCode}
		for _, ext := range e.Extensions {
			switch {
			case ext.Id.Equal(oidInvalidityDate):
				in := cryptobyte.String(ext.Value)
				if !in.ReadASN1GeneralizedTime(&r.Invalid) || !in.Empty() {
					return bad("invalidityDate")
				}
			case ext.Critical && !ext.Id.Equal(oidEntryReason):
				return bad("critical extension " + ext.Id.String() + " of an entry")
			}
		}
		l.Revoked = append(l.Revoked, r)
	}
	return l, nil
}

// readIssuingPoint reads an IssuingDistributionPoint. Lists of some reasons
// only, of attribute certificates, and of other issuers are not understood.
func readIssuingPoint(der []byte) (ListScope, bool) {
	var s ListScope
	in := cryptobyte.String(der)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() {
		return s, false
	}
	if seq.PeekASN1Tag(contextTag(0)) {
		var point, names, uri cryptobyte.String
		if !seq.ReadASN1(&point, contextTag(0)) || !point.ReadASN1(&names, contextTag(0)) || !point.Empty() {
			return s, false
		}
		for !names.Empty() {
			var tag casn1.Tag
			if len(s.URLs) == 16 || !names.ReadAnyASN1(&uri, &tag) {
				return s, false
			}
			if tag == casn1.Tag(6).ContextSpecific() {
				s.URLs = append(s.URLs, string(uri))
			}
		}
		if len(s.URLs) == 0 {
			return s, false // named in a way that no certificate here repeats
		}
	}
	for !seq.Empty() {
		var flag cryptobyte.String
		var tag casn1.Tag
		if !seq.ReadAnyASN1(&flag, &tag) || len(flag) != 1 || flag[0] != 0xff && flag[0] != 0 {
			return s, false
		}
		if flag[0] == 0 {
			continue // the default, written out
		}
		switch tag {
		case casn1.Tag(1).ContextSpecific():
			s.OnlyUser = true
		case casn1.Tag(2).ContextSpecific():
			s.OnlyCAs = true
		default:
			return s, false
		}
	}
	return s, !(s.OnlyUser && s.OnlyCAs)
}

// CheckSignedBy verifies that issuer issued the list: name, key identifier,
// right to sign lists, signature. Whether issuer is trusted is not asked.
func (l *RevocationList) CheckSignedBy(issuer *Certificate) error {
	switch {
	case !bytes.Equal(l.RawIssuer, issuer.RawSubject):
		return fmt.Errorf("%w: of another issuer", ErrRevocationList)
	case len(l.AuthorityKeyID) > 0 && len(issuer.SubjectKeyID) > 0 && !bytes.Equal(l.AuthorityKeyID, issuer.SubjectKeyID):
		return fmt.Errorf("%w: of another key of that issuer", ErrRevocationList)
	case issuer.KeyUsage != 0 && issuer.KeyUsage&KeyUsageCRLSign == 0:
		return fmt.Errorf("%w: its issuer may not sign revocation lists", ErrRevocationList)
	}
	if err := issuer.PublicKey.Verify(l.RawTBS, l.Signature); err != nil {
		return fmt.Errorf("%w: %w", ErrRevocationList, err)
	}
	return nil
}

// Since is when the certificate stopped being good: when it was revoked, or
// when its key is said to have been lost, if that was earlier.
func (r RevokedEntry) Since() time.Time {
	if !r.Invalid.IsZero() && r.Invalid.Before(r.At) {
		return r.Invalid
	}
	return r.At
}

// PEM returns the list as a PEM block X509 CRL.
func (l *RevocationList) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: l.Raw})
}
