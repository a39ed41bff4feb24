package httpserve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// seen is one request as the handler saw it.
type seen struct{ method, path, query, host, body string }

// recorder is the oracle: it records every request that reaches the handler.
type recorder struct {
	mu   sync.Mutex
	reqs []seen
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, query := Target(req)
	r.mu.Lock()
	r.reqs = append(r.reqs, seen{req.Method, path, query, req.Host, string(Body(req))})
	r.mu.Unlock()
	_, _ = io.WriteString(w, "ok")
}

func (r *recorder) take() []seen {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.reqs
	r.reqs = nil
	return out
}

func startServer(t testing.TB, cfg Config, h http.Handler) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(cfg, h)
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// exchange sends raw, then ends its direction, and returns all answers.
func exchange(t testing.TB, addr string, raw string) []*http.Response {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	go func() {
		_, _ = io.WriteString(c, raw)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	data, err := io.ReadAll(c)
	if err != nil && len(data) == 0 {
		t.Fatalf("no answer: %v", err)
	}
	var out []*http.Response
	br := bufio.NewReader(bytes.NewReader(data))
	for {
		if _, err := br.Peek(1); err != nil {
			return out
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Fatalf("answer cannot be read: %v in %q", err, data)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatalf("answer cannot be read: %v in %q", err, data)
		}
		resp.Body = io.NopCloser(bytes.NewReader(body))
		out = append(out, resp)
	}
}

const marker = "GET /marker HTTP/1.1\r\nHost: gw.example\r\n\r\n"

type rawCase struct {
	name, raw string
	code      string // of the refusal; "" when the request is good
	want      seen   // when it is good
}

func get(target string) string { return "GET " + target + " HTTP/1.1\r\nHost: gw.example\r\n\r\n" }

func withHeader(lines string) string {
	return "GET /a HTTP/1.1\r\nHost: gw.example\r\n" + lines + "\r\n"
}

func post(lines, body string) string {
	return "POST /a HTTP/1.1\r\nHost: gw.example\r\n" + lines + "\r\n" + body
}

func rawCases() []rawCase {
	var cases []rawCase
	bad := func(code, name, raw string) { cases = append(cases, rawCase{name: name, raw: raw, code: code}) }
	good := func(name, raw string, want seen) {
		if want.host == "" {
			want.host = "gw.example"
		}
		cases = append(cases, rawCase{name: name, raw: raw, want: want})
	}

	for _, target := range []string{"//", "//a", "/a//b", "/a//", "/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b", "/a/../../b", "/%2e", "/%2E%2e/a",
		"/%2e%2e%2fa", "/a%2fb", "/a%2Fb", "/a%5cb", "/a%5Cb", "/a\\b", "/a%00b", "/a%0ab", "/a%0d%0ab", "/a%1fb", "/a%7fb", "/a;b", "/a;jsessionid=1", "/a%3bb", "/a%252fb", "/a%25",
		"/a%", "/a%4", "/a%zz", "/a%c0%af", "/a%c0%ae%c0%ae", "/a%ff", "/a%ed%a0%80", "/a<b", "/a>b", "/a\"b", "/a{b}", "/a|b", "/a^b", "/a`b", "/a[b]", "/a#b", "/a?b#c",
		"/a?x;y", "/a?x=1;y=2", "/a?x=%0", "/a?x=%zz", "/a?x=%00", "/a?x=\\", "/a?x=<", "/a?x={}", "/a?x=\"", "http://gw.example/a", "http://evil.example/a", "https://gw.example/a", "HTTP://gw.example/a",
		"gw.example:443", "*", "a", "?a", "../a", "/a/%2e%2e/b", "/a/.%2e/b", "/%61%2e"} {
		bad("SG-HTTP-TARGET", "target "+target, get(target))
	}
	for _, c := range []struct{ target, path, query string }{
		{"/", "/", ""}, {"/a", "/a", ""}, {"/a/", "/a/", ""}, {"/a/b%20c", "/a/b%20c", ""}, {"/%E4%B8%AD", "/%E4%B8%AD", ""}, {"/a.b/..c/d..", "/a.b/..c/d..", ""}, {"/...", "/...", ""},
		{"/a?", "/a", ""}, {"/a?x=1&&y=2", "/a", "x=1&&y=2"}, {"/a?x=/../b//", "/a", "x=/../b//"}, {"/a?x=%2e%2e%2f", "/a", "x=%2e%2e%2f"}, {"/a?x=a?b", "/a", "x=a?b"}, {"/a?x[]=1", "/a", "x[]=1"},
		{"/a!$&'()*+,=:@-_~b", "/a!$&'()*+,=:@-_~b", ""}, {"/a?http://evil.example/", "/a", "http://evil.example/"},
	} {
		good("target "+c.target, get(c.target), seen{method: "GET", path: c.path, query: c.query})
	}

	for _, line := range []string{"GET  /a HTTP/1.1", "GET /a  HTTP/1.1", " GET /a HTTP/1.1", "GET /a HTTP/1.1 ", "GET\t/a\tHTTP/1.1", "GET /a", "GET", "", "/a HTTP/1.1", "GET /a b HTTP/1.1", "GET /a http/1.1", "GET /a FTP/1.1",
		"G(T /a HTTP/1.1", "GE\x00T /a HTTP/1.1", "GET /a\x80 HTTP/1.1", "GET /a\xc3\xa9 HTTP/1.1", "GET /\x01 HTTP/1.1", "\x16\x03\x01\x02\x00\x01", "GET /a\tb HTTP/1.1", "GET /a HTTP/1.1\tx", "GET: /a HTTP/1.1", "\r\nGET /a HTTP/1.1"} {
		bad("SG-HTTP-SYNTAX", fmt.Sprintf("line %q", line), line+"\r\nHost: gw.example\r\n\r\n")
	}
	for _, version := range []string{"HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/1.10", "HTTP/11", "HTTP/1", "HTTP/1.1x", "HTTP/01.1"} {
		bad("SG-HTTP-VERSION", "version "+version, "GET /a "+version+"\r\nHost: gw.example\r\n\r\n")
	}
	bad("SG-HTTP-VERSION", "HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	for _, m := range []string{"CONNECT", "TRACE", "TRACK", "get", "Get", "PROPFIND", "FOO", "SG-REFUSED", "DEBUG", "GET_"} {
		bad("SG-HTTP-METHOD", "method "+m, m+" /a HTTP/1.1\r\nHost: gw.example\r\n\r\n")
	}
	bad("SG-HTTP-METHOD", "CONNECT with authority", "CONNECT gw.example:443 HTTP/1.1\r\nHost: gw.example:443\r\n\r\n")
	bad("SG-HTTP-METHOD", "forged stand-in", refusedHead)

	bad("SG-HTTP-SYNTAX", "bare LF everywhere", "GET /a HTTP/1.1\nHost: gw.example\n\n")
	bad("SG-HTTP-SYNTAX", "bare LF behind the request line", "GET /a HTTP/1.1\nHost: gw.example\r\n\r\n")
	bad("SG-HTTP-SYNTAX", "bare LF behind a field", "GET /a HTTP/1.1\r\nHost: gw.example\nX-A: b\r\n\r\n")
	bad("SG-HTTP-SYNTAX", "bare LF as the empty line", "GET /a HTTP/1.1\r\nHost: gw.example\r\n\n")
	bad("SG-HTTP-SYNTAX", "bare CR in a value", withHeader("X-A: b\rc\r\n"))
	bad("SG-HTTP-SYNTAX", "bare CR as the empty line", "GET /a HTTP/1.1\r\nHost: gw.example\r\n\rX: y\r\n\r\n")
	bad("SG-HTTP-SYNTAX", "CR CR LF", "GET /a HTTP/1.1\r\r\nHost: gw.example\r\n\r\n")
	bad("SG-HTTP-SYNTAX", "empty line before the request line", "\r\n"+get("/a"))
	for _, c := range []struct{ code, lines string }{
		{"SG-HTTP-SYNTAX", "X-A: b\r\n c\r\n"}, {"SG-HTTP-SYNTAX", "X-A: b\r\n\tc\r\n"}, {"SG-HTTP-SYNTAX", " X-A: b\r\n"}, {"SG-HTTP-SYNTAX", "\tX-A: b\r\n"},
		{"SG-HTTP-SYNTAX", "X-A : b\r\n"}, {"SG-HTTP-SYNTAX", "X-A\t: b\r\n"}, {"SG-HTTP-SYNTAX", "X A: b\r\n"}, {"SG-HTTP-SYNTAX", "X-A b\r\n"}, {"SG-HTTP-SYNTAX", ": b\r\n"},
		{"SG-HTTP-SYNTAX", "X@A: b\r\n"}, {"SG-HTTP-SYNTAX", "X(A): b\r\n"}, {"SG-HTTP-SYNTAX", "X-A: b\x00c\r\n"}, {"SG-HTTP-SYNTAX", "X-A: b\x7f\r\n"}, {"SG-HTTP-SYNTAX", "X-A: \x85\r\n"},
		{"SG-HTTP-SYNTAX", "X-A: \xa0b\r\n"}, {"SG-HTTP-SYNTAX", "X-A: 中文\r\n"}, {"SG-HTTP-SYNTAX", "X-\xc3\xa9: b\r\n"}, {"SG-HTTP-SYNTAX", "X-A: \x0bb\r\n"}, {"SG-HTTP-SYNTAX", "X-A: \x1b[0m\r\n"}, {"SG-HTTP-SYNTAX", "X\x00A: b\r\n"},
		{"SG-HTTP-HEADER", "X_SG_App: x\r\n"}, {"SG-HTTP-HEADER", "X_Client: x\r\n"}, {"SG-HTTP-HEADER", "X-SG_App: x\r\n"}, {"SG-HTTP-HEADER", "Content_Length: 5\r\n"}, {"SG-HTTP-HEADER", "Transfer_Encoding: chunked\r\n"}, {"SG-HTTP-HEADER", "Host_: x\r\n"},
		{"SG-HTTP-HEADER", "Host: gw.example\r\n"}, {"SG-HTTP-HEADER", "host: evil.example\r\n"}, {"SG-HTTP-SYNTAX", "HOST : evil.example\r\n"},
		{"SG-HTTP-HEADER", "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"}, {"SG-HTTP-HEADER", "Upgrade: websocket\r\n"}, {"SG-HTTP-HEADER", "Connection: upgrade\r\n"}, {"SG-HTTP-HEADER", "HTTP2-Settings: AAAA\r\n"},
		{"SG-HTTP-HEADER", "Connection: X-SG-App\r\n"}, {"SG-HTTP-HEADER", "Connection: close, X-SG-Time\r\n"}, {"SG-HTTP-HEADER", "Connection: Content-Length\r\n"}, {"SG-HTTP-HEADER", "Proxy-Connection: x-sg-sign\r\n"},
		{"SG-HTTP-HEADER", "Trailer: X-SG-App\r\n"}, {"SG-HTTP-HEADER", "TE: gzip\r\n"}, {"SG-HTTP-EXPECT", "Expect: 200-ok\r\n"}, {"SG-HTTP-EXPECT", "Expect: 100-continue, x\r\n"},
		{"SG-HTTP-HEADER", "Content-Type: a/b\r\nContent-Type: c/d\r\n"}, {"SG-HTTP-HEADER", "Authorization: a\r\nAuthorization: b\r\n"}, {"SG-HTTP-HEADER", "X-SG-App: a\r\nx-sg-app: b\r\n"}, {"SG-HTTP-HEADER", "X-SG-Nonce: a\r\nX-SG-Nonce: a\r\n"},
		{"SG-HTTP-BODY", "Content-Length: 5\r\n"}, {"SG-HTTP-BODY", "Transfer-Encoding: chunked\r\n"},
		{"SG-HTTP-HEADER-TOO-LARGE", strings.Repeat("X-A: b\r\n", 101)}, {"SG-HTTP-HEADER-TOO-LARGE", "X-A: " + strings.Repeat("b", 17<<10) + "\r\n"},
	} {
		name := c.lines
		if len(name) > 60 {
			name = name[:60]
		}
		bad(c.code, fmt.Sprintf("field %q", name), withHeader(c.lines))
	}
	bad("SG-HTTP-HEADER-TOO-LARGE", "endless request line", "GET /"+strings.Repeat("a", 20<<10))
	bad("SG-HTTP-HEADER", "no Host", "GET /a HTTP/1.1\r\nX-A: b\r\n\r\n")
	for _, host := range []string{"", " ", "a@b", "user:pw@gw.example", "gw.example/a", "gw.example?x", "gw.example#x", "gw.example:", "gw.example:x", "gw.example:123456", "gw.example:80:80", "gw.example, evil.example", "[::1", "[::g]", "[]", "..", ".a", "a..b", "%67w.example", "gw example", "[::1]x"} {
		bad("SG-HTTP-HEADER", fmt.Sprintf("host %q", host), "GET /a HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
	}
	for _, host := range []string{"gw.example:8443", "127.0.0.1:1", "[::1]:8443", "GW.Example", "a_b.example"} {
		good("host "+host, "GET /a HTTP/1.1\r\nHost: "+host+"\r\n\r\n", seen{method: "GET", path: "/a", host: host})
	}
	for _, lines := range []string{"X-A:b\r\n", "X-A:\r\n", "X-A:   b\t\r\n", "x-a: b\r\nX-A: c\r\n", "Connection: keep-alive\r\n", "TE: trailers\r\nConnection: TE\r\n", "Accept: */*\r\nCookie: a=b; c=\"d\"\r\n", "Content-Length: 0\r\n", "X-!#$%&'*+.^`|~1: v\r\n"} {
		good(fmt.Sprintf("field %q", lines), withHeader(lines), seen{method: "GET", path: "/a"})
	}

	for _, c := range []struct{ code, lines, body string }{
		{"SG-HTTP-FRAMING", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", "0\r\n\r\n"},
		{"SG-HTTP-FRAMING", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 5, 5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: +5\r\n", "hello"},
		{"SG-HTTP-FRAMING", "Content-Length: -5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 0x5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 5 5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 05\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: \r\n", "hello"},
		{"SG-HTTP-FRAMING", "Content-Length: 5.0\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 99999999999999999999\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 5\r\ncontent-length: 5\r\n", "hello"}, {"SG-HTTP-FRAMING", "Content-Length: 1_0\r\n", "hello"},
		{"SG-HTTP-FRAMING", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: identity\r\n", ""}, {"SG-HTTP-FRAMING", "Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"},
		{"SG-HTTP-FRAMING", "Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: chunked;q=1\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: \"chunked\"\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding:\r\n", "0\r\n\r\n"}, {"SG-HTTP-FRAMING", "Transfer-Encoding: ,chunked\r\n", "0\r\n\r\n"},
		{"SG-HTTP-SYNTAX", "Transfer-Encoding : chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-SYNTAX", "Transfer-Encoding:\r\n chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-SYNTAX", "Transfer-Encoding: \x0bchunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-SYNTAX", "X: y\rTransfer-Encoding: chunked\r\n", "0\r\n\r\n"}, {"SG-HTTP-SYNTAX", "Transfer-Encoding\x00: chunked\r\n", "0\r\n\r\n"},
		{"SG-HTTP-BODY-TOO-LARGE", "Content-Length: 1048577\r\n", ""},
	} {
		bad(c.code, fmt.Sprintf("framing %q", c.lines), post(c.lines, c.body))
	}
	for _, body := range []string{"5;ext=1\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-1\r\n\r\n", "g\r\n", "\r\nhello\r\n0\r\n\r\n",
		"05\r\nhello\r\n0\r\n\r\n", "00\r\n\r\n", "123456789\r\n", "5\r\nhello\r\n0\r\nX-SG-App: x\r\n\r\n", "5\r\nhello\r\n0\r\n\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0;x\r\n\r\n", "5\r\rhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\n\rX", "5\r\nhello\r\n\r\n0\r\n\r\n", "fffffffff\r\n"} {
		bad("SG-HTTP-BODY", fmt.Sprintf("chunks %q", body), post("Transfer-Encoding: chunked\r\n", body))
	}
	good("length 5", post("Content-Length: 5\r\n", "hello"), seen{method: "POST", path: "/a", body: "hello"})
	good("length 0", post("Content-Length: 0\r\n", ""), seen{method: "POST", path: "/a"})
	good("POST without length", post("", ""), seen{method: "POST", path: "/a"})
	good("body that looks like a request", post("Content-Length: 42\r\n", marker), seen{method: "POST", path: "/a", body: marker})
	good("chunks", post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"), seen{method: "POST", path: "/a", body: "hello0123456789"})
	good("chunks in capitals", post("TRANSFER-ENCODING: Chunked\r\n", "a\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\n\r\n"), seen{method: "POST", path: "/a", body: "\r\n\r\n\r\n\r\n\r\n"})
	good("empty chunks", post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), seen{method: "POST", path: "/a"})
	good("PUT", "PUT /a HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 1\r\n\r\nx", seen{method: "PUT", path: "/a", body: "x"})
	good("DELETE without body", "DELETE /a HTTP/1.1\r\nHost: gw.example\r\n\r\n", seen{method: "DELETE", path: "/a"})
	bad("SG-HTTP-BODY", "DELETE with body", "DELETE /a HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 1\r\n\r\nx")
	bad("SG-HTTP-BODY", "HEAD with body", "HEAD /a HTTP/1.1\r\nHost: gw.example\r\nContent-Length: 1\r\n\r\nx")
	bad("SG-HTTP-BODY", "OPTIONS with body", "OPTIONS /a HTTP/1.1\r\nHost: gw.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
	return cases
}

// TestEveryRawRequestIsRefusedOrSeenExactlyOnce puts a marker request behind
// every case: behind a refused one it must not be seen, behind a good one it
// must be the next thing that is.
func TestEveryRawRequestIsRefusedOrSeenExactlyOnce(t *testing.T) {
	rec := &recorder{}
	var mu sync.Mutex
	var refused []string
	addr := startServer(t, Config{OnRefuse: func(code string) { mu.Lock(); refused = append(refused, code); mu.Unlock() }}, rec)
	cases := rawCases()
	if len(cases) < 250 {
		t.Errorf("only %d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			rec.take()
			refused = nil
			answers := exchange(t, addr, c.raw+marker)
			got := rec.take()
			if c.code == "" {
				want := []seen{c.want, {"GET", "/marker", "", "gw.example", ""}}
				if fmt.Sprint(got) != fmt.Sprint(want) || len(answers) != 2 || answers[0].StatusCode != 200 || answers[1].StatusCode != 200 {
					t.Errorf("got  %q\nwant %q\nanswers %d", got, want, len(answers))
				}
				return
			}
			if len(got) != 0 {
				t.Errorf("a refused request was seen: %q", got)
			}
			checkRefusal(t, answers, c.code)
			mu.Lock()
			defer mu.Unlock()
			if len(refused) != 1 || refused[0] != c.code {
				t.Errorf("counted %v, want %s once", refused, c.code)
			}
		})
	}
}

func checkRefusal(t *testing.T, answers []*http.Response, code string) {
	t.Helper()
	if len(answers) != 1 {
		t.Fatalf("got %d answers, want one problem document", len(answers))
	}
	resp := answers[0]
	var doc struct {
		Code, DetailZH string
		Status         int
		RequestID      string `json:"request_id"`
	}
	body, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(body, &doc); err != nil {
		t.Fatalf("no problem document: %v in %q", err, body)
	}
	if doc.Code != code || doc.Status != resp.StatusCode || !resp.Close {
		t.Errorf("got %s, status %d, close %v; want %s and close", doc.Code, resp.StatusCode, resp.Close, code)
	}
	if resp.Header.Get("Content-Type") != "application/problem+json" || doc.RequestID == "" || doc.RequestID != resp.Header.Get("X-SG-Request-Id") {
		t.Errorf("header %v", resp.Header)
	}
}

func TestRefusalKeepsItsPlaceBehindPipelinedAnswers(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{}, rec)
	answers := exchange(t, addr, get("/1")+post("Content-Length: 3\r\n", "abc")+get("/a//b")+marker)
	got := rec.take()
	if len(got) != 2 || got[0].path != "/1" || got[1].body != "abc" {
		t.Errorf("seen %q", got)
	}
	if len(answers) != 3 || answers[0].StatusCode != 200 || answers[1].StatusCode != 200 || answers[2].StatusCode != 400 {
		t.Errorf("got %d answers", len(answers))
	}
}

func TestRequestsArriveWholeHoweverTheBytesAreSplit(t *testing.T) {
	rec := &recorder{}
	addr := startServer(t, Config{}, rec)
	raw := get("/1") + post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n") + post("Content-Length: 3\r\n", "abc") + get("/2")
	for _, size := range []int{1, 2, 3, 7, 64} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(raw); i += size {
			if _, err := io.WriteString(c, raw[i:min(i+size, len(raw))]); err != nil {
				t.Fatal(err)
			}
			if size < 3 {
				time.Sleep(50 * time.Microsecond)
			}
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(c)
		_ = c.Close()
		got := fmt.Sprint(rec.take())
		if want := "[{GET /1  gw.example } {POST /a  gw.example hello!} {POST /a  gw.example abc} {GET /2  gw.example }]"; got != want {
			t.Errorf("split by %d: got %s", size, got)
		}
	}
}
