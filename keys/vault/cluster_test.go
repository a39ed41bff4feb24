package vault_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// cluster is three real nodes with the engine, whose role "admin" may do
// everything with it.
type cluster struct {
	*testenv.VaultCluster
	role, secret string // role id, file of the secret id
}

// Each test leaves all nodes unsealed and one of them active. They are run in
// this order: a node that stepped down is no candidate for ten seconds.
func TestAgainstARealCluster(t *testing.T) {
	c := &cluster{VaultCluster: testenv.StartVaultCluster(t, 3)}
	v := c.Active(t)
	v.InstallEngine(t)
	// A relative path is of each node's own folder.
	v.Must(t, http.MethodPut, "sys/audit/file", map[string]any{"type": "file", "options": map[string]string{"file_path": auditFile}})
	v.Must(t, http.MethodPost, "sys/mounts/sealgate/tune", map[string]any{"audit_non_hmac_request_keys": []string{"ids"}})
	v.Must(t, http.MethodPut, "sys/policies/acl/admin", map[string]string{"policy": adminPolicy})
	c.role = v.Role(t, "admin", []string{"admin"}, nil)
	c.secret = v.SecretID(t, "admin")
	for _, x := range []struct {
		name string
		test func(*testing.T, *cluster)
	}{
		{"a client that knows a standby only is ready and signs through it", standbyOnly},
		{"the active node is preferred whatever the order of the addresses", activePreferred},
		{"a standby that does not forward is left for a configured node and for no other", unforwarding},
		{"a standby has no process that could hold keys", standbyHoldsNoKeys},
		{"a mount with seal_wrap is accepted and shown and its keys sign", sealWrapped},
		{"a snapshot restored at one node is what the next active node has", restoredThenFailedOver},
		{"a node that hung and was replaced signs nothing with a key that was disabled since", hungAndDeposed},
		{"a change passed on to a node that dies is never sent twice, and without a quorum nothing is signed", passedOn},
		{"no signature is lost or made twice when nodes step down, die or are sealed, and what was disabled stays so", failovers},
	} {
		t.Run(x.name, func(t *testing.T) { x.test(t, c) })
	}
}

// client opens a client that knows the given addresses.
func (c *cluster) client(t *testing.T, change func(*vault.Config), addresses ...string) *vault.Client {
	t.Helper()
	config := vault.Config{Addresses: addresses, Login: &vault.AppRole{RoleID: c.role, SecretIDFile: c.secret}}
	if change != nil {
		change(&config)
	}
	client, err := vault.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// seen is the requests to hosts, by what their standbys were asked.
type seen struct {
	mu              sync.Mutex
	direct, forward map[string]int // by host
	last            string         // host
	count           map[string]int // by part of the path: rotate
	extra           func(*http.Request)
}

func watchHosts(c *vault.Config) *seen {
	s := &seen{direct: map[string]int{}, forward: map[string]int{}, count: map[string]int{}}
	c.Through(s)
	return s
}

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.mu.Lock()
	if strings.Contains(r.URL.Path, "/sign/") {
		if r.Header.Get("X-Vault-No-Request-Forwarding") != "" {
			s.direct[r.URL.Host]++
		} else {
			s.forward[r.URL.Host]++
		}
		s.last = r.URL.Host
	}
	if strings.HasSuffix(r.URL.Path, "/rotate") {
		s.count["rotate"]++
	}
	s.mu.Unlock()
	if s.extra != nil {
		s.extra(r)
	}
	return http.DefaultTransport.RoundTrip(r)
}

func (s *seen) rotations() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count["rotate"]
}

func host(v *testenv.Vault) string { return strings.TrimPrefix(v.Addr, "http://") }

func standbyOnly(t *testing.T, c *cluster) {
	standby := c.Standbys(t)[0]
	if status, _, err := standby.Do(t.Context(), "", http.MethodGet, "sys/health", nil); err != nil || status != http.StatusTooManyRequests {
		t.Fatalf("a standby's health: %d %v", status, err)
	}
	var s *seen
	client := c.client(t, func(c *vault.Config) { s = watchHosts(c) }, standby.Addr)
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	create(t, client, "standby-1", keys.Checkpoint)
	for i, id := range []string{"", "", "use-1"} {
		if _, err := client.Key("standby-1").Sign(t.Context(), headRequest(t, uint64(i+1), id)); err != nil {
			t.Error(err)
		}
	}
	if s.forward[host(standby)] != 3 || len(s.forward) != 1 {
		t.Errorf("forwarded %v, direct %v", s.forward, s.direct)
	}
}

