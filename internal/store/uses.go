package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Use is one application of a seal (用印). It is the seal service's Use, field
// for field; the two packages stand on one level and the program that wires
// them converts.
type Use struct {
	ID          string   // unique; joins the audit records
	Caller      string   // who asked
	Key         string   // the caller's idempotency key
	RequestSM3  [32]byte // of the document and every parameter
	DocumentSM3 [32]byte // of the document as received
	Seal        string   // the name of the seal
	Begun       time.Time

	Finished *UseResult // nil while the sealing goes on
}

// UseResult is how a use ended well.
type UseResult struct {
	At        time.Time
	SealID    string
	ResultSM3 [32]byte // of the sealed document
	Document  []byte   // nil when it is not kept
}

// ErrUseLost says that a use is not, or no longer, in progress.
var ErrUseLost = errors.New("seal use is no longer in progress")

// BeginUse claims (use.Caller, use.Key). When the claim is free, or held by an
// unfinished use begun before staleBefore, use is stored and BeginUse returns
// nil, nil. Otherwise it returns the use that has the claim and stores nothing.
// Of concurrent callers exactly one gets the claim.
func (s *Store) BeginUse(ctx context.Context, use Use, staleBefore time.Time) (*Use, error) {
	var holder *Use
	err := s.transact(ctx, "begin seal use", func(tx *sql.Tx) error {
		found, err := scanUse(tx.QueryRowContext(ctx, `SELECT id, caller, key, request_sm3, document_sm3, seal, begun, finished, seal_id, result_sm3, document
			FROM seal_uses WHERE caller = ? AND key = ?`, use.Caller, use.Key))
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case found.Finished != nil || !found.Begun.Before(staleBefore):
			holder = found
			return nil
		default:
			if _, err := tx.ExecContext(ctx, "DELETE FROM seal_uses WHERE id = ?", found.ID); err != nil {
				return err
			}
		}
		r, err := tx.ExecContext(ctx, `INSERT INTO seal_uses (id, caller, key, request_sm3, document_sm3, seal, begun)
			VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING`,
			use.ID, use.Caller, use.Key, use.RequestSM3[:], use.DocumentSM3[:], use.Seal, stamp(use.Begun))
		return one(r, err, fmt.Errorf("%w: seal use %s", ErrExists, use.ID))
	})
	if err != nil {
		return nil, err
	}
	return holder, nil
}

// FinishUse stores the result of an unfinished use; ErrUseLost when there is
// none with this id.
func (s *Store) FinishUse(ctx context.Context, id string, result UseResult) error {
	return s.transact(ctx, "finish seal use", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "UPDATE seal_uses SET finished = ?, seal_id = ?, result_sm3 = ?, document = ? WHERE id = ? AND finished IS NULL",
			stamp(result.At), result.SealID, result.ResultSM3[:], result.Document, id)
		return one(r, err, ErrUseLost)
	})
}

// DropUse removes an unfinished use, so that its key is free again. A use that
// is absent or finished is left alone.
func (s *Store) DropUse(ctx context.Context, id string) error {
	_, err := s.write.ExecContext(ctx, "DELETE FROM seal_uses WHERE id = ? AND finished IS NULL", id)
	return failed("drop seal use", err)
}

// ForgetUses removes finished uses that ended before the time given, documents
// included, and returns how many. Their keys are free again.
func (s *Store) ForgetUses(ctx context.Context, before time.Time) (int64, error) {
	r, err := s.write.ExecContext(ctx, "DELETE FROM seal_uses WHERE finished < ?", stamp(before))
	if err != nil {
		return 0, failed("forget seal uses", err)
	}
	n, err := r.RowsAffected()
	return n, failed("forget seal uses", err)
}

func scanUse(row *sql.Row) (*Use, error) {
	var u Use
	var begun int64
	var finished sql.NullInt64
	var sealID sql.NullString
	var request, document, result, content []byte
	if err := row.Scan(&u.ID, &u.Caller, &u.Key, &request, &document, &u.Seal, &begun, &finished, &sealID, &result, &content); err != nil {
		return nil, err
	}
	copy(u.RequestSM3[:], request)
	copy(u.DocumentSM3[:], document)
	u.Begun = unstamp(begun)
	if finished.Valid {
		u.Finished = &UseResult{At: unstamp(finished.Int64), SealID: sealID.String, Document: content}
		copy(u.Finished.ResultSM3[:], result)
	}
	return &u, nil
}
