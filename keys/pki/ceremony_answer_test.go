package pki_test

import (
	"errors"
	"testing"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/pki"
)

// A licensed CA answers a request with two certificates: one for our key, and
// one for an encryption key of its own making, which it sends along (GM/T 0092).
// The library plays the CA.
func TestOfADoubleCertificateAnswerOnlyTheSigningCertificateIsInstalled(t *testing.T) {
	clock := keytest.NewClock()
	outside := build(t)
	ks := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now})
	if _, err := ks.Create(t.Context(), "seal-x", keys.Seal); err != nil {
		t.Fatal(err)
	}
	request, err := ks.CSR(t.Context(), "seal-x", 1, subject("委托外部 CA"))
	if err != nil {
		t.Fatal(err)
	}
	// The CA's side reads the request with the library alone.
	theirs, err := smx509.ParseCertificateRequest(request.Raw)
	if err != nil || theirs.CheckSignature() != nil {
		t.Fatalf("our request: %v", err)
	}
	issue := func(r *gm.Request) *gm.Certificate {
		t.Helper()
		c, err := outside.makerCA.Issue(t.Context(), pki.Signer, r, clock.Now(), clock.Now().AddDate(2, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	signing := issue(request)
	encryptionKey, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	own, err := gm.CreateRequest(subject("委托外部 CA 加密"), encryptionKey.Public(), encryptionKey.Sign)
	if err != nil {
		t.Fatal(err)
	}
	encryption := issue(own)
	read := func(all ...*gm.Certificate) (out []*smx509.Certificate) {
		t.Helper()
		for _, c := range all {
			x, err := smx509.ParseCertificate(c.Raw)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, x)
		}
		return out
	}
	secret, err := sm2.NewPrivateKey(encryptionKey.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	answer := func(signing *gm.Certificate) []byte {
		t.Helper()
		der, err := smx509.MarshalCSRResponse(read(signing, outside.makerCA.Certificate(), outside.root.Certificate()), secret, read(encryption))
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	if _, err := pki.InstallAnswer(t.Context(), ks.Key("seal-x"), ks, 1, answer(outside.signer)); !errors.Is(err, keys.ErrCertificate) {
		t.Errorf("an answer to somebody else's request: %v", err)
	}
	info, err := pki.InstallAnswer(t.Context(), ks.Key("seal-x"), ks, 1, answer(signing))
	if err != nil {
		t.Fatal(err)
	}
	v := info.Versions[0]
	if info.Live != 1 || !v.Certificate.Equal(signing) || len(v.Chain) != 2 || !v.Chain[0].Equal(outside.makerCA.Certificate()) || !v.Chain[1].Equal(outside.root.Certificate()) {
		t.Errorf("%+v", info)
	}
	if v.Public.Equal(encryptionKey.Public()) || len(info.Versions) != 1 {
		t.Error("the encryption key was taken in")
	}
}
