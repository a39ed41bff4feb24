package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// keysMigrate makes new keys in the store of -to for those of -config, and
// writes a certificate request for each that needs one. No private key travels.
// It is run again when certificates were installed, and goes on.
func keysMigrate(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("keys migrate")
	from := fs.String("config", "", "`FILE` 现有密钥所在的配置 configuration of the keys that are left")
	to := fs.String("to", "", "`FILE` 新密钥所在的配置 configuration of the new keys, such as in Vault")
	out := fs.String("o", "", "`DIR` 证书请求写入的目录 folder for certificate requests")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 0 || *to == "" || *out == "" {
		return usage(errors.New("缺少 missing -to FILE or -o DIR"), "sealgate keys migrate -config OLD -to NEW -o DIR")
	}
	target, err := loadConfig(*to)
	if err != nil {
		return err
	}
	return withKeystore(ctx, e, *from, "migrate", "all", func(ks keyService) (err error) {
		next, err := openKeys(ctx, target.Keys, true, newLog(e.stderr))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, next.Close()) }()
		if err := durable.MkdirAll(*out, durable.PrivateDir); err != nil {
			return usage(err)
		}
		moved, err := vault.Migrate(ctx, ks, next, func(_ context.Context, old keys.Info, r *gm.Request) ([]*gm.Certificate, error) {
			return nil, durable.WriteFile(filepath.Join(*out, string(old.Name)+".csr"), r.PEM(), 0o644)
		})
		failed := false
		for _, m := range moved {
			fmt.Fprintf(e.stdout, "%-24s %-11s %s\n", m.Name, m.Purpose, m.Step)
			if m.Err != nil {
				failed = true
				fmt.Fprintf(e.stderr, "hint: %s: %s\n", m.Name, oneLine(say(m.Err)))
			}
			if m.Step == vault.Pending {
				fmt.Fprintf(e.stderr, "hint: %s.csr 送签后 when it is certified: sealgate keys install-cert -config %s %s CERT\n", filepath.Join(*out, string(m.Name)), *to, m.Name)
			}
		}
		if err := formerKeys(e, *out, moved); err != nil {
			return err
		}
		switch {
		case err != nil:
			return keyError(err)
		case failed:
			return no(errors.New("有密钥未能迁移 some keys were not migrated"))
		}
		return nil
	})
}

// formerKeys writes the public halves of the old checkpoint keys: the ledgers
// that they signed are opened with them until the new keys have signed.
func formerKeys(e env, dir string, moved []vault.Migrated) error {
	for _, m := range moved {
		if m.Purpose != keys.Checkpoint || m.Step != vault.Done {
			continue
		}
		path := filepath.Join(dir, string(m.Name)+".pem")
		if err := durable.WriteFile(path, publicPEM(m.Old), 0o644); err != nil {
			return usage(err)
		}
		fmt.Fprintf(e.stderr, "hint: 账本换用新密钥时写入配置 for the ledger that goes on under the new key: audit.former_keys: %s\n", path)
	}
	return nil
}
