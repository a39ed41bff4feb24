package plugin_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/sdk/logical"

	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/plugin"
	"github.com/sealgate/sealgate/keys/vault"
)

// mounted is the plugin over a storage, reached by the product's own client
// through the part of Vault's HTTP side that both need. What Vault itself does
// in between is tested in keys/vault against the real server.
type mounted struct {
	*vault.Client
	storage logical.Storage
	system  *logical.StaticSystemView
	config  engine.Config
	front   *front
}

func mount(t *testing.T, s logical.Storage, c engine.Config) *mounted {
	t.Helper()
	m := &mounted{storage: s, config: c, system: &logical.StaticSystemView{}, front: &front{storage: s}}
	m.restart(t)
	server := httptest.NewServer(m.front)
	t.Cleanup(server.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	client, err := vault.Open(vault.Config{Addresses: []string{server.URL}, Login: vault.TokenFile(file)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	m.Client = client
	return m
}

// restart sets the backend up anew over the same storage.
func (m *mounted) restart(t *testing.T) {
	t.Helper()
	b, err := plugin.NewFactory(m.config)(t.Context(), &logical.BackendConfig{System: m.system})
	if err != nil {
		t.Fatal(err)
	}
	m.front.set(b)
}

// front is as much of Vault's HTTP side as the client meets.
type front struct {
	mu      sync.Mutex
	backend logical.Backend
	storage logical.Storage
}

func (f *front) set(b logical.Backend) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.backend = b
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	b := f.backend
	f.mu.Unlock()
	path, ok := strings.CutPrefix(r.URL.Path, "/v1/sealgate/")
	if !ok {
		reply(w, http.StatusOK, map[string]any{"data": map[string]any{"ttl": 0}})
		return
	}
	req := &logical.Request{Path: path, Storage: f.storage, Operation: map[string]logical.Operation{
		http.MethodGet: logical.ReadOperation, http.MethodPost: logical.UpdateOperation, http.MethodPatch: logical.PatchOperation, "LIST": logical.ListOperation}[r.Method]}
	if r.Method == "LIST" && !strings.HasSuffix(path, "/") {
		req.Path += "/" // so does Vault
	}
	if r.Method == http.MethodPost || r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&req.Data); err != nil {
			reply(w, http.StatusBadRequest, map[string]any{"errors": []string{err.Error()}})
			return
		}
	}
	resp, err := b.HandleRequest(r.Context(), req)
	switch {
	case err != nil:
		reply(w, http.StatusInternalServerError, map[string]any{"errors": []string{"1 error occurred:\n\t* " + err.Error() + "\n\n"}})
	case resp.IsError():
		reply(w, http.StatusBadRequest, map[string]any{"errors": []string{resp.Error().Error()}})
	default:
		reply(w, http.StatusOK, map[string]any{"data": resp.Data})
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func options(open func(t *testing.T, clock *keytest.Clock) *mounted) keytest.Options {
	return keytest.Options{
		Open: func(t *testing.T, clock *keytest.Clock) keytest.Backend { return open(t, clock) },
		Reopen: func(t *testing.T, b keytest.Backend) keytest.Backend {
			b.(*mounted).restart(t)
			return b
		},
		DestroyWait: engine.DefaultDestroyWait,
		ClockWindow: engine.DefaultClockWindow,
	}
}

func TestContract(t *testing.T) {
	keytest.Run(t, options(func(t *testing.T, clock *keytest.Clock) *mounted {
		return mount(t, &logical.InmemStorage{}, engine.Config{Now: clock.Now})
	}))
}

// A mount whose storage repeats every write.
func TestContractOverAStorageThatRepeatsWrites(t *testing.T) {
	keytest.Run(t, options(func(t *testing.T, clock *keytest.Clock) *mounted {
		h := &hostile{Storage: &logical.InmemStorage{}}
		h.set(keytest.Duplicated)
		return mount(t, h, engine.Config{Now: clock.Now})
	}))
}
