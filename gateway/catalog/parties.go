package catalog

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
)

// maxKeyBytes bounds a public key's text; a PEM of an SM2 key has about 180.
const maxKeyBytes = 4096

func (b *builder) departments() {
	for i, e := range b.file.Departments {
		path := at{"departments", i}
		if b.snap.departments[e.ID] != nil {
			b.fail(path.to("id"), "department %q stands twice", e.ID)
			continue
		}
		if e.ID == "" {
			b.fail(path, "a department needs an id")
			continue
		}
		if err := checkText(e.Name, maxNameBytes); err != nil {
			b.fail(path.to("name"), "name %v", err)
		}
		if err := checkUSCC(e.USCC); err != nil {
			b.fail(path.to("uscc"), "uscc of department %q: %v", e.ID, err)
		} else if !usccCheckOK(e.USCC) {
			b.warn(path.to("uscc"), "uscc of department %q has a wrong check character", e.ID)
		}
		if err := checkRegion(e.Region); err != nil {
			b.fail(path.to("region"), "region of department %q: %v", e.ID, err)
		}
		if _, err := oneOf(e.Level, "", levels()...); err != nil {
			b.fail(path.to("level"), "level of department %q: %v", e.ID, err)
		}
		d := e
		b.snap.departments[e.ID] = &d
	}
}

func (b *builder) systems() {
	for i, e := range b.file.Systems {
		path := at{"systems", i}
		if b.snap.systems[e.ID] != nil {
			b.fail(path.to("id"), "system %q stands twice", e.ID)
			continue
		}
		if e.ID == "" {
			b.fail(path, "a system needs an id")
			continue
		}
		s := &System{ID: e.ID, Name: e.Name, HMACKeyRef: e.HMACKeyRef}
		b.snap.systems[e.ID] = s // also when something is wrong with it: grants then find it
		s.Department, _ = find(b, b.snap.departments, e.Department, path.to("department"), "department")
		var err error
		if err = checkText(e.Name, maxNameBytes); err != nil {
			b.fail(path.to("name"), "name %v", err)
		}
		if s.Status, err = oneOf(e.Status, Active, Active, Suspended); err != nil {
			b.fail(path.to("status"), "status of system %q: %v", e.ID, err)
		}
		if e.SM2PublicKey != "" {
			if s.Key, err = parseKey(e.SM2PublicKey); err != nil {
				b.fail(path.to("sm2_public_key"), "sm2_public_key of system %q: %v", e.ID, err)
			}
		}
		if e.HMACKeyRef != "" {
			if _, err := config.ParseSecretRef(e.HMACKeyRef); err != nil {
				b.fail(path.to("hmac_key_ref"), "hmac_key_ref of system %q: %v, never the key itself", e.ID, err)
			}
		}
		s.CIDRs, _ = b.cidrs(e.CIDRs, path.to("cidrs"))
		b.certificates(s, e, path)
		if s.Key == nil && s.HMACKeyRef == "" && len(s.Certificates) == 0 {
			b.warn(path, "system %q has no credential: it can never call", e.ID)
		}
	}
}

func (b *builder) certificates(s *System, e SystemEntry, path at) {
	if e.Certificates != nil && len(e.Certificates) == 0 {
		b.fail(path.to("certificates"), "an empty list of certificates is refused")
	}
	for j, text := range e.Certificates {
		raw, err := hex.DecodeString(strings.ReplaceAll(text, ":", ""))
		if err != nil || len(raw) != 32 {
			b.fail(path.to("certificates", j), "want the SHA-256 of the certificate's DER in hex (openssl x509 -fingerprint -sha256)")
			continue
		}
		sum := [32]byte(raw)
		if o := b.snap.certificates[sum]; o != nil {
			b.fail(path.to("certificates", j), "certificate already identifies system %q", o.ID)
			continue
		}
		b.snap.certificates[sum] = s
		s.Certificates = append(s.Certificates, sum)
	}
}

func (b *builder) cidrs(list []string, path at) ([]netip.Prefix, bool) {
	if list == nil {
		return nil, true
	}
	if len(list) == 0 {
		return nil, b.fail(path, "an empty list of cidrs is refused; leave it out or name one")
	}
	ok := true
	nets := make([]netip.Prefix, 0, len(list))
	for j, s := range list {
		p, err := parsePrefix(s)
		if err != nil {
			ok = b.fail(path.to(j), "cidr %.60q: %v", s, err)
			continue
		}
		nets = append(nets, p)
	}
	return nets, ok
}

// parseKey reads an SM2 public key: PEM or base64 of a SubjectPublicKeyInfo, or
// the uncompressed point in base64 or hex.
func parseKey(s string) (*gm.PublicKey, error) {
	if len(s) > maxKeyBytes {
		return nil, fmt.Errorf("longer than %d bytes", maxKeyBytes)
	}
	s = strings.TrimSpace(s)
	if strings.HasPrefix(s, "-----BEGIN") {
		return gm.ParsePublicKeyPEM([]byte(s))
	}
	if raw, err := hex.DecodeString(s); err == nil {
		return gm.NewPublicKey(raw)
	}
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("want PEM, base64 or hex")
	}
	if len(raw) == 65 && bytes.HasPrefix(raw, []byte{4}) {
		return gm.NewPublicKey(raw)
	}
	return gm.ParseSPKI(raw)
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func compareID[K ~string](a, b K) int { return strings.Compare(string(a), string(b)) }
