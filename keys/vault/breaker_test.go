package vault

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBreakerOpensAfterAStreakOfFailuresAndLetsOneTryThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var b breaker
		allowed := func() bool { _, ok := b.allow(time.Now()); return ok }
		for range breakerFailures - 1 {
			b.fail(time.Now(), 1)
		}
		b.succeed()
		for range 3 * breakerFailures { // all at one moment: one incident
			b.fail(time.Now(), 1)
		}
		if !allowed() {
			t.Fatal("a burst opened it")
		}
		time.Sleep(breakerStreak)
		if !b.fail(time.Now(), 1) || allowed() {
			t.Fatal("a streak did not open it")
		}
		time.Sleep(breakerFirst)
		if !allowed() || allowed() {
			t.Fatal("not exactly one try after the pause")
		}
		b.fail(time.Now(), 1)
		if allowed() {
			t.Fatal("open again after a failed try")
		}
		time.Sleep(breakerFirst)
		wait, ok := b.allow(time.Now())
		if ok || wait <= 0 || wait > breakerFirst {
			t.Fatalf("the second pause is not longer: %v", wait)
		}
		time.Sleep(breakerFirst)
		if !allowed() {
			t.Fatal("no try after the second pause")
		}
		b.abandon()
		if !allowed() {
			t.Fatal("a try that its caller gave up blocks the next")
		}
		b.succeed()
		for range 2 {
			if !allowed() {
				t.Fatal("closed after a good try")
			}
		}
		for range 20 {
			b.trip(time.Now())
		}
		time.Sleep(breakerLongest)
		if !allowed() {
			t.Fatal("a pause is longer than the longest")
		}
	})
}
