package pki

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"time"
)

// ErrFetch says that another party did not answer as it should: not in time,
// not with success, with too much, or with something else.
var ErrFetch = errors.New("no usable answer")

// newClient returns an HTTP client that goes to the configured address and
// nowhere else: no proxy from the environment, no redirect, bounded in time.
func newClient(timeout time.Duration) *http.Client {
	return &http.Client{
		Timeout: timeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: timeout}).DialContext,
			TLSHandshakeTimeout: timeout, ResponseHeaderTimeout: timeout, MaxResponseHeaderBytes: 16 << 10,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange sends a request and reads an answer of status 200, of one of the
// media types when there are any, and of at most limit bytes.
func exchange(ctx context.Context, c *http.Client, req *http.Request, limit int64, types ...string) ([]byte, error) {
	resp, err := c.Do(req.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: %s answers status %d", ErrFetch, req.URL.Host, resp.StatusCode)
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	fits := len(types) == 0
	for _, t := range types {
		fits = fits || err == nil && media == t
	}
	if !fits {
		return nil, fmt.Errorf("%w: %s answers with content type %.80q", ErrFetch, req.URL.Host, media)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFetch, err)
	}
	if int64(len(body)) > limit {
		return nil, fmt.Errorf("%w: %s answers with more than %d bytes", ErrFetch, req.URL.Host, limit)
	}
	return body, nil
}
