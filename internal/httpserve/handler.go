package httpserve

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sealgate/sealgate/internal/problem"
)

type requestKey struct{}

// headerRequestID is X-SG-Request-Id in net/http's spelling.
const headerRequestID = "X-Sg-Request-Id"

// request is what this package knows about a request beyond *http.Request.
type request struct {
	id    string
	body  []byte
	taken int64 // of the memory for bodies
}

// RequestID returns the id that the server gave the request of ctx: 32 hex
// digits, unpredictable. It stands in the response header X-SG-Request-Id, in
// problem documents, logs and audit records.
func RequestID(ctx context.Context) string {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r.id
	}
	return ""
}

// Body returns the complete body. The caller does not change it.
func Body(r *http.Request) []byte {
	if q, ok := r.Context().Value(requestKey{}).(*request); ok {
		return q.body
	}
	return nil
}

// Target returns path and query as they were sent, neither decoded nor
// cleaned. Routing, policy, signature and upstream all use this path.
func Target(r *http.Request) (path, query string) {
	path, query, _ = strings.Cut(r.RequestURI, "?")
	return path, query
}

type handler struct {
	cfg     Config
	next    http.Handler
	running atomic.Int64
	bodies  atomic.Int64 // bytes

	mu   sync.Mutex
	busy int
	per  map[netip.Addr]int
}

func newHandler(cfg Config, next http.Handler) *handler {
	return &handler{cfg: cfg, next: next, per: map[netip.Addr]int{}}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.running.Add(1)
	defer h.running.Add(-1)
	q := &request{id: newRequestID()}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	w.Header()[headerRequestID] = []string{q.id}
	defer func() { h.bodies.Add(-q.taken) }()
	if err := h.check(r, q); err != nil {
		h.cfg.OnRefuse(answer(w, r, err))
		return
	}
	leave, ok := h.enter(client(r.RemoteAddr))
	if !ok {
		h.cfg.OnRefuse("SG-STOP-OVERLOAD")
		problem.Write(w, problem.New("SG-STOP-OVERLOAD", q.id))
		return
	}
	defer leave()
	if c, ok := r.Context().Value(connKey{}).(*conn); ok {
		defer c.serve()()
	}
	tw := &trackedWriter{ResponseWriter: w}
	defer func() {
		v := recover()
		if v == nil {
			return
		}
		if err, ok := v.(error); ok && errors.Is(err, http.ErrAbortHandler) {
			panic(http.ErrAbortHandler) // the handler cuts the answer on purpose
		}
		h.cfg.Log.ErrorContext(r.Context(), "panic in handler", "request_id", q.id, "type", fmt.Sprintf("%T", v), "stack", string(debug.Stack()))
		if tw.wrote {
			panic(http.ErrAbortHandler) // a half answer must not look whole
		}
		clear(w.Header())
		w.Header()[headerRequestID] = []string{q.id}
		problem.Write(w, problem.New(problem.Internal, q.id))
	}()
	h.next.ServeHTTP(tw, r)
}

// enter gives a request from addr its place among those in handlers.
func (h *handler) enter(addr netip.Addr) (leave func(), ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.busy >= h.cfg.Concurrent || h.per[addr] >= h.cfg.ConnectionsPer {
		return nil, false
	}
	h.busy++
	h.per[addr]++
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.busy--
		if h.per[addr]--; h.per[addr] <= 0 {
			delete(h.per, addr)
		}
	}, true
}

// take reserves memory for a body; it is given back when the request is done.
func (h *handler) take(q *request, n int64) bool {
	if h.bodies.Add(n) > h.cfg.BodiesBytes {
		h.bodies.Add(-n)
		return false
	}
	q.taken += n
	return true
}

