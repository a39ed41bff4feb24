package demo

import (
	"context"
	"crypto/rand"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/template"
	"time"

	_ "embed"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/keys/pki"
)

// Names inside a demo's folder.
const (
	ConfigFile    = "sealgate.yaml"
	CatalogueFile = "catalogue.yaml"
	TokenFile     = "tokens"
	PermitFile    = "permit.ofd"
	SealedFile    = "permit-sealed.ofd"
	SealName      = "demo-seal"

	unlockFile = "unlock"
	lockFile   = "demo.lock" // held while a demo uses the folder; marks it as a demo's
	readyFile  = "ready"     // written last: the folder is complete
)

// ErrBusy says that another process uses the demo's folder.
var ErrBusy = errors.New("另一个进程正在使用演示目录 another process uses the demo folder")

// Options says where a demo listens. Addresses are host:port on loopback.
type Options struct {
	Gateway, Sealer, TSA, Admin string
	Upstreams                   map[string]string // base URL of each of Providers
	At                          time.Time

	// Ceremony makes and certifies the keys in Vault; nil: the embedded
	// keystore does, in the demo's folder. Vault is the section keys.vault with
	// which the roles then use them: one line of YAML, paths absolute.
	Ceremony KeyStore
	Vault    string
	// Secrets is a folder with the callers' HMAC keys (NAME.hmac) when these and
	// the gateway's own secrets are in Vault's KV engine already, at
	// VaultSecrets; "": the demo makes them and keeps them in files.
	Secrets string
}

// VaultSecrets is where the gateway's secrets are in Vault, each in the field
// key of its name. deploy/vault/gateway.hcl lets a gateway read there.
const VaultSecrets = "vault:secret/sealgate/gateway/"

// KeyStore is a place where the story's keys can be made and certified.
type KeyStore interface {
	pki.Life
	Key(name keys.Name) keys.Key
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
}

// Site is a prepared demo: a folder that `sealgate serve` could run.
type Site struct {
	Dir       string
	Options   Options
	Token     string                   // bearer token of the seal service
	Systems   map[string]*gm.PublicKey // request-signing keys of Systems
	LedgerKey string                   // path of the checkpoint key's public half

	lock *durable.Lock
}

// Close lets another demo use the folder.
func (s *Site) Close() error { return s.lock.Release() }

