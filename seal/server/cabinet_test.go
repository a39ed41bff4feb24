package server

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/ses"
	"github.com/sealgate/sealgate/seal/stamp"
)

// office is a whole seal office with keys of its own: CA, maker, signer, a
// drawn seal, a permit to put it on.
type office struct {
	now     time.Time
	root    *gm.Certificate
	cabinet *Cabinet
	permit  []byte
	x, y    float64
	status  map[string]string
	down    error
}

func (o *office) SealStatus(_ context.Context, id string) (string, error) {
	if s, ok := o.status[id]; ok {
		return s, o.down
	}
	return StatusActive, o.down
}

// signer signs TBS_Sign structures, as a key engine does, and counts them.
type signer struct{ key *gm.PrivateKey }

func (s signer) SignTBS(_ context.Context, tbs []byte) ([]byte, error) {
	if _, err := ses.ParseTBS(tbs); err != nil {
		return nil, err
	}
	return s.key.Sign(tbs)
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{now: time.Date(2026, 11, 24, 1, 2, 3, 0, time.UTC), status: map[string]string{}}
	from, to := o.now.AddDate(0, -1, 0), o.now.AddDate(3, 0, 0)
	entity := func(name string, usage gm.KeyUsage, ca bool, issuer *gm.Certificate, issuerKey *gm.PrivateKey) (*gm.Certificate, *gm.PrivateKey) {
		key, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		if issuerKey == nil {
			issuerKey = key
		}
		cert, err := gm.CreateCertificate(gm.Template{Subject: pkix.Name{Country: []string{"CN"}, CommonName: name},
			NotBefore: from, NotAfter: to, KeyUsage: usage, IsCA: ca, MaxPathLen: -1}, issuer, key.Public(), issuerKey.Sign)
		if err != nil {
			t.Fatal(err)
		}
		return cert, key
	}
	root, rootKey := entity("测试根证书", gm.KeyUsageCertSign|gm.KeyUsageCRLSign, true, nil, nil)
	maker, makerKey := entity("测试制章人", gm.KeyUsageDigitalSignature|gm.KeyUsageContentCommitment, false, root, rootKey)
	cert, key := entity("测试签章人", gm.KeyUsageDigitalSignature|gm.KeyUsageContentCommitment, false, root, rootKey)
	o.root = root

	picture, err := stamp.Draw(stamp.Spec{Name: "吉林省人力资源和社会保障厅", Line: "电子证照专用章", Centre: stamp.Star, Diameter: 42, DPI: 300})
	if err != nil {
		t.Fatal(err)
	}
	info, err := ses.SealInfo{VendorID: "SEALGATE", ID: sealNo,
		Property: ses.Property{Type: 1, Name: "吉林省人力资源和社会保障厅电子证照专用章", ListType: ses.ListCertificates,
			Certs: [][]byte{cert.Raw}, Created: from, NotBefore: from, NotAfter: to},
		Picture: ses.Picture{Type: "PNG", Data: picture, Width: 42, Height: 42}}.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := makerKey.Sign(info)
	if err != nil {
		t.Fatal(err)
	}
	der, err := ses.AssembleSeal(info, maker.Raw, sig)
	if err != nil {
		t.Fatal(err)
	}
	o.cabinet = NewCabinet(CabinetConfig{Sealer: seal.NewSealer(seal.SealerConfig{}), Status: o, Now: func() time.Time { return o.now }})
	if err := o.cabinet.Put(Holding{Name: "公章", Seal: der, SignerCert: cert.Raw, Signer: signer{key}}); err != nil {
		t.Fatal(err)
	}

	permit := ofd.Permit{DocID: "0123456789abcdef0123456789abcdef", Title: "人力资源服务许可证", Number: "（吉）人服证字〔2026〕第0100001号",
		Fields: []ofd.PermitField{{Label: "机构名称", Value: "长春市某某人力资源服务有限公司"}},
		Office: "吉林省人力资源和社会保障厅", Issued: o.now}
	if o.permit, err = ofd.NewPermit(permit); err != nil {
		t.Fatal(err)
	}
	o.x, o.y = permit.SealCentre()
	return o
}

func (o *office) verifier(t *testing.T) *seal.Verifier {
	t.Helper()
	anchors, err := trust.New(trust.Anchor{Cert: o.root, Roles: trust.Maker | trust.Signer})
	if err != nil {
		t.Fatal(err)
	}
	return seal.NewVerifier(seal.VerifierConfig{Trust: anchors})
}

