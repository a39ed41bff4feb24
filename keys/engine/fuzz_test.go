package engine_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"flag"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/seal/ses"
)

var update = flag.Bool("update", false, "write testdata anew")

// world is a fixed engine for fuzzing: every process that fuzzes must have the
// same keys, or the seeds of one are foreign to the other. The keys in it have
// never been used for anything else.
type world struct {
	Entries             map[string][]byte // storage
	Signer, CA          []byte            // certificates
	TBS, Leaf, CRL, CSR []byte            // seeds; the first three are sound
}

func worldFile() string { return filepath.Join("testdata", "fuzz-world.json") }

func TestFuzzWorldIsSound(t *testing.T) {
	if *update {
		writeWorld(t)
	}
	w, e := loadWorld(t)
	for _, c := range []struct {
		key  keys.Name
		ty   keys.Type
		item []byte
		ok   bool
	}{{"s", keys.TypeTBS, w.TBS, true}, {"ca", keys.TypeX509, w.Leaf, true}, {"ca", keys.TypeX509, w.CRL, true}, {"ca", keys.TypeX509, w.CSR, false}} {
		if _, err := e.Key(c.key).Sign(t.Context(), keys.Request{Type: c.ty, Item: c.item, KeyVersion: 1}); (err == nil) != c.ok {
			t.Errorf("%s: %v", c.key, err)
		}
	}
}

func loadWorld(t testing.TB) (world, *engine.Engine) {
	t.Helper()
	data, err := os.ReadFile(worldFile())
	if err != nil {
		t.Fatal(err)
	}
	var w world
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	m := &keytest.Memory{}
	for p, v := range w.Entries {
		if err := m.Put(t.Context(), p, v); err != nil {
			t.Fatal(err)
		}
	}
	return w, engine.New(m, engine.Config{Now: keytest.NewClock().Now})
}

func writeWorld(t *testing.T) {
	clock := keytest.NewClock()
	outside := keytest.NewOutside(t, clock)
	m := &keytest.Memory{}
	e := engine.New(m, engine.Config{Now: clock.Now})
	cert, err := certified(t, e, outside)
	if err != nil {
		t.Fatal(err)
	}
	info, err := e.Create(t.Context(), "ca", keys.CA)
	if err != nil {
		t.Fatal(err)
	}
	ca := outside.CertifyAs(gm.Template{Subject: pkix.Name{CommonName: "CA"}, IsCA: true, MaxPathLen: 0,
		KeyUsage: gm.KeyUsageCertSign | gm.KeyUsageCRLSign}, info.Versions[0].Public)
	if _, err := e.InstallCertificate(t.Context(), "ca", 1, []*gm.Certificate{ca}); err != nil {
		t.Fatal(err)
	}
	req, err := e.CSR(t.Context(), "ca", 1, pkix.Name{CommonName: "CA"})
	if err != nil {
		t.Fatal(err)
	}
	now := clock.Now()
	w := world{Entries: map[string][]byte{}, Signer: cert.Raw, CA: ca.Raw, CSR: req.Raw,
		TBS: keytest.DER(t, outside.TBS(outside.Seal(outside.SealInfo(cert)), 1)),
		Leaf: keytest.Captured(t, func(sign gm.SignFunc) error {
			_, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{CommonName: "leaf"}, KeyUsage: gm.KeyUsageDigitalSignature,
				NotBefore: now, NotAfter: now.AddDate(1, 0, 0)}, ca, outside.Maker.PublicKey, sign)
			return err
		}),
		CRL: keytest.Captured(t, func(sign gm.SignFunc) error {
			_, err := gm.CreateRevocationList(big.NewInt(1), now, now.AddDate(0, 0, 7), []gm.RevokedEntry{{Serial: big.NewInt(5), At: now}}, ca, sign)
			return err
		})}
	for _, n := range []string{"s", "ca"} {
		if w.Entries[engine.KeyPrefix+n], err = m.Get(t.Context(), engine.KeyPrefix+n); err != nil {
			t.Fatal(err)
		}
	}
	data, err := json.MarshalIndent(w, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(worldFile(), append(data, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Whatever bytes are offered as a TBS_Sign: when they are signed, they parse,
// the seal in them lists the key's certificate and the time is now.
func FuzzSealKeySignsOnlySoundTBS(f *testing.F) {
	w, e := loadWorld(f)
	f.Add(w.TBS)
	f.Add(w.Leaf)
	f.Add(make([]byte, 32))
	key := e.Key("s")
	f.Fuzz(func(t *testing.T, item []byte) {
		s, err := key.Sign(t.Context(), keys.Request{Type: keys.TypeTBS, Item: item, KeyVersion: 1})
		if err != nil {
			if len(s.Value) > 0 {
				t.Fatal("a signature came with the refusal")
			}
			return
		}
		tbs, err := ses.ParseTBS(item)
		if err != nil {
			t.Fatalf("signed what does not parse: %v", err)
		}
		d := tbs.Time.Sub(keytest.Start)
		if !bytes.Contains(tbs.Seal.Info.Raw, w.Signer) || d > engine.DefaultClockWindow || -d > engine.DefaultClockWindow {
			t.Fatal("signed under a foreign seal or another time")
		}
	})
}

// Whatever bytes are offered to a CA: when they are signed they name it as the
// issuer, and are nothing that a seal verifier would take.
func FuzzCASignsOnlyCertificatesAndLists(f *testing.F) {
	w, e := loadWorld(f)
	f.Add(w.Leaf)
	f.Add(w.CRL)
	f.Add(w.CSR)
	f.Add(w.TBS)
	ca, err := gm.ParseCertificate(w.CA)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(keytest.Captured(f, func(sign gm.SignFunc) error {
		at := keytest.Start
		_, err := gm.CreateOCSPResponse(gm.ResponseData{ProducedAt: at, Statuses: []gm.OCSPStatus{{ID: gm.NewCertID(ca, big.NewInt(5)),
			State: gm.CertGood, ThisUpdate: at, NextUpdate: at.Add(time.Hour)}}}, ca, ca, sign)
		return err
	}))
	key := e.Key("ca")
	f.Fuzz(func(t *testing.T, item []byte) {
		_, all := key.Sign(t.Context(), keys.Request{Type: keys.TypeX509, Item: item, KeyVersion: 1})
		if _, part := key.Sign(t.Context(), keys.Request{Type: keys.TypeRevocation, Item: item, KeyVersion: 1}); part == nil {
			var outer asn1.RawValue // a TBSCertificate of version 3 begins with [0]
			if _, err := asn1.Unmarshal(item, &outer); err != nil || all != nil || outer.Bytes[0] == 0xa0 {
				t.Fatal("the right to revoke signed what is no list and no answer")
			}
		}
		if all != nil {
			return
		}
		if !bytes.Contains(item, ca.RawSubject) {
			t.Fatal("signed something that does not name this CA as issuer")
		}
		_, err1 := ses.ParseTBS(item)
		_, err2 := ses.ParseSealInfo(item)
		if err1 == nil || err2 == nil {
			t.Fatal("signed something that a seal verifier takes for its own")
		}
	})
}
