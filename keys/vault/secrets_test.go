package vault_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/vault"
)

var secretTests = []realTest{
	{"a secret is read from the KV engine under the gateway's policy", readSecrets},
	{"a secret that cannot be used is refused and not shown", unusableSecrets},
	{"a new version of a secret is in force within its age and a deleted one ends", rotatedSecret},
	{"a sealed Vault leaves a secret its age and then the calls are refused", secretOfASealedVault},
}

// mountKV mounts a KV engine of version 2 at "secret" when there is none.
func mountKV(t *testing.T, v *testenv.Vault) {
	t.Helper()
	if v.Must(t, http.MethodGet, "sys/mounts", nil)["secret/"] != nil {
		return
	}
	v.Must(t, http.MethodPost, "sys/mounts/secret", map[string]any{"type": "kv", "options": map[string]string{"version": "2"}})
	eventually(t, 10*time.Second, "the KV engine", func() error {
		if status, body, err := v.Do(t.Context(), v.RootToken, http.MethodGet, "secret/config", nil); err != nil || status != http.StatusOK {
			return errors.New(string(body)) // it upgrades itself to version 2
		}
		return nil
	})
}

func putSecret(t *testing.T, v *testenv.Vault, path string, fields map[string]any) {
	t.Helper()
	v.Must(t, http.MethodPost, "secret/data/"+path, map[string]any{"data": fields})
}

// secretText is n bytes b as a secret is written.
func secretText(b byte, n int) string {
	return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, n))
}

// gatewaySecrets is a client with the shipped policy of the gateway.
func gatewaySecrets(t *testing.T, v *testenv.Vault, age time.Duration, change func(*vault.Config)) (*vault.Client, *vault.Secrets) {
	t.Helper()
	mountKV(t, v)
	v.Role(t, "gateway", []string{v.WritePolicy(t, "gateway")}, nil)
	c := open(t, v, "gateway", change)
	return c, c.Secrets(age)
}

func readSecrets(t *testing.T, v *testenv.Vault) {
	var w *watcher
	_, s := gatewaySecrets(t, v, 0, func(c *vault.Config) { w = watch(c) })
	putSecret(t, v, "sealgate/gateway/rs", map[string]any{"hmac": secretText(1, 32), "other": secretText(2, 16) + "\n"})
	putSecret(t, v, "sealgate/gateway/rs", map[string]any{"hmac": secretText(3, 32), "other": secretText(2, 16) + "\n"})
	for ref, want := range map[string][]byte{
		"vault:secret/sealgate/gateway/rs#hmac":  bytes.Repeat([]byte{3}, 32),
		"vault:secret/sealgate/gateway/rs#other": bytes.Repeat([]byte{2}, 16),
	} {
		for range 3 {
			got, err := s.Secret(t.Context(), ref)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %x %v", ref, got, err)
			}
			clear(got) // the caller's copy
		}
	}
	if n := w.seen("/secret/data/"); n != 2 {
		t.Errorf("%d requests for two secrets", n)
	}
}

