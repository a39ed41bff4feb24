package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Vault is a real HashiCorp Vault server with Raft storage on loopback, one
// node, one unseal key. Each test has its own.
type Vault struct {
	Addr      string // http://127.0.0.1:port, or https with TLS
	RootToken string
	PluginDir string // executables that Vault may run as plugins
	CAFile    string // PEM, with TLS only

	unsealKey string
	dir       string
	binary    string
	env       []string // besides the test's own
	client    *http.Client
	cmd       *exec.Cmd
	log       *os.File
}

// StartVault starts a server, initialised and unsealed, and stops it when the
// test ends. The binary is bin/vault (`make vault`) or $SEALGATE_VAULT; when
// there is none the test skips, or fails with CI=true.
func StartVault(t testing.TB) *Vault {
	t.Helper()
	return startVault(t, nil)
}

// StartEmptyVault starts a server that nobody has initialised.
func StartEmptyVault(t testing.TB) *Vault {
	t.Helper()
	v := newVault(t, "n1", filepath.Join(t.TempDir(), "plugins"), nil)
	v.Start(t)
	return v
}

func startVault(t testing.TB, c *VaultTLS) *Vault {
	t.Helper()
	v := newVault(t, "n1", filepath.Join(t.TempDir(), "plugins"), c)
	v.Start(t)
	v.Initialise(t)
	v.Unseal(t)
	return v
}

