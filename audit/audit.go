// Package audit is the ledger (审计账本): an append-only file of records that
// nobody can change, drop or reorder without being found out.
//
// Every record is one canonical JSON object (RFC 8785, integers only). Records
// are the leaves of a Merkle tree as in RFC 9162 section 2.1, with SM3 (GB/T
// 32905) in the place of SHA-256. The tree's root is signed with SM2 (GB/T
// 32918) at a steady pace: a Checkpoint. Whoever keeps one checkpoint somewhere
// else can later prove that everything below it is still there and unchanged.
// docs/ledger.md describes the files well enough to write a checker from it.
//
// Which function do I want?
//
//   - A process that acts: Open, then Append for each record. Append returns
//     only when the record is on the disk; on any error the act must not happen.
//   - An auditor: Verify (is it whole?), Query (find), Prove and Consistency
//     (hand evidence to somebody who has only a checkpoint), Head (the newest
//     checkpoint). These only read, need no lock, and work beside a running writer.
//   - A key engine: ParseCheckpoint, to see what it is asked to sign.
//
// What it refuses to do: it has no way to delete or change a record or to switch
// itself off; it never acknowledges a record that is not durable; it never
// signs a tree that is not durable; it never goes on after a failed fsync; it
// never opens a ledger whose files were changed; and it takes no bodies, names,
// identity numbers or secrets (the Record has no room for them; identifiers are
// kept as keyed hashes, see SubjectIndex).
//
//	ledger, err := audit.Open(audit.Config{Dir: dir, Log: "jl-gateway-1", Node: "gw1", Signer: signer, PublicKey: pub})
//	receipt, err := ledger.Append(ctx, audit.Record{Type: audit.CallIntent, …})
//	if err != nil { /* refuse the call */ }
package audit

import (
	"fmt"
	"time"
)

const (
	// MaxRecordSize is the longest canonical record in bytes.
	MaxRecordSize = 256 << 10
	// MaxUnsigned is how long records may stand without a checkpoint. When the
	// signer is away for longer, Append refuses (ErrUnsigned); a ledger whose
	// records span more than this after the last checkpoint has lost one.
	MaxUnsigned = time.Hour
	// MaxUnsignedRecords bounds the same by number.
	MaxUnsignedRecords = 1 << 22
)

// Error is a refusal of the ledger with the stable code that callers see. The
// variables of this type are sentinels for errors.Is; what is returned wraps one
// of them with its cause.
type Error struct{ code, text string }

func (e *Error) Error() string { return e.text }

// Code returns the stable code, SG-AUDIT-….
func (e *Error) Code() string { return e.code }

// The refusals. After each of them the record is not acknowledged, and what it
// was to record must not happen.
var (
	// ErrRecord: the record breaks a rule of its form. Nothing was written.
	ErrRecord = &Error{"SG-AUDIT-RECORD", "audit record is not well formed"}
	// ErrBusy: the queue stayed full, or the disk did not answer, for the whole
	// of Config.Wait, or the context ended. The record may still be written
	// later, unless the error also is ErrNotWritten.
	ErrBusy = &Error{"SG-AUDIT-TIMEOUT", "audit ledger did not answer in time"}
	// ErrNotWritten accompanies ErrBusy when the record certainly was not and
	// will not be written.
	ErrNotWritten = &Error{"SG-AUDIT-TIMEOUT", "the record was not written"}
	// ErrFull: the disk is full. Nothing was written. The ledger goes on by
	// itself when there is space again.
	ErrFull = &Error{"SG-AUDIT-FULL", "audit disk is full"}
	// ErrStore: writing or syncing failed. The ledger acknowledges nothing more
	// until it is opened again; the record may or may not be there then.
	ErrStore = &Error{"SG-AUDIT-UNAVAILABLE", "audit storage failed"}
	// ErrUnsigned: no checkpoint could be signed for too long (MaxUnsigned).
	// Nothing was written. The ledger goes on by itself when the signer answers.
	ErrUnsigned = &Error{"SG-AUDIT-UNAVAILABLE", "audit checkpoints cannot be signed"}
	// ErrClosed: the ledger was closed. Nothing was written.
	ErrClosed = &Error{"SG-AUDIT-CLOSED", "audit ledger is closed"}
	// ErrLocked: another process writes this ledger.
	ErrLocked = &Error{"SG-AUDIT-UNAVAILABLE", "audit ledger has another writer"}
	// ErrBroken: the files on the disk are not what a ledger can be after any
	// crash: they were changed, or the disk lost data it had confirmed.
	ErrBroken = &Error{"SG-AUDIT-CORRUPT", "audit ledger is damaged"}
)

// BrokenError says where and how a ledger is broken. It is ErrBroken.
type BrokenError struct {
	Index uint64 // seq of the first record that is missing, changed or unproven
	Why   string // one sentence for an auditor
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s at record %d: %s", ErrBroken.text, e.Index, e.Why)
}

// Code returns SG-AUDIT-CORRUPT.
func (e *BrokenError) Code() string { return ErrBroken.code }

// Is makes errors.Is(err, ErrBroken) true.
func (e *BrokenError) Is(target error) bool { return target == ErrBroken }

func brokenAt(index uint64, format string, args ...any) error {
	return &BrokenError{Index: index, Why: fmt.Sprintf(format, args...)}
}
