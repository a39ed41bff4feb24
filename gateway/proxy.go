package gateway

import (
	"encoding/hex"
	"net/netip"

	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/internal/problem"
)

// Headers by which a trusted terminator (of TLCP, or a load balancer) says for
// whom it speaks: the client's address, and the SHA-256 over the DER of the
// client certificate that it has verified, in hex. From any other address they
// are refused, not ignored: whoever sends them wants to be somebody else.
const (
	headerClientAddr = "X-Sg-Client-Addr"
	headerClientCert = "X-Sg-Client-Cert"
)

// peer finds out where the call comes from and which client certificate was
// verified on the way.
func (c *call) peer() (*identity.Certificate, error) {
	ap, err := netip.ParseAddrPort(c.r.RemoteAddr)
	if err != nil {
		return nil, problem.Coded(problem.Internal)
	}
	c.from = ap.Addr().Unmap()
	addr, cert := c.r.Header.Get(headerClientAddr), c.r.Header.Get(headerClientCert)
	if addr != "" || cert != "" {
		return c.spokenFor(addr, cert)
	}
	if t := c.r.TLS; t != nil && len(t.VerifiedChains) > 0 {
		return identity.FromX509(t.VerifiedChains[0][0]), nil
	}
	return nil, nil
}

func (c *call) spokenFor(addr, cert string) (*identity.Certificate, error) {
	refused := problem.Coded("SG-HTTP-HEADER")
	trusted := false
	for _, p := range c.cfg.TrustedProxies {
		trusted = trusted || p.Contains(c.from)
	}
	if !trusted {
		return nil, refused
	}
	if addr != "" {
		a, err := netip.ParseAddr(addr)
		if err != nil || a.Zone() != "" {
			return nil, refused
		}
		c.from = a.Unmap()
	}
	if cert == "" {
		return nil, nil
	}
	raw, err := hex.DecodeString(cert)
	if err != nil || len(raw) != 32 {
		return nil, refused
	}
	return &identity.Certificate{SHA256: [32]byte(raw)}, nil
}
