package config

import (
	"path/filepath"
	"strings"
)

// File is the configuration of one process, `sealgate serve -config FILE`.
// Relative paths are relative to the file's folder. Secrets never stand in it;
// they are named by reference: "file:PATH", "local:NAME" or
// "vault:MOUNT/PATH#FIELD".
type File struct {
	// Roles this process runs: gateway, sealer, tsa, revocation. In production each role is a
	// process of its own with its own user. A file without roles serves nothing:
	// it is a person's, for the commands that manage keys.
	Roles []Role `yaml:"roles"`
	// Node is this process's name in audit records, unique among all nodes.
	Node string `yaml:"node"`
	// Gateway is needed by the role gateway and refused without it.
	Gateway *Gateway `yaml:"gateway"`
	// Sealer is needed by the role sealer and refused without it.
	Sealer *Sealer `yaml:"sealer"`
	// TSA is needed by the role tsa and refused without it.
	TSA *TSA `yaml:"tsa"`
	// Revocation is needed by the role revocation. Without roles it serves the
	// commands that revoke.
	Revocation *Revocation `yaml:"revocation"`
	// Admin is the listener of /healthz, /readyz and /metrics. Left out: none.
	Admin *Admin `yaml:"admin"`
	// Audit is this process's own ledger. A ledger has one writer.
	Audit Audit `yaml:"audit"`
	// Keys says who keeps the signing keys. It is needed: a ledger whose heads
	// nobody signs proves nothing.
	Keys *Keys `yaml:"keys"`
	// State is the store of nonces, seals and their uses.
	State State `yaml:"state"`
	// Trust names files or folders of trust anchors, as -trust does.
	Trust []string `yaml:"trust"`
	// Revoked names files or folders of revocation lists, OCSP answers and seal
	// status lists, as -revoked does. Left out: revocation is not known.
	Revoked []string `yaml:"revoked"`
	// RevocationSources are fetched over HTTP while the process runs.
	RevocationSources *RevocationSources `yaml:"revocation_sources"`
	// Freshness limits how old revocation data may be and still say that
	// something is not revoked. Left out: each list and answer says it itself.
	Freshness Freshness `yaml:"revocation_freshness"`

	doc *Document
	dir string
}

// Freshness says how long revocation data count as evidence that something is
// not revoked: until the earlier of nextUpdate plus Grace and thisUpdate plus
// MaxAge. That something is revoked counts for ever.
type Freshness struct {
	// Grace after nextUpdate; left out: none.
	Grace Duration `yaml:"grace"`
	// MaxAge after thisUpdate, whatever nextUpdate says; left out: no limit.
	MaxAge Duration `yaml:"max_age"`
}

// Role is a part of Sealgate that a process runs.
type Role string

// The roles that there are.
const (
	RoleGateway Role = "gateway"
	RoleSealer  Role = "sealer"
	RoleTSA     Role = "tsa"

	RoleRevocation Role = "revocation"
)

// Zone is the network on which callers reach a listener.
type Zone string

// The zones that there are.
const (
	ZoneExtranet Zone = "extranet"
	ZoneInternet Zone = "internet"
)

// Gateway configures the data gateway.
type Gateway struct {
	// Listen is host:port of the data plane.
	Listen string `yaml:"listen"`
	// TLS of the listener. It may be left out only on a loopback address,
	// because SG1 does not sign every header.
	TLS *TLS `yaml:"tls"`
	// Zone of the callers that reach this listener: extranet or internet.
	Zone Zone `yaml:"zone"`
	// TrustedProxies are the networks of TLCP terminators and load balancers
	// whose X-SG-Client-Addr and X-SG-Client-Cert headers are believed. From
	// any other address these headers are refused.
	TrustedProxies []string `yaml:"trusted_proxies"`
	// Catalogue is the catalogue file (departments, interfaces, grants).
	Catalogue string `yaml:"catalogue"`
	// Policy says which rules decide.
	Policy Policy `yaml:"policy"`
	// Secrets names what masks and the subject index are keyed with.
	Secrets Secrets `yaml:"secrets"`
	// Limits bound every request; zero values take the defaults.
	Limits Limits `yaml:"limits"`
}

// TLS is a server's key pair and, when callers may show certificates, the CA
// that issues them. Certificates are ECDSA P-256 or RSA: crypto/tls has no SM2.
type TLS struct {
	// Cert and Key are PEM files.
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
	// ClientCA is a PEM file of the authorities whose client certificates are
	// accepted. Left out: no client certificate is asked for.
	ClientCA string `yaml:"client_ca"`
}

// Policy is where the rules come from. Exactly one of Shipped, Dir and Bundle is
// set.
type Policy struct {
	// Shipped uses the rules inside the program.
	Shipped bool `yaml:"shipped"`
	// Dir is a folder of .rego files, for trials: nobody has signed them.
	Dir string `yaml:"dir"`
	// Bundle is a policy bundle (.sgb) that two officers signed. When it is not
	// there or does not hold, every call is denied.
	Bundle string `yaml:"bundle"`
	// Officers names files or folders of certificates: those of the policy
	// officers, or of an authority that certifies nobody else. They come with
	// Bundle; anchors of trust do not vouch for officers.
	Officers []string `yaml:"officers"`
}

