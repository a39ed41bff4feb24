package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy/bundle"
	"github.com/sealgate/sealgate/policy/engine"
)

// compiler compiles the rules of a bundle for the gateway.
func compiler(log *slog.Logger) bundle.Compile[*engine.Engine] {
	return func(ctx context.Context, modules map[string]string, data map[string]any, revision string) (*engine.Engine, error) {
		return engine.New(ctx, engine.Config{Modules: modules, Data: data, Revision: revision, Log: log})
	}
}

// officers reads whose word about policy counts, with the revocation data as
// they are now: both may have changed since the process began. fetched is what
// the sources of revocation said; nil when none is named, or nothing is put into
// force by what is judged.
func officers(c *config.File, fetched trust.RevocationSource) (*trust.Anchors, error) {
	anchors, err := trust.LoadAs(trust.Officer, c.Gateway.Policy.Officers...)
	if err != nil {
		return nil, usage(fmt.Errorf("策略管理员证书不可读 gateway.policy.officers: %w", err))
	}
	if len(c.Revoked) > 0 {
		files, err := trust.LoadRevocations(freshness(c), c.Revoked...)
		if err != nil {
			return nil, usage(fmt.Errorf("吊销信息不可读 revoked: %w", err))
		}
		fetched = trust.Either(files, fetched)
	}
	if fetched == nil {
		return anchors, nil
	}
	return anchors.WithRevocation(fetched), nil
}

// activator judges policy bundles as the configuration's files say now. When
// these cannot be read it comes with the error, and believes no officer.
func activator(c *config.File, fetched trust.RevocationSource, state bundle.State, ledger bundle.Ledger, log *slog.Logger) (*bundle.Activator[*engine.Engine], error) {
	anchors, err := officers(c, fetched)
	return &bundle.Activator[*engine.Engine]{Officers: anchors, State: state, Ledger: ledger, Compile: compiler(log), Node: c.Node, Now: time.Now}, err
}

// loadBundle puts the configured policy bundle into force, at the start and at
// every reload. When it does not hold, the policy before it stays, and where
// there is none the gateway denies every call; readiness says both. The one that
// is in force already changes nothing and is not recorded again.
func (r *roles) loadBundle(ctx context.Context) {
	path := r.site.config.Gateway.Policy.Bundle
	a, err := activator(r.site.config, r.site.fetchedSource(), r.site.store, r.site.ledger, r.log)
	if err != nil { // it refuses all bundles, and that is recorded
		r.log.Error("policy officers cannot be read", "error", err.Error())
	}
	if r.inForce != "" {
		if file, err := bundle.Read(path); err == nil {
			if c, err := a.Check(ctx, file); err == nil && c.Rules.Revision() == r.inForce {
				r.gateway.SetDegraded("")
				return
			}
		}
	}
	switch c, err := a.ActivateFile(ctx, path); {
	case err == nil:
		m := c.Bundle.Manifest
		r.gateway.SetPolicy(c.Rules)
		r.gateway.SetDegraded("")
		r.inForce = c.Rules.Revision()
		r.log.Info("policy bundle in force", "name", m.Name, "sequence", m.Sequence, "revision", r.inForce)
	case r.inForce == "":
		r.log.Error("policy bundle refused, every call is denied", "error", err.Error())
	default:
		r.gateway.SetDegraded("the configured policy bundle was refused, the one before it stays in force")
		r.log.Error("policy bundle refused, the one before it stays in force", "error", err.Error())
	}
}

// checkBundle judges the configured bundle for `config check`, which knows
// nothing of what was activated before and asks no source over the network.
func checkBundle(ctx context.Context, c *config.File) error {
	if c.Gateway == nil || c.Gateway.Policy.Bundle == "" {
		return nil
	}
	a, err := activator(c, nil, unknownState{}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	file, err := bundle.Read(c.Gateway.Policy.Bundle)
	if err == nil {
		_, err = a.Check(ctx, file)
	}
	if errors.As(err, new(*engine.InvalidError)) {
		return invalid(err)
	}
	if err != nil {
		return usage(fmt.Errorf("gateway.policy.bundle: %w", err))
	}
	return nil
}

// unknownState is the state of those who may not open the store.
type unknownState struct{}

func (unknownState) LastPolicy(context.Context) (*bundle.Activation, error) { return nil, nil }
func (unknownState) PutPolicy(context.Context, bundle.Activation) error {
	return errors.New("nothing is activated here")
}
