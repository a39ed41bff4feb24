package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// VaultCluster is several real Vault servers with Raft storage on loopback,
// unsealed, of which one is active and the others forward to it. Its clocks
// and disks are one; everything else is as between machines.
type VaultCluster struct{ Nodes []*Vault }

// StartVaultCluster starts n servers and stops them when the test ends. They
// share a plugin folder.
func StartVaultCluster(t testing.TB, n int) *VaultCluster {
	t.Helper()
	plugins := filepath.Join(t.TempDir(), "plugins")
	c := &VaultCluster{}
	for i := range n {
		v := newVault(t, fmt.Sprint("n", i+1), plugins, nil)
		// Autopilot would let a new node vote only after ten seconds.
		v.env = []string{"VAULT_RAFT_AUTOPILOT_DISABLE=true"}
		v.launch(t)
		c.Nodes = append(c.Nodes, v)
	}
	first := c.Nodes[0]
	first.awaitListening(t)
	first.Initialise(t)
	first.Unseal(t)
	for _, v := range c.Nodes[1:] {
		v.unsealKey, v.RootToken = first.unsealKey, first.RootToken
		v.awaitListening(t)
		v.must(t, "", http.MethodPost, "sys/storage/raft/join", map[string]string{"leader_api_addr": first.Addr}, nil)
		c.Rejoin(t, v)
	}
	t.Cleanup(func() { // sooner than the nodes' own: one after the other waits for the rest
		for _, v := range c.Nodes {
			if v.cmd != nil {
				v.Kill()
				v.showLog(t)
			}
		}
	})
	return c
}

// Addresses are those of all nodes.
func (c *VaultCluster) Addresses() []string {
	var list []string
	for _, v := range c.Nodes {
		list = append(list, v.Addr)
	}
	return list
}

// health is what a node says of itself: "active", "standby", "sealed", or
// "gone" when it does not answer within a second.
func (v *Vault) health() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status, _, err := v.Do(ctx, "", http.MethodGet, "sys/health", nil)
	switch {
	case err != nil:
		return "gone"
	case status == http.StatusOK:
		return "active"
	case status == http.StatusTooManyRequests:
		return "standby"
	}
	return "sealed"
}

// states asks all nodes at once.
func (c *VaultCluster) states() map[*Vault]string {
	var mu sync.Mutex
	var wg sync.WaitGroup
	out := map[*Vault]string{}
	for _, v := range c.Nodes {
		wg.Go(func() {
			s := v.health()
			mu.Lock()
			defer mu.Unlock()
			out[v] = s
		})
	}
	wg.Wait()
	return out
}

// Active waits until one node is active and every node that answers agrees
// which, and returns it.
func (c *VaultCluster) Active(t testing.TB) *Vault {
	t.Helper()
	var active *Vault
	c.Nodes[0].await(t, "to have one active node", func() bool {
		active = nil
		states := c.states()
		for v, s := range states {
			if s == "active" && active != nil {
				return false // a deposed one has not noticed
			}
			if s == "active" {
				active = v
			}
		}
		if active == nil {
			return false
		}
		for v, s := range states {
			if s == "standby" && v.leader() != active.Addr {
				return false
			}
		}
		return true
	})
	return active
}

// leader is the address of the active node as v knows it.
func (v *Vault) leader() string {
	var answer struct {
		Address string `json:"leader_address"`
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status, out, err := v.Do(ctx, "", http.MethodGet, "sys/leader", nil)
	if err != nil || status != http.StatusOK || json.Unmarshal(out, &answer) != nil {
		return ""
	}
	return answer.Address
}

// Standbys are the nodes that stand by now.
func (c *VaultCluster) Standbys(t testing.TB) []*Vault {
	t.Helper()
	c.Active(t)
	var list []*Vault
	for v, s := range c.states() {
		if s == "standby" {
			list = append(list, v)
		}
	}
	return list
}

// StepDown makes the active node give up its role, and returns it.
func (c *VaultCluster) StepDown(t testing.TB) *Vault {
	t.Helper()
	v := c.Active(t)
	v.Must(t, http.MethodPut, "sys/step-down", nil)
	return v
}

// Pause stops a node's process, as a machine that hangs, until Resume or the
// test's end. Its plugins go on.
func (v *Vault) Pause(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(v.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Resume)
}

// Resume lets a paused node go on.
func (v *Vault) Resume() {
	if v.cmd != nil {
		syscall.Kill(v.Pid(), syscall.SIGCONT)
	}
}

// Rejoin unseals a node that was started again, sealed or new, and waits until
// it stands by or is active.
func (c *VaultCluster) Rejoin(t testing.TB, v *Vault) {
	t.Helper()
	v.must(t, "", http.MethodPut, "sys/unseal", map[string]string{"key": v.unsealKey}, nil)
	v.await(t, "to join the cluster", func() bool {
		s := v.health()
		return s == "active" || s == "standby" && v.leader() != ""
	})
}

// Snapshot takes a snapshot of the storage of v, the active node.
func (v *Vault) Snapshot(t testing.TB) []byte {
	t.Helper()
	status, out, err := v.Do(context.Background(), v.RootToken, http.MethodGet, "sys/storage/raft/snapshot", nil)
	if err != nil || status != http.StatusOK {
		t.Fatalf("snapshot: %d %v", status, err)
	}
	return out
}

// Restore replaces the storage of the cluster by a snapshot of its own.
func (v *Vault) Restore(t testing.TB, snapshot []byte) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, v.Addr+"/v1/sys/storage/raft/snapshot", bytes.NewReader(snapshot))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Vault-Token", v.RootToken)
	resp, err := v.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if out, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode/100 != 2 {
		t.Fatalf("restore: %d %s %v", resp.StatusCode, out, err)
	}
}
