package bundle

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/keys/trust"
)

// Activation is what is remembered of a bundle that went into force.
type Activation struct {
	Name     string
	Sequence uint64
	Digest   [gm.DigestSize]byte // Manifest.Digest
	At       time.Time           // when it was activated first
}

// State remembers activations across restarts, so that an old bundle cannot come
// back. *store.Store satisfies it.
type State interface {
	// LastPolicy returns the activation with the highest sequence, nil when
	// there was none.
	LastPolicy(ctx context.Context) (*Activation, error)
	// PutPolicy remembers an activation durably. It refuses one that does not
	// follow the last: another name, or a sequence that is not higher.
	PutPolicy(ctx context.Context, a Activation) error
}

// Ledger takes records; nil means that the record is durable. *audit.Ledger
// satisfies it.
type Ledger interface {
	Append(ctx context.Context, r audit.Record) (audit.Receipt, error)
}

// Activator puts bundles into force. All fields are needed.
type Activator[E Evaluator] struct {
	Officers *trust.Anchors // whose word counts, with a source of revocations
	State    State
	Ledger   Ledger
	Compile  Compile[E]
	Node     string           // who activates, in records
	Now      func() time.Time // the clock
}

// Checked is a bundle that may go into force now.
type Checked[E Evaluator] struct {
	Bundle *Bundle
	Rules  E
	Again  bool // it was activated before, and last
	Known  Activation
}

// Check judges a bundle's file in every respect and changes nothing.
func (a *Activator[E]) Check(ctx context.Context, file []byte) (*Checked[E], error) {
	b, err := Open(file)
	if err != nil {
		return nil, err
	}
	return a.check(ctx, b)
}

func (a *Activator[E]) check(ctx context.Context, b *Bundle) (*Checked[E], error) {
	digest, err := b.Manifest.Digest()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	last, err := a.State.LastPolicy(ctx)
	if err != nil {
		return nil, err
	}
	c := &Checked[E]{Bundle: b, Known: Activation{Name: b.Manifest.Name, Sequence: b.Manifest.Sequence, Digest: digest, At: a.Now()}}
	times := Times{Now: a.Now()}
	if last != nil && last.Digest == digest {
		c.Again, c.Known, times.Known = true, *last, last.At
	}
	if err := b.Verify(a.Officers, times); err != nil {
		return nil, err
	}
	if err := b.Follows(last); err != nil {
		return nil, err
	}
	if c.Rules, err = Try(ctx, b, a.Compile); err != nil {
		return nil, err
	}
	return c, nil
}

// Follows checks the bundle's place behind the last one that was activated, nil
// for none: the same line, a higher sequence, and where it is the very next one,
// that it names the last as its predecessor. The same bundle follows itself.
// Errors are ErrSequence.
func (b *Bundle) Follows(last *Activation) error {
	if last == nil {
		return nil
	}
	m := &b.Manifest
	digest, err := m.Digest()
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrFormat, err)
	case m.Name != last.Name:
		return refuse(ErrSequence, "it is of the line %q, what was activated of %q", m.Name, last.Name)
	case m.Sequence < last.Sequence:
		return refuse(ErrSequence, "it is number %d, and %d was activated", m.Sequence, last.Sequence)
	case m.Sequence == last.Sequence && digest != last.Digest:
		return refuse(ErrSequence, "another bundle number %d was activated", m.Sequence)
	case m.Sequence == last.Sequence+1 && m.Previous != last.Digest:
		return refuse(ErrSequence, "it follows another number %d than the one that was activated", last.Sequence)
	}
	return nil
}

// ActivateFile is Activate of the file at path. One that is not there or cannot
// be read is refused as any other, and that is recorded.
func (a *Activator[E]) ActivateFile(ctx context.Context, path string) (*Checked[E], error) {
	file, err := Read(path)
	if err != nil {
		if !errors.Is(err, ErrFormat) {
			err = fmt.Errorf("%w: %w", ErrFormat, err)
		}
		return nil, a.refused(ctx, a.record(requestID(), nil, nil), err)
	}
	return a.Activate(ctx, file)
}

// Activate judges a bundle's file, records who made and approved it and that it
// goes into force, remembers it, and only then returns its rules. A refusal is
// recorded too; then the error is that of Check, and whatever was in force stays.
func (a *Activator[E]) Activate(ctx context.Context, file []byte) (*Checked[E], error) {
	b, err := Open(file)
	about := a.record(requestID(), b, file)
	var c *Checked[E]
	if err == nil {
		c, err = a.check(ctx, b)
	}
	if err != nil {
		return nil, a.refused(ctx, about, err)
	}
	if !c.Again {
		for _, s := range b.Signatures {
			who := s.Certificates[0].Fingerprint()
			r := about
			r.Type, r.Outcome = audit.Type("policy."+string(s.Act)), audit.OK
			r.Actor = audit.Actor{Kind: "person", ID: "cert-sm3:" + hex.EncodeToString(who[:])}
			if _, err := a.Ledger.Append(ctx, r); err != nil {
				return nil, err
			}
		}
	}
	about.Outcome = audit.Allowed
	if _, err := a.Ledger.Append(ctx, about); err != nil {
		return nil, err
	}
	if c.Again {
		return c, nil
	}
	if err := a.State.PutPolicy(ctx, c.Known); err != nil {
		return nil, a.refused(ctx, about, err)
	}
	return c, nil
}

// refused records why a bundle was not activated.
func (a *Activator[E]) refused(ctx context.Context, about audit.Record, why error) error {
	p, _ := problem.FromError(why, "")
	about.Outcome, about.Code = audit.Denied, p.Code
	_, err := a.Ledger.Append(context.WithoutCancel(ctx), about)
	return errors.Join(why, err)
}

// record begins the records about one file: the bundle's name, number and
// revision where it could be read, and the file's digest.
func (a *Activator[E]) record(request string, b *Bundle, file []byte) audit.Record {
	r := audit.Record{Type: "policy.activate", RequestID: request, Actor: audit.Actor{Kind: "service", ID: a.Node},
		Object: audit.Object{Kind: "policy", ID: "unreadable"}}
	if file != nil {
		sum := gm.SM3(file)
		r.BodySM3 = sum[:]
	}
	if b != nil {
		if revision, err := b.Manifest.Revision(); err == nil {
			r.Object.ID = fmt.Sprintf("%s/%d", b.Manifest.Name, b.Manifest.Sequence)
			r.Decision.Revision = revision
		}
	}
	return r
}

func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
