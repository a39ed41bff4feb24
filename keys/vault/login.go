package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/keys"
)

// Login obtains Vault tokens. AppRole and TokenFile implement it.
type Login interface {
	login(ctx context.Context, c *Client) (token, error)
}

// token is a Vault token and what is known of its life.
type token struct {
	value     string
	ttl       time.Duration // 0: does not end
	renewable bool
	at        time.Time // when ttl was counted from
}

func (t token) expired(now time.Time) bool { return t.ttl > 0 && !now.Before(t.at.Add(t.ttl)) }

// AppRole logs a service in. The secret id lies in a file: as it is, or as a
// response-wrapping token, which can be opened once and so shows whether
// somebody else opened it before.
type AppRole struct {
	Mount  string // of the auth method; "" is "approle"
	RoleID string
	// SecretIDFile holds the secret id. It is read at every login, so that it
	// can be replaced while the process runs.
	SecretIDFile string
	// WrappedSecretIDFile holds a response-wrapping token instead. It is
	// unwrapped at the first login; the secret id stays in memory only, and
	// the file is removed. A new start needs a new one.
	WrappedSecretIDFile string

	mu        sync.Mutex
	unwrapped string
}

func (a *AppRole) mount() string { return strings.Trim(or(a.Mount, "approle"), "/") }

func (a *AppRole) login(ctx context.Context, c *Client) (token, error) {
	secret, err := a.secret(ctx, c)
	if err != nil {
		return token{}, err
	}
	body, err := json.Marshal(map[string]string{"role_id": a.RoleID, "secret_id": secret})
	if err != nil {
		return token{}, err
	}
	r, err := c.plain(ctx, http.MethodPost, "auth/"+a.mount()+"/login", "", body)
	switch {
	case errors.Is(err, keys.ErrRequest):
		return token{}, fmt.Errorf("%w: log in to vault: %v", keys.ErrForbidden, err) // it says 400 to a wrong secret id
	case err != nil:
		return token{}, fmt.Errorf("log in to vault: %w", err)
	}
	return parseAuth(r, time.Now())
}

func (a *AppRole) secret(ctx context.Context, c *Client) (string, error) {
	if a.WrappedSecretIDFile == "" {
		return secretFile(a.SecretIDFile)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.unwrapped != "" {
		return a.unwrapped, nil
	}
	wrapping, err := secretFile(a.WrappedSecretIDFile)
	if err != nil {
		return "", err
	}
	s, err := c.unwrap(ctx, wrapping, "auth/"+a.mount()+"/role/")
	if err != nil {
		return "", err
	}
	a.unwrapped = s
	if err := os.Remove(a.WrappedSecretIDFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.config.Logger.WarnContext(ctx, "vault: the used wrapping token stays in its file", "error", err)
	}
	return s, nil
}

// unwrap opens a response-wrapped secret id. It first asks where the wrapping
// token comes from: a token that somebody made from a secret of his own choice
// must not decide who we are.
func (c *Client) unwrap(ctx context.Context, wrapping, origin string) (string, error) {
	opened := fmt.Errorf("%w: the wrapping token is used up, expired or not ours: if it was delivered in time, somebody else has opened it, revoke that secret id", keys.ErrForbidden)
	body, err := json.Marshal(map[string]string{"token": wrapping})
	if err != nil {
		return "", err
	}
	r, err := c.plain(ctx, http.MethodPost, "sys/wrapping/lookup", "", body)
	var answer struct {
		Data struct {
			CreationPath string `json:"creation_path"`
			SecretID     string `json:"secret_id"`
		} `json:"data"`
	}
	switch {
	case errors.Is(err, keys.ErrRequest), errors.Is(err, keys.ErrForbidden):
		return "", opened
	case err != nil:
		return "", fmt.Errorf("look at the wrapping token: %w", err)
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		return "", fmt.Errorf("look at the wrapping token: %w", err)
	}
	if p := answer.Data.CreationPath; !strings.HasPrefix(p, origin) || !strings.HasSuffix(p, "/secret-id") {
		return "", fmt.Errorf("%w: the wrapping token was made at %.80q, not at %sROLE/secret-id", keys.ErrForbidden, p, origin)
	}
	r, err = c.plain(ctx, http.MethodPost, "sys/wrapping/unwrap", wrapping, nil)
	switch {
	case errors.Is(err, keys.ErrRequest), errors.Is(err, keys.ErrForbidden):
		return "", opened
	case err != nil:
		return "", fmt.Errorf("unwrap the secret id: %w", err)
	}
	if err := json.Unmarshal(r.body, &answer); err != nil || answer.Data.SecretID == "" {
		return "", fmt.Errorf("%w: the wrapping token holds no secret id", keys.ErrForbidden)
	}
	return answer.Data.SecretID, nil
}

// TokenFile takes a token that somebody else made, such as an administrator's
// own login. It is read at every login, and renewed when it can be.
type TokenFile string

func (f TokenFile) login(ctx context.Context, c *Client) (token, error) {
	value, err := secretFile(string(f))
	if err != nil {
		return token{}, err
	}
	r, err := c.plain(ctx, http.MethodGet, "auth/token/lookup-self", value, nil)
	if err != nil {
		return token{}, fmt.Errorf("look up own token: %w", err)
	}
	var answer struct {
		Data struct {
			TTL       int  `json:"ttl"`
			Renewable bool `json:"renewable"`
		} `json:"data"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil {
		return token{}, fmt.Errorf("look up own token: %w", err)
	}
	return token{value: value, ttl: time.Duration(answer.Data.TTL) * time.Second, renewable: answer.Data.Renewable, at: time.Now()}, nil
}

// maxSecretFile bounds a file with a secret, in bytes.
const maxSecretFile = 4096

// secretFile reads a short secret from a file that only its owner can read.
func secretFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("%w: %s: want a regular file of mode 0600", keys.ErrAccess, path)
	}
	// From the handle that was judged: the path may name another file by now.
	data, err := io.ReadAll(io.LimitReader(f, maxSecretFile+1))
	defer clear(data)
	if err != nil {
		return "", fmt.Errorf("read secret: %w", err)
	}
	if len(data) > maxSecretFile {
		return "", fmt.Errorf("%w: %s is longer than %d bytes", keys.ErrAccess, path, maxSecretFile)
	}
	if s := strings.TrimSpace(string(data)); s != "" && !strings.ContainsAny(s, " \t\r\n") {
		return s, nil
	}
	return "", fmt.Errorf("%w: %s holds no single secret", keys.ErrAccess, path)
}

// parseAuth reads the token of a login or a renewal.
func parseAuth(r reply, at time.Time) (token, error) {
	var answer struct {
		Auth *struct {
			ClientToken   string `json:"client_token"`
			LeaseDuration int    `json:"lease_duration"`
			Renewable     bool   `json:"renewable"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(r.body, &answer); err != nil || answer.Auth == nil || answer.Auth.ClientToken == "" {
		return token{}, fmt.Errorf("%w: the login gave no token", keys.ErrUnavailable)
	}
	return token{value: answer.Auth.ClientToken, ttl: time.Duration(answer.Auth.LeaseDuration) * time.Second,
		renewable: answer.Auth.Renewable, at: at}, nil
}
