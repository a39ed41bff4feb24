package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"
)

// maxAnswer bounds what is read of one answer, in bytes.
const maxAnswer = 16 << 20

// reply is what Vault answered.
type reply struct {
	status     int
	body       []byte
	errors     []string // of an error answer
	direct     bool     // a standby was asked not to forward the request
	retryAfter time.Duration
	location   string
}

// text is the error text for people and for classification.
func (r reply) text() string {
	s := strings.Join(r.errors, "; ")
	s = strings.NewReplacer("1 error occurred:", "", "2 errors occurred:", "", "\n\t* ", " ", "\n", "").Replace(s)
	return strings.TrimSpace(s)
}

func (r reply) says(text string) bool {
	return slices.ContainsFunc(r.errors, func(e string) bool { return strings.Contains(e, text) })
}

// connect makes HashiCorp's client for each node, and takes from it what would
// undo this package's promises: its retries (of every method, POST included),
// its redirects, and what the environment says (VAULT_TOKEN, VAULT_NAMESPACE, VAULT_HEADERS).
// Connections, TLS and time-outs are those of h.
func (c Config) connect(h *http.Client) (map[string]*api.Client, error) {
	out := map[string]*api.Client{}
	for _, node := range c.Addresses {
		client, err := api.NewClient(&api.Config{Address: node, HttpClient: h, DisableRedirects: true, MaxRetries: 0})
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrConfig, err)
		}
		client.ClearToken()
		client.SetHeaders(http.Header{api.RequestHeaderName: {"true"}}) // VAULT_HEADERS, VAULT_NAMESPACE
		if c.Namespace != "" {
			client.SetNamespace(c.Namespace)
		}
		out[node] = client
	}
	return out, nil
}

// exchange sends one request to one node and reads the answer: once, without
// retries and redirects. sent reports whether any part of the request may have
// reached Vault; when it is false and err is not nil, Vault did nothing.
func (c *Client) exchange(ctx context.Context, node, method, path, token string, body []byte) (r reply, sent bool, err error) {
	var wrote atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }})
	path, query, _ := strings.Cut(path, "?")
	req := c.apis[node].NewRequest(method, "/v1/"+path)
	if req.Params, err = url.ParseQuery(query); err != nil {
		return reply{}, false, err
	}
	req.ClientToken = token
	direct := !c.nodes.relayed()
	if direct {
		req.Headers.Set("X-Vault-No-Request-Forwarding", "true")
	}
	if body != nil {
		req.BodyBytes = body
		req.Headers.Set("Content-Type", contentType(method))
	}
	//lint:ignore SA1019 what is documented in its place ends the context before the answer was read
	resp, err := c.apis[node].RawRequestWithContext(ctx, req)
	if resp == nil {
		return reply{}, wrote.Load(), explained(plain(err))
	}
	defer resp.Body.Close()
	r = reply{status: resp.StatusCode, direct: direct, location: resp.Header.Get("Location")}
	if r.body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		return reply{}, true, plain(err)
	}
	if len(r.body) > maxAnswer {
		return reply{}, true, fmt.Errorf("answer of more than %d bytes", maxAnswer)
	}
	if r.plainToTLS() {
		return reply{}, false, errPlain
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 && n < 3600 {
		r.retryAfter = time.Duration(n) * time.Second
	}
	if r.status >= 300 {
		var e struct {
			Errors []string `json:"errors"`
		}
		if json.Unmarshal(r.body, &e) == nil {
			r.errors = e.Errors
		}
	}
	return r, true, nil
}

// contentType is what Vault wants a body to be called.
func contentType(method string) string {
	if method == http.MethodPatch {
		return "application/merge-patch+json"
	}
	return "application/json"
}

// plain drops the URL that net/http puts before an error: the path is known,
// and the text goes to people.
func plain(err error) error {
	if u, ok := err.(*url.Error); ok {
		return u.Err
	}
	return err
}
