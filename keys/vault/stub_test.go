package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// These tests use stand-ins for Vault where no real node of ours can show the
// case: performance standbys and secondaries (412, 472, 473: Vault Enterprise
// only), servers with a wrong clock, servers that lie. The answers' forms are
// those of Vault's HTTP API. cluster_test.go and tls_test.go have the rest.

// node answers health as told, lets everybody log in, and counts what else it
// is asked.
type node struct {
	health func(http.ResponseWriter)
	other  http.HandlerFunc
	asked  atomic.Int32
}

func (n *node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/sys/health"):
		n.health(w)
	case strings.HasSuffix(r.URL.Path, "/sys/leader"):
		fmt.Fprint(w, `{"ha_enabled":true,"leader_address":"https://active.example:8200"}`)
	case strings.HasSuffix(r.URL.Path, "lookup-self"):
		fmt.Fprint(w, `{"data":{"ttl":0}}`)
	default:
		n.asked.Add(1)
		n.other(w, r)
	}
}

func health(status int, initialized, sealed bool, at time.Time) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(map[string]any{"initialized": initialized, "sealed": sealed, "standby": status == 429, "server_time_utc": at.Unix()})
	}
}

func keyNames(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":{"keys":["c"]}}`) }

func serve(t *testing.T, n *node) string {
	t.Helper()
	if n.health == nil {
		n.health = health(200, true, false, time.Now())
	}
	if n.other == nil {
		n.other = keyNames
	}
	s := httptest.NewServer(n)
	t.Cleanup(s.Close)
	return s.URL
}

func stubClient(t *testing.T, change func(*vault.Config), addresses ...string) *vault.Client {
	t.Helper()
	c := vault.Config{Addresses: addresses, Login: vault.TokenFile(testenv.SecretFile(t, "token")), ManageTimeout: 2 * time.Second, SignTimeout: time.Second}
	if change != nil {
		change(&c)
	}
	client, err := vault.Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestReadinessFollowsTheBodyOfTheHealthAnswer(t *testing.T) {
	now := time.Now()
	for name, c := range map[string]struct {
		health func(http.ResponseWriter)
		want   error
	}{
		"active":                       {health(200, true, false, now), nil},
		"a standby that forwards":      {health(429, true, false, now), nil},
		"a performance standby":        {health(473, true, false, now), nil},
		"sealed":                       {health(503, true, true, now), keys.ErrSealed},
		"sealed, whatever the status":  {health(200, true, true, now), keys.ErrSealed},
		"not initialised":              {health(501, false, true, now), keys.ErrSealed},
		"disaster-recovery secondary":  {health(472, true, false, now), keys.ErrUnavailable},
		"a clock an hour behind":       {health(200, true, false, now.Add(-time.Hour)), keys.ErrClock},
		"a clock three minutes ahead":  {health(200, true, false, now.Add(3*time.Minute)), keys.ErrClock},
		"a clock a minute ahead":       {health(200, true, false, now.Add(time.Minute)), nil},
		"something that is no health":  {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, keys.ErrUnavailable},
		"an answer without the fields": {func(w http.ResponseWriter) { fmt.Fprint(w, "{}") }, keys.ErrUnavailable},
	} {
		err := stubClient(t, nil, serve(t, &node{health: c.health})).Ready(t.Context())
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOneHealthyNodeOfSeveralIsEnough(t *testing.T) {
	sealed := serve(t, &node{health: health(503, true, true, time.Now())})
	good := serve(t, &node{})
	if err := stubClient(t, nil, sealed, good).Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRedirectsAreFollowedToConfiguredHostsOnly(t *testing.T) {
	active := &node{}
	activeURL := serve(t, active)
	stranger := &node{}
	strangerURL := serve(t, stranger)
	to := func(where string) *node {
		return &node{other: func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", where+r.URL.Path)
			w.WriteHeader(http.StatusTemporaryRedirect)
		}}
	}
	standby := to(activeURL)
	c := stubClient(t, nil, serve(t, standby), activeURL)
	for range 3 {
		if names, err := c.List(t.Context()); err != nil || len(names) != 1 {
			t.Fatal(err)
		}
	}
	if standby.asked.Load() != 1 || active.asked.Load() != 3 {
		t.Errorf("standby asked %d times, active %d: the active node is to be preferred from then on", standby.asked.Load(), active.asked.Load())
	}
	lured := stubClient(t, nil, serve(t, to(strangerURL)))
	if _, err := lured.List(t.Context()); !errors.Is(err, keys.ErrUnavailable) || stranger.asked.Load() != 0 {
		t.Errorf("a token was sent to a stranger: %v", err)
	}
}

func TestASealedNodeIsPassedOverAndAStandbyTriedElsewhere(t *testing.T) {
	for name, n := range map[string]*node{
		"sealed": {other: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, `{"errors":["Vault is sealed"]}`)
		}},
		"performance standby that does not forward": {other: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(473)
			fmt.Fprint(w, `{"errors":[]}`)
		}},
		"replication behind": {other: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(412)
			fmt.Fprint(w, `{"errors":["required index state not present"]}`)
		}},
	} {
		good := &node{}
		c := stubClient(t, nil, serve(t, n), serve(t, good))
		if _, err := c.List(t.Context()); err != nil || good.asked.Load() != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRetryAfterIsObeyedWithinTheDeadlineAndToldBeyondIt(t *testing.T) {
	var from atomic.Int64
	n := &node{}
	seconds := 1
	n.other = func(w http.ResponseWriter, r *http.Request) {
		if from.CompareAndSwap(0, time.Now().UnixNano()) {
			w.Header().Set("Retry-After", fmt.Sprint(seconds))
			w.WriteHeader(429)
			fmt.Fprint(w, `{"errors":["request path: rate limit quota exceeded"]}`)
			return
		}
		keyNames(w, r)
	}
	c := stubClient(t, nil, serve(t, n))
	if _, err := c.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(time.Unix(0, from.Load())); waited < time.Second {
		t.Errorf("came back after %v, was told 1 s", waited)
	}
	from.Store(0)
	seconds = 30
	before := n.asked.Load()
	start := time.Now()
	_, err := c.List(t.Context())
	var r interface{ RetryAfter() int }
	if !errors.Is(err, keys.ErrLimited) || !errors.As(err, &r) || r.RetryAfter() < 25 || time.Since(start) > time.Second {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	if _, err := c.List(t.Context()); !errors.Is(err, keys.ErrLimited) || n.asked.Load() != before+1 {
		t.Errorf("asked again within the pause: %v", err)
	}
}

func TestASignatureThatWasNotSentInTimeIsRefusedAndNeverSent(t *testing.T) {
	n := &node{other: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }}
	const window = 600 * time.Millisecond
	c := stubClient(t, func(c *vault.Config) { c.SignTimeout, c.GatherWindow = 200*time.Millisecond, window }, serve(t, n))
	key := c.Key("ledger")
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := key.Sign(t.Context(), headRequest(t, 1, "")); err == nil {
			t.Error("signed")
		}
	})
	eventually(t, 5*time.Second, "the first is on its way", func() error {
		if n.asked.Load() == 0 {
			return errors.New("not asked")
		}
		return nil
	})
	wg.Go(func() { // waits for others to travel with
		_, err := key.Sign(t.Context(), headRequest(t, 2, ""))
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrOutcome) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("its time was over: %v", err)
		}
	})
	wg.Go(func() {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := key.Sign(ctx, headRequest(t, 3, ""))
		if !errors.Is(err, keys.ErrUnavailable) || errors.Is(err, keys.ErrOutcome) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller had gone: %v", err)
		}
	})
	wg.Wait()
	time.Sleep(window)
	if got := n.asked.Load(); got != 1 {
		t.Errorf("Vault was asked %d times", got)
	}
}

