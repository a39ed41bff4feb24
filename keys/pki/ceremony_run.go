package pki

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// ErrNotConfirmed says that somebody who has to be present did not confirm.
var ErrNotConfirmed = errors.New("the ceremony is not confirmed by everybody present")

// Keystore is the key engine of a ceremony.
type Keystore interface {
	Life
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
	Key(name keys.Name) keys.Key
}

// RunOptions says how a ceremony is run. Confirm is needed.
type RunOptions struct {
	// Confirm asks one of those present to confirm the digest of the plan that
	// he reviewed. All are asked before the first key is made.
	Confirm func(ctx context.Context, person, digest string) error
	// Books, when it is set, is the folder in which every authority gets its
	// book (NAME.json).
	Books string
	Now   func() time.Time // time.Now
}

// Step is one act of a ceremony.
type Step struct {
	Time      time.Time `json:"time"`
	Key       keys.Name `json:"key"`
	Act       string    `json:"act"` // key made, key found, certificate made, certificate found
	Purpose   string    `json:"purpose"`
	PublicSM3 string    `json:"public_sm3"` // of the SubjectPublicKeyInfo, hexadecimal

	// Of the certificate; empty when the act is about the key.
	Subject        string     `json:"subject,omitempty"`
	Issuer         string     `json:"issuer,omitempty"`
	Serial         string     `json:"serial,omitempty"`
	NotBefore      *time.Time `json:"not_before,omitempty"`
	NotAfter       *time.Time `json:"not_after,omitempty"`
	CertificateSM3 string     `json:"certificate_sm3,omitempty"`
}

// Transcript is the record of a ceremony. Nothing in it is secret.
type Transcript struct {
	Ceremony  string    `json:"ceremony"`
	PlanSM3   string    `json:"plan_sm3"`
	Began     time.Time `json:"began"`
	Ended     time.Time `json:"ended"`
	Confirmed []string  `json:"confirmed"` // in the order of asking
	Steps     []Step    `json:"steps"`
	Complete  bool      `json:"complete"`
}

// Result is what a ceremony made.
type Result struct {
	Transcript Transcript
	Order      []keys.Name                     // of making
	Chains     map[keys.Name][]*gm.Certificate // own first, root last
	made       map[keys.Name]*Authority
}

// Run makes every key and certificate of the plan. It can be run again after it
// was interrupted: what is there already is checked against the plan and kept,
// and anything that differs stops it. On error the result says how far it came.
func (p *Plan) Run(ctx context.Context, ks Keystore, o RunOptions) (*Result, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &Result{Chains: map[keys.Name][]*gm.Certificate{}, made: map[keys.Name]*Authority{},
		Transcript: Transcript{Ceremony: p.Name, PlanSM3: p.Digest(), Began: o.Now().UTC(), Confirmed: []string{}, Steps: []Step{}}}
	if o.Confirm == nil {
		return r, ErrNotConfirmed
	}
	for _, person := range p.Present {
		if err := o.Confirm(ctx, person, p.Digest()); err != nil {
			return r, fmt.Errorf("%w: %s: %w", ErrNotConfirmed, person, err)
		}
		r.Transcript.Confirmed = append(r.Transcript.Confirmed, person)
	}
	for _, x := range p.items {
		if err := r.make(ctx, ks, x, o); err != nil {
			r.Transcript.Ended = o.Now().UTC()
			return r, fmt.Errorf("ceremony, key %s: %w", x.key, err)
		}
	}
	r.Transcript.Ended, r.Transcript.Complete = o.Now().UTC(), true
	return r, nil
}

// make makes one key and its certificate, or finds them.
func (r *Result) make(ctx context.Context, ks Keystore, x planned, o RunOptions) error {
	key := ks.Key(x.key)
	info, err := key.Info(ctx)
	act := "key found"
	if errors.Is(err, keys.ErrNotFound) {
		act = "key made"
		info, err = ks.Create(ctx, x.key, x.purpose)
	}
	if err != nil {
		return err
	}
	if info.Purpose != x.purpose || info.State != keys.Active || len(info.Versions) != 1 {
		return fmt.Errorf("%w: a key of this name exists: purpose %s, %s, %d versions", ErrPlan, info.Purpose, info.State, len(info.Versions))
	}
	v := info.Versions[0]
	public := v.Fingerprint()
	step := Step{Time: o.Now().UTC(), Key: x.key, Act: act, Purpose: string(x.purpose), PublicSM3: hex.EncodeToString(public[:])}
	r.Transcript.Steps = append(r.Transcript.Steps, step)

	cert, act := v.Certificate, "certificate found"
	if cert == nil {
		act = "certificate made"
		if cert, err = r.certify(ctx, ks, key, x, o.Now()); err != nil {
			return err
		}
	} else if err := r.matches(cert, x); err != nil {
		return err
	}
	chain := []*gm.Certificate{cert}
	if x.issuer != "" {
		chain = append(chain, r.Chains[x.issuer]...)
	}
	r.Chains[x.key] = chain
	r.Order = append(r.Order, x.key)
	digest := cert.Fingerprint()
	step.Time, step.Act, step.CertificateSM3 = o.Now().UTC(), act, hex.EncodeToString(digest[:])
	step.Subject, step.Issuer, step.Serial = cert.Subject.String(), cert.Issuer.String(), cert.SerialHex()
	step.NotBefore, step.NotAfter = &cert.NotBefore, &cert.NotAfter
	r.Transcript.Steps = append(r.Transcript.Steps, step)
	return r.enter(ctx, key, cert, x, o)
}

