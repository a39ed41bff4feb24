package testenv

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// What the hostile upstream's answers are about: the fields its interface
// declares, what a test grants of them, and the values that must and must not
// arrive.
const (
	HostileControl = "control-note-对照" // stands at data.note, which is granted: must arrive with an Answered case
	HostileID      = "220102198001010011"
)

// HostileKinds are the fields of the interface with their kinds.
func HostileKinds() map[string]string {
	return map[string]string{"code": "", "data.note": "", "data.name": "name", "data.idCard": "resident_id",
		"data.list[*].name": "name", "data.list[*].note": "", "data.secret": "other"}
}

// HostileGrant is what a test grants (path to action).
func HostileGrant() map[string]string {
	return map[string]string{"code": "show", "data.note": "show", "data.name": "mask", "data.idCard": "mask",
		"data.list[*].name": "mask", "data.list[*].note": "show"}
}

// HostileCanaries are the values that no client may see, in a body, a header or
// a trailer.
func HostileCanaries() []string {
	return []string{HostileID, "13912340000", "CANARY-7f3a", "张canary", "6222021000000000009"}
}

// Outcome is what a client of the gateway may see of one behaviour. No canary
// may be seen in any of them.
type Outcome string

// The outcomes.
const (
	Answered Outcome = "answered" // 200, complete, with the control value
	Withheld Outcome = "withheld" // a problem document with status 502 or 504, nothing of the answer
	TimedOut Outcome = "timeout"  // a problem document with status 504
	Broken   Outcome = "broken"   // withheld, or begun and then broken off: never a clean end
	Either   Outcome = "either"   // answered or withheld
)

// HostileCase is one behaviour of the upstream.
type HostileCase struct {
	Name string // the path is "/" + Name
	What string
	Want Outcome

	// NoCanary marks the few behaviours whose bytes hold no canary.
	NoCanary bool

	serve func(c *hostileConn)
}

// Check says whether what a client saw is what may be seen. readErr is the
// error of reading the body to its end.
func (c HostileCase) Check(status int, header, trailer http.Header, body []byte, readErr error) error {
	var text bytes.Buffer
	header.Write(&text)
	trailer.Write(&text)
	text.Write(body)
	var v any
	if json.Unmarshal(body, &v) == nil {
		fmt.Fprintf(&text, "%v", v) // the same without escapes
	}
	for _, canary := range HostileCanaries() {
		if strings.Contains(text.String(), canary) {
			return fmt.Errorf("%s: the client saw %s", c.Name, canary)
		}
	}
	answered := status == 200 && readErr == nil && strings.Contains(text.String(), HostileControl)
	withheld := (status == 502 || status == 504) && readErr == nil && strings.HasPrefix(header.Get("Content-Type"), "application/problem+json")
	ok := false
	switch c.Want {
	case Answered:
		ok = answered
	case Withheld:
		ok = withheld
	case TimedOut:
		ok = withheld && status == 504
	case Broken:
		ok = withheld || readErr != nil
	case Either:
		ok = answered || withheld
	}
	if !ok {
		return fmt.Errorf("%s (%s): status %d, %d bytes, %v; want it %s", c.Name, c.What, status, len(body), readErr, c.Want)
	}
	return nil
}

// Hostile is an upstream on loopback that misbehaves by path. It speaks to the
// socket itself, because a well-made server cannot misbehave in most of these ways.
type Hostile struct {
	URL string // http://127.0.0.1:port

	mu       sync.Mutex
	requests map[string]int
	stop     chan struct{}
}

// StartHostile starts the upstream and stops it with the test.
func StartHostile(t testing.TB) *Hostile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &Hostile{URL: "http://" + l.Addr().String(), requests: map[string]int{}, stop: make(chan struct{})}
	cases := map[string]HostileCase{}
	for _, c := range HostileCases() {
		cases[c.Name] = c
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { h.serve(conn, cases) })
		}
	})
	t.Cleanup(func() {
		close(h.stop)
		l.Close()
		wg.Wait()
	})
	return h
}

// Requests returns how often the case was asked for.
func (h *Hostile) Requests(name string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.requests[name]
}

func (h *Hostile) serve(conn net.Conn, cases map[string]HostileCase) {
	defer conn.Close()
	done := make(chan struct{})
	defer close(done)
	go func() { // a behaviour that hangs ends with the test or with its connection
		select {
		case <-h.stop:
			conn.Close()
		case <-done:
		}
	}()
	in := bufio.NewReader(conn)
	for {
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		name := strings.TrimPrefix(r.URL.Path, "/")
		c, ok := cases[name]
		h.mu.Lock()
		h.requests[name]++
		h.mu.Unlock()
		hc := &hostileConn{Conn: conn, in: in, request: r, stop: h.stop}
		if !ok {
			hc.write("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
			continue
		}
		c.serve(hc)
		if hc.closed {
			return
		}
	}
}

// hostileConn is one exchange. Behaviours write what they like.
type hostileConn struct {
	net.Conn
	in      *bufio.Reader
	request *http.Request
	stop    chan struct{}
	closed  bool
}

// write sends raw bytes and reports whether the peer still takes them.
func (c *hostileConn) write(s string) bool {
	c.SetWriteDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write([]byte(s)); err != nil {
		c.closed = true
		return false
	}
	return true
}

// answer sends a head with Content-Length and the body.
func (c *hostileConn) answer(status, head, body string) {
	c.write(fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s", status, head, len(body), body))
}

// json sends a well-formed 200 with a JSON content type.
func (c *hostileConn) json(body string) { c.answer("200 OK", jsonType, body) }

// chunks sends a chunked 200 head, the pieces, and the end.
func (c *hostileConn) chunks(pieces ...string) {
	c.write("HTTP/1.1 200 OK\r\n" + jsonType + "Transfer-Encoding: chunked\r\n\r\n")
	for _, p := range pieces {
		c.write(fmt.Sprintf("%x\r\n%s\r\n", len(p), p))
	}
	c.write("0\r\n\r\n")
}

// forever repeats a piece until the peer has had enough.
func (c *hostileConn) forever(piece string) {
	for c.write(piece) {
	}
}

// close ends the connection.
func (c *hostileConn) close() { c.closed = true }

// reset ends it with RST.
func (c *hostileConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	c.closed = true
}

// hang says nothing more until the peer goes away.
func (c *hostileConn) hang() {
	c.closed = true
	c.SetReadDeadline(time.Time{})
	_, err := c.in.ReadByte()
	for err == nil {
		_, err = c.in.ReadByte()
	}
}

// drip sends a piece every few milliseconds until the peer goes away.
func (c *hostileConn) drip(piece string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for c.write(piece) {
		select {
		case <-tick.C:
		case <-c.stop:
			c.closed = true
			return
		}
	}
}
