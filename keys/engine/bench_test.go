package engine_test

import (
	"fmt"
	"testing"

	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
)

// What one typed signature costs: parse, check, sign, verify. With an id the
// answer is also stored.
func BenchmarkSignCheckpoint(b *testing.B) {
	clock := keytest.NewClock()
	e := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now, MaxAnswers: 1 << 24})
	if _, err := e.Create(b.Context(), "c", keys.Checkpoint); err != nil {
		b.Fatal(err)
	}
	item := checkpoint(b, clock)
	key := e.Key("c")
	request := func(id string) keys.Request {
		return keys.Request{Type: keys.TypeCheckpoint, Item: item, KeyVersion: 1, ID: id}
	}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if _, err := key.Sign(b.Context(), request("")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("one with id", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := key.Sign(b.Context(), request(fmt.Sprintf("%d-%d", b.N, i))); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("batch of 128", func(b *testing.B) {
		rs := make([]keys.Request, 128)
		for i := range rs {
			rs[i] = request("")
		}
		for b.Loop() {
			out, err := key.SignBatch(b.Context(), rs)
			if err != nil || out[0].Err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(128*b.N)/b.Elapsed().Seconds(), "sigs/s")
	})
}

func BenchmarkSignTBS(b *testing.B) {
	clock := keytest.NewClock()
	outside := keytest.NewOutside(b, clock)
	e := engine.New(&keytest.Memory{}, engine.Config{Now: clock.Now})
	cert, err := certified(b, e, outside)
	if err != nil {
		b.Fatal(err)
	}
	item := keytest.DER(b, outside.TBS(outside.Seal(outside.SealInfo(cert)), 1))
	key := e.Key("s")
	for b.Loop() {
		if _, err := key.Sign(b.Context(), keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: 1}); err != nil {
			b.Fatal(err)
		}
	}
}
