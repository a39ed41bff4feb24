// Package httpserve runs an HTTP server whose every request was checked, byte
// by byte, to have one meaning only.
//
// net/http is a strict server, but it accepts requests that another program on
// the way may read differently: Content-Length beside Transfer-Encoding, bare
// line feeds, folded header lines, absolute targets that contradict Host,
// encoded slashes. Most of that is gone by the time a handler runs. So a
// wrapper around every HTTP/1.1 connection (conn.go) reads each request head
// itself, refuses all that is listed below, and hands net/http exactly the
// head it checked and exactly the body that the head announces; only then does
// it look at the next head. A refused head is replaced by a fixed one with a
// method no client can send, and the connection ends behind it: that way the
// answer, a problem document, leaves in its turn behind the answers to earlier
// pipelined requests, and nothing that follows is read as a request.
//
// HTTP/2 comes over TLS only, from net/http; its framing has no such doubts.
// What remains (path, query, authority against Host, header names and values)
// is checked in the handler by the same functions, for both versions.
//
// Refused (RFC 9110, 9112, 3986): bare LF or CR, obs-fold, space before a
// colon, bytes outside printable ASCII, header names with an underscore;
// repeated or missing Host, repeated Content-Length and other singletons,
// Content-Length with Transfer-Encoding, any transfer coding but chunked,
// chunk extensions, trailers; Upgrade (also h2c), CONNECT, TRACE, other
// methods, PRI, HTTP/1.0; absolute, authority and asterisk targets; //, dot
// segments, encoded slash, backslash, dot, percent, semicolon, control bytes
// and invalid UTF-8, a semicolon, a fragment; a body with GET, HEAD, DELETE
// and OPTIONS; Connection options other than close, keep-alive and te.
//
// The whole body, bounded, is in memory before the handler runs, so that a
// fault in its last chunk is found before anybody acts on its first.
//
//	s := httpserve.New(httpserve.Config{TLS: tlsConfig}, handler)
//	go s.Serve(listener)          // handler uses Body(r), Target(r), RequestID(ctx)
//	s.Shutdown(ctx)
//
// Source: RFC 9112 sections 2 to 7; docs/adr/0004.
package httpserve

import (
	"context"
	"crypto/tls"
	"errors"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/internal/problem"
)

// Config bounds a server. Zero values take the defaults named.
type Config struct {
	// TLS of the listener; nil serves plain HTTP/1.1. MinVersion below TLS 1.2
	// is raised to it, NextProtos is set here.
	TLS *tls.Config
	// HeaderBytes bounds request line and header fields together; 16 KiB.
	HeaderBytes int
	// BodyBytes bounds the decoded body; 1 MiB.
	BodyBytes int64
	// BodiesBytes bounds all bodies in memory at once, those that are still
	// coming in too; 16 times BodyBytes, at least 256 MiB.
	BodiesBytes int64
	// HeaderTimeout runs until the head is complete (also the TLS handshake,
	// 5 s), ReadTimeout until the body is (15 s), WriteTimeout from the head to
	// the end of the answer (60 s), IdleTimeout between two requests (60 s).
	HeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	// Base64Under are paths below which the rest of the target may be one text in
	// base64, percent-encoded or not, in which slashes are data: the GET requests
	// of OCSP (RFC 6960 appendix A.1). Everywhere else //, %2F and the like are
	// refused. The handler must not clean such a path.
	Base64Under []string
	// Connections that may be open at once (1024), from one address (256). An
	// IPv6 host counts by its /64.
	Connections, ConnectionsPer int
	// Concurrent requests in handlers at once; 512. Of one address there are at
	// most ConnectionsPer, so that HTTP/2 lends nobody more of them than
	// HTTP/1.1 would.
	Concurrent int
	// OnRefuse is told the code of every request refused here, before any
	// handler saw it, and of every connection turned away. It must not block.
	OnRefuse func(code string)
	// Log receives panics and listener faults; nil discards them.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	num := func(n *int, v int) {
		if *n <= 0 {
			*n = v
		}
	}
	def(&c.HeaderTimeout, 5*time.Second)
	def(&c.ReadTimeout, 15*time.Second)
	def(&c.WriteTimeout, time.Minute)
	def(&c.IdleTimeout, time.Minute)
	num(&c.HeaderBytes, 16<<10)
	num(&c.Connections, 1024)
	num(&c.ConnectionsPer, 256)
	num(&c.Concurrent, 512)
	if c.BodyBytes <= 0 {
		c.BodyBytes = 1 << 20
	}
	if c.BodiesBytes <= 0 {
		c.BodiesBytes = max(16*c.BodyBytes, 256<<20)
	}
	if c.OnRefuse == nil {
		c.OnRefuse = func(string) {}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.TLS != nil {
		c.TLS = c.TLS.Clone()
		c.TLS.MinVersion = max(c.TLS.MinVersion, tls.VersionTLS12)
		c.TLS.NextProtos = []string{"h2", "http/1.1"}
	}
	return c
}

