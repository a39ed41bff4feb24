package httpserve

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// refusedMethod is the method of the request that stands in for a refused
// head. checkMethod refuses it from a client.
const refusedMethod = "SG-REFUSED"

const refusedHead = refusedMethod + " / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n"

const (
	// lingerTime and lingerBytes bound the reading of what a refused client
	// still sends, so that its system does not throw our answer away because
	// of a reset (RFC 9112 section 9.6).
	lingerTime  = 300 * time.Millisecond
	lingerBytes = 256 << 10
)

type connState int

const (
	atHead    connState = iota // the next byte begins or continues a request head
	inBody                     // inside a body of known length
	inChunks                   // inside a chunked body
	isRefused                  // the stand-in head was handed out; nothing follows
	isBroken                   // the framing of a body broke; nothing follows
)

// conn lets net/http read only what was checked. Its Read may be interrupted
// by a deadline at any byte and goes on where it stopped. Like net/http, it is
// read by one goroutine at a time.
type conn struct {
	net.Conn
	maxHead  int
	headTime time.Duration // from a head's first byte to its last

	base64Under []string // see Config

	buf     []byte // read from the wire and not yet handed out: buf[start:]
	start   int
	ready   int // how much of buf[start:] was checked and may be handed out
	scanned int // how much of buf[start:] endOfHead has seen

	state   connState
	left    int64 // of a body of known length, behind what is ready
	chunks  chunkReader
	refusal *Refusal // set before the stand-in head is handed out

	linger atomic.Bool // Close reads on for a moment first; Close may come from another goroutine

	mu       sync.Mutex
	deadline time.Time // for reads, as net/http wants it
	headEnds time.Time // when the head that has begun must be complete; zero: none has begun
	serving  bool      // a handler has the request; nothing is being waited for
}

func newConn(c net.Conn, maxHead int, headTime time.Duration, base64Under []string) *conn {
	return &conn{Conn: c, maxHead: maxHead, headTime: headTime, base64Under: base64Under}
}

// Read hands out checked bytes.
func (c *conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.ready == 0 {
		if err := c.advance(); err != nil {
			return 0, err
		}
	}
	n := copy(p, c.buf[c.start:c.start+c.ready])
	c.start += n
	c.ready -= n
	if c.start == len(c.buf) {
		c.buf, c.start = c.buf[:0], 0
	}
	return n, nil
}

// advance checks more bytes, reading from the wire when it must. It returns
// without error when it made progress of any kind.
func (c *conn) advance() error {
	pending := c.buf[c.start:]
	switch c.state {
	case isRefused:
		return io.EOF
	case isBroken:
		return errBody
	case atHead:
		end, r := endOfHead(pending, c.scanned)
		if r == nil && end > c.maxHead || r == nil && end == 0 && len(pending) >= c.maxHead {
			r = refuse("SG-HTTP-HEADER-TOO-LARGE", "请求行与首部之和超过上限", "request line and header fields together exceed the limit")
		}
		if r != nil {
			c.standIn(r)
			return nil
		}
		if end == 0 {
			if c.scanned = len(pending); c.scanned > 0 {
				c.beginHead()
			}
			return c.fill()
		}
		c.endHead()
		h, r := parseHead(pending[:end], c.base64Under)
		if r != nil {
			c.standIn(r)
			return nil
		}
		c.scanned = 0
		c.ready = end
		switch {
		case h.chunked:
			c.state, c.chunks = inChunks, chunkReader{}
		case h.length > 0:
			c.state, c.left = inBody, h.length
		}
		return nil
	case inBody:
		if len(pending) == 0 {
			return c.fill()
		}
		n := min(int64(len(pending)), c.left)
		c.ready = int(n)
		if c.left -= n; c.left == 0 {
			c.state = atHead
		}
		return nil
	default: // inChunks
		if len(pending) == 0 {
			return c.fill()
		}
		n, done, ok := c.chunks.next(pending)
		if !ok {
			c.state = isBroken
			c.linger.Store(true)
			return errBody
		}
		c.ready = n
		if done {
			c.state = atHead
		}
		return nil
	}
}

// standIn replaces the head that was refused, and all behind it, by the
// request that the handler answers with the refusal.
func (c *conn) standIn(r *Refusal) {
	c.refusal = r
	c.state = isRefused
	c.linger.Store(true)
	c.buf = append(c.buf[:0], refusedHead...)
	c.start, c.ready = 0, len(refusedHead)
}

// fill reads once from the wire. A deadline changes nothing.
func (c *conn) fill() error {
	if c.start > 0 {
		c.buf = c.buf[:copy(c.buf, c.buf[c.start:])]
		c.start = 0
	}
	if cap(c.buf)-len(c.buf) < 512 {
		grown := make([]byte, len(c.buf), max(4096, 2*cap(c.buf)))
		copy(grown, c.buf)
		c.buf = grown
	}
	n, err := c.Conn.Read(c.buf[len(c.buf):cap(c.buf)])
	c.buf = c.buf[:len(c.buf)+n]
	if n > 0 {
		return nil // an error that came along comes again
	}
	return err
}

// beginHead starts the clock of a head of which only a part has come. net/http
// cannot: between two requests it waits for the first bytes under its idle
// time-out, and sees none of ours before the head is whole.
func (c *conn) beginHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.headEnds.IsZero() {
		c.headEnds = time.Now().Add(c.headTime)
		_ = c.apply() // a connection that takes no deadline is closed: the next read says so
	}
}

func (c *conn) endHead() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.headEnds.IsZero() {
		c.headEnds = time.Time{}
		_ = c.apply()
	}
}

// serve tells that a handler has the request, all of it, until the function
// returned is called. The clock of a head that begins behind it stands still:
// net/http would take its end for the client's going away and cancel the
// request.
func (c *conn) serve() (done func()) {
	set := func(serving bool) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.serving = serving; !c.headEnds.IsZero() {
			_ = c.apply()
		}
	}
	set(true)
	return func() { set(false) }
}

// apply puts the earlier of the two deadlines on the wire; c.mu is held.
func (c *conn) apply() error {
	t := c.deadline
	if !c.serving && !c.headEnds.IsZero() && (t.IsZero() || t.After(c.headEnds)) {
		t = c.headEnds
	}
	return c.Conn.SetReadDeadline(t)
}

// SetReadDeadline is net/http's; see apply.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return c.apply()
}

// SetDeadline is net/http's; see apply.
func (c *conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// CloseWrite ends our direction only, if the connection can.
func (c *conn) CloseWrite() error {
	if cw, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return cw.CloseWrite()
	}
	return nil
}

// Close lingers for a moment behind a refusal, see lingerTime.
func (c *conn) Close() error {
	if c.linger.Load() {
		if c.CloseWrite() == nil {
			_ = c.Conn.SetReadDeadline(time.Now().Add(lingerTime))
			// Whatever comes is thrown away; how it ends does not matter.
			_, _ = io.CopyN(io.Discard, c.Conn, lingerBytes)
		}
	}
	return c.Conn.Close()
}

// holdsConn lets ConnContext find the checked connection.
type holdsConn interface{ checked() *conn }

func (c *conn) checked() *conn { return c }

// tlsConn is a checked HTTP/1.1 connection inside TLS. net/http takes the TLS
// state from ConnectionState.
type tlsConn struct {
	*conn
	tls *tls.Conn
}

func (c tlsConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

type connKey struct{}
