package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// explained adds to a failure of TLS what an operator can do about it; other
// errors stay as they are. Nothing was sent in any of them, the token neither.
func explained(err error) error {
	if err == nil {
		return nil
	}
	out := func(way string) error { return fmt.Errorf("%w (%s)", err, way) }
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return out("the certificate is not of a CA we were given: put the PEM certificate of Vault's CA into the file that keys.vault.ca names")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return out("write an address that the certificate names into keys.vault.addresses, or have a certificate issued for this one")
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return out("renew the certificate of Vault's listener, or set this host's clock")
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || strings.Contains(err.Error(), "server gave HTTP response to HTTPS client") {
		return out("this is no TLS listener: set tls_cert_file and tls_key_file in Vault's configuration, or correct the address")
	}
	return err
}

// plainToTLS is what a TLS listener answers to a request in plain HTTP.
func (r reply) plainToTLS() bool {
	return r.status == http.StatusBadRequest && strings.Contains(string(r.body[:min(len(r.body), 200)]), "HTTP request to an HTTPS server")
}

// errPlain says what to do then.
var errPlain = errors.New("the listener speaks TLS: write https:// into keys.vault.addresses")