func TestPermitSealedOverHTTPIsValidAndFullyCovered(t *testing.T) {
	o, f := newOffice(t), newFakes()
	f.now = o.now
	base := start(t, f, func(c *Config) { c.Sealer, c.Seals, c.Verifier = o.cabinet, o.cabinet, o.verifier(t) })
	first := sealIt(t, base, string(o.permit), "Idempotency-Key", "case-0001")
	if first.status != 200 {
		t.Fatalf("%d %s", first.status, first.body)
	}
	if again := sealIt(t, base, string(o.permit), "Idempotency-Key", "case-0001"); !bytes.Equal(first.body, again.body) {
		t.Error("the repetition is another document")
	}
	second := sealIt(t, base, string(first.body))
	if second.status != 200 {
		t.Fatalf("a second seal: %d %s", second.status, second.body)
	}
	for i, document := range [][]byte{first.body, second.body} {
		a := call(t, "POST", base+"/api/v1/verify?strict=true&name=permit.ofd", document, "Content-Type", "application/ofd")
		var report seal.Report
		if err := json.Unmarshal(a.body, &report); err != nil {
			t.Fatal(err)
		}
		if report.Indication != seal.Valid || len(report.Signatures) != i+1 || len(report.Uncovered) != 0 {
			t.Errorf("%s", a.body)
		}
		if s := report.Signatures[0].Seal; s == nil || s.ID != sealNo {
			t.Errorf("seal %+v", s)
		}
	}
	changed := bytes.Clone(first.body)
	changed[len(changed)/3] ^= 1
	if a := sealIt(t, base, string(changed)); a.status != 409 && a.status != 422 {
		t.Errorf("a damaged document was sealed: %d", a.status)
	}
	a := call(t, "GET", base+"/api/v1/seals", nil, "Authorization", "Bearer "+officeToken)
	var list struct{ Seals []Seal }
	if err := json.Unmarshal(a.body, &list); err != nil || len(list.Seals) != 1 || list.Seals[0].Width != 42 || list.Seals[0].Status != "active" {
		t.Errorf("%s", a.body)
	}
}

func TestCabinetRefusesUnknownSuspendedAndExpiredSeals(t *testing.T) {
	o := newOffice(t)
	prepare := func(name string) error {
		_, err := o.cabinet.Prepare(t.Context(), Request{Document: o.permit, Seal: name, Page: 1, X: o.x, Y: o.y})
		return err
	}
	if err := prepare("公章"); err != nil {
		t.Fatal(err)
	}
	status := func() string {
		list, err := o.cabinet.ListSeals(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return list[0].Status
	}
	if code := errorCode(prepare("别的")); code != "SG-SEAL-UNKNOWN" {
		t.Errorf("unknown: %s", code)
	}
	o.status[sealNo] = "suspended"
	if code := errorCode(prepare("公章")); code != "SG-SEAL-INACTIVE" || status() != "suspended" {
		t.Errorf("suspended: %s", code)
	}
	delete(o.status, sealNo)
	o.down = errors.New("no database")
	if code := errorCode(prepare("公章")); code != "SG-STOP-STATE" {
		t.Errorf("status unknown: %s", code)
	}
	o.down = nil
	now := o.now
	o.now = now.AddDate(10, 0, 0)
	if code := errorCode(prepare("公章")); code != "SG-SEAL-INACTIVE" || status() != "expired" {
		t.Errorf("expired: %s", code)
	}
	o.now = now.AddDate(-1, 0, 0)
	if code := errorCode(prepare("公章")); code != "SG-SEAL-INACTIVE" || status() != "not-yet-valid" {
		t.Errorf("not yet valid: %s", code)
	}
}

func TestPreparedSealingIsAppliedOnce(t *testing.T) {
	o := newOffice(t)
	p, err := o.cabinet.Prepare(t.Context(), Request{Document: o.permit, Seal: "公章", Page: 1, X: o.x, Y: o.y})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Apply(t.Context()); err != nil {
		t.Fatal(err)
	}
	if data, err := p.Apply(t.Context()); err == nil || data != nil {
		t.Error("applied twice")
	}
}

func TestCabinetTakesNoSealThatItCannotUse(t *testing.T) {
	o := newOffice(t)
	good := o.cabinet.holdings["公章"].Holding
	for name, change := range map[string]func(*Holding){
		"name":        func(h *Holding) { h.Name = "a/b" },
		"no signer":   func(h *Holding) { h.Signer = nil },
		"no cert":     func(h *Holding) { h.SignerCert = nil },
		"not a seal":  func(h *Holding) { h.Seal = []byte("seal") },
		"cut in half": func(h *Holding) { h.Seal = h.Seal[:100] },
	} {
		h := good
		change(&h)
		if err := o.cabinet.Put(h); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestSealingIsRecordedInARealLedgerThatStaysWhole(t *testing.T) {
	o, f := newOffice(t), newFakes()
	dir := filepath.Join(t.TempDir(), "ledger") // private: made by Open
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := audit.Open(audit.Config{Dir: dir, Log: "test-sealer", Node: "n1", Signer: checkpointSigner{key}, PublicKey: key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	base := start(t, f, func(c *Config) { c.Sealer, c.Ledger, c.Now = o.cabinet, ledger, func() time.Time { return o.now } })
	if a := sealIt(t, base, string(o.permit)); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := sealIt(t, base, "no document"); a.status != 422 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if err := ledger.Close(); err != nil {
		t.Fatal(err)
	}
	report, err := audit.Verify(dir, audit.VerifyOptions{PublicKeys: []*gm.PublicKey{key.Public()}})
	if err != nil || !report.OK || report.Size != 3 {
		t.Errorf("%+v, %v", report, err)
	}
}

type checkpointSigner struct{ key *gm.PrivateKey }

func (s checkpointSigner) SignCheckpoint(_ context.Context, checkpoint []byte) ([]byte, error) {
	return s.key.Sign(checkpoint)
}
