package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// TLSAuthority issues ECDSA P-256 certificates for TLS and mTLS, which Go's
// crypto/tls and every browser speak; crypto/tls knows no SM2. It has nothing
// to do with the certificates that seals are judged by.
type TLSAuthority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

// ErrTLSAuthority says that PEM blocks are not a TLS authority.
var ErrTLSAuthority = errors.New("not a TLS certification authority")

// NewTLSAuthority makes a CA with a new key.
func NewTLSAuthority(name string, from, until time.Time) (*TLSAuthority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate TLS key: %w", err)
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign}
	a := &TLSAuthority{key: key}
	if a.cert, err = a.sign(t, key, from, until); err != nil {
		return nil, err
	}
	return a, nil
}

// LoadTLSAuthority reads what CertificatePEM and KeyPEM wrote.
func LoadTLSAuthority(certPEM, keyPEM []byte) (*TLSAuthority, error) {
	c, k := block(certPEM, "CERTIFICATE"), block(keyPEM, "PRIVATE KEY")
	if c == nil || k == nil {
		return nil, fmt.Errorf("%w: want PEM blocks CERTIFICATE and PRIVATE KEY", ErrTLSAuthority)
	}
	cert, err := x509.ParseCertificate(c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrTLSAuthority, err)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(k)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || !cert.IsCA || !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("%w: the key is not the certificate's", ErrTLSAuthority)
	}
	return &TLSAuthority{key: key, cert: cert}, nil
}

func block(data []byte, want string) []byte {
	if b, _ := pem.Decode(data); b != nil && b.Type == want {
		return b.Bytes
	}
	return nil
}

// Pool returns a pool that holds this CA alone.
func (a *TLSAuthority) Pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

// CertificatePEM returns the CA's certificate.
func (a *TLSAuthority) CertificatePEM() []byte { return certPEM(a.cert.Raw) }

// KeyPEM returns the CA's private key, unencrypted PKCS #8. Keep it private.
func (a *TLSAuthority) KeyPEM() ([]byte, error) { return keyPEM(a.key) }

// Server issues a server certificate with a new key. hosts are DNS names or IP
// addresses.
func (a *TLSAuthority) Server(hosts []string, from, until time.Time) (cert, key []byte, err error) {
	if len(hosts) == 0 {
		return nil, nil, errors.New("a TLS server certificate needs a name or an address")
	}
	t := &x509.Certificate{Subject: pkix.Name{CommonName: hosts[0]}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return a.issue(t, from, until)
}

// Client issues a client certificate with a new key, for mTLS.
func (a *TLSAuthority) Client(name string, from, until time.Time) (cert, key []byte, err error) {
	return a.issue(&x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, from, until)
}

func (a *TLSAuthority) issue(t *x509.Certificate, from, until time.Time) (cert, key []byte, err error) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("generate TLS key: %w", err)
	}
	t.KeyUsage, t.BasicConstraintsValid = x509.KeyUsageDigitalSignature, true
	c, err := a.sign(t, k, from, until)
	if err != nil {
		return nil, nil, err
	}
	if key, err = keyPEM(k); err != nil {
		return nil, nil, err
	}
	return certPEM(c.Raw), key, nil
}

// sign completes t and signs it; a CA without a certificate signs itself.
func (a *TLSAuthority) sign(t *x509.Certificate, subject *ecdsa.PrivateKey, from, until time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	t.SerialNumber, t.NotBefore, t.NotAfter = serial.Add(serial, big.NewInt(1)), from, until
	parent := a.cert
	if parent == nil {
		parent = t
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &subject.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("create TLS certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func certPEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(k *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return nil, fmt.Errorf("marshal TLS key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