// Server is one listener's worth of checked HTTP. Make it with New.
type Server struct {
	cfg     Config
	http    *http.Server
	handler *handler
	cut     context.CancelFunc // ends the contexts of all requests
}

// New returns a server for h. h sees only requests that passed every check;
// their bodies are complete.
func New(cfg Config, h http.Handler) *Server {
	cfg = cfg.withDefaults()
	s := &Server{cfg: cfg, handler: newHandler(cfg, h)}
	base, cut := context.WithCancel(context.Background())
	s.cut = cut
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(cfg.TLS != nil)
	s.http = &http.Server{
		Handler:           s.handler,
		BaseContext:       func(net.Listener) context.Context { return base },
		TLSConfig:         cfg.TLS,
		Protocols:         &protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: 100},
		ReadHeaderTimeout: cfg.HeaderTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		WriteTimeout:      cfg.WriteTimeout,
		IdleTimeout:       cfg.IdleTimeout,
		MaxHeaderBytes:    cfg.HeaderBytes + 4096, // the wrapper's limit is met first
		ErrorLog:          log.New(logWriter{cfg.Log}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if hc, ok := c.(holdsConn); ok {
				ctx = context.WithValue(ctx, connKey{}, hc.checked())
			}
			return ctx
		},
	}
	return s
}

// Serve accepts connections from l until Shutdown or Close; then it returns
// nil. It closes l.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(newListener(l, s.cfg))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// cutWithin is how long handlers whose connection was cut may take to notice
// and to record it.
const cutWithin = 6 * time.Second

// Shutdown takes no new connections and waits for requests in progress until
// ctx ends; what is left then is cut. Handlers have returned when it returns,
// also those that were cut, unless one of them does not heed its context.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return errors.Join(err, s.Close())
	}
	s.cut()
	return nil
}

// Close cuts everything at once, and waits like Shutdown for the handlers.
func (s *Server) Close() error {
	s.cut()
	err := s.http.Close()
	for end := time.Now().Add(cutWithin); s.handler.running.Load() > 0; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.Join(err, errHandlers)
		}
	}
	return err
}

var errHandlers = errors.New("a handler went on after its connection was cut")

// logWriter passes net/http's own log lines on, without their text's claim to
// be a format.
type logWriter struct{ log *slog.Logger }

func (w logWriter) Write(p []byte) (int, error) {
	w.log.Warn("http server", "event", string(p))
	return len(p), nil
}

// Refusal says why a request was refused before any handler saw it. It maps to
// the problem document of its code.
type Refusal struct {
	code   string
	zh, en string
}

var _ interface {
	error
	Code() string
	Public() (zh, en string)
} = (*Refusal)(nil)

// Error is the English detail with the code.
func (r *Refusal) Error() string { return r.code + ": " + r.en }

// Code is the problem's code.
func (r *Refusal) Code() string { return r.code }

// Public is the detail for the caller; it quotes nothing of the request.
func (r *Refusal) Public() (zh, en string) { return r.zh, r.en }

func refuse(code, zh, en string) *Refusal { return &Refusal{code, zh, en} }

// answer sends the problem document of err as the whole response and ends an
// HTTP/1.1 connection behind it.
func answer(w http.ResponseWriter, r *http.Request, err error) string {
	p, _ := problem.FromError(err, RequestID(r.Context()))
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	problem.Write(w, p)
	return p.Code
}

// errBody ends the reading of a body whose framing is broken.
var errBody = errors.New("request body: chunk framing is broken")
