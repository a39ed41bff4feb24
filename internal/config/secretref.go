package config

import (
	"errors"
	"regexp"
	"strings"
)

// SecretRef names a symmetric secret: the HMAC-SM3 key of a caller, the key of
// pseudonyms, that of the subject index. It is never the secret itself.
//
//	local:NAME               in the embedded keystore
//	file:PATH                a file of mode 0600; for tests and demos
//	vault:MOUNT/PATH#FIELD   a field of the latest version in Vault's KV engine, version 2
//
// MOUNT is one segment, PATH one or more. Signing keys are not secrets: there is
// no reference to them.
type SecretRef struct {
	Scheme SecretScheme
	Mount  string // vault only
	Path   string // local: the name
	Field  string // vault only
}

// SecretScheme is where a secret is kept.
type SecretScheme string

// The places that there are.
const (
	SecretLocal SecretScheme = "local"
	SecretFile  SecretScheme = "file"
	SecretVault SecretScheme = "vault"
)

// ErrSecretRef says that a text is no SecretRef. It does not repeat the text:
// somebody may have put the secret in its place.
var ErrSecretRef = errors.New("want a reference: file:PATH, local:NAME or vault:MOUNT/PATH#FIELD")

const maxSecretRef = 512 // bytes

var (
	localSecret = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	// No segment begins with a dot: none can climb, and none needs escaping.
	vaultSecret = regexp.MustCompile(`^([A-Za-z0-9_-][A-Za-z0-9._-]*)/([A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*)#([A-Za-z0-9._-]+)$`)
)

// ParseSecretRef reads a reference, or returns ErrSecretRef.
func ParseSecretRef(s string) (SecretRef, error) {
	scheme, rest, _ := strings.Cut(s, ":")
	switch r := (SecretRef{Scheme: SecretScheme(scheme), Path: rest}); {
	case len(s) > maxSecretRef:
	case r.Scheme == SecretLocal && localSecret.MatchString(rest):
		return r, nil
	case r.Scheme == SecretFile && rest != "" && !strings.ContainsFunc(rest, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return r, nil
	case r.Scheme == SecretVault:
		if m := vaultSecret.FindStringSubmatch(rest); m != nil {
			r.Mount, r.Path, r.Field = m[1], m[2], m[3]
			return r, nil
		}
	}
	return SecretRef{}, ErrSecretRef
}

// String is the reference as it is written.
func (r SecretRef) String() string {
	if r.Scheme == SecretVault {
		return string(r.Scheme) + ":" + r.Mount + "/" + r.Path + "#" + r.Field
	}
	return string(r.Scheme) + ":" + r.Path
}

// Kept returns what is wrong with keeping the secret there when signing keys
// are kept in k, with a way out, or "".
func (r SecretRef) Kept(k *Keys) string {
	switch {
	case r.Scheme == SecretVault && (k == nil || k.Vault == nil):
		return "vault: needs the section keys.vault; without it want local:NAME or file:PATH"
	case r.Scheme == SecretLocal && k != nil && k.Vault != nil:
		return "local: needs the embedded keystore; with keys.vault want vault:MOUNT/PATH#FIELD (vault kv put MOUNT/PATH FIELD=-)"
	}
	return ""
}
