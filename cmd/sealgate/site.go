package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/policy/engine"
	"github.com/sealgate/sealgate/policy/rego"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/server"
)

// parts is what a configuration names besides keys, ledger and state: files
// that can be read and judged without starting anything.
type parts struct {
	catalogue *catalog.Snapshot // role gateway
	policy    *engine.Engine    // role gateway; nil when the rules come in a bundle
	tokens    *server.Tokens    // role sealer
	judge     seal.VerifierConfig
	fetched   *trust.Revocations // what revocation_sources said; nil: none is named
	fetch     *pki.FetcherConfig // how they are asked
}

// loadParts reads them, so that `config check` and `serve` judge alike.
func loadParts(ctx context.Context, c *config.File, log *slog.Logger) (*parts, error) {
	p := &parts{}
	var err error
	if g := c.Gateway; g != nil {
		if p.catalogue, err = loadCatalogue(c); err != nil {
			return nil, err
		}
		if p.policy, err = loadPolicy(ctx, c, log); err != nil {
			return nil, err
		}
	}
	if s := c.Sealer; s != nil {
		if p.tokens, err = server.LoadTokens(s.TokenFile); err != nil {
			return nil, usage(err)
		}
	}
	revoked := c.Revoked
	if len(c.Trust) == 0 && c.Gateway != nil && c.Gateway.Policy.Bundle != "" {
		revoked = nil // it is about policy officers only
	}
	if p.judge, err = judge(c.Trust, revoked, freshness(c)); err != nil {
		return nil, err
	}
	if err := p.sources(c, log); err != nil {
		return nil, err
	}
	if err := checkAuthorities(c.Revocation); err != nil {
		return nil, err
	}
	return p, nil
}

// loadPolicy compiles the shipped rules or those of a folder. A bundle is loaded
// by the gateway itself, for it goes into force only with a record; then there
// is nothing yet, and only who may sign it is read.
func loadPolicy(ctx context.Context, c *config.File, log *slog.Logger) (*engine.Engine, error) {
	g := c.Gateway
	if g.Policy.Bundle != "" {
		_, err := officers(c, nil)
		return nil, err
	}
	modules, err := rego.Modules(), error(nil)
	if g.Policy.Dir != "" {
		if modules, err = readPolicy(g.Policy.Dir); err != nil {
			return nil, usage(err)
		}
	}
	e, err := engine.New(ctx, engine.Config{Modules: modules, Log: log})
	if err != nil {
		return nil, invalid(err)
	}
	return e, nil
}

func loadCatalogue(c *config.File) (*catalog.Snapshot, error) {
	doc, err := config.ReadFile(c.Gateway.Catalogue)
	if err != nil {
		return nil, invalid(err)
	}
	snapshot, err := catalog.LoadDocument(doc)
	if err != nil {
		return nil, invalid(err)
	}
	if err := keptElsewhere(snapshot, c.Keys); err != nil {
		return nil, err
	}
	return snapshot, nil
}

// invalid is a file's errors, every one of them: the first is the error, the
// others are hints.
func invalid(err error) error {
	var all []string
	switch e := err.(type) {
	case *config.Error:
		all = append(all, e.Error())
		for _, p := range e.More {
			all = append(all, p.Error())
		}
	case *catalog.InvalidError:
		for _, p := range e.Problems {
			all = append(all, p.Error())
		}
	case *engine.InvalidError:
		for _, f := range e.Findings {
			all = append(all, f.String())
		}
	}
	if len(all) == 0 {
		return usage(err)
	}
	text := "配置有误 configuration: "
	if len(all) > 1 {
		text = fmt.Sprintf("配置有 %d 处错误 %d problems: ", len(all), len(all))
	}
	return usage(errors.New(text+all[0]), all[1:]...)
}

// readPolicy reads the .rego files of a folder; tests are left out.
func readPolicy(dir string) (map[string]string, error) {
	modules := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".rego") || strings.HasSuffix(path, "_test.rego") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		modules[filepath.ToSlash(rel)] = string(text)
		return err
	})
	if err == nil && len(modules) == 0 {
		err = fmt.Errorf("%s: 没有 no .rego files", dir)
	}
	return modules, err
}

// site is what the roles and the tools of one process share: its keys, its
// ledger, its state.
type site struct {
	*parts
	config   *config.File
	log      *slog.Logger
	keys     keyService
	secrets  *secrets
	ledger   *audit.Ledger
	refusals *audit.Refusals
	store    *store.Store
	fetcher  *pki.Fetcher // nil: no sources of revocation are named
}

// needState refuses a configuration that only manages keys where seals, nonces
// or uses are needed.
func needState(c *config.File) error {
	if c.State.SQLite == "" {
		return usage(errors.New("配置缺少 the configuration has no state.sqlite"), "state: {sqlite: state.db}")
	}
	return nil
}

// openSite opens everything for writing; close gives it back.
func openSite(ctx context.Context, c *config.File, log *slog.Logger) (_ *site, err error) {
	if err := needState(c); err != nil {
		return nil, err
	}
	s := &site{config: c, log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.parts, err = loadParts(ctx, c, log); err != nil {
		return nil, err
	}
	if err := s.openFetcher(); err != nil {
		return nil, err
	}
	if s.keys, err = openKeys(ctx, c.Keys, false, log); err != nil {
		return nil, err
	}
	s.secrets = newSecrets(s.keys, c.Keys)
	if err := s.openLedger(ctx); err != nil {
		return nil, err
	}
	if s.store, err = store.Open(ctx, c.State.SQLite); err != nil {
		return nil, undecided(err)
	}
	return s, nil
}

func (s *site) openLedger(ctx context.Context) error {
	a := s.config.Audit
	name, err := keys.ParseName(or2(a.CheckpointKey, "checkpoint"))
	if err != nil {
		return usage(err)
	}
	key := s.keys.Key(name)
	signer, err := keys.PinLive(ctx, key)
	if err != nil {
		return keyError(fmt.Errorf("检查点密钥 checkpoint key %s: %w", name, err))
	}
	info, err := key.Info(ctx)
	if err != nil {
		return keyError(fmt.Errorf("检查点密钥 checkpoint key %s: %w", name, err))
	}
	ledger := audit.Config{Dir: a.Dir, Log: or2(a.Log, s.config.Node), Node: s.config.Node, Signer: signer, PublicKey: signer.Public()}
	for _, v := range info.Versions {
		if v.State == keys.Retired {
			ledger.FormerKeys = append(ledger.FormerKeys, v.Public)
		}
	}
	if a.FormerKeys != "" {
		former, err := readPublicKeys(a.FormerKeys)
		if err != nil {
			return usage(fmt.Errorf("audit.former_keys: %w", err))
		}
		ledger.FormerKeys = append(ledger.FormerKeys, former...)
	}
	s.ledger, err = audit.Open(ledger)
	switch {
	case errors.Is(err, audit.ErrLocked):
		return undecided(err, "一个账本只有一个写入者：停止另一个进程 a ledger has one writer: stop the other process")
	case errors.Is(err, audit.ErrBroken):
		return no(err, "sealgate audit verify -dir "+a.Dir, "检查点密钥换过地方？ was its key kept elsewhere before? audit.former_keys, sealgate keys public")
	case err != nil:
		return undecided(err)
	}
	s.refusals = audit.NewRefusals(s.ledger)
	return nil
}

func (s *site) close() error {
	var errs []error
	if s.ledger != nil {
		errs = append(errs, s.ledger.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.keys != nil {
		errs = append(errs, s.keys.Close())
	}
	if err := errors.Join(errs...); err != nil {
		return undecided(err)
	}
	return nil
}

func or2(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
