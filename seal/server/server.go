// Package server is the HTTP API of the seal service, under /api/v1: seal a
// document, verify one, list seals. docs/api-seal.md describes it for callers.
//
// Sealing needs a bearer token (a line of the token file, which also says which
// seals it may use); verifying is open to anybody. A sealing leaves in the
// ledger an intent before any key is asked and an outcome before the document
// is handed out, and in the state store a use under the caller's idempotency
// key, so that a repeated request gets the same document and not a second seal.
//
// What it refuses to do: it seals nothing when the ledger or the state store
// does not answer; it hands out no document whose outcome is not recorded; it
// takes no content type, parameter or form field that it does not know; it
// keeps no token, only digests of tokens; and it has no way to sign anything
// but what a Sealer prepared.
//
// It sits behind internal/httpserve, which has checked and read the request
// when a handler here runs:
//
//	api, err := server.New(server.Config{Sealer: s, Seals: s, Verifier: v, Uses: store, Ledger: ledger, Tokens: tokens})
//	err = httpserve.New(httpserve.Config{BodyBytes: 64 << 20}, api).Serve(listener)
package server

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/seal"
)

// Request is one document to be sealed.
type Request struct {
	ID       string // the request id, for the key engine's own idempotency
	Caller   string // the name behind the token
	Document []byte
	Seal     string  // the seal's name in the configuration
	Page     int     // from 1
	X, Y     float64 // of the seal's centre, in mm from the page's top left corner
}

// A Sealer checks that a document can be sealed, and seals it. Its errors
// carry Code(). It is safe for concurrent use.
type Sealer interface {
	// Prepare does every check on document, seal and position without touching
	// a real key. What it returns is bound to this very request.
	Prepare(ctx context.Context, r Request) (Prepared, error)
}

// Prepared is the right to apply one seal to one document, once.
type Prepared interface {
	// SealID is the number of the seal (esID) that will be applied.
	SealID() string
	// Key names the key that will sign, for the records.
	Key() audit.KeyUse
	// Apply signs and returns the sealed document, verified. A second call is
	// an error. When it fails nothing was handed out, though a key may have
	// signed.
	Apply(ctx context.Context) ([]byte, error)
}

// Seals lists the seals of this service, in a stable order.
type Seals interface {
	ListSeals(ctx context.Context) ([]Seal, error)
}

// Seal is one seal of the service as callers see it.
type Seal struct {
	Name      string    `json:"name"`  // what a request names it by
	ID        string    `json:"id"`    // esID
	Title     string    `json:"title"` // the name written in the seal
	Width     int       `json:"width_mm"`
	Height    int       `json:"height_mm"`
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Status    string    `json:"status"` // active, suspended, cancelled, expired, not-yet-valid
}

// A Verifier judges documents; *seal.Verifier is one.
type Verifier interface {
	Verify(ctx context.Context, name string, data []byte, o seal.Options) *seal.Report
}

// A Ledger records; *audit.Ledger is one. The record is durable when Append
// returns nil.
type Ledger interface {
	Append(ctx context.Context, r audit.Record) (audit.Receipt, error)
}

// Config wires a Server. Sealer, Seals, Verifier, Uses, Ledger and Tokens are
// needed; the rest has defaults.
type Config struct {
	Sealer   Sealer
	Seals    Seals
	Verifier Verifier
	Uses     UseStore
	Ledger   Ledger
	Tokens   *Tokens

	// Sealings and Verifications bound how many run at once (4 and 4), so that
	// the public page cannot keep the office from sealing. A request waits Wait
	// (5 s) for its turn.
	Sealings, Verifications int
	Wait                    time.Duration
	// Deadline bounds one sealing or verification (30 s). A use that is begun
	// and not finished for three deadlines belongs to a process that died.
	Deadline time.Duration

	// OnRefuse is told the code of every request to seal or to list that was
	// refused before it was recorded; audit.Refusals.Add counts them into the
	// ledger. It must not block.
	OnRefuse func(code string)

	Now func() time.Time // time.Now
	Log *slog.Logger     // nil discards
}

// Server is the API. It is an http.Handler for httpserve.
type Server struct {
	cfg       Config
	mux       *http.ServeMux
	sealing   chan struct{}
	verifying chan struct{}
}

// New returns a Server.
func New(cfg Config) (*Server, error) {
	if cfg.Sealer == nil || cfg.Seals == nil || cfg.Verifier == nil || cfg.Uses == nil || cfg.Ledger == nil || cfg.Tokens == nil {
		return nil, errors.New("seal server: sealer, seals, verifier, uses, ledger and tokens are all needed")
	}
	if cfg.Sealings <= 0 {
		cfg.Sealings = 4
	}
	if cfg.Verifications <= 0 {
		cfg.Verifications = 4
	}
	if cfg.Wait <= 0 {
		cfg.Wait = 5 * time.Second
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = 30 * time.Second
	}
	if cfg.OnRefuse == nil {
		cfg.OnRefuse = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Server{
		cfg: cfg, mux: http.NewServeMux(),
		sealing: make(chan struct{}, cfg.Sealings), verifying: make(chan struct{}, cfg.Verifications),
	}
	s.mux.HandleFunc("POST /api/v1/seal", s.handle(s.seal))
	s.mux.HandleFunc("POST /api/v1/verify", s.handle(s.verify))
	s.mux.HandleFunc("GET /api/v1/seals", s.handle(s.seals))
	s.mux.HandleFunc("GET /api/v1/health", s.handle(s.health))
	s.mux.HandleFunc("/", s.handle(func(http.ResponseWriter, *http.Request) error {
		return problem.Coded("SG-ROUTE-NOT-FOUND")
	}))
	return s, nil
}

// ServeHTTP routes by path and method. Anything else is the same 404.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// handle turns an error into its problem document. h has not written anything
// when it returns one.
func (s *Server) handle(h func(http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h(w, r)
		if err == nil {
			return
		}
		id := httpserve.RequestID(r.Context())
		p, known := problem.FromError(err, id)
		if !known {
			s.cfg.Log.ErrorContext(r.Context(), "internal error", "request_id", id, "error", err)
		}
		body := p.Bytes()
		p.SetHeader(w.Header())
		if p.Status == http.StatusUnauthorized {
			w.Header().Set("WWW-Authenticate", `Bearer realm="sealgate"`)
		}
		send(w, p.Status, body)
	}
}

// health says that the process answers. Whether it may serve is /readyz on the
// administration listener.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) error {
	sendJSON(w, []byte(`{"status":"ok"}`))
	return nil
}

// turn waits for a free place of the semaphore.
func (s *Server) turn(ctx context.Context, places chan struct{}) (release func(), err error) {
	timer := time.NewTimer(s.cfg.Wait)
	defer timer.Stop()
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil, problem.Coded("SG-STOP-OVERLOAD")
}
