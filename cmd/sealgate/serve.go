package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys/local"
)

// runServe runs the roles that a configuration file names until it is told to
// stop; a clean stop is exit 0.
func runServe(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("serve")
	path := fs.String("config", "", "`FILE` 配置文件 configuration file")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) > 0 {
		return usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[0]))
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	if len(c.Roles) == 0 {
		return usage(errors.New("配置没有角色，没有可运行的服务 the configuration names no roles: there is nothing to serve"), "roles: [gateway] …")
	}
	err = serve(ctx, e, c)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // told to stop while it started: that is a clean stop too
	}
	return err
}

func serve(ctx context.Context, e env, c *config.File) (err error) {
	logs := newLog(e.stderr)
	s, err := openSite(ctx, c, logs)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	showBanner(e.stderr, c)
	r, err := startRoles(ctx, s, logs, nil)
	if err != nil {
		return err
	}
	return r.wait(ctx)
}

// showBanner says aloud that keys of the embedded store are software keys.
func showBanner(w io.Writer, c *config.File) {
	if c.Keys.Vault == nil {
		fmt.Fprintln(w, local.Banner)
	}
}

// newLog is the process's log: text on stderr. Nothing of a request's content
// is ever an attribute. The standard logger is silenced: net/http writes to it
// what an upstream sends unasked, and that can be anybody's data.
func newLog(w io.Writer) *slog.Logger {
	log.SetOutput(io.Discard)
	return slog.New(slog.NewTextHandler(w, nil))
}