// Secrets are references to symmetric keys.
type Secrets struct {
	// Pseudonym keys the action pseudonym; a grant's own key is derived.
	Pseudonym string `yaml:"pseudonym"`
	// SubjectIndex keys the hashes of identifiers in the audit records.
	SubjectIndex string `yaml:"subject_index"`
}

// Limits bound what one caller can take. Zero values take the defaults named.
type Limits struct {
	HeaderBytes    Size     `yaml:"header_bytes"`    // request line and header fields; 16KiB
	BodyBytes      Size     `yaml:"body_bytes"`      // request body; 1MiB
	HeaderTimeout  Duration `yaml:"header_timeout"`  // until the header is complete; 5s
	ReadTimeout    Duration `yaml:"read_timeout"`    // until the body is complete; 15s
	WriteTimeout   Duration `yaml:"write_timeout"`   // from the header to the end of the answer; 60s
	IdleTimeout    Duration `yaml:"idle_timeout"`    // between two requests; 60s
	Connections    int      `yaml:"connections"`     // open at once; 1024
	ConnectionsPer int      `yaml:"connections_per"` // open at once from one address; 256
	Concurrent     int      `yaml:"concurrent"`      // calls in progress; 512
}

// Sealer configures the seal service.
type Sealer struct {
	// Listen is host:port of its HTTP API.
	Listen string `yaml:"listen"`
	// TLS of the listener; may be left out on a loopback address only.
	TLS *TLS `yaml:"tls"`
	// TokenFile holds the bearer tokens, one line each: name, space, token.
	// It must not be readable by others.
	TokenFile string `yaml:"token_file"`
	// DocumentBytes is the largest document accepted; 64MiB when left out.
	DocumentBytes Size `yaml:"document_bytes"`
	// Timestamps has every new signature stamped. Left out: no timestamps.
	Timestamps *Timestamps `yaml:"timestamps"`
}

// Timestamps names timestamp authorities (RFC 3161, GM/T 0033), ours or others.
type Timestamps struct {
	// URLs are authorities of equal standing.
	URLs []string `yaml:"urls"`
	// Required refuses to seal when no authority answers. Otherwise such a
	// seal is made without a timestamp.
	Required bool `yaml:"required"`
	// Timeout of one authority; 5s.
	Timeout Duration `yaml:"timeout"`
}

// TSA configures the timestamp authority.
type TSA struct {
	// Listen is host:port; requests are POSTed to /.
	Listen string `yaml:"listen"`
	// TLS of the listener; may be left out, for a token is signed.
	TLS *TLS `yaml:"tls"`
	// Key is the name of the key of purpose tsa.
	Key string `yaml:"key"`
	// Policy is the object identifier of the rules under which it works.
	Policy string `yaml:"policy"`
	// Accuracy is stated in every token; 1s.
	Accuracy Duration `yaml:"accuracy"`
}

// Admin configures the listener for operators.
type Admin struct {
	// Listen is host:port; keep it off the networks that callers reach.
	Listen string `yaml:"listen"`
}

// Audit configures the ledger.
type Audit struct {
	// Dir is the ledger's folder.
	Dir string `yaml:"dir"`
	// Log is the ledger's name inside checkpoints; the node's name when left out.
	Log string `yaml:"log"`
	// CheckpointKey is the name of the key of purpose checkpoint that signs
	// the heads; "checkpoint" when left out.
	CheckpointKey string `yaml:"checkpoint_key"`
	// FormerKeys is a file of public keys, in PEM, that signed this ledger's
	// heads when its key was kept elsewhere, as before a migration to Vault. It
	// is needed until the present key has signed a head.
	FormerKeys string `yaml:"former_keys"`
}

// Keys says who keeps the signing keys: the embedded store (dir, unlock) or
// HashiCorp Vault (vault), never both.
type Keys struct {
	// Dir is the embedded store's folder.
	Dir string `yaml:"dir"`
	// Unlock says where the unlocking secret of the embedded store comes from.
	Unlock Unlock `yaml:"unlock"`
	// Vault holds the keys in production.
	Vault *Vault `yaml:"vault"`
}

