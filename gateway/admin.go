package gateway

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// NewAdmin returns the handler of the operators' listener: /healthz (the
// process lives), /readyz (calls can be served; 503 with a reason when not, and
// "degraded" with a reason when they are served all the same) and
// /metrics (Prometheus text format). It never belongs on a network that
// callers reach.
func NewAdmin(g *Gateway) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := g.Ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error()+"\n")
			return
		}
		if why := g.Degraded(); why != "" {
			plain(w, http.StatusOK, "degraded: "+why+"\n")
			return
		}
		plain(w, http.StatusOK, "ready\n")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		g.writeMetrics(w)
	})
	return mux
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// The client may be gone.
	_, _ = io.WriteString(w, text)
}

// metrics counts calls. Labels are problem codes and outcomes only, so that
// their number is bounded and nothing personal becomes one.
type metrics struct {
	mu      sync.Mutex
	results map[string]int64

	inFlight, seconds, calls atomic.Int64 // seconds in nanoseconds
	lost                     atomic.Int64
}

func (m *metrics) begin() { m.inFlight.Add(1); m.calls.Add(1) }

// end is deferred with the time of the call's beginning.
func (m *metrics) end(begun time.Time) {
	m.inFlight.Add(-1)
	m.seconds.Add(int64(time.Since(begun)))
}

func (m *metrics) count(result string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.results == nil {
		m.results = map[string]int64{}
	}
	m.results[result]++
}

func (g *Gateway) writeMetrics(w io.Writer) {
	m := &g.metrics
	m.mu.Lock()
	names := make([]string, 0, len(m.results))
	values := make(map[string]int64, len(m.results))
	for k, v := range m.results {
		names = append(names, k)
		values[k] = v
	}
	m.mu.Unlock()
	slices.Sort(names)
	ready := 0
	if g.Ready() == nil {
		ready = 1
	}
	degraded := 0
	if g.Degraded() != "" {
		degraded = 1
	}
	// A reader that went away shows at the next write; there is nobody to tell.
	p := func(format string, args ...any) { _, _ = fmt.Fprintf(w, format, args...) }
	p("# HELP sealgate_call_results_total Calls and refusals by outcome or problem code.\n# TYPE sealgate_call_results_total counter\n")
	for _, n := range names {
		p("sealgate_call_results_total{result=%q} %d\n", n, values[n])
	}
	p("# HELP sealgate_calls_in_flight Calls in progress.\n# TYPE sealgate_calls_in_flight gauge\nsealgate_calls_in_flight %d\n", m.inFlight.Load())
	p("# HELP sealgate_call_seconds Duration of calls.\n# TYPE sealgate_call_seconds summary\nsealgate_call_seconds_sum %.6f\nsealgate_call_seconds_count %d\n", float64(m.seconds.Load())/1e9, m.calls.Load())
	p("# HELP sealgate_outcomes_lost_total Outcome records that could not be written.\n# TYPE sealgate_outcomes_lost_total counter\nsealgate_outcomes_lost_total %d\n", m.lost.Load())
	p("# HELP sealgate_ready Whether calls can be served.\n# TYPE sealgate_ready gauge\nsealgate_ready %d\n", ready)
	p("# HELP sealgate_degraded Whether calls are served under an older policy than the one configured.\n# TYPE sealgate_degraded gauge\nsealgate_degraded %d\n", degraded)
	if g.cfg.Metrics != nil {
		g.cfg.Metrics(w)
	}
}
