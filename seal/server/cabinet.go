package server

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// Holding is a seal that the service can apply: the seal itself, the signer's
// certificate that it lists, and the right to have a TBS_Sign signed.
type Holding struct {
	Name       string // what requests name it by
	Seal       []byte // DER SESeal
	SignerCert []byte // DER
	Signer     seal.Signer
	Key        audit.KeyUse // the signer's key, as the records name it
}

// StatusSource knows which seals are suspended or cancelled.
type StatusSource interface {
	// SealStatus returns the status of the seal with this number: "active",
	// "suspended", "cancelled" or another word; only an active seal is applied.
	// On error nothing is sealed.
	SealStatus(ctx context.Context, id string) (string, error)
}

// StatusActive is the status of a seal that may be applied.
const StatusActive = "active"

// CabinetConfig configures a Cabinet.
type CabinetConfig struct {
	Sealer *seal.Sealer
	Status StatusSource     // nil: every seal is active while it is valid
	Now    func() time.Time // nil: time.Now
}

// A Cabinet (印章柜) keeps the seals of a service and applies them. It is the
// Sealer and the Seals of a Server. It is safe for concurrent use.
type Cabinet struct {
	cfg CabinetConfig

	mu       sync.RWMutex
	holdings map[string]holding
}

type holding struct {
	Holding
	info *ses.SealInfo
}

var (
	_ Sealer = (*Cabinet)(nil)
	_ Seals  = (*Cabinet)(nil)
)

// NewCabinet returns an empty Cabinet.
func NewCabinet(cfg CabinetConfig) *Cabinet {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Cabinet{cfg: cfg, holdings: map[string]holding{}}
}

// Put adds a seal, or replaces the one of the same name.
func (c *Cabinet) Put(h Holding) error {
	if !sealName.MatchString(h.Name) {
		return fmt.Errorf("seal %q: the name may have letters, digits, dots and dashes only", h.Name)
	}
	if h.Signer == nil || len(h.SignerCert) == 0 {
		return fmt.Errorf("seal %s: no signer", h.Name)
	}
	parsed, err := ses.ParseSeal(h.Seal)
	if err != nil {
		return fmt.Errorf("seal %s: %w", h.Name, err)
	}
	h.Seal, h.SignerCert = bytes.Clone(h.Seal), bytes.Clone(h.SignerCert)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.holdings[h.Name] = holding{h, parsed.Info}
	return nil
}

// Prepare implements Sealer.
func (c *Cabinet) Prepare(ctx context.Context, r Request) (Prepared, error) {
	c.mu.RLock()
	h, found := c.holdings[r.Seal]
	c.mu.RUnlock()
	if !found {
		return nil, problem.Coded("SG-SEAL-UNKNOWN")
	}
	status, err := c.status(ctx, h.info.ID)
	if err != nil {
		return nil, err
	}
	if status != StatusActive {
		return nil, problem.Coded("SG-SEAL-INACTIVE")
	}
	p, err := c.cfg.Sealer.Prepare(ctx, seal.Request{
		Document: r.Document, Seal: h.Seal, SignerCert: h.SignerCert,
		Position: seal.Position{Page: r.Page, X: r.X, Y: r.Y}, At: c.cfg.Now(),
	})
	if err != nil {
		return nil, err
	}
	return &prepared{Prepared: p, signer: h.Signer, key: h.Key}, nil
}

func (c *Cabinet) status(ctx context.Context, id string) (string, error) {
	if c.cfg.Status == nil {
		return StatusActive, nil
	}
	status, err := c.cfg.Status.SealStatus(ctx, id)
	if err != nil {
		return "", uncertain("SG-STOP-STATE", err)
	}
	return status, nil
}

// ListSeals implements Seals. The order is that of the names.
func (c *Cabinet) ListSeals(ctx context.Context) ([]Seal, error) {
	c.mu.RLock()
	list := make([]Seal, 0, len(c.holdings))
	for _, h := range c.holdings {
		list = append(list, Seal{
			Name: h.Name, ID: h.info.ID, Title: h.info.Property.Name,
			Width: int(h.info.Picture.Width), Height: int(h.info.Picture.Height),
			NotBefore: h.info.Property.NotBefore.UTC(), NotAfter: h.info.Property.NotAfter.UTC(),
		})
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b Seal) int { return strings.Compare(a.Name, b.Name) })
	now := c.cfg.Now()
	for i := range list {
		status, err := c.status(ctx, list[i].ID)
		if err != nil {
			return nil, err
		}
		switch {
		case status != StatusActive:
		case now.Before(list[i].NotBefore):
			status = "not-yet-valid"
		case now.After(list[i].NotAfter):
			status = "expired"
		}
		list[i].Status = status
	}
	return list, nil
}

// prepared joins what the sealer prepared with the seal's signer.
type prepared struct {
	*seal.Prepared
	signer seal.Signer
	key    audit.KeyUse
}

// SealID implements Prepared.
func (p *prepared) SealID() string { return p.Binding().SealID }

func (p *prepared) Key() audit.KeyUse { return p.key }

// Apply implements Prepared: sign once, put together, verify.
func (p *prepared) Apply(ctx context.Context) ([]byte, error) {
	if err := p.Sign(ctx, p.signer); err != nil {
		return nil, err
	}
	sealed, err := p.Finish(ctx)
	if err != nil {
		return nil, err
	}
	return sealed.Document, nil
}
