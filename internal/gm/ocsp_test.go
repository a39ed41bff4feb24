package gm

import (
	"bytes"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

var listTime = time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)

type party struct {
	key  *PrivateKey
	cert *Certificate
}

func newParty(t testing.TB, issuer *party, seed string, change func(*Template)) party {
	t.Helper()
	d := SM3([]byte(seed))
	key, err := NewPrivateKey(d[:])
	if err != nil {
		t.Fatal(err)
	}
	tmpl := Template{Subject: pkix.Name{CommonName: seed}, NotBefore: listTime.AddDate(-1, 0, 0), NotAfter: listTime.AddDate(1, 0, 0), KeyUsage: KeyUsageDigitalSignature}
	if change != nil {
		change(&tmpl)
	}
	sign, parent := key.Sign, (*Certificate)(nil)
	if issuer != nil {
		sign, parent = issuer.key.Sign, issuer.cert
	}
	c, err := CreateCertificate(tmpl, parent, key.Public(), sign)
	if err != nil {
		t.Fatal(err)
	}
	return party{key, c}
}

func asCA(t *Template) { t.IsCA, t.KeyUsage = true, KeyUsageCertSign|KeyUsageCRLSign }

func answer(t testing.TB, ca party) ResponseData {
	t.Helper()
	return ResponseData{ProducedAt: listTime, Nonce: []byte("nonce"), Statuses: []OCSPStatus{
		{ID: NewCertID(ca.cert, big.NewInt(5)), State: CertGood, ThisUpdate: listTime, NextUpdate: listTime.Add(time.Hour)},
		{ID: NewCertID(ca.cert, big.NewInt(6)), State: CertRevoked, RevokedAt: listTime.AddDate(0, -1, 0), Reason: 1, ThisUpdate: listTime},
		{ID: NewCertID(ca.cert, big.NewInt(7)), ThisUpdate: listTime},
	}}
}