// newVault writes the configuration of one node, to be started, and stops it
// when the test ends.
func newVault(t testing.TB, id, plugins string, c *VaultTLS) *Vault {
	t.Helper()
	binary := os.Getenv("SEALGATE_VAULT")
	if binary == "" {
		binary = filepath.Join(Root(t), "bin", "vault")
	}
	if _, err := os.Stat(binary); err != nil {
		Missing(t, "no Vault server at "+binary+" (make vault)")
	}
	v := &Vault{dir: t.TempDir(), binary: binary, PluginDir: plugins, client: http.DefaultClient}
	for _, d := range []string{v.PluginDir, filepath.Join(v.dir, "raft")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	api, cluster := FreePort(t), FreePort(t)
	scheme, listener := c.install(t, v)
	v.Addr = scheme + "://" + api
	// One second and not five until a node that is gone is missed.
	config := fmt.Sprintf(`
storage "raft" { path = %q  node_id = %q  performance_multiplier = 1 }
listener "tcp" { address = %q  cluster_address = %q  %s }
api_addr = %q
cluster_addr = "https://%s"
disable_mlock = true
plugin_directory = %q
raw_storage_endpoint = false
log_level = "warn"
`, filepath.Join(v.dir, "raft"), id, api, cluster, listener, v.Addr, cluster, v.PluginDir)
	if err := os.WriteFile(filepath.Join(v.dir, "vault.hcl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Stop(t) })
	return v
}

// Initialise makes the server's keys: one unseal key and the root token.
func (v *Vault) Initialise(t testing.TB) {
	t.Helper()
	var keys struct {
		Keys []string `json:"keys"`
		Root string   `json:"root_token"`
	}
	v.must(t, "", http.MethodPut, "sys/init", map[string]int{"secret_shares": 1, "secret_threshold": 1}, &keys)
	if len(keys.Keys) != 1 {
		t.Fatal("vault init gave no unseal key")
	}
	v.unsealKey, v.RootToken = keys.Keys[0], keys.Root
}

// Start starts the process; it is sealed unless it was never initialised.
func (v *Vault) Start(t testing.TB) {
	t.Helper()
	v.launch(t)
	v.awaitListening(t)
}

func (v *Vault) launch(t testing.TB) {
	t.Helper()
	log, err := os.OpenFile(v.LogPath(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	v.log = log
	v.cmd = exec.Command(v.binary, "server", "-config", filepath.Join(v.dir, "vault.hcl"))
	v.cmd.Dir, v.cmd.Env = v.dir, append(os.Environ(), v.env...)
	v.cmd.Stdout, v.cmd.Stderr = log, log
	v.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

func (v *Vault) awaitListening(t testing.TB) {
	t.Helper()
	v.await(t, "to listen", func() bool {
		_, _, err := v.Do(context.Background(), "", http.MethodGet, "sys/seal-status", nil)
		return err == nil
	})
}

// Stop ends the process and its plugins.
func (v *Vault) Stop(t testing.TB) {
	if v.cmd == nil {
		return
	}
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGTERM)
	done := make(chan struct{})
	go func() { v.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
		<-done
	}
	v.cmd = nil
	v.log.Close()
	v.showLog(t)
}

// showLog adds the end of the server's log to that of a failed test.
func (v *Vault) showLog(t testing.TB) {
	if !t.Failed() {
		return
	}
	if tail, err := os.ReadFile(v.LogPath()); err == nil {
		t.Logf("vault log:\n%s", tail[max(0, len(tail)-4000):])
	}
}

// Kill ends the process and its plugins without warning, as a power cut would.
func (v *Vault) Kill() {
	syscall.Kill(-v.cmd.Process.Pid, syscall.SIGKILL)
	v.cmd.Wait()
	v.cmd = nil
	v.log.Close()
}

// Pid is the server's process id, for stopping it with SIGSTOP.
func (v *Vault) Pid() int { return v.cmd.Process.Pid }

// LogPath is the server's log file.
func (v *Vault) LogPath() string { return filepath.Join(v.dir, "vault.log") }

// Seal seals the server.
func (v *Vault) Seal(t testing.TB) {
	t.Helper()
	v.Must(t, http.MethodPut, "sys/seal", nil)
}

// Unseal unseals the server and waits until it is active.
func (v *Vault) Unseal(t testing.TB) {
	t.Helper()
	v.must(t, "", http.MethodPut, "sys/unseal", map[string]string{"key": v.unsealKey}, nil)
	v.await(t, "to become active", func() bool {
		status, _, err := v.Do(context.Background(), "", http.MethodGet, "sys/health", nil)
		return err == nil && status == http.StatusOK
	})
}

func (v *Vault) await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Fatalf("vault was waited for %s for 60 s", what)
}

// Do sends one request to /v1/path and returns status and raw answer.
func (v *Vault) Do(ctx context.Context, token, method, path string, body any) (int, []byte, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, v.Addr+"/v1/"+strings.TrimPrefix(path, "/"), r)
	if err != nil {
		return 0, nil, err
	}
	if token != "" {
		req.Header.Set("X-Vault-Token", token)
	}
	if method == http.MethodPatch {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	return resp.StatusCode, out, err
}

// Must sends a request with the root token and fails the test unless it is
// answered with 2xx. The answer's data member is returned.
func (v *Vault) Must(t testing.TB, method, path string, body any) map[string]any {
	t.Helper()
	var answer struct {
		Data map[string]any `json:"data"`
		Auth map[string]any `json:"auth"`
	}
	v.must(t, v.RootToken, method, path, body, &answer)
	if answer.Data == nil {
		return answer.Auth
	}
	return answer.Data
}

func (v *Vault) must(t testing.TB, token, method, path string, body, into any) {
	t.Helper()
	status, out, err := v.Do(context.Background(), token, method, path, body)
	if err != nil || status/100 != 2 {
		t.Fatalf("vault %s %s: %d %s %v", method, path, status, out, err)
	}
	if into != nil && len(out) > 0 {
		if err := json.Unmarshal(out, into); err != nil {
			t.Fatal(err)
		}
	}
}

// BuildPlugin builds the main package pkg (for example
// "./cmd/sealgate-vault-plugin") into the plugin folder under name and returns
// the SHA-256 that Vault's catalogue wants, in hexadecimal.
func (v *Vault) BuildPlugin(t testing.TB, pkg, name string) (sha256hex string) {
	t.Helper()
	path := filepath.Join(v.PluginDir, name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, pkg)
	cmd.Dir = Root(t)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, out)
	}
	sum, err := fileSHA256(path)
	if err != nil {
		t.Fatal(errors.Join(errors.New("hash plugin"), err))
	}
	return sum
}
