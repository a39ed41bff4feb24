package main

import (
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

// Officers whose certificates a configured source reports, or is silent about,
// are not believed: what decides every call does not go into force by them.
func TestAnOfficerIsBelievedOnlyWhileTheSourcesSayThatHeIsNotRevoked(t *testing.T) {
	dir := t.TempDir()
	key := func() *gm.PrivateKey {
		k, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := time.Now().Truncate(time.Second)
	caKey, officerKey := key(), key()
	ca, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: "策略 CA"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		IsCA: true, KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign}, nil, caKey.Public(), caKey.Sign)
	if err != nil {
		t.Fatal(err)
	}
	officer, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: "安全管理员甲"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(1, 0, 0),
		KeyUsage: gm.KeyUsageDigitalSignature, CRLURLs: []string{"http://127.0.0.1:1/never-gone-to.crl"}}, ca, officerKey.Public(), caKey.Sign)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, ca.PEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	var served []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if served == nil {
			http.NotFound(w, r)
			return
		}
		w.Write(served)
	}))
	defer server.Close()
	c := &config.File{Gateway: &config.Gateway{Policy: config.Policy{Officers: []string{file}}},
		RevocationSources: &config.RevocationSources{Lists: []config.RevocationSource{{URL: server.URL, Issuer: file}}}}
	judged := func() trust.Verdict {
		t.Helper()
		fetched, err := fetchOnce(t.Context(), c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		anchors, err := officers(c, fetched)
		if err != nil {
			t.Fatal(err)
		}
		return anchors.Check(officer, nil, trust.Officer, now)
	}
	list := func(revoked ...gm.RevokedEntry) []byte {
		l, err := gm.CreateRevocationList(big.NewInt(1), now.Add(-time.Minute), now.Add(time.Hour), revoked, ca, caKey.Sign)
		if err != nil {
			t.Fatal(err)
		}
		return l.Raw
	}
	if v := judged(); v.Revocation.State != trust.CannotAnswer {
		t.Errorf("a silent source: %+v", v.Revocation)
	}
	served = list()
	if v := judged(); v.Revocation.State != trust.NotRevoked || v.Outcome != trust.Trusted {
		t.Errorf("not on the list: %+v %v", v.Revocation, v.Problems)
	}
	served = list(gm.RevokedEntry{Serial: officer.Serial, At: now.Add(-2 * time.Minute), Reason: 1})
	if v := judged(); v.Revocation.State != trust.IsRevoked || v.Outcome != trust.Refused {
		t.Errorf("on the list: %+v", v.Revocation)
	}
}
