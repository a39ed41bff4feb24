package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys/local"
)

// keysSecret makes a symmetric secret in the embedded keystore, named
// local:NAME. A caller's HMAC key has two holders: -o writes the caller's half.
// With Vault secrets are made there, by who may write and not read them.
func keysSecret(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys secret")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	out := fs.String("o", "", "`FILE` 另写一份交给调用方（0600） also write it for the caller it is shared with")
	name, err := nameOf(fs, args, "NAME")
	if err != nil {
		return err
	}
	if *out != "" {
		if err := absent(*out); err != nil {
			return err
		}
	}
	c, err := loadConfig(*cfg)
	if err != nil {
		return err
	}
	if c.Keys.Vault != nil {
		return usage(errors.New("对称密钥写入 Vault 的 KV 引擎 with keys.vault secrets are written to Vault's KV engine"), "docs/handbook/keys-vault-secrets.md")
	}
	return withKeystore(ctx, e, *cfg, "secret", string(name), func(ks keyService) error {
		store, ok := ks.(*local.Keystore)
		if !ok {
			return usage(errors.New("不是内置密钥库 not the embedded keystore"))
		}
		if err := store.CreateSecret(ctx, name); err != nil {
			return keyError(err)
		}
		fmt.Fprintf(e.stdout, "local:%s\n", name)
		if *out == "" {
			return nil
		}
		secret, err := local.NewSecrets(store).Secret(ctx, "local:"+string(name))
		if err != nil {
			return keyError(err)
		}
		defer clear(secret)
		text := append(base64.StdEncoding.AppendEncode(nil, secret), '\n')
		defer clear(text)
		if err := durable.Create(*out, text, durable.Private); err != nil {
			return undecided(err, "密钥已建，但没有交出：换一个名称再来 it was made and not handed out: begin again under another name")
		}
		return nil
	})
}

// absent refuses to write over a file, whose content may be the only copy.
func absent(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return usage(fmt.Errorf("%s: 已存在 exists", path), "换一个 -o name another")
	}
	if err := writable(path); err != nil {
		return usage(err)
	}
	return nil
}
