package trust

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of seal status lists.
const (
	MaxSealStatusList = 8 << 20 // bytes
	maxSealEntries    = 100_000
	maxListMakers     = 64
	sealStatusKind    = "seals"
)

// SealStatus is the content of a seal status list: which seals of some makers
// were suspended or cancelled, and when. An entry is never taken away, only
// ended with Until, so that what was sealed at any time can be judged later.
// docs/revocation.md describes the format for others.
type SealStatus struct {
	Name         string // of the publisher, printable ASCII
	Number       uint64 // grows with every list
	Issued, Next time.Time
	Makers       [][gm.DigestSize]byte // SM3 of the certificates whose seals the list speaks of
	Revoked      []SealEntry
}

// SealEntry says that a seal did not count from Since until Until; for ever
// when Until is zero.
type SealEntry struct {
	ID           string // esID
	Since, Until time.Time
	Reason       string // such as cancelled or suspended, printable ASCII
}

// The JSON form. Members stand in the order of RFC 8785, so that there is one
// form for one content.
type sealStatusJSON struct {
	Issued  string          `json:"issued"`
	Kind    string          `json:"kind"`
	Makers  []string        `json:"makers"`
	Name    string          `json:"name"`
	Next    string          `json:"next"`
	Number  uint64          `json:"number"`
	Revoked []sealEntryJSON `json:"revoked"`
	V       int             `json:"v"`
}

type sealEntryJSON struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Since  string `json:"since"`
	Until  string `json:"until,omitempty"`
}

type signedStatusJSON struct {
	Certificate string          `json:"certificate"`
	Sig         string          `json:"sig"`
	StatusList  json.RawMessage `json:"statuslist"`
}

func badStatus(what string) error {
	return fmt.Errorf("%w: seal status list: %s", ErrRevocation, what)
}

// Canonical returns the bytes that are signed.
func (s *SealStatus) Canonical() ([]byte, error) {
	j := sealStatusJSON{Issued: stamp(s.Issued), Kind: sealStatusKind, Makers: []string{}, Name: s.Name, Next: stamp(s.Next), Number: s.Number, Revoked: []sealEntryJSON{}, V: 1}
	for _, m := range s.Makers {
		j.Makers = append(j.Makers, base64.StdEncoding.EncodeToString(m[:]))
	}
	for _, e := range s.Revoked {
		x := sealEntryJSON{ID: e.ID, Reason: e.Reason, Since: stamp(e.Since)}
		if !e.Until.IsZero() {
			x.Until = stamp(e.Until)
		}
		j.Revoked = append(j.Revoked, x)
	}
	data, err := json.Marshal(j)
	if err != nil {
		return nil, badStatus(err.Error())
	}
	if _, err := ParseSealStatus(data); err != nil {
		return nil, err
	}
	return data, nil
}

// ParseSealStatus reads the signed part of a list, in its one canonical form.
func ParseSealStatus(data []byte) (*SealStatus, error) {
	if len(data) > MaxSealStatusList {
		return nil, badStatus("too long")
	}
	var j sealStatusJSON
	if err := strictJSON(data, &j); err != nil {
		return nil, badStatus("not of this form")
	}
	if again, err := json.Marshal(j); err != nil || !bytes.Equal(again, data) {
		return nil, badStatus("not in canonical form")
	}
	s := &SealStatus{Name: j.Name, Number: j.Number}
	var ok1, ok2 bool
	s.Issued, ok1 = readStamp(j.Issued)
	s.Next, ok2 = readStamp(j.Next)
	switch {
	case j.V != 1 || j.Kind != sealStatusKind:
		return nil, badStatus("another version or kind")
	case !ok1 || !ok2 || !s.Issued.Before(s.Next):
		return nil, badStatus("issued and next")
	case !plainText(j.Name) || j.Number >= 1<<53:
		return nil, badStatus("name or number")
	case len(j.Makers) == 0 || len(j.Makers) > maxListMakers || len(j.Revoked) > maxSealEntries || j.Revoked == nil:
		return nil, badStatus("no makers, or too many makers or entries")
	}
	for _, m := range j.Makers {
		b, err := base64.StdEncoding.Strict().DecodeString(m)
		if err != nil || len(b) != gm.DigestSize {
			return nil, badStatus("makers")
		}
		s.Makers = append(s.Makers, [gm.DigestSize]byte(b))
	}
	for _, x := range j.Revoked {
		e := SealEntry{ID: x.ID, Reason: x.Reason}
		var ok bool
		if e.Since, ok = readStamp(x.Since); !ok || !plainText(x.ID) || !plainText(x.Reason) {
			return nil, badStatus("an entry")
		}
		if x.Until != "" {
			if e.Until, ok = readStamp(x.Until); !ok || !e.Since.Before(e.Until) {
				return nil, badStatus("an entry's until")
			}
		}
		s.Revoked = append(s.Revoked, e)
	}
	return s, nil
}

func strictJSON(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() || d.InputOffset() != int64(len(data)) {
		return errors.New("more than one value")
	}
	return nil
}

// plainText allows 1 to 128 printable ASCII characters that JSON does not
// escape.
func plainText(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 128
}

func readStamp(s string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && stamp(t) == s
}

// SealStatusList is a signed list.
type SealStatusList struct {
	SealStatus
	raw      []byte
	message  []byte // what is signed
	sig      []byte
	signer   *gm.Certificate
	byID     map[string][]SealEntry
	verdicts verdicts
}

