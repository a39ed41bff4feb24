package engine_test

import (
	"bytes"
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// The whole exported surface of the engine and of a key. A new method makes
// this test fail, so that somebody asks whether it could sign a digest, take a
// user identity, or let a private key out.
func TestNothingExportsImportsOrSignsRawBytes(t *testing.T) {
	methods := func(v any) []string {
		var out []string
		for i := range reflect.TypeOf(v).NumMethod() {
			out = append(out, reflect.TypeOf(v).Method(i).Name)
		}
		return out
	}
	e := engine.New(&keytest.Memory{}, engine.Config{})
	want := []string{"CSR", "Create", "Destroy", "Disable", "Info", "InstallCertificate", "Invalidate", "InvalidateAll", "Key", "List", "Rotate"}
	if got := methods(e); !slices.Equal(got, want) {
		t.Errorf("engine.Engine has %v, want %v", got, want)
	}
	if got := methods(e.Key("k")); !slices.Equal(got, []string{"Info", "Sign", "SignBatch"}) {
		t.Errorf("a key has %v", got)
	}
	for i := range reflect.TypeFor[engine.Engine]().NumField() {
		if f := reflect.TypeFor[engine.Engine]().Field(i); f.IsExported() {
			t.Errorf("engine.Engine has the exported field %s", f.Name)
		}
	}
	fields := map[reflect.Type][]string{
		reflect.TypeFor[keys.Request]():   {"Type", "Item", "KeyVersion", "ID"},
		reflect.TypeFor[keys.Signature](): {"Value", "KeyVersion", "Fingerprint", "Hint"},
		reflect.TypeFor[keys.Version]():   {"Number", "State", "Created", "Public", "Certificate", "Chain"},
		reflect.TypeFor[keys.Info]():      {"Name", "Purpose", "State", "Software", "Created", "DisabledAt", "DestroyFrom", "Live", "Versions"},
	}
	for ty, want := range fields {
		var got []string
		for i := range ty.NumField() {
			got = append(got, ty.Field(i).Name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v has fields %v, want %v", ty, got, want)
		}
	}
}

func TestPrivateKeysAreOnlyUnderTheKeyPrefix(t *testing.T) {
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	e := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, e, clock, "use-1")
	for _, prefix := range []string{engine.KeyPrefix, engine.AnswerPrefix} {
		names, _ := m.List(t.Context(), prefix)
		if len(names) != 1 {
			t.Fatalf("%s holds %v", prefix, names)
		}
		v, _ := m.Get(t.Context(), prefix+names[0])
		if has := bytes.Contains(v, []byte(`"d":`)); has != (prefix == engine.KeyPrefix) {
			t.Errorf("%s: private half %v", prefix, has)
		}
	}
}

// sign makes the checkpoint key "c" if needed and signs one checkpoint.
func sign(t *testing.T, e *engine.Engine, clock *keytest.Clock, id string) keys.Signature {
	t.Helper()
	s, err := trySign(t, e, clock, id)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func trySign(t *testing.T, e *engine.Engine, clock *keytest.Clock, id string) (keys.Signature, error) {
	t.Helper()
	info, err := e.Info(t.Context(), "c")
	if errors.Is(err, keys.ErrNotFound) {
		info, err = e.Create(t.Context(), "c", keys.Checkpoint)
	}
	if err != nil {
		return keys.Signature{}, err
	}
	return e.Key("c").Sign(t.Context(), keys.Request{Type: keys.TypeCheckpoint, Item: checkpoint(t, clock), KeyVersion: info.Live, ID: id})
}

func checkpoint(t testing.TB, clock *keytest.Clock) []byte {
	t.Helper()
	item, err := audit.Checkpoint{Log: "l", Size: 3, Time: clock.Now()}.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestAHostileStorageNeverGetsASignatureOutOrAKeyBack(t *testing.T) {
	for name, mode := range keytest.Modes() {
		if mode == keytest.Duplicated {
			continue // nothing fails there: see the contract
		}
		t.Run(name, func(t *testing.T) {
			clock := keytest.NewClock()
			h := &keytest.Hostile{Storage: &keytest.Memory{}}
			e := engine.New(h, engine.Config{Now: clock.Now})
			first := sign(t, e, clock, "before")

			h.Set(mode)
			e.InvalidateAll()
			// An answer that cannot be remembered is not given.
			s, err := trySign(t, e, clock, "during")
			if !errors.Is(err, keytest.ErrHostile) || len(s.Value) > 0 {
				t.Errorf("sign: %v", err)
			}
			if mode != keytest.ReadsFail {
				if _, err := e.Disable(t.Context(), "c"); !errors.Is(err, keytest.ErrHostile) {
					t.Errorf("disable: %v", err)
				}
			}
			_, err = e.Create(t.Context(), "new", keys.Checkpoint)
			if !errors.Is(err, keytest.ErrHostile) {
				t.Errorf("create: %v", err)
			}

			// When storage is good again, the engine says what storage says.
			h.Set(keytest.Good)
			fresh := engine.New(h, engine.Config{Now: clock.Now})
			for _, n := range []keys.Name{"c", "new"} {
				got, gerr := e.Info(t.Context(), n)
				want, werr := fresh.Info(t.Context(), n)
				if got.State != want.State || (gerr == nil) != (werr == nil) || gerr == nil && !got.Versions[0].Public.Equal(want.Versions[0].Public) {
					t.Errorf("%s: the engine believes %v %v, storage says %v %v", n, got.State, gerr, want.State, werr)
				}
			}
			if mode == keytest.FailsButDone {
				if _, err := trySign(t, e, clock, "after"); !errors.Is(err, keys.ErrDisabled) {
					t.Errorf("a disable that happened is not honoured: %v", err)
				}
				return
			}
			if again := sign(t, e, clock, "before"); !bytes.Equal(again.Value, first.Value) {
				t.Error("an answer was forgotten")
			}
			if retried := sign(t, e, clock, "during"); !bytes.Equal(retried.Value, sign(t, fresh, clock, "during").Value) {
				t.Error("two engines give two answers under one id")
			}
		})
	}
}

func TestAnAnswerThatFailedButWasStoredIsTheAnswerOfTheRetry(t *testing.T) {
	clock := keytest.NewClock()
	h := &keytest.Hostile{Storage: &keytest.Memory{}}
	e := engine.New(h, engine.Config{Now: clock.Now})
	sign(t, e, clock, "")
	h.Set(keytest.FailsButDone)
	if s, err := trySign(t, e, clock, "x"); err == nil || len(s.Value) > 0 {
		t.Fatal("a signature left the engine although its answer could not be stored")
	}
	h.Set(keytest.Good)
	s := sign(t, e, clock, "x")
	if other := sign(t, engine.New(h, engine.Config{Now: clock.Now}), clock, "x"); !bytes.Equal(s.Value, other.Value) {
		t.Error("the retry and the restarted engine disagree")
	}
}

func TestInvalidateDropsTheParsedKey(t *testing.T) {
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	writer := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, writer, clock, "")
	standby := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, standby, clock, "")
	if _, err := writer.Disable(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	standby.Invalidate(engine.KeyPrefix + "c")
	if _, err := trySign(t, standby, clock, ""); !errors.Is(err, keys.ErrDisabled) {
		t.Errorf("the standby signs on: %v", err)
	}
}

func TestInvalidateDropsTheAnswers(t *testing.T) {
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	writer := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, writer, clock, "one")
	standby := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, standby, clock, "one")
	two := sign(t, writer, clock, "two")
	names, _ := m.List(t.Context(), engine.AnswerPrefix)
	for _, n := range names {
		standby.Invalidate(engine.AnswerPrefix + n)
	}
	if s := sign(t, standby, clock, "two"); !bytes.Equal(s.Value, two.Value) {
		t.Error("the standby does not know the other's answer")
	}
}

