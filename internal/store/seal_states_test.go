package store_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/store"
)

func TestWhatHappenedToASealIsKeptForEver(t *testing.T) {
	s, path := open(t)
	ctx := t.Context()
	at := time.Date(2026, 11, 24, 8, 0, 0, 0, time.UTC)
	if err := s.PutSeal(ctx, store.Seal{Name: "rs", ID: "22010000000001", ESL: []byte{1}, KeyName: "seal-rs", KeyVersion: 1, Certificate: []byte{2}, Created: at}); err != nil {
		t.Fatal(err)
	}
	for i, to := range []store.SealState{store.SealSuspended, store.SealSuspended, store.SealActive, store.SealCancelled} {
		if err := s.SetSealState(ctx, "rs", to, at.Add(time.Duration(i)*time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.SealChanges(ctx)
	if err != nil || len(all) != 3 {
		t.Fatalf("%+v %v", all, err)
	}
	for i, want := range []store.SealChange{{"22010000000001", store.SealSuspended, at}, {"22010000000001", store.SealActive, at.Add(2 * time.Hour)}, {"22010000000001", store.SealCancelled, at.Add(3 * time.Hour)}} {
		if got := all[i]; got.ID != want.ID || got.To != want.To || !got.At.Equal(want.At) {
			t.Errorf("change %d: %+v, want %+v", i, got, want)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{"DELETE FROM seal_states", "UPDATE seal_states SET state = 'active'"} {
		if _, err := db.ExecContext(ctx, q); err == nil {
			t.Errorf("%s is allowed", q)
		}
	}
}
