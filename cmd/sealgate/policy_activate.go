package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/policy/bundle"
)

// policyActivate puts a bundle where the gateway finds it, after every check
// that can be made here. What goes into force is decided by the gateway: it makes
// the checks again, knows what was activated before, and records it. While it
// runs, ledger and state are its own; then this compares with the bundle that is
// in place. While it does not, this asks its state and records the act.
func policyActivate(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("policy activate")
	cfg := fs.String("config", "", "`FILE` 网关的配置文件 the gateway's configuration file")
	path, err := one(fs, args, "FILE.sgb")
	if err != nil {
		return err
	}
	c, err := loadConfig(*cfg)
	if err != nil {
		return err
	}
	if c.Gateway == nil || c.Gateway.Policy.Bundle == "" {
		return usage(errors.New("配置没有 the configuration has no gateway.policy.bundle"))
	}
	place := c.Gateway.Policy.Bundle
	if err := writable(place); err != nil {
		return usage(err)
	}
	b, file, err := openBundle(path)
	if err != nil {
		return err
	}
	running, err := gatewayRuns(ctx, c)
	if err != nil {
		return err
	}
	if running {
		err = checkBesideGateway(ctx, c, file)
	} else {
		err = checkAndRecord(ctx, c, b, file)
	}
	if err != nil {
		return err
	}
	if err := durable.WriteFile(place, file, 0o644); err != nil {
		return undecided(err, "原有策略包未改动 the bundle in place is as it was")
	}
	fmt.Fprintf(e.stdout, "%s: %s\n", place, summary(b))
	if running {
		fmt.Fprintln(e.stderr, "hint: 向网关进程发送 SIGHUP 使其生效 send SIGHUP to the gateway: it goes into force then")
	}
	return nil
}

// gatewayRuns reports whether another process has the state store open.
func gatewayRuns(ctx context.Context, c *config.File) (bool, error) {
	st, err := store.Open(ctx, c.State.SQLite)
	if errors.Is(err, store.ErrLocked) {
		return true, nil
	}
	if err == nil {
		err = st.Close()
	}
	if err != nil {
		return false, undecided(err)
	}
	return false, nil
}

// inPlace is the state as the bundle in place tells it: what comes next must
// follow it, whoever signed it.
type inPlace struct {
	unknownState
	path string
}

func (p inPlace) LastPolicy(context.Context) (*bundle.Activation, error) {
	file, err := bundle.Read(p.path)
	if err != nil {
		return nil, nil // none is in place
	}
	b, err := bundle.Open(file)
	if err != nil {
		return nil, nil // nothing that could be in force
	}
	digest, err := b.Manifest.Digest()
	return &bundle.Activation{Name: b.Manifest.Name, Sequence: b.Manifest.Sequence, Digest: digest}, err
}

func checkBesideGateway(ctx context.Context, c *config.File, file []byte) error {
	fetched, err := fetchOnce(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	a, err := activator(c, fetched, inPlace{path: c.Gateway.Policy.Bundle}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	_, err = a.Check(ctx, file)
	return policyError(err)
}

func checkAndRecord(ctx context.Context, c *config.File, b *bundle.Bundle, file []byte) (err error) {
	s, err := openSite(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.refresh(ctx)
	a, err := activator(c, s.fetchedSource(), s.store, s.ledger, s.log)
	if err != nil {
		return err
	}
	_, refused := a.Check(ctx, file)
	revision, err := b.Manifest.Revision()
	if err != nil {
		return policyError(err)
	}
	record := audit.Record{Type: "policy.place", Actor: audit.Actor{Kind: "service", ID: c.Node}, Outcome: audit.Allowed,
		Object: audit.Object{Kind: "policy", ID: fmt.Sprintf("%s/%d", b.Manifest.Name, b.Manifest.Sequence)}, Decision: audit.Decision{Revision: revision}}
	if refused != nil {
		p, _ := problem.FromError(refused, "")
		record.Outcome, record.Code = audit.Denied, p.Code
	}
	if _, err := s.ledger.Append(ctx, record); err != nil {
		return undecided(errors.Join(refused, err))
	}
	return policyError(refused)
}
