package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/internal/demo"
	"github.com/sealgate/sealgate/keys"
)

// Where the demo listens when these ports are free.
const (
	demoGateway = "127.0.0.1:8443"
	demoSealer  = "127.0.0.1:8444"
	demoAdmin   = "127.0.0.1:8445"
	demoTSA     = "127.0.0.1:8446"
)

// listeners are open listeners by role. The demo opens them before it writes
// their addresses into its configuration, so that no other process can take a
// port in between.
type listeners map[string]net.Listener

func (l listeners) addr(role string) string { return l[role].Addr().String() }

// close closes those that nobody serves yet; closing one twice does no harm.
func (l listeners) close() {
	for _, x := range l {
		x.Close()
	}
}

// demoListeners opens the gateway's listener at the address asked for, and the
// others, and that one when none is asked for, at the usual ports where free.
// With anywhere every port is any free one.
func demoListeners(gateway string, anywhere bool) (_ listeners, err error) {
	open := listeners{}
	defer func() {
		if err != nil {
			open.close()
		}
	}()
	for _, l := range []struct{ role, asked, usual string }{
		{"gateway", gateway, demoGateway}, {"sealer", "", demoSealer}, {"admin", "", demoAdmin}, {"tsa", "", demoTSA},
	} {
		if open[l.role], err = listenAt(l.asked, l.usual, anywhere); err != nil {
			delete(open, l.role)
			return nil, undecided(fmt.Errorf("%s: %w", l.role, err), "地址已被占用？ is the address in use?")
		}
	}
	return open, nil
}

func listenAt(asked, usual string, anywhere bool) (net.Listener, error) {
	if asked != "" {
		return net.Listen("tcp", asked)
	}
	if !anywhere {
		if l, err := net.Listen("tcp", usual); err == nil {
			return l, nil
		}
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

// loopbackOnly keeps the demo, whose keys and passphrase lie in a folder, off
// every network.
func loopbackOnly(addr string) error {
	if addr == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || port == "" {
		return usage(fmt.Errorf("-addr %q: 不是 is not HOST:PORT", addr), "-addr "+demoGateway)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return usage(fmt.Errorf("-addr %q: 演示只在本机监听 the demo listens on loopback only", addr), "-addr "+demoGateway)
	}
	return nil
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
			return nil, nil, undecided(err)
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
		servers = append(servers, srv)
		go srv.Serve(l)
		urls[id] = "http://" + l.Addr().String()
	}
	return urls, stop, nil
}

// prepareError gives an error of the demo's folder its exit code.
func prepareError(err error) error {
	if errors.Is(err, demo.ErrBusy) {
		return undecided(err, "停止它，或换一个 stop it, or name another -dir")
	}
	if e, ok := errors.AsType[*keys.Error](err); ok && e != keys.ErrAccess {
		return keyError(err) // Vault's
	}
	return usage(err)
}
