package vault

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"
)

// Defaults of Config.
const (
	DefaultMount         = "sealgate"
	DefaultSignTimeout   = 3 * time.Second
	DefaultManageTimeout = 10 * time.Second
	DefaultGatherWindow  = time.Millisecond
	DefaultGatherSize    = 128
	DefaultMaxWaiting    = 4096
)

// Config says where Vault is and how this process proves who it is. No
// environment variable is read: VAULT_SKIP_VERIFY and its like cannot weaken a
// running appliance.
type Config struct {
	// Addresses are the base URLs of the cluster's nodes, such as
	// https://vault-1.example:8200. One suffices; with several, the next one
	// is asked when one cannot be reached or is sealed. Redirects are followed
	// to these hosts only. http is allowed for loopback addresses only.
	Addresses []string
	// Mount is the path of the secrets engine; "" is DefaultMount.
	Mount string
	// Namespace is Vault Enterprise's; usually "".
	Namespace string

	// CAFile is a PEM file with the CA certificates that may vouch for Vault;
	// "" takes the system's.
	CAFile string
	// ServerName overrides the name in Vault's certificate.
	ServerName string
	// CertFile and KeyFile are a client certificate, when Vault wants one.
	CertFile, KeyFile string

	// Login proves who we are: AppRole for a service, TokenFile for a person.
	Login Login

	// SignTimeout is the hard limit of one Sign or SignBatch, retries and
	// waiting included; 0 is DefaultSignTimeout.
	SignTimeout time.Duration
	// ManageTimeout is the limit of every other operation; 0 is
	// DefaultManageTimeout.
	ManageTimeout time.Duration

	// GatherWindow is how long a signature may wait for others while requests
	// are under way; 0 is DefaultGatherWindow, negative sends every signature
	// in a request of its own.
	GatherWindow time.Duration
	// GatherSize is the largest batch that is formed of single signatures, at
	// most keys.MaxBatch; 0 is DefaultGatherSize.
	GatherSize int
	// MaxWaiting bounds the signatures that wait for one key; more are
	// refused with keys.ErrLimited. 0 is DefaultMaxWaiting.
	MaxWaiting int

	// Logger gets what an operator must know; nil is slog.Default.
	Logger *slog.Logger

	// transport and clock replace the network and the host's clocks in tests.
	transport http.RoundTripper
	clock     func() reading
}

// ErrConfig says that a Config cannot be used.
var ErrConfig = errors.New("vault configuration")

func (c Config) checked() (Config, error) {
	if len(c.Addresses) == 0 {
		return c, fmt.Errorf("%w: no address", ErrConfig)
	}
	c.Addresses = slices.Clone(c.Addresses)
	for i, a := range c.Addresses {
		u, err := url.Parse(a)
		if err != nil || u.Host == "" || u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
			return c, fmt.Errorf("%w: address %.80q: want scheme://host:port", ErrConfig, a)
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && loopback(u.Hostname())) {
			return c, fmt.Errorf("%w: address %.80q: want https, since a token passes there (http only on loopback): give Vault's listener a certificate", ErrConfig, a)
		}
		c.Addresses[i] = u.Scheme + "://" + u.Host
	}
	c.Mount = strings.Trim(or(c.Mount, DefaultMount), "/")
	for _, s := range strings.Split(c.Mount, "/") {
		if s == "" || s == "." || s == ".." || strings.ContainsAny(s, "?#%\\ ") {
			return c, fmt.Errorf("%w: mount %.80q", ErrConfig, c.Mount)
		}
	}
	if c.Login == nil {
		return c, fmt.Errorf("%w: no login", ErrConfig)
	}
	if (c.CertFile == "") != (c.KeyFile == "") {
		return c, fmt.Errorf("%w: a client certificate needs both CertFile and KeyFile", ErrConfig)
	}
	c.SignTimeout = or(c.SignTimeout, DefaultSignTimeout)
	c.ManageTimeout = or(c.ManageTimeout, DefaultManageTimeout)
	c.GatherWindow = or(c.GatherWindow, DefaultGatherWindow)
	c.GatherSize = or(c.GatherSize, DefaultGatherSize)
	c.MaxWaiting = or(c.MaxWaiting, DefaultMaxWaiting)
	if c.SignTimeout < 0 || c.ManageTimeout < 0 || c.GatherWindow > time.Second || c.GatherSize < 1 || c.GatherSize > maxBatch || c.MaxWaiting < 1 {
		return c, fmt.Errorf("%w: timeouts, gathering or waiting out of range", ErrConfig)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.clock == nil {
		c.clock = readClock()
	}
	return c, nil
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// client returns the HTTP client: no redirects, no proxy from the environment,
// TLS 1.2 or newer. HTTP/1.1, because its few requests at a time gain nothing
// from sharing a connection, and signatures were a sixth slower over HTTP/2.
func (c Config) client() (*http.Client, error) {
	follow := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if c.transport != nil {
		return &http.Client{Transport: c.transport, CheckRedirect: follow}, nil
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%w: no certificate in %s", ErrConfig, c.CAFile)
		}
	}
	if c.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return &http.Client{CheckRedirect: follow, Transport: &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     t,
		TLSHandshakeTimeout: 2 * time.Second,
		MaxIdleConnsPerHost: 128,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     32 << 10,
		ReadBufferSize:      32 << 10,
	}}, nil
}
