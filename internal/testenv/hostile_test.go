package testenv

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/gateway/mask"
	"github.com/sealgate/sealgate/policy"
)

// TestHostileCasesSendWhatTheySay reads the raw bytes of each: the canary is
// really on the wire, so that a test that sees none has proved something.
func TestHostileCasesSendWhatTheySay(t *testing.T) {
	h := StartHostile(t)
	cases := HostileCases()
	if len(cases) < 40 {
		t.Errorf("only %d cases", len(cases))
	}
	var wg sync.WaitGroup
	for i, c := range cases {
		if slices.ContainsFunc(cases[:i], func(o HostileCase) bool { return o.Name == c.Name }) {
			t.Errorf("%s stands twice", c.Name)
		}
		wg.Go(func() {
			conn, err := net.Dial("tcp", strings.TrimPrefix(h.URL, "http://"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			if _, err := conn.Write([]byte("GET /" + c.Name + " HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
				t.Error(err)
				return
			}
			conn.SetReadDeadline(time.Now().Add(time.Second))
			raw, _ := io.ReadAll(io.LimitReader(conn, 1<<20)) // deadline and reset are what some cases are about
			has := false
			for _, canary := range append(HostileCanaries(), "２２０１０２", `\u003220102`, "C\x00A\x00N\x00A", "\x1f\x8b") {
				has = has || bytes.Contains(raw, []byte(canary))
			}
			if has == c.NoCanary && c.Name != "gzip-bomb" {
				t.Errorf("%s: canary in its %d bytes: %v", c.Name, len(raw), has)
			}
			if h.Requests(c.Name) != 1 {
				t.Errorf("%s: %d requests counted", c.Name, h.Requests(c.Name))
			}
		})
	}
	wg.Wait()
}

// smallestGateway forwards and masks, and does nothing else a gateway must do.
func smallestGateway(t *testing.T, upstream string) http.Handler {
	actions := map[string]policy.FieldAction{}
	for path, action := range HostileGrant() {
		a, err := policy.ParseAction(action)
		if err != nil {
			t.Fatal(err)
		}
		actions[path] = a
	}
	plan, err := mask.Compile(actions, HostileKinds(), mask.Options{MaxBytes: 2 << 20})
	if err != nil {
		t.Fatal(err)
	}
	// Without kept-alive connections: the case length-too-short would otherwise
	// answer whichever request comes next.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true, ResponseHeaderTimeout: 1500 * time.Millisecond, MaxResponseHeaderBytes: 64 << 10}
	withhold := func(w http.ResponseWriter, err error) {
		status := http.StatusBadGateway
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			status = http.StatusGatewayTimeout
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		io.WriteString(w, `{"code":"`+mask.ErrorCode(err)+`"}`)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 3000*time.Millisecond)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, "GET", upstream+r.URL.Path, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Accept-Encoding", "identity")
		resp, err := transport.RoundTrip(req)
		if err != nil {
			withhold(w, err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			withhold(w, errors.New("status"))
			return
		}
		if err := mask.CheckContentType(resp.Header); err != nil {
			withhold(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if _, err := plan.Apply(w, resp.Body); err != nil {
			if e, ok := errors.AsType[*mask.Error](err); ok && e.Withheld() {
				withhold(w, err)
				return
			}
			panic(http.ErrAbortHandler)
		}
	})
}

func TestMaskedAnswersOfAHostileUpstreamLeakNothing(t *testing.T) {
	h := StartHostile(t)
	server := httptest.NewServer(smallestGateway(t, h.URL))
	defer server.Close()
	client := server.Client()
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	var wg sync.WaitGroup
	for _, c := range HostileCases() {
		wg.Go(func() {
			resp, err := client.Get(server.URL + "/" + c.Name)
			if err != nil {
				t.Error(err)
				return
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err := c.Check(resp.StatusCode, resp.Header, resp.Trailer, body, err); err != nil {
				t.Errorf("%v\n%.300s", err, body)
			}
		})
	}
	wg.Wait()
}
