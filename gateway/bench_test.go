//go:build unix

package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"

	"github.com/sealgate/sealgate/internal/identity"
)

// BenchmarkCall is a whole call over loopback: HMAC signature, cached decision,
// two durable audit records, masked answer. BenchmarkProxied is the same
// exchange through httputil.ReverseProxy and BenchmarkDirect without anything
// between. All three count the client's and the upstream's processor time, and
// the client's signing, so that the differences are the gateway's and the
// proxy's own.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b, worldOptions{})
	exchangeMany(b, w, w.url)
}

func BenchmarkProxied(b *testing.B) {
	w := newWorld(b, worldOptions{})
	to, err := url.Parse(w.upURL)
	if err != nil {
		b.Fatal(err)
	}
	transport := NewTransport()
	proxy := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }, Transport: transport})
	defer proxy.Close()
	exchangeMany(b, w, proxy.URL)
}

func BenchmarkDirect(b *testing.B) {
	w := newWorld(b, worldOptions{})
	exchangeMany(b, w, w.upURL)
}

func exchangeMany(b *testing.B, w *world, base string) {
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	w.url = base
	w.up.forget = true
	cred := identity.Credential{App: "a", HMAC: []byte(hmacKey)}
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	before := processorTime(b)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			resp, err := w.client.Do(w.request("GET", "/pop/v1/persons", "", cred, five))
			if err != nil {
				b.Error(err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				b.Errorf("status %d", resp.StatusCode)
			}
		}
	})
	b.ReportMetric((processorTime(b)-before)*1e6/float64(b.N), "cpu-µs/op")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// processorTime of the process in seconds.
func processorTime(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
