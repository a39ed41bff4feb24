// Package plugin hosts keys/engine inside HashiCorp Vault as a secrets engine:
// the same key life and typed signing as keys/local, over Vault's encrypted
// storage. Only cmd/sealgate-vault-plugin links it.
//
// The paths, below the mount:
//
//	LIST   keys/                    names
//	POST   keys/NAME                create {purpose}
//	GET    keys/NAME                public key, versions, certificates, state
//	POST   keys/NAME/rotate         a new version
//	POST   keys/NAME/disable        stop it for good
//	POST   keys/NAME/destroy        erase it, after the waiting time
//	POST   keys/NAME/csr            PKCS #10 {version, common_name, …}
//	POST   keys/NAME/certificate    install {version, certificate}
//	POST   sign/TYPE/NAME           {item, key_version, id}, or batch, or items
//	PATCH  sign/TYPE/NAME           the same, without Vault's existence check
//
// What is absent by design, and tested as absent: export, backup, import,
// configuration of a key, signing of digests or of bytes without a type,
// encryption and decryption, and any field with which a caller could choose
// the user identity of GB/T 32918.2. There is no path and no field of that
// kind, and a field that a path does not know is refused, not ignored.
//
// A refusal is answered with status 400 and the one error text "CODE: text",
// CODE being one of keys.Errors (see keys/wire). A fault of the storage is
// answered with status 500 and SG-KEY-UNAVAILABLE, or SG-KEY-OUTCOME when a key
// was being changed. In all of them nothing was signed.
//
// Mount options (vault secrets enable -options=…): clock_window, 10s to 10m,
// default 5m; destroy_wait, at least 24h, default 168h; max_answers, 1024 to
// 4194304, default 262144; fault_check, "client" (default) or "engine": who
// verifies a new signature before use. A mount with other values is refused.
//
// Why the client: keys/vault verifies every signature it receives against the
// key it expects, which it must do anyway (it cannot know who answered), and
// throws away what does not verify. Verifying here as well would double the
// price of a signature and would only stop somebody who holds a stolen token
// and can make this machine's memory or processor fail at will. Where that is
// to be feared, or where other clients sign, set fault_check=engine.
//
// Entries under keys/ are seal-wrapped where Vault's seal can. Every operation
// runs on the active node of the primary cluster: standbys and secondaries
// forward it, because no signature may be made after Disable has returned, and
// because an answer is written before it is given. A signature without an id is
// written nowhere: it is given out under a lease (type lease), so that also a
// node that hung and was replaced makes none.
//
// The package implements logical.Backend itself instead of using the SDK's
// framework: that would bring 138 more packages (cloud databases, OAuth, a
// PostgreSQL driver) into the process that holds the keys, ignores unknown
// fields, and asks Vault for its replication state on every request.
package plugin

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys/engine"
)

// Name is what the plugin is called in Vault's catalogue.
const Name = "sealgate"

// Bounds of the mount options. A destroy_wait of less than a day would make
// "disable, then destroy" one act of one person.
const (
	MinClockWindow = 10 * time.Second
	MaxClockWindow = 10 * time.Minute
	MinDestroyWait = 24 * time.Hour
	MaxDestroyWait = 10 * 365 * 24 * time.Hour
	MinAnswers     = 1 << 10
	MaxAnswers     = 1 << 22
)

// Factory makes the backend of one mount; Vault calls it.
func Factory(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
	return NewFactory(engine.Config{})(ctx, conf)
}

// NewFactory is Factory with a base configuration that mount options override:
// for tests, which turn the clock.
func NewFactory(base engine.Config) logical.Factory {
	return func(ctx context.Context, conf *logical.BackendConfig) (logical.Backend, error) {
		c, err := configured(base, conf.Config)
		if err != nil {
			return nil, err
		}
		b := &backend{engine: engine.New(requestStorage{}, c), now: time.Now, lease: lease{now: time.Now}}
		b.routes = b.table()
		return b, b.Setup(ctx, conf)
	}
}

