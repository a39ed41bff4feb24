package vault_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/vault"
)

// cell is one line of the table: each of callers calls f in a closed loop; one
// call makes per signatures.
type cell struct {
	name    string
	callers int
	per     int
	f       func() error
	rates   []float64 // signatures per second, one for each round
	all     []time.Duration
	busy    time.Duration // of the machine's CPUs, in all rounds
}

const (
	rounds   = 3
	cellTime = 600 * time.Millisecond
)

// measure runs the cell once, after a short warming up.
func (c *cell) measure(b *testing.B) {
	b.Helper()
	var mu sync.Mutex
	var all []time.Duration
	var failed atomic.Pointer[error]
	loop := func(d time.Duration) {
		var wg sync.WaitGroup
		end := time.Now().Add(d)
		all = all[:0]
		for range c.callers {
			wg.Go(func() {
				var own []time.Duration
				for at := time.Now(); at.Before(end); {
					if err := c.f(); err != nil {
						failed.Store(&err)
						return
					}
					now := time.Now()
					own, at = append(own, now.Sub(at)), now
				}
				mu.Lock()
				all = append(all, own...)
				mu.Unlock()
			})
		}
		wg.Wait()
	}
	loop(cellTime / 6)
	from, busy := time.Now(), busyTime()
	loop(cellTime)
	c.busy += busyTime() - busy
	if err := failed.Load(); err != nil {
		b.Fatalf("%s: %v", c.name, *err)
	}
	c.rates = append(c.rates, float64(len(all)*c.per)/time.Since(from).Seconds())
	c.all = append(c.all, all...)
}

// rate is the median of the rounds.
func (c *cell) rate() float64 {
	r := slices.Sorted(slices.Values(c.rates))
	return r[len(r)/2]
}

// quantile is of all rounds together.
func (c *cell) quantile(q float64) time.Duration {
	slices.Sort(c.all)
	return c.all[min(int(q*float64(len(c.all))), len(c.all)-1)]
}

// cost is the CPU time of one signature, wherever it was spent: here, in Vault,
// in the plugin, in the kernel, and in whatever else ran.
func (c *cell) cost() time.Duration {
	return c.busy / time.Duration(max(1, len(c.all)*c.per))
}

