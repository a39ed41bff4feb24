package seal_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// keySigner is a Signer that counts what it was asked.
type keySigner struct {
	key   *gm.PrivateKey
	asked [][]byte
	fail  error
}

func (k *keySigner) SignTBS(_ context.Context, tbs []byte) ([]byte, error) {
	k.asked = append(k.asked, tbs)
	if k.fail != nil {
		return nil, k.fail
	}
	return k.key.Sign(tbs)
}

// request is a good request for the world's seal.
func (w *world) request(document []byte) seal.Request {
	return seal.Request{Document: document, Seal: w.makeSeal(nil), SignerCert: w.signer.Raw,
		Position: seal.Position{Page: 1, X: 150, Y: 60}, At: signedAt}
}

func (w *world) sealer() *seal.Sealer {
	return seal.NewSealer(seal.SealerConfig{Verifier: seal.NewVerifier(seal.VerifierConfig{Trust: w.anchors})})
}

// seal does all three steps.
func (w *world) seal(s *seal.Sealer, r seal.Request) (*seal.Sealed, error) {
	ctx := context.Background()
	p, err := s.Prepare(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := p.Sign(ctx, &keySigner{key: w.signer.key}); err != nil {
		return nil, err
	}
	return p.Finish(ctx)
}

func unsignedFiles(t *testing.T) map[string][]byte {
	paths, err := filepath.Glob(filepath.Join(testenv.Corpus(t, "ofd/unsigned"), "*.ofd"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d unsigned files, %v", len(paths), err)
	}
	files := map[string][]byte{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(p)] = data
	}
	return files
}

// TestEveryUnsignedFileCanBeSealedThreeTimesAndVerifies seals each real file
// with one seal after the other, the last one locking it, and checks with the
// standard library that whatever a seal does not change stays as it was.
func TestEveryUnsignedFileCanBeSealedThreeTimesAndVerifies(t *testing.T) {
	w := newWorld(t)
	s := w.sealer()
	for name, data := range unsignedFiles(t) {
		t.Run(name, func(t *testing.T) {
			before := data
			for round := range 3 {
				r := w.request(before)
				r.Position.X -= 45 * float64(round)
				r.Lock = round == 2
				out, err := w.seal(s, r)
				if err != nil {
					t.Fatal(err)
				}
				report := verify(t, w.anchors, out.Document, seal.Options{At: worldNow, Strict: true})
				if report.Indication != seal.Valid || len(report.Signatures) != round+1 || len(report.Uncovered) != 0 {
					t.Fatalf("seal %d: %s %v %v", round+1, report.Indication, report.Uncovered, codesOf(report))
				}
				changed := []string{"Signatures.xml"}
				if round == 0 {
					changed = append(changed, "OFD.xml")
				}
				untouchedEntriesAreIdentical(t, before, out.Document, changed...)
				before = out.Document
			}
			if _, err := w.seal(s, w.request(before)); code(err) != seal.CodeSealLocked {
				t.Errorf("a locked document: %v", err)
			}
		})
	}
}

func untouchedEntriesAreIdentical(t *testing.T, before, after []byte, changed ...string) {
	t.Helper()
	stored := func(data []byte) map[string]string {
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, f := range z.File {
			r, err := f.OpenRaw()
			if err != nil {
				t.Fatal(err)
			}
			b, _ := io.ReadAll(r)
			all[f.Name] = f.Modified.String() + string(f.Extra) + string(b)
		}
		return all
	}
	old, now := stored(before), stored(after)
next:
	for name, content := range old {
		for _, c := range changed {
			if strings.HasSuffix(name, c) {
				continue next
			}
		}
		if now[name] != content {
			t.Errorf("%s changed", name)
		}
	}
}

// code is the code of an error, "" without one.
func code(err error) string {
	var c interface{ Code() string }
	if errors.As(err, &c) {
		return c.Code()
	}
	return ""
}

// TestSealerRefusesWithItsCode lists every reason not to seal; none of them may
// ask the key.
func TestSealerRefusesWithItsCode(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	good := zipOf(t, blank().files...)
	tampered := blank()
	w.apply(tampered, 0, sealing{})
	tampered.edit(t, "Doc_0/Pages/Page_0/Content.xml", "一百元", "九百元")
	broken := blank()
	broken.set("Doc_0/Pages/Page_0/Content.xml", "<x>")
	nowhere := blank()
	nowhere.set("Doc_0/Document.xml", strings.Replace(nowhere.get("Doc_0/Document.xml"), "<ofd:PhysicalBox>0 0 210 297</ofd:PhysicalBox>", "", 1))
	plain := blank() // blank names a list of signatures that does not exist
	plain.edit(t, "OFD.xml", "<ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures>", "")
	nowhere.set("OFD.xml", plain.get("OFD.xml"))
	usable := zipOf(t, plain.files...)
	at := func(page int, x, y float64) func(*seal.Request) {
		return func(r *seal.Request) { r.Position = seal.Position{Page: page, X: x, Y: y} }
	}
	for _, c := range []struct {
		name   string
		change func(*seal.Request)
		want   string
	}{
		{"nothing wrong", func(*seal.Request) {}, ""},
		{"corner", at(1, 20, 20), ""},
		{"opposite corner", at(1, 190, 277), ""},
		{"no document", func(r *seal.Request) { r.Document = nil }, seal.CodeSealDocument},
		{"no OFD", func(r *seal.Request) { r.Document = zipOf(t, file{"a", "b"}) }, seal.CodeSealDocument},
		{"rubbish", func(r *seal.Request) { r.Document = []byte("%PDF-1.7") }, seal.CodeSealDocument},
		{"broken page", func(r *seal.Request) { r.Document = zipOf(t, broken.files...) }, seal.CodeSealDocument},
		{"missing list of signatures", func(r *seal.Request) { r.Document = good }, seal.CodeSealDocument},
		{"existing seal broken", func(r *seal.Request) { r.Document = zipOf(t, tampered.files...) }, seal.CodeSealExisting},
		{"page 0", at(0, 100, 100), seal.CodeSealPosition},
		{"page 2 of 1", at(2, 100, 100), seal.CodeSealPosition},
		{"over the left edge", at(1, 19.9, 100), seal.CodeSealPosition},
		{"over the right edge", at(1, 190.1, 100), seal.CodeSealPosition},
		{"over the top", at(1, 100, 19.9), seal.CodeSealPosition},
		{"over the bottom", at(1, 100, 277.1), seal.CodeSealPosition},
		{"page without size", func(r *seal.Request) { r.Document = zipOf(t, nowhere.files...) }, seal.CodeSealPosition},
		{"no seal", func(r *seal.Request) { r.Seal = nil }, seal.CodeSealInactive},
		{"seal with a byte behind", func(r *seal.Request) { r.Seal = append(bytes.Clone(r.Seal), 0) }, seal.CodeSealInactive},
		{"forged seal", func(r *seal.Request) { r.Seal = bytes.Replace(r.Seal, []byte("审批"), []byte("市长"), 1) }, seal.CodeSealInactive},
		{"seal not yet valid", func(r *seal.Request) { r.At = worldBegins }, seal.CodeSealInactive},
		{"seal expired", func(r *seal.Request) { r.At = worldEnds.AddDate(0, 0, 1) }, seal.CodeSealInactive},
		{"signer not in seal", func(r *seal.Request) { r.SignerCert = other.signer.Raw }, seal.CodeSealSigner},
		{"signer certificate unreadable", func(r *seal.Request) { r.SignerCert = []byte{0x30, 0} }, seal.CodeSealSigner},
		{"signer expired", func(r *seal.Request) {
			r.Seal = w.makeSeal(func(i *ses.SealInfo) { i.Property.NotAfter = worldEnds.AddDate(5, 0, 0) })
			r.At = worldEnds.AddDate(1, 0, 0)
		}, seal.CodeSealSigner},
		{"maker seals himself", func(r *seal.Request) {
			r.SignerCert = w.maker.Raw
			r.Seal = w.makeSeal(func(i *ses.SealInfo) { i.Property.Certs = [][]byte{w.maker.Raw} })
		}, seal.CodeSealSigner},
	} {
		r := w.request(usable)
		c.change(&r)
		p, err := w.sealer().Prepare(context.Background(), r)
		if code(err) != c.want || (err == nil) != (p != nil) && c.want == "" {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
		if err != nil {
			var public interface{ Public() (string, string) }
			if !errors.As(err, &public) {
				t.Errorf("%s: nothing to tell the person who asked", c.name)
			}
		}
	}
}

func TestOnlyGBT38540SealsAreApplied(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"minted/sealV1.esl", "minted/sealV5.esl"} {
		r := w.request(corpusFile(t, "unsigned/helloworld.ofd"))
		r.Seal = corpusFile(t, name)
		if _, err := w.sealer().Prepare(context.Background(), r); code(err) != seal.CodeSealInactive {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDocumentsOfOthersTakeASealUnlessLockedOrInvalid(t *testing.T) {
	w := newWorld(t)
	for name, want := range map[string]string{
		"minted/v4open.ofd":                    "",
		"minted/v4.ofd":                        seal.CodeSealLocked,
		"minted/cms.ofd":                       seal.CodeSealLocked,
		"sealed/ofdrw-locked.ofd":              seal.CodeSealLocked,
		"sealed/kinggrid-ofdxml-uncovered.ofd": "",
		"sealed/gomain-v4.ofd":                 "",
		"sealed/ofdrw-post-lock-change.ofd":    seal.CodeSealExisting,
		"sealed/gomain-two-seals-edited.ofd":   seal.CodeSealExisting,
		"sealed/ofdrw-bare-sm2.ofd":            seal.CodeSealExisting,
		"sealed/dms360-nonstandard.ofd":        seal.CodeSealExisting,
		"sealed/ofdrw-expired-seal.ofd":        seal.CodeSealExisting,
	} {
		r := w.request(corpusFile(t, name))
		r.Position.X, r.Position.Y = 80, 60
		r.At = worldBegins.AddDate(1, 0, 0) // the minted files were sealed in November 2026
		_, err := w.seal(w.sealer(), r)
		if code(err) != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

func TestASealingIsSignedOnceAndFinishedOnce(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	k := &keySigner{key: w.signer.key}
	p, err := w.sealer().Prepare(ctx, w.request(corpusFile(t, "unsigned/helloworld.ofd")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(ctx); code(err) != seal.CodeSealApproval {
		t.Errorf("finished before it was signed: %v", err)
	}
	if err := p.Sign(ctx, k); err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(ctx, k); code(err) != seal.CodeSealApproval {
		t.Errorf("signed twice: %v", err)
	}
	if _, err := p.Finish(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Finish(ctx); code(err) != seal.CodeSealApproval {
		t.Errorf("finished twice: %v", err)
	}
	if len(k.asked) != 1 || !bytes.Equal(k.asked[0], p.TBS()) {
		t.Errorf("the key was asked %d times", len(k.asked))
	}
}

func TestAFailedSignatureSpendsTheSealing(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	down := errors.New("key engine is down")
	k := &keySigner{key: w.signer.key, fail: down}
	p, err := w.sealer().Prepare(ctx, w.request(corpusFile(t, "unsigned/helloworld.ofd")))
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Sign(gone, k); !errors.Is(err, context.Canceled) || len(k.asked) != 0 {
		t.Errorf("a caller who has gone: %v, asked %d times", err, len(k.asked))
	}
	if err := p.Sign(ctx, k); !errors.Is(err, down) {
		t.Fatal(err)
	}
	k.fail = nil
	if err := p.Sign(ctx, k); code(err) != seal.CodeSealApproval {
		t.Errorf("asked again after a failure: %v", err)
	}
	if _, err := p.Finish(ctx); code(err) != seal.CodeSealApproval {
		t.Errorf("finished after a failure: %v", err)
	}
}

func TestASignatureOfAnotherKeyIsNotHandedOut(t *testing.T) {
	w, other := newWorld(t), newWorld(t)
	ctx := context.Background()
	for name, sign := range map[string]func([]byte) ([]byte, error){
		"another key":    other.signer.key.Sign,
		"another text":   func([]byte) ([]byte, error) { return w.signer.key.Sign([]byte("x")) },
		"no signature":   func([]byte) ([]byte, error) { return nil, nil },
		"raw signature":  func([]byte) ([]byte, error) { return make([]byte, 64), nil },
		"trailing bytes": func(b []byte) ([]byte, error) { sig, err := w.signer.key.Sign(b); return append(sig, 0), err },
	} {
		p, err := w.sealer().Prepare(ctx, w.request(corpusFile(t, "unsigned/helloworld.ofd")))
		if err != nil {
			t.Fatal(err)
		}
		err = p.Sign(ctx, signFunc(sign))
		if err == nil {
			var out *seal.Sealed
			if out, err = p.Finish(ctx); out != nil {
				t.Errorf("%s: a document was handed out", name)
			}
		}
		if code(err) != seal.CodeSealKey {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type signFunc func([]byte) ([]byte, error)

func (f signFunc) SignTBS(_ context.Context, tbs []byte) ([]byte, error) { return f(tbs) }

// TestWhatWasPreparedCannotBeSwapped changes the caller's buffers after Prepare.
func TestWhatWasPreparedCannotBeSwapped(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	r := w.request(bytes.Clone(corpusFile(t, "unsigned/helloworld.ofd")))
	original := bytes.Clone(r.Document)
	p, err := w.sealer().Prepare(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	if b := p.Binding(); b.DocumentSM3 != gm.SM3(original) || b.SealSM3 != gm.SM3(r.Seal) || b.SealID != "22010000000001" || b.Position != r.Position || !b.At.Equal(signedAt) {
		t.Errorf("bound to %+v", b)
	}
	for _, b := range [][]byte{r.Document, r.Seal, r.SignerCert, p.TBS()} {
		clear(b)
	}
	w2 := &keySigner{key: w.signer.key}
	if err := p.Sign(ctx, w2); err != nil {
		t.Fatal(err)
	}
	out, err := p.Finish(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if report := verify(t, w.anchors, out.Document, seal.Options{At: worldNow}); report.Indication != seal.Valid {
		t.Errorf("%v", codesOf(report))
	}
	untouchedEntriesAreIdentical(t, original, out.Document, "OFD.xml")
}

func TestSealingWithoutTrustIsPossibleAndIndeterminate(t *testing.T) {
	w := newWorld(t)
	out, err := w.seal(seal.NewSealer(seal.SealerConfig{}), w.request(corpusFile(t, "unsigned/helloworld.ofd")))
	if err != nil {
		t.Fatal(err)
	}
	if out.Report.Indication != seal.Indeterminate {
		t.Errorf("%s: %v", out.Report.Indication, codesOf(out.Report))
	}
}

func TestSealingIsDeterministicButForTheSignature(t *testing.T) {
	w := newWorld(t)
	r := w.request(corpusFile(t, "unsigned/invoice.ofd"))
	var first []byte
	for range 2 {
		p, err := w.sealer().Prepare(context.Background(), r)
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, p.TBS()) {
			t.Error("two preparations of one request differ")
		}
		first = p.TBS()
	}
}
