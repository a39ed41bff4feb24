package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/server"
)

// Bounds of stopping and of the seal service's listener: it holds whole
// documents in memory, so few connections at once.
const (
	stopWithin        = 20 * time.Second
	sealerConnections = 32
	sealerDocument    = 64 << 20
)

// roles are the running parts of one process.
type roles struct {
	site      *site
	log       *slog.Logger
	gateway   *gateway.Gateway
	catalogue *catalog.Holder
	inForce   string // revision of the policy bundle; "": none, or no bundle is configured
	servers   []*httpserve.Server
	keys      *keyReadiness // nil: no role signs at each request
	open      listeners     // those that are open already
	failed    chan error

	publisher  *pki.Publisher // nil: the role revocation is not run
	listKeys   *keyReadiness  // of the publisher, which goes on without keys for a while
	background sync.WaitGroup
	cancels    []context.CancelFunc // of what runs in the background
}

// startRoles opens the listeners that the configuration names, except those
// that are open already, and serves on them. Every listener is open when it
// returns.
func startRoles(ctx context.Context, s *site, log *slog.Logger, open listeners) (_ *roles, err error) {
	r := &roles{site: s, log: log, open: open, failed: make(chan error, 8)}
	if signs(s.config) {
		r.keys = newKeyReadiness(s.keys, log)
	}
	defer func() {
		if err != nil {
			r.stop()
		}
	}()
	if c := s.config.Revocation; s.config.Has(config.RoleRevocation) {
		if r.listKeys = r.keys; r.listKeys == nil {
			r.listKeys = newKeyReadiness(s.keys, log)
		}
		if err := r.startRevocation(ctx, c); err != nil {
			return nil, err
		}
	}
	if s.fetcher != nil {
		s.refresh(ctx)
		r.inBackground(s.fetcher.Run)
	}
	if g := s.config.Gateway; g != nil {
		if err := r.startGateway(ctx, g); err != nil {
			return nil, err
		}
	}
	if c := s.config.Sealer; c != nil {
		if err := r.startSealer(ctx, c); err != nil {
			return nil, err
		}
	}
	if t := s.config.TSA; t != nil {
		if err := r.startTSA(ctx, t); err != nil {
			return nil, err
		}
	}
	if a := s.config.Admin; a != nil {
		if err := r.listen("admin", a.Listen, httpserve.Config{Log: log}, r.admin()); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *roles) startGateway(ctx context.Context, c *config.Gateway) error {
	s := r.site
	pseudonym, err := s.secrets.Secret(ctx, c.Secrets.Pseudonym)
	if err != nil {
		return secretError("gateway.secrets.pseudonym", c.Secrets.Pseudonym, err)
	}
	subject, err := s.secrets.Secret(ctx, c.Secrets.SubjectIndex)
	if err != nil {
		return secretError("gateway.secrets.subject_index", c.Secrets.SubjectIndex, err)
	}
	var proxies []netip.Prefix
	for _, p := range c.TrustedProxies {
		prefix, err := netip.ParsePrefix(p)
		if err != nil {
			return usage(err)
		}
		proxies = append(proxies, prefix)
	}
	sessions := identity.NewSessions()
	r.catalogue = catalog.NewHolder(s.catalogue)
	r.gateway, err = gateway.New(gateway.Config{
		Catalogue: r.catalogue, Ledger: s.ledger, Refusals: s.refusals,
		Identity: identity.NewVerifier(s.store.Nonces(), s.secrets, sessions), Sessions: sessions,
		Quotas: &catalog.MemoryQuotas{}, Zone: string(c.Zone), TrustedProxies: proxies,
		PseudonymKey: pseudonym, Subjects: audit.NewSubjectIndex(subject), Log: r.log, Depends: r.dependsAnswer, Metrics: r.writeMetrics,
	})
	if err != nil {
		return usage(err)
	}
	if c.Policy.Bundle != "" {
		r.loadBundle(ctx)
	} else {
		r.gateway.SetPolicy(s.policy)
	}
	l := c.Limits
	return r.serve("gateway", c.Listen, c.TLS, httpserve.Config{
		HeaderBytes: int(l.HeaderBytes), BodyBytes: int64(l.BodyBytes),
		HeaderTimeout: time.Duration(l.HeaderTimeout), ReadTimeout: time.Duration(l.ReadTimeout),
		WriteTimeout: time.Duration(l.WriteTimeout), IdleTimeout: time.Duration(l.IdleTimeout),
		Connections: l.Connections, ConnectionsPer: l.ConnectionsPer, Concurrent: l.Concurrent,
		OnRefuse: r.gateway.CountRefusal, Log: r.log,
	}, r.gateway)
}

func (r *roles) startSealer(ctx context.Context, c *config.Sealer) error {
	s := r.site
	verifier := seal.NewVerifier(s.judge)
	cabinet, err := openCabinet(ctx, s, verifier)
	if err != nil {
		return err
	}
	api, err := server.New(server.Config{Sealer: cabinet, Seals: cabinet, Verifier: verifier, Uses: uses{s.store}, Ledger: s.ledger,
		Tokens: s.tokens, OnRefuse: s.refusals.Add, Log: r.log})
	if err != nil {
		return usage(err)
	}
	body := int64(c.DocumentBytes)
	if body == 0 {
		body = sealerDocument
	}
	return r.serve("sealer", c.Listen, c.TLS, httpserve.Config{BodyBytes: body, Connections: sealerConnections, ConnectionsPer: sealerConnections,
		Concurrent: sealerConnections, OnRefuse: s.refusals.Add, Log: r.log}, api)
}

// startTSA serves timestamps. Every token is recorded before it is handed out.
func (r *roles) startTSA(ctx context.Context, c *config.TSA) error {
	s := r.site
	name, err := keys.ParseName(c.Key)
	if err != nil {
		return keyError(err)
	}
	policy, err := config.ParseOID(c.Policy)
	if err != nil {
		return usage(err)
	}
	authority, err := pki.NewTSA(ctx, pki.TSAConfig{Key: s.keys.Key(name), Policy: policy, Accuracy: time.Duration(c.Accuracy), Log: r.log,
		OnStamp: func(ctx context.Context, serial *big.Int, imprint []byte, _ time.Time) error {
			_, err := s.ledger.Append(ctx, audit.Record{Type: "admin.timestamp", Actor: audit.Actor{Kind: "service", ID: s.config.Node},
				Object: audit.Object{Kind: "timestamp", ID: serial.Text(16)}, Outcome: audit.OK, BodySM3: imprint})
			return err
		}})
	if err != nil {
		return keyError(fmt.Errorf("tsa: %w", err))
	}
	return r.serve("tsa", c.Listen, c.TLS, httpserve.Config{OnRefuse: s.refusals.Add, Log: r.log}, authority)
}

// timestamps returns who stamps new signatures.
func timestamps(c *config.Timestamps, judge seal.VerifierConfig) (seal.Timestamper, error) {
	client, err := pki.NewTSAClient(pki.TSAClientConfig{URLs: c.URLs, Anchors: judge.Trust, Timeout: time.Duration(c.Timeout)})
	if err != nil {
		return nil, usage(fmt.Errorf("sealer.timestamps: %w", err))
	}
	return client, nil
}

// openCabinet puts the seals of the state store into a cabinet, each with the
// key version that its record names.
func openCabinet(ctx context.Context, s *site, verifier *seal.Verifier) (*server.Cabinet, error) {
	sealer := seal.SealerConfig{Verifier: verifier}
	if c := s.config.Sealer; c != nil && c.Timestamps != nil {
		stamper, err := timestamps(c.Timestamps, s.judge)
		if err != nil {
			return nil, err
		}
		sealer.Timestamps, sealer.RequireTimestamp = stamper, c.Timestamps.Required
		sealer.OnUnstamped = func(b seal.Binding, why error) {
			s.log.Warn("sealed without a timestamp", "seal", b.SealID, "error", why.Error())
		}
	}
	cabinet := server.NewCabinet(server.CabinetConfig{Sealer: seal.NewSealer(sealer), Status: s.store})
	all, err := s.store.Seals(ctx)
	if err != nil {
		return nil, undecided(err)
	}
	for _, stored := range all {
		signer, software, err := pinned(ctx, s.keys, stored.KeyName, stored.KeyVersion)
		if err != nil {
			return nil, err
		}
		key := audit.KeyUse{Name: stored.KeyName, Software: software, Version: audit.N(int64(stored.KeyVersion))}
		if err := cabinet.Put(server.Holding{Name: stored.Name, Seal: stored.ESL, SignerCert: stored.Certificate, Signer: signer, Key: key}); err != nil {
			return nil, no(fmt.Errorf("印章 seal %s: %w", stored.Name, err))
		}
	}
	return cabinet, nil
}

// pinned returns one version of a key, and whether it is a software key.
func pinned(ctx context.Context, ks keyService, name string, version int) (p *keys.Pinned, software bool, err error) {
	n, err := keys.ParseName(name)
	if err != nil {
		return nil, false, keyError(err)
	}
	key := ks.Key(n)
	info, err := key.Info(ctx)
	if err != nil {
		return nil, false, keyError(fmt.Errorf("key %s: %w", name, err))
	}
	if p, err = keys.Pin(key, info, version); err != nil {
		return nil, false, keyError(fmt.Errorf("key %s: %w", name, err))
	}
	return p, info.Software, nil
}

func (r *roles) admin() http.Handler {
	if r.gateway != nil {
		return gateway.NewAdmin(r.gateway)
	}
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, text string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(status)
		fmt.Fprintln(w, text)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, q *http.Request) {
		if r.site.ledger.Err() != nil {
			answer(w, http.StatusServiceUnavailable, "the ledger is not available")
			return
		}
		if err := r.dependsAnswer(q.Context()); err != nil {
			answer(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		if err := r.degraded(q.Context()); err != nil {
			answer(w, http.StatusOK, "degraded: "+err.Error())
			return
		}
		answer(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		r.writeMetrics(w)
	})
	return mux
}

// storeAnswers is nil when the state store does. Its own error may name files.
func (r *roles) storeAnswers(ctx context.Context) error {
	if err := r.site.store.Ready(ctx); err != nil {
		r.log.Warn("state store does not answer", "error", err.Error())
		return errors.New("the state store does not answer")
	}
	return nil
}

// serve opens a listener with TLS when the configuration has it.
func (r *roles) serve(name, addr string, c *config.TLS, h httpserve.Config, handler http.Handler) error {
	if c != nil {
		t, err := tlsConfig(c)
		if err != nil {
			return usage(fmt.Errorf("%s.tls: %w", name, err))
		}
		h.TLS = t
	}
	return r.listen(name, addr, h, handler)
}

func (r *roles) listen(name, addr string, h httpserve.Config, handler http.Handler) error {
	l := r.open[name]
	if l == nil {
		var err error
		if l, err = net.Listen("tcp", addr); err != nil {
			return undecided(fmt.Errorf("%s: %w", name, err), "地址已被占用？ is the address in use?")
		}
	}
	srv := httpserve.New(h, handler)
	r.servers = append(r.servers, srv)
	go func() {
		if err := srv.Serve(l); err != nil {
			r.failed <- fmt.Errorf("%s: %w", name, err)
		}
	}()
	r.log.Info("listening", "role", name, "addr", l.Addr().String(), "tls", h.TLS != nil)
	return nil
}

func tlsConfig(c *config.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.ClientCA != "" {
		text, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, err
		}
		t.ClientCAs = x509.NewCertPool()
		if !t.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: no PEM certificate", c.ClientCA)
		}
		t.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return t, nil
}

// wait serves until ctx ends or a listener fails. SIGHUP reads the catalogue and
// the policy bundle again; one with a fault is reported and the old one stays.
func (r *roles) wait(ctx context.Context) error {
	refusals := make(chan error, 1)
	counting, stopCounting := context.WithCancel(context.WithoutCancel(ctx))
	go func() { refusals <- r.site.refusals.Run(counting) }()
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	var err error
	for running := true; running; {
		select {
		case <-ctx.Done():
			running = false
		case err = <-r.failed:
			running = false
		case <-hup:
			r.reload(ctx)
		}
	}
	r.stop()
	stopCounting()
	return errors.Join(err, <-refusals)
}

func (r *roles) reload(ctx context.Context) {
	if r.catalogue == nil {
		return
	}
	if r.site.config.Gateway.Policy.Bundle != "" {
		r.loadBundle(ctx)
	}
	next, err := loadCatalogue(r.site.config)
	if err != nil {
		r.log.Error("catalogue refused, the old one stays", "error", err.Error())
		return
	}
	record := audit.Record{Type: "admin.catalogue", Actor: audit.Actor{Kind: "service", ID: r.site.config.Node},
		Object: audit.Object{Kind: "catalogue", ID: next.Revision()}, Outcome: audit.OK}
	if _, err := r.site.ledger.Append(ctx, record); err != nil {
		r.log.Error("catalogue not taken: the change could not be recorded", "error", err.Error())
		return
	}
	r.catalogue.Replace(next)
	r.log.Info("catalogue replaced", "revision", next.Revision())
}

// stop takes no new requests and ends those in progress.
func (r *roles) stop() {
	if r.gateway != nil {
		r.gateway.Drain()
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	var all sync.WaitGroup // together, so that a slow call takes nothing from the time of a sealing
	for _, s := range r.servers {
		all.Go(func() {
			if err := s.Shutdown(ctx); err != nil {
				r.log.Warn("requests were cut off", "error", err.Error())
			}
		})
	}
	all.Wait()
	for _, cancel := range r.cancels {
		cancel()
	}
	r.background.Wait()
}
