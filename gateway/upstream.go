package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// NewTransport returns the transport to upstreams: kept-alive connections, no
// proxy from the environment, no decompression behind our back, bounded heads.
// It follows no redirect, because a transport never does.
//
// BUG(net/http): when an upstream sends more than its answer in one piece,
// net/http prints those bytes through the standard logger. A program that runs
// a gateway discards that logger (log.SetOutput); Sealgate's own logs go
// through slog.
func NewTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy: nil,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &upstreamConn{Conn: c}, nil
		},
		TLSHandshakeTimeout:    5 * time.Second,
		ForceAttemptHTTP2:      true,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    64,
		IdleConnTimeout:        15 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// maxStale is how many dead kept-alive connections one call may meet.
const maxStale = 3

// roundTrip sends a request at most once. net/http would repeat a GET whose
// kept-alive connection died after it was written; the ledger has one intent,
// so the upstream sees one request. Only when not a byte of it was written to a
// connection that had been idle is another connection tried.
func roundTrip(ctx context.Context, rt http.RoundTripper, method string, u *url.URL, h http.Header, body []byte) (*http.Response, error) {
	for try := 0; ; try++ {
		var conn *upstreamConn
		var before int64
		reused := false
		trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
			if conn = innerConn(info.Conn); conn != nil {
				reused, before = info.Reused, conn.written.Load()
				conn.taken.Store(info.Reused)
			}
		}}
		req := (&http.Request{
			Method: method, URL: u, Host: u.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: h, ContentLength: int64(len(body)),
			Body: requestBody(method, body),
		}).WithContext(httptrace.WithClientTrace(ctx, trace))
		resp, err := rt.RoundTrip(req)
		if err == nil || !reused || conn.written.Load() != before || try == maxStale || ctx.Err() != nil {
			return resp, err
		}
	}
}

// requestBody is a body that net/http cannot send again, as there is no GetBody.
// A GET without a body has one all the same, which is empty: net/http would
// repeat it otherwise. Of the other methods it repeats none, and an empty body
// there would go out in chunks.
func requestBody(method string, body []byte) io.ReadCloser {
	if len(body) == 0 && method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions {
		return http.NoBody
	}
	return io.NopCloser(bytes.NewReader(body))
}

// errStale says that a kept-alive connection was dead, or held bytes that
// nobody had asked for, when it was to be used again.
var errStale = errors.New("kept-alive connection is not clean")

// upstreamConn refuses to be used again when it is not clean: closed by the
// upstream, or holding bytes that came after the last answer. Such bytes would
// be read as the answer to the next request, which is another caller's.
type upstreamConn struct {
	net.Conn
	taken   atomic.Bool // out of the pool, and nothing written yet
	written atomic.Int64
}

// innerConn finds our connection under what net/http holds. HTTP/2 has frames
// of its own for many requests at once and is left alone.
func innerConn(c net.Conn) *upstreamConn {
	if t, ok := c.(*tls.Conn); ok {
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			return nil
		}
		c = t.NetConn()
	}
	u, _ := c.(*upstreamConn)
	return u
}

// Read drops bytes that come before the request that they would answer. Inside
// TLS a session ticket or an alert may come at any time; they answer nothing.
func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.taken.Load() && (p[0] < 20 || p[0] > 24) {
		return 0, errStale
	}
	return n, err
}

// Write looks at a connection out of the pool before its first byte.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if c.taken.Load() {
		if !quiet(c.Conn) {
			return 0, errStale
		}
		c.taken.Store(false)
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}
