package main

import (
	"context"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
)

// keysPublic writes the public halves of every version that a key ever had:
// what `audit verify -pub` wants of a ledger's checkpoint key, from whoever may
// read the key and not from who writes the ledger.
func keysPublic(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys public")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	out := fs.String("o", "", "`FILE` 输出文件 output file; stdout when left out")
	name, err := nameOf(fs, args, "NAME")
	if err != nil {
		return err
	}
	return withKeystore(ctx, e, *cfg, "", "", func(ks keyService) error {
		info, err := ks.Info(ctx, name)
		if err != nil {
			return keyError(err)
		}
		if *out == "" {
			_, err := e.stdout.Write(publicPEM(info))
			return err
		}
		if err := durable.WriteFile(*out, publicPEM(info), 0o644); err != nil {
			return usage(err)
		}
		return nil
	})
}

func publicPEM(info keys.Info) []byte {
	var pem []byte
	for _, v := range info.Versions {
		pem = append(pem, v.Public.PEM()...)
	}
	return pem
}
