package seal_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/seal"
)

// sameFiles reports whether two packages hold the same files.
func sameFiles(t testing.TB, a, b []byte) bool {
	t.Helper()
	return slices.Equal(unzip(t, a).files, unzip(t, b).files)
}

func TestAFlippedByteIsNoticedOrChangesNoContent(t *testing.T) {
	w := newWorld(t)
	d := blank()
	w.apply(d, 0, sealing{lock: true})
	good := zipOf(t, d.files...)
	v := seal.NewVerifier(seal.VerifierConfig{Trust: w.anchors})
	valid := 0
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		r := v.Verify(context.Background(), "a", bad, seal.Options{At: worldNow})
		if r.Indication != seal.Valid {
			continue
		}
		if valid++; !sameFiles(t, good, bad) {
			t.Errorf("byte %d changed a file, and the package is valid", i)
		}
	}
	if valid == len(good) {
		t.Error("nothing was noticed")
	}
}

// FuzzVerify asserts that every input gets a well-formed report, and that a
// package is valid only when it shows exactly what was sealed.
func FuzzVerify(f *testing.F) {
	w := newSeededWorld(f, "fuzz")
	d := blank()
	w.apply(d, 0, sealing{lock: true})
	open := blank()
	w.apply(open, 0, sealing{})
	w.apply(open, 1, sealing{cms: true})
	f.Add(zipOf(f, d.files...))
	f.Add(zipOf(f, open.files...))
	f.Add(w.makeSeal(nil))
	f.Add([]byte("%PDF-1.7"))
	original := blank()
	f.Fuzz(func(t *testing.T, data []byte) {
		r := verify(t, w.anchors, data, seal.Options{At: worldNow})
		if r.Indication != seal.Valid {
			return
		}
		switch r.Format {
		case seal.FormatOFD:
			found := unzip(t, data)
			for _, x := range found.files {
				if !strings.HasPrefix(x.name, "Doc_0/Signs/") && original.get(x.name) != x.data {
					t.Fatalf("%s was added or changed, and the package is valid", x.name)
				}
			}
			for _, x := range original.files {
				if found.get(x.name) == "" {
					t.Fatalf("%s is missing, and the package is valid", x.name)
				}
			}
		case seal.FormatSeal:
		default:
			t.Fatalf("%s is valid", r.Format)
		}
	})
}
