package engine

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/seal/ses"
)

// check decides whether version v may sign q, whose type its purpose allows.
// It reads nothing but v, q and now.
func (e *Engine) check(v *version, q keys.Request, now time.Time) error {
	rootRequest := v.State == keys.Pending && q.Type == keys.TypeX509
	if v.State != keys.Live && !rootRequest {
		return fmt.Errorf("%w: version %d is %s", keys.ErrVersion, v.Number, v.State)
	}
	if v.Certificate != nil {
		if err := e.validNow(v.Certificate); err != nil {
			return err
		}
	}
	switch q.Type {
	case keys.TypeTBS:
		return e.checkTBS(v, q.Item, now)
	case keys.TypeSealInfo:
		return e.checkSealInfo(v, q.Item, now)
	case keys.TypeX509:
		return e.checkX509(v, q.Item, now)
	case keys.TypeRevocation:
		return e.checkRevocation(v, q.Item, now)
	case keys.TypeCheckpoint:
		return e.checkCheckpoint(q.Item, now)
	case keys.TypeTST:
		return e.checkTST(v, q.Item, now)
	case keys.TypeStatusList:
		return e.checkStatusList(q.Item, now)
	case keys.TypeBundle:
		return e.checkBundle(v, q.Item, now)
	}
	return fmt.Errorf("%w: %s", keys.ErrType, q.Type)
}

func (e *Engine) inWindow(what string, at, now time.Time) error {
	// Abs, because Sub saturates and the smallest Duration is its own negative.
	if at.Sub(now).Abs() > e.config.ClockWindow {
		return fmt.Errorf("%w: %s %s, now %s", keys.ErrClock, what,
			at.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	return nil
}

// checkTBS checks a TBS_Sign (GB/T 38540): version 4, canonical in everything
// but what the seal's maker wrote and signed, a seal that is valid now, was
// really signed by the maker it names and lists this version's certificate,
// and a signing time that is now.
func (e *Engine) checkTBS(v *version, item []byte, now time.Time) error {
	t, err := ses.ParseTBS(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if t.Version != ses.V4 || t.Number != int64(ses.V4) || !bytes.Equal(t.Raw, item) {
		return fmt.Errorf("%w: want TBS_Sign of version 4", keys.ErrItem)
	}
	for _, n := range t.Notes {
		// The maker's bytes cannot be rewritten without breaking his
		// signature, so their known oddities pass; the signer's own do not.
		if !strings.HasPrefix(n.Field, "eSealInfo") && !strings.HasPrefix(n.Field, "SESeal") {
			return fmt.Errorf("%w: %s: %s", keys.ErrItem, n.Field, n.Detail)
		}
	}
	if len(t.DataHash) != gm.DigestSize {
		return fmt.Errorf("%w: dataHash has %d bytes", keys.ErrItem, len(t.DataHash))
	}
	if t.PropertyInfo == "" {
		return fmt.Errorf("%w: propertyInfo is empty", keys.ErrItem)
	}
	if err := e.inWindow("timeInfo", t.Time, now); err != nil {
		return err
	}
	if !v.seals.has(t.Seal.Raw) {
		if err := checkSealFor(v, t.Seal); err != nil {
			return err
		}
		v.seals.add(t.Seal.Raw)
	}
	p := t.Seal.Info.Property
	if now.Before(p.NotBefore) || now.After(p.NotAfter) {
		return fmt.Errorf("%w: the seal is valid from %s to %s", keys.ErrClock, p.NotBefore.Format("2006-01-02"), p.NotAfter.Format("2006-01-02"))
	}
	return nil
}

// checkSealFor checks what does not change with time: the seal lists this
// version's certificate, and the maker it names did sign it. Whether that maker
// is to be believed is for those who verify (keys/trust), not for the key.
func checkSealFor(v *version, s *ses.Seal) error {
	own := v.Certificate.Raw
	digest := v.Certificate.Fingerprint()
	p := s.Info.Property
	listed := slices.ContainsFunc(p.Certs, func(c []byte) bool { return bytes.Equal(c, own) }) ||
		slices.ContainsFunc(p.Digests, func(d ses.CertDigest) bool { return bytes.Equal(d.Value, digest[:]) })
	if !listed {
		return fmt.Errorf("%w: seal %.64q", keys.ErrForeignSeal, s.Info.ID)
	}
	maker, err := gm.ParseCertificate(s.Cert)
	if err != nil {
		return fmt.Errorf("%w: the seal maker's certificate: %w", keys.ErrItem, err)
	}
	if maker.PublicKey.Equal(v.Public) {
		return fmt.Errorf("%w: seal %.64q was made with the signer's own key", keys.ErrForeignSeal, s.Info.ID)
	}
	if !s.Algorithm.Equal(gm.OIDSM2WithSM3) {
		return fmt.Errorf("%w: the seal's algorithm is %v", keys.ErrItem, s.Algorithm)
	}
	if err := maker.PublicKey.Verify(s.MakerMessage(), s.Signature); err != nil {
		return fmt.Errorf("%w: the seal maker's signature: %w", keys.ErrItem, err)
	}
	return nil
}

// checkSealInfo checks an eSealInfo (GB/T 38540): version 4, canonical, made
// now, a sound term, at least one signer whose certificate can be read and who
// is not the maker himself.
func (e *Engine) checkSealInfo(v *version, item []byte, now time.Time) error {
	i, err := ses.ParseSealInfo(item)
	if err != nil {
		return fmt.Errorf("%w: %w", keys.ErrItem, err)
	}
	if i.Version != ses.V4 || i.Number != int64(ses.V4) || !bytes.Equal(i.Raw, item) {
		return fmt.Errorf("%w: want eSealInfo of version 4", keys.ErrItem)
	}
	if len(i.Notes) > 0 {
		return fmt.Errorf("%w: %s: %s", keys.ErrItem, i.Notes[0].Field, i.Notes[0].Detail)
	}
	p := i.Property
	switch {
	case i.ID == "" || p.Name == "" || len(i.Picture.Data) == 0 || i.Picture.Width <= 0 || i.Picture.Height <= 0:
		return fmt.Errorf("%w: a seal has an id, a name and a picture with a size", keys.ErrItem)
	case !p.NotBefore.Before(p.NotAfter):
		return fmt.Errorf("%w: the seal's term is empty", keys.ErrItem)
	case now.After(p.NotAfter):
		return fmt.Errorf("%w: the seal has ended", keys.ErrClock)
	case len(p.Certs)+len(p.Digests) == 0:
		return fmt.Errorf("%w: the seal lists no signer", keys.ErrItem)
	}
	for _, der := range p.Certs {
		c, err := gm.ParseCertificate(der)
		if err != nil || c.FormError != nil {
			return fmt.Errorf("%w: a listed certificate cannot be read", keys.ErrItem)
		}
		if c.PublicKey.Equal(v.Public) {
			return fmt.Errorf("%w: the maker lists himself as signer", keys.ErrItem)
		}
	}
	for _, d := range p.Digests {
		if len(d.Value) != gm.DigestSize {
			return fmt.Errorf("%w: a listed digest has %d bytes", keys.ErrItem, len(d.Value))
		}
	}
	return e.inWindow("createDate", p.Created, now)
}
