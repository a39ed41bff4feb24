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
	"os"
	"runtime/debug"
	"strings"

	"github.com/sealgate/sealgate/internal/problem"
)

type requestKey struct{}

// request is what this package knows about a request beyond *http.Request.
type request struct {
	id   string
	body []byte
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
	cfg  Config
	next http.Handler
	busy chan struct{}
}

func newHandler(cfg Config, next http.Handler) http.Handler {
	return &handler{cfg: cfg, next: next, busy: make(chan struct{}, cfg.Concurrent)}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	q := &request{id: newRequestID()}
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	w.Header().Set("X-SG-Request-Id", q.id)
	if err := h.check(r, q); err != nil {
		h.cfg.OnRefuse(answer(w, r, err))
		return
	}
	select {
	case h.busy <- struct{}{}:
		defer func() { <-h.busy }()
	default:
		h.cfg.OnRefuse("SG-STOP-OVERLOAD")
		problem.Write(w, problem.New("SG-STOP-OVERLOAD", q.id))
		return
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
		w.Header().Set("X-SG-Request-Id", q.id)
		problem.Write(w, problem.New(problem.Internal, q.id))
	}()
	h.next.ServeHTTP(tw, r)
}

// check refuses what the wrapper refused, repeats what can be repeated on the
// parsed request (HTTP/2 has no wrapper), and reads the body.
func (h *handler) check(r *http.Request, q *request) error {
	if r.Method == refusedMethod {
		if c, ok := r.Context().Value(connKey{}).(*conn); ok && c.refusal != nil {
			return c.refusal
		}
	}
	if err := checkRequest(r); err != nil {
		return err
	}
	if r.ContentLength > h.cfg.BodyBytes {
		return refuse("SG-HTTP-BODY-TOO-LARGE", "请求体超过上限", "the body exceeds the limit")
	}
	if r.ContentLength == 0 {
		r.Body = http.NoBody
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, h.cfg.BodyBytes+1))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return refuse("SG-HTTP-TIMEOUT", "请求体没有在时限内收完", "the body did not arrive in time")
	case err != nil:
		return refuse(cBody, "请求体不完整或分块错误", "the body is incomplete or its chunks are malformed")
	case int64(len(body)) > h.cfg.BodyBytes:
		return refuse("SG-HTTP-BODY-TOO-LARGE", "请求体超过上限", "the body exceeds the limit")
	case len(r.Trailer) > 0:
		return refuse(cHeader, "不接受尾部字段", "trailer fields are not accepted")
	}
	q.body = body
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.ContentLength = int64(len(body))
	return nil
}

// checkRequest applies to the parsed request the rules that hold in both
// versions of HTTP.
func checkRequest(r *http.Request) error {
	if ref := checkMethod(r.Method); ref != nil {
		return ref
	}
	if ref := checkTarget(r.RequestURI); ref != nil {
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
		lower := strings.ToLower(name)
		if len(values) > 1 && (singleton(lower) >= 0 || strings.HasPrefix(lower, "x-sg-")) {
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
