package vault_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

// journal is a log that remembers its alarms.
type journal struct {
	slog.Handler
	mu    sync.Mutex
	lines []string // "alarm NAME" and "over NAME"
}

func listen(c *vault.Config) *journal {
	j := &journal{Handler: slog.DiscardHandler}
	c.Logger = slog.New(j)
	return j
}

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		switch {
		case a.Key == "alarm" && r.Level == slog.LevelError:
			j.lines = append(j.lines, "alarm "+a.Value.String())
		case a.Key == "alarm_over":
			j.lines = append(j.lines, "over "+a.Value.String())
		}
		return true
	})
	return nil
}

// want compares the alarms so far.
func (j *journal) want(t *testing.T, when string, lines ...string) {
	t.Helper()
	j.mu.Lock()
	defer j.mu.Unlock()
	if got := strings.Join(j.lines, "; "); got != strings.Join(lines, "; ") {
		t.Errorf("%s: %q, want %q", when, got, lines)
	}
}

func state(c *vault.Client, name vault.Alarm) vault.AlarmState {
	for _, s := range c.Alarms() {
		if s.Alarm == name {
			return s
		}
	}
	return vault.AlarmState{}
}

var alarmTests = []realTest{
	{"a sealed Vault is one alarm however many ask, and it ends with the next signature", sealedAlarm},
	{"each signature that is withheld is an alarm", faultAlarm},
	{"a refused login is one alarm however often it is tried", loginAlarm},
}

func sealedAlarm(t *testing.T, v *testenv.Vault) {
	var j *journal
	c := open(t, v, "admin", func(c *vault.Config) { j = listen(c) })
	create(t, c, "alarm-1", keys.Checkpoint)
	v.Seal(t)
	t.Cleanup(func() { v.Unseal(t) })
	for range 3 {
		if _, err := c.Key("alarm-1").Sign(t.Context(), headRequest(t, 1, "")); !errors.Is(err, keys.ErrSealed) {
			t.Error(err)
		}
		if err := c.Ready(t.Context()); !errors.Is(err, keys.ErrSealed) {
			t.Error(err)
		}
	}
	j.want(t, "sealed", "alarm vault-sealed")
	if s := state(c, vault.AlarmSealed); !s.On || s.Count != 1 {
		t.Errorf("sealed: %+v", s)
	}
	v.Unseal(t)
	eventually(t, 10*time.Second, "signing after unsealing", func() error {
		_, err := c.Key("alarm-1").Sign(t.Context(), headRequest(t, 1, ""))
		return err
	})
	j.want(t, "unsealed", "alarm vault-sealed", "over vault-sealed")
	if s := state(c, vault.AlarmSealed); s.On || s.Count != 1 {
		t.Errorf("unsealed: %+v", s)
	}
}

func faultAlarm(t *testing.T, v *testenv.Vault) {
	var j *journal
	c := open(t, v, "admin", func(c *vault.Config) { j = listen(c); c.Through(spoiler{http.DefaultTransport}) })
	create(t, c, "alarm-2", keys.Checkpoint)
	for range 2 {
		if _, err := c.Key("alarm-2").Sign(t.Context(), headRequest(t, 1, "")); !errors.Is(err, keys.ErrFault) {
			t.Error(err)
		}
	}
	j.want(t, "two", "alarm key-fault", "alarm key-fault")
	if s := state(c, vault.AlarmFault); s.On || s.Count != 2 {
		t.Errorf("%+v", s)
	}
}

func loginAlarm(t *testing.T, v *testenv.Vault) {
	var j *journal
	c := open(t, v, "admin", func(c *vault.Config) {
		j = listen(c)
		c.Login = &vault.AppRole{RoleID: "nobody", SecretIDFile: testenv.SecretFile(t, "nothing")}
	})
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if _, err := c.List(t.Context()); !errors.Is(err, keys.ErrForbidden) {
			t.Fatal(err)
		}
	}
	j.want(t, "refused", "alarm vault-login")
}

// The first row of the table of failures: a server that nobody has initialised
// is to the appliance what a sealed one is.
func TestAVaultThatIsNotInitialisedSignsNothingAndIsAnAlarm(t *testing.T) {
	v := testenv.StartEmptyVault(t)
	var j *journal
	c := stubClient(t, func(c *vault.Config) { j = listen(c) }, v.Addr)
	if err := c.Ready(t.Context()); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("ready: %v", err)
	}
	within(t, 2*time.Second, "signing", func() {
		s, err := c.Key("c").Sign(t.Context(), headRequest(t, 1, "use-1"))
		var r retrying
		if !errors.Is(err, keys.ErrSealed) || len(s.Value) > 0 || !errors.As(err, &r) || r.RetryAfter() < 1 {
			t.Errorf("sign: %v", err)
		}
	})
	j.want(t, "not initialised", "alarm vault-sealed")
	v.Initialise(t)
	if err := c.Ready(t.Context()); !errors.Is(err, keys.ErrSealed) {
		t.Errorf("initialised and sealed: %v", err)
	}
	v.Unseal(t)
	eventually(t, 10*time.Second, "to be found well", func() error {
		if err := c.Ready(t.Context()); errors.Is(err, keys.ErrSealed) {
			return err
		}
		return nil
	})
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.lines) < 2 || j.lines[1] != "over vault-sealed" {
		t.Errorf("unsealed: %q", j.lines)
	}
}

