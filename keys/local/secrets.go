package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
)

// SecretSize is the length of a secret made here, in bytes.
const SecretSize = 32

// Secrets resolves references to symmetric secrets: HMAC-SM3 keys of callers,
// keys of pseudonyms and of the subject index.
//
//	local:NAME   32 random bytes in the keystore
//	file:PATH    a file of mode 0600 holding what keys.ParseSecret reads; for tests and demos
//
// Those in Vault are read by keys/vault. Signing keys are not secrets: there is
// no reference to them.
type Secrets struct {
	store *Keystore // nil: there is no local:
}

// NewSecrets returns the secrets of a keystore, which may be nil.
func NewSecrets(store *Keystore) *Secrets { return &Secrets{store: store} }

// Secret returns the bytes behind a reference, or ErrSecret. The caller may
// wipe them.
func (s *Secrets) Secret(ctx context.Context, ref string) ([]byte, error) {
	r, err := config.ParseSecretRef(ref)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", keys.ErrSecret, err)
	case r.Scheme == config.SecretFile:
		return readSecretFile(r.Path)
	case r.Scheme == config.SecretLocal && s.store != nil:
		return s.store.secret(ctx, keys.Name(r.Path))
	}
	return nil, fmt.Errorf("%w: %s: is not kept here", keys.ErrSecret, r)
}

func readSecretFile(path string) ([]byte, error) {
	data, err := durable.ReadPrivate(path, 1<<10)
	if err != nil {
		return nil, access(err)
	}
	defer clear(data)
	return keys.ParseSecret(data)
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
