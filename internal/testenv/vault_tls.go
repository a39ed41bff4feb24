package testenv

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// VaultTLS is what a server's listener presents, all PEM: its certificate, the
// key of that, and the CA that vouches for it.
type VaultTLS struct{ Cert, Key, CA []byte }

// StartVaultTLS is StartVault with a listener that speaks TLS, as in
// production. The certificate must hold for 127.0.0.1.
func StartVaultTLS(t testing.TB, c VaultTLS) *Vault {
	t.Helper()
	return startVault(t, &c)
}

// install writes the files of v's listener, and returns its scheme and its
// settings.
func (c *VaultTLS) install(t testing.TB, v *Vault) (scheme, settings string) {
	t.Helper()
	if c == nil {
		return "http", "tls_disable = true"
	}
	file := func(name string, data []byte) string {
		path := filepath.Join(v.dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert, key := file("cert.pem", c.Cert), file("key.pem", c.Key)
	v.CAFile = file("ca.pem", c.CA)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(c.CA) {
		t.Fatal("the CA is no PEM certificate")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	v.client = &http.Client{Transport: transport}
	return "https", fmt.Sprintf("tls_cert_file = %q  tls_key_file = %q  tls_min_version = \"tls12\"", cert, key)
}
