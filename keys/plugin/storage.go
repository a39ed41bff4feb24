package plugin

import (
	"context"
	"errors"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys/engine"
)

// requestStorage is Vault's storage as keys/engine wants it: each call goes to
// the storage of the request it serves, because Vault forbids to keep one.
// Vault's barrier encrypts and authenticates an entry together with its path
// and writes it atomically; with Raft it answers when a quorum has it. That is
// the contract of engine.Storage.
type requestStorage struct{}

type storageKey struct{}

func withStorage(ctx context.Context, s logical.Storage) context.Context {
	return context.WithValue(ctx, storageKey{}, s)
}

var errNoStorage = errors.New("the request has no storage")

func view(ctx context.Context) (logical.Storage, error) {
	if s, ok := ctx.Value(storageKey{}).(logical.Storage); ok {
		return s, nil
	}
	return nil, errNoStorage
}

// Get implements engine.Storage.
func (requestStorage) Get(ctx context.Context, path string) ([]byte, error) {
	s, err := view(ctx)
	if err != nil {
		return nil, err
	}
	e, err := s.Get(ctx, path)
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, engine.ErrNoEntry
	}
	return append([]byte(nil), e.Value...), nil
}

// Put implements engine.Storage. The value is copied: the engine wipes its own
// as soon as Put returns, and a storage in memory keeps what it was given.
func (requestStorage) Put(ctx context.Context, path string, value []byte) error {
	s, err := view(ctx)
	if err != nil {
		return err
	}
	return s.Put(ctx, &logical.StorageEntry{Key: path, Value: append([]byte(nil), value...)})
}

// Delete implements engine.Storage.
func (requestStorage) Delete(ctx context.Context, path string) error {
	s, err := view(ctx)
	if err != nil {
		return err
	}
	return s.Delete(ctx, path)
}

// List implements engine.Storage.
func (requestStorage) List(ctx context.Context, prefix string) ([]string, error) {
	s, err := view(ctx)
	if err != nil {
		return nil, err
	}
	return s.List(ctx, prefix)
}

var _ engine.Storage = requestStorage{}
