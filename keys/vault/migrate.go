package vault

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Source is what Migrate reads of the store that is left: names and public
// facts. There is nothing in it through which a private key could travel.
type Source interface {
	List(ctx context.Context) ([]keys.Name, error)
	Info(ctx context.Context, name keys.Name) (keys.Info, error)
}

// Target is the store that gets new keys; *Client is one.
type Target interface {
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
	Info(ctx context.Context, name keys.Name) (keys.Info, error)
	CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error)
	InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error)
}

// Certifier answers a certificate request for a new key with its certificate
// and the chain above it, or with none when the answer comes later, as that of
// a licensed CA does. old is the key it replaces.
type Certifier func(ctx context.Context, old keys.Info, request *gm.Request) ([]*gm.Certificate, error)

// Step is where the migration of one key stands.
type Step string

// The steps. A key that is Done signs; the old one is disabled by hand once
// everything that names it (seals, trust lists, ledgers) names the new one.
const (
	Done    Step = "done"    // the new key is live
	Pending Step = "pending" // the new key waits for the certificate of Request
	Root    Step = "root"    // a root CA: a new one takes a ceremony and new trust anchors, not a migration
	Skipped Step = "skipped" // the old key is disabled or destroyed, or never went live
	Failed  Step = "failed"  // Err says why; the others went on
)

// Migrated tells of one key.
type Migrated struct {
	Name    keys.Name
	Purpose keys.Purpose
	Step    Step
	Old     keys.Info
	New     keys.Info   // when Done or Pending
	Request *gm.Request // when Pending: for the CA
	Err     error       // when Failed
}

// Migrate makes, for each active key of from, a new key of the same name and
// purpose in to, and has it certified under the subject of the old one. No
// private key travels: old signatures stay what they are, new ones are made
// with new keys. It can be called again and then goes on where it stopped.
func Migrate(ctx context.Context, from Source, to Target, certify Certifier) ([]Migrated, error) {
	names, err := from.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrate keys: %w", err)
	}
	var out []Migrated
	for _, name := range names {
		m := Migrated{Name: name}
		if m.Old, err = from.Info(ctx, name); err != nil {
			return out, fmt.Errorf("migrate key %s: %w", name, err)
		}
		m.Purpose = m.Old.Purpose
		if m.Step, m.Err = m.move(ctx, to, certify); m.Err != nil {
			m.Step = Failed
		}
		out = append(out, m)
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
	}
	return out, nil
}

func (m *Migrated) move(ctx context.Context, to Target, certify Certifier) (Step, error) {
	old, err := m.Old.LiveVersion()
	if err != nil || m.Old.State != keys.Active {
		return Skipped, nil
	}
	if c := old.Certificate; m.Purpose == keys.CA && c != nil && bytes.Equal(c.RawIssuer, c.RawSubject) {
		return Root, nil
	}
	m.New, err = to.Create(ctx, m.Name, m.Purpose)
	if errors.Is(err, keys.ErrExists) || errors.Is(err, keys.ErrOutcome) {
		m.New, err = to.Info(ctx, m.Name) // an earlier call made it
	}
	switch {
	case err != nil:
		return Failed, err
	case m.New.Purpose != m.Purpose || m.New.State != keys.Active:
		return Failed, fmt.Errorf("%w: the target has a key %s for %s that is %s", keys.ErrExists, m.Name, m.New.Purpose, m.New.State)
	}
	v, err := m.New.Newest()
	switch {
	case err != nil:
		return Failed, err
	case v.Public.Equal(old.Public):
		return Failed, fmt.Errorf("%w: source and target are the same store", keys.ErrExists)
	case m.New.Live > 0:
		return Done, nil
	}
	var subject pkix.Name
	if old.Certificate != nil {
		subject = old.Certificate.Subject
	}
	if m.Request, err = to.CSR(ctx, m.Name, v.Number, subject); err != nil {
		return Failed, err
	}
	certs, err := certify(ctx, m.Old, m.Request)
	if err != nil {
		return Failed, err
	}
	if len(certs) == 0 {
		return Pending, nil
	}
	if m.New, err = to.InstallCertificate(ctx, m.Name, v.Number, certs); err != nil {
		return Failed, err
	}
	return Done, nil
}

var _ Target = (*Client)(nil)
