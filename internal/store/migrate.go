package store

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

// migrations/NNNN_name.sql, in order. A released file is never changed; the
// next change of the schema is the next file. PRAGMA user_version counts how
// many were applied.
//
//go:embed migrations/*.sql
var migrations embed.FS

// applicationID marks the file as ours (PRAGMA application_id): "SGAT".
const applicationID = 0x53474154

// schemaVersion is the number of migrations this program knows.
func schemaVersion() (int, []string, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql") // sorted
	if err != nil {
		return 0, nil, err
	}
	for i, n := range names {
		if !strings.HasPrefix(n, fmt.Sprintf("migrations/%04d_", i+1)) {
			return 0, nil, fmt.Errorf("migration %s is out of order", n)
		}
	}
	return len(names), names, nil
}

// migrate brings the file to this program's schema, one transaction for each
// step, so that a crash leaves a schema that is known.
func migrate(ctx context.Context, db *sql.DB) error {
	known, names, err := schemaVersion()
	if err != nil {
		return err
	}
	var app, version, tables int
	for query, to := range map[string]*int{"PRAGMA application_id": &app, "PRAGMA user_version": &version,
		"SELECT count(*) FROM sqlite_schema": &tables} {
		if err := db.QueryRowContext(ctx, query).Scan(to); err != nil {
			return fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	switch fresh := app == 0 && version == 0 && tables == 0; {
	case !fresh && app != applicationID:
		return ErrForeign
	case version > known:
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewer, version, known)
	}
	for i := version; i < known; i++ {
		if err := apply(ctx, db, names[i], i+1); err != nil {
			return fmt.Errorf("migration %s: %w", names[i], err)
		}
	}
	return nil
}

func apply(ctx context.Context, db *sql.DB, name string, version int) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after Commit it has nothing to do
	for _, q := range []string{string(text), fmt.Sprintf("PRAGMA application_id = %d", applicationID), fmt.Sprintf("PRAGMA user_version = %d", version)} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return err
		}
	}
	return tx.Commit()
}
