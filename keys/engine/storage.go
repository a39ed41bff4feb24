package engine

import (
	"context"
	"errors"
)

// Prefixes of the paths an engine uses. Entries under KeyPrefix hold private
// keys: a host seal-wraps or encrypts them. Entries under AnswerPrefix hold
// signatures that were given out, for AnswerLife.
const (
	KeyPrefix    = "keys/"
	AnswerPrefix = "answers/"
)

// ErrNoEntry is what Storage.Get returns for a path that holds nothing.
var ErrNoEntry = errors.New("no storage entry at this path")

// Storage keeps opaque entries. Paths are a prefix above followed by one
// segment of [a-z0-9-]. The contract:
//
//   - Put replaces the whole entry atomically: a reader, also after a crash,
//     sees the old bytes or the new ones. When Put returns nil the entry is
//     durable. When it returns an error either may be there; the engine reads
//     again before it goes on.
//   - Get returns a fresh slice that the caller may wipe, or ErrNoEntry. It
//     never returns bytes that were not Put: a store that can be tampered with
//     authenticates its entries, together with their path.
//   - Delete of an absent entry succeeds.
//   - List returns the last segments of all paths under prefix, in any order.
//   - There are no transactions over several entries, and the engine needs
//     none: one entry holds one key with all its versions.
//   - All methods may be called concurrently. Two Puts of one path are never
//     issued concurrently by one engine.
type Storage interface {
	Get(ctx context.Context, path string) ([]byte, error)
	Put(ctx context.Context, path string, value []byte) error
	Delete(ctx context.Context, path string) error
	List(ctx context.Context, prefix string) ([]string, error)
}
