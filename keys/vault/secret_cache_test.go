package vault

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys"
)

const testAge = 10 * time.Second

// source is where a cache under test reads: what it says is set, how often it
// was asked is counted.
type source struct {
	mu    sync.Mutex
	value string
	err   error
	takes time.Duration
	asked atomic.Int32
}

func (s *source) set(value string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value, s.err = value, err
}

func (s *source) read(config.SecretRef) ([]byte, error) {
	s.asked.Add(1)
	s.mu.Lock()
	value, err := s.value, s.err // what is so when the question arrives
	s.mu.Unlock()
	time.Sleep(s.takes)
	if err != nil {
		return nil, err
	}
	return []byte(value), nil
}

// cached runs f in a bubble with a clock of its own. get asks and returns what
// came.
func cached(t *testing.T, f func(t *testing.T, s *source, get func() string, c *secretCache)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &source{value: "one", takes: time.Millisecond}
		c := newSecretCache(testAge, s.read, func(config.SecretRef, error) {})
		f(t, s, func() string {
			v, err := c.get(t.Context(), config.SecretRef{Path: "x"})
			if err != nil {
				return err.Error()
			}
			return string(v)
		}, c)
		time.Sleep(time.Minute) // reads under way end
	})
}

func TestASecretIsReadOnceForManyCalls(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, c *secretCache) {
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if v, err := c.get(t.Context(), config.SecretRef{Path: "x"}); err != nil || string(v) != "one" {
					t.Errorf("%s %v", v, err)
				}
			})
		}
		wg.Wait()
		for range 40 {
			time.Sleep(100 * time.Millisecond)
			get()
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestANewVersionOfASecretIsInForceWithinItsAge(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, _ *secretCache) {
		get()
		s.set("two", nil)
		changed := time.Now()
		for get() != "two" {
			time.Sleep(50 * time.Millisecond)
		}
		if took := time.Since(changed); took >= testAge {
			t.Errorf("seen after %v", took)
		}
		// Also when nobody asks for long: the first who does gets the new one.
		time.Sleep(time.Hour)
		s.set("three", nil)
		if got := get(); got != "three" {
			t.Errorf("after a long silence: %s", got)
		}
	})
}

func TestWithoutVaultASecretServesUntilItsAgeEndsAndNoLonger(t *testing.T) {
	for _, why := range []error{keys.ErrUnavailable, keys.ErrSealed, keys.ErrLimited, keys.ErrOutcome} {
		cached(t, func(t *testing.T, s *source, get func() string, _ *secretCache) {
			asked := time.Now()
			get()
			s.set("", fmt.Errorf("x: %w", why))
			for get() == "one" {
				time.Sleep(10 * time.Millisecond)
			}
			if age := time.Since(asked); age < testAge || age > testAge+20*time.Millisecond {
				t.Errorf("%v: served for %v", why, age)
			}
			if n := s.asked.Load(); n > 1+5+1 {
				t.Errorf("%v: asked %d times in %v", why, n, testAge)
			}
			s.set("two", nil)
			time.Sleep(secretPause)
			if got := get(); got != "two" {
				t.Errorf("after Vault came back: %s", got)
			}
		})
	}
}

func TestARefusedSecretIsForgottenAtOnce(t *testing.T) {
	for _, why := range []error{keys.ErrSecret, keys.ErrForbidden} {
		cached(t, func(t *testing.T, s *source, get func() string, _ *secretCache) {
			get()
			s.set("", why)
			time.Sleep(testAge / 2)
			get() // serves once more, and has it read again
			time.Sleep(10 * time.Millisecond)
			if got := get(); got != why.Error() {
				t.Errorf("%v: %s", why, got)
			}
		})
	}
}

func TestAFailedReadIsTheAnswerForASecond(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, _ *secretCache) {
		s.set("", keys.ErrSecret)
		for range 100 {
			if got := get(); got != keys.ErrSecret.Error() {
				t.Fatal(got)
			}
			time.Sleep(time.Millisecond)
		}
		if n := s.asked.Load(); n != 1 {
			t.Errorf("asked %d times within a second", n)
		}
		s.set("two", nil)
		time.Sleep(secretPause)
		if got := get(); got != "two" {
			t.Error(got)
		}
	})
}

func TestASlowAnswerIsNoFresherThanItsQuestion(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, _ *secretCache) {
		s.takes = 2 * testAge
		if got := get(); got == "one" {
			t.Error("an answer older than its age was used")
		}
	})
}

func TestWhoeverWaitsForASecretMayLeaveAndTheOthersStillGetIt(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, c *secretCache) {
		s.takes = time.Second
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.get(ctx, config.SecretRef{Path: "x"}); !errors.Is(err, keys.ErrUnavailable) {
				t.Error(err)
			}
		})
		time.Sleep(50 * time.Millisecond)
		if got := get(); got != "one" || s.asked.Load() != 1 {
			t.Errorf("%s, asked %d times", got, s.asked.Load())
		}
		wg.Wait()
	})
}

func TestSecretsThatNobodyAsksForAreWiped(t *testing.T) {
	cached(t, func(t *testing.T, s *source, get func() string, c *secretCache) {
		get()
		old := c.held[config.SecretRef{Path: "x"}].value
		mine, err := c.get(t.Context(), config.SecretRef{Path: "x"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * testAge)
		if _, err := c.get(t.Context(), config.SecretRef{Path: "y"}); err != nil {
			t.Fatal(err)
		}
		if len(c.held) != 1 || string(old) != "\x00\x00\x00" {
			t.Errorf("%d held, %q", len(c.held), old)
		}
		if string(mine) != "one" {
			t.Errorf("what was given out changed: %q", mine)
		}
	})
}
