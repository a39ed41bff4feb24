package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

const recordVersion = 1

// maxVersions bounds the versions of one key.
const maxVersions = 256

// record is one key with all its versions, private halves included. A record
// in the cache is never changed; changes are made on a clone.
type record struct {
	Name       keys.Name
	Purpose    keys.Purpose
	State      keys.State
	Created    time.Time
	DisabledAt time.Time
	Versions   []*version
}

type version struct {
	keys.Version
	private *gm.PrivateKey // nil once retired or destroyed
	seals   knownSeals

	once        sync.Once // of the two below
	verifier    *gm.Verifier
	fingerprint [gm.DigestSize]byte
}

// prepared returns what is computed once of the public key for its signatures.
func (v *version) prepared() (*gm.Verifier, [gm.DigestSize]byte) {
	v.once.Do(func() { v.verifier, v.fingerprint = gm.NewVerifier(v.Public), v.Fingerprint() })
	return v.verifier, v.fingerprint
}

// knownSeals remembers the last seals whose maker's signature was checked for
// this version, so that a batch under one seal checks it once.
type knownSeals struct {
	mu   sync.Mutex
	seen [][]byte
}

const knownSealsMax = 8

func (k *knownSeals) has(raw []byte) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.seen, func(s []byte) bool { return bytes.Equal(s, raw) })
}

func (k *knownSeals) add(raw []byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.seen) == knownSealsMax {
		k.seen = k.seen[1:]
	}
	k.seen = append(k.seen, bytes.Clone(raw))
}

// clone returns a copy whose versions may be changed.
func (r *record) clone() *record {
	c := *r
	c.Versions = make([]*version, len(r.Versions))
	for i, v := range r.Versions {
		c.Versions[i] = &version{Version: v.Version, private: v.private}
	}
	return &c
}

func (r *record) live() int {
	for _, v := range r.Versions {
		if v.State == keys.Live {
			return v.Number
		}
	}
	return 0
}

func (r *record) version(n int) (*version, error) {
	if n < 1 || n > len(r.Versions) {
		return nil, fmt.Errorf("%w: key %s has no version %d", keys.ErrVersion, r.Name, n)
	}
	return r.Versions[n-1], nil
}

func (r *record) info(c Config) keys.Info {
	i := keys.Info{Name: r.Name, Purpose: r.Purpose, State: r.State, Software: c.Software,
		Created: r.Created, DisabledAt: r.DisabledAt, Live: r.live()}
	if !r.DisabledAt.IsZero() {
		i.DestroyFrom = r.DisabledAt.Add(c.DestroyWait)
	}
	for _, v := range r.Versions {
		pub := v.Version
		pub.Chain = slices.Clone(v.Chain)
		i.Versions = append(i.Versions, pub)
	}
	return i
}

// The stored form. Field names are short because entries are read by nobody;
// unknown fields are refused, so that an older program does not drop what a
// newer one wrote.
type storedRecord struct {
	V          int             `json:"v"`
	Name       string          `json:"name"`
	Purpose    string          `json:"purpose"`
	State      string          `json:"state"`
	Created    time.Time       `json:"created"`
	DisabledAt *time.Time      `json:"disabled_at,omitempty"`
	Versions   []storedVersion `json:"versions"`
}

type storedVersion struct {
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	Private     []byte    `json:"d,omitempty"`
	Public      []byte    `json:"public"`
	Certificate []byte    `json:"certificate,omitempty"`
	Chain       [][]byte  `json:"chain,omitempty"`
}

func (r *record) encode() ([]byte, error) {
	s := storedRecord{V: recordVersion, Name: string(r.Name), Purpose: string(r.Purpose), State: string(r.State), Created: r.Created}
	if !r.DisabledAt.IsZero() {
		s.DisabledAt = &r.DisabledAt
	}
	for _, v := range r.Versions {
		sv := storedVersion{State: string(v.State), Created: v.Created, Public: v.Public.Point()}
		if v.private != nil {
			sv.Private = v.private.Bytes()
			defer clear(sv.Private)
		}
		if v.Certificate != nil {
			sv.Certificate = v.Certificate.Raw
		}
		for _, c := range v.Chain {
			sv.Chain = append(sv.Chain, c.Raw)
		}
		s.Versions = append(s.Versions, sv)
	}
	data, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", r.Name, err)
	}
	return data, nil
}

// decodeRecord reads what encode wrote and checks that it is consistent: the
// storage authenticates its entries, so a fault here is a fault of a program.
func decodeRecord(name keys.Name, data []byte) (*record, error) {
	bad := func(what string) error { return fmt.Errorf("%w: entry of key %s: %s", keys.ErrStore, name, what) }
	var s storedRecord
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&s); err != nil {
		return nil, bad("not readable") // the cause could quote the entry
	}
	p, err := keys.ParsePurpose(s.Purpose)
	if err != nil || s.V != recordVersion || keys.Name(s.Name) != name || len(s.Versions) == 0 || len(s.Versions) > maxVersions {
		return nil, bad("of another key or another form")
	}
	r := &record{Name: name, Purpose: p, State: keys.State(s.State), Created: s.Created}
	if s.DisabledAt != nil {
		r.DisabledAt = *s.DisabledAt
	}
	if !slices.Contains([]keys.State{keys.Active, keys.Disabled, keys.Destroyed}, r.State) || (r.State == keys.Active) != r.DisabledAt.IsZero() {
		return nil, bad("state")
	}
	lives := 0
	for i, sv := range s.Versions {
		v, err := decodeVersion(i+1, sv)
		if err != nil {
			return nil, bad(fmt.Sprintf("version %d: %v", i+1, err))
		}
		if v.State == keys.Live {
			lives++
		}
		if v.State == keys.Live && v.Certificate == nil && p.CertificateBound() {
			return nil, bad(fmt.Sprintf("version %d is live without a certificate", i+1))
		}
		if needed := r.State != keys.Destroyed && v.State != keys.Retired; needed != (v.private != nil) {
			return nil, bad(fmt.Sprintf("version %d: private half", i+1))
		}
		r.Versions = append(r.Versions, v)
	}
	if lives > 1 {
		return nil, bad("two live versions")
	}
	return r, nil
}

func decodeVersion(n int, s storedVersion) (*version, error) {
	defer clear(s.Private)
	v := &version{Version: keys.Version{Number: n, State: keys.State(s.State), Created: s.Created}}
	if !slices.Contains([]keys.State{keys.Pending, keys.Live, keys.Retired}, v.State) {
		return nil, keys.ErrStore
	}
	var err error
	if v.Public, err = gm.NewPublicKey(s.Public); err != nil {
		return nil, err
	}
	if len(s.Private) > 0 {
		if v.private, err = gm.NewPrivateKey(s.Private); err != nil {
			return nil, err
		}
		if !v.private.Public().Equal(v.Public) {
			return nil, gm.ErrKey
		}
	}
	if len(s.Certificate) > 0 {
		if v.Certificate, err = gm.ParseCertificate(s.Certificate); err != nil {
			return nil, err
		}
		if !v.Certificate.PublicKey.Equal(v.Public) {
			return nil, keys.ErrCertificate
		}
	}
	for _, der := range s.Chain {
		c, err := gm.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		v.Chain = append(v.Chain, c)
	}
	return v, nil
}
