package httpserve

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func testTLS(t testing.TB) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"gw.example"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
}

func dialTLS(t testing.TB, addr string, protos ...string) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, NextProtos: protos}) // a test's own certificate
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	return c
}

func TestTLSConnectionsAreCheckedAndCarryTheirState(t *testing.T) {
	var state atomic.Pointer[tls.ConnectionState]
	addr := startServer(t, Config{TLS: testTLS(t)}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		state.Store(r.TLS)
		_, _ = io.WriteString(w, r.Proto)
	}))
	c := dialTLS(t, addr, "http/1.1")
	_, _ = io.WriteString(c, get("/a")+get("/a//b"))
	br := bufio.NewReader(c)
	for _, want := range []int{200, 400} {
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("got %v %v, want %d", resp, err, want)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	if s := state.Load(); s == nil || s.Version < tls.VersionTLS12 {
		t.Errorf("the handler saw no TLS state: %v", s)
	}
}

func TestTLSBelow12IsRefused(t *testing.T) {
	addr := startServer(t, Config{TLS: testTLS(t)}, &recorder{})
	_, err := tls.Dial("tcp", addr, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
}

// h2Exchange sends one HTTP/2 request made of raw header fields and returns
// status and problem code; status 0 is a stream or connection error.
func h2Exchange(t *testing.T, addr string, fields [][2]string, body string) (status int, code string) {
	t.Helper()
	c := dialTLS(t, addr, "h2")
	if c.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatal("h2 was not negotiated")
	}
	_, _ = io.WriteString(c, http2.ClientPreface)
	fr := http2.NewFramer(c, c)
	fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if err := fr.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		_ = fr.WriteData(1, true, []byte(body))
	}
	var data []byte
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return 0, ""
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			_, _ = fmt.Sscan(f.PseudoValue("status"), &status)
		case *http2.DataFrame:
			data = append(data, f.Data()...)
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return status, code
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = fr.WriteSettingsAck()
			}
			continue
		default:
			continue
		}
		if f.Header().Flags.Has(http2.FlagDataEndStream) {
			var doc struct{ Code string }
			_ = json.Unmarshal(data, &doc)
			return status, doc.Code
		}
	}
}

