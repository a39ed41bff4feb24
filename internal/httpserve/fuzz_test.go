package httpserve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// FuzzHead: the checker never panics; its verdict does not depend on how the
// bytes arrive; and a head that it accepts is accepted by net/http with the
// same method, target, host and framing.
func FuzzHead(f *testing.F) {
	for _, c := range rawCases() {
		if len(c.raw) < 2000 {
			f.Add([]byte(c.raw))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		end, r := endOfHead(b, 0)
		stepEnd, stepRef := 0, (*Refusal)(nil)
		for i := 1; i <= len(b) && stepEnd == 0 && stepRef == nil; i++ {
			stepEnd, stepRef = endOfHead(b[:i], i-1)
		}
		if stepEnd != end || (stepRef == nil) != (r == nil) {
			t.Fatalf("whole: %d %v; byte by byte: %d %v", end, r, stepEnd, stepRef)
		}
		if r != nil || end == 0 {
			return
		}
		h, r := parseHead(b[:end], nil)
		if r != nil {
			return
		}
		req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b[:end])))
		if err != nil {
			t.Fatalf("net/http refuses what was accepted: %v\n%q", err, b[:end])
		}
		length := h.length
		if h.chunked {
			length = -1
		}
		if req.Method != h.method || req.RequestURI != h.target || req.Host != h.host || req.ContentLength != length {
			t.Fatalf("net/http reads another request: %+v\nwant %+v", req, h)
		}
		if err := checkRequest(req, nil); err != nil {
			switch err.(*Refusal).code {
			case cHeader: // repeated X-SG-* and folding by net/http
			default:
				t.Fatalf("the second check differs: %v\n%q", err, b[:end])
			}
		}
	})
}

// FuzzConn: what comes out of a connection is what went in, up to the first
// refusal, and nothing behind it; a body is never read as a head.
func FuzzConn(f *testing.F) {
	f.Add([]byte(get("/a")+marker), 1)
	f.Add([]byte(post("Content-Length: 3\r\n", "abc")+marker), 2)
	f.Add([]byte(post("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n\r\n")+get("/a//b")), 3)
	f.Add([]byte(post("Transfer-Encoding: chunked\r\n", "3\r\nabcX")), 5)
	f.Fuzz(func(t *testing.T, in []byte, size int) {
		if size < 1 {
			size = 1
		}
		c := newConn(&scriptConn{in: in, size: size}, 16<<10, time.Minute, nil)
		var out bytes.Buffer
		p := make([]byte, 1+size%700)
		for {
			n, err := c.Read(p)
			out.Write(p[:n])
			if err != nil {
				break
			}
		}
		got := out.Bytes()
		if c.refusal != nil {
			if !bytes.HasSuffix(got, []byte(refusedHead)) {
				t.Fatalf("no stand-in: %q", got)
			}
			got = got[:len(got)-len(refusedHead)]
		}
		if !bytes.HasPrefix(in, got) {
			t.Fatalf("bytes were changed: %q\nfrom %q", got, in)
		}
		// net/http must find whole requests in what came out.
		br := bufio.NewReader(bytes.NewReader(got))
		for {
			if _, err := br.Peek(1); err != nil {
				return
			}
			req, err := http.ReadRequest(br)
			if err != nil {
				t.Fatalf("net/http cannot read on: %v\n%q", err, got)
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return // cut inside the body
			}
		}
	})
}

// scriptConn delivers its input in pieces of a given size.
type scriptConn struct {
	net.Conn
	in   []byte
	size int
}

func (s *scriptConn) Read(p []byte) (int, error) {
	if len(s.in) == 0 {
		return 0, io.EOF
	}
	n := copy(p[:min(len(p), s.size)], s.in)
	s.in = s.in[n:]
	return n, nil
}

func (s *scriptConn) SetReadDeadline(time.Time) error { return nil }

// FuzzPath: an accepted path means the same after it was decoded, cleaned and
// split by the rules of others.
func FuzzPath(f *testing.F) {
	for _, p := range []string{"/", "/a/b%20c", "/%E4%B8%AD", "/a//b", "/a/../b", "/%2e%2e", "/a%2fb", "/a;b", "/a%c0%af"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if CheckPath(path) != nil {
			return
		}
		dec := decodePercent(path)
		if strings.Count(dec, "/") != strings.Count(path, "/") || strings.ContainsAny(dec, "\\;\x00%") || strings.Contains(dec, "//") {
			t.Fatalf("%q becomes %q", path, dec)
		}
		for seg := range strings.SplitSeq(dec, "/") {
			if seg == "." || seg == ".." {
				t.Fatalf("%q becomes %q", path, dec)
			}
		}
		u, err := http.NewRequest("GET", "http://gw.example"+path, nil)
		if err != nil || u.URL.Path != dec {
			t.Fatalf("net/url reads %q as %v", path, fmt.Sprint(u))
		}
	})
}