// busyTime is how long the CPUs of this Linux machine have worked, all of them
// together; 0 where that cannot be read.
func busyTime() time.Duration {
	const tick = 10 * time.Millisecond // USER_HZ, fixed for programs
	data, _ := os.ReadFile("/proc/stat")
	line, _, _ := strings.Cut(string(data), "\n")
	var user, nice, system, idle, iowait, irq, softirq int64
	fmt.Sscanf(line, "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &iowait, &irq, &softirq)
	return time.Duration(user+nice+system+irq+softirq) * tick
}

var only = flag.String("cells", "", "regular expression: run these cells of BenchmarkVault only")

// BenchmarkVault prints a table for each setting, everything in it measured in
// one run on one machine, client and server sharing its CPUs. The cells are
// measured in turn, several rounds, so that a load from outside falls on all of
// them; a rate is the median of its rounds. Below each table stand the ratios
// that the goals are about. The settings:
//
//   - Deployed: TLS, and an audit device tuned as deploy/vault/README.md says.
//
//   - Bare: plain HTTP and no audit device, as nobody runs it; what is left is
//     the engines' and Vault's own cost.
//
//     go test ./keys/vault -run xxx -bench Vault -benchtime 1x [-args -cells REGEXP]
func BenchmarkVault(b *testing.B) {
	b.Run("Deployed", func(b *testing.B) {
		from := time.Now().Add(-time.Hour)
		ca, err := pki.NewTLSAuthority("bench", from, from.AddDate(1, 0, 0))
		if err != nil {
			b.Fatal(err)
		}
		cert, key, err := ca.Server([]string{"127.0.0.1"}, from, from.AddDate(0, 1, 0))
		if err != nil {
			b.Fatal(err)
		}
		v := testenv.StartVaultTLS(b, testenv.VaultTLS{Cert: cert, Key: key, CA: ca.CertificatePEM()})
		install(b, v)
		v.EnableAudit(b, "sealgate")
		table(b, v, "Vault with TLS and an audit device")
	})
	b.Run("Bare", func(b *testing.B) { table(b, startServer(b), "Vault without TLS, without an audit device") })
}

func table(b *testing.B, v *testenv.Vault, setting string) {
	v.Must(b, http.MethodPost, "sys/mounts/transit", map[string]string{"type": "transit"})
	v.Must(b, http.MethodPost, "transit/keys/k", map[string]string{"type": "ecdsa-p256"})
	v.Role(b, "stock", []string{"admin"}, map[string]any{"token_no_default_policy": false})

	ctx := b.Context()
	trusted := func(c *vault.Config) { c.CAFile = v.CAFile }
	c := open(b, v, "admin", trusted)
	create(b, c, "ledger", keys.Checkpoint)
	alone := open(b, v, "admin", func(c *vault.Config) { trusted(c); c.GatherWindow = -1 })
	stock := open(b, v, "stock", func(c *vault.Config) { trusted(c); c.GatherWindow = -1 })
	batch := make([]keys.Request, 256) // no two of them alike
	for i := range batch {
		batch[i] = headRequest(b, uint64(1000*i), "")
	}
	var turn atomic.Int64
	next := func() keys.Request { return batch[turn.Add(1)%int64(len(batch))] }
	sign := func(k keys.Key) func() error {
		return func() error { _, err := k.Sign(ctx, next()); return err }
	}
	signAll := func(k keys.Key, rs []keys.Request) func() error {
		return func() error {
			out, err := k.SignBatch(ctx, rs)
			for _, r := range out {
				if err == nil {
					err = r.Err
				}
			}
			return err
		}
	}
	var ids atomic.Int64
	named := func(k keys.Key) func() error {
		return func() error {
			r := next()
			r.ID = fmt.Sprint("id-", ids.Add(1))
			_, err := k.Sign(ctx, r)
			return err
		}
	}

	own, err := gm.GenerateKey()
	if err != nil {
		b.Fatal(err)
	}
	local := engine.New(&keytest.Memory{}, engine.Config{})
	if _, err := local.Create(ctx, "ledger", keys.Checkpoint); err != nil {
		b.Fatal(err)
	}
	peer := peerSigner(b, batch[0].Item)
	transit := transitSigner(b, v, login(b, v, "admin"), batch[0].Item)
	transitStock := transitSigner(b, v, login(b, v, "stock"), batch[0].Item)

	cells := []*cell{
		{name: cellPeer, callers: 8, per: 1, f: peer},
		{name: "in process: our signer, message", callers: 8, per: 1, f: func() error { _, err := own.Sign(batch[0].Item); return err }},
		{name: cellEngine, callers: 8, per: 128, f: signAll(local.Key("ledger"), batch[:128])},
	}
	for _, n := range []int{1, 8, 32} {
		cells = append(cells,
			&cell{name: cellTransit, callers: n, per: 1, f: transitStock},
			&cell{name: cellTransitLean, callers: n, per: 1, f: transit},
			&cell{name: cellOne, callers: n, per: 1, f: sign(stock.Key("ledger"))},
			&cell{name: cellOneLean, callers: n, per: 1, f: sign(alone.Key("ledger"))},
			&cell{name: cellGathered, callers: n, per: 1, f: sign(c.Key("ledger"))},
		)
	}
	cells = append(cells,
		&cell{name: "gathered, each with an id", callers: 32, per: 1, f: named(c.Key("ledger"))},
		&cell{name: "explicit batches of 16", callers: 8, per: 16, f: signAll(c.Key("ledger"), batch[:16])},
		&cell{name: cellBatches, callers: 1, per: 128, f: signAll(c.Key("ledger"), batch[:128])},
		&cell{name: cellBatches, callers: 8, per: 128, f: signAll(c.Key("ledger"), batch[:128])},
		&cell{name: "explicit batches of 256", callers: 8, per: 256, f: signAll(c.Key("ledger"), batch)},
	)
	for b.Loop() {
		var chosen []*cell
		for _, x := range cells {
			if ok, _ := regexp.MatchString(*only, x.name); ok {
				chosen = append(chosen, x)
			}
		}
		for range rounds {
			for _, x := range chosen {
				x.measure(b)
			}
		}
		fmt.Fprintf(os.Stdout, "\n%-46s %8s %14s %10s %10s %10s\n", setting, "callers", "signatures/s", "p50", "p99", "CPU each")
		for _, x := range chosen {
			fmt.Fprintf(os.Stdout, "%-46s %8d %14.0f %10s %10s %10s\n", x.name, x.callers, x.rate(),
				x.quantile(0.5).Round(10*time.Microsecond), x.quantile(0.99).Round(10*time.Microsecond), x.cost().Round(time.Microsecond))
		}
		ratios(chosen)
	}
}

// ratios prints the goals' ratios, as far as their cells were measured.
func ratios(cells []*cell) {
	find := func(name string, callers int) *cell {
		i := slices.IndexFunc(cells, func(c *cell) bool { return c.name == name && c.callers == callers && len(c.rates) > 0 })
		if i < 0 {
			return nil
		}
		return cells[i]
	}
	line := func(what string, a, b *cell, of func(*cell) float64) {
		if a != nil && b != nil {
			fmt.Fprintf(os.Stdout, "%-90s %6.2f\n", what, of(a)/of(b))
		}
	}
	rate := (*cell).rate
	p99 := func(c *cell) float64 { return c.quantile(0.99).Seconds() }
	peer, batches := find(cellPeer, 8), find(cellBatches, 8)
	gathered, stock, lean := find(cellGathered, 32), find(cellTransit, 32), find(cellTransitLean, 32)
	one, oneLean := find(cellOne, 32), find(cellOneLean, 32)
	fmt.Fprintln(os.Stdout)
	line("explicit batches / emmansun in process (goal 0.5)", batches, peer, rate)
	line("explicit batches / our key engine in process, typed and verified", batches, find(cellEngine, 8), rate)
	line("one by one / transit at 32 callers, both with the default policy (goal 0.8)", one, stock, rate)
	line("one by one / transit at 32 callers, ours as deployed, transit as it comes", oneLean, stock, rate)
	line("one by one / transit at 32 callers, both without the default policy", oneLean, lean, rate)
	line("gathered / transit at 32 callers, ours as deployed, transit as it comes (goal 8)", gathered, stock, rate)
	line("gathered / transit at 32 callers, both without the default policy", gathered, lean, rate)
	line("CPU of transit as it comes / CPU of gathered, ours as deployed, for each signature", stock, gathered, func(c *cell) float64 { return c.cost().Seconds() })
	line("p99 of gathered / p99 of one by one (goal at most 2)", gathered, oneLean, p99)
}

// Names of the cells that the goals are about.
const (
	cellPeer        = "in process: emmansun/gmsm, message"
	cellEngine      = "in process: key engine, typed and verified"
	cellTransit     = "transit ecdsa-p256, default policy"
	cellTransitLean = "transit ecdsa-p256, no default policy"
	cellOne         = "one by one, default policy"
	cellOneLean     = "one by one, no default policy"
	cellGathered    = "gathered"
	cellBatches     = "explicit batches of 128"
)

func login(b *testing.B, v *testenv.Vault, role string) string {
	b.Helper()
	id := v.Must(b, http.MethodGet, "auth/approle/role/"+role+"/role-id", nil)["role_id"]
	secret := v.Must(b, http.MethodPost, "auth/approle/role/"+role+"/secret-id", nil)["secret_id"]
	return v.Must(b, http.MethodPost, "auth/approle/login", map[string]any{"role_id": id, "secret_id": secret})["client_token"].(string)
}

// transitSigner signs with Vault's built-in engine through HashiCorp's client,
// which ours uses as well, over connections like ours, and checks nothing.
func transitSigner(b *testing.B, v *testenv.Vault, token string, item []byte) func() error {
	h, err := vault.HTTPClient(vault.Config{Addresses: []string{v.Addr}, CAFile: v.CAFile})
	if err != nil {
		b.Fatal(err)
	}
	c := &api.Config{Address: v.Addr, HttpClient: h}
	client, err := api.NewClient(c)
	if err != nil {
		b.Fatal(err)
	}
	client.SetToken(token)
	input := map[string]any{"input": base64.StdEncoding.EncodeToString(item)}
	return func() error {
		_, err := client.Logical().Write("transit/sign/k", input)
		return err
	}
}