// inBubble answers requests without a network, so that time can be made to pass.
type inBubble struct{ http.Handler }

func (h inBubble) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// watched is a client with a stand-in whose health and clock a test can change,
// and nobody who asks for anything.
func watched(t *testing.T, health func(http.ResponseWriter), step func() time.Duration) (*vault.Client, *journal) {
	t.Helper()
	var j *journal
	start := time.Now()
	c := stubClient(t, func(c *vault.Config) {
		j = listen(c)
		c.Login = vault.TokenFile(filepath.Join(t.TempDir(), "none"))
		c.Through(inBubble{&node{health: health, other: keyNames}})
		c.Clocks(func() (time.Time, time.Duration) { return time.Now().Add(step()), time.Since(start) })
	}, "http://127.0.0.1:1")
	time.Sleep(time.Second) // what follows happens between two looks
	return c, j
}

func TestASealedVaultIsAnAlarmWhenNobodyAsksForASignature(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sealed atomic.Bool
		c, j := watched(t, func(w http.ResponseWriter) { health(200, true, sealed.Load(), time.Now())(w) }, func() time.Duration { return 0 })
		time.Sleep(10 * vault.WatchEvery)
		j.want(t, "well")
		sealed.Store(true)
		time.Sleep(10 * vault.WatchEvery)
		j.want(t, "sealed", "alarm vault-sealed")
		sealed.Store(false)
		time.Sleep(10 * vault.WatchEvery)
		j.want(t, "unsealed", "alarm vault-sealed", "over vault-sealed")
		c.Close()
	})
}

func TestASilentVaultIsAnAlarmAfterTheSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var silent atomic.Bool
		c, j := watched(t, func(w http.ResponseWriter) {
			if !silent.Load() {
				health(200, true, false, time.Now())(w)
			}
		}, func() time.Duration { return 0 })
		silent.Store(true)
		time.Sleep(vault.WatchEvery)
		j.want(t, "one look")
		time.Sleep(2 * vault.WatchEvery)
		j.want(t, "three looks", "alarm vault-silent")
		silent.Store(false)
		time.Sleep(vault.WatchEvery)
		j.want(t, "answers", "alarm vault-silent", "over vault-silent")
		c.Close()
	})
}

func TestAClockThatIsSetIsAnAlarmEachTimeAndADriftIsNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var step atomic.Int64
		c, j := watched(t, health(200, true, false, time.Now().Add(time.Minute)), func() time.Duration { return time.Duration(step.Load()) })
		for range 4 { // a daemon corrects by milliseconds
			step.Add(int64(900 * time.Millisecond))
			time.Sleep(vault.WatchEvery)
		}
		j.want(t, "drift")
		step.Add(int64(time.Hour))
		time.Sleep(3 * vault.WatchEvery)
		j.want(t, "forward", "alarm clock-jump")
		step.Add(-int64(2 * time.Second))
		time.Sleep(3 * vault.WatchEvery)
		j.want(t, "back", "alarm clock-jump", "alarm clock-jump")
		if s := state(c, vault.AlarmJump); s.On || s.Count != 2 {
			t.Errorf("%+v", s)
		}
		c.Close()
	})
}

func TestAClockOfVaultThatDiffersIsAnAlarmUntilItAgrees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var off atomic.Int64
		c, j := watched(t, func(w http.ResponseWriter) {
			health(200, true, false, time.Now().Add(time.Duration(off.Load())))(w)
		}, func() time.Duration { return 0 })
		off.Store(int64(-10 * time.Minute))
		time.Sleep(3 * vault.WatchEvery)
		j.want(t, "behind", "alarm vault-clock")
		off.Store(0)
		time.Sleep(2 * vault.WatchEvery)
		j.want(t, "agrees", "alarm vault-clock", "over vault-clock")
		c.Close()
	})
}

// The host's own clocks agree as long as nobody sets one.
func TestAHostsClocksAgreeWhileNobodySetsThem(t *testing.T) {
	var out bytes.Buffer
	synctest.Test(t, func(t *testing.T) {
		c := stubClient(t, func(c *vault.Config) {
			c.Logger = slog.New(slog.NewTextHandler(&out, nil))
			c.Through(inBubble{&node{health: func(w http.ResponseWriter) { health(200, true, false, time.Now())(w) }, other: keyNames}})
		}, "http://127.0.0.1:1")
		time.Sleep(time.Hour)
		c.Close()
	})
	if out.Len() > 0 {
		t.Error(out.String())
	}
}
