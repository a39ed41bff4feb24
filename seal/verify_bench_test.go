package seal_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// sealedSample is corpus/ofd/unsigned/z.ofd (39 KiB) with a seal of ordinary
// size.
func sealedSample(b *testing.B, w *world) []byte {
	d := unzip(b, corpusFile(b, "unsigned/z.ofd"))
	if !strings.Contains(d.get("OFD.xml"), "Signatures") {
		d.edit(b, "OFD.xml", "</ofd:DocBody>", "<ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures></ofd:DocBody>")
	}
	picture := corpusFile(b, "seals/StampImg.png")
	w.apply(d, 0, sealing{seal: w.makeSeal(func(i *ses.SealInfo) { i.Picture.Data = picture })})
	return zipOf(b, d.files...)
}

// BenchmarkVerify measures one core, warm: the verifier is made once. Beside it
// stands the floor: SM3 of every unpacked byte, and three SM2 verifications
// (document, seal, and one certificate that the chain cache makes unnecessary).
func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	data := sealedSample(b, w)
	v := seal.NewVerifier(seal.VerifierConfig{Trust: w.anchors})
	o := seal.Options{At: worldNow}
	if r := v.Verify(context.Background(), "z.ofd", data, o); r.Indication != seal.Valid {
		b.Fatalf("%s: %v", r.Indication, r.Problems())
	}
	var unpacked [][]byte
	for _, f := range unzip(b, data).files {
		unpacked = append(unpacked, []byte(f.data))
	}
	message := make([]byte, 16<<10)
	sig, err := w.signer.key.Sign(message)
	if err != nil {
		b.Fatal(err)
	}
	floor := func() {
		for _, u := range unpacked {
			gm.SM3(u)
		}
		for range 3 {
			if err := w.signer.PublicKey.Verify(message, sig); err != nil {
				b.Fatal(err)
			}
		}
	}
	verify := func() {
		if v.Verify(context.Background(), "z.ofd", data, o).Indication != seal.Valid {
			b.Fatal("not valid")
		}
	}
	b.Run("z.ofd", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			verify()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "docs/s")
	})
	b.Run("distance", func(b *testing.B) { // one after the other, so that other load hits both alike
		var ours, least time.Duration
		for b.Loop() {
			begin := time.Now()
			verify()
			middle := time.Now()
			floor()
			ours, least = ours+middle.Sub(begin), least+time.Since(middle)
		}
		b.ReportMetric(float64(ours.Microseconds())/float64(b.N), "verify-µs")
		b.ReportMetric(float64(least.Microseconds())/float64(b.N), "floor-µs")
		b.ReportMetric(float64(ours)/float64(least), "x-floor")
	})
}