func unusableSecrets(t *testing.T, v *testenv.Vault) {
	var log bytes.Buffer
	_, s := gatewaySecrets(t, v, 0, func(c *vault.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	const path = "sealgate/gateway/bad"
	putSecret(t, v, path, map[string]any{"short": secretText(7, 15), "long": secretText(7, 65), "text": "correct horse battery staple", "empty": "",
		"number": 123456789, "list": []string{secretText(7, 32)}, "null": nil, "lines": secretText(7, 20)[:10] + "\n" + secretText(7, 20)[10:]})
	putSecret(t, v, "sealgate/gateway/deleted", map[string]any{"k": secretText(7, 32)})
	putSecret(t, v, "sealgate/gateway/deleted", map[string]any{"k": secretText(7, 32)})
	v.Must(t, http.MethodDelete, "secret/data/sealgate/gateway/deleted", nil)
	putSecret(t, v, "sealgate/gateway/destroyed", map[string]any{"k": secretText(7, 32)})
	v.Must(t, http.MethodPost, "secret/destroy/sealgate/gateway/destroyed", map[string]any{"versions": []int{1}})
	putSecret(t, v, "sealgate/sealer/x", map[string]any{"k": secretText(7, 32)})
	for ref, want := range map[string]error{
		path + "#short": keys.ErrSecret, path + "#long": keys.ErrSecret, path + "#text": keys.ErrSecret, path + "#empty": keys.ErrSecret, path + "#number": keys.ErrSecret,
		path + "#list": keys.ErrSecret, path + "#null": keys.ErrSecret, path + "#lines": keys.ErrSecret, path + "#nothing": keys.ErrSecret,
		"sealgate/gateway/nothing#k": keys.ErrSecret, "sealgate/gateway/deleted#k": keys.ErrSecret, "sealgate/gateway/destroyed#k": keys.ErrSecret,
		"sealgate/sealer/x#k": keys.ErrForbidden, "other#k": keys.ErrForbidden,
	} {
		got, err := s.Secret(t.Context(), "vault:secret/"+ref)
		if got != nil || !errors.Is(err, want) {
			t.Errorf("%s: %x %v", ref, got, err)
			continue
		}
		if deleted, destroyed := strings.Contains(ref, "deleted"), strings.Contains(ref, "destroyed"); deleted && !strings.Contains(err.Error(), "version, 2, is deleted") ||
			destroyed && !strings.Contains(err.Error(), "is destroyed") {
			t.Errorf("%s: %v", ref, err)
		}
		for _, secret := range []string{"BwcH", "123456789", "correct"} {
			if strings.Contains(err.Error()+log.String(), secret) {
				t.Errorf("%s: the error or the log shows the secret: %v\n%s", ref, err, log.String())
			}
		}
	}
	for _, ref := range []string{"", "local:x", "file:/etc/hostname", "vault:secret/../sys/raw#k", "vault:no-such-mount/x#k"} {
		if got, err := s.Secret(t.Context(), ref); got != nil || !errors.Is(err, keys.ErrSecret) && !errors.Is(err, keys.ErrForbidden) {
			t.Errorf("%s: %x %v", ref, got, err)
		}
	}
}

func TestOnlyAnAnswerOfTheKVEngineOfVersionTwoIsASecret(t *testing.T) {
	const good = `"data":{"k":"BwcHBwcHBwcHBwcHBwcHBw=="}`
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"version 1": {200, `{` + good + `}`}, "version 1 with such names": {200, `{"data":{` + good + `}}`}, "no JSON": {200, "<html>BwcH"},
		"destroyed all the same": {200, `{"data":{` + good + `,"metadata":{"version":1,"destroyed":true}}}`}, "nothing": {204, ""},
		"no mount": {404, `{"errors":["no handler for route \"kv/data/x\""]}`}, "404 with data": {404, `{"data":{` + good + `,"metadata":{"version":3}}}`},
	} {
		address := serve(t, &node{other: func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/kv/data/x" || r.URL.RawQuery != "" {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			w.WriteHeader(c.status)
			w.Write([]byte(c.body))
		}})
		got, err := stubClient(t, nil, address).Secrets(0).Secret(t.Context(), "vault:kv/x#k")
		if got != nil || !errors.Is(err, keys.ErrSecret) || strings.Contains(err.Error(), "BwcH") {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
}

func rotatedSecret(t *testing.T, v *testenv.Vault) {
	const age = 2 * time.Second
	_, s := gatewaySecrets(t, v, age, nil)
	const path, ref = "sealgate/gateway/turns", "vault:secret/sealgate/gateway/turns#k"
	putSecret(t, v, path, map[string]any{"k": secretText(1, 32)})
	first, err := s.Secret(t.Context(), ref)
	if err != nil || first[0] != 1 {
		t.Fatalf("%x %v", first, err)
	}
	putSecret(t, v, path, map[string]any{"k": secretText(2, 32)})
	eventually(t, age+time.Second, "the new version", func() error {
		got, err := s.Secret(t.Context(), ref)
		if err == nil && got[0] != 2 {
			err = errors.New("the old version")
		}
		return err
	})
	v.Must(t, http.MethodDelete, "secret/data/"+path, nil)
	eventually(t, age+time.Second, "the end of a deleted secret", func() error {
		if _, err := s.Secret(t.Context(), ref); !errors.Is(err, keys.ErrSecret) {
			return errors.New("it still serves")
		}
		return nil
	})
}

func secretOfASealedVault(t *testing.T, v *testenv.Vault) {
	const age = 3 * time.Second
	_, s := gatewaySecrets(t, v, age, nil)
	putSecret(t, v, "sealgate/gateway/sealed", map[string]any{"k": secretText(1, 32)})
	const ref = "vault:secret/sealgate/gateway/sealed#k"
	read := time.Now()
	if _, err := s.Secret(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	v.Seal(t)
	t.Cleanup(func() { v.Unseal(t) })
	served := 0
	var err error
	for err == nil && time.Since(read) < 2*age {
		within(t, time.Second, "a secret of a sealed Vault", func() { _, err = s.Secret(t.Context(), ref) })
		served++
		time.Sleep(20 * time.Millisecond)
	}
	if took := time.Since(read); !errors.Is(err, keys.ErrSealed) || took < age-time.Second || served < 10 {
		t.Errorf("it served %d times in %v, then %v", served, took, err)
	}
	v.Unseal(t)
	eventually(t, 10*time.Second, "the secret after unsealing", func() error { _, err := s.Secret(t.Context(), ref); return err })
}