func TestAnswersOfAnotherKeyOrShapeAreRefused(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":  "<html>",
		"empty":     "{}",
		"other key": `{"data":{"name":"other","purpose":"seal","state":"active","live":0,"versions":[]}}`,
	} {
		c := stubClient(t, nil, serve(t, &node{other: func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }}))
		if _, err := c.Info(t.Context(), "c"); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("info, %s: %v", name, err)
		}
		if _, err := c.Key("c").Sign(t.Context(), headRequest(t, 1, "")); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("sign, %s: %v", name, err)
		}
	}
}

func TestConfigurationsThatWeakenTheConnectionAreRefused(t *testing.T) {
	login := vault.TokenFile("x")
	for name, c := range map[string]vault.Config{
		"no address":             {Login: login},
		"plain http":             {Addresses: []string{"http://vault.example:8200"}, Login: login},
		"a path":                 {Addresses: []string{"https://vault.example/v1"}, Login: login},
		"a password":             {Addresses: []string{"https://u:p@vault.example"}, Login: login},
		"a query":                {Addresses: []string{"https://vault.example?x=1"}, Login: login},
		"no scheme":              {Addresses: []string{"vault.example:8200"}, Login: login},
		"no login":               {Addresses: []string{"https://vault.example"}},
		"a mount that climbs":    {Addresses: []string{"https://vault.example"}, Login: login, Mount: "a/../sys"},
		"a mount with query":     {Addresses: []string{"https://vault.example"}, Login: login, Mount: "a?b"},
		"a batch beyond 256":     {Addresses: []string{"https://vault.example"}, Login: login, GatherSize: 257},
		"a window of minutes":    {Addresses: []string{"https://vault.example"}, Login: login, GatherWindow: time.Minute},
		"a CA that is not one":   {Addresses: []string{"https://vault.example"}, Login: login, CAFile: "stub_test.go"},
		"half a client identity": {Addresses: []string{"https://vault.example"}, Login: login, CertFile: "x"},
	} {
		if _, err := vault.Open(c); !errors.Is(err, vault.ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, good := range []string{"http://127.0.0.1:8200", "http://localhost:1", "http://[::1]:8200", "https://vault.example", "https://vault.example:8200/"} {
		c, err := vault.Open(vault.Config{Addresses: []string{good}, Login: login})
		if err != nil {
			t.Errorf("%s: %v", good, err)
			continue
		}
		c.Close()
	}
}

func TestCloseEndsEverythingTheClientStarted(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := httptest.NewServer(&node{health: health(200, true, false, time.Now()), other: func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done() // never answers
	}})
	client, err := vault.Open(vault.Config{Addresses: []string{s.URL}, Login: vault.TokenFile(testenv.SecretFile(t, "token"))})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { _, err := client.List(t.Context()); done <- err }()
	time.Sleep(20 * time.Millisecond)
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("a call under way succeeded")
		}
	case <-time.After(time.Second):
		t.Error("a call under way goes on after Close")
	}
	if _, err := client.Key("c").Sign(t.Context(), headRequest(t, 1, "")); err == nil {
		t.Error("a closed client signs")
	}
	if err := client.Close(); err != nil {
		t.Error("the second Close:", err)
	}
	s.Close()
	goleak.VerifyNone(t, before)
}
