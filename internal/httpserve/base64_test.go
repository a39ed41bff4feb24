package httpserve

import (
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestATextInBase64MayHoldSlashesOnlyBelowTheNamedPath(t *testing.T) {
	paths := make(chan string, 1)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { paths <- r.URL.Path })
	cfg := Config{Base64Under: []string{"/ocsp/ca"}}
	plain := "http://" + startServer(t, cfg, handler)
	cfg.TLS = testTLS(t)
	h2 := "https://" + startServer(t, cfg, handler)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // a test's own certificate
	for _, base := range []string{plain, h2} {
		for _, target := range []string{"/ocsp/ca/MFIw/UDBO+A==", "/ocsp/ca/MF//Iw", "/ocsp/ca/MF%2F%2fIw%2B%3D", "/ocsp/ca"} {
			resp, err := client.Get(base + target)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				t.Errorf("%s%s: %d", base, target, resp.StatusCode)
				continue
			}
			want := strings.NewReplacer("%2F", "/", "%2f", "/", "%2B", "+", "%3D", "=").Replace(target)
			if got := <-paths; got != want {
				t.Errorf("%s: the handler sees %q", target, got)
			}
		}
		for _, target := range []string{"/ocsp/cab//MFIw", "/other//MFIw", "/ocsp/ca/../x", "/ocsp/ca/MF%2e%2e//", "/ocsp/ca//x?y=1", "/ocsp/ca//a%2Eb",
			"/ocsp/ca//%00", "/ocsp/ca//%25", "/ocsp/ca//%5c", "/ocsp/ca//a;b", "/OCSP/ca//MF", "/ocsp//ca/MF", "//ocsp/ca/MF"} {
			resp, err := client.Get(base + target)
			if err != nil {
				continue // the client does not send such a thing
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusBadRequest {
				t.Errorf("%s%s: %d", base, target, resp.StatusCode)
			}
		}
	}
}

// FuzzBase64: what is let through under a path that is named so holds no
// segment that anybody could walk on, and nothing that is decoded twice.
func FuzzBase64(f *testing.F) {
	for _, s := range []string{"MFIw", "a/b//c", "%2F%2B%3d", "..", "%252F", "a b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !isBase64(text) {
			return
		}
		if dec := decodePercent(text); strings.Trim(dec, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != "" {
			t.Fatalf("%q becomes %q", text, dec)
		}
	})
}
