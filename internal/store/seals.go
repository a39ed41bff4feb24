package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// SealState is where a seal stands: active <-> suspended, and from both to
// cancelled, for good.
type SealState string

// The states of a seal.
const (
	SealActive    SealState = "active"
	SealSuspended SealState = "suspended"
	SealCancelled SealState = "cancelled"
)

// Seal is a seal as the service keeps it. Everything but State and Changed is
// fixed when it is put.
type Seal struct {
	Name        string // what requests name it by
	ID          string // esID, unique
	ESL         []byte // DER SESeal
	KeyName     string // the key that signs
	KeyVersion  int    // and its version
	Certificate []byte // DER of the signer's certificate of that version
	State       SealState
	Created     time.Time
	Changed     time.Time // of State
}

const sealColumns = "name, id, esl, key_name, key_version, certificate, state, created, changed"

// PutSeal stores a new seal, active. ErrExists when its name or number is there.
func (s *Store) PutSeal(ctx context.Context, seal Seal) error {
	return s.transact(ctx, "put seal", func(tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, "INSERT INTO seals ("+sealColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
			seal.Name, seal.ID, seal.ESL, seal.KeyName, seal.KeyVersion, seal.Certificate, SealActive, stamp(seal.Created), stamp(seal.Created))
		return one(r, err, fmt.Errorf("%w: seal %s", ErrExists, seal.Name))
	})
}

// one returns otherwise unless exactly one row was changed.
func one(r sql.Result, err, otherwise error) error {
	if err != nil {
		return err
	}
	switch n, err := r.RowsAffected(); {
	case err != nil:
		return err
	case n != 1:
		return otherwise
	}
	return nil
}

// Seal returns the seal called name, or ErrUnknown.
func (s *Store) Seal(ctx context.Context, name string) (Seal, error) {
	seal, err := scanSeal(s.read.QueryRowContext(ctx, "SELECT "+sealColumns+" FROM seals WHERE name = ?", name))
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: seal %.80q", ErrUnknown, name)
	}
	return seal, failed("read seal", err)
}

// Seals returns all seals by name.
func (s *Store) Seals(ctx context.Context) ([]Seal, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT "+sealColumns+" FROM seals ORDER BY name")
	if err != nil {
		return nil, failed("list seals", err)
	}
	defer rows.Close()
	var out []Seal
	for rows.Next() {
		seal, err := scanSeal(rows)
		if err != nil {
			return nil, failed("list seals", err)
		}
		out = append(out, seal)
	}
	return out, failed("list seals", rows.Err())
}

func scanSeal(row interface{ Scan(...any) error }) (Seal, error) {
	var seal Seal
	var created, changed int64
	if err := row.Scan(&seal.Name, &seal.ID, &seal.ESL, &seal.KeyName, &seal.KeyVersion, &seal.Certificate, &seal.State, &created, &changed); err != nil {
		return Seal{}, err
	}
	seal.Created, seal.Changed = unstamp(created), unstamp(changed)
	return seal, nil
}

// SealStatus returns the state of the seal with this number (esID), or
// ErrUnknown.
func (s *Store) SealStatus(ctx context.Context, id string) (string, error) {
	var state string
	err := s.read.QueryRowContext(ctx, "SELECT state FROM seals WHERE id = ?", id).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("%w: seal number %.80q", ErrUnknown, id)
	}
	return state, failed("read seal state", err)
}

// SetSealState moves the seal called name to another state. Setting the state
// it has changes nothing; ErrState when the seal is cancelled or the move is
// none of the allowed ones.
func (s *Store) SetSealState(ctx context.Context, name string, to SealState, at time.Time) error {
	return s.transact(ctx, "set seal state", func(tx *sql.Tx) error {
		var from SealState
		err := tx.QueryRowContext(ctx, "SELECT state FROM seals WHERE name = ?", name).Scan(&from)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("%w: seal %.80q", ErrUnknown, name)
		case err != nil:
			return err
		case from == to:
			return nil
		case from == SealCancelled || to != SealActive && to != SealSuspended && to != SealCancelled:
			return fmt.Errorf("%w: seal %s is %s", ErrState, name, from)
		}
		r, err := tx.ExecContext(ctx, "UPDATE seals SET state = ?, changed = ? WHERE name = ?", to, stamp(at), name)
		return one(r, err, ErrUnknown)
	})
}
