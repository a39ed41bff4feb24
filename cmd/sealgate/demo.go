package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/sealgate/sealgate/internal/demo"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/seal/stamp"
)

// Where the demo listens when these ports are free.
const (
	demoGateway = "127.0.0.1:8443"
	demoSealer  = "127.0.0.1:8444"
	demoAdmin   = "127.0.0.1:8445"
)

type demoArgs struct {
	dir, doc, addr string
	tour           bool
}

// runDemo runs gateway, seal service and sample departments on loopback, from a
// folder that `sealgate serve` could run too. With -tour it tells the whole
// story once and stops.
func runDemo(ctx context.Context, e env, args []string) (err error) {
	a, document, err := parseDemoArgs(args)
	if err != nil {
		return err
	}
	if a.tour && a.dir == "" {
		if a.dir, err = os.MkdirTemp("", "sealgate-demo-"); err != nil {
			return undecided(err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(a.dir)) }()
	}
	started := time.Now()
	upstreams, stopUpstreams, err := startUpstreams()
	if err != nil {
		return undecided(err)
	}
	defer stopUpstreams()
	site, err := demo.Prepare(ctx, or2(a.dir, "demo"), demo.Options{
		Gateway: pickAddr(a.addr, demoGateway, a.tour), Sealer: pickAddr("", demoSealer, a.tour), Admin: pickAddr("", demoAdmin, a.tour),
		Upstreams: upstreams, At: started.Truncate(time.Second)})
	if err != nil {
		return usage(err)
	}
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
	if err := makeDemoSeal(ctx, s, site); err != nil {
		return err
	}
	r, err := startRoles(ctx, s, logs)
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
	fmt.Fprintf(e.stderr, "%s\n", local.Banner)
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
	if err == nil {
		fmt.Fprintln(e.stderr, "已停止 stopped")
	}
	return err
}

func parseDemoArgs(args []string) (*demoArgs, []byte, error) {
	a := &demoArgs{}
	fs := newFlags("demo")
	fs.StringVar(&a.dir, "dir", "", "folder of the demo; ./demo, with -tour a temporary one")
	fs.BoolVar(&a.tour, "tour", false, "run the whole story and stop")
	fs.StringVar(&a.doc, "doc", "", "an OFD that the tour seals too")
	fs.StringVar(&a.addr, "addr", "", "host:port of the gateway, on loopback")
	operands, err := parse(fs, args)
	if err != nil {
		return nil, nil, err
	}
	if len(operands) > 0 {
		return nil, nil, usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[0]))
	}
	if err := loopbackOnly(a.addr); err != nil {
		return nil, nil, err
	}
	if a.doc == "" {
		return a, nil, nil
	}
	document, err := readDocument(a.doc)
	if err != nil {
		return nil, nil, usage(err)
	}
	return a, document, nil
}

// loopbackOnly keeps the demo, whose keys and passphrase lie in a folder, off
// every network.
func loopbackOnly(addr string) error {
	if addr == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	if err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage(fmt.Errorf("-addr %q: 演示只在本机监听 the demo listens on loopback only", addr), "-addr "+demoGateway)
	}
	return nil
}

// pickAddr returns the address asked for, else the usual one when it is free,
// else a free port.
func pickAddr(asked, usual string, free bool) string {
	if asked != "" {
		return asked
	}
	if !free {
		if l, err := net.Listen("tcp", usual); err == nil {
			l.Close()
			return usual
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return usual
	}
	defer l.Close()
	return l.Addr().String()
}

// startUpstreams serves each provider's sample interface on a port of its own.
func startUpstreams() (urls map[string]string, stop func(), err error) {
	urls = map[string]string{}
	var servers []*http.Server
	stop = func() {
		for _, s := range servers {
			s.Close()
		}
	}
	for id, h := range demo.Upstreams() {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			stop()
			return nil, nil, err
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		servers = append(servers, srv)
		go srv.Serve(l)
		urls[id] = "http://" + l.Addr().String()
	}
	return urls, stop, nil
}

// makeDemoSeal makes the office's seal when the demo runs for the first time.
func makeDemoSeal(ctx context.Context, s *site, d *demo.Site) error {
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
		width: spec.Diameter, height: spec.Diameter, from: from, till: from.AddDate(3, 0, 0)}.make(ctx, s)
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
