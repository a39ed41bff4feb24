package gateway

import (
	"io"
	"net/http"
	"testing"

	"github.com/sealgate/sealgate/internal/identity"
)

// BenchmarkCall is a whole call over loopback, client and upstream included:
// HMAC signature, cached decision, two durable audit records, masked answer.
func BenchmarkCall(b *testing.B) {
	w := newWorld(b, worldOptions{})
	w.client.Transport.(*http.Transport).MaxIdleConnsPerHost = 256
	cred := identity.Credential{App: "a", HMAC: []byte(hmacKey)}
	b.SetParallelism(32)
	b.ResetTimer()
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
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
