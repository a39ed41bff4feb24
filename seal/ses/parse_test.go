package ses

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

func TestParserRefusesTrailingTruncatedAndChangedBytes(t *testing.T) {
	der := sampleSignature(t, sampleInfo(), nil)
	for name, bad := range map[string][]byte{
		"empty":          nil,
		"trailing byte":  append(bytes.Clone(der), 0),
		"cut":            der[:len(der)-1],
		"longer length":  append([]byte{0x30, 0x83, 0}, der[2:]...),
		"indefinite":     append(append([]byte{0x30, 0x80}, der[4:]...), 0, 0),
		"a seal instead": sealOf(t, der),
		"not a sequence": append([]byte{0x31}, der[1:]...),
		"two integers":   {0x30, 6, 2, 1, 1, 2, 1, 1},
		"too long":       make([]byte, MaxSize+1),
	} {
		_, err := ParseSignature(bad)
		var se *StructError
		if !errors.As(err, &se) || se.Code() != "E_SES_STRUCT" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func sealOf(t testing.TB, der []byte) []byte {
	t.Helper()
	s, err := ParseSignature(der)
	if err != nil {
		t.Fatal(err)
	}
	return s.TBS.Seal.Raw
}

func TestParsedStructureDoesNotFollowChangesOfTheInput(t *testing.T) {
	der := sampleSignature(t, sampleInfo(), nil)
	s, err := ParseSignature(der)
	if err != nil {
		t.Fatal(err)
	}
	before := bytes.Clone(s.SignerMessage())
	clear(der)
	if !bytes.Equal(before, s.SignerMessage()) {
		t.Error("the caller's bytes are still in use")
	}
}

func TestListEntryOfAnUnknownTypeNamesNobody(t *testing.T) {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addText(b, casn1.IA5String, "1")
		b.AddASN1OctetString([]byte("cert"))
	})
	in := cryptobyte.String(b.BytesOrPanic())
	var r reader
	p := Property{ListType: ListCertificates}
	r.certList(&p, r.body(&in, casn1.SEQUENCE, "certList"), "certList")
	if r.err != nil || p.Unreadable != 1 || len(p.Certs) != 1 || len(r.notes) != 1 || r.notes[0].Code != NoteList {
		t.Errorf("%+v %v %v", p, r.notes, r.err)
	}
}

func TestTimesAreReadInTheFormsInUseAndNoOther(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 59, 33, 0, time.UTC)
	half := at.Add(500 * time.Millisecond)
	for _, c := range []struct {
		text      string
		want      time.Time
		canonical bool
	}{
		{"20261123015933Z", at, true}, {"20261123015933.5Z", half, true}, {"20261123015933.50Z", half, false},
		{"20261123095933+0800", at, false}, {"20261122205933-0500", at, false},
	} {
		got, canonical, ok := generalized(c.text)
		if !ok || !got.Equal(c.want) || canonical != c.canonical {
			t.Errorf("%s: %v %v %v", c.text, got, canonical, ok)
		}
	}
	for _, bad := range []string{"", "Z", "20261123015933", "2026112301593Z", "20261323015933Z", "20260230015933Z", "20261123015933.Z", "20261123015933,5Z",
		"20261123015933+08", "20261123015933+9900", "20261123015933ZZ", "2026112301593 Z", "20261123015933.1234567890Z"} {
		if got, _, ok := generalized(bad); ok {
			t.Errorf("%q was read as %v", bad, got)
		}
	}
	for text, year := range map[string]int{"491231235959Z": 2049, "500101000000Z": 1950, "991231235959Z": 1999, "000101000000Z": 2000} {
		if got, _, ok := utcTime(text); !ok || got.Year() != year {
			t.Errorf("%s: %v %v", text, got, ok)
		}
	}
}

