package server

import (
	"context"
	"errors"
	"time"
)

// A Use is one application of a seal (用印), as the state store keeps it. It
// holds no content of the document but what Finished.Document carries for the
// repetition of an answer.
type Use struct {
	ID          string   // the request id, unique; joins the audit records
	Caller      string   // the name behind the bearer token
	Key         string   // the caller's idempotency key; the ID when it sent none
	RequestSM3  [32]byte // of the document and every parameter
	DocumentSM3 [32]byte // of the document as received
	Seal        string   // the name of the seal in the request
	Begun       time.Time

	Finished *UseResult // nil while the sealing goes on
}

// UseResult is how a use ended well. Uses that ended badly are dropped.
type UseResult struct {
	At        time.Time
	SealID    string   // esID of the seal
	ResultSM3 [32]byte // of the sealed document
	Document  []byte   // the sealed document; nil when no idempotency key was sent
}

// UseStore keeps uses. Implementations are safe for concurrent use by several
// processes, and what a method wrote is durable when it returns nil. Errors
// other than the sentinels carry Code() "SG-STOP-STATE" or the like; the
// server does not retry, and does not seal without a stored claim.
type UseStore interface {
	// BeginUse claims (use.Caller, use.Key), which is unique in the store. When
	// the claim is free it stores use and returns nil, nil. When another use has
	// the claim it returns that use, with Finished and the document where it is
	// finished, and stores nothing; except that an unfinished use begun before
	// staleBefore belongs to a process that died: it is replaced, as if the claim
	// were free. Two callers at once: exactly one gets the claim.
	BeginUse(ctx context.Context, use Use, staleBefore time.Time) (*Use, error)

	// FinishUse stores the result of an unfinished use. ErrUseLost when there is
	// no unfinished use with this id (it was taken for stale and replaced).
	FinishUse(ctx context.Context, id string, result UseResult) error

	// DropUse removes an unfinished use, so that its key is free again. A use
	// that is absent or finished is left alone without error.
	DropUse(ctx context.Context, id string) error
}

// ErrUseLost says that a use is not, or no longer, in progress.
var ErrUseLost = errors.New("seal use is no longer in progress")
