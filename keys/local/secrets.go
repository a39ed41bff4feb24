package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
)

// SecretSize is the length of a secret made here, in bytes.
const SecretSize = 32

const (
	minSecret = 16
	maxSecret = 64
)

// Secrets resolves references to symmetric secrets: HMAC-SM3 keys of callers,
// keys of pseudonyms and of the subject index.
//
//	local:NAME   32 random bytes in the keystore
//	file:PATH    a file of mode 0600 holding 16 to 64 bytes in base64, one line; for tests and demos
//
// Signing keys are not secrets: there is no reference to them.
type Secrets struct {
	store *Keystore // nil: there is no local:
}

// NewSecrets returns the secrets of a keystore, which may be nil.
func NewSecrets(store *Keystore) *Secrets { return &Secrets{store: store} }

// Secret returns the bytes behind a reference, or ErrSecret. The caller may
// wipe them.
func (s *Secrets) Secret(ctx context.Context, ref string) ([]byte, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	switch {
	case kind == "file" && rest != "":
		return readSecretFile(rest)
	case kind == "local" && s.store != nil:
		name, err := keys.ParseName(rest)
		if err != nil {
			return nil, err
		}
		return s.store.secret(ctx, name)
	}
	return nil, fmt.Errorf("%w: reference %.80q is not local:NAME or file:PATH", keys.ErrSecret, ref)
}

func readSecretFile(path string) ([]byte, error) {
	data, err := durable.ReadPrivate(path, 1<<10)
	if err != nil {
		return nil, access(err)
	}
	defer clear(data)
	secret, err := base64.StdEncoding.Strict().DecodeString(string(bytes.TrimSuffix(data, []byte("\n"))))
	if err != nil || len(secret) < minSecret || len(secret) > maxSecret || bytes.ContainsAny(bytes.TrimSuffix(data, []byte("\n")), "\r\n") {
		return nil, fmt.Errorf("%w: the file does not hold %d to %d bytes in base64 on one line", keys.ErrSecret, minSecret, maxSecret)
	}
	return secret, nil
}

// CreateSecret makes a secret of SecretSize random bytes. ErrExists when there
// is one of this name.
func (k *Keystore) CreateSecret(ctx context.Context, name keys.Name) error {
	if _, err := keys.ParseName(string(name)); err != nil {
		return err
	}
	s, err := k.unlocked()
	if err != nil {
		return err
	}
	s.secrets.Lock()
	defer s.secrets.Unlock()
	switch _, err := s.files.Get(ctx, secretsPath+string(name)); {
	case err == nil:
		return fmt.Errorf("%w: secret %s", keys.ErrExists, name)
	case !errors.Is(err, engine.ErrNoEntry):
		return err
	}
	secret := make([]byte, SecretSize)
	defer clear(secret)
	rand.Read(secret) // never fails (crypto/rand)
	return s.files.Put(ctx, secretsPath+string(name), secret)
}

// Secrets returns the names of the secrets in the store, in any order.
func (k *Keystore) Secrets(ctx context.Context) ([]keys.Name, error) {
	s, err := k.unlocked()
	if err != nil {
		return nil, err
	}
	list, err := s.files.List(ctx, secretsPath)
	if err != nil {
		return nil, err
	}
	out := make([]keys.Name, len(list))
	for i, n := range list {
		out[i] = keys.Name(n)
	}
	return out, nil
}

func (k *Keystore) secret(ctx context.Context, name keys.Name) ([]byte, error) {
	s, err := k.unlocked()
	if err != nil {
		return nil, err
	}
	secret, err := s.files.Get(ctx, secretsPath+string(name))
	if errors.Is(err, engine.ErrNoEntry) {
		return nil, fmt.Errorf("%w: local:%s", keys.ErrSecret, name)
	}
	return secret, err
}