func activePreferred(t *testing.T, c *cluster) {
	active, standbys := c.Active(t), c.Standbys(t)
	for name, addresses := range map[string][]string{
		"active first": {active.Addr, standbys[0].Addr, standbys[1].Addr},
		"active last":  {standbys[0].Addr, standbys[1].Addr, active.Addr},
	} {
		for _, probed := range []bool{false, true} {
			var s *seen
			client := c.client(t, func(c *vault.Config) { s = watchHosts(c) }, addresses...)
			if probed {
				if err := client.Ready(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 5 {
				if _, err := client.Key("standby-1").Sign(t.Context(), headRequest(t, uint64(i+1), "")); err != nil {
					t.Fatal(err)
				}
			}
			if s.direct[host(active)] != 5 || len(s.direct) != 1 || len(s.forward) != 0 {
				t.Errorf("%s, probed %v: direct %v, to be forwarded %v", name, probed, s.direct, s.forward)
			}
		}
	}
}

func unforwarding(t *testing.T, c *cluster) {
	active, standby := c.Active(t), c.Standbys(t)[0]
	never := func(s *seen) { s.extra = func(r *http.Request) { r.Header.Set("X-Vault-No-Request-Forwarding", "1") } }
	var s *seen
	client := c.client(t, func(c *vault.Config) { s = watchHosts(c); never(s) }, standby.Addr)
	if _, err := client.Key("standby-1").Sign(t.Context(), headRequest(t, 1, "")); err == nil || !strings.Contains(err.Error(), "not configured") || !strings.Contains(err.Error(), "api_addr") {
		t.Errorf("the active node is not configured: %v", err)
	}
	if s.direct[host(active)]+s.forward[host(active)] != 0 {
		t.Error("a host was asked that is not configured")
	}
	both := c.client(t, func(c *vault.Config) { s = watchHosts(c); never(s) }, standby.Addr, active.Addr)
	if _, err := both.Key("standby-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil || s.last != host(active) {
		t.Errorf("last asked %s: %v", s.last, err)
	}
}

func standbyHoldsNoKeys(t *testing.T, c *cluster) {
	if n := len(c.Active(t).PluginPids(t)); n == 0 {
		t.Error("the active node has no plugin process")
	}
	for _, v := range c.Standbys(t) {
		if pids := v.PluginPids(t); len(pids) != 0 {
			t.Errorf("a standby runs %d", pids)
		}
	}
}

// sealWrapped: what Vault's community edition can show of seal wrapping. That
// entries are then encrypted by an HSM is Vault Enterprise's part.
func sealWrapped(t *testing.T, c *cluster) {
	v := c.Active(t)
	v.Must(t, http.MethodPost, "sys/mounts/wrapped", map[string]any{"type": testenv.Engine, "seal_wrap": true})
	for path, want := range map[string]bool{"wrapped": true, "sealgate": false} {
		if m := v.Must(t, http.MethodGet, "sys/mounts/"+path, nil); m["seal_wrap"] != want {
			t.Errorf("%s: seal_wrap is %v", path, m["seal_wrap"])
		}
	}
	client := c.client(t, func(c *vault.Config) { c.Mount = "wrapped" }, c.Addresses()...)
	create(t, client, "wrapped-1", keys.Checkpoint)
	if _, err := client.Key("wrapped-1").Sign(t.Context(), headRequest(t, 1, "use-1")); err != nil {
		t.Error(err)
	}
}

func restoredThenFailedOver(t *testing.T, c *cluster) {
	client := c.client(t, nil, c.Addresses()...)
	create(t, client, "old-1", keys.Checkpoint)
	create(t, client, "old-2", keys.Checkpoint)
	sign := func(name keys.Name, size uint64, id string) ([]byte, error) {
		s, err := client.Key(name).Sign(t.Context(), headRequest(t, size, id))
		return s.Value, err
	}
	q := headRequest(t, 1, "before")
	first, err := client.Key("old-1").Sign(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sign("old-2", 1, ""); err != nil { // and into the cache
		t.Fatal(err)
	}
	active := c.Active(t)
	snapshot := active.Snapshot(t)
	if _, err := client.Disable(t.Context(), "old-2"); err != nil {
		t.Fatal(err)
	}
	create(t, client, "new-1", keys.Checkpoint)
	if _, err := sign("new-1", 1, "after"); err != nil {
		t.Fatal(err)
	}
	active.Restore(t, snapshot)
	check := func(when string) {
		t.Helper()
		eventually(t, 15*time.Second, when+", answers", func() error { _, err := client.List(t.Context()); return err })
		if _, err := client.Info(t.Context(), "new-1"); !errors.Is(err, keys.ErrNotFound) {
			t.Errorf("%s, a key that is younger than the snapshot: %v", when, err)
		}
		if _, err := sign("old-2", 2, ""); err != nil {
			t.Errorf("%s, a key that was disabled since: %v", when, err)
		}
		if again, err := client.Key("old-1").Sign(t.Context(), q); err != nil || !slices.Equal(again.Value, first.Value) {
			t.Errorf("%s, an answer older than the snapshot: %v", when, err)
		}
	}
	check("restored")
	active.Seal(t)
	if c.Active(t) == active {
		t.Error("the same node is active")
	}
	check("restored and failed over")
	c.Rejoin(t, active)
}

// passedOn: the active node takes a change from a standby and hangs, then dies.
// It might have made the change; the standby answers with a redirect, as if
// nothing had happened.
func passedOn(t *testing.T, c *cluster) {
	active, standby := c.Active(t), c.Standbys(t)[0]
	var s *seen
	client := c.client(t, func(c *vault.Config) { s = watchHosts(c) }, standby.Addr)
	create(t, client, "passed-1", keys.Checkpoint)
	active.Pause(t)
	go func() {
		time.Sleep(300 * time.Millisecond)
		active.Kill()
	}()
	from := time.Now()
	_, err := client.Rotate(t.Context(), "passed-1")
	t.Logf("after %v: %v", time.Since(from).Round(time.Millisecond), err)
	if !errors.Is(err, keys.ErrOutcome) || s.rotations() != 1 {
		t.Errorf("sent %d times: %v", s.rotations(), err)
	}
	withoutQuorum(t, c)
	active.Start(t)
	c.Rejoin(t, active)
}

// withoutQuorum: of three nodes one is dead, and another dies.
func withoutQuorum(t *testing.T, c *cluster) {
	t.Helper()
	c.Active(t)
	client := c.client(t, nil, c.Addresses()...)
	create(t, client, "quorum-1", keys.Checkpoint)
	second := c.Standbys(t)[0]
	second.Kill()
	eventually(t, longestPause, "not ready without a quorum", func() error {
		if err := client.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			return fmt.Errorf("ready: %v", err)
		}
		return nil
	})
	q := headRequest(t, 2, "quorum")
	within(t, vault.DefaultSignTimeout+time.Second, "signing without a quorum", func() {
		if s, err := client.Key("quorum-1").Sign(t.Context(), q); !errors.Is(err, keys.ErrUnavailable) && !errors.Is(err, keys.ErrOutcome) || len(s.Value) > 0 {
			t.Errorf("without a quorum: %v", err)
		}
	})
	second.Start(t)
	c.Rejoin(t, second)
	eventually(t, longestPause, "signing with a quorum again", func() error { _, err := client.Key("quorum-1").Sign(t.Context(), q); return err })
}

// hungAndDeposed: a node that hangs is replaced, and comes back without
// knowing it.
func hungAndDeposed(t *testing.T, c *cluster) {
	active := c.Active(t)
	all := c.client(t, func(c *vault.Config) { c.ManageTimeout = 2 * time.Second }, c.Addresses()...)
	create(t, all, "hung-1", keys.Checkpoint)
	old := c.client(t, func(c *vault.Config) { c.SignTimeout = 20 * time.Second }, active.Addr)
	for _, id := range []string{"", "warm"} {
		if _, err := old.Key("hung-1").Sign(t.Context(), headRequest(t, 1, id)); err != nil {
			t.Fatal(err)
		}
	}
	active.Pause(t)
	from := time.Now()
	eventually(t, longestPause, "disabled at another node", func() error { _, err := all.Disable(t.Context(), "hung-1"); return err })
	t.Logf("another node is active after %v", time.Since(from).Round(time.Millisecond))
	// These lie in the hanging node's socket when it goes on.
	var wg sync.WaitGroup
	for n := range 8 {
		id := []string{"", fmt.Sprint("late-", n)}[n%2]
		wg.Go(func() {
			s, err := old.Key("hung-1").Sign(t.Context(), headRequest(t, 2, id))
			if err == nil || len(s.Value) > 0 {
				t.Errorf("a deposed node signs under %q after the key was disabled", id)
			}
		})
	}
	time.Sleep(200 * time.Millisecond)
	active.Resume()
	wg.Wait()
	eventually(t, longestPause, "the deposed node refuses", func() error {
		_, err := old.Key("hung-1").Sign(t.Context(), headRequest(t, 3, ""))
		if errors.Is(err, keys.ErrDisabled) {
			return nil
		}
		return errors.Join(errors.New("not refused"), err)
	})
	c.Active(t)
}

const auditFile = "audit.log"
