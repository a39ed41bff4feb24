package seal_test

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// makerKey signs what it is asked to, and counts.
type makerKey struct {
	key   *gm.PrivateKey
	calls int
}

func (m *makerKey) SignSealInfo(_ context.Context, info []byte) ([]byte, error) {
	m.calls++
	return m.key.Sign(info)
}

func makeFixture(t *testing.T) (seal.MakeSpec, *makerKey) {
	t.Helper()
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	cert := func(name string) (*gm.Certificate, *gm.PrivateKey) {
		k, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		c, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: name}, NotBefore: at.AddDate(0, 0, -1), NotAfter: at.AddDate(1, 0, 0),
			KeyUsage: gm.KeyUsageDigitalSignature}, nil, k.Public(), k.Sign)
		if err != nil {
			t.Fatal(err)
		}
		return c, k
	}
	maker, key := cert("maker")
	signer, _ := cert("signer")
	return seal.MakeSpec{ID: "22010000000001", Name: "吉林省测试专用章", Kind: seal.Organisation, Created: at, NotBefore: at, NotAfter: at.AddDate(1, 0, 0),
		Signers: []*gm.Certificate{signer}, Maker: maker, Picture: []byte("\x89PNG\r\n\x1a\n…"), Width: 42, Height: 42}, &makerKey{key: key}
}

func TestMakeMakesASealThatItsMakerSigned(t *testing.T) {
	spec, key := makeFixture(t)
	der, err := seal.Make(t.Context(), spec, key)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ses.ParseSeal(der)
	if err != nil || len(s.Notes) > 0 {
		t.Fatal(err, s.Notes)
	}
	if err := spec.Maker.PublicKey.Verify(s.MakerMessage(), s.Signature); err != nil {
		t.Error(err)
	}
	p := s.Info.Property
	if s.Version != ses.V4 || s.Info.ID != spec.ID || p.Name != spec.Name || len(p.Certs) != 1 || !p.NotAfter.Equal(spec.NotAfter) || s.Info.Picture.Width != 42 {
		t.Errorf("unexpected seal: %+v", s.Info)
	}
}

func TestMakeRefusesWhatIsNoSealBeforeTheKeyIsAsked(t *testing.T) {
	for name, change := range map[string]func(*seal.MakeSpec){
		"no number":         func(s *seal.MakeSpec) { s.ID = "" },
		"a Chinese number":  func(s *seal.MakeSpec) { s.ID = "章一" },
		"no name":           func(s *seal.MakeSpec) { s.Name = "" },
		"no maker":          func(s *seal.MakeSpec) { s.Maker = nil },
		"no signer":         func(s *seal.MakeSpec) { s.Signers = nil },
		"the maker signs":   func(s *seal.MakeSpec) { s.Signers = append(s.Signers, s.Maker) },
		"an empty term":     func(s *seal.MakeSpec) { s.NotAfter = s.NotBefore },
		"no picture":        func(s *seal.MakeSpec) { s.Picture = nil },
		"another picture":   func(s *seal.MakeSpec) { s.Picture = []byte("GIF89a") },
		"no size":           func(s *seal.MakeSpec) { s.Height = 0 },
		"an expired maker":  func(s *seal.MakeSpec) { s.Created = s.Created.AddDate(3, 0, 0) },
		"a Chinese vendor":  func(s *seal.MakeSpec) { s.Vendor = "印" },
		"a malformed maker": func(s *seal.MakeSpec) { c := *s.Maker; c.FormError = errors.New("x"); s.Maker = &c },
	} {
		spec, key := makeFixture(t)
		change(&spec)
		der, err := seal.Make(t.Context(), spec, key)
		var refusal *seal.Error
		if der != nil || !errors.As(err, &refusal) || refusal.Code() != "SG-SEAL-REQUEST" || key.calls != 0 {
			t.Errorf("%s: %v, the key was asked %d times", name, err, key.calls)
		}
	}
}

func TestMakeRefusesASignatureOfAnotherKey(t *testing.T) {
	spec, key := makeFixture(t)
	other, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	key.key = other
	if der, err := seal.Make(t.Context(), spec, key); der != nil || !errors.Is(err, gm.ErrSignature) {
		t.Errorf("got %v", err)
	}
}
