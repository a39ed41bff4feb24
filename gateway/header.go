package gateway

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/policy"
)

// Names of headers of the gateway's own, in net/http's spelling, which saves
// finding it again for every call. Names are case-insensitive on the wire.
const (
	headerRequestID = "X-Sg-Request-Id"
	headerDecision  = "X-Sg-Decision"
	headerRevision  = "X-Sg-Policy-Revision"
	headerSystem    = "X-Sg-System"
	headerNotify    = "X-Sg-Notify"
	headerWatermark = "X-Sg-Watermark"
)

// requestHeader is the whole header that an upstream gets. It is made here and
// not copied: of the caller's fields only the body's type passes. The upstream
// is asked for JSON that is not compressed, because compressed it cannot be
// masked.
func (c *call) requestHeader(body []byte) http.Header {
	h := http.Header{
		"Accept":          {"application/json"},
		"Accept-Encoding": {"identity"},
		"User-Agent":      {"Sealgate"},
	}
	h.Set(headerRequestID, c.id)
	h.Set(headerSystem, string(c.caller.System.ID))
	if len(body) > 0 {
		if ct := c.r.Header.Get("Content-Type"); ct != "" {
			h.Set("Content-Type", ct)
		}
	}
	if c.obliged(policy.NotifyProvider) {
		h.Set(headerNotify, "call")
	}
	return h
}

// answerHeader sets the whole header of an answer. Nothing of the upstream's
// header passes: not Set-Cookie, Server or Location, not ETag, digests or
// Content-Range, which are about a body that no longer exists.
func (c *call) answerHeader(h http.Header, size int64) {
	clear(h)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if size >= 0 {
		h.Set("Content-Length", strconv.FormatInt(size, 10))
	}
	c.ownHeader(h)
	if c.obliged(policy.Watermark) {
		h.Set(headerWatermark, c.id+"/"+string(c.caller.System.ID))
	}
}

// ownHeader names request, decision and policy; an allowed call carries them
// also when its answer is withheld.
func (c *call) ownHeader(h http.Header) {
	h.Set(headerRequestID, c.id)
	h.Set(headerDecision, c.decision.ID)
	h.Set(headerRevision, c.decision.Revision)
}

// checkBodyHeader refuses a request body that an upstream could read in
// another way than it was recorded: compressed, or of a malformed type.
func checkBodyHeader(h http.Header, body []byte) error {
	if enc := h.Get("Content-Encoding"); enc != "" && !strings.EqualFold(enc, "identity") {
		return problem.Coded("SG-HTTP-MEDIA")
	}
	if ct := h.Get("Content-Type"); ct != "" && len(body) > 0 {
		if _, _, err := mime.ParseMediaType(ct); err != nil {
			return problem.Coded("SG-HTTP-MEDIA")
		}
	}
	return nil
}

func (c *call) obliged(o policy.Obligation) bool {
	for _, d := range c.decision.Obligations {
		if d == o {
			return true
		}
	}
	return false
}

func lowerHost(host string) string { return strings.ToLower(host) } // ASCII: httpserve has checked it
