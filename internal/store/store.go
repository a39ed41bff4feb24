// Package store keeps Sealgate's state in one SQLite file: used nonces, seals,
// seal uses, and which policy was activated last. It implements the storage interfaces that the domain packages
// declare: identity.Nonces is Nonces; the seal service's store of uses and its
// source of seal states are served by Store's methods of the same names.
//
// What it promises: a write that returned nil is on the disk (WAL with
// synchronous=FULL); what the schema calls unique is unique also between
// concurrent calls; an error carries Code "SG-STOP-STATE", and the act that
// asked must not go on.
//
// What it refuses to do: it opens no file that others may read, that fails
// SQLite's integrity check, that another program wrote, or that a newer
// Sealgate migrated; it repairs and deletes nothing on its own; it lets no
// second process in.
//
//	s, err := store.Open(ctx, filepath.Join(dir, "state.db"))
//	defer s.Close()
//	err = s.Nonces().Use(ctx, app, nonce, until)
package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	_ "modernc.org/sqlite" // the driver "sqlite"
)

const (
	// busyTimeout is how long a connection waits for another's transaction.
	busyTimeout = 5 * time.Second
	readers     = 4
)

// The refusals of Open, and of acts whose object is not there.
var (
	ErrLocked  = errors.New("the state store is used by another process")
	ErrDamaged = errors.New("the state store is damaged")
	ErrForeign = errors.New("the file is not a state store of this program")
	ErrNewer   = errors.New("the state store was migrated by a newer version")
	ErrUnknown = errors.New("no such entry in the state store")
	ErrExists  = errors.New("there is such an entry in the state store")
	ErrState   = errors.New("the entry is in another state")
)

// Error is what failed, with its cause. Code is SG-STOP-STATE: without its
// state Sealgate does not act.
type Error struct {
	Op  string // what was tried, such as "use nonce"
	Err error
}

// Error returns operation and cause.
func (e *Error) Error() string { return "state store: " + e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Code returns SG-STOP-STATE.
func (e *Error) Code() string { return "SG-STOP-STATE" }

func failed(op string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Op: op, Err: err}
}

// Store is one open state file. It is safe for concurrent use.
type Store struct {
	lock   *durable.Lock
	write  *sql.DB // one connection: writers wait in Go, not on SQLite's lock
	read   *sql.DB // read-only connections
	nonces *Nonces
}

// Open opens the state file at path, makes it if there is none, checks it and
// brings it to this version's schema.
func Open(ctx context.Context, path string) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, failed("open", err)
	}
	if err := durable.PrivateDirectory(filepath.Dir(abs)); err != nil {
		return nil, failed("open", err)
	}
	lock, err := durable.TryLock(abs + ".lock")
	if errors.Is(err, durable.ErrLocked) {
		return nil, failed("open", fmt.Errorf("%w: %s", ErrLocked, path))
	}
	if err != nil {
		return nil, failed("open", err)
	}
	s := &Store{lock: lock}
	if err := s.open(ctx, abs); err != nil {
		return nil, errors.Join(failed("open", err), s.Close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context, path string) error {
	// Made or checked as a private file; SQLite gives its companions the same mode.
	f, err := durable.OpenPrivate(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return err
	}
	if err := errors.Join(identify(f, path), f.Close()); err != nil {
		return err
	}
	if s.write, err = sql.Open("sqlite", dsn(path, false)); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	s.write.SetConnMaxIdleTime(0)
	if err := check(ctx, s.write); err != nil {
		return err
	}
	if err := migrate(ctx, s.write); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(path, true)); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(readers)
	s.nonces, err = newNonces(ctx, s.write)
	return err
}

// identify refuses a file that is not ours before SQLite touches it: opening
// it already changes its journal mode. It reads the database header (SQLite
// file format, section 1.3: user version at 60, application id at 68); what is
// still in a write-ahead log is judged by migrate.
func identify(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	var h [100]byte
	if _, err := f.ReadAt(h[:], 0); err != nil || !bytes.HasPrefix(h[:], []byte("SQLite format 3\x00")) {
		return fmt.Errorf("%w: %s", ErrForeign, path)
	}
	known, _, err := schemaVersion()
	if err != nil {
		return err
	}
	_, logErr := os.Lstat(path + "-wal")
	switch app, version := binary.BigEndian.Uint32(h[68:]), binary.BigEndian.Uint32(h[60:]); {
	case app != applicationID && (app != 0 || logErr != nil):
		return fmt.Errorf("%w: %s", ErrForeign, path)
	case version > uint32(known):
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewer, version, known)
	}
	return nil
}

func dsn(path string, readOnly bool) string {
	q := url.Values{"_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()),
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)"}, "_txlock": {"immediate"}}
	if readOnly {
		q.Add("_pragma", "query_only(1)")
		q.Set("_txlock", "deferred")
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

// check makes sure that the settings took effect (SQLite does not report those
// that did not) and that the file is whole.
func check(ctx context.Context, db *sql.DB) error {
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&got); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if got != want {
			return fmt.Errorf("%s is %q, want %q", pragma, got, want)
		}
	}
	for _, pragma := range []string{"integrity_check(1)", "foreign_key_check"} {
		var first string
		err := db.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(&first)
		if pragma == "foreign_key_check" && errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, pragma, err)
		}
		if first != "ok" {
			return fmt.Errorf("%w: %s: %.200s", ErrDamaged, pragma, first)
		}
	}
	return nil
}

// Close ends the store. Calls after it fail.
func (s *Store) Close() error {
	var errs []error
	if s.nonces != nil {
		s.nonces.close()
	}
	for _, db := range []*sql.DB{s.read, s.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return failed("close", errors.Join(append(errs, s.lock.Release())...))
}

// Ready reports whether the store answers; nil means yes.
func (s *Store) Ready(ctx context.Context) error {
	var one int
	return failed("ready", s.write.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}

// transact runs f in a transaction that begins with the write lock.
func (s *Store) transact(ctx context.Context, op string, f func(*sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return failed(op, err)
	}
	if err := f(tx); err != nil {
		return failed(op, errors.Join(err, ignoreDone(tx.Rollback())))
	}
	return failed(op, tx.Commit())
}

// ignoreDone: when the context ended, the transaction is rolled back already.
func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// Times are stored as nanoseconds since 1970 UTC.
func stamp(t time.Time) int64 { return t.UnixNano() }

func unstamp(n int64) time.Time { return time.Unix(0, n).UTC() }
