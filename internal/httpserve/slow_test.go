package httpserve

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/sealgate/sealgate/internal/testenv"
)

func TestReadTimeLimitDoesNotEndARequestThatHasArrived(t *testing.T) {
	addr := startServer(t, Config{HeaderTimeout: 100 * time.Millisecond, ReadTimeout: 150 * time.Millisecond, IdleTimeout: 150 * time.Millisecond}, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
			_, _ = io.WriteString(w, "cancelled")
		case <-time.After(400 * time.Millisecond):
			_, _ = io.WriteString(w, "served")
		}
	}))
	pipelined := get("/a") + "GET /b HTTP/1.1\r\nHost: part" // the next head has begun while the first request is served
	for name, raw := range map[string]string{"GET": get("/a"), "POST": post("Content-Length: 2\r\n", "ab"), "chunks": post("Transfer-Encoding: chunked\r\n", "2\r\nab\r\n0\r\n\r\n"), "part of another behind": pipelined} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, raw)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if body, _ := io.ReadAll(resp.Body); string(body) != "served" {
			t.Errorf("%s: %s", name, body)
		}
		_ = c.Close()
	}
}

func TestClientThatGoesAwayEndsItsRequest(t *testing.T) {
	ended := make(chan struct{})
	addr := startServer(t, Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		close(ended)
	}))
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(c, get("/a"))
	time.Sleep(20 * time.Millisecond)
	_ = c.Close()
	select {
	case <-ended:
	case <-time.After(3 * time.Second):
		t.Error("the handler goes on")
	}
}

func TestHeadTimeLimitHoldsOnAKeptAliveConnectionToo(t *testing.T) {
	addr := startServer(t, Config{HeaderTimeout: 150 * time.Millisecond, IdleTimeout: 20 * time.Second}, &recorder{})
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	br := bufio.NewReader(c)
	for range 2 { // the clock of one head is not that of the next
		_, _ = io.WriteString(c, "GET /a HTTP/1.1\r\n")
		time.Sleep(100 * time.Millisecond)
		_, _ = io.WriteString(c, "Host: a\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, resp.Body)
	}
	time.Sleep(250 * time.Millisecond) // idle is not slow
	begun := time.Now()
	go func() {
		for _, b := range []byte("GET /b HTTP/1.1\r\nHost: " + strings.Repeat("a", 40)) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	// The end may be a reset, as bytes of the head were not read.
	if n, err := br.Read(make([]byte, 1)); n != 0 || err == nil || time.Since(begun) > time.Second {
		t.Errorf("%d bytes, %v after %v", n, err, time.Since(begun))
	}
}

func TestTwoThousandSlowClientsLeaveRoomForAQuickOne(t *testing.T) {
	if testing.Short() {
		t.Skip("opens 2,000 connections")
	}
	rec := &recorder{}
	addr := startServer(t, Config{Connections: 2100, ConnectionsPer: 2100, HeaderTimeout: time.Second, ReadTimeout: time.Second, IdleTimeout: time.Second}, rec)
	before := runtime.NumGoroutine()
	var m0, m1 runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	var slow []net.Conn
	for i := range 2000 {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			testenv.Missing(t, fmt.Sprintf("no more than %d connections may be opened: %v", i, err))
		}
		slow = append(slow, c)
		raw := "GET /slow HTTP/1.1\r\nHost:"
		if i%2 == 1 {
			raw = post("Content-Length: 100000\r\n", "x")
		}
		_, _ = io.WriteString(c, raw)
	}
	runtime.ReadMemStats(&m1)
	grown := int64(m1.HeapAlloc) - int64(m0.HeapAlloc)
	worst := time.Duration(0)
	for range 20 {
		begun := time.Now()
		if a := exchange(t, addr, get("/quick")); len(a) != 1 || a[0].StatusCode != 200 {
			t.Fatalf("got %v", a)
		}
		worst = max(worst, time.Since(begun))
	}
	t.Logf("2,000 slow clients: heap %+d KiB, goroutines %+d, slowest good request %v", grown>>10, runtime.NumGoroutine()-before, worst)
	if grown > 256<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	if worst > time.Second {
		t.Errorf("a good client waited %v", worst)
	}
	for i, c := range slow {
		_ = c.SetReadDeadline(time.Now().Add(4 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Fatalf("slow client %d is still served: %v", i, err)
		}
		_ = c.Close()
	}
	for end := time.Now().Add(3 * time.Second); runtime.NumGoroutine() > before+10; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
		}
	}
}

