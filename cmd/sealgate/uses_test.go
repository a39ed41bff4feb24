package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/httpserve"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/server"
)

// countingSealer seals nothing and counts.
type countingSealer struct{ applied atomic.Int64 }

func (s *countingSealer) Prepare(context.Context, server.Request) (server.Prepared, error) {
	return countedSeal{s}, nil
}

func (s *countingSealer) ListSeals(context.Context) ([]server.Seal, error) { return nil, nil }

func (s *countingSealer) Verify(context.Context, string, []byte, seal.Options) *seal.Report {
	return &seal.Report{}
}

func (s *countingSealer) Append(context.Context, audit.Record) (audit.Receipt, error) {
	return audit.Receipt{}, nil
}

type countedSeal struct{ s *countingSealer }

func (p countedSeal) SealID() string    { return "22010000000001" }
func (p countedSeal) Key() audit.KeyUse { return audit.KeyUse{} }
func (p countedSeal) Apply(context.Context) ([]byte, error) {
	time.Sleep(20 * time.Millisecond)
	return fmt.Appendf(nil, "sealed %d", p.s.applied.Add(1)), nil
}

func TestOneKeySealsOnceHoweverManyAskAndThroughHoweverManyServices(t *testing.T) {
	sealer := &countingSealer{}
	const token = "0123456789abcdef0123456789abcdef"
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(t.Context(), filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	var bases []string
	for range 2 { // two services on one state store
		tokens, err := server.ParseTokens([]byte("office " + token + "\n"))
		if err != nil {
			t.Fatal(err)
		}
		api, err := server.New(server.Config{Sealer: sealer, Seals: sealer, Verifier: sealer, Uses: uses{st}, Ledger: sealer, Tokens: tokens, Sealings: 64, Wait: 20 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := httpserve.New(httpserve.Config{}, api)
		go func() { _ = s.Serve(l) }()
		t.Cleanup(func() { _ = s.Close() })
		bases = append(bases, "http://"+l.Addr().String())
	}
	var mu sync.Mutex
	status, bodies := map[int]int{}, map[string]bool{}
	var wg sync.WaitGroup
	for i := range 2 * 200 {
		wg.Go(func() {
			req, err := http.NewRequest("POST", bases[i%2]+"/api/v1/seal?seal=permit&page=1&at=1,2", bytes.NewReader([]byte("document")))
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+token)
			req.Header.Set("Content-Type", "application/ofd")
			req.Header.Set("Idempotency-Key", "case-0001")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			mu.Lock()
			defer mu.Unlock()
			status[resp.StatusCode]++
			if resp.StatusCode == http.StatusOK {
				bodies[string(body)] = true
			}
		})
	}
	wg.Wait()
	if sealer.applied.Load() != 1 || len(bodies) != 1 || status[200] == 0 || status[200]+status[409]+status[503] != 400 {
		t.Errorf("sealed %d times, answers %v, %d different documents", sealer.applied.Load(), status, len(bodies))
	}
	t.Logf("answers %v", status)
}