func TestOCSPAnswersSurviveTheirEncoding(t *testing.T) {
	ca := newParty(t, nil, "ca", asCA)
	der, err := (&OCSPRequest{Certs: []CertID{NewCertID(ca.cert, big.NewInt(5))}, Nonce: []byte("0123456789abcdef")}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ParseOCSPRequest(der)
	if err != nil || len(q.Certs) != 1 || !q.Certs[0].IssuedBy(ca.cert) || string(q.Nonce) != "0123456789abcdef" {
		t.Fatalf("%+v %v", q, err)
	}
	r, err := CreateOCSPResponse(answer(t, ca), ca.cert, ca.cert, ca.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseOCSPResponse(r.Raw)
	if err != nil {
		t.Fatal(err)
	}
	s := again.Data.Statuses
	if len(s) != 3 || s[0].State != CertGood || s[1].State != CertRevoked || s[1].Reason != 1 || s[2].State != CertUnknown ||
		!s[0].NextUpdate.Equal(listTime.Add(time.Hour)) || !s[1].NextUpdate.IsZero() || !s[1].RevokedAt.Equal(listTime.AddDate(0, -1, 0)) || string(again.Data.Nonce) != "nonce" {
		t.Errorf("%+v", again.Data)
	}
	if _, err := ParseOCSPResponse(OCSPRefusal(OCSPTryLater)); err != OCSPError(OCSPTryLater) {
		t.Errorf("refusal: %v", err)
	}
}

func TestAnOCSPResponseSpeaksForItsIssuerAlone(t *testing.T) {
	ca, other := newParty(t, nil, "ca", asCA), newParty(t, nil, "other", asCA)
	twin := newParty(t, nil, "twin", func(x *Template) { asCA(x); x.Subject.CommonName = "ca" })
	responder := newParty(t, &ca, "responder", func(x *Template) { x.OCSPSigning = true })
	leaf := newParty(t, &ca, "leaf", nil)
	foreign := newParty(t, &other, "foreign", func(x *Template) { x.OCSPSigning = true })
	old := newParty(t, &ca, "old", func(x *Template) { x.OCSPSigning, x.NotAfter = true, listTime.AddDate(0, -1, 0) })
	if !responder.cert.OCSPNoCheck || !responder.cert.OCSPSigning || leaf.cert.OCSPSigning {
		t.Error("usages of responder or leaf")
	}
	for name, p := range map[string]party{"leaf": leaf, "foreign": foreign, "old": old, "other": other, "twin": twin} {
		if r, err := CreateOCSPResponse(answer(t, ca), ca.cert, p.cert, p.key.Sign); err == nil {
			t.Errorf("%s speaks for the CA: %v", name, r.Data)
		}
	}
	r, err := CreateOCSPResponse(answer(t, ca), ca.cert, responder.cert, responder.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	if by, err := r.VerifyFor(ca.cert); err != nil || !by.Equal(responder.cert) {
		t.Errorf("delegate: %v", err)
	}
	for _, c := range []*Certificate{other.cert, twin.cert, leaf.cert} {
		if _, err := r.VerifyFor(c); !errors.Is(err, ErrSignature) {
			t.Errorf("for %s: %v", c.Subject, err)
		}
	}
	for i := range r.RawData {
		bad := *r
		bad.RawData = bytes.Clone(r.RawData)
		bad.RawData[i] ^= 1
		if _, err := bad.VerifyFor(ca.cert); err == nil {
			t.Fatalf("byte %d of the signed data can be changed", i)
		}
	}
}

func TestARevocationListOfAnotherKindIsRefused(t *testing.T) {
	ca := newParty(t, nil, "ca", asCA)
	noCRL := newParty(t, nil, "ca", func(x *Template) { x.IsCA, x.KeyUsage = true, KeyUsageCertSign })
	revoked := []RevokedEntry{{Serial: big.NewInt(5), At: listTime, Reason: 1, Invalid: listTime.AddDate(0, -2, 0)}, {Serial: big.NewInt(6), At: listTime}}
	l, err := CreateRevocationList(big.NewInt(9), listTime, listTime.AddDate(0, 0, 7), revoked, ca.cert, ca.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	again, err := ParseRevocationList(l.PEM(), ca.cert)
	if err != nil {
		t.Fatal(err)
	}
	if e := again.Revoked; len(e) != 2 || !e[0].Since().Equal(listTime.AddDate(0, -2, 0)) || !e[1].Since().Equal(listTime) || again.Number.Int64() != 9 {
		t.Errorf("%+v", again)
	}
	if err := again.CheckSignedBy(noCRL.cert); !errors.Is(err, ErrRevocationList) {
		t.Errorf("an issuer without cRLSign: %v", err)
	}
	for name, data := range map[string][]byte{"nothing": nil, "rubbish": []byte("rubbish"), "two blocks": append(l.PEM(), l.PEM()...), "cut": l.Raw[:len(l.Raw)-1], "certificate": ca.cert.PEM()} {
		if _, err := ReadRevocationList(data); !errors.Is(err, ErrRevocationList) {
			t.Errorf("%s: %v", name, err)
		}
	}
	scopes := map[string]struct {
		der  string
		ok   bool
		leaf bool
	}{
		"users only":      {"30038101ff", true, true},
		"CAs only":        {"30038201ff", true, false},
		"both":            {"30068101ff8201ff", false, false},
		"some reasons":    {"300483020001", false, false},
		"indirect":        {"30038401ff", false, false},
		"attribute":       {"30038501ff", false, false},
		"another's point": {"300ea00ca00a8608687474703a2f2f78", true, false},
		"written default": {"3003810100", true, true},
		"nothing":         {"3000", true, true},
	}
	leaf := newParty(t, &ca, "leaf", nil)
	for name, c := range scopes {
		s, ok := readIssuingPoint(unhex(t, c.der))
		if ok != c.ok || ok && s.Covers(leaf.cert) != c.leaf {
			t.Errorf("%s: %+v %v", name, s, ok)
		}
	}
	pointed := newParty(t, &ca, "pointed", func(x *Template) { x.CRLURLs = []string{"http://x"} })
	if s, _ := readIssuingPoint(unhex(t, scopes["another's point"].der)); !s.Covers(pointed.cert) {
		t.Errorf("a list does not cover the certificate that names it: %+v", s)
	}
}

func FuzzRevocationList(f *testing.F) {
	ca := newParty(f, nil, "ca", asCA)
	for _, revoked := range [][]RevokedEntry{nil, {{Serial: big.NewInt(5), At: listTime, Reason: 1, Invalid: listTime}}} {
		l, err := CreateRevocationList(big.NewInt(9), listTime, listTime.AddDate(0, 0, 7), revoked, ca.cert, ca.key.Sign)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(l.Raw)
		f.Add(l.PEM())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ReadRevocationList(data)
		if err != nil {
			if !errors.Is(err, ErrRevocationList) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		if again, err := ReadRevocationList(l.Raw); err != nil || len(again.Revoked) != len(l.Revoked) || !l.ThisUpdate.Before(l.NextUpdate) {
			t.Errorf("read again: %v", err)
		}
	})
}

func FuzzOCSP(f *testing.F) {
	ca := newParty(f, nil, "ca", asCA)
	req, _ := (&OCSPRequest{Certs: []CertID{NewCertID(ca.cert, big.NewInt(5))}, Nonce: []byte("n")}).Marshal()
	d := answer(f, ca)
	r, err := CreateOCSPResponse(d, ca.cert, ca.cert, ca.key.Sign)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range [][]byte{req, r.Raw, r.RawData, OCSPRefusal(OCSPMalformed)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		if q, err := ParseOCSPRequest(der); err == nil {
			once, err := q.Marshal()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseOCSPRequest(once)
			if err != nil || len(again.Certs) != len(q.Certs) || !bytes.Equal(again.Nonce, q.Nonce) {
				t.Errorf("request changed: %v", err)
			}
		}
		if d, err := ParseResponseData(der); err == nil {
			once, err := d.Marshal()
			if err != nil {
				return // a time that DER cannot say
			}
			again, err := ParseResponseData(once)
			if err != nil {
				t.Fatalf("data changed: %v", err)
			}
			if twice, err := again.Marshal(); err != nil || !bytes.Equal(once, twice) {
				t.Errorf("%x became %x", once, twice)
			}
		}
		if r, err := ParseOCSPResponse(der); err == nil {
			if _, err := r.VerifyFor(ca.cert); err == nil && !bytes.Contains(der, r.RawData) {
				t.Error("verified what was not there")
			}
		}
	})
}
