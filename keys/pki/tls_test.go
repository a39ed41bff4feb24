package pki_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/sealgate/sealgate/keys/pki"
)

func TestTLSWithOurCertificatesNeedsBothSides(t *testing.T) {
	from, until := time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	made, err := pki.NewTLSAuthority("Test TLS CA", from, until)
	if err != nil {
		t.Fatal(err)
	}
	key, err := made.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	ca, err := pki.LoadTLSAuthority(made.CertificatePEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	pair := func(cert, key []byte, err error) tls.Certificate {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		c, err := tls.X509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	server := pair(ca.Server([]string{"gateway.test", "127.0.0.1"}, from, until))
	client := pair(ca.Client("rs-benefit", from, until))
	shake := func(name string, certs ...tls.Certificate) (serverErr, clientErr error) {
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		done := make(chan error, 1)
		go func() {
			done <- tls.Server(a, &tls.Config{Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert,
				ClientCAs: ca.Pool(), MinVersion: tls.VersionTLS13}).Handshake()
			a.Close()
		}()
		c := tls.Client(b, &tls.Config{RootCAs: ca.Pool(), ServerName: name, Certificates: certs})
		clientErr = c.Handshake()
		b.Close()
		return <-done, clientErr
	}
	for _, name := range []string{"gateway.test", "127.0.0.1"} {
		if s, c := shake(name, client); s != nil || c != nil {
			t.Errorf("%s: %v %v", name, s, c)
		}
	}
	if _, c := shake("other.test", client); c == nil {
		t.Error("another name was accepted")
	}
	if s, _ := shake("gateway.test"); s == nil {
		t.Error("a client without certificate was accepted")
	}
	if s, _ := shake("gateway.test", server); s == nil {
		t.Error("a server's certificate was accepted from a client")
	}
}

func TestLoadTLSAuthorityRefusesWhatDoesNotBelongTogether(t *testing.T) {
	from, until := time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	one, err1 := pki.NewTLSAuthority("one", from, until)
	two, err2 := pki.NewTLSAuthority("two", from, until)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	key, _ := two.KeyPEM()
	leaf, leafKey, err := one.Client("x", from, until)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2][]byte{
		"another key": {one.CertificatePEM(), key},
		"a leaf":      {leaf, leafKey},
		"rubbish":     {[]byte("x"), key},
		"swapped":     {key, one.CertificatePEM()},
	} {
		if a, err := pki.LoadTLSAuthority(c[0], c[1]); a != nil || !errors.Is(err, pki.ErrTLSAuthority) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, _, err := one.Server(nil, from, until); err == nil {
		t.Error("a server without a name")
	}
}
