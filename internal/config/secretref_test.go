package config

import (
	"errors"
	"strings"
	"testing"
)

func TestASecretIsNamedInOneOfThreeForms(t *testing.T) {
	for s, want := range map[string]SecretRef{
		"local:rs-benefit":                {Scheme: SecretLocal, Path: "rs-benefit"},
		"file:/run/secrets/密钥":            {Scheme: SecretFile, Path: "/run/secrets/密钥"},
		"file:a b":                        {Scheme: SecretFile, Path: "a b"},
		"vault:kv/x#y":                    {SecretVault, "kv", "x", "y"},
		"vault:secret/sealgate/g/rs-1#k1": {SecretVault, "secret", "sealgate/g/rs-1", "k1"},
	} {
		if got, err := ParseSecretRef(s); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %+v %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "rs-benefit", "local:", "local:A", "local:../x", "local:a#b", "file:", "file:a\nb", "vault:", "vault:kv#y", "vault:kv/x", "vault:kv/x#", "vault:/x#y",
		"vault:kv//x#y", "vault:kv/../sys/raw#y", "vault:kv/./x#y", "vault:kv/x/#y", "vault:kv/x?version=1#y", "vault:kv/%2e%2e/x#y", "vault:kv/x#y#z", "vault:kv/x#y/z",
		"vault:kv/a b#c", "vault:kv/x#y\n", "Vault:kv/x#y", "env:KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "vault:kv/" + strings.Repeat("x", 600) + "#y",
	} {
		if got, err := ParseSecretRef(s); !errors.Is(err, ErrSecretRef) || got != (SecretRef{}) {
			t.Errorf("%q: %+v %v", s, got, err)
		}
	}
}

func TestASecretIsRefusedWhereItCannotBeKept(t *testing.T) {
	embedded, inVault := &Keys{Dir: "keys"}, &Keys{Vault: &Vault{}}
	for _, c := range []struct {
		ref     string
		keys    *Keys
		refused bool
	}{
		{"vault:kv/x#y", embedded, true}, {"vault:kv/x#y", nil, true}, {"vault:kv/x#y", inVault, false},
		{"local:x", embedded, false}, {"local:x", inVault, true}, {"file:x", embedded, false}, {"file:x", inVault, false},
	} {
		r, err := ParseSecretRef(c.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Kept(c.keys); (got != "") != c.refused || c.refused && !strings.Contains(got, "want ") {
			t.Errorf("%s: %q", c.ref, got)
		}
	}
}

// What is accepted is written the same again, and a Vault path needs no
// escaping and cannot climb.
func FuzzSecretRef(f *testing.F) {
	f.Add("vault:kv/a/b#c")
	f.Add("file:x")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseSecretRef(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Fatalf("%q became %q", s, r.String())
		}
		if r.Scheme == SecretVault && (strings.ContainsAny(r.Mount+r.Path+r.Field, "?#%\\ \n") || strings.Contains("/"+r.Mount+"/"+r.Path, "/.")) {
			t.Fatalf("%+v", r)
		}
	})
}