func TestBodiesInMemoryAreBounded(t *testing.T) {
	release := make(chan struct{})
	entered := make(chan struct{}, 4)
	addr := startServer(t, Config{BodyBytes: 1 << 20, BodiesBytes: 5 << 19}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if len(Body(r)) > 1000 {
			entered <- struct{}{}
			<-release
		}
	}))
	big := strings.Repeat("x", 1<<20)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { exchange(t, addr, post(fmt.Sprintf("Content-Length: %d\r\n", len(big)), big)) })
		<-entered
	}
	if a := exchange(t, addr, post(fmt.Sprintf("Content-Length: %d\r\n", len(big)), big)); len(a) != 1 || a[0].StatusCode != 503 {
		t.Errorf("a third body: %v", a)
	}
	for range 3 { // what was refused is given back, and small bodies still fit
		if a := exchange(t, addr, post("Content-Length: 2\r\n", "ab")); len(a) != 1 || a[0].StatusCode != 200 {
			t.Errorf("a small body: %v", a)
		}
	}
	close(release)
	wg.Wait()
	if a := exchange(t, addr, post(fmt.Sprintf("Content-Length: %d\r\n", len(big)), big)); len(a) != 1 || a[0].StatusCode != 200 {
		t.Errorf("when the others are done: %v", a)
	}
}

func TestHTTP2LendsOneAddressNoMorePlacesThanItMayHaveConnections(t *testing.T) {
	var inside, most atomic.Int64
	release := make(chan struct{})
	addr := startServer(t, Config{TLS: testTLS(t), ConnectionsPer: 5}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/first" {
			return
		}
		most.Store(max(most.Load(), inside.Add(1)))
		<-release
		inside.Add(-1)
	}))
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}
	defer c.CloseIdleConnections()
	if resp, err := c.Get("https://" + addr + "/first"); err != nil || resp.ProtoMajor != 2 {
		t.Fatal(resp, err)
	}
	var wg sync.WaitGroup
	var refused atomic.Int64
	for range 20 {
		wg.Go(func() {
			resp, err := c.Get("https://" + addr + "/a")
			if err != nil {
				t.Error(err)
				return
			}
			_ = resp.Body.Close()
			if resp.StatusCode == 503 {
				if refused.Add(1) == 15 {
					close(release)
				}
			}
		})
	}
	wg.Wait()
	if most.Load() != 5 || refused.Load() != 15 {
		t.Errorf("%d at once, %d refused", most.Load(), refused.Load())
	}
}

// rawHTTP2 is an HTTP/2 connection on which frames are written by hand.
func rawHTTP2(t *testing.T, addr string) *http2.Framer {
	t.Helper()
	c := dialTLS(t, addr, "h2")
	_, _ = io.WriteString(c, http2.ClientPreface)
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

func headers(t *testing.T, pairs ...string) []byte {
	t.Helper()
	var b strings.Builder
	enc := hpack.NewEncoder(&b)
	for i := 0; i < len(pairs); i += 2 {
		if err := enc.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}); err != nil {
			t.Fatal(err)
		}
	}
	return []byte(b.String())
}

func TestRapidResetsRunNoMoreThanAHundredHandlersAtOnce(t *testing.T) {
	var running, most, total atomic.Int64
	f := rawHTTP2(t, startServer(t, Config{TLS: testTLS(t)}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		most.Store(max(most.Load(), running.Add(1)))
		total.Add(1)
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
		running.Add(-1)
	})))
	block := headers(t, ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/")
	go func() {
		for {
			if _, err := f.ReadFrame(); err != nil {
				return
			}
		}
	}()
	for id := uint32(1); id < 40000; id += 2 {
		if f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: true}) != nil ||
			f.WriteRSTStream(id, http2.ErrCodeCancel) != nil {
			break
		}
	}
	if most.Load() > 100 {
		t.Errorf("%d handlers at once", most.Load())
	}
	t.Logf("%d handlers in all, at most %d at once", total.Load(), most.Load())
}

func TestHeaderListWithoutEndIsCutOffOnHTTP2(t *testing.T) {
	rec := &recorder{}
	f := rawHTTP2(t, startServer(t, Config{TLS: testTLS(t)}, rec))
	block := headers(t, ":method", "GET", ":scheme", "https", ":authority", "a", ":path", "/")
	if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndStream: true}); err != nil {
		t.Fatal(err)
	}
	more := headers(t, "x-filler", strings.Repeat("a", 12000))
	sent := 0
	var err error
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			if _, err := f.ReadFrame(); err != nil {
				return
			}
		}
	}()
	for ; err == nil && sent < 64<<20; sent += len(more) {
		err = f.WriteContinuation(1, false, more)
	}
	<-gone
	if err == nil || len(rec.take()) != 0 {
		t.Errorf("%d bytes of CONTINUATION were taken: %v", sent, err)
	}
	t.Logf("cut after %d KiB", sent>>10)
}

func TestShutdownReturnsOnlyWhenHandlersThatWereCutHaveEnded(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	entered := make(chan struct{})
	var recorded atomic.Bool
	s := New(Config{}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		time.Sleep(100 * time.Millisecond) // the outcome is being recorded
		recorded.Store(true)
	}))
	go func() { _ = s.Serve(l) }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// The byte behind keeps net/http from seeing that the connection ends.
	_, _ = io.WriteString(c, get("/a")+get("/b"))
	<-entered
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	begun := time.Now()
	if s.Shutdown(ctx) == nil || !recorded.Load() {
		t.Error("Shutdown did not wait for the handler that it cut")
	}
	if d := time.Since(begun); d > 3*time.Second {
		t.Errorf("took %v", d)
	}
}
