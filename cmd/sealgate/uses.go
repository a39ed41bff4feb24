package main

import (
	"context"
	"errors"
	"time"

	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/seal/server"
)

// uses lets the seal service keep its uses in the state store. The two
// packages stand on one level and do not know each other; this is the wiring.
type uses struct{ store *store.Store }

var _ server.UseStore = uses{}

func (u uses) BeginUse(ctx context.Context, use server.Use, staleBefore time.Time) (*server.Use, error) {
	held, err := u.store.BeginUse(ctx, store.Use{ID: use.ID, Caller: use.Caller, Key: use.Key, RequestSM3: use.RequestSM3,
		DocumentSM3: use.DocumentSM3, Seal: use.Seal, Begun: use.Begun}, staleBefore)
	if err != nil || held == nil {
		return nil, err
	}
	out := &server.Use{ID: held.ID, Caller: held.Caller, Key: held.Key, RequestSM3: held.RequestSM3,
		DocumentSM3: held.DocumentSM3, Seal: held.Seal, Begun: held.Begun}
	if held.Finished != nil {
		r := server.UseResult(*held.Finished)
		out.Finished = &r
	}
	return out, nil
}

func (u uses) FinishUse(ctx context.Context, id string, result server.UseResult) error {
	err := u.store.FinishUse(ctx, id, store.UseResult(result))
	if errors.Is(err, store.ErrUseLost) {
		return errors.Join(server.ErrUseLost, err)
	}
	return err
}

func (u uses) DropUse(ctx context.Context, id string) error { return u.store.DropUse(ctx, id) }
