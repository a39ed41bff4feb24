package engine_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// flood has a key sign under new ids until it is refused, and returns how many
// it got.
func flood(t *testing.T, e *engine.Engine, clock *keytest.Clock, name keys.Name, ids string) int {
	t.Helper()
	item := checkpoint(t, clock)
	for n := 0; ; {
		batch := make([]keys.Request, 16)
		for i := range batch {
			batch[i] = keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: fmt.Sprint(ids, "-", n+i)}
		}
		out, err := e.Key(name).SignBatch(t.Context(), batch)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range out {
			switch {
			case r.Err == nil:
				n++
			case errors.Is(r.Err, keys.ErrAnswersFull):
				return n
			default:
				t.Fatal(r.Err)
			}
		}
	}
}

func TestAKeyWhoseTokenWasStolenCannotUseUpTheMemoryOfTheOthers(t *testing.T) {
	const limit = 600
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	e := engine.New(m, engine.Config{Now: clock.Now, MaxAnswers: limit})
	for i := range 5 {
		if _, err := e.Create(t.Context(), keys.Name(fmt.Sprint("k", i)), keys.Checkpoint); err != nil {
			t.Fatal(err)
		}
	}
	within := func(what string, got, want int) {
		t.Helper()
		if got < want*9/10 || got > want {
			t.Errorf("%s: %d ids, want about %d", what, got, want)
		}
	}
	within("one key alone", flood(t, e, clock, "k0", "x"), limit/2)
	within("a second one", flood(t, e, clock, "k1", "x"), limit/4)
	within("a third one", flood(t, e, clock, "k2", "x"), limit/8)
	if n := flood(t, e, clock, "k3", "x"); n == 0 {
		t.Error("there is no room for a key that has used none")
	}
	// What is remembered is answered, and what needs no memory is signed.
	item := checkpoint(t, clock)
	for _, id := range []string{"x-0", ""} {
		if _, err := e.Key("k0").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: id}); err != nil {
			t.Errorf("id %q: %v", id, err)
		}
	}
	// The next process and the one whose storage changed count alike.
	e.InvalidateAll()
	for name, other := range map[string]*engine.Engine{"invalidated": e, "restarted": engine.New(m, engine.Config{Now: clock.Now, MaxAnswers: limit})} {
		_, err := other.Key("k0").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: "one-more"})
		if !errors.Is(err, keys.ErrAnswersFull) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := other.Key("k4").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: "first-of-" + name}); err != nil {
			t.Errorf("%s, a key that has used none: %v", name, err)
		}
	}
	// A day later all is free again.
	clock.Move(t, engine.AnswerLife+2*time.Hour)
	if _, err := e.Key("k0").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: checkpoint(t, clock), KeyVersion: 1, ID: ""}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Key("k4").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: checkpoint(t, clock), KeyVersion: 1, ID: "tomorrow"}); err != nil {
		t.Fatal(err)
	}
	within("one key alone, a day later", flood(t, e, clock, "k0", "y"), limit/2)
}
