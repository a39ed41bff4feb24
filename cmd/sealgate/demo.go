package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/demo"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys/vault"
	"github.com/sealgate/sealgate/seal/stamp"
)

type demoArgs struct {
	dir, doc, addr, vault, ceremony, secrets string
	tour                                     bool
}

// runDemo runs gateway, seal service and sample departments on loopback, from a
// folder that `sealgate serve` could run too. With -tour it tells the whole
// story once and stops. A demo that is stopped while it starts was stopped
// cleanly; a tour that is stopped did not hold.
func runDemo(ctx context.Context, e env, args []string) error {
	a, document, err := parseDemoArgs(args)
	if err != nil {
		return err
	}
	err = a.run(ctx, e, document)
	if !a.tour && ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = nil
	}
	if !a.tour && err == nil {
		fmt.Fprintln(e.stderr, "已停止 stopped")
	}
	return err
}

func (a *demoArgs) run(ctx context.Context, e env, document []byte) (err error) {
	if a.dir == "" && a.tour {
		if a.dir, err = os.MkdirTemp("", "sealgate-demo-"); err != nil {
			return undecided(err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(a.dir)) }()
	}
	started := time.Now()
	open, err := demoListeners(a.addr, a.tour)
	if err != nil {
		return err
	}
	defer open.close()
	upstreams, stopUpstreams, err := startUpstreams()
	if err != nil {
		return err
	}
	defer stopUpstreams()
	options := demo.Options{Gateway: open.addr("gateway"), Sealer: open.addr("sealer"), TSA: open.addr("tsa"), Admin: open.addr("admin"),
		Upstreams: upstreams, At: started.Truncate(time.Second), Secrets: a.secrets}
	var maker keyService
	if a.vault != "" {
		if maker, err = a.ceremonyKeys(&options); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, maker.Close()) }()
	}
	site, err := demo.Prepare(ctx, or2(a.dir, "demo"), options)
	if err != nil {
		return prepareError(err)
	}
	defer func() { err = errors.Join(err, site.Close()) }()
	c, err := loadConfig(site.Path(demo.ConfigFile))
	if err != nil {
		return err
	}
	logs := newLog(e.stderr)
	if a.tour {
		logs = slog.New(slog.DiscardHandler)
	}
	s, err := openSite(ctx, c, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if maker == nil {
		maker = s.keys
	}
	if err := makeDemoSeal(ctx, s, maker, site); err != nil {
		return err
	}
	r, err := startRoles(ctx, s, logs, open)
	if err != nil {
		return err
	}
	return runStory(ctx, e, a, site, r, document, started)
}

// runStory serves, and either waits to be stopped or runs the tour.
func runStory(ctx context.Context, e env, a *demoArgs, site *demo.Site, r *roles, document []byte, started time.Time) error {
	serving, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- r.wait(serving) }()
	showBanner(e.stderr, r.site.config)
	if a.tour {
		tour := &demo.Tour{Site: site, Document: document, Out: e.stdout}
		err := tour.Run(ctx)
		stop()
		if err != nil {
			err = no(err)
		}
		return errors.Join(err, <-done)
	}
	err := sealPermit(ctx, site)
	if err == nil {
		fmt.Fprintf(e.stdout, "就绪 ready (%.1f s)\n\n", time.Since(started).Seconds())
		err = site.Guide(e.stdout)
	}
	if err != nil {
		stop()
		return errors.Join(undecided(err), <-done)
	}
	err = <-done
	stop()
	return err
}

