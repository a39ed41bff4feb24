package testenv

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Engine is what the key engine's plugin is called in a test server.
const Engine = "sealgate"

// InstallEngine builds the product's Vault plugin, registers it in the
// server's catalogue and mounts it at "sealgate".
func (v *Vault) InstallEngine(t testing.TB) {
	t.Helper()
	sum := v.BuildPlugin(t, "./cmd/sealgate-vault-plugin", Engine)
	v.Must(t, http.MethodPost, "sys/plugins/catalog/secret/"+Engine, map[string]any{"sha256": sum, "command": Engine})
	v.MountEngine(t, "sealgate", nil)
}

// MountEngine mounts the registered plugin at path, with mount options.
func (v *Vault) MountEngine(t testing.TB, path string, options map[string]string) {
	t.Helper()
	v.Must(t, http.MethodPost, "sys/mounts/"+path, map[string]any{"type": Engine, "options": options})
}

// WritePolicy loads a policy of deploy/vault and returns its name.
func (v *Vault) WritePolicy(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "deploy", "vault", name+".hcl"))
	if err != nil {
		t.Fatal(err)
	}
	v.Must(t, http.MethodPut, "sys/policies/acl/"+name, map[string]string{"policy": string(text)})
	return name
}

// Role makes an AppRole with the settings of deploy/vault/README.md and the
// given policies; more overrides settings. It returns the role id.
func (v *Vault) Role(t testing.TB, name string, policies []string, more map[string]any) (roleID string) {
	t.Helper()
	auth := v.Must(t, http.MethodGet, "sys/auth", nil)
	if auth["approle/"] == nil {
		v.Must(t, http.MethodPost, "sys/auth/approle", map[string]string{"type": "approle"})
	}
	settings := map[string]any{"token_policies": policies, "token_no_default_policy": true, "token_period": "1h",
		"secret_id_bound_cidrs": []string{"127.0.0.0/8"}, "token_bound_cidrs": []string{"127.0.0.0/8"}}
	for k, x := range more {
		settings[k] = x
	}
	v.Must(t, http.MethodPost, "auth/approle/role/"+name, settings)
	return v.Must(t, http.MethodGet, "auth/approle/role/"+name+"/role-id", nil)["role_id"].(string)
}

// SecretID makes a secret id of a role and writes it into a file.
func (v *Vault) SecretID(t testing.TB, role string) (file string) {
	t.Helper()
	id := v.Must(t, http.MethodPost, "auth/approle/role/"+role+"/secret-id", nil)["secret_id"].(string)
	return SecretFile(t, id)
}

// SecretFile writes a secret into a new file of mode 0600.
func SecretFile(t testing.TB, secret string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// PluginPids returns the process ids of the server's plugin processes.
func (v *Vault) PluginPids(t testing.TB) []int {
	t.Helper()
	want := filepath.Join(v.PluginDir, Engine)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if group, err := syscall.Getpgid(pid); err != nil || group != v.Pid() {
			continue // of another node with the same folder
		}
		cmdline, err := os.ReadFile("/proc/" + e.Name() + "/cmdline")
		if err == nil && strings.HasPrefix(string(bytes.ReplaceAll(cmdline, []byte{0}, []byte(" "))), want) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Wrap posts to path with the root token and asks for a response-wrapped
// answer; it returns the wrapping token.
func (v *Vault) Wrap(ctx context.Context, path string, body any, ttl time.Duration) (string, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return "", err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.Addr+"/v1/"+path, bytes.NewReader(data))
	if err != nil {
		return "", err
	}
	req.Header.Set("X-Vault-Token", v.RootToken)
	req.Header.Set("X-Vault-Wrap-TTL", ttl.String())
	resp, err := v.client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	var answer struct {
		WrapInfo struct {
			Token string `json:"token"`
		} `json:"wrap_info"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil || answer.WrapInfo.Token == "" {
		return "", fmt.Errorf("wrap %s: status %d, %w", path, resp.StatusCode, err)
	}
	return answer.WrapInfo.Token, nil
}

// Env is the environment in which the server's own command line, as `vault`,
// and other programs talk to it.
func (v *Vault) Env() []string {
	return []string{"VAULT_ADDR=" + v.Addr, "VAULT_CACERT=" + v.CAFile, "PATH=" + filepath.Dir(v.binary) + string(os.PathListSeparator) + os.Getenv("PATH")}
}
