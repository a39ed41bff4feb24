package pki_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ofd"
)

// The whole way: keys in an engine, a CA with a book, a timestamp authority and
// a revocation list over HTTP; a permit is sealed, then the signer's certificate
// is revoked, then everything ends. The timestamp is what keeps the permit valid.
func TestAStampedSealOutlivesItsCertificates(t *testing.T) {
	p := publish(t)
	ctx := t.Context()
	if _, err := p.engine.Create(ctx, "tsa", keys.TSA); err != nil {
		t.Fatal(err)
	}
	if _, err := p.ca.Enrol(ctx, p.engine.Key("tsa"), p.engine, pki.TSA, subject("时间戳"), p.clock.Now(), p.until); err != nil {
		t.Fatal(err)
	}
	if err := p.book.Issued(p.makerCA.Certificate()); err != nil { // issued before the book was begun
		t.Fatal(err)
	}
	makerBook, err := pki.OpenBook(t.TempDir()+"/maker-ca.json", p.makerCA.Certificate())
	if err != nil {
		t.Fatal(err)
	}
	makerCRLs, err := pki.NewCRLs(pki.CRLConfig{CA: p.makerCA, Book: makerBook, Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	authority, err := pki.NewTSA(ctx, pki.TSAConfig{Key: p.engine.Key("tsa"), Policy: policy, Now: p.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	tsa, rootList, makerList := httptest.NewServer(authority), httptest.NewServer(p.crls(t)), httptest.NewServer(makerCRLs)
	defer tsa.Close()
	defer rootList.Close()
	defer makerList.Close()

	anchors, err := trust.New(trust.Anchor{Cert: p.root.Certificate(), Roles: trust.Signer | trust.TSA},
		trust.Anchor{Cert: p.makerCA.Certificate(), Roles: trust.Maker})
	if err != nil {
		t.Fatal(err)
	}
	held := trust.NewRevocations(trust.RevocationConfig{})
	fetcher, err := pki.NewFetcher(pki.FetcherConfig{Into: held, Sources: []pki.Source{
		{URL: rootList.URL, Issuer: p.root.Certificate()}, {URL: makerList.URL, Issuer: p.makerCA.Certificate()}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := fetcher.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	verifier := seal.NewVerifier(seal.VerifierConfig{Trust: anchors.WithRevocation(held)})
	client, err := pki.NewTSAClient(pki.TSAClientConfig{URLs: []string{tsa.URL}, Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	sealer := seal.NewSealer(seal.SealerConfig{Verifier: verifier, Timestamps: client, RequireTimestamp: true})

	maker, err := keys.PinLive(ctx, p.engine.Key("maker"))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := keys.PinLive(ctx, p.engine.Key("seal-two"))
	if err != nil {
		t.Fatal(err)
	}
	now := p.clock.Now()
	esl, err := seal.Make(ctx, seal.MakeSpec{ID: "22010000000001", Name: "测试专用章", Kind: seal.Organisation, Created: now, NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		Signers: []*gm.Certificate{p.issued}, Maker: maker.Certificate(), Picture: []byte("\x89PNG\r\n\x1a\n…"), Width: 42, Height: 42}, maker)
	if err != nil {
		t.Fatal(err)
	}
	permit := ofd.Permit{DocID: "0123456789abcdef0123456789abcdef", Title: "人力资源服务许可证", Number: "（吉）人服证字〔2026〕第0100001号",
		Fields: []ofd.PermitField{{Label: "机构名称", Value: "长春市某某人力资源服务有限公司"}}, Office: "吉林省人力资源和社会保障厅", Issued: now}
	document, err := ofd.NewPermit(permit)
	if err != nil {
		t.Fatal(err)
	}
	x, y := permit.SealCentre()
	prepared, err := sealer.Prepare(ctx, seal.Request{Document: document, Seal: esl, SignerCert: p.issued.Raw, Position: seal.Position{Page: 1, X: x, Y: y}, At: now})
	if err != nil {
		t.Fatal(err)
	}
	if err := prepared.Sign(ctx, signer); err != nil {
		t.Fatal(err)
	}
	sealed, err := prepared.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	judge := func(at time.Time) *seal.Report {
		return verifier.Verify(ctx, "permit.ofd", sealed.Document, seal.Options{At: at})
	}
	if r := judge(now); r.Indication != seal.Valid || r.Signatures[0].TimeSource != seal.TimeStamped {
		t.Fatalf("%s %v", r.Indication, r.Problems())
	}
	p.clock.Move(t, time.Hour)
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: 1}); err != nil {
		t.Fatal(err)
	}
	if err := fetcher.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	for _, at := range []time.Time{p.clock.Now(), now.AddDate(10, 0, 0)} {
		if r := judge(at); r.Indication != seal.Valid {
			t.Errorf("at %s: %s %v", at, r.Indication, r.Problems())
		}
	}
	again, err := sealer.Prepare(ctx, seal.Request{Document: document, Seal: esl, SignerCert: p.issued.Raw, Position: seal.Position{Page: 1, X: x, Y: y}, At: p.clock.Now()})
	if err == nil {
		t.Errorf("a revoked signer may prepare another seal: %v", again.Binding())
	}
	tsa.Close()
	if prepared, err = sealer.Prepare(ctx, seal.Request{Document: document, Seal: esl, SignerCert: p.issued.Raw, Position: seal.Position{Page: 1, X: x, Y: y}, At: now}); err != nil {
		t.Fatal(err)
	}
	p.clock.Move(t, -time.Hour) // the engine signs what is of now
	if err := prepared.Sign(ctx, signer); err != nil {
		t.Fatal(err)
	}
	if out, err := prepared.Finish(ctx); out != nil || err == nil {
		t.Errorf("sealed without the required timestamp: %v", err)
	}
}

func BenchmarkStamp(b *testing.B) {
	s := stamps(b, nil)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.tsa.Stamp(b.Context(), []byte("value")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckTimestamp(b *testing.B) {
	s := stamps(b, nil)
	token, err := s.tsa.Stamp(b.Context(), []byte("value"))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if v := s.anchors.CheckTimestamp(token, [][]byte{[]byte("value")}, s.clock.Now()); v.Outcome != trust.Trusted {
			b.Fatal(v.Problems)
		}
	}
}
