package wire

import (
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Info is keys.Info in JSON: times in RFC 3339, public keys and certificates
// in PEM, fingerprints (SM3 of SPKI) in base64.
type Info struct {
	Name        string     `json:"name"`
	Purpose     string     `json:"purpose"`
	State       string     `json:"state"`
	Software    bool       `json:"software"`
	Created     time.Time  `json:"created"`
	DisabledAt  *time.Time `json:"disabled_at,omitempty"`
	DestroyFrom *time.Time `json:"destroy_from,omitempty"`
	Live        int        `json:"live"`
	Versions    []Version  `json:"versions"`
}

// Version is keys.Version in JSON.
type Version struct {
	Number      int       `json:"number"`
	State       string    `json:"state"`
	Created     time.Time `json:"created"`
	PublicKey   string    `json:"public_key"`
	Fingerprint []byte    `json:"fingerprint"`
	Certificate string    `json:"certificate,omitempty"`
	Chain       []string  `json:"chain,omitempty"`
}

// FromInfo returns the JSON form of info.
func FromInfo(info keys.Info) Info {
	w := Info{Name: string(info.Name), Purpose: string(info.Purpose), State: string(info.State), Software: info.Software,
		Created: info.Created, DisabledAt: set(info.DisabledAt), DestroyFrom: set(info.DestroyFrom), Live: info.Live}
	for _, v := range info.Versions {
		fp := v.Fingerprint()
		x := Version{Number: v.Number, State: string(v.State), Created: v.Created,
			PublicKey: string(v.Public.PEM()), Fingerprint: fp[:]}
		if v.Certificate != nil {
			x.Certificate = string(v.Certificate.PEM())
		}
		for _, c := range v.Chain {
			x.Chain = append(x.Chain, string(c.PEM()))
		}
		w.Versions = append(w.Versions, x)
	}
	return w
}

func set(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Map returns the JSON form as Vault wants its answers.
func (i Info) Map() (map[string]any, error) {
	data, err := json.Marshal(i)
	if err != nil {
		return nil, fmt.Errorf("encode info: %w", err)
	}
	var m map[string]any
	return m, json.Unmarshal(data, &m)
}

// Info reads the JSON form. What it returns is consistent: versions are
// numbered 1..n, fingerprints and certificates are of their keys.
func (i Info) Info() (keys.Info, error) {
	bad := func(what string) (keys.Info, error) { return keys.Info{}, fmt.Errorf("%w: %s", ErrForm, what) }
	name, err := keys.ParseName(i.Name)
	if err != nil {
		return bad("name")
	}
	purpose, err := keys.ParsePurpose(i.Purpose)
	if err != nil {
		return bad("purpose")
	}
	out := keys.Info{Name: name, Purpose: purpose, State: keys.State(i.State), Software: i.Software, Created: i.Created, Live: i.Live}
	switch out.State {
	case keys.Active, keys.Disabled, keys.Destroyed:
	default:
		return bad("state")
	}
	if i.DisabledAt != nil {
		out.DisabledAt = *i.DisabledAt
	}
	if i.DestroyFrom != nil {
		out.DestroyFrom = *i.DestroyFrom
	}
	if i.Live < 0 || i.Live > len(i.Versions) || len(i.Versions) == 0 {
		return bad("live version")
	}
	for n, v := range i.Versions {
		x, err := v.version(n + 1)
		if err != nil {
			return bad(fmt.Sprintf("version %d: %v", n+1, err))
		}
		if (x.State == keys.Live) != (x.Number == i.Live) {
			return bad("live version")
		}
		out.Versions = append(out.Versions, x)
	}
	return out, nil
}

func (v Version) version(n int) (keys.Version, error) {
	out := keys.Version{Number: v.Number, State: keys.State(v.State), Created: v.Created}
	switch out.State {
	case keys.Pending, keys.Live, keys.Retired:
	default:
		return out, fmt.Errorf("state %.20q", v.State)
	}
	if v.Number != n {
		return out, fmt.Errorf("number %d", v.Number)
	}
	var err error
	if out.Public, err = gm.ParsePublicKeyPEM([]byte(v.PublicKey)); err != nil {
		return out, err
	}
	if fp := out.Public.Fingerprint(); !gm.Equal(fp[:], v.Fingerprint) {
		return out, fmt.Errorf("the fingerprint is of another key")
	}
	if v.Certificate != "" {
		if out.Certificate, err = certificate(v.Certificate); err != nil {
			return out, err
		}
		if !out.Certificate.PublicKey.Equal(out.Public) {
			return out, fmt.Errorf("the certificate is of another key")
		}
	}
	for _, text := range v.Chain {
		c, err := certificate(text)
		if err != nil {
			return out, err
		}
		out.Chain = append(out.Chain, c)
	}
	return out, nil
}

func certificate(text string) (*gm.Certificate, error) {
	certs, err := gm.ParseCertificates([]byte(text))
	if err != nil {
		return nil, err
	}
	if len(certs) != 1 {
		return nil, fmt.Errorf("%d certificates in one", len(certs))
	}
	return certs[0], nil
}

// Subject is the part of a distinguished name that a certificate request can
// carry, in the words of Vault's own PKI engine.
type Subject struct {
	CommonName         string   `json:"common_name"`
	SerialNumber       string   `json:"serial_number,omitempty"`
	Country            []string `json:"country,omitempty"`
	Province           []string `json:"province,omitempty"`
	Locality           []string `json:"locality,omitempty"`
	StreetAddress      []string `json:"street_address,omitempty"`
	PostalCode         []string `json:"postal_code,omitempty"`
	Organization       []string `json:"organization,omitempty"`
	OrganizationalUnit []string `json:"ou,omitempty"`
}

// FromName returns the form of n. Attributes beyond the fields above are
// refused with keys.ErrRequest, not dropped.
func FromName(n pkix.Name) (Subject, error) {
	if len(n.ExtraNames) > 0 {
		return Subject{}, fmt.Errorf("%w: the subject has attributes that do not travel", keys.ErrRequest)
	}
	return Subject{CommonName: n.CommonName, SerialNumber: n.SerialNumber, Country: n.Country, Province: n.Province,
		Locality: n.Locality, StreetAddress: n.StreetAddress, PostalCode: n.PostalCode,
		Organization: n.Organization, OrganizationalUnit: n.OrganizationalUnit}, nil
}

// Name returns the distinguished name.
func (s Subject) Name() pkix.Name {
	return pkix.Name{CommonName: s.CommonName, SerialNumber: s.SerialNumber, Country: s.Country, Province: s.Province,
		Locality: s.Locality, StreetAddress: s.StreetAddress, PostalCode: s.PostalCode,
		Organization: s.Organization, OrganizationalUnit: s.OrganizationalUnit}
}
