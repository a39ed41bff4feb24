package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/store"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

// publishedSeals publishes what became of the seals of the state store, which the
// role sealer of this very process uses.
func (s *site) publishedSeals(ctx context.Context, c *config.Revocation) (x pki.Published, err error) {
	signer, err := pinnedLive(ctx, s.keys, c.Seals.Key)
	if err != nil {
		return x, err
	}
	var makers []*gm.Certificate
	for _, path := range c.Seals.Makers {
		m, err := firstCertificate(path)
		if err != nil {
			return x, usage(fmt.Errorf("revocation.seals.makers: %w", err))
		}
		makers = append(makers, m)
	}
	lists, err := pki.NewSealLists(pki.SealListsConfig{Signer: signer, Name: c.Seals.Name, Makers: makers,
		Entries: func(ctx context.Context) ([]trust.SealEntry, error) {
			changes, err := s.store.SealChanges(ctx)
			return sealEntries(changes), err
		},
		Life: time.Duration(c.Seals.Life), Interval: time.Duration(c.Seals.Renew), Keep: filepath.Join(c.Dir, "seals.json"), Log: s.log,
		OnIssue: func(ctx context.Context, l trust.SealStatus, raw []byte) error {
			digest := gm.SM3(raw)
			_, err := s.ledger.Append(ctx, audit.Record{Type: "admin.revocation-list", Actor: audit.Actor{Kind: "service", ID: s.config.Node},
				Object: audit.Object{Kind: "seal-status-list", ID: fmt.Sprintf("%s/%d", l.Name, l.Number)}, Outcome: audit.OK,
				Rows: audit.N(int64(len(l.Revoked))), Bytes: audit.N(int64(len(raw))), BodySM3: digest[:]})
			return err
		}})
	if err != nil {
		return x, keyError(fmt.Errorf("revocation.seals: %w", err))
	}
	return pki.Published{Name: c.Seals.Name, ListPath: c.Seals.ListPath(), Lists: lists}, nil
}

// sealEntries are the times in which seals did not count. A suspension ends when
// the seal is restored or cancelled; it lasts a second at least, for the list
// counts in seconds.
func sealEntries(changes []store.SealChange) []trust.SealEntry {
	var out []trust.SealEntry
	open := map[string]int{} // by seal: its suspension that has not ended, from 1
	for _, c := range changes {
		at := c.At.UTC().Truncate(time.Second)
		if i := open[c.ID]; i > 0 {
			e := &out[i-1]
			if e.Until = at; !e.Since.Before(at) {
				e.Until = e.Since.Add(time.Second)
			}
			delete(open, c.ID)
		}
		if c.To == store.SealActive {
			continue
		}
		out = append(out, trust.SealEntry{ID: c.ID, Since: at, Reason: string(c.To)})
		if c.To == store.SealSuspended {
			open[c.ID] = len(out)
		}
	}
	return out
}
