package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/identity"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/keys/vault"
)

// secrets gives symmetric secrets from where each reference says: local: and
// file: here, vault: in Vault.
type secrets struct {
	local *local.Secrets
	vault *vault.Secrets // nil: the keys are not in Vault
}

var _ identity.Secrets = (*secrets)(nil)

// newSecrets returns the secrets of a process whose keys are ks. With Vault
// there are none in an embedded store, and the other way round.
func newSecrets(ks keyService, c *config.Keys) *secrets {
	s := &secrets{}
	embedded, _ := ks.(*local.Keystore)
	s.local = local.NewSecrets(embedded)
	if client, ok := ks.(*vault.Client); ok && c.Vault != nil {
		s.vault = client.Secrets(time.Duration(c.Vault.SecretAge))
	}
	return s
}

// Secret implements identity.Secrets.
func (s *secrets) Secret(ctx context.Context, ref string) ([]byte, error) {
	r, err := config.ParseSecretRef(ref)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", keys.ErrSecret, err)
	case r.Scheme == config.SecretVault && s.vault != nil:
		return s.vault.Secret(ctx, ref)
	case r.Scheme == config.SecretLocal, r.Scheme == config.SecretFile:
		return s.local.Secret(ctx, ref)
	}
	return nil, fmt.Errorf("%w: %s: no Vault is configured", keys.ErrSecret, r)
}

// secretError gives an error about a secret that the configuration names its
// exit code and a way out.
func secretError(where, ref string, err error) error {
	err = fmt.Errorf("%s: %w", where, err)
	if !errors.Is(err, keys.ErrSecret) {
		return keyError(err)
	}
	hint := "16 至 64 字节，base64，一行 16 to 64 bytes in base64 on one line"
	if r, bad := config.ParseSecretRef(ref); bad == nil && r.Scheme == config.SecretVault {
		hint += fmt.Sprintf(": openssl rand -base64 32 | vault kv put -mount=%s %s %s=-", r.Mount, r.Path, r.Field)
	}
	return usage(err, hint)
}

// keptElsewhere refuses a catalogue whose callers' keys cannot be kept where it
// says when signing keys are kept in k: those callers would be refused one by
// one, each with an answer that names no cause.
func keptElsewhere(s *catalog.Snapshot, k *config.Keys) error {
	var all []string
	for system := range s.Systems() {
		r, err := config.ParseSecretRef(system.HMACKeyRef)
		if system.HMACKeyRef == "" || err != nil {
			continue
		}
		if complaint := r.Kept(k); complaint != "" {
			all = append(all, fmt.Sprintf("系统 system %q: hmac_key_ref: %s", system.ID, complaint))
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, strings.Compare)
	return usage(errors.New("目录 catalogue: "+all[0]), all[1:]...)
}
