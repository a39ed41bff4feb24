package gm

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"math/big"
	"testing"
	"time"
)

var stampTime = time.Date(2026, 11, 24, 8, 0, 0, 120_000_000, time.UTC)

// authority is a timestamp certificate with its key, the same in every run
// apart from the signature.
func authority(t testing.TB) (*PrivateKey, *Certificate) {
	t.Helper()
	d := SM3([]byte("timestamp authority"))
	key, err := NewPrivateKey(d[:])
	if err != nil {
		t.Fatal(err)
	}
	c, err := CreateCertificate(Template{Serial: big.NewInt(77), Subject: pkix.Name{CommonName: "TSA"}, NotBefore: stampTime.AddDate(-1, 0, 0), NotAfter: stampTime.AddDate(1, 0, 0),
		KeyUsage: KeyUsageDigitalSignature, TimeStamping: true}, nil, key.Public(), key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return key, c
}

func stampInfo() *TSTInfo {
	imprint := SM3([]byte("value"))
	return &TSTInfo{Policy: asn1.ObjectIdentifier{1, 2, 3, 4, 5}, HashOID: OIDSM3, Imprint: imprint[:], Serial: big.NewInt(1234567890123),
		Time: stampTime, Accuracy: 2*time.Second + 3*time.Millisecond + 4*time.Microsecond, Ordering: true, Nonce: big.NewInt(-5)}
}

func token(t testing.TB, embed bool, change func(*TSTInfo)) []byte {
	t.Helper()
	key, cert := authority(t)
	i := stampInfo()
	if change != nil {
		change(i)
	}
	der, err := CreateTimestampToken(i, []*Certificate{cert}, embed, func(_, attrs []byte) ([]byte, error) { return key.Sign(attrs) })
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func TestTSTInfoSurvivesItsEncoding(t *testing.T) {
	_, cert := authority(t)
	ext := unhex(t, "300d300b06022a0304053003020100")
	for _, change := range []func(*TSTInfo){
		func(*TSTInfo) {},
		func(i *TSTInfo) { i.Accuracy, i.Ordering, i.Nonce = 0, false, nil },
		func(i *TSTInfo) { i.TSA, i.Extensions = DirectoryName(cert.RawSubject), ext },
		func(i *TSTInfo) { i.Time = i.Time.Truncate(time.Second) },
		func(i *TSTInfo) { i.Accuracy = 5 * time.Microsecond },
	} {
		want := stampInfo()
		change(want)
		der, err := want.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParseTSTInfo(der)
		if err != nil {
			t.Fatalf("%x: %v", der, err)
		}
		if again, err := got.Marshal(); err != nil || !bytes.Equal(again, der) {
			t.Errorf("%x became %x, %v", der, again, err)
		}
		if !got.Time.Equal(want.Time) || got.Accuracy != want.Accuracy || got.Serial.Cmp(want.Serial) != 0 || !bytes.Equal(got.TSA, want.TSA) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

func TestTSTInfoWithACriticalExtensionOrAnOddTimeIsRefused(t *testing.T) {
	good, err := stampInfo().Marshal()
	if err != nil {
		t.Fatal(err)
	}
	stamp := []byte("20261124080000.12Z")
	i := bytes.Index(good, stamp)
	if i < 0 {
		t.Fatal("no genTime")
	}
	for _, odd := range []string{"20261124080000.10Z", "20261124080000+08Z", "20261324080000.12Z", "20261124080060.12Z"} {
		bad := bytes.Clone(good)
		copy(bad[i:], odd)
		if _, err := ParseTSTInfo(bad); !errors.Is(err, ErrTimestamp) {
			t.Errorf("%s: %v", odd, err)
		}
	}
	x := stampInfo()
	x.Extensions = unhex(t, "3010300e06022a030101ff04053003020100")
	der, err := x.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ParseTSTInfo(der); !errors.Is(err, ErrTimestamp) {
		t.Errorf("critical extension: %v", err)
	}
	for n := range good {
		if _, err := ParseTSTInfo(good[:n]); err == nil {
			t.Fatalf("%d bytes of %d are a TSTInfo", n, len(good))
		}
	}
}

func TestATokenVerifiesUnderItsAuthorityAlone(t *testing.T) {
	key, cert := authority(t)
	twin, err := CreateCertificate(Template{Serial: cert.Serial, Subject: cert.Subject, NotBefore: cert.NotBefore, NotAfter: cert.NotAfter.Add(time.Hour),
		KeyUsage: KeyUsageDigitalSignature, TimeStamping: true}, nil, key.Public(), key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	for _, embed := range []bool{true, false} {
		der := token(t, embed, func(i *TSTInfo) { i.TSA = DirectoryName(cert.RawSubject) })
		tok, err := ParseTimestampToken(der)
		if err != nil {
			t.Fatal(err)
		}
		// The key in the token need not be the same certificate each run: use the one inside.
		if embed != (len(tok.Signed.Certificates) == 1) {
			t.Errorf("embed %v: %d certificates", embed, len(tok.Signed.Certificates))
		}
		if !tok.Info.Time.Equal(stampTime) || !tok.Names(cert) {
			t.Errorf("%+v", tok.Info)
		}
		if err := tok.Verify(twin); !errors.Is(err, ErrSignature) {
			t.Errorf("another certificate of the same name, number and key: %v", err)
		}
		if embed {
			if err := tok.Verify(tok.Signed.Certificates[0]); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestEveryChangedByteOfATokenIsNoticed(t *testing.T) {
	der := token(t, true, nil)
	tok, err := ParseTimestampToken(der)
	if err != nil {
		t.Fatal(err)
	}
	cert := tok.Signed.Certificates[0]
	skipFrom := bytes.Index(der, cert.Raw)
	inner := func(i int) bool { return i >= skipFrom && i < skipFrom+len(cert.Raw) } // verified through the caller's copy
	for i := range der {
		bad := bytes.Clone(der)
		bad[i] ^= 1
		tok, err := ParseTimestampToken(bad)
		if err != nil || inner(i) {
			continue
		}
		if err := tok.Verify(cert); err == nil && !harmless(tok, der, bad) {
			t.Errorf("byte %d: %02x became %02x unnoticed", i, der[i], bad[i])
		}
	}
}

// harmless allows what no signature of CMS covers: the two version numbers, the
// list of digest algorithms, the identifier families.
func harmless(tok *TimestampToken, der, bad []byte) bool {
	same, err := ParseTimestampToken(der)
	return err == nil && bytes.Equal(tok.Signed.Content, same.Signed.Content) &&
		bytes.Equal(tok.Signed.Signature, same.Signed.Signature) && len(bad) == len(der)
}

func TestTimestampResponsesGrantExactlyWithAToken(t *testing.T) {
	der := token(t, true, nil)
	granted, err := (&TimestampResponse{Failure: TimestampNoFailure, Token: der}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := ParseTimestampToken(granted)
	if err != nil || !bytes.Equal(tok.Signed.Raw, der) {
		t.Errorf("a whole response: %v", err)
	}
	refused, err := (&TimestampResponse{Status: TimestampRejection, Text: "没有时间", Failure: TimestampTimeNotAvailable}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseTimestampResponse(refused)
	if err != nil || r.Failure != TimestampTimeNotAvailable || r.Text != "没有时间" || r.Token != nil {
		t.Errorf("%+v %v", r, err)
	}
	if _, err := ParseTimestampToken(refused); !errors.Is(err, ErrTimestamp) {
		t.Errorf("a refusal as a token: %v", err)
	}
	for _, odd := range []*TimestampResponse{{Status: TimestampRejection, Token: der, Failure: -1}, {Failure: -1}} {
		b, err := odd.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseTimestampResponse(b); !errors.Is(err, ErrTimestamp) {
			t.Errorf("%+v: %v", odd, err)
		}
	}
}

// The bits of failInfo are those of RFC 3161: systemFailure is bit 25.
func TestFailInfoIsANamedBitList(t *testing.T) {
	for n, want := range map[int]string{0: "0780", 2: "0520", 5: "0204", 14: "010002", 25: "0600000040"} {
		if got := hex.EncodeToString(namedBit(n)); got != want {
			t.Errorf("bit %d: %s, want %s", n, got, want)
		}
	}
}

func FuzzTimestamp(f *testing.F) {
	d := SM3([]byte("fuzz"))
	info, _ := stampInfo().Marshal()
	req, _ := (&TimestampRequest{HashOID: OIDSM3, Imprint: d[:], Policy: asn1.ObjectIdentifier{1, 2, 3}, Nonce: big.NewInt(9), CertReq: true}).Marshal()
	no, _ := (&TimestampResponse{Status: 2, Text: "no", Failure: 25}).Marshal()
	for _, seed := range [][]byte{info, req, no, token(f, true, nil), token(f, false, nil)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		stable := func(name string, der []byte, again func([]byte) ([]byte, error)) {
			once, err := again(der)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			twice, err := again(once)
			if err != nil || !bytes.Equal(once, twice) {
				t.Errorf("%s: %x, then %x, %v", name, once, twice, err)
			}
		}
		if _, err := ParseTSTInfo(der); err == nil {
			stable("TSTInfo", der, func(b []byte) ([]byte, error) {
				i, err := ParseTSTInfo(b)
				if err != nil {
					return nil, err
				}
				return i.Marshal()
			})
		}
		if r, err := ParseTimestampRequest(der); err == nil && !r.HasExtensions {
			stable("request", der, func(b []byte) ([]byte, error) {
				r, err := ParseTimestampRequest(b)
				if err != nil {
					return nil, err
				}
				return r.Marshal()
			})
		}
		if r, err := ParseTimestampResponse(der); err == nil && (r.Token != nil) != (r.Status <= 1) {
			t.Error("a response that grants without a token")
		}
		if tok, err := ParseTimestampToken(der); err == nil && (tok.Info == nil || tok.Signed.SignedAttrs == nil) {
			t.Error("a token without information or signed attributes")
		}
	})
}
