package vault_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/vault"
)

var failureTests = []realTest{
	{"a sealed Vault refuses at once and serves again within ten seconds of unsealing", sealedVault},
	{"a forbidden path is refused without a new login", forbiddenPath},
	{"an invalid token leads to one login for all who wait", invalidToken},
	{"a withdrawn role ends in refusals and not in a storm of logins", withdrawnRole},
	{"a rate limit is obeyed and callers are told when to come back", rateLimit},
	{"the pause that a rate limit names is kept before the request is repeated", namedPause},
	{"a Vault that hangs costs one deadline and then nothing until it answers", hangingVault},
	{"a killed plugin costs no signature that has an id", killedPlugin},
	{"a rotated key signs under its new version only and old signatures stay good", rotatedKey},
	{"an answer that is lost after signing is given again under its id", lostAnswer},
	{"a node that cannot be reached is passed over", unreachableNode},
	{"a signature that was changed on the way is withheld", changedOnTheWay},
}

type retrying interface{ RetryAfter() int }

// within fails the test when f takes longer than d.
func within(t *testing.T, d time.Duration, what string, f func()) {
	t.Helper()
	from := time.Now()
	f()
	if took := time.Since(from); took > d {
		t.Errorf("%s took %v, more than %v", what, took, d)
	}
}

// eventually tries f until it succeeds, for at most d.
func eventually(t *testing.T, d time.Duration, what string, f func() error) {
	t.Helper()
	var err error
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if err = f(); err == nil {
			return
		}
	}
	t.Errorf("%s: not within %v: %v", what, d, err)
}

func sealedVault(t *testing.T, v *testenv.Vault) {
	var w *watcher
	c := open(t, v, "admin", func(c *vault.Config) { w = watch(c) })
	info := create(t, c, "sealed-1", keys.Checkpoint)
	q := headRequest(t, 1, "")
	sig, err := c.Key("sealed-1").Sign(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("ready before: %v", err)
	}
	logins := w.seen("/login")
	v.Seal(t)
	t.Cleanup(func() { v.Unseal(t) })
	for _, id := range []string{"", "use-1"} {
		within(t, 2*time.Second, "signing with a sealed Vault", func() {
			s, err := c.Key("sealed-1").Sign(t.Context(), headRequest(t, 1, id))
			var r retrying
			if !errors.Is(err, keys.ErrSealed) || len(s.Value) > 0 || !errors.As(err, &r) || r.RetryAfter() < 1 {
				t.Errorf("id %q: %v", id, err)
			}
		})
	}
	if err := c.Ready(t.Context()); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("ready: %v", err)
	}
	if _, err := c.Rotate(t.Context(), "sealed-1"); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("rotate: %v", err)
	}
	if err := info.Versions[0].Public.Verify(q.Item, sig.Value); err != nil {
		t.Errorf("verification needs Vault: %v", err)
	}
	v.Unseal(t)
	eventually(t, 10*time.Second, "signing after unsealing", func() error {
		_, err := c.Key("sealed-1").Sign(t.Context(), headRequest(t, 2, ""))
		return err
	})
	if err := c.Ready(t.Context()); err != nil {
		t.Errorf("ready after: %v", err)
	}
	if n := w.seen("/login"); n != logins {
		t.Errorf("%d logins more: the token survives the sealing", n-logins)
	}
}

func forbiddenPath(t *testing.T, v *testenv.Vault) {
	v.Role(t, "sealer", []string{v.WritePolicy(t, "sealer")}, nil)
	var w *watcher
	c := open(t, v, "sealer", func(c *vault.Config) { w = watch(c) })
	for range 3 {
		if _, err := c.Create(t.Context(), "seal-x", keys.Seal); !errors.Is(err, keys.ErrForbidden) {
			t.Fatal(err)
		}
	}
	if n := w.seen("/login"); n != 1 {
		t.Errorf("%d logins", n)
	}
	if n := w.seen("/keys/"); n != 3 {
		t.Errorf("%d requests for 3 calls", n)
	}
}

func revoke(t *testing.T, v *testenv.Vault, token string) {
	t.Helper()
	v.Must(t, http.MethodPost, "auth/token/revoke", map[string]string{"token": token})
}

