package seal_test

import (
	"context"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ses"
)

// BenchmarkSealZ seals corpus/ofd/unsigned/z.ofd (39 KiB, 110 KiB unpacked) with
// a seal of ordinary size: all checks, the rehearsal, one signature, and the
// verification of the result. Beside it stands the floor: SM3 of every unpacked
// byte, and one SM2 signature. The goal is 615 documents a second on one core.
func BenchmarkSealZ(b *testing.B) {
	w := newWorld(b)
	ctx := context.Background()
	picture := corpusFile(b, "seals/StampImg.png")
	r := w.request(corpusFile(b, "unsigned/z.ofd"))
	r.Seal = w.makeSeal(func(i *ses.SealInfo) { i.Picture.Data = picture })
	s := w.sealer()
	signer := &keySigner{key: w.signer.key}

	var unpacked [][]byte
	for _, f := range unzip(b, r.Document).files {
		unpacked = append(unpacked, []byte(f.data))
	}
	message := make([]byte, 16<<10)
	floor := func() {
		for _, u := range unpacked {
			gm.SM3(u)
		}
		if _, err := w.signer.key.Sign(message); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("floor", func(b *testing.B) {
		for b.Loop() {
			floor()
		}
	})
	b.Run("z.ofd", func(b *testing.B) {
		b.ReportAllocs()
		begin := time.Now()
		for b.Loop() {
			signer.asked = nil
			p, err := s.Prepare(ctx, r)
			if err == nil {
				err = p.Sign(ctx, signer)
			}
			var out *seal.Sealed
			if err == nil {
				out, err = p.Finish(ctx)
			}
			if err != nil || out.Report.Indication != seal.Valid {
				b.Fatal(err)
			}
		}
		each := time.Since(begin) / time.Duration(b.N)
		begin = time.Now()
		const rounds = 50
		for range rounds {
			floor()
		}
		b.ReportMetric(float64(each)/float64(time.Since(begin)/rounds), "x-floor")
		b.ReportMetric(1/each.Seconds(), "docs/s")
	})
}
