package gm

import (
	"crypto/elliptic"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"slices"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// wrongCurveGroup holds points of P-256 under SM2's identifier.
func (g *generator) wrongCurveGroup() vectorGroup {
	group := vectorGroup{Type: "SM2PublicKey"}
	for n := range byte(3) {
		g.add(&group, "a point of P-256 under SM2's identifier", "PublicKey", nistSPKI(n), nil, "invalid")
	}
	return group
}

// nistSPKI is a SubjectPublicKeyInfo that says SM2 and holds a point of P-256.
func nistSPKI(n byte) []byte {
	c := elliptic.P256().Params()
	for x := new(big.Int).SetBytes(slices.Repeat([]byte{n + 1}, 32)); ; x.Add(x, big.NewInt(1)) {
		y := new(big.Int).Exp(x, big.NewInt(3), c.P) // x³ - 3x + b
		y.Sub(y, new(big.Int).Mul(x, big.NewInt(3)))
		y.Add(y, c.B).Mod(y, c.P)
		if y.ModSqrt(y, c.P) != nil {
			return sequence(sequence([]byte{6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1}, []byte{6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x82, 0x2d}),
				append([]byte{3, 66, 0, 4}, append(x.FillBytes(make([]byte, 32)), y.FillBytes(make([]byte, 32))...)...))
		}
	}
}

// signedFormGroup holds certificates that their CA really signed and that are
// malformed inside: only reading them shows it.
func (g *generator) signedFormGroup() vectorGroup {
	ca, leaf := g.key(4), g.key(5)
	group := vectorGroup{Type: "SM2Certificate", PublicKey: hex.EncodeToString(ca.Public().Point())}
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	byCA := func(tbs []byte) ([]byte, error) { return g.sign(ca, tbs), nil }
	root, err := CreateCertificate(Template{Serial: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: at, NotAfter: at.AddDate(9, 0, 0),
		KeyUsage: KeyUsageCertSign, IsCA: true, MaxPathLen: 1}, nil, ca.Public(), byCA)
	if err != nil {
		g.t.Fatal(err)
	}
	good, err := CreateCertificate(Template{Serial: big.NewInt(0x1234), Subject: pkix.Name{CommonName: "leaf"}, NotBefore: at, NotAfter: at.AddDate(1, 0, 0),
		KeyUsage: KeyUsageDigitalSignature}, root, leaf.Public(), byCA)
	if err != nil {
		g.t.Fatal(err)
	}
	var members [][]byte // version, serial, algorithm, issuer, validity, subject, key, extensions
	tbs := cryptobyte.String(good.RawTBS)
	tbs.ReadASN1(&tbs, casn1.SEQUENCE)
	for !tbs.Empty() {
		var m cryptobyte.String
		tbs.ReadAnyASN1Element(&m, new(casn1.Tag))
		members = append(members, m)
	}
	wrap := func(tag casn1.Tag, parts ...[]byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(slices.Concat(parts...)) })
		return b.BytesOrPanic()
	}
	with := func(i int, der ...byte) []byte {
		m := slices.Clone(members)
		m[i] = der
		tbs := wrap(casn1.SEQUENCE, m...)
		return wrap(casn1.SEQUENCE, tbs, members[2], wrap(casn1.BIT_STRING, []byte{0}, g.sign(ca, tbs)))
	}
	utc := func(from, until string) []byte {
		return sequence(append([]byte{23, byte(len(from))}, from...), append([]byte{23, byte(len(until))}, until...))
	}
	g.add(&group, "signed again unchanged", "Valid", with(1, members[1]...), nil, "valid")
	exts := func(list ...[]byte) []byte { return wrap(contextTag(3), sequence(list...)) }
	usage := []byte{0x30, 14, 6, 3, 0x55, 0x1d, 15, 1, 1, 0xff, 4, 4, 3, 2, 7, 0x80}
	g.add(&group, "signed with one extension", "Valid", with(7, exts(usage)...), nil, "valid")
	change := func(i int, b byte) []byte { u := slices.Clone(usage); u[i] = b; return u }
	for _, c := range []struct {
		name, flag string
		der        []byte
	}{
		{"another algorithm inside than outside", "Certificate", with(2, sequence([]byte{6, 8, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 1, 0x83, 0x76})...)},
		{"version 9", "Policy", with(0, 0xa0, 3, 2, 1, 8)},
		{"serial number with a leading zero", "Encoding", with(1, 2, 3, 0, 0x12, 0x34)},
		{"negative serial number", "Policy", with(1, 2, 2, 0x92, 0x34)},
		{"serial number of no bytes", "Encoding", with(1, 2, 0)},
		{"dates of letters", "Policy", with(4, utc("2601010000AAZ", "270101000000Z")...)},
		{"the 30th of February", "Policy", with(4, utc("260230000000Z", "270101000000Z")...)},
		{"one date", "Certificate", with(4, sequence([]byte("\x17\x0d260101000000Z"))...)},
		{"a point of P-256 as the key", "PublicKey", with(6, nistSPKI(0)...)},
		{"an extension twice", "Certificate", with(7, exts(usage, usage)...)},
		{"a key usage of no bits", "Policy", with(7, exts(change(15, 0))...)},
		{"a BOOLEAN of 1", "Policy", with(7, exts(change(9, 1))...)},
		{"a NULL behind the extensions", "Certificate", with(7, wrap(contextTag(3), sequence(usage), []byte{5, 0})...)},
		{"extensions under another tag", "Certificate", with(7, wrap(contextTag(4), sequence(usage))...)},
		{"the key left out", "Certificate", with(6)},
	} {
		g.add(&group, c.name, c.flag, c.der, nil, "invalid")
	}
	return group
}