func (r *Result) certify(ctx context.Context, ks Keystore, key keys.Key, x planned, now time.Time) (*gm.Certificate, error) {
	from := x.from
	if from.IsZero() {
		from = now.UTC().Truncate(time.Second)
	}
	if x.issuer == "" {
		root, err := NewRoot(ctx, key, ks, x.subject, from, x.until)
		if err != nil {
			return nil, err
		}
		return root.Certificate(), nil
	}
	return r.made[x.issuer].Enrol(ctx, key, ks, x.profile, x.subject, from, x.until)
}

// matches checks a certificate that was there against the plan.
func (r *Result) matches(c *gm.Certificate, x planned) error {
	want, err := gm.Template{}, error(nil)
	if x.profile != 0 {
		if want, err = x.profile.template(); err != nil {
			return err
		}
	} else {
		want.IsCA, want.KeyUsage = true, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
	}
	issuer := c
	if x.issuer != "" {
		issuer = r.Chains[x.issuer][0]
	}
	if c.Subject.String() != x.subject.String() || !bytes.Equal(c.RawIssuer, issuer.RawSubject) || c.CheckSignedBy(issuer.PublicKey) != nil ||
		c.IsCA != want.IsCA || c.KeyUsage != want.KeyUsage || c.TimeStamping != want.TimeStamping || c.OCSPSigning != want.OCSPSigning ||
		!c.NotAfter.Equal(x.until) || !x.from.IsZero() && !c.NotBefore.Equal(x.from) {
		return fmt.Errorf("%w: the key has a certificate that is not the planned one: %s", ErrPlan, c.Subject)
	}
	return nil
}

// enter opens an authority for those that come after it, and writes what it
// issued into its issuer's book.
func (r *Result) enter(ctx context.Context, key keys.Key, cert *gm.Certificate, x planned, o RunOptions) error {
	if a := r.made[x.issuer]; x.issuer != "" && a.book != nil {
		if err := a.book.Issued(cert); err != nil { // again, when it was interrupted in between
			return err
		}
	}
	if x.purpose != keys.CA {
		return nil
	}
	a, err := Open(ctx, key)
	if err != nil {
		return err
	}
	var book *Book
	if o.Books != "" {
		if err := durable.MkdirAll(o.Books, durable.PrivateDir); err != nil {
			return err
		}
		if book, err = OpenBook(filepath.Join(o.Books, string(x.key)+".json"), cert); err != nil {
			return err
		}
		if err := book.Begin(); err != nil {
			return err
		}
	}
	r.made[x.key] = a.With(book, x.crl, x.ocsp)
	return nil
}

// JSON returns the transcript for machines.
func (t *Transcript) JSON() ([]byte, error) {
	data, err := json.MarshalIndent(t, "", "  ")
	return append(data, '\n'), err
}

// Text returns the transcript for paper, with a line for everybody who was
// present to sign. digest is that of the JSON form.
func (t *Transcript) Text() (string, error) {
	data, err := t.JSON()
	if err != nil {
		return "", err
	}
	digest := gm.SM3(data)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("密钥仪式记录 Key ceremony: %s", t.Ceremony)
	line("方案 Plan SM3: %s", t.PlanSM3)
	line("记录 Transcript SM3: %x", digest)
	line("开始 Began: %s    结束 Ended: %s", t.Began.Format(time.RFC3339), t.Ended.Format(time.RFC3339))
	if !t.Complete {
		line("未完成 NOT COMPLETE")
	}
	for i, s := range t.Steps {
		line("")
		line("%d. %s  %s: %s (%s)", i+1, s.Time.Format(time.RFC3339), s.Key, s.Act, s.Purpose)
		line("   公钥 public key SM3: %s", s.PublicSM3)
		if s.CertificateSM3 != "" {
			line("   主体 subject: %s", s.Subject)
			line("   颁发者 issuer: %s", s.Issuer)
			line("   序列号 serial: %s", s.Serial)
			line("   有效期 valid: %s – %s", s.NotBefore.Format(time.RFC3339), s.NotAfter.Format(time.RFC3339))
			line("   证书 certificate SM3: %s", s.CertificateSM3)
		}
	}
	line("")
	line("在场并确认 Present and confirmed:")
	for _, name := range t.Confirmed {
		line("  %s    签字 signature: ____________________    日期 date: __________", name)
	}
	return b.String(), nil
}

// WriteFiles writes the certificates (NAME.pem, with the chain) and the
// transcript (transcript.json, transcript.txt) into a folder.
func (r *Result) WriteFiles(dir string) error {
	text, err := r.Transcript.Text()
	if err != nil {
		return err
	}
	data, err := r.Transcript.JSON()
	if err != nil {
		return err
	}
	files := map[string][]byte{"transcript.json": data, "transcript.txt": []byte(text)}
	for name, chain := range r.Chains {
		var pem []byte
		for _, c := range chain {
			pem = append(pem, c.PEM()...)
		}
		files[string(name)+".pem"] = pem
	}
	if err := durable.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, content := range files {
		if err := durable.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