// read reads the whole body, as far as there is memory for it.
func (h *handler) read(r *http.Request, q *request) error {
	size := int64(4 << 10)
	if r.ContentLength > 0 {
		size = min(r.ContentLength+1, 64<<10) // what is announced need not come
	}
	for {
		if !h.take(q, size) {
			return problem.Coded("SG-STOP-OVERLOAD")
		}
		q.body = append(make([]byte, 0, int64(len(q.body))+size), q.body...)
		for len(q.body) < cap(q.body) {
			n, err := r.Body.Read(q.body[len(q.body):cap(q.body)])
			q.body = q.body[:len(q.body)+n]
			switch {
			case int64(len(q.body)) > h.cfg.BodyBytes:
				return refuse("SG-HTTP-BODY-TOO-LARGE", "请求体超过上限", "the body exceeds the limit")
			case errors.Is(err, io.EOF):
				return nil
			case errors.Is(err, os.ErrDeadlineExceeded):
				return refuse("SG-HTTP-TIMEOUT", "请求体没有在时限内收完", "the body did not arrive in time")
			case err != nil:
				return refuse(cBody, "请求体不完整或分块错误", "the body is incomplete or its chunks are malformed")
			}
		}
		size = min(int64(len(q.body)), h.cfg.BodyBytes+1-int64(len(q.body)))
	}
}

// check refuses what the wrapper refused, repeats what can be repeated on the
// parsed request (HTTP/2 has no wrapper), and reads the body.
func (h *handler) check(r *http.Request, q *request) error {
	if r.Method == refusedMethod {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok && c.refusal != nil {
			return c.refusal
		}
	}
	if err := checkRequest(r, h.cfg.Base64Under); err != nil {
		return err
	}
	if r.ContentLength > h.cfg.BodyBytes {
		return refuse("SG-HTTP-BODY-TOO-LARGE", "请求体超过上限", "the body exceeds the limit")
	}
	if r.ContentLength == 0 {
		r.Body = http.NoBody
		return nil
	}
	if err := h.read(r, q); err != nil {
		return err
	}
	if len(r.Trailer) > 0 {
		return refuse(cHeader, "不接受尾部字段", "trailer fields are not accepted")
	}
	r.Body = io.NopCloser(bytes.NewReader(q.body))
	r.ContentLength = int64(len(q.body))
	return nil
}

// checkRequest applies to the parsed request the rules that hold in both
// versions of HTTP.
func checkRequest(r *http.Request, base64Under []string) error {
	if ref := checkMethod(r.Method); ref != nil {
		return ref
	}
	if ref := checkTargetUnder(r.RequestURI, base64Under); ref != nil {
		return ref
	}
	if ref := checkHost(r.Host); ref != nil {
		return ref
	}
	if hosts, ok := r.Header["Host"]; ok && (len(hosts) != 1 || hosts[0] != r.Host) {
		return refuse(cHeader, "Host 与 :authority 不一致", "Host and :authority do not agree")
	}
	if r.URL.Host != "" && r.URL.Host != r.Host {
		return refuse(cTarget, "请求地址与 Host 不一致", "the request target does not agree with Host")
	}
	if len(r.Header) > maxFields {
		return refuse("SG-HTTP-HEADER-TOO-LARGE", "首部字段过多", "there are too many header fields")
	}
	for name, values := range r.Header {
		if ref := checkName(name); ref != nil {
			return ref
		}
		lower := ruled(name)
		if len(values) > 1 && (singleton(lower) >= 0 || strings.HasPrefix(name, "X-Sg-")) { // net/http's spelling
			return refuse(cHeader, "只能出现一次的首部重复出现", "a header field that may come once is repeated")
		}
		for _, v := range values {
			if ref := checkField(lower, v); ref != nil {
				return ref
			}
		}
	}
	if len(r.Trailer) > 0 {
		return refuse(cHeader, "不接受尾部字段", "trailer fields are not accepted")
	}
	if cl, ok := r.Header["Content-Length"]; ok {
		if n, ok := parseLength(cl[0]); !ok || r.ContentLength >= 0 && n != r.ContentLength {
			return refuse(cFraming, "Content-Length 不是一个十进制数", "Content-Length is not one plain decimal number")
		}
	}
	if r.ContentLength != 0 && !bodyAllowed(r.Method) {
		return refuse(cBody, "该方法不允许带请求体", "this method takes no body")
	}
	return nil
}

func newRequestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}

// trackedWriter knows whether an answer has begun.
type trackedWriter struct {
	http.ResponseWriter
	wrote bool
}

func (w *trackedWriter) WriteHeader(status int) {
	w.wrote = w.wrote || status >= 200
	w.ResponseWriter.WriteHeader(status)
}

func (w *trackedWriter) Write(p []byte) (int, error) {
	w.wrote = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *trackedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
