package mask

import (
	"mime"
	"net/http"
	"strings"
)

// CheckContentType refuses an upstream answer that Apply cannot mask: anything
// but exactly one Content-Type of application/json, in UTF-8 or without a
// charset, and not compressed. The gateway asks its upstreams for identity; one
// that compresses nevertheless is refused and not passed on.
func CheckContentType(h http.Header) error {
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return fail(CodeType, "%d Content-Type fields, want one", len(types))
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != "application/json" {
		return fail(CodeType, "content type is not application/json")
	}
	for name, value := range params {
		if name != "charset" {
			return fail(CodeType, "content type has a parameter other than charset")
		}
		if !strings.EqualFold(value, "utf-8") {
			return fail(CodeType, "charset is not utf-8")
		}
	}
	for _, encoding := range h.Values("Content-Encoding") {
		if !strings.EqualFold(strings.TrimSpace(encoding), "identity") {
			return fail(CodeEncoding, "the body is compressed")
		}
	}
	return nil
}