func TestHTTP2RequestsMeetTheSameRules(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{TLS: testTLS(t)}, rec)
	base := func(method, path string, more ...[2]string) [][2]string {
		return append([][2]string{{":method", method}, {":scheme", "https"}, {":authority", "gw.example"}, {":path", path}}, more...)
	}
	for _, c := range []struct {
		name   string
		fields [][2]string
		body   string
		code   string // "" good, "reset" refused by the framing layer
	}{
		{"good", base("GET", "/a?x=1"), "", ""},
		{"good with body", base("POST", "/a"), "hello", ""},
		{"good with length", base("POST", "/a", [2]string{"content-length", "5"}), "hello", ""},
		{"equal host", base("GET", "/a", [2]string{"host", "gw.example"}), "", ""},
		{"double slash", base("GET", "/a//b"), "", "SG-HTTP-TARGET"},
		{"dot segment", base("GET", "/a/../b"), "", "SG-HTTP-TARGET"},
		{"encoded slash", base("GET", "/a%2fb"), "", "SG-HTTP-TARGET"},
		{"encoded dot", base("GET", "/%2e%2e/b"), "", "SG-HTTP-TARGET"},
		{"semicolon", base("GET", "/a;b"), "", "SG-HTTP-TARGET"},
		{"semicolon in the query", base("GET", "/a?x;y"), "", "SG-HTTP-TARGET"},
		{"fragment", base("GET", "/a#b"), "", "SG-HTTP-TARGET"},
		{"absolute path", base("GET", "http://evil.example/a"), "", "reset or SG-HTTP-TARGET"},
		{"asterisk", base("OPTIONS", "*"), "", "reset or SG-HTTP-TARGET"},
		{"other host", base("GET", "/a", [2]string{"host", "evil.example"}), "", "SG-HTTP-HEADER"},
		{"two hosts", base("GET", "/a", [2]string{"host", "gw.example"}, [2]string{"host", "gw.example"}), "", "SG-HTTP-HEADER"},
		{"bad authority", [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "u@gw.example"}, {":path", "/a"}}, "", "reset or SG-HTTP-HEADER"},
		{"no authority", [][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/a"}}, "", "SG-HTTP-HEADER"},
		{"underscore", base("GET", "/a", [2]string{"x_sg_app", "x"}), "", "SG-HTTP-HEADER"},
		{"non-ASCII value", base("GET", "/a", [2]string{"x-a", "\xa0"}), "", "SG-HTTP-HEADER"},
		{"control byte in value", base("GET", "/a", [2]string{"x-a", "a\nb"}), "", "reset"},
		{"repeated x-sg", base("GET", "/a", [2]string{"x-sg-app", "a"}, [2]string{"x-sg-app", "b"}), "", "SG-HTTP-HEADER"},
		{"repeated content-type", base("POST", "/a", [2]string{"content-type", "a/b"}, [2]string{"content-type", "a/b"}), "x", "SG-HTTP-HEADER"},
		{"GET with body", base("GET", "/a"), "x", "SG-HTTP-BODY"},
		{"unknown method", base("PROPFIND", "/a"), "", "SG-HTTP-METHOD"},
		{"TRACE", base("TRACE", "/a"), "", "SG-HTTP-METHOD"},
		{"stand-in method", base(refusedMethod, "/a"), "", "SG-HTTP-METHOD"},
		{"trailer announced", base("POST", "/a", [2]string{"trailer", "x-a"}), "x", "SG-HTTP-HEADER"},
		{"te gzip", base("GET", "/a", [2]string{"te", "gzip"}), "", "reset or SG-HTTP-HEADER"},
		{"connection field", base("GET", "/a", [2]string{"connection", "close"}), "", "reset or SG-HTTP-HEADER"},
		{"transfer-encoding", base("POST", "/a", [2]string{"transfer-encoding", "chunked"}), "x", "reset or SG-HTTP-FRAMING"},
		{"content-length short", base("POST", "/a", [2]string{"content-length", "4"}), "hello", "reset or SG-HTTP-BODY"},
		{"content-length long", base("POST", "/a", [2]string{"content-length", "6"}), "hello", "reset or SG-HTTP-BODY"},
		{"content-length rubbish", base("POST", "/a", [2]string{"content-length", "+5"}), "hello", "reset or SG-HTTP-FRAMING"},
		{"two content-lengths", base("POST", "/a", [2]string{"content-length", "5"}, [2]string{"content-length", "5"}), "hello", "SG-HTTP-HEADER"},
		{"too large", base("POST", "/a", [2]string{"content-length", "1048577"}), "x", "SG-HTTP-BODY-TOO-LARGE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec.take()
			status, code := h2Exchange(t, addr, c.fields, c.body)
			got := rec.take()
			switch {
			case c.code == "":
				if status != 200 || len(got) != 1 || got[0].body != c.body {
					t.Errorf("status %d, code %s, seen %q", status, code, got)
				}
			case len(got) != 0:
				t.Errorf("a refused request was seen: %q", got)
			case code != "" && !strings.Contains(c.code, code), code == "" && !strings.HasPrefix(c.code, "reset") && status != 400:
				t.Errorf("status %d, code %q, want %s", status, code, c.code)
			}
		})
	}
}

func TestBodyOverTheLimitIsRefusedWhateverItsFraming(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{BodyBytes: 10}, rec)
	for name, raw := range map[string]string{
		"length": post("Content-Length: 11\r\n", "01234567890"),
		"chunks": post("Transfer-Encoding: chunked\r\n", "b\r\n01234567890\r\n0\r\n\r\n"),
		"pieces": post("Transfer-Encoding: chunked\r\n", strings.Repeat("1\r\nx\r\n", 11)+"0\r\n\r\n"),
	} {
		answers := exchange(t, addr, raw)
		if len(answers) != 1 || answers[0].StatusCode != 413 {
			t.Errorf("%s: %v", name, answers)
		}
	}
	if answers := exchange(t, addr, post("Transfer-Encoding: chunked\r\n", "a\r\n0123456789\r\n0\r\n\r\n")); len(answers) != 1 || answers[0].StatusCode != 200 {
		t.Errorf("a body of just the limit was refused: %v", answers)
	}
	if got := rec.take(); len(got) != 1 {
		t.Errorf("seen %q", got)
	}
}

