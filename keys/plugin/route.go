package plugin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// route is one operation on one path.
type route struct {
	path    string // segments; those in braces are parameters
	op      logical.Operation
	changes bool     // a key
	fields  []string // that the body may have
	help    string
	handle  func(context.Context, call) (map[string]any, error)
}

// call is one request as its handler sees it: parameters of the path and
// fields of the body, none of them unknown.
type call struct {
	params map[string]string
	data   map[string]any
}

func (c call) name() keys.Name { return keys.Name(c.params["name"]) }

// match returns the parameters when path is of this route.
func (r route) match(path string) (map[string]string, bool) {
	want, got := strings.Split(r.path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil, false
	}
	var params map[string]string
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok && got[i] != "" {
			if params == nil {
				params = map[string]string{}
			}
			params[strings.TrimSuffix(name, "}")] = got[i]
		} else if w != got[i] {
			return nil, false
		}
	}
	return params, true
}

// HandleRequest implements logical.Backend.
func (b *backend) HandleRequest(ctx context.Context, req *logical.Request) (*logical.Response, error) {
	switch req.Operation {
	case logical.RollbackOperation:
		return nil, nil // nothing is ever half done: one entry holds one key
	case logical.HelpOperation:
		return logical.HelpResponse(b.help(req.Path), nil, nil), nil
	}
	var known bool
	for _, r := range b.routes {
		params, ok := r.match(req.Path)
		if !ok {
			continue
		}
		known = true
		if r.op == req.Operation {
			return b.serve(ctx, req, r, params)
		}
	}
	if known {
		return nil, logical.ErrUnsupportedOperation
	}
	return nil, logical.ErrUnsupportedPath
}

func (b *backend) serve(ctx context.Context, req *logical.Request, r route, params map[string]string) (*logical.Response, error) {
	if b.elsewhere() {
		return nil, logical.ErrReadOnly // Vault forwards the request
	}
	for field := range req.Data {
		if !slices.Contains(r.fields, field) {
			return refuse(fmt.Errorf("%w: no field %.40q here", keys.ErrRequest, field))
		}
	}
	data, err := r.handle(withStorage(ctx, req.Storage), call{params, req.Data})
	switch {
	case err == nil:
		return &logical.Response{Data: data}, nil
	case wire.ErrorText(err) != "":
		return refuse(err)
	case strings.Contains(err.Error(), logical.ErrReadOnly.Error()):
		return nil, err // as elsewhere
	}
	// A fault, of the storage as a rule. Its text is for Vault's log.
	b.logger.Error("request failed", "operation", req.Operation, "path", r.path, "error", err)
	answer := keys.ErrUnavailable
	if r.changes {
		answer = keys.ErrOutcome // the entry may have been written all the same
	}
	return nil, logical.CodedError(http.StatusInternalServerError, wire.ErrorText(fmt.Errorf("%w: %w", answer, errFault)))
}

// refuse answers a refusal with its coded text.
func refuse(err error) (*logical.Response, error) {
	return logical.ErrorResponse(wire.ErrorText(err)), nil
}

func (b *backend) help(path string) string {
	var text strings.Builder
	text.WriteString("Typed SM2 signatures (GB/T 32918) with keys that never leave Vault.\n\n")
	for _, r := range b.routes {
		if _, ok := r.match(path); ok || path == "" {
			fmt.Fprintf(&text, "  %-7s %-24s %s\n", r.op, r.path, r.help)
			if len(r.fields) > 0 {
				fmt.Fprintf(&text, "          fields: %s\n", strings.Join(r.fields, ", "))
			}
		}
	}
	return text.String()
}

// Fields come as JSON has them, or, from Vault's command line, as strings.

func wrong(field, want string) error {
	return fmt.Errorf("%w: %s is not %s", keys.ErrRequest, field, want)
}

// text returns a string field, "" when it is absent.
func (c call) text(field string) (string, error) {
	switch v := c.data[field].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", wrong(field, "a string")
}

// number returns an integer field, 0 when it is absent.
func (c call) number(field string) (int, error) {
	var text string
	switch v := c.data[field].(type) {
	case nil:
		return 0, nil
	case int:
		return v, nil
	case float64:
		if n := int(v); float64(n) == v {
			return n, nil
		}
	case json.Number:
		text = v.String()
	case string:
		text = v
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0, wrong(field, "an integer")
	}
	return n, nil
}

// texts returns a list of strings, nil when it is absent. One string is a list
// of one.
func (c call) texts(field string) ([]string, error) {
	switch v := c.data[field].(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []string:
		return v, nil
	case []any:
		out := make([]string, len(v))
		for i, x := range v {
			s, ok := x.(string)
			if !ok {
				return nil, wrong(field, "a list of strings")
			}
			out[i] = s
		}
		return out, nil
	}
	return nil, wrong(field, "a list of strings")
}

// join returns the first of errs that is not nil.
func join(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// errFault is all that a caller learns of a fault inside.
var errFault = errors.New("fault in the engine or its storage, see Vault's log")
