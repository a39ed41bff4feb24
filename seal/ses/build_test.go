package ses

import (
	"bytes"
	"encoding/asn1"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

var day = time.Date(2026, 11, 23, 1, 59, 33, 0, time.UTC)

func sampleInfo() SealInfo {
	return SealInfo{
		VendorID: "SEALGATE", ID: "22010000000001",
		Property: Property{Type: 1, Name: "某某市行政审批局", ListType: ListCertificates,
			Certs: [][]byte{bytes.Repeat([]byte{0x30}, 400)}, Created: day, NotBefore: day, NotAfter: day.AddDate(2, 0, 0)},
		Picture: Picture{Type: "PNG", Data: []byte("picture"), Width: 40, Height: 40},
	}
}

// sampleSignature builds a whole signature with real SM2 signatures.
func sampleSignature(t testing.TB, info SealInfo, token []byte) []byte {
	t.Helper()
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	infoDER, err := info.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := key.Sign(infoDER)
	if err != nil {
		t.Fatal(err)
	}
	sealDER, err := AssembleSeal(infoDER, []byte("maker"), sig)
	if err != nil {
		t.Fatal(err)
	}
	seal, err := ParseSeal(sealDER)
	if err != nil {
		t.Fatal(err)
	}
	hash := gm.SM3([]byte("x"))
	tbs, err := TBS{Seal: seal, Time: day, DataHash: hash[:], PropertyInfo: "/Doc_0/Signs/Sign_0/Signature.xml",
		Extensions: []Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Value: []byte("v")}}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if sig, err = key.Sign(tbs); err != nil {
		t.Fatal(err)
	}
	der, err := AssembleSignature(tbs, []byte("signer"), sig, token)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestWhatIsBuiltParsesBackWithoutNotes(t *testing.T) {
	for name, token := range map[string][]byte{"plain": nil, "with timestamp": []byte("token")} {
		s, err := ParseSignature(sampleSignature(t, sampleInfo(), token))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s.Version != V4 || len(s.Notes) != 0 || !bytes.Equal(s.Timestamp, token) || !s.TBS.Time.Equal(day) {
			t.Errorf("%s: %v %v %q %v", name, s.Version, s.Notes, s.Timestamp, s.TBS.Time)
		}
		if got := s.TBS.Seal.Info.Property.Name; got != "某某市行政审批局" {
			t.Errorf("%s: name %q", name, got)
		}
	}
}

func TestBuilderRefusesChineseInIA5FieldsEarly(t *testing.T) {
	for name, change := range map[string]func(*SealInfo){
		"vendor": func(i *SealInfo) { i.VendorID = "吉林" },
		"id":     func(i *SealInfo) { i.ID = "印章1" },
		"type":   func(i *SealInfo) { i.Picture.Type = "图" },
	} {
		i := sampleInfo()
		change(&i)
		if _, err := i.Marshal(); !errors.Is(err, ErrBuild) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s, err := ParseSignature(sampleSignature(t, sampleInfo(), nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (TBS{Seal: s.TBS.Seal, Time: day, DataHash: make([]byte, 32), PropertyInfo: "/文档/Signature.xml"}).Marshal(); !errors.Is(err, ErrBuild) {
		t.Errorf("property info: %v", err)
	}
}

func TestBuilderRefusesIncompleteSeals(t *testing.T) {
	for name, change := range map[string]func(*SealInfo){
		"no name":            func(i *SealInfo) { i.Property.Name = "" },
		"control in name":    func(i *SealInfo) { i.Property.Name = "a\nb" },
		"no certificate":     func(i *SealInfo) { i.Property.Certs = nil },
		"both lists":         func(i *SealInfo) { i.Property.Digests = []CertDigest{{Type: "SM3", Value: make([]byte, 32)}} },
		"short digest":       func(i *SealInfo) { i.Property = digests(make([]byte, 31)) },
		"list type":          func(i *SealInfo) { i.Property.ListType = 3 },
		"ends before begin":  func(i *SealInfo) { i.Property.NotAfter = day.AddDate(0, 0, -1) },
		"no dates":           func(i *SealInfo) { i.Property.Created = time.Time{} },
		"no picture":         func(i *SealInfo) { i.Picture.Data = nil },
		"no size":            func(i *SealInfo) { i.Picture.Width = 0 },
		"too big a picture":  func(i *SealInfo) { i.Picture.Data = make([]byte, MaxPicture+1) },
		"year past the form": func(i *SealInfo) { i.Property.NotAfter = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
	} {
		i := sampleInfo()
		change(&i)
		if der, err := i.Marshal(); !errors.Is(err, ErrBuild) || der != nil {
			t.Errorf("%s: %d bytes, %v", name, len(der), err)
		}
	}
}

func digests(values ...[]byte) Property {
	p := sampleInfo().Property
	p.ListType, p.Certs = ListDigests, nil
	for _, v := range values {
		p.Digests = append(p.Digests, CertDigest{Type: "1.2.156.10197.1.401", Value: v})
	}
	return p
}

func TestDigestListsRoundTrip(t *testing.T) {
	i := sampleInfo()
	i.Property = digests(bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32))
	der, err := i.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseSealInfo(der)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Property, i.Property) {
		t.Errorf("got %+v\nwant %+v", got.Property, i.Property)
	}
}

func TestAssembleRefusesASignatureThatIsNotCanonical(t *testing.T) {
	info, err := sampleInfo().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AssembleSeal(info, []byte("maker"), make([]byte, 64)); !errors.Is(err, ErrBuild) {
		t.Errorf("raw r||s: %v", err)
	}
	if _, err := AssembleSeal(append(info, 0), []byte("maker"), nil); err == nil {
		t.Error("trailing byte accepted")
	}
}

func TestExtDatasIsReadPlainAndTagged(t *testing.T) {
	i := sampleInfo()
	i.Extensions = []Extension{{ID: asn1.ObjectIdentifier{1, 2, 3}, Critical: true, Value: []byte("v")}}
	plain, err := i.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	in := cryptobyte.String(plain)
	var seq cryptobyte.String
	if !in.ReadASN1(&seq, casn1.SEQUENCE) {
		t.Fatal("no SEQUENCE")
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		for n := count(seq, 9); n > 0; n-- {
			var el cryptobyte.String
			var tag casn1.Tag
			seq.ReadAnyASN1Element(&el, &tag)
			if n > 1 {
				b.AddBytes(el)
			} else {
				b.AddASN1(tag0, func(b *cryptobyte.Builder) { b.AddBytes(el) })
			}
		}
	})
	for name, der := range map[string][]byte{"plain": plain, "tagged": b.BytesOrPanic()} {
		got, err := ParseSealInfo(der)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !reflect.DeepEqual(got.Extensions, i.Extensions) || len(got.Notes) != 1 || got.Notes[0].Code != NoteSealCritical {
			t.Errorf("%s: %+v %v", name, got.Extensions, got.Notes)
		}
	}
}