func TestBodyCutShortIsNeverSeen(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{}, rec)
	for _, raw := range []string{post("Content-Length: 5\r\n", "hell"), post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"), post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"), post("Transfer-Encoding: chunked\r\n", "5\r\nhe")} {
		answers := exchange(t, addr, raw)
		if len(answers) != 1 || answers[0].StatusCode != 400 {
			t.Errorf("%q: %v", raw, answers)
		}
	}
	if got := rec.take(); len(got) != 0 {
		t.Errorf("seen %q", got)
	}
}

func TestSlowClientsAreCutAtTheTimeLimits(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{HeaderTimeout: 100 * time.Millisecond, ReadTimeout: 200 * time.Millisecond, IdleTimeout: 100 * time.Millisecond}, rec)
	for name, raw := range map[string]string{"header": "GET /a HTTP/1.1\r\nHost:", "body": post("Content-Length: 5\r\n", "he"), "idle": get("/a"), "silent": ""} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, raw)
		_ = c.SetReadDeadline(time.Now().Add(3 * time.Second))
		data, err := io.ReadAll(c)
		if err != nil {
			t.Errorf("%s: the connection was not closed: %v", name, err)
		}
		if name == "body" && !strings.Contains(string(data), "SG-HTTP-TIMEOUT") {
			t.Errorf("got %q", data)
		}
		_ = c.Close()
	}
	if got := rec.take(); len(got) != 1 {
		t.Errorf("seen %q", got)
	}
}

func TestConnectionsOverTheLimitAreTurnedAwayAndRoomComesBack(t *testing.T) {
	var turned atomic.Int32
	addr := startServer(t, Config{ConnectionsPer: 2, OnRefuse: func(code string) {
		if code == "SG-STOP-OVERLOAD" {
			turned.Add(1)
		}
	}}, &recorder{})
	var open []net.Conn
	for range 2 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, get("/a"))
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	third, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = third.SetReadDeadline(time.Now().Add(3 * time.Second))
	if n, _ := third.Read(make([]byte, 1)); n != 0 || turned.Load() != 1 {
		t.Errorf("the third connection got %d bytes, %d turned away", n, turned.Load())
	}
	for _, c := range open {
		_ = c.Close()
	}
	deadline := time.Now().Add(3 * time.Second)
	for {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, get("/a"))
		_, err = http.ReadResponse(bufio.NewReader(c), nil)
		_ = c.Close()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no room came back")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRequestsOverTheConcurrencyLimitAreToldToRetry(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	addr := startServer(t, Config{Concurrent: 1}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}))
	var wg sync.WaitGroup
	wg.Go(func() { exchange(t, addr, get("/slow")) })
	<-entered
	answers := exchange(t, addr, get("/a"))
	if len(answers) != 1 || answers[0].StatusCode != 503 || answers[0].Header.Get("Retry-After") == "" {
		t.Errorf("got %v", answers)
	}
	close(release)
	wg.Wait()
}

func TestPanicBecomesAProblemDocumentOrACutAnswer(t *testing.T) {
	addr := startServer(t, Config{}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			_, _ = io.WriteString(w, strings.Repeat("x", 10000))
		}
		panic("secret of the program")
	}))
	answers := exchange(t, addr, get("/early"))
	body, _ := io.ReadAll(answers[0].Body)
	if answers[0].StatusCode != 500 || !strings.Contains(string(body), "SG-INTERNAL") || strings.Contains(string(body), "secret") {
		t.Errorf("got %d %s", answers[0].StatusCode, body)
	}
	resp, err := http.Get("http://" + addr + "/late")
	if err == nil {
		_, err = io.ReadAll(resp.Body)
		_ = resp.Body.Close()
	}
	if err == nil {
		t.Error("a half answer looks whole")
	}
}

func TestShutdownLetsRequestsInProgressEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered, release := make(chan struct{}), make(chan struct{})
	s := New(Config{}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "done")
	}))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	got := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String() + "/a")
		if err != nil {
			got <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body)
		got <- string(b)
	}()
	<-entered
	down := make(chan error, 1)
	go func() { down <- s.Shutdown(context.Background()) }()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	close(release)
	if err := <-down; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if b := <-got; b != "done" {
		t.Errorf("got %q", b)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}

func TestShutdownCutsWhatOutlastsItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	s := New(Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}))
	go func() { _ = s.Serve(l) }()
	go func() {
		if resp, err := http.Get("http://" + l.Addr().String() + "/a"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