func TestRememberedAnswersAreBoundedAndFailClosed(t *testing.T) {
	clock := keytest.NewClock()
	e := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now, MaxAnswers: 4})
	sign(t, e, clock, "a")
	sign(t, e, clock, "b")
	if s, err := trySign(t, e, clock, "c"); !errors.Is(err, keys.ErrAnswersFull) || len(s.Value) > 0 {
		t.Errorf("a third id: %v", err)
	}
	sign(t, e, clock, "a")
	sign(t, e, clock, "") // without an id nothing is remembered
}

func TestOldAnswersAreDeletedAndSmallEntriesMerged(t *testing.T) {
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	e := engine.New(m, engine.Config{Now: clock.Now})
	entries := func() int { n, _ := m.List(t.Context(), engine.AnswerPrefix); return len(n) }
	first := sign(t, e, clock, "id-0")
	for i := 1; i < 200; i++ {
		sign(t, e, clock, "id-"+string(rune('0'+i%10))+strings.Repeat("x", i/10))
	}
	if n := entries(); n > 80 {
		t.Errorf("%d entries for 200 answers", n)
	}
	fresh := engine.New(m, engine.Config{Now: clock.Now})
	if s := sign(t, fresh, clock, "id-0"); !bytes.Equal(s.Value, first.Value) {
		t.Error("a merged answer was lost")
	}
	clock.Move(t, engine.AnswerLife+2*time.Hour)
	sign(t, e, clock, "tomorrow")
	if n := entries(); n != 1 {
		t.Errorf("%d entries are left a day later", n)
	}
}