func invalidToken(t *testing.T, v *testenv.Vault) {
	var w *watcher
	c := open(t, v, "admin", func(c *vault.Config) { w = watch(c); c.GatherWindow = -1 })
	create(t, c, "revoked-1", keys.Checkpoint)
	revoke(t, v, w.lastToken())
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := c.Key("revoked-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := w.seen("/login"); n != 2 {
		t.Errorf("%d logins, want the first and one more", n)
	}
}

func withdrawnRole(t *testing.T, v *testenv.Vault) {
	v.Role(t, "gone", []string{"admin"}, nil)
	var w *watcher
	c := open(t, v, "gone", func(c *vault.Config) { w = watch(c); c.GatherWindow = -1 })
	create(t, c, "gone-1", keys.Checkpoint)
	v.Must(t, http.MethodDelete, "auth/approle/role/gone", nil)
	revoke(t, v, w.lastToken())
	before := w.seen("/login")
	for range 40 {
		within(t, 2*time.Second, "a refusal", func() {
			s, err := c.Key("gone-1").Sign(t.Context(), headRequest(t, 1, "x"))
			if err == nil || len(s.Value) > 0 {
				t.Fatal("signed without a role")
			}
		})
	}
	if n := w.seen("/login") - before; n > 2 {
		t.Errorf("%d logins for 40 calls", n)
	}
	if err := c.Ready(t.Context()); err == nil {
		t.Error("ready without a role")
	}
}

func rateLimit(t *testing.T, v *testenv.Vault) {
	var w *watcher
	c := open(t, v, "admin", func(c *vault.Config) { w = watch(c); c.GatherWindow = -1; c.SignTimeout = 1500 * time.Millisecond })
	create(t, c, "limited-1", keys.Checkpoint)
	if _, err := c.Key("limited-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
		t.Fatal(err)
	}
	v.Must(t, http.MethodPost, "sys/quotas/rate-limit/tight", map[string]any{"path": "sealgate/", "rate": 5})
	t.Cleanup(func() { v.Must(t, http.MethodDelete, "sys/quotas/rate-limit/tight", nil) })
	before := w.seen("/sign/")
	var good, limited atomic.Int32
	var wg sync.WaitGroup
	const callers = 40
	within(t, 6*time.Second, "40 callers under a limit of 5/s", func() {
		for range callers {
			wg.Go(func() {
				_, err := c.Key("limited-1").Sign(t.Context(), headRequest(t, 1, ""))
				var r retrying
				switch {
				case err == nil:
					good.Add(1)
				case errors.Is(err, keys.ErrLimited) && errors.As(err, &r) && r.RetryAfter() >= 1:
					limited.Add(1)
				default:
					t.Errorf("neither signed nor limited: %v", err)
				}
			})
		}
		wg.Wait()
	})
	sent := w.seen("/sign/") - before
	t.Logf("%d signed, %d told to wait, %d requests", good.Load(), limited.Load(), sent)
	if good.Load() < 5 || limited.Load() == 0 || sent > 3*callers {
		t.Error("the limit was not obeyed")
	}
}

func namedPause(t *testing.T, v *testenv.Vault) {
	p := &pauses{}
	c := open(t, v, "admin", func(c *vault.Config) { c.Through(p); c.SignTimeout = 6 * time.Second })
	create(t, c, "paused-1", keys.Checkpoint)
	// Vault names a pause only when it is told to.
	v.Must(t, http.MethodPost, "sys/quotas/config", map[string]any{"enable_rate_limit_response_headers": true})
	t.Cleanup(func() {
		v.Must(t, http.MethodPost, "sys/quotas/config", map[string]any{"enable_rate_limit_response_headers": false})
	})
	v.Must(t, http.MethodPost, "sys/quotas/rate-limit/slow", map[string]any{"path": "sealgate/sign/checkpoint/paused-1", "rate": 1, "interval": "2s"})
	t.Cleanup(func() { v.Must(t, http.MethodDelete, "sys/quotas/rate-limit/slow", nil) })
	for i := range 2 {
		if _, err := c.Key("paused-1").Sign(t.Context(), headRequest(t, uint64(i+1), "")); err != nil {
			t.Fatal(err)
		}
	}
	refused := 0
	for i, named := range p.named[:len(p.named)-1] {
		seconds, err := strconv.Atoi(named)
		if named == "" {
			continue
		}
		refused++
		if pause := p.asked[i+1].Sub(p.asked[i]); err != nil || seconds < 1 || pause < time.Duration(seconds)*time.Second {
			t.Errorf("Vault named a pause of %q s, asked again after %v", named, pause)
		}
	}
	if refused == 0 {
		t.Errorf("Vault refused nothing: %q", p.named)
	}
}