func parseDemoArgs(args []string) (*demoArgs, []byte, error) {
	a := &demoArgs{}
	fs := newFlags("demo")
	fs.StringVar(&a.dir, "dir", "", "`DIR` 演示目录 folder of the demo; ./demo, with -tour a temporary one")
	fs.BoolVar(&a.tour, "tour", false, "走完全部步骤后结束 run the whole story and stop")
	fs.StringVar(&a.doc, "doc", "", "`FILE` 一并盖章的 OFD an OFD that the tour seals too")
	fs.StringVar(&a.addr, "addr", "", "`HOST:PORT` 网关的本机地址 address of the gateway, on loopback")
	fs.StringVar(&a.vault, "vault", "", "`FILE` 密钥在 Vault 中：服务所用的连接 keys in Vault: how the roles reach it (keys.vault of a configuration)")
	fs.StringVar(&a.ceremony, "ceremony", "", "`FILE` 与 -vault 同用：制钥仪式所用的连接 with -vault: how the key ceremony reaches it")
	fs.StringVar(&a.secrets, "secrets", "", "`DIR` 与 -vault 同用：对称密钥已在 Vault 中，此目录为调用方所持 (NAME.hmac) with -vault: the symmetric secrets are in Vault already; the callers' copies")
	operands, err := parse(fs, args)
	if err != nil {
		return nil, nil, err
	}
	if len(operands) > 0 {
		return nil, nil, usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[0]))
	}
	if (a.vault == "") != (a.ceremony == "") {
		return nil, nil, usage(errors.New("-vault 与 -ceremony 同用 go together"))
	}
	if a.secrets != "" && a.vault == "" {
		return nil, nil, usage(errors.New("-secrets 与 -vault 同用 goes with -vault"))
	}
	if err := loopbackOnly(a.addr); err != nil {
		return nil, nil, err
	}
	if a.doc == "" {
		return a, nil, nil
	}
	if !a.tour {
		return nil, nil, usage(errors.New("-doc 与 -tour 同用 goes with -tour"), "sealgate demo -tour -doc FILE")
	}
	document, err := readDocument(a.doc)
	if err != nil {
		return nil, nil, usage(err)
	}
	return a, document, nil
}

// ceremonyKeys reads how the roles and how the key ceremony reach Vault.
func (a *demoArgs) ceremonyKeys(o *demo.Options) (keyService, error) {
	service, err := readVault(a.vault)
	if err != nil {
		return nil, err
	}
	ceremony, err := readVault(a.ceremony)
	if err != nil {
		return nil, err
	}
	// JSON is YAML's flow form, and quotes every value.
	line, err := json.Marshal(map[string]any{"addresses": service.Addresses, "mount": or2(service.Mount, vault.DefaultMount),
		"role_id": service.RoleID, "secret_id": service.SecretID})
	if err != nil {
		return nil, usage(err)
	}
	maker, err := openVault(ceremony, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	o.Vault, o.Ceremony = string(line), maker
	return maker, nil
}

// readVault reads the members of keys.vault from a file of their own. Paths are
// relative to its folder.
func readVault(path string) (*config.Vault, error) {
	doc, err := config.ReadFile(path)
	if err != nil {
		return nil, usage(err)
	}
	var v config.Vault
	if err := doc.Decode(&v); err != nil {
		return nil, usage(err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, usage(err)
	}
	for _, p := range []*string{&v.CA, &v.SecretID, &v.WrappedSecretID, &v.Token} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	return &v, nil
}

// makeDemoSeal makes the office's seal when the demo runs for the first time.
// The maker's key may be reached in another way than the service's own.
func makeDemoSeal(ctx context.Context, s *site, maker keyService, d *demo.Site) error {
	if _, err := s.store.Seal(ctx, demo.SealName); !errors.Is(err, store.ErrUnknown) {
		if err != nil {
			return undecided(err)
		}
		return nil
	}
	spec := demo.SealSpec()
	picture, err := stamp.Draw(spec)
	if err != nil {
		return usage(err)
	}
	from := d.Options.At
	made, err := newSeal{name: demo.SealName, id: demo.SealID, title: demo.OfficeName, makerKey: "maker", key: demo.SealName, picture: picture,
		width: spec.Diameter, height: spec.Diameter, from: from, till: from.AddDate(3, 0, 0)}.make(ctx, s, maker)
	if err != nil {
		return err
	}
	return errors.Join(
		durable.WriteFile(d.Path("seal.esl"), made.ESL, 0o644),
		durable.WriteFile(d.Path("seal.png"), picture, 0o644))
}

// sealPermit seals the sample permit through the running seal service, so that
// there is something to verify.
func sealPermit(ctx context.Context, d *demo.Site) error {
	permit, err := os.ReadFile(d.Path(demo.PermitFile))
	if err != nil {
		return err
	}
	x, y := demo.SealCentre()
	sealed, err := d.Seal(ctx, &http.Client{Timeout: sealTimeout}, permit, x, y)
	if err != nil {
		return err
	}
	return durable.WriteFile(d.Path(demo.SealedFile), sealed, 0o644)
}