func TestV1TimeInfoIsReadInEveryKnownForm(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 59, 33, 0, time.UTC)
	for name, c := range map[string]struct {
		content string
		notes   int
	}{
		"DER UTCTime":         {"\x17\x0d261123015933Z", 0},
		"DER GeneralizedTime": {"\x18\x0f20261123015933Z", 0},
		"text UTCTime":        {"261123015933Z", 0},
		"text Generalized":    {"20261123015933Z", 0},
		"local text":          {"2026-11-23 09:59:33", 0},
		"RFC 3339":            {"2026-11-23T01:59:33Z", 1},
	} {
		var r reader
		got, token := r.timeInfoV1([]byte(c.content), "timeInfo")
		if r.err != nil || token != nil || !got.Equal(at) || len(r.notes) != c.notes {
			t.Errorf("%s: %v %v %v", name, got, r.notes, r.err)
		}
	}
	var r reader
	if got, token := r.timeInfoV1([]byte("\x30\x03\x02\x01\x00"), "timeInfo"); !got.IsZero() || len(token) != 5 {
		t.Errorf("token: %v %x", got, token)
	}
	if got, token := r.timeInfoV1([]byte("yesterday"), "timeInfo"); !got.IsZero() || token != nil || len(r.notes) != 1 {
		t.Errorf("rubbish: %v %x %v", got, token, r.notes)
	}
}

// FuzzParseSignature asserts, for every input that parses: the raw bytes are
// the input; what the builders can express is written back byte for byte; and
// what they cannot is refused, never changed.
func FuzzParseSignature(f *testing.F) {
	f.Add(sampleSignature(f, sampleInfo(), nil))
	f.Add(sampleSignature(f, sampleInfo(), []byte("token")))
	i := sampleInfo()
	i.Property = digests(make([]byte, 32))
	f.Add(sampleSignature(f, i, nil))
	f.Fuzz(func(t *testing.T, der []byte) {
		s, err := ParseSignature(der)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Raw, der) || !bytes.Contains(der, s.SignerMessage()) {
			t.Fatal("raw bytes are not the input")
		}
		if s.Version == V1 || s.Version == V5 || len(s.Notes) > 0 {
			return
		}
		seal := s.TBS.Seal
		checkInfo(t, seal.Info)
		if out, err := AssembleSeal(seal.Info.Raw, seal.Cert, seal.Signature); err == nil && seal.Algorithm.Equal(oidOf(out, t)) && !bytes.Equal(out, seal.Raw) {
			t.Fatalf("seal written differently:\n%x\n%x", seal.Raw, out)
		}
		loose := s.TBS.Time.Nanosecond() != 0 || bytes.HasSuffix(s.TBS.Raw, []byte{0xa0, 2, 0x30, 0}) // an empty extDatas is not written
		if out, err := s.TBS.Marshal(); err == nil && !loose && !bytes.Equal(out, s.TBS.Raw) {
			t.Fatalf("TBS written differently:\n%x\n%x", s.TBS.Raw, out)
		}
	})
}

func oidOf(seal []byte, t *testing.T) []int {
	s, err := ParseSeal(seal)
	if err != nil {
		t.Fatalf("our own seal does not parse: %v", err)
	}
	return s.Algorithm
}

// checkInfo writes i again. A value with fractions of a second, or with an
// extDatas (which may be tagged or empty), only has to keep its meaning.
func checkInfo(t *testing.T, i *SealInfo) {
	t.Helper()
	out, err := i.Marshal()
	if err != nil {
		return // the builder is stricter
	}
	p := i.Property
	body := cryptobyte.String(i.Raw)
	body.ReadASN1(&body, casn1.SEQUENCE)
	loose := p.Created.Nanosecond()|p.NotBefore.Nanosecond()|p.NotAfter.Nanosecond() != 0 || count(body, 5) == 5
	if !loose && !bytes.Equal(out, i.Raw) {
		t.Fatalf("eSealInfo written differently:\n%x\n%x", i.Raw, out)
	}
	again, err := ParseSealInfo(out)
	if err != nil {
		t.Fatalf("our own eSealInfo does not parse: %v", err)
	}
	if again.ID != i.ID || again.VendorID != i.VendorID || again.Property.Name != p.Name || !reflect.DeepEqual(again.Picture, i.Picture) ||
		!reflect.DeepEqual(again.Property.Certs, p.Certs) || len(again.Extensions) != len(i.Extensions) {
		t.Fatalf("meaning changed: %+v\n%+v", i, again)
	}
}

// FuzzParseSealInfo lets the fuzzer reach the inner structure directly.
func FuzzParseSealInfo(f *testing.F) {
	der, err := sampleInfo().Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(der)
	f.Fuzz(func(t *testing.T, der []byte) {
		i, err := ParseSealInfo(der)
		if err != nil {
			return
		}
		if !bytes.Equal(i.Raw, der) {
			t.Fatal("raw bytes are not the input")
		}
		if i.Version == V4 && len(i.Notes) == 0 {
			checkInfo(t, i)
		}
	})
}