// Path returns the path of a file of the demo.
func (s *Site) Path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// Prepare makes the folder, or takes up one that an earlier run made: keys,
// certificates, seal, callers and ledger stay, addresses and dates are written
// anew. Everything a deployment needs is in it (docs/adr/0003). What a run that
// was stopped half-way has left is made anew. The folder is this Site's alone
// until Close.
func Prepare(ctx context.Context, dir string, o Options) (_ *Site, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Site{Dir: abs, Options: o, Systems: map[string]*gm.PublicKey{}, LedgerKey: filepath.Join(abs, "ledger.pem")}
	if err := s.claim(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	_, missing := os.Stat(s.Path(readyFile))
	if missing != nil {
		err = errors.Join(s.clear(), s.establish(ctx))
	} else {
		err = s.takeUp()
	}
	if err != nil {
		return nil, err
	}
	if err := s.writeConfig(); err != nil {
		return nil, err
	}
	if missing == nil {
		return s, nil
	}
	return s, durable.WriteFile(s.Path(readyFile), []byte("Sealgate demo. 演示目录，可随时删除 may be deleted at any time.\n"), 0o644)
}

// claim takes the folder for this process. It refuses a folder that holds
// something else, and one that another demo, serve or tool has open: writing
// new addresses under a running gateway would mislead its users.
func (s *Site) claim() error {
	entries, err := os.ReadDir(s.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	ours := len(entries) == 0
	for _, e := range entries {
		ours = ours || e.Name() == lockFile || e.Name() == readyFile
	}
	if !ours {
		return fmt.Errorf("%s 不是空目录，也不是演示目录 is neither empty nor a demo folder: 换一个 -dir name another", s.Dir)
	}
	if err := durable.MkdirAll(s.Dir, durable.PrivateDir); err != nil {
		return err
	}
	if len(entries) == 0 { // nothing in it can have been read by others
		if err := os.Chmod(s.Dir, durable.PrivateDir); err != nil {
			return err
		}
	}
	if s.lock, err = durable.TryLock(s.Path(lockFile)); err != nil {
		return s.busy(err)
	}
	for _, name := range []string{"keys/lock", "audit/lock", "state.db.lock"} {
		path := s.Path(filepath.FromSlash(name))
		if _, err := os.Stat(path); err != nil {
			continue
		}
		l, err := durable.TryLock(path)
		if err == nil {
			err = l.Release()
		}
		if err != nil {
			return errors.Join(s.busy(err), s.lock.Release())
		}
	}
	return nil
}

func (s *Site) busy(err error) error {
	if errors.Is(err, durable.ErrLocked) {
		return fmt.Errorf("%w: %s", ErrBusy, s.Dir)
	}
	return err
}

// clear removes what a run that did not get to the end has left, and makes the
// folders.
func (s *Site) clear() error {
	for _, name := range []string{"keys", "callers", "tls", "trust", "audit", unlockFile, TokenFile, PermitFile} {
		if err := os.RemoveAll(s.Path(name)); err != nil {
			return err
		}
	}
	for _, d := range []string{"callers", "tls", "trust", "trust/maker", "trust/signer", "trust/tsa"} {
		if err := durable.MkdirAll(s.Path(filepath.FromSlash(d)), durable.PrivateDir); err != nil {
			return err
		}
	}
	return nil
}

// establish makes everything that lasts.
func (s *Site) establish(ctx context.Context) error {
	if s.Options.Ceremony != nil {
		if err := s.certify(ctx, s.Options.Ceremony); err != nil {
			return err
		}
	} else if err := s.embedded(ctx); err != nil {
		return err
	}
	if s.Options.Secrets == "" {
		for _, name := range []string{"pseudonym", "subject-index"} {
			if err := s.secret(name + ".secret"); err != nil {
				return err
			}
		}
	}
	if err := s.tls(); err != nil {
		return err
	}
	for _, id := range Systems() {
		if err := s.caller(id); err != nil {
			return err
		}
	}
	token := make([]byte, 24)
	if _, err := rand.Read(token); err != nil {
		return err
	}
	s.Token = base64.RawURLEncoding.EncodeToString(token)
	if err := durable.WriteFile(s.Path(TokenFile), []byte("office "+s.Token+"\n"), durable.Private); err != nil {
		return err
	}
	permit, err := SamplePermit(s.Options.At)
	if err != nil {
		return err
	}
	return durable.WriteFile(s.Path(PermitFile), permit, 0o644)
}

// embedded makes the keys in a keystore in the demo's folder.
func (s *Site) embedded(ctx context.Context) error {
	random := make([]byte, 24)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	pass := base64.RawURLEncoding.AppendEncode(nil, random)
	if err := durable.WriteFile(s.Path(unlockFile), pass, durable.Private); err != nil {
		return err
	}
	ks, err := local.Create(ctx, s.Path("keys"), pass, local.Options{})
	if err != nil {
		return err
	}
	return errors.Join(s.certify(ctx, ks), ks.Close())
}

// secret writes 32 random bytes that only this user may read.
func (s *Site) secret(name string) error {
	random := make([]byte, local.SecretSize)
	if _, err := rand.Read(random); err != nil {
		return err
	}
	return durable.WriteFile(s.Path(name), base64.StdEncoding.AppendEncode(nil, random), durable.Private)
}

// hmac gives a calling system its half of the secret that the gateway has.
func (s *Site) hmac(id string) error {
	name := filepath.Join("callers", id+".hmac")
	if s.Options.Secrets == "" {
		return s.secret(name)
	}
	text, err := durable.ReadPrivate(filepath.Join(s.Options.Secrets, id+".hmac"), 1<<10)
	if err != nil {
		return err
	}
	if _, err := keys.ParseSecret(text); err != nil {
		return fmt.Errorf("%s.hmac: %w", id, err)
	}
	return durable.WriteFile(s.Path(name), text, durable.Private)
}

// SecretRef is the reference under which the gateway finds a secret; file is
// where it lies when it is not in Vault.
func (s *Site) SecretRef(name, file string) string {
	if s.Options.Secrets != "" {
		return VaultSecrets + name + "#key"
	}
	return "file:" + file
}

// certify makes the keys and certificates of the story: root, maker CA, signer
// CA, timestamp CA, maker, signer, timestamp authority, and the ledger's
// checkpoint key.
func (s *Site) certify(ctx context.Context, ks KeyStore) error {
	for name, purpose := range map[keys.Name]keys.Purpose{"root": keys.CA, "maker-ca": keys.CA, "signer-ca": keys.CA, "tsa-ca": keys.CA, "tsa": keys.TSA,
		"maker": keys.SealMaker, SealName: keys.Seal, "checkpoint": keys.Checkpoint} {
		if _, err := ks.Create(ctx, name, purpose); err != nil {
			return fmt.Errorf("create key %s: %w", name, err)
		}
	}
	from := s.Options.At.Add(-time.Hour)
	name := func(cn string) pkix.Name {
		return pkix.Name{Country: []string{"CN"}, Organization: []string{"Sealgate 演示"}, CommonName: cn}
	}
	root, err := pki.NewRoot(ctx, ks.Key("root"), ks, name("演示根 demo root"), from, from.AddDate(20, 0, 0))
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	for _, ca := range []struct {
		key, role, subject, leaf, leafSubject string
		profile                               pki.Profile
	}{
		{"maker-ca", "maker", "演示制章人 CA demo seal-maker CA", "maker", "演示印章制作中心", pki.Maker},
		{"signer-ca", "signer", "演示签章人 CA demo signer CA", SealName, "演示人力资源和社会保障厅 签章人", pki.Signer},
		{"tsa-ca", "tsa", "演示时间戳 CA demo timestamp CA", "tsa", "演示时间戳服务", pki.TSA},
	} {
		if _, err := root.Enrol(ctx, ks.Key(keys.Name(ca.key)), ks, pki.SubCA, name(ca.subject), from, from.AddDate(10, 0, 0)); err != nil {
			return fmt.Errorf("certify %s: %w", ca.key, err)
		}
		sub, err := pki.Open(ctx, ks.Key(keys.Name(ca.key)))
		if err != nil {
			return fmt.Errorf("open %s: %w", ca.key, err)
		}
		if _, err := sub.Enrol(ctx, ks.Key(keys.Name(ca.leaf)), ks, ca.profile, name(ca.leafSubject), from, from.AddDate(5, 0, 0)); err != nil {
			return fmt.Errorf("certify %s: %w", ca.leaf, err)
		}
		if err := durable.WriteFile(s.Path("trust", ca.role, ca.key+".cer"), sub.Certificate().PEM(), 0o644); err != nil {
			return err
		}
	}
	ledger, err := keys.PinLive(ctx, ks.Key("checkpoint"))
	if err != nil {
		return err
	}
	return durable.WriteFile(s.LedgerKey, ledger.Public().PEM(), 0o644)
}

func (s *Site) tls() error {
	from := s.Options.At.Add(-time.Hour)
	ca, err := pki.NewTLSAuthority("Sealgate 演示 TLS CA", from, from.AddDate(5, 0, 0))
	if err != nil {
		return err
	}
	cert, key, err := ca.Server([]string{"localhost", "127.0.0.1", "::1"}, from, from.AddDate(1, 0, 0))
	if err != nil {
		return err
	}
	return errors.Join(
		durable.WriteFile(s.Path("tls", "ca.pem"), ca.CertificatePEM(), 0o644),
		durable.WriteFile(s.Path("tls", "server.pem"), cert, 0o644),
		durable.WriteFile(s.Path("tls", "server.key"), key, durable.Private))
}

// caller makes the credentials and the configuration of one calling system.
func (s *Site) caller(id string) error {
	key, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	text, err := key.MarshalPEM()
	if err != nil {
		return err
	}
	s.Systems[id] = key.Public()
	config := fmt.Sprintf("# 业务系统 %s 的调用配置，供 sealgate call 使用 configuration of a calling system\napp: %s\nsm2_key: %s.pem\nca: ../tls/ca.pem\norg: %q\n",
		id, id, id, DepartmentUSCC(departmentOf(id)))
	return errors.Join(
		durable.WriteFile(s.Path("callers", id+".pem"), text, durable.Private),
		durable.WriteFile(s.Path("callers", id+".pub"), key.Public().PEM(), 0o644),
		s.hmac(id),
		durable.WriteFile(s.Path("callers", id+".yaml"), []byte(config), 0o644))
}

func departmentOf(system string) string {
	id, _, _ := strings.Cut(system, "-")
	return id
}

// takeUp reads what an earlier run made.
func (s *Site) takeUp() error {
	for _, id := range Systems() {
		text, err := os.ReadFile(s.Path("callers", id+".pub"))
		if err != nil {
			return err
		}
		if s.Systems[id], err = gm.ParsePublicKeyPEM(text); err != nil {
			return err
		}
	}
	text, err := durable.ReadPrivate(s.Path(TokenFile), 4<<10)
	if err != nil {
		return err
	}
	words := strings.Fields(string(text))
	if len(words) < 2 {
		return fmt.Errorf("%s: no token", s.Path(TokenFile))
	}
	s.Token = words[1]
	return nil
}

//go:embed sealgate.yaml.tmpl
var configText string

// writeConfig writes the configuration and the catalogue with today's
// addresses and dates.
func (s *Site) writeConfig() error {
	hmac := map[string]string{}
	for _, id := range Systems() {
		hmac[id] = s.SecretRef(id, s.Path("callers", id+".hmac"))
	}
	catalogue, err := Catalogue(CatalogueParams{At: s.Options.At, Keys: s.Systems, HMACRefs: hmac, Upstreams: s.Options.Upstreams})
	if err != nil {
		return err
	}
	if err := durable.WriteFile(s.Path(CatalogueFile), catalogue, 0o644); err != nil {
		return err
	}
	t, err := template.New("config").Parse(configText)
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := t.Execute(&text, s); err != nil {
		return err
	}
	return durable.WriteFile(s.Path(ConfigFile), []byte(text.String()), 0o644)
}

// GatewayURL is the base of the gateway's addresses.
func (s *Site) GatewayURL() string { return "https://" + loopbackName(s.Options.Gateway) }

// SealerURL is the base of the seal service's addresses.
func (s *Site) SealerURL() string { return "http://" + s.Options.Sealer }

// AdminURL is the base of the operators' addresses.
func (s *Site) AdminURL() string { return "http://" + s.Options.Admin }

// loopbackName writes localhost for a loopback address, as the demo's
// certificate and its users do.
func loopbackName(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return addr
	}
	return net.JoinHostPort("localhost", port)
}
