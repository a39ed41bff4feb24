package ses

import (
	"encoding/asn1"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// ParseSeal reads a SESeal of any version, such as a file Seal.esl. The error
// is a *StructError.
func ParseSeal(der []byte) (*Seal, error) {
	var r reader
	in := r.top(der, "SESeal")
	s := r.seal(&in)
	r.end(in, "SESeal")
	if r.err != nil {
		return nil, r.err
	}
	s.Notes = r.notes
	return s, nil
}

// ParseSealInfo reads the part of a seal that the maker signs (of V1: its
// first member only). The error is a *StructError.
func ParseSealInfo(der []byte) (*SealInfo, error) {
	var r reader
	in := r.top(der, "eSealInfo")
	i := r.sealInfo(&in)
	r.end(in, "eSealInfo")
	if r.err != nil {
		return nil, r.err
	}
	i.Notes = r.notes
	return i, nil
}

// ParseTBS reads a TBS_Sign of any version. The error is a *StructError.
func ParseTBS(der []byte) (*TBS, error) {
	var r reader
	in := r.top(der, "TBS_Sign")
	t := r.tbs(&in)
	r.end(in, "TBS_Sign")
	if r.err != nil {
		return nil, r.err
	}
	t.Notes = r.notes
	return t, nil
}

// ParseSignature reads a SES_Signature of any version, such as a file
// SignedValue.dat. The error is a *StructError.
func ParseSignature(der []byte) (*Signature, error) {
	var r reader
	in := r.top(der, "SES_Signature")
	s := r.signature(&in)
	r.end(in, "SES_Signature")
	if r.err != nil {
		return nil, r.err
	}
	s.Notes = r.notes
	return s, nil
}

func (r *reader) signature(in *cryptobyte.String) *Signature {
	s := &Signature{Raw: r.element(in, casn1.SEQUENCE, "SES_Signature")}
	outer := cryptobyte.String(s.Raw)
	seq := r.body(&outer, casn1.SEQUENCE, "SES_Signature")
	members := count(seq, 5)
	s.TBS = r.tbs(&seq)
	if r.err != nil {
		return nil
	}
	s.Version = s.TBS.Version
	switch {
	case members == 2 && s.Version == V1:
		s.Cert, s.Algorithm = s.TBS.Cert, s.TBS.Algorithm
		s.Value = r.bits(&seq, "signature")
	case (members == 4 || members == 5) && s.Version != V1:
		s.Cert = r.octets(&seq, "cert")
		s.Algorithm = r.oid(&seq, "signatureAlgID")
		s.Value = r.bits(&seq, "signature")
		s.Timestamp = r.explicitBits(&seq, "timeStamp")
	default:
		r.fail("SES_Signature", "%d members around a toSign of %v", members, s.Version)
	}
	r.end(seq, "SES_Signature")
	return s
}

// tbs tells V1 from the later versions by the type of timeInfo, the third
// member: BIT STRING there, GeneralizedTime later.
func (r *reader) tbs(in *cryptobyte.String) *TBS {
	t := &TBS{Raw: r.element(in, casn1.SEQUENCE, "toSign")}
	outer := cryptobyte.String(t.Raw)
	seq := r.body(&outer, casn1.SEQUENCE, "toSign")
	t.Number = r.integer(&seq, "toSign.version")
	t.Seal = r.seal(&seq)
	if r.err != nil {
		return nil
	}
	if seq.PeekASN1Tag(casn1.BIT_STRING) {
		t.Version = V1
		t.Time, t.TimeToken = r.timeInfoV1(r.bits(&seq, "toSign.timeInfo"), "toSign.timeInfo")
	} else {
		t.Version = t.Seal.Version
		t.Time = r.time(&seq, casn1.GeneralizedTime, false, "toSign.timeInfo")
	}
	if r.err == nil && (t.Version == V1) != (t.Seal.Version == V1) {
		r.fail("toSign.eseal", "seal of %v inside a toSign of another version", t.Seal.Version)
	}
	t.DataHash = r.bits(&seq, "toSign.dataHash")
	t.PropertyInfo = r.text(&seq, casn1.IA5String, "toSign.propertyInfo")
	if t.Version == V1 {
		t.Cert = r.octets(&seq, "toSign.cert")
		t.Algorithm = r.oid(&seq, "toSign.signatureAlgorithm")
	} else if r.err == nil && seq.PeekASN1Tag(tag0) {
		inner := r.body(&seq, tag0, "toSign.extDatas")
		list := r.body(&inner, casn1.SEQUENCE, "toSign.extDatas")
		t.Extensions = r.extensions(list, "toSign.extDatas", NoteCritical)
		r.end(inner, "toSign.extDatas")
	}
	r.end(seq, "toSign")
	if r.err == nil && !numberFits(t.Number, t.Version) {
		r.note(NoteVersion, "toSign.version", "%d in a structure of %v", t.Number, t.Version)
	}
	return t
}

func (r *reader) seal(in *cryptobyte.String) *Seal {
	s := &Seal{Raw: r.element(in, casn1.SEQUENCE, "SESeal")}
	outer := cryptobyte.String(s.Raw)
	seq := r.body(&outer, casn1.SEQUENCE, "SESeal")
	members := count(seq, 5)
	s.Info = r.sealInfo(&seq)
	if r.err != nil {
		return nil
	}
	s.Version = s.Info.Version
	switch {
	case members == 2 && s.Version == V1:
		sign := r.body(&seq, casn1.SEQUENCE, "SESeal.signInfo")
		s.Cert = r.octets(&sign, "SESeal.signInfo.cert")
		s.Algorithm = r.oid(&sign, "SESeal.signInfo.signatureAlgorithm")
		s.Signature = r.bits(&sign, "SESeal.signInfo.signData")
		r.end(sign, "SESeal.signInfo")
	case (members == 4 || members == 5) && s.Version != V1:
		if members == 5 && s.Version != V5 {
			r.note(NoteVersion, "SESeal", "five members, which only v5 has, under header version %d", s.Info.Number)
			s.Version = V5
		}
		s.Cert = r.octets(&seq, "SESeal.cert")
		s.Algorithm = r.oid(&seq, "SESeal.signAlgID")
		s.Signature = r.bits(&seq, "SESeal.signedValue")
		s.Timestamp = r.explicitBits(&seq, "SESeal.timeStamp")
	default:
		r.fail("SESeal", "%d members around an eSealInfo of %v", members, s.Version)
	}
	r.end(seq, "SESeal")
	return s
}

// sealInfo tells V1 from the later versions by the number of members of the
// property: 6 there, 7 later. The header's number only divides V4 from V5.
func (r *reader) sealInfo(in *cryptobyte.String) *SealInfo {
	i := &SealInfo{Raw: r.element(in, casn1.SEQUENCE, "eSealInfo")}
	outer := cryptobyte.String(i.Raw)
	seq := r.body(&outer, casn1.SEQUENCE, "eSealInfo")

	header := r.body(&seq, casn1.SEQUENCE, "eSealInfo.header")
	if id := r.text(&header, casn1.IA5String, "eSealInfo.header.ID"); r.err == nil && id != "ES" {
		r.fail("eSealInfo.header.ID", "%.20q, want \"ES\"", id)
	}
	i.Number = r.integer(&header, "eSealInfo.header.version")
	i.VendorID = r.text(&header, casn1.IA5String, "eSealInfo.header.Vid")
	r.end(header, "eSealInfo.header")
	i.ID = r.text(&seq, casn1.IA5String, "eSealInfo.esID")

	property := r.body(&seq, casn1.SEQUENCE, "eSealInfo.property")
	i.Version = V4
	switch members := count(property, 7); {
	case r.err != nil:
	case members == 6:
		i.Version = V1
	case members != 7:
		r.fail("eSealInfo.property", "%d members, want 6 or 7", members)
	case i.Number == int64(V5):
		i.Version = V5
	}
	i.Property = r.property(property, i.Version)
	i.Picture = r.picture(&seq)

	if r.err == nil && !seq.Empty() { // extDatas: plain as vendors write it, or [0] EXPLICIT
		list := seq
		if seq.PeekASN1Tag(tag0) {
			list = r.body(&seq, tag0, "eSealInfo.extDatas")
			r.end(seq, "eSealInfo")
		}
		members := r.body(&list, casn1.SEQUENCE, "eSealInfo.extDatas")
		i.Extensions = r.extensions(members, "eSealInfo.extDatas", NoteSealCritical)
		r.end(list, "eSealInfo.extDatas")
	}
	if r.err == nil && !numberFits(i.Number, i.Version) {
		r.note(NoteVersion, "eSealInfo.header.version", "%d in a structure of %v", i.Number, i.Version)
	}
	return i
}

// numberFits reports whether a version number is one that files of version v
// are known to carry.
func numberFits(n int64, v Version) bool {
	if v == V1 {
		return n >= 1 && n <= 3
	}
	return n == int64(v)
}

func (r *reader) property(seq cryptobyte.String, v Version) Property {
	const at = "eSealInfo.property"
	p := Property{ListType: ListCertificates}
	p.Type = r.integer(&seq, at+".type")
	p.Name = r.text(&seq, casn1.UTF8String, at+".name")
	dates := casn1.UTCTime
	if v != V1 {
		dates = casn1.GeneralizedTime
		p.ListType = r.integer(&seq, at+".certListType")
		if r.err == nil && p.ListType != ListCertificates && p.ListType != ListDigests {
			r.fail(at+".certListType", "%d, want 1 or 2", p.ListType)
		}
	}
	r.certList(&p, r.body(&seq, casn1.SEQUENCE, at+".certList"), at+".certList")
	p.Created = r.time(&seq, dates, v == V1, at+".createDate")
	p.NotBefore = r.time(&seq, dates, v == V1, at+".validStart")
	p.NotAfter = r.time(&seq, dates, v == V1, at+".validEnd")
	r.end(seq, at)
	return p
}

// certList reads the allowed signers. An entry of another type is counted, not
// refused: the list still names nobody by it, so it can only take rights away.
func (r *reader) certList(p *Property, list cryptobyte.String, field string) {
	for n := 0; r.err == nil && !list.Empty(); n++ {
		if n == MaxListed {
			r.fail(field, "more than %d entries", MaxListed)
			return
		}
		var el cryptobyte.String
		var tag casn1.Tag
		if !list.ReadAnyASN1Element(&el, &tag) {
			r.fail(field, "entry %d is not DER", n)
			return
		}
		switch {
		case p.ListType == ListCertificates && tag == casn1.OCTET_STRING:
			p.Certs = append(p.Certs, r.octets(&el, field))
		case p.ListType == ListDigests && tag == casn1.SEQUENCE:
			d := r.body(&el, casn1.SEQUENCE, field)
			var c CertDigest
			c.Type = r.text(&d, casn1.PrintableString, field+".type")
			c.Value = r.octets(&d, field+".value")
			r.end(d, field)
			p.Digests = append(p.Digests, c)
		default:
			p.Unreadable++
			r.note(NoteList, field, "entry %d has tag 0x%02x", n, uint8(tag))
		}
	}
}

func (r *reader) picture(in *cryptobyte.String) Picture {
	const at = "eSealInfo.picture"
	seq := r.body(in, casn1.SEQUENCE, at)
	var p Picture
	p.Type = r.text(&seq, casn1.IA5String, at+".type")
	p.Data = r.octets(&seq, at+".data")
	if r.err == nil && len(p.Data) > MaxPicture {
		r.fail(at+".data", "longer than %d bytes", MaxPicture)
	}
	p.Width = r.integer(&seq, at+".width")
	p.Height = r.integer(&seq, at+".height")
	r.end(seq, at)
	return p
}

// makerMessageV1 builds what a V1 maker signs. Its members come from a parsed
// seal, so that the encoding is the one in the file.
func makerMessageV1(info, cert []byte, algorithm asn1.ObjectIdentifier) []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(info)
		b.AddASN1OctetString(cert)
		b.AddASN1ObjectIdentifier(algorithm)
	})
	return b.BytesOrPanic() // an OID that was parsed can be written
}
