package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// rawUpstream answers each request on a connection by what answer writes;
// answer gets the number of the connection and of the request on it.
func rawUpstream(t *testing.T, answer func(c net.Conn, conn, req int)) (u *url.URL, requests *atomic.Int32) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	requests = new(atomic.Int32)
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				br := bufio.NewReader(c)
				for i := 0; ; i++ {
					req, err := http.ReadRequest(br)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					requests.Add(1)
					answer(c, n, i)
				}
			}()
		}
	}()
	u, err = url.Parse("http://" + l.Addr().String() + "/a")
	if err != nil {
		t.Fatal(err)
	}
	return u, requests
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func ask(t *testing.T, rt http.RoundTripper, method string, u *url.URL, body string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	resp, err := roundTrip(ctx, rt, method, u, http.Header{}, []byte(body))
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

func TestKeptAliveConnectionThatDiedIdleIsReplacedWithoutASecondRequest(t *testing.T) {
	for _, method := range []string{"GET", "POST"} {
		u, requests := rawUpstream(t, func(c net.Conn, _, _ int) {
			_, _ = io.WriteString(c, okAnswer)
			_ = c.Close()
		})
		rt := NewTransport()
		for i := range 15 {
			if got, err := ask(t, rt, method, u, strings.Repeat("x", i%2)); err != nil || got != "ok" {
				t.Fatalf("%s %d: %q %v", method, i, got, err)
			}
			time.Sleep(20 * time.Millisecond) // the close arrives; a request crossing it on the wire could not be told apart
		}
		if n := requests.Load(); n != 15 {
			t.Errorf("%s: 15 calls made %d requests", method, n)
		}
	}
}

// What arrives behind an answer before the next request is written answers
// nobody. (What arrives after it was written cannot be told from its answer;
// an upstream that does that could as well answer wrongly at once.)
func TestBytesThatPrecedeTheirRequestAreNeverItsAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	pair := func(extra func(c net.Conn)) *upstreamConn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		peer, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = c.Close(), peer.Close() })
		extra(peer)
		time.Sleep(5 * time.Millisecond) // until it has arrived
		return &upstreamConn{Conn: c}
	}
	poison := func(c net.Conn) { _, _ = io.WriteString(c, okAnswer) }

	c := pair(poison)
	c.taken.Store(true)
	if n, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); n != 0 || !errors.Is(err, errStale) || c.written.Load() != 0 {
		t.Errorf("written to a connection that holds bytes: %d %v", n, err)
	}
	if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, errStale) {
		t.Errorf("the bytes were handed out: %d %v", n, err)
	}
	c = pair(func(peer net.Conn) { _ = peer.Close() })
	c.taken.Store(true)
	if n, err := c.Write([]byte("x")); n != 0 || !errors.Is(err, errStale) {
		t.Errorf("written to a connection that the upstream closed: %d %v", n, err)
	}
	c = pair(func(net.Conn) {})
	c.taken.Store(true)
	if n, err := c.Write([]byte("x")); n != 1 || err != nil || c.written.Load() != 1 {
		t.Errorf("a clean connection was refused: %d %v", n, err)
	}
	c = pair(poison) // a connection in use: its answer may come at any time
	if n, err := c.Write([]byte("x")); n != 1 || err != nil {
		t.Errorf("an early answer was refused: %d %v", n, err)
	}
	if n, err := c.Read(make([]byte, 100)); n != len(okAnswer) || err != nil {
		t.Errorf("an early answer was dropped: %d %v", n, err)
	}
}

func TestRequestThatWasWrittenIsNotSentAgain(t *testing.T) {
	u, requests := rawUpstream(t, func(c net.Conn, _, req int) {
		if req == 0 {
			_, _ = io.WriteString(c, okAnswer)
			return
		}
		_ = c.Close() // it was read, maybe acted upon, and never answered
	})
	rt := NewTransport()
	for range 2 {
		_, _ = ask(t, rt, "GET", u, "")
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("2 calls made %d requests", n)
	}
}
