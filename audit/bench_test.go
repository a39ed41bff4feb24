package audit

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"
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
			r := benchRecord()
			r.Time, r.Node = time.Now(), c.Node
			text, err := r.Canonical()
			must(b, err)
			size := len(text)
			b.ReportAllocs()
			b.ResetTimer()
			var next atomic.Int64
			var wg sync.WaitGroup
			for range waiting {
				wg.Go(func() {
					r := benchRecord()
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

// benchRecord is an intent as the gateway writes it.
func benchRecord() Record {
	r := testRecord(1)
	r.Type, r.Outcome = CallIntent, Allowed
	r.Fields, r.Rows, r.Bytes, r.Ms, r.Upstream = Fields{}, Number{}, Number{}, Number{}, Upstream{}
	return r
}

// BenchmarkSQLiteRowPerCommit is what the ledger is measured against: the same
// record as one row, committed durably by itself.
func BenchmarkSQLiteRowPerCommit(b *testing.B) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "rows.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	must(b, err)
	defer db.Close()
	_, err = db.Exec("CREATE TABLE record (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
	must(b, err)
	insert, err := db.Prepare("INSERT INTO record (body) VALUES (?)")
	must(b, err)
	r := benchRecord()
	r.Time, r.Node = time.Now(), "node-1"
	text, err := r.Canonical()
	must(b, err)
	b.ResetTimer()
	for range b.N {
		if _, err := insert.Exec(text); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "appends/s")
	b.ReportMetric(float64(len(text)), "record-bytes")
}
