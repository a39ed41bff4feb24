package audit

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkLedger measures durable appends of records of about 400 bytes, with
// one and with 64 appenders that each wait for theirs.
func BenchmarkLedger(b *testing.B) {
	for _, waiting := range []int{1, 64} {
		b.Run(fmt.Sprintf("waiting=%d", waiting), func(b *testing.B) {
			c := testConfig(b, filepath.Join(b.TempDir(), "ledger"), newSigner(b))
			c.CheckpointEvery = time.Second
			l, err := Open(c)
			must(b, err)
			size := 0
			if text, err := benchRecord(b); err == nil {
				size = len(text)
			}
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range waiting {
				wg.Go(func() {
					r := testRecord(1)
					for next.Add(1) <= int64(b.N) {
						if _, err := l.Append(context.Background(), r); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
			b.ReportMetric(float64(size), "record-bytes")
			must(b, l.Close())
		})
	}
}

func benchRecord(b *testing.B) ([]byte, error) {
	r := testRecord(1)
	r.Time, r.Node = time.Now(), "node-1"
	return r.Canonical()
}
