package vault_test

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/vault"
)

// tlsAuthority is a CA and the file with its certificate.
func tlsAuthority(t *testing.T, name string) (*pki.TLSAuthority, string) {
	t.Helper()
	a, err := pki.NewTLSAuthority(name, time.Now().Add(-time.Hour), time.Now().AddDate(0, 0, 1))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, a.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	return a, file
}

// As in production: a listener with a certificate of a CA of the operator's.
func TestARealVaultBehindTLSIsBelievedUnderItsOwnCAAndNameOnly(t *testing.T) {
	ca, caFile := tlsAuthority(t, "测试 TLS CA")
	_, otherFile := tlsAuthority(t, "another CA")
	cert, key, err := ca.Server([]string{"vault.example", "127.0.0.1"}, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	v := testenv.StartVaultTLS(t, testenv.VaultTLS{Cert: cert, Key: key, CA: ca.CertificatePEM()})
	install(t, v)
	good := open(t, v, "admin", func(c *vault.Config) { c.CAFile = caFile })
	create(t, good, "tls-1", keys.Checkpoint)
	for _, name := range []string{"", "vault.example"} {
		c := open(t, v, "admin", func(c *vault.Config) { c.CAFile, c.ServerName = caFile, name })
		if err := c.Ready(t.Context()); err != nil {
			t.Errorf("server name %q: %v", name, err)
		}
		if _, err := c.Key("tls-1").Sign(t.Context(), headRequest(t, 1, "use"+name)); err != nil {
			t.Errorf("server name %q: %v", name, err)
		}
	}

	port := func(address string) string { return address[strings.LastIndex(address, ":"):] }
	plain := serve(t, &node{}) // any listener without TLS
	for what, bad := range map[string]struct {
		address, ca, name string
		want              string // what the error says to do
	}{
		"another CA":              {v.Addr, otherFile, "", "keys.vault.ca"},
		"no CA":                   {v.Addr, "", "", "keys.vault.ca"},
		"another name":            {v.Addr, caFile, "other.example", "certificate is valid for vault.example"},
		"an address not named":    {"https://localhost" + port(v.Addr), caFile, "", "keys.vault.addresses"},
		"plain http to TLS":       {"http://127.0.0.1" + port(v.Addr), caFile, "", "write https://"},
		"TLS to plain http":       {"https://127.0.0.1" + port(plain), caFile, "", "tls_cert_file"},
		"plain http to elsewhere": {"http://192.0.2.1:8200", "", "", "give Vault's listener a certificate"},
	} {
		client, err := vault.Open(vault.Config{Addresses: []string{bad.address}, CAFile: bad.ca, ServerName: bad.name, SignTimeout: time.Second,
			Login: vault.TokenFile(testenv.SecretFile(t, v.RootToken))})
		if err == nil {
			_, signing := client.Key("tls-1").Sign(t.Context(), headRequest(t, 2, ""))
			if signing == nil || !errors.Is(signing, keys.ErrUnavailable) || !strings.Contains(signing.Error(), bad.want) {
				t.Errorf("%s, signing: %v", what, signing)
			}
			err = client.Ready(t.Context())
			client.Close()
		} else if !errors.Is(err, vault.ErrConfig) {
			t.Errorf("%s: %v", what, err)
		}
		if err == nil || !strings.Contains(err.Error(), bad.want) {
			t.Errorf("%s: %v does not say %q", what, err, bad.want)
		}
	}
}

func TestACertificateThatHasExpiredIsRefusedWithTheWayOut(t *testing.T) {
	ca, caFile := tlsAuthority(t, "test CA")
	now := time.Now()
	cert, key, err := ca.Server([]string{"127.0.0.1"}, now.Add(-2*time.Hour), now.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{health: health(200, true, false, now), other: keyNames}
	s := httptest.NewUnstartedServer(n)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	c := stubClient(t, func(c *vault.Config) { c.CAFile = caFile }, s.URL)
	if _, err := c.List(t.Context()); !errors.Is(err, keys.ErrUnavailable) || !strings.Contains(err.Error(), "renew the certificate") || n.asked.Load() != 0 {
		t.Error(err)
	}
}
