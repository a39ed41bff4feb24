package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/store"
)

func sealsSuspend(ctx context.Context, e env, args []string) error {
	return sealsTurn(ctx, e, "suspend", args, store.SealSuspended)
}

func sealsRestore(ctx context.Context, e env, args []string) error {
	return sealsTurn(ctx, e, "restore", args, store.SealActive)
}

func sealsCancel(ctx context.Context, e env, args []string) error {
	return sealsTurn(ctx, e, "cancel", args, store.SealCancelled)
}

// sealsTurn moves a seal to another state: suspended seals are applied to
// nothing until they are restored, cancelled ones never again. What was sealed
// before stays as it is. The intent is recorded first.
func sealsTurn(ctx context.Context, e env, action string, args []string, to store.SealState) (err error) {
	fs := newFlags("seals " + action)
	path := fs.String("config", "", "`FILE` 配置文件 configuration file")
	operands, err := operandsOf(fs, args, 1, "NAME")
	if err != nil {
		return err
	}
	c, err := loadConfig(*path)
	if err != nil {
		return err
	}
	s, err := openSite(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	have, err := s.store.Seal(ctx, operands[0])
	switch {
	case errors.Is(err, store.ErrUnknown):
		return no(fmt.Errorf("没有这枚印章 no such seal: %s", operands[0]), "sealgate seals list -config FILE")
	case err != nil:
		return undecided(err)
	}
	record := audit.Record{Type: audit.Type("admin.seal-" + action), Actor: audit.Actor{Kind: "service", ID: s.config.Node},
		Object: audit.Object{Kind: "seal", ID: have.ID}, Outcome: audit.Allowed}
	if _, err := s.ledger.Append(ctx, record); err != nil {
		return undecided(err, "账本不可写，印章状态未变 the ledger cannot be written: the seal is as it was")
	}
	switch err := s.store.SetSealState(ctx, have.Name, to, time.Now()); {
	case errors.Is(err, store.ErrState):
		return no(fmt.Errorf("印章已注销，不能再改 the seal is cancelled for good: %w", err))
	case err != nil:
		return undecided(err)
	}
	fmt.Fprintf(e.stdout, "%-24s %-16s %s\n", have.Name, have.ID, to)
	return nil
}
