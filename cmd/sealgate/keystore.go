package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/vault"
)

// loadConfig reads and checks a configuration file. Every problem is an error
// line of its own; the first is the error, the rest are hints.
func loadConfig(path string) (*config.File, error) {
	if path == "" {
		return nil, usage(errors.New("缺少 missing -config FILE"))
	}
	f, err := config.Load(path)
	if err != nil {
		return nil, invalid(err)
	}
	if errs := f.Check(time.Now()); len(errs) > 0 {
		errs[0].More = errs[1:]
		return nil, invalid(errs[0])
	}
	return f, nil
}

// passphrase reads the secret that opens the keystore from where c says:
// never from arguments or the environment.
func passphrase(c config.Unlock) ([]byte, error) {
	switch {
	case c.File != "":
		return local.PassphraseFromFile(c.File)
	case c.FD != 0:
		return local.PassphraseFromFD(uintptr(c.FD))
	case c.Credential != "":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, errors.New("没有 systemd 凭据目录 no systemd credentials directory")
		}
		return local.PassphraseFromFile(filepath.Join(dir, c.Credential))
	}
	return nil, errors.New("配置没有解锁方式 the configuration names no way to unlock the keystore")
}

// keyService is where keys live: the embedded store or HashiCorp Vault. Both
// host the same engine.
type keyService interface {
	pki.Life
	readier
	Key(name keys.Name) keys.Key
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
	Info(ctx context.Context, name keys.Name) (keys.Info, error)
	List(ctx context.Context) ([]keys.Name, error)
	Rotate(ctx context.Context, name keys.Name) (keys.Info, error)
	Disable(ctx context.Context, name keys.Name) (keys.Info, error)
	Destroy(ctx context.Context, name keys.Name) (keys.Info, error)
	Close() error
}

var (
	_ keyService = (*local.Keystore)(nil)
	_ keyService = (*vault.Client)(nil)
)

// openKeys opens the keys that the configuration names. With create an embedded
// store is made when it is not there yet. From then on this process leaves no
// core file and lets no other process of its user look into its memory.
func openKeys(ctx context.Context, c *config.Keys, create bool, log *slog.Logger) (keyService, error) {
	if c == nil {
		return nil, usage(errors.New("配置没有密钥库 the configuration has no section keys"))
	}
	if err := local.HardenProcess(); err != nil {
		return nil, undecided(err)
	}
	if c.Vault != nil {
		return openVault(c.Vault, log)
	}
	return openKeystore(ctx, c, create)
}

// openVault connects to Vault. It answers at once; what Vault says is known
// with the first use.
func openVault(c *config.Vault, log *slog.Logger) (keyService, error) {
	var login vault.Login = vault.TokenFile(c.Token)
	if c.RoleID != "" {
		login = &vault.AppRole{RoleID: c.RoleID, SecretIDFile: c.SecretID, WrappedSecretIDFile: c.WrappedSecretID}
	}
	client, err := vault.Open(vault.Config{Addresses: c.Addresses, Mount: c.Mount, Namespace: c.Namespace, CAFile: c.CA, Login: login,
		SignTimeout: time.Duration(c.SignTimeout), Logger: log})
	if err != nil {
		return nil, usage(err)
	}
	return client, nil
}

// openKeystore opens and unlocks the embedded keystore.
func openKeystore(ctx context.Context, c *config.Keys, create bool) (keyService, error) {
	secret, err := passphrase(c.Unlock)
	if err != nil {
		return nil, usage(err)
	}
	defer clear(secret)
	if _, err := os.Stat(filepath.Join(c.Dir, "header.json")); errors.Is(err, os.ErrNotExist) && create {
		ks, err := local.Create(ctx, c.Dir, secret, local.Options{})
		if err != nil {
			return nil, keyError(err)
		}
		return ks, nil
	}
	ks, err := local.Open(c.Dir, local.Options{})
	if err != nil {
		return nil, keyError(err)
	}
	if err := ks.Unlock(ctx, secret); err != nil {
		return nil, keyError(errors.Join(err, ks.Close()))
	}
	return ks, nil
}

// keyError gives an error of the key packages its exit code and a way out.
func keyError(err error) error {
	switch {
	case errors.Is(err, keys.ErrBusy):
		return undecided(err, "另一个进程正在使用密钥库：停止它，或用 -server 请它盖章 another process has it open: stop it, or ask it with -server")
	case errors.Is(err, keys.ErrPassphrase):
		return no(err, "检查 check keys.unlock")
	case errors.Is(err, keys.ErrStore), errors.Is(err, keys.ErrAccess):
		return no(err, "密钥库被改动或权限不对：从备份恢复 the keystore was changed or is open to others: restore it from a backup")
	case errors.Is(err, keys.ErrNotFound):
		return no(err, "sealgate keys list -config FILE")
	case errors.Is(err, keys.ErrSealed):
		return undecided(coded(err), "保管人解封后再试，见 when the custodians have unsealed it: docs/handbook/keys-vault-sealed.md")
	case errors.Is(err, keys.ErrUnavailable), errors.Is(err, keys.ErrLimited):
		return undecided(coded(err), "Vault 的地址与状态 its address and state: keys.vault.addresses, vault status")
	case errors.Is(err, keys.ErrOutcome):
		return undecided(coded(err), "不知是否已执行：先查看再重试 it may have been done: look before you repeat it: sealgate keys list -config FILE")
	case errors.Is(err, keys.ErrForbidden):
		return no(coded(err), "令牌的策略不允许，或登录被拒 the token's policy does not allow it, or the login is refused: deploy/vault/README.md")
	}
	if _, ok := errors.AsType[*keys.Error](err); ok {
		return no(coded(err))
	}
	return usage(err)
}

// coded adds the stable code of an error of the key packages.
func coded(err error) error {
	if e, ok := errors.AsType[*keys.Error](err); ok {
		return fmt.Errorf("%w [%s]", err, e.Code())
	}
	return err
}
