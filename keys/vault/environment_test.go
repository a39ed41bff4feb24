package vault

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
)

func TestTheEnvironmentChangesNothingOfARequest(t *testing.T) {
	t.Setenv("VAULT_TOKEN", "somebody-elses")
	t.Setenv("VAULT_NAMESPACE", "elsewhere")
	t.Setenv("VAULT_HEADERS", `{"X-Extra":"1"}`)
	t.Setenv("VAULT_SKIP_VERIFY", "true")
	t.Setenv("VAULT_MAX_RETRIES", "5")
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		for _, h := range []string{"X-Vault-Token", "X-Vault-Namespace", "X-Extra"} {
			if v := r.Header.Get(h); v != "" {
				t.Errorf("%s: %s", h, v)
			}
		}
		if r.Header.Get("X-Vault-Request") != "true" || r.URL.Query().Get("a") != "1" || r.URL.Path != "/v1/sys/health" {
			t.Errorf("%s %v", r.URL, r.Header)
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer srv.Close()
	c, err := Open(Config{Addresses: []string{srv.URL}, Login: TokenFile("unused")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, sent, err := c.exchange(context.Background(), srv.URL, http.MethodGet, "sys/health?a=1", "", nil)
	if err != nil || !sent || r.status != http.StatusBadGateway || asked != 1 {
		t.Errorf("%+v sent %v asked %d: %v", r, sent, asked, err)
	}
}