func TestADamagedEntryIsRefusedNotRepaired(t *testing.T) {
	clock := keytest.NewClock()
	m := &keytest.Memory{}
	e := engine.New(m, engine.Config{Now: clock.Now})
	sign(t, e, clock, "")
	good, _ := m.Get(t.Context(), engine.KeyPrefix+"c")
	for name, bad := range map[string][]byte{
		"empty":             {},
		"not JSON":          []byte("x"),
		"cut off":           good[:len(good)-2],
		"another name":      bytes.Replace(good, []byte(`"name":"c"`), []byte(`"name":"d"`), 1),
		"another purpose":   bytes.Replace(good, []byte(`"checkpoint"`), []byte(`"anything"`), 1),
		"another state":     bytes.Replace(good, []byte(`"active"`), []byte(`"immortal"`), 1),
		"a newer form":      bytes.Replace(good, []byte(`"v":1`), []byte(`"v":2`), 1),
		"an unknown field":  bytes.Replace(good, []byte(`"v":1`), []byte(`"v":1,"export":true`), 1),
		"no private half":   bytes.Replace(good, []byte(`"d":`), []byte(`"x":`), 1),
		"no versions":       slices.Concat(good[:bytes.Index(good, []byte(`"versions"`))], []byte(`"versions":[]}`)),
		"a state by itself": bytes.Replace(good, []byte(`"live"`), []byte(`"retired"`), 1),
	} {
		if err := m.Put(context.Background(), engine.KeyPrefix+"c", bytes.Clone(bad)); err != nil {
			t.Fatal(err)
		}
		e.InvalidateAll()
		if _, err := e.Info(t.Context(), "c"); !errors.Is(err, keys.ErrStore) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// certified makes the seal key "s" with a certificate of the outside CA.
func certified(t testing.TB, e *engine.Engine, outside *keytest.Outside) (*gm.Certificate, error) {
	t.Helper()
	info, err := e.Create(t.Context(), "s", keys.Seal)
	if err != nil {
		return nil, err
	}
	cert := outside.Certify(info.Versions[0].Public)
	_, err = e.InstallCertificate(t.Context(), "s", 1, []*gm.Certificate{cert})
	return cert, err
}
