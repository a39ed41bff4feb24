package vault_test

import (
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
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
	"github.com/sealgate/sealgate/keys/vault"
)

// cell is one line of the table: each of callers calls f in a closed loop; one
// call makes per signatures.
type cell struct {
	name     string
	callers  int
	per      int
	f        func() error
	rate     float64 // signatures per second
	p50, p99 time.Duration
}

const cellTime = 1500 * time.Millisecond

func (c *cell) run(b *testing.B) {
	b.Helper()
	var mu sync.Mutex
	var all []time.Duration
	var failed atomic.Pointer[error]
	measure := func(d time.Duration) {
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
	measure(cellTime / 5)
	from := time.Now()
	measure(cellTime)
	if err := failed.Load(); err != nil {
		b.Fatalf("%s: %v", c.name, *err)
	}
	c.rate = float64(len(all)*c.per) / time.Since(from).Seconds()
	slices.Sort(all)
	c.p50, c.p99 = all[len(all)/2], all[len(all)*99/100]
}

var only = flag.String("cells", "", "regular expression: run these cells of BenchmarkVault only")

// BenchmarkVault prints one table, everything measured in one run on one
// machine, client and server sharing its CPUs.
//
//	go test ./keys/vault -run xxx -bench Vault -benchtime 1x [-args -cells REGEXP]
func BenchmarkVault(b *testing.B) {
	v := startServer(b)
	v.Must(b, http.MethodPost, "sys/mounts/transit", map[string]string{"type": "transit"})
	v.Must(b, http.MethodPost, "transit/keys/k", map[string]string{"type": "ecdsa-p256"})
	v.Role(b, "stock", []string{"admin"}, map[string]any{"token_no_default_policy": false})

	ctx := b.Context()
	c := open(b, v, "admin", nil)
	create(b, c, "ledger", keys.Checkpoint)
	alone := open(b, v, "admin", func(c *vault.Config) { c.GatherWindow = -1 })
	stock := open(b, v, "stock", func(c *vault.Config) { c.GatherWindow = -1 })
	q := headRequest(b, 1, "")
	batch := make([]keys.Request, 128)
	for i := range batch {
		batch[i] = headRequest(b, uint64(i), "")
	}
	sign := func(k keys.Key) func() error {
		return func() error { _, err := k.Sign(ctx, q); return err }
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
			r := q
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
	peer := peerSigner(b, q.Item)
	transit := transitSigner(b, v, login(b, v, "admin"), q.Item)
	transitStock := transitSigner(b, v, login(b, v, "stock"), q.Item)

	cells := []*cell{
		{name: "in process: emmansun/gmsm, message", callers: 8, per: 1, f: peer},
		{name: "in process: our signer, message", callers: 8, per: 1, f: func() error { _, err := own.Sign(q.Item); return err }},
		{name: "in process: key engine, typed and verified", callers: 8, per: 128, f: signAll(local.Key("ledger"), batch)},
	}
	for _, n := range []int{1, 8, 32} {
		cells = append(cells,
			&cell{name: "transit ecdsa-p256, default policy", callers: n, per: 1, f: transitStock},
			&cell{name: "transit ecdsa-p256, no default policy", callers: n, per: 1, f: transit},
			&cell{name: "one by one, default policy", callers: n, per: 1, f: sign(stock.Key("ledger"))},
			&cell{name: "one by one, no default policy", callers: n, per: 1, f: sign(alone.Key("ledger"))},
			&cell{name: "gathered", callers: n, per: 1, f: sign(c.Key("ledger"))},
		)
	}
	cells = append(cells,
		&cell{name: "gathered, each with an id", callers: 32, per: 1, f: named(c.Key("ledger"))},
		&cell{name: "explicit batches of 16", callers: 8, per: 16, f: signAll(c.Key("ledger"), batch[:16])},
		&cell{name: "explicit batches of 128", callers: 1, per: 128, f: signAll(c.Key("ledger"), batch)},
		&cell{name: "explicit batches of 128", callers: 8, per: 128, f: signAll(c.Key("ledger"), batch)},
	)
	for b.Loop() {
		fmt.Fprintf(os.Stdout, "\n%-46s %8s %14s %10s %10s\n", "", "callers", "signatures/s", "p50", "p99")
		for _, x := range cells {
			if ok, _ := regexp.MatchString(*only, x.name); !ok {
				continue
			}
			x.run(b)
			fmt.Fprintf(os.Stdout, "%-46s %8d %14.0f %10s %10s\n", x.name, x.callers, x.rate,
				x.p50.Round(10*time.Microsecond), x.p99.Round(10*time.Microsecond))
		}
	}
}

func login(b *testing.B, v *testenv.Vault, role string) string {
	b.Helper()
	id := v.Must(b, http.MethodGet, "auth/approle/role/"+role+"/role-id", nil)["role_id"]
	secret := v.Must(b, http.MethodPost, "auth/approle/role/"+role+"/secret-id", nil)["secret_id"]
	return v.Must(b, http.MethodPost, "auth/approle/login", map[string]any{"role_id": id, "secret_id": secret})["client_token"].(string)
}

// transitSigner signs with Vault's built-in engine through HashiCorp's client,
// which ours uses as well, and checks nothing.
func transitSigner(b *testing.B, v *testenv.Vault, token string, item []byte) func() error {
	c := api.DefaultConfig()
	c.Address, c.MaxRetries = v.Addr, 0
	c.HttpClient.Transport.(*http.Transport).MaxIdleConnsPerHost = 128
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