func hangingVault(t *testing.T, v *testenv.Vault) {
	const deadline = 700 * time.Millisecond
	c := open(t, v, "admin", func(c *vault.Config) { c.SignTimeout = deadline })
	create(t, c, "hangs-1", keys.Checkpoint)
	if _, err := c.Key("hangs-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(v.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resumed := false
	resume := func() {
		if !resumed {
			resumed = true
			syscall.Kill(v.Pid(), syscall.SIGCONT)
		}
	}
	t.Cleanup(resume)
	within(t, 3*deadline, "a call to a hanging Vault", func() {
		s, err := c.Key("hangs-1").Sign(t.Context(), headRequest(t, 1, ""))
		if !errors.Is(err, keys.ErrOutcome) || len(s.Value) > 0 {
			t.Errorf("the request was sent: %v", err)
		}
	})
	for range 6 { // until the breaker opens
		c.Key("hangs-1").Sign(t.Context(), headRequest(t, 1, "x"))
	}
	within(t, deadline/2, "a call while the breaker is open", func() {
		_, err := c.Key("hangs-1").Sign(t.Context(), headRequest(t, 1, ""))
		if !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("%v", err)
		}
	})
	within(t, 3*deadline, "a readiness probe", func() {
		if err := c.Ready(t.Context()); !errors.Is(err, keys.ErrUnavailable) {
			t.Errorf("ready: %v", err)
		}
	})
	resume()
	eventually(t, 10*time.Second, "signing after it goes on", func() error {
		_, err := c.Key("hangs-1").Sign(t.Context(), headRequest(t, 2, ""))
		return err
	})
}