func configured(c engine.Config, options map[string]string) (engine.Config, error) {
	var errs []error
	duration := func(name string, low, high time.Duration, into *time.Duration) {
		if text, ok := options[name]; ok {
			d, err := time.ParseDuration(text)
			if err != nil || d < low || d > high {
				errs = append(errs, fmt.Errorf("option %s: want %v to %v, not %.40q", name, low, high, text))
			}
			*into = d
		}
	}
	duration("clock_window", MinClockWindow, MaxClockWindow, &c.ClockWindow)
	duration("destroy_wait", MinDestroyWait, MaxDestroyWait, &c.DestroyWait)
	if text, ok := options["max_answers"]; ok {
		n, err := strconv.Atoi(text)
		if err != nil || n < MinAnswers || n > MaxAnswers {
			errs = append(errs, fmt.Errorf("option max_answers: want %d to %d, not %.40q", MinAnswers, MaxAnswers, text))
		}
		c.MaxAnswers = n
	}
	switch who, ok := options["fault_check"]; {
	case !ok, who == "client":
		c.CheckedOutside = true
	case who == "engine":
		c.CheckedOutside = false
	default:
		errs = append(errs, fmt.Errorf("option fault_check: want client or engine, not %.40q", who))
	}
	return c, errors.Join(errs...)
}

// backend is one mount: the engine behind Vault's router.
type backend struct {
	engine *engine.Engine
	routes []route
	now    func() time.Time
	lease  lease

	logger hclog.Logger
	system logical.SystemView

	mu      sync.Mutex
	foreign bool // of the last look: this node does not write
	looked  time.Time
}

// Setup implements logical.Backend.
func (b *backend) Setup(_ context.Context, conf *logical.BackendConfig) error {
	b.logger, b.system = conf.Logger, conf.System
	if b.logger == nil {
		b.logger = hclog.NewNullLogger()
	}
	return nil
}

// Initialize implements logical.Backend. Keys are read when they are used.
func (b *backend) Initialize(context.Context, *logical.InitializationRequest) error { return nil }

// SpecialPaths implements logical.Backend: private keys are seal-wrapped, and
// no path is open to those without a token.
func (b *backend) SpecialPaths() *logical.Paths {
	return &logical.Paths{SealWrapStorage: []string{engine.KeyPrefix}}
}

// System implements logical.Backend.
func (b *backend) System() logical.SystemView { return b.system }

// Logger implements logical.Backend.
func (b *backend) Logger() hclog.Logger { return b.logger }

// Type implements logical.Backend.
func (b *backend) Type() logical.BackendType { return logical.TypeLogical }

// PluginVersion implements logical.PluginVersioner.
func (b *backend) PluginVersion() logical.PluginVersion {
	if info, ok := debug.ReadBuildInfo(); ok && len(info.Main.Version) > 1 && info.Main.Version[0] == 'v' {
		return logical.PluginVersion{Version: info.Main.Version}
	}
	return logical.EmptyPluginVersion
}

// HandleExistenceCheck implements logical.Backend. There is none: to Vault
// every write is an update, and a policy grants "update" for it.
func (b *backend) HandleExistenceCheck(context.Context, *logical.Request) (bool, bool, error) {
	return false, false, nil
}

// Cleanup implements logical.Backend.
func (b *backend) Cleanup(context.Context) { b.engine.InvalidateAll() }

// InvalidateKey implements logical.Backend: another node changed an entry.
func (b *backend) InvalidateKey(_ context.Context, path string) { b.engine.Invalidate(path) }

// stateLife is how long the answer to elsewhere is believed. Vault sets a
// mount up anew when its node changes its role, so it is only a second guard.
const stateLife = time.Second

// elsewhere reports whether requests belong to another node: this one is a
// performance standby, or a secondary of a replicated mount.
func (b *backend) elsewhere() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if now := b.now(); b.looked.IsZero() || now.Sub(b.looked) >= stateLife || now.Before(b.looked) {
		state := b.system.ReplicationState()
		b.foreign = state.HasState(consts.ReplicationPerformanceStandby) ||
			state.HasState(consts.ReplicationPerformanceSecondary) && !b.system.LocalMount()
		b.looked = now
	}
	return b.foreign
}

var (
	_ logical.Backend         = (*backend)(nil)
	_ logical.PluginVersioner = (*backend)(nil)
)
