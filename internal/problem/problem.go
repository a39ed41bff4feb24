// Package problem turns an error into the document that a caller reads: RFC
// 9457 problem details with a stable code, in Chinese and English, with the
// reasons of a refusal and a hint what to do next.
//
// There is one table (table.go) of all codes; docs/errors.md is written from
// it. A code decides status, title and hint. The mapping is by code, never by
// Go error type or text: an error that reaches an edge says Code() string.
// An error without a code, or with one that is not in the table, becomes
// SG-INTERNAL with nothing of its text, which goes to the log only, under the
// same request id.
//
// What it refuses to do: it never writes an error's text, a request body or a
// header of the caller into a document, unless the error offers it on purpose
// through Public() (zh, en string).
//
//	p, known := problem.FromError(err, requestID)
//	if !known { log.ErrorContext(ctx, "internal error", "request_id", requestID, "error", err) }
//	problem.Write(w, p)
package problem

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// ContentType is the media type of RFC 9457 section 3.
const ContentType = "application/problem+json"

// Internal is the code of everything that has no code of its own.
const Internal = "SG-INTERNAL"

// TypePrefix is what precedes the lower-case code in a problem's type URI. It
// is a name, not an address: docs/errors.md explains every one.
const TypePrefix = "urn:sealgate:problem:"

// Reason is one cause of a refusal. It has the fields of policy.Reason, so
// that one converts to the other.
type Reason struct {
	Code  string `json:"code"`
	ZH    string `json:"zh"`
	EN    string `json:"en"`
	FixZH string `json:"fix_zh,omitempty"`
	FixEN string `json:"fix_en,omitempty"`
}

// Problem is a problem document. Make one with New or FromError.
type Problem struct {
	Type      string   `json:"type"`
	Title     string   `json:"title"`
	Status    int      `json:"status"`
	Detail    string   `json:"detail"`
	Code      string   `json:"code"`
	RequestID string   `json:"request_id"`
	TitleZH   string   `json:"title_zh"`
	DetailZH  string   `json:"detail_zh"`
	Reasons   []Reason `json:"reasons"`
	Hint      string   `json:"hint"`
	HintZH    string   `json:"hint_zh"`

	retryAfter int // seconds; 0: no Retry-After
}

// Known reports whether code is in the table.
func Known(code string) bool { _, ok := index[code]; return ok }

// Lookup returns the table's entry of code.
func Lookup(code string) (Entry, bool) { e, ok := index[code]; return e, ok }

// New returns the document of code. A code that is not in the table gives the
// document of SG-INTERNAL: a caller never sees an undocumented code.
func New(code, requestID string) Problem {
	e, ok := index[code]
	if !ok {
		e = index[Internal]
	}
	return Problem{
		Type: TypePrefix + strings.ToLower(e.Code), Status: e.Status, Code: e.Code, RequestID: requestID,
		Title: e.Title, TitleZH: e.TitleZH, Detail: e.Detail, DetailZH: e.DetailZH, Hint: e.Hint, HintZH: e.HintZH,
		Reasons: []Reason{}, retryAfter: e.RetryAfter,
	}
}

// coded is what an error that may reach an edge implements.
type coded interface{ Code() string }

// public is implemented by an error that has something to tell the caller
// beyond the table's detail. It holds no secret and no personal data.
type public interface{ Public() (zh, en string) }

// retrying is implemented by an error that knows when to try again.
type retrying interface{ RetryAfter() int }

// FromError returns the document of err, found by the first Code() in its
// chain. known is false when there was none, or one that is not in the table:
// the caller then logs err under the request id, because the document holds
// nothing of it.
func FromError(err error, requestID string) (p Problem, known bool) {
	var c coded
	if !errors.As(err, &c) || !Known(c.Code()) {
		return New(Internal, requestID), false
	}
	p = New(c.Code(), requestID)
	var pub public
	if errors.As(err, &pub) {
		if zh, en := pub.Public(); zh != "" && en != "" {
			p.DetailZH, p.Detail = zh, en
		}
	}
	var r retrying
	if errors.As(err, &r) && r.RetryAfter() > 0 {
		p.retryAfter = r.RetryAfter()
	}
	return p, p.Code != Internal
}

// WithReasons returns the document with the reasons given, unchanged.
func (p Problem) WithReasons(reasons ...Reason) Problem {
	p.Reasons = append([]Reason{}, reasons...)
	return p
}

// Bytes is the document as JSON with a line feed behind it.
func (p Problem) Bytes() []byte {
	if p.Reasons == nil {
		p.Reasons = []Reason{}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(p); err != nil {
		// Strings and an int always encode; keep the promise of a document all the same.
		return []byte(`{"code":"` + Internal + `","status":500}` + "\n")
	}
	return b.Bytes()
}

// SetHeader sets the fields that go with the document: its type, no caching,
// WWW-Authenticate on 401 (RFC 9110 section 15.5.2), Retry-After where the
// code says so.
func (p Problem) SetHeader(h http.Header) {
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if p.RequestID != "" {
		h.Set("X-Sg-Request-Id", p.RequestID)
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "SG1")
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
}

// Write sends the document as the whole response. Nothing may have been
// written to w before.
func Write(w http.ResponseWriter, p Problem) {
	body := p.Bytes()
	p.SetHeader(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(p.Status)
	// The client may be gone; there is nobody left to tell.
	_, _ = w.Write(body)
}

// Coded is an error that is nothing but a code of the table. Packages that
// have more to say bring their own type with a Code method.
type Coded string

// Error is the code and the English title.
func (c Coded) Error() string {
	if e, ok := index[string(c)]; ok {
		return string(c) + ": " + strings.ToLower(e.Title)
	}
	return string(c)
}

// Code returns the code.
func (c Coded) Code() string { return string(c) }
