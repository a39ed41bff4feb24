package vault

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
)

// DefaultSecretAge is how long a secret is used before it must be read again.
const DefaultSecretAge = 5 * time.Minute

// Secrets gives the symmetric secrets that Vault's KV engine (version 2) keeps:
// HMAC-SM3 keys of callers, those of pseudonyms and of the subject index. It
// reads with the client's own token, deadlines, breaker and login.
//
// A caller's key is asked for at each of his calls, so what was read is kept in
// memory, for age at most, counted from when the question was sent:
//
//   - From half of its age on it is read again in the background, one request
//     for all who ask. A new version is therefore in force everywhere after age.
//   - While Vault is sealed or cannot be reached, a secret serves until its age
//     ends. From then on there is none: ErrSealed, ErrUnavailable, ErrLimited,
//     ErrOutcome.
//   - When Vault answers that it is gone, or forbids it, that counts at once.
//   - A question that failed is not repeated within a second, so that a caller
//     with a wrong reference is no load for Vault.
//
// Secrets are made and changed by a person (`vault kv put`); there is nothing
// here that writes one.
type Secrets struct{ held *secretCache }

// Secrets returns the secrets, each of which is used for age after it was read;
// 0 is DefaultSecretAge.
func (c *Client) Secrets(age time.Duration) *Secrets {
	return &Secrets{newSecretCache(or(age, DefaultSecretAge), func(r config.SecretRef) ([]byte, error) {
		ctx, cancel := context.WithTimeout(c.life, c.config.SignTimeout) // somebody's call waits
		defer cancel()
		return c.readSecret(ctx, r)
	}, func(r config.SecretRef, err error) {
		c.config.Logger.Warn("vault: a secret cannot be read", "secret", r.String(), "error", err)
	})}
}

// Secret returns the bytes behind vault:MOUNT/PATH#FIELD. ErrSecret says that
// there is no such secret, or none that can be used; ErrForbidden that our
// policy does not let us read it. Errors hold nothing of a secret. The caller
// may wipe what he gets.
func (s *Secrets) Secret(ctx context.Context, ref string) ([]byte, error) {
	r, err := config.ParseSecretRef(ref)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", keys.ErrSecret, err)
	}
	if r.Scheme != config.SecretVault {
		return nil, fmt.Errorf("%w: %s is not kept in Vault", keys.ErrSecret, r)
	}
	return s.held.get(ctx, r)
}

// readSecret reads the latest version of a secret, whose field is text in the
// form of keys.ParseSecret.
func (c *Client) readSecret(ctx context.Context, ref config.SecretRef) ([]byte, error) {
	r, err := c.call(ctx, request{method: http.MethodGet, path: ref.Mount + "/data/" + ref.Path, repeatable: true})
	defer clear(r.body)
	none := func(why string) error { return fmt.Errorf("%w: %s: %s", keys.ErrSecret, ref, why) }
	if err != nil && r.status != http.StatusNotFound {
		return nil, fmt.Errorf("read secret %s: %w", ref, err)
	}
	// The errors of encoding/json can hold what they are about.
	var answer struct {
		Data struct {
			Data     map[string]json.RawMessage `json:"data"`
			Metadata *struct {
				Version   int    `json:"version"`
				Deleted   string `json:"deletion_time"`
				Destroyed bool   `json:"destroyed"`
			} `json:"metadata"`
		} `json:"data"`
	}
	decoded := json.Unmarshal(r.body, &answer) == nil
	defer func() {
		for _, field := range answer.Data.Data {
			clear(field)
		}
	}()
	switch meta := answer.Data.Metadata; {
	case err != nil && decoded && meta != nil && meta.Destroyed:
		return nil, none(fmt.Sprintf("its latest version, %d, is destroyed", meta.Version))
	case err != nil && decoded && meta != nil:
		return nil, none(fmt.Sprintf("its latest version, %d, is deleted", meta.Version))
	case err != nil:
		return nil, none("there is nothing at this path")
	case !decoded || meta == nil || answer.Data.Data == nil || meta.Destroyed:
		return nil, none("the answer is not that of a KV engine of version 2")
	}
	field, there := answer.Data.Data[ref.Field]
	if !there {
		return nil, none("it has no such field")
	}
	var text string
	if json.Unmarshal(field, &text) != nil {
		return nil, none("the field is not text")
	}
	secret, err := keys.ParseSecret([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", ref, err)
	}
	return secret, nil
}

// passing reports whether an error says nothing of the secret, only that Vault
// cannot be asked now.
func passing(err error) bool {
	for _, e := range []error{keys.ErrUnavailable, keys.ErrSealed, keys.ErrLimited, keys.ErrOutcome} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
