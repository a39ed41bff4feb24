package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// runConfig checks configuration files as serve would, without starting anything.
func runConfig(ctx context.Context, e env, args []string) error {
	return act(ctx, e, "config", args, action{"check", configCheck})
}

func configCheck(ctx context.Context, e env, args []string) error {
	fs := newFlags("config check")
	path := fs.String("config", "", "`FILE` 配置文件 configuration file")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if *path == "" && len(operands) == 1 {
		*path, operands = operands[0], nil
	}
	if len(operands) > 0 {
		return usage(errors.New("只需要一个文件 want one file"))
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	if _, err := loadParts(ctx, c, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	if err := checkBundle(ctx, c); err != nil {
		return err
	}
	if len(c.Roles) == 0 {
		fmt.Fprintf(e.stdout, "%s: 正确，没有角色：仅供管理密钥 ok, no roles: for managing keys only\n", *path)
		return nil
	}
	fmt.Fprintf(e.stdout, "%s: 正确 ok\n", *path)
	return nil
}
