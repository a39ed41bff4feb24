package trust

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

func listCA(t *gm.Template) {
	t.IsCA, t.MaxPathLen, t.KeyUsage = true, 1, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
}
func answers(t *gm.Template) { t.OCSPSigning = true }

func list(t testing.TB, ca *entity, this, next time.Time, revoked ...gm.RevokedEntry) []byte {
	t.Helper()
	l, err := gm.CreateRevocationList(big.NewInt(this.Unix()), this, next, revoked, ca.Certificate, ca.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return l.Raw
}

func gone(e *entity, at time.Time, reason int) gm.RevokedEntry {
	return gm.RevokedEntry{Serial: e.Serial, At: at, Reason: reason}
}

func answer(t testing.TB, ca, by *entity, status gm.OCSPStatus) []byte {
	t.Helper()
	r, err := gm.CreateOCSPResponse(gm.ResponseData{ProducedAt: status.ThisUpdate, Statuses: []gm.OCSPStatus{status}}, ca.Certificate, by.Certificate, by.key.Sign)
	if err != nil {
		t.Fatal(err)
	}
	return r.Raw
}

func held(t testing.TB, c RevocationConfig, data ...[]byte) *Revocations {
	t.Helper()
	r := NewRevocations(c)
	for _, d := range data {
		if err := r.Add(d); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

const day = 24 * time.Hour

// knows compares a state, written as one word.
func knows(t *testing.T, name string, got Revocation, want string) {
	t.Helper()
	word := [...]string{"not configured", "unknown", "good", "revoked"}[got.State]
	if word != want {
		t.Errorf("%s: %s (%s), want %s", name, word, got.Detail, want)
	}
	if got.State == CannotAnswer && got.Detail == "" {
		t.Errorf("%s: unknown without a reason", name)
	}
	if got.State == IsRevoked && got.At.IsZero() {
		t.Errorf("%s: revoked at no time", name)
	}
}

func TestRevocationListsAnswerForTheTimesTheyKnow(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	other := issue(t, nil, "other", listCA)
	good, bad, brief := issue(t, root, "good"), issue(t, root, "bad"), issue(t, root, "brief", dates(from, mid.Add(-time.Hour)))
	l := list(t, root, mid, mid.Add(7*day), gone(bad, mid.Add(-2*day), 1))
	r := held(t, RevocationConfig{}, l)
	ask := func(e *entity, at time.Time) Revocation { return r.Status(e.Certificate, root.Certificate, at) }
	knows(t, "while the list lasts", ask(good, mid.Add(day)), "good")
	knows(t, "long before the list", ask(good, from), "good")
	knows(t, "at the next update", ask(good, mid.Add(7*day)), "good")
	knows(t, "after the next update", ask(good, mid.Add(7*day+time.Second)), "unknown")
	knows(t, "revoked", ask(bad, mid), "revoked")
	knows(t, "at the moment of revocation", ask(bad, mid.Add(-2*day)), "revoked")
	knows(t, "before it was revoked", ask(bad, mid.Add(-2*day-time.Second)), "good")
	knows(t, "revoked stays revoked on an old list", ask(bad, to), "revoked")
	knows(t, "ended before the list was made", ask(brief, mid.Add(-2*time.Hour)), "unknown")
	knows(t, "of another issuer", r.Status(good.Certificate, other.Certificate, mid), "unknown")
	if x := ask(bad, mid); x.Reason != 1 || x.Harmless() {
		t.Errorf("reason %d", x.Reason)
	}

	graced := held(t, RevocationConfig{Grace: day}, l)
	knows(t, "inside the grace", graced.Status(good.Certificate, root.Certificate, mid.Add(8*day)), "good")
	knows(t, "after the grace", graced.Status(good.Certificate, root.Certificate, mid.Add(8*day+time.Second)), "unknown")
	knows(t, "no data", NewRevocations(RevocationConfig{}).Status(good.Certificate, root.Certificate, mid), "unknown")
}

func TestAListValidForDecadesIsNotFreshBeyondTheMaximumAge(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	good, bad := issue(t, root, "good"), issue(t, root, "bad")
	const id = "22010000000002" // not on the list of status()
	long := status(good)
	long.Next = mid.AddDate(50, 0, 0)
	for name, c := range map[string]struct {
		config RevocationConfig
		next   time.Time
		end    time.Time // zero: never
	}{
		"the next update comes first":              {RevocationConfig{MaxAge: 3 * day}, mid.Add(day), mid.Add(day)},
		"the grace comes first":                    {RevocationConfig{Grace: day, MaxAge: 3 * day}, mid.Add(day), mid.Add(2 * day)},
		"the maximum age comes first":              {RevocationConfig{MaxAge: 3 * day}, long.Next, mid.Add(3 * day)},
		"a grace does not extend the maximum age":  {RevocationConfig{Grace: 30 * day, MaxAge: 3 * day}, mid.Add(2 * day), mid.Add(3 * day)},
		"without a maximum age the publisher says": {RevocationConfig{}, long.Next, long.Next},
	} {
		list := held(t, c.config, list(t, root, mid, c.next, gone(bad, mid.Add(-day), 1)))
		ocsp := held(t, c.config, answer(t, root, root, gm.OCSPStatus{ID: gm.NewCertID(root.Certificate, good.Serial), State: gm.CertGood, ThisUpdate: mid, NextUpdate: c.next}))
		s := long
		s.Next = c.next
		seals := held(t, c.config, sealList(t, s, good))
		for word, at := range map[string]time.Time{"good": c.end, "unknown": c.end.Add(time.Second)} {
			knows(t, name+": list", list.Status(good.Certificate, root.Certificate, at), word)
			knows(t, name+": OCSP", ocsp.Status(good.Certificate, root.Certificate, at), word)
			knows(t, name+": seals", seals.SealStatus(id, good.Certificate, root.Certificate, at), word)
		}
		knows(t, name+": revoked for ever", list.Status(bad.Certificate, root.Certificate, to), "revoked")
		knows(t, name+": a seal cancelled for ever", seals.SealStatus("22010000000001", good.Certificate, root.Certificate, to), "revoked")
	}
}

func TestAForgedRevocationListAnswersNothing(t *testing.T) {
	root, fake := issue(t, nil, "root", listCA), issue(t, nil, "root", listCA) // the same name, another key
	noLists := issue(t, nil, "root", ca(1))
	leaf := issue(t, root, "leaf")
	r := held(t, RevocationConfig{}, list(t, fake, mid, mid.Add(day), gone(leaf, from, 1)))
	knows(t, "forged", r.Status(leaf.Certificate, root.Certificate, mid), "unknown")
	r = held(t, RevocationConfig{}, list(t, fake, mid, mid.Add(day)), list(t, root, mid, mid.Add(day), gone(leaf, from, 1)))
	knows(t, "forged beside genuine", r.Status(leaf.Certificate, root.Certificate, mid), "revoked")
	twin := *noLists.Certificate
	twin.PublicKey, twin.SubjectKeyID = root.PublicKey, root.SubjectKeyID
	knows(t, "an issuer that may not sign lists", held(t, RevocationConfig{}, list(t, root, mid, mid.Add(day))).Status(leaf.Certificate, &twin, mid), "unknown")
}

func TestAHoldEndsWithTheNextList(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	leaf := issue(t, root, "leaf")
	first := list(t, root, mid, mid.Add(day), gone(leaf, mid, 6))
	knows(t, "held", held(t, RevocationConfig{}, first).Status(leaf.Certificate, root.Certificate, mid.Add(time.Hour)), "revoked")
	r := held(t, RevocationConfig{}, list(t, root, mid.Add(day), mid.Add(2*day)), first)
	knows(t, "released", r.Status(leaf.Certificate, root.Certificate, mid.Add(36*time.Hour)), "good")
	r = held(t, RevocationConfig{}, list(t, root, mid.Add(day), mid.Add(2*day)), list(t, root, mid, mid.Add(day), gone(leaf, mid, 1)))
	knows(t, "a real revocation is not taken back", r.Status(leaf.Certificate, root.Certificate, mid.Add(36*time.Hour)), "revoked")
}

func TestAnInvalidityDateReachesBack(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	leaf := issue(t, root, "leaf")
	e := gone(leaf, mid, 1)
	e.Invalid = mid.Add(-10 * day)
	r := held(t, RevocationConfig{}, list(t, root, mid, mid.Add(day), e))
	knows(t, "between loss and revocation", r.Status(leaf.Certificate, root.Certificate, mid.Add(-5*day)), "revoked")
	knows(t, "before the loss", r.Status(leaf.Certificate, root.Certificate, mid.Add(-11*day)), "good")
}

func TestOCSPAnswersComeFromTheIssuerOrItsDelegate(t *testing.T) {
	root, other := issue(t, nil, "root", listCA), issue(t, nil, "other", listCA)
	delegate := issue(t, root, "responder", answers)
	leaf := issue(t, root, "leaf")
	status := func(s gm.CertState, this time.Time) gm.OCSPStatus {
		return gm.OCSPStatus{ID: gm.NewCertID(root.Certificate, leaf.Serial), State: s, RevokedAt: mid.Add(-day), Reason: 4, ThisUpdate: this, NextUpdate: this.Add(day)}
	}
	for name, by := range map[string]*entity{"issuer": root, "delegate": delegate} {
		r := held(t, RevocationConfig{}, answer(t, root, by, status(gm.CertGood, mid)))
		knows(t, name+" good", r.Status(leaf.Certificate, root.Certificate, mid), "good")
		knows(t, name+" before", r.Status(leaf.Certificate, root.Certificate, from), "good")
		knows(t, name+" later", r.Status(leaf.Certificate, root.Certificate, mid.Add(day+time.Second)), "unknown")
		knows(t, name+" of another issuer", r.Status(leaf.Certificate, other.Certificate, mid), "unknown")
		r = held(t, RevocationConfig{}, answer(t, root, by, status(gm.CertRevoked, mid)))
		x := r.Status(leaf.Certificate, root.Certificate, to)
		knows(t, name+" revoked", x, "revoked")
		if !x.Harmless() {
			t.Errorf("superseded is not harmless: %+v", x)
		}
		knows(t, name+" before it was revoked", r.Status(leaf.Certificate, root.Certificate, mid.Add(-2*day)), "good")
		r = held(t, RevocationConfig{}, answer(t, root, by, status(gm.CertUnknown, mid)))
		knows(t, name+" does not know", r.Status(leaf.Certificate, root.Certificate, mid), "unknown")
	}
	newer := answer(t, root, root, status(gm.CertRevoked, mid.Add(time.Hour)))
	older := answer(t, root, root, status(gm.CertGood, mid))
	knows(t, "one answer of two says revoked", held(t, RevocationConfig{}, newer, older).Status(leaf.Certificate, root.Certificate, mid), "revoked")
	knows(t, "a list says revoked and OCSP good", held(t, RevocationConfig{}, older, list(t, root, mid, mid.Add(day), gone(leaf, from, 1))).Status(leaf.Certificate, root.Certificate, mid), "revoked")
}

func TestADelegateThatWasRevokedIsNotHeard(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	delegate := issue(t, root, "responder", answers)
	delegate.OCSPNoCheck = false
	leaf := issue(t, root, "leaf")
	r := held(t, RevocationConfig{}, list(t, root, mid, mid.Add(day), gone(delegate, from, 1)))
	if err := r.delegateAllowed(delegate.Certificate, root.Certificate, mid); err == nil {
		t.Error("a revoked delegate may answer")
	}
	if err := r.delegateAllowed(leaf.Certificate, root.Certificate, mid); err != nil {
		t.Errorf("one that is not revoked: %v", err)
	}
}

func status(makers ...*entity) SealStatus {
	s := SealStatus{Name: "jl-seals", Number: 7, Issued: mid, Next: mid.Add(day), Revoked: []SealEntry{
		{ID: "22010000000001", Since: mid.Add(-10 * day), Until: mid.Add(-5 * day), Reason: "suspended"},
		{ID: "22010000000001", Since: mid.Add(-day), Reason: "cancelled"}}}
	for _, m := range makers {
		s.Makers = append(s.Makers, m.Fingerprint())
	}
	return s
}

func sealList(t testing.TB, s SealStatus, by *entity) []byte {
	t.Helper()
	c, err := s.Canonical()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := by.key.Sign(c)
	if err != nil {
		t.Fatal(err)
	}
	data, err := AssembleSealStatusList(c, sig, by.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestSealStatusListsSpeakOfTheirMakersSeals(t *testing.T) {
	root, foreign := issue(t, nil, "root", listCA), issue(t, nil, "foreign", listCA)
	maker, other := issue(t, root, "maker"), issue(t, root, "other maker")
	delegate, stranger := issue(t, root, "status", answers), issue(t, foreign, "stranger", answers)
	const id = "22010000000001"
	for name, by := range map[string]*entity{"maker": maker, "delegate": delegate} {
		r := held(t, RevocationConfig{}, sealList(t, status(maker), by))
		ask := func(id string, at time.Time) Revocation {
			return r.SealStatus(id, maker.Certificate, root.Certificate, at)
		}
		knows(t, name+" cancelled", ask(id, mid), "revoked")
		knows(t, name+" after the list", ask(id, to), "revoked")
		knows(t, name+" between", ask(id, mid.Add(-3*day)), "good")
		knows(t, name+" suspended", ask(id, mid.Add(-7*day)), "revoked")
		knows(t, name+" the day it was restored", ask(id, mid.Add(-5*day)), "good")
		knows(t, name+" another seal", ask("22010000000002", mid), "good")
		knows(t, name+" another seal, after the list", ask("22010000000002", mid.Add(day+time.Second)), "unknown")
		knows(t, name+" another maker's seal", r.SealStatus(id, other.Certificate, root.Certificate, mid), "unknown")
	}
	for name, by := range map[string]*entity{"a signer of the same CA": issue(t, root, "signer"), "another maker": other, "a stranger": stranger} {
		r := held(t, RevocationConfig{}, sealList(t, status(maker), by))
		knows(t, name, r.SealStatus("22010000000002", maker.Certificate, root.Certificate, mid), "unknown")
	}
	r := held(t, RevocationConfig{}, sealList(t, status(maker), delegate))
	knows(t, "issuer unknown", r.SealStatus(id, maker.Certificate, nil, mid), "unknown")
	knows(t, "issuer known afterwards", r.SealStatus(id, maker.Certificate, root.Certificate, mid), "revoked")
	newer := status(maker)
	newer.Number, newer.Issued, newer.Revoked = 8, mid.Add(time.Hour), newer.Revoked[:1]
	r = held(t, RevocationConfig{}, sealList(t, newer, maker), sealList(t, status(maker), maker))
	knows(t, "only the newest list counts", r.SealStatus(id, maker.Certificate, root.Certificate, mid), "good")
}

func TestASealStatusListHasOneForm(t *testing.T) {
	maker := issue(t, nil, "maker")
	good := sealList(t, status(maker), maker)
	if _, err := ParseSealStatusList(good); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"space":         bytes.Replace(good, []byte(`,"sig"`), []byte(`, "sig"`), 1),
		"unknown key":   bytes.Replace(good, []byte(`{"certificate"`), []byte(`{"a":1,"certificate"`), 1),
		"twice":         bytes.Replace(good, []byte(`"sig":`), []byte(`"sig":"","sig":`), 1),
		"another kind":  bytes.Replace(good, []byte(`"kind":"seals"`), []byte(`"kind":"other"`), 1),
		"zoned time":    bytes.Replace(good, []byte(`Z","kind"`), []byte(`+00:00","kind"`), 1),
		"escaped":       bytes.Replace(good, []byte(`jl-seals`), []byte(`\u006al-seals`), 1),
		"behind":        append(bytes.Clone(good), '{'),
		"null makers":   []byte(strings.Replace(string(good), string(mustJSON(status(maker).Makers, maker)), "null", 1)),
		"no statuslist": []byte(`{"certificate":"","sig":"","statuslist":null}`),
	} {
		if l, err := ParseSealStatusList(data); !errors.Is(err, ErrRevocation) {
			t.Errorf("%s: %v %v", name, l, err)
		}
	}
	canonical, err := func() ([]byte, error) { s := status(maker); return s.Canonical() }()
	if err != nil {
		t.Fatal(err)
	}
	sig, _ := maker.key.Sign([]byte("something else"))
	if _, err := AssembleSealStatusList(canonical, sig, maker.Certificate); !errors.Is(err, ErrRevocation) {
		t.Errorf("a wrong signature is assembled: %v", err)
	}
	for name, change := range map[string]func(*SealStatus){
		"no makers":  func(s *SealStatus) { s.Makers = nil },
		"no name":    func(s *SealStatus) { s.Name = "" },
		"no term":    func(s *SealStatus) { s.Next = s.Issued },
		"odd id":     func(s *SealStatus) { s.Revoked[0].ID = "印章" },
		"empty span": func(s *SealStatus) { s.Revoked[0].Until = s.Revoked[0].Since },
	} {
		s := status(maker)
		change(&s)
		if _, err := s.Canonical(); !errors.Is(err, ErrRevocation) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func mustJSON(_ [][gm.DigestSize]byte, maker *entity) []byte {
	digest := maker.Fingerprint()
	b, _ := json.Marshal([][]byte{digest[:]})
	return b
}

func TestLoadRevocationsReadsAFolderOfAllKinds(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	one, two := issue(t, root, "one"), issue(t, root, "two")
	dir := t.TempDir()
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := LoadRevocations(RevocationConfig{}, dir); !errors.Is(err, ErrRevocation) {
		t.Errorf("empty folder: %v", err)
	}
	l, err := gm.ReadRevocationList(list(t, root, mid, mid.Add(day), gone(one, from, 1)))
	if err != nil {
		t.Fatal(err)
	}
	write("root.crl", l.PEM())
	write("two.ors", answer(t, root, root, gm.OCSPStatus{ID: gm.NewCertID(root.Certificate, two.Serial), State: gm.CertRevoked, RevokedAt: from, ThisUpdate: mid}))
	write("seals.json", append(sealList(t, status(one), one), '\n'))
	write("README", []byte("left alone"))
	r, err := LoadRevocations(RevocationConfig{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	knows(t, "list", r.Status(one.Certificate, root.Certificate, mid), "revoked")
	knows(t, "OCSP", r.Status(two.Certificate, root.Certificate, mid), "revoked")
	knows(t, "seals", r.SealStatus("22010000000001", one.Certificate, root.Certificate, mid), "revoked")
	write("broken.crl", []byte("rubbish"))
	if _, err := LoadRevocations(RevocationConfig{}, dir); !errors.Is(err, ErrRevocation) {
		t.Errorf("broken: %v", err)
	}
	if _, err := LoadRevocations(RevocationConfig{}, filepath.Join(dir, "missing")); !errors.Is(err, ErrRevocation) {
		t.Errorf("missing: %v", err)
	}
}

func TestOldListsMakeRoomForNewOnes(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	r := NewRevocations(RevocationConfig{})
	for i := range 10 {
		at := mid.Add(time.Duration(i) * time.Hour)
		if err := r.Add(list(t, root, at, at.Add(day))); err != nil {
			t.Fatal(err)
		}
	}
	lists := r.lists[string(root.RawSubject)]
	if len(lists) != keptPerList || !lists[0].ThisUpdate.Equal(mid.Add(9*time.Hour)) || r.size > keptPerList*1000 {
		t.Errorf("%d lists, newest %v, %d bytes", len(lists), lists[0].ThisUpdate, r.size)
	}
}

func TestAllOfTheChainIsAsked(t *testing.T) {
	root := issue(t, nil, "root", listCA)
	sub := issue(t, root, "sub", func(x *gm.Template) { listCA(x); x.MaxPathLen = 0 })
	leaf := issue(t, sub, "leaf")
	rootList, subList := list(t, root, mid, mid.Add(day)), list(t, sub, mid, mid.Add(day))
	check := func(data ...[]byte) Verdict {
		return anchors(t, anyRole, root).WithRevocation(held(t, RevocationConfig{}, data...)).Check(leaf.Certificate, certs(sub), Signer, mid)
	}
	knows(t, "both lists", check(rootList, subList).Revocation, "good")
	knows(t, "only the leaf's", check(subList).Revocation, "unknown")
	knows(t, "only the CA's", check(rootList).Revocation, "unknown")
	is(t, "the CA is revoked", check(subList, list(t, root, mid, mid.Add(day), gone(sub, from, 1))), "refused: revoked")
	none := anchors(t, anyRole).WithRevocation(held(t, RevocationConfig{}, subList)).Check(leaf.Certificate, certs(sub), Signer, mid)
	knows(t, "no path", none.Revocation, "unknown")
}

func FuzzSealStatusList(f *testing.F) {
	maker := issue(f, nil, "maker")
	f.Add(sealList(f, status(maker), maker))
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseSealStatusList(data)
		if err != nil {
			if !errors.Is(err, ErrRevocation) {
				t.Errorf("unnamed error %v", err)
			}
			return
		}
		again, err := l.Canonical()
		if err != nil || !bytes.Contains(data, again) {
			t.Errorf("%s became %s, %v", data, again, err)
		}
	})
}
