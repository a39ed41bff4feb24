package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/seal"
)

// fakes stand for sealer, store and ledger, and keep what happened in order.
type fakes struct {
	mu        sync.Mutex
	events    []string
	records   []audit.Record
	uses      map[string]*Use // by caller and key
	refused   []string
	prepare   error
	apply     error
	applied   int
	slow      chan struct{} // Apply waits for it
	panics    string        // "prepare", "apply" or "finish"
	ledger    func(audit.Record) error
	beginErr  error
	finishErr error
	now       time.Time
}

func newFakes() *fakes {
	return &fakes{uses: map[string]*Use{}, now: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC)}
}

func (f *fakes) did(event string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, event)
}

func (f *fakes) happened() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return strings.Join(f.events, " ")
}

func (f *fakes) Prepare(_ context.Context, r Request) (Prepared, error) {
	f.did("prepare")
	if f.panics == "prepare" {
		panic("a secret of the sealer")
	}
	if f.prepare != nil {
		return nil, f.prepare
	}
	return &fakePrepared{f, r}, nil
}

type fakePrepared struct {
	f *fakes
	r Request
}

func (p *fakePrepared) SealID() string { return sealNo }

func (p *fakePrepared) Key() audit.KeyUse {
	return audit.KeyUse{Name: "permit-seal", Software: true, Version: audit.N(1)}
}

func (p *fakePrepared) Apply(ctx context.Context) ([]byte, error) {
	p.f.did("apply")
	if p.f.panics == "apply" {
		panic("a secret of the key")
	}
	if p.f.slow != nil {
		select {
		case <-p.f.slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if p.f.apply != nil {
		return nil, p.f.apply
	}
	p.f.mu.Lock()
	p.f.applied++
	n := p.f.applied
	p.f.mu.Unlock()
	return append([]byte("sealed by "+p.r.Seal+string(rune('0'+n))+": "), p.r.Document...), nil
}

func (f *fakes) ListSeals(context.Context) ([]Seal, error) {
	return []Seal{
		{Name: "公章", ID: sealNo, Title: "某某局", Width: 42, Height: 42, NotBefore: f.now, NotAfter: f.now.AddDate(5, 0, 0), Status: "active"},
		{Name: "other-seal", ID: "2", Title: "某某局专用章", Width: 40, Height: 40, NotBefore: f.now, NotAfter: f.now.AddDate(5, 0, 0), Status: "active"},
	}, nil
}

func (f *fakes) Verify(_ context.Context, name string, data []byte, o seal.Options) *seal.Report {
	f.did("verify")
	v := seal.Valid
	if o.Strict {
		v = seal.Invalid
	}
	return &seal.Report{V: 1, File: name, Format: seal.FormatOFD, Indication: v,
		Uncovered: []string{o.At.UTC().Format(time.RFC3339), string(data)}}
}

func (f *fakes) Append(_ context.Context, r audit.Record) (audit.Receipt, error) {
	f.did(string(r.Type) + "=" + string(r.Outcome))
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ledger != nil {
		if err := f.ledger(r); err != nil {
			return audit.Receipt{}, err
		}
	}
	f.records = append(f.records, r)
	return audit.Receipt{}, nil
}

func (f *fakes) BeginUse(_ context.Context, u Use, staleBefore time.Time) (*Use, error) {
	f.did("begin")
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.beginErr != nil {
		return nil, f.beginErr
	}
	at := u.Caller + "/" + u.Key
	if old := f.uses[at]; old != nil && (old.Finished != nil || !old.Begun.Before(staleBefore)) {
		c := *old
		return &c, nil
	}
	f.uses[at] = &u
	return nil, nil
}

func (f *fakes) FinishUse(_ context.Context, id string, result UseResult) error {
	f.did("finish")
	if f.panics == "finish" {
		panic("a secret of the store")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.finishErr != nil {
		return f.finishErr
	}
	for _, u := range f.uses {
		if u.ID == id && u.Finished == nil {
			u.Finished = &result
			return nil
		}
	}
	return ErrUseLost
}

func (f *fakes) DropUse(_ context.Context, id string) error {
	f.did("drop")
	f.mu.Lock()
	defer f.mu.Unlock()
	for at, u := range f.uses {
		if u.ID == id && u.Finished == nil {
			delete(f.uses, at)
		}
	}
	return nil
}