func killedPlugin(t *testing.T, v *testenv.Vault) {
	c := open(t, v, "admin", nil)
	create(t, c, "killed-1", keys.Checkpoint)
	first := headRequest(t, 1, "before")
	before, err := c.Key("killed-1").Sign(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	kill := func() {
		t.Helper()
		pids := v.PluginPids(t)
		if len(pids) == 0 {
			t.Fatal("no plugin process")
		}
		for _, pid := range pids {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	for i := range 3 {
		kill()
		within(t, vault.DefaultSignTimeout+time.Second, "signing after the plugin died", func() {
			s, err := c.Key("killed-1").Sign(t.Context(), headRequest(t, uint64(i+2), fmt.Sprint("after-", i)))
			if err != nil || len(s.Value) == 0 {
				t.Errorf("kill %d: %v", i, err)
			}
		})
	}
	again, err := c.Key("killed-1").Sign(t.Context(), first)
	if err != nil || !slices.Equal(again.Value, before.Value) {
		t.Errorf("the new process has forgotten an answer: %v", err)
	}
	// Without an id a call may be lost; it is never repeated behind our back.
	kill()
	if _, err := c.Key("killed-1").Sign(t.Context(), headRequest(t, 9, "")); err != nil && !errors.Is(err, keys.ErrOutcome) {
		t.Errorf("without id: %v", err)
	}
	eventually(t, 3*time.Second, "signing without an id", func() error {
		_, err := c.Key("killed-1").Sign(t.Context(), headRequest(t, 9, ""))
		return err
	})
}

func rotatedKey(t *testing.T, v *testenv.Vault) {
	c := open(t, v, "admin", nil)
	outside := keytest.NewOutside(t, &keytest.Clock{})
	info := create(t, c, "rotated-1", keys.Seal)
	tbs := func(i keys.Info, n int, salt byte) []byte {
		return keytest.DER(t, outside.TBS(outside.Seal(outside.SealInfo(i.Versions[n-1].Certificate)), salt))
	}
	old, err := keys.Pin(c.Key("rotated-1"), info, 1)
	if err != nil {
		t.Fatal(err)
	}
	item := tbs(info, 1, 1)
	sig, err := old.SignTBS(t.Context(), item)
	if err != nil {
		t.Fatal(err)
	}
	if info, err = c.Rotate(t.Context(), "rotated-1"); err != nil {
		t.Fatal(err)
	}
	if _, err := old.SignTBS(t.Context(), tbs(info, 1, 2)); err != nil {
		t.Errorf("the old version signs until the new certificate is there: %v", err)
	}
	cert := outside.Certify(info.Versions[1].Public)
	if info, err = c.InstallCertificate(t.Context(), "rotated-1", 2, []*gm.Certificate{cert}); err != nil {
		t.Fatal(err)
	}
	if s, err := old.SignTBS(t.Context(), tbs(info, 1, 3)); !errors.Is(err, keys.ErrVersion) || s != nil {
		t.Errorf("the old version after it: %v", err)
	}
	if err := old.Public().Verify(item, sig); err != nil {
		t.Errorf("an old signature: %v", err)
	}
	now, err := keys.PinLive(t.Context(), c.Key("rotated-1"))
	if err != nil || now.Version().Number != 2 {
		t.Fatal(err)
	}
	if _, err := now.SignTBS(t.Context(), tbs(info, 2, 4)); err != nil {
		t.Errorf("the new version: %v", err)
	}
}

func lostAnswer(t *testing.T, v *testenv.Vault) {
	proxy := newChaosProxy(t, v.Addr)
	c := open(t, v, "admin", func(c *vault.Config) { c.Addresses = []string{proxy.addr} })
	create(t, c, "lost-1", keys.Checkpoint)
	warm := headRequest(t, 1, "")
	if _, err := c.Key("lost-1").Sign(t.Context(), warm); err != nil {
		t.Fatal(err)
	}

	proxy.swallow("/sign/", 1)
	q := headRequest(t, 2, "use-1")
	s, err := c.Key("lost-1").Sign(t.Context(), q)
	if err != nil {
		t.Fatalf("with an id: %v", err)
	}
	lost := proxy.swallowed()
	if len(lost) != 1 {
		t.Fatalf("%d answers were lost", len(lost))
	}
	if got := signatureIn(t, lost[0]); !slices.Equal(got, s.Value) {
		t.Error("two signatures were made under one id")
	}

	proxy.swallow("/sign/", 1)
	s, err = c.Key("lost-1").Sign(t.Context(), headRequest(t, 3, ""))
	if !errors.Is(err, keys.ErrOutcome) || len(s.Value) > 0 {
		t.Errorf("without an id: %v", err)
	}
	if n := len(proxy.swallowed()); n != 1 {
		t.Errorf("without an id the request was sent %d times", n)
	}
}

// A node that cannot be reached has done nothing: the next one is asked.
func unreachableNode(t *testing.T, v *testenv.Vault) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close()
	c := open(t, v, "admin", func(c *vault.Config) { c.Addresses = []string{nobody, v.Addr} })
	create(t, c, "second-1", keys.Checkpoint)
	for range 3 {
		within(t, 2*time.Second, "signing at the second node", func() {
			if _, err := c.Key("second-1").Sign(t.Context(), headRequest(t, 1, "")); err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func changedOnTheWay(t *testing.T, v *testenv.Vault) {
	c := open(t, v, "admin", func(c *vault.Config) { c.Through(spoiler{http.DefaultTransport}) })
	create(t, c, "spoilt-1", keys.Checkpoint)
	s, err := c.Key("spoilt-1").Sign(t.Context(), headRequest(t, 1, ""))
	if !errors.Is(err, keys.ErrFault) || len(s.Value) > 0 {
		t.Errorf("one: %v", err)
	}
	out, err := c.Key("spoilt-1").SignBatch(t.Context(), []keys.Request{headRequest(t, 1, ""), headRequest(t, 2, "")})
	if err != nil || !errors.Is(out[0].Err, keys.ErrFault) || len(out[0].Signature.Value) > 0 {
		t.Errorf("batch: %v %+v", err, out)
	}
}