// ParseSealStatusList reads {"certificate":…,"sig":…,"statuslist":{…}} in its
// one form. It judges no signature.
func ParseSealStatusList(data []byte) (*SealStatusList, error) {
	if len(data) > MaxSealStatusList {
		return nil, badStatus("too long")
	}
	var j signedStatusJSON
	if err := strictJSON(data, &j); err != nil {
		return nil, badStatus("not of this form")
	}
	if again, err := json.Marshal(j); err != nil || !bytes.Equal(again, data) {
		return nil, badStatus("not in canonical form")
	}
	status, err := ParseSealStatus(j.StatusList)
	if err != nil {
		return nil, err
	}
	der, err1 := base64.StdEncoding.Strict().DecodeString(j.Certificate)
	sig, err2 := base64.StdEncoding.Strict().DecodeString(j.Sig)
	if err := errors.Join(err1, err2); err != nil {
		return nil, badStatus("certificate or sig")
	}
	l := &SealStatusList{SealStatus: *status, raw: bytes.Clone(data), message: j.StatusList, sig: sig, byID: map[string][]SealEntry{}}
	if l.signer, err = gm.ParseCertificate(der); err != nil {
		return nil, badStatus(err.Error())
	}
	for _, e := range l.Revoked {
		l.byID[e.ID] = append(l.byID[e.ID], e)
	}
	return l, nil
}

// AssembleSealStatusList joins a list's canonical bytes with the signature over
// them and the certificate of the key that made it, and verifies that.
func AssembleSealStatusList(canonical, sig []byte, signer *gm.Certificate) ([]byte, error) {
	data, err := json.Marshal(signedStatusJSON{Certificate: base64.StdEncoding.EncodeToString(signer.Raw),
		Sig: base64.StdEncoding.EncodeToString(sig), StatusList: canonical})
	if err != nil {
		return nil, badStatus(err.Error())
	}
	l, err := ParseSealStatusList(data)
	if err != nil {
		return nil, err
	}
	if err := l.signer.PublicKey.Verify(l.message, l.sig); err != nil {
		return nil, fmt.Errorf("%w: seal status list: %w", ErrRevocation, err)
	}
	return data, nil
}

// Verify checks that the list may speak of maker's seals: it names maker, and is
// signed by maker itself, or by a certificate that maker's issuer gave the right
// to speak about what it issued (OCSPSigning). issuer may be nil.
func (l *SealStatusList) Verify(maker, issuer *gm.Certificate) error {
	c := l.signer
	switch {
	case c.Equal(maker):
	case issuer == nil || c.FormError != nil || !c.OCSPSigning || len(c.Critical) > 0 || !bytes.Equal(c.RawIssuer, issuer.RawSubject) ||
		l.Issued.Before(c.NotBefore) || l.Issued.After(c.NotAfter):
		return fmt.Errorf("%w: %s may not speak of this maker's seals", ErrRevocation, name(c))
	default:
		if err := c.CheckSignedBy(issuer.PublicKey); err != nil {
			return err
		}
	}
	return c.PublicKey.Verify(l.message, l.sig)
}

func (r *Revocations) addSeals(l *SealStatusList) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.ContainsFunc(r.seals[l.Name], func(old *SealStatusList) bool { return bytes.Equal(old.raw, l.raw) }) {
		return nil
	}
	if err := r.hold(len(l.raw)); err != nil {
		return err
	}
	same := 0
	lists := append(slices.Clone(r.seals[l.Name]), l)
	slices.SortStableFunc(lists, func(a, b *SealStatusList) int { return b.Issued.Compare(a.Issued) })
	r.seals[l.Name] = slices.DeleteFunc(lists, func(x *SealStatusList) bool {
		if same++; same > keptPerList {
			r.size -= len(x.raw)
			return true
		}
		return false
	})
	return nil
}

// SealStatus says whether the seal id of maker counted at a time. issuer issued
// maker's certificate; nil when maker is an anchor itself. Only the newest
// genuine list of each publisher counts.
func (r *Revocations) SealStatus(id string, maker, issuer *gm.Certificate, at time.Time) Revocation {
	best := Revocation{State: CannotAnswer, Detail: fmt.Sprintf("no status list about the seals of %s is at hand", name(maker))}
	digest := maker.Fingerprint()
	r.mu.RLock()
	var groups [][]*SealStatusList
	for _, g := range r.seals {
		groups = append(groups, g)
	}
	r.mu.RUnlock()
	for _, lists := range groups {
		for _, l := range lists {
			if !slices.Contains(l.Makers, digest) {
				continue
			}
			by, err := l.verdicts.check(func() (*gm.Certificate, error) { return l.signer, l.Verify(maker, issuer) }, maker, issuer)
			if err == nil && !by.Equal(maker) {
				err = r.delegateAllowed(by, issuer, l.Issued)
			}
			if err != nil {
				if best.State == CannotAnswer {
					best.Detail = "a seal status list does not verify: " + err.Error()
				}
				continue
			}
			if e, found := l.find(id, at); found {
				return Revocation{State: IsRevoked, At: e.Since, Detail: e.Reason}
			}
			switch end := r.freshUntil(l.Issued, l.Next); {
			case !at.After(end):
				best = Revocation{State: NotRevoked}
			case best.State == CannotAnswer:
				best.Detail = "the seal status list was fresh until " + stamp(end) + " only"
			}
			break
		}
	}
	return best
}

func (l *SealStatusList) find(id string, at time.Time) (SealEntry, bool) {
	for _, e := range l.byID[id] {
		if !e.Since.After(at) && (e.Until.IsZero() || at.Before(e.Until)) {
			return e, true
		}
	}
	return SealEntry{}, false
}