// Vault configures the client of HashiCorp Vault with the secrets engine
// sealgate-vault-plugin. No environment variable is read.
type Vault struct {
	// Addresses are the base URLs of the cluster's nodes; http on loopback only.
	Addresses []string `yaml:"addresses"`
	// Mount is the path of the secrets engine; "sealgate" when left out.
	Mount string `yaml:"mount"`
	// Namespace is Vault Enterprise's; usually left out.
	Namespace string `yaml:"namespace"`
	// CA is a PEM file with the authorities that may vouch for Vault.
	CA string `yaml:"ca"`
	// RoleID is the AppRole of this process. With it comes exactly one of
	// SecretID, a file with the secret id, and WrappedSecretID, a file with a
	// response-wrapping token that is used up at the start.
	RoleID          string `yaml:"role_id"`
	SecretID        string `yaml:"secret_id"`
	WrappedSecretID string `yaml:"wrapped_secret_id"`
	// Token is a file with a person's token, in the place of a role.
	Token string `yaml:"token"`
	// SignTimeout bounds one signature with everything that it waits for; 3s.
	SignTimeout Duration `yaml:"sign_timeout"`
	// SecretAge is how long a symmetric secret (vault:MOUNT/PATH#FIELD) is used
	// before it must be read again: a new version is in force everywhere after
	// it, and without Vault secrets can be had no longer than that. 1s to 1h; 5m.
	SecretAge Duration `yaml:"secret_age"`
}

// Unlock names exactly one source of the secret that opens the key store.
type Unlock struct {
	// File is a path, mode 0600.
	File string `yaml:"file"`
	// FD is an open file descriptor that the starter passes, 3 or higher.
	FD int `yaml:"fd"`
	// Credential is a name under systemd's $CREDENTIALS_DIRECTORY.
	Credential string `yaml:"credential"`
}

// State configures the state store.
type State struct {
	// SQLite is the database file.
	SQLite string `yaml:"sqlite"`
}

// Load reads and decodes the file. Relative paths in the result, also those of
// file: references, are joined to the file's folder. It has not been checked:
// call Check.
func Load(path string) (*File, error) {
	doc, err := ReadFile(path)
	if err != nil {
		return nil, err
	}
	f := &File{doc: doc, dir: filepath.Dir(path)}
	if err := doc.Decode(f); err != nil {
		return nil, err
	}
	for _, p := range f.paths() {
		if *p.path != "" && !filepath.IsAbs(*p.path) {
			*p.path = filepath.Join(f.dir, *p.path)
		}
	}
	if g := f.Gateway; g != nil {
		for _, ref := range []*string{&g.Secrets.Pseudonym, &g.Secrets.SubjectIndex} {
			if path, ok := strings.CutPrefix(*ref, "file:"); ok && path != "" && !filepath.IsAbs(path) {
				*ref = "file:" + filepath.Join(f.dir, path)
			}
		}
	}
	return f, nil
}

// Has reports whether the process runs role.
func (f *File) Has(role Role) bool {
	for _, r := range f.Roles {
		if r == role {
			return true
		}
	}
	return false
}

type pathField struct {
	path   *string
	where  []any
	folder bool // made by Sealgate when it is not there, not a file that must exist
}

// paths lists every path of the file with its place in the document.
func (f *File) paths() []pathField {
	out := []pathField{
		{&f.Audit.Dir, []any{"audit", "dir"}, true},
		{&f.State.SQLite, []any{"state", "sqlite"}, true},
		{&f.Audit.FormerKeys, []any{"audit", "former_keys"}, false},
	}
	tls := func(t *TLS, role string) {
		if t != nil {
			out = append(out, pathField{&t.Cert, []any{role, "tls", "cert"}, false}, pathField{&t.Key, []any{role, "tls", "key"}, false},
				pathField{&t.ClientCA, []any{role, "tls", "client_ca"}, false})
		}
	}
	if g := f.Gateway; g != nil {
		tls(g.TLS, "gateway")
		out = append(out, pathField{&g.Catalogue, []any{"gateway", "catalogue"}, false}, pathField{&g.Policy.Dir, []any{"gateway", "policy", "dir"}, false},
			pathField{&g.Policy.Bundle, []any{"gateway", "policy", "bundle"}, true})
		for i := range g.Policy.Officers {
			out = append(out, pathField{&g.Policy.Officers[i], []any{"gateway", "policy", "officers", i}, false})
		}
	}
	if s := f.Sealer; s != nil {
		tls(s.TLS, "sealer")
		out = append(out, pathField{&s.TokenFile, []any{"sealer", "token_file"}, false})
	}
	if t := f.TSA; t != nil {
		tls(t.TLS, "tsa")
	}
	if k := f.Keys; k != nil {
		out = append(out, pathField{&k.Dir, []any{"keys", "dir"}, true}, pathField{&k.Unlock.File, []any{"keys", "unlock", "file"}, false})
		if v := k.Vault; v != nil {
			out = append(out, pathField{&v.CA, []any{"keys", "vault", "ca"}, false}, pathField{&v.SecretID, []any{"keys", "vault", "secret_id"}, false},
				pathField{&v.WrappedSecretID, []any{"keys", "vault", "wrapped_secret_id"}, false}, pathField{&v.Token, []any{"keys", "vault", "token"}, false})
		}
	}
	out = append(out, f.revocationPaths()...)
	for i := range f.Revoked {
		out = append(out, pathField{&f.Revoked[i], []any{"revoked", i}, false})
	}
	for i := range f.Trust {
		out = append(out, pathField{&f.Trust[i], []any{"trust", i}, false})
	}
	return out
}
