package testenv

import (
	"context"
	"net/http"
	"testing"
)

func TestVaultStartsSealsAndUnseals(t *testing.T) {
	v := StartVault(t)
	v.Must(t, http.MethodPost, "sys/mounts/transit", map[string]string{"type": "transit"})
	v.Must(t, http.MethodPost, "transit/keys/k", map[string]string{"type": "ecdsa-p256"})
	v.Seal(t)
	status, _, err := v.Do(context.Background(), v.RootToken, http.MethodGet, "transit/keys/k", nil)
	if err != nil || status != http.StatusServiceUnavailable {
		t.Fatalf("sealed: %d %v", status, err)
	}
	v.Unseal(t)
	v.Must(t, http.MethodGet, "transit/keys/k", nil)
}

func TestAClusterHasOneActiveNodeAlsoAfterItSteppedDown(t *testing.T) {
	c := StartVaultCluster(t, 3)
	first := c.Active(t)
	if n := len(c.Standbys(t)); n != 2 {
		t.Fatalf("%d standbys of 3 nodes", n)
	}
	c.StepDown(t)
	if c.Active(t) == first {
		t.Error("the node that stepped down is active")
	}
}
