package httpserve

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// listener admits connections within the limits, finishes TLS handshakes aside
// so that a slow client does not hold up others, and wraps what will speak
// HTTP/1.1.
type listener struct {
	inner net.Listener
	cfg   Config
	out   chan net.Conn
	done  chan struct{}
	ctx   context.Context // ends handshakes when the listener closes
	stop  context.CancelFunc
	once  sync.Once

	mu    sync.Mutex
	total int
	per   map[netip.Addr]int
}

func newListener(inner net.Listener, cfg Config) *listener {
	ctx, stop := context.WithCancel(context.Background())
	l := &listener{inner: inner, cfg: cfg, out: make(chan net.Conn), done: make(chan struct{}), ctx: ctx, stop: stop, per: map[netip.Addr]int{}}
	go l.accept()
	return l
}

// Accept returns the next connection that is ready for HTTP.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.out:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close stops accepting and ends handshakes in progress.
func (l *listener) Close() error {
	var err error
	l.once.Do(func() {
		close(l.done)
		l.stop()
		err = l.inner.Close()
	})
	return err
}

func (l *listener) Addr() net.Addr { return l.inner.Addr() }

func (l *listener) accept() {
	wait := 5 * time.Millisecond
	for {
		c, err := l.inner.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				_ = l.Close()
				return
			}
			// Out of descriptors or a connection that was gone at once: go on, slower.
			l.cfg.Log.Warn("accept", "error", err)
			select {
			case <-time.After(wait):
			case <-l.done:
				return
			}
			wait = min(2*wait, time.Second)
			continue
		}
		wait = 5 * time.Millisecond
		counted, ok := l.admit(c)
		if !ok {
			l.cfg.OnRefuse("SG-STOP-OVERLOAD")
			_ = c.Close()
			continue
		}
		if l.cfg.TLS == nil {
			l.hand(newConn(counted, l.cfg.HeaderBytes, l.cfg.HeaderTimeout, l.cfg.Base64Under))
		} else {
			go l.handshake(counted)
		}
	}
}

func (l *listener) hand(c net.Conn) {
	select {
	case l.out <- c:
	case <-l.done:
		_ = c.Close()
	}
}

func (l *listener) handshake(c net.Conn) {
	ctx, cancel := context.WithTimeout(l.ctx, l.cfg.HeaderTimeout)
	defer cancel()
	tc := tls.Server(c, l.cfg.TLS)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return
	}
	if tc.ConnectionState().NegotiatedProtocol == "h2" {
		l.hand(tc)
		return
	}
	l.hand(tlsConn{newConn(tc, l.cfg.HeaderBytes, l.cfg.HeaderTimeout, l.cfg.Base64Under), tc})
}

// admit counts the connection, or says that a limit is reached.
func (l *listener) admit(c net.Conn) (net.Conn, bool) {
	addr := client(c.RemoteAddr().String())
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.total >= l.cfg.Connections || l.per[addr] >= l.cfg.ConnectionsPer {
		return nil, false
	}
	l.total++
	l.per[addr]++
	return &countedConn{Conn: c, release: sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.total--
		if l.per[addr]--; l.per[addr] <= 0 {
			delete(l.per, addr)
		}
	})}, true
}

// client is whom the limits for one address count: an IPv4 address, or the /64
// that one IPv6 host has whole.
func client(remote string) netip.Addr {
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Addr{}
	}
	addr := ap.Addr().Unmap().WithZone("")
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}

type countedConn struct {
	net.Conn
	release func()
}

func (c *countedConn) Close() error {
	c.release()
	return c.Conn.Close()
}

func (c *countedConn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return errors.ErrUnsupported
}
