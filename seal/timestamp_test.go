package seal_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/seal"
)

// stamper is a Timestamper from a function.
type stamper func(ctx context.Context, sig []byte) ([]byte, error)

func (s stamper) Stamp(ctx context.Context, sig []byte) ([]byte, error) { return s(ctx, sig) }

func TestASealedDocumentCarriesItsTimestamp(t *testing.T) {
	w := newWorld(t)
	tsa := w.authority()
	for name, wrap := range map[string]func([]byte) []byte{"token": func(b []byte) []byte { return b }, "whole response": func(b []byte) []byte { return responseOf(t, b) }} {
		s := seal.NewSealer(seal.SealerConfig{Verifier: seal.NewVerifier(w.everybody()), RequireTimestamp: true,
			Timestamps: stamper(func(_ context.Context, sig []byte) ([]byte, error) {
				return wrap(w.stamp(tsa, sig, signedAt.Add(2*time.Second))), nil
			})})
		out, err := w.seal(s, w.request(unsigned(t)))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r := seal.NewVerifier(w.everybody()).Verify(t.Context(), "x", out.Document, seal.Options{At: worldEnds.AddDate(5, 0, 0)})
		if r.Indication != seal.Valid || r.Signatures[0].TimeSource != seal.TimeStamped || out.TimestampError != nil {
			t.Errorf("%s: %s %v %v", name, r.Indication, r.Problems(), out.TimestampError)
		}
	}
}

func TestWithoutARequiredTimestampNothingIsSealed(t *testing.T) {
	w := newWorld(t)
	tsa, stranger := w.authority(), newWorld(t)
	down := errors.New("connection refused")
	faults := map[string]stamper{
		"down":             func(context.Context, []byte) ([]byte, error) { return nil, down },
		"nothing":          func(context.Context, []byte) ([]byte, error) { return nil, nil },
		"rubbish":          func(context.Context, []byte) ([]byte, error) { return []byte("rubbish"), nil },
		"of another value": func(context.Context, []byte) ([]byte, error) { return w.stamp(tsa, []byte("x"), signedAt), nil },
		"of a stranger": func(_ context.Context, s []byte) ([]byte, error) {
			return w.stamp(stranger.authority(), s, signedAt), nil
		},
		"of a signer": func(_ context.Context, s []byte) ([]byte, error) { return w.stamp(w.signer, s, signedAt), nil },
		"of last week": func(_ context.Context, s []byte) ([]byte, error) {
			return w.stamp(tsa, s, signedAt.AddDate(0, 0, -7)), nil
		},
		"of next week": func(_ context.Context, s []byte) ([]byte, error) {
			return w.stamp(tsa, s, signedAt.AddDate(0, 0, 7)), nil
		},
		"of a refusing one":  func(context.Context, []byte) ([]byte, error) { return refusal(t), nil },
		"with a broken sign": func(_ context.Context, s []byte) ([]byte, error) { return spoilt(w.stamp(tsa, s, signedAt)), nil },
	}
	document := unsigned(t)
	for name, f := range faults {
		config := seal.SealerConfig{Verifier: seal.NewVerifier(w.everybody()), Timestamps: f, RequireTimestamp: true}
		out, err := w.seal(seal.NewSealer(config), w.request(document))
		if out != nil || code(err) != seal.CodeSealTimestamp {
			t.Errorf("%s, required: %v", name, err)
		}
		if name == "down" && !errors.Is(err, down) {
			t.Errorf("the cause is lost: %v", err)
		}
		config.RequireTimestamp = false
		var told error
		config.OnUnstamped = func(b seal.Binding, why error) { told = why }
		out, err = w.seal(seal.NewSealer(config), w.request(document))
		if err != nil {
			t.Fatalf("%s, wished for: %v", name, err)
		}
		if out.TimestampError == nil || told != out.TimestampError || out.Report.Signatures[0].TimeSource != seal.TimeClaimed || !out.Report.Has("W_TS_ABSENT") {
			t.Errorf("%s: a token that is none was written: %v", name, out.Report.Signatures[0].TimeSource)
		}
	}
}

func TestARequiredTimestampWithoutAnAuthorityIsRefusedBeforeAnyKeyIsAsked(t *testing.T) {
	w := newWorld(t)
	s := seal.NewSealer(seal.SealerConfig{RequireTimestamp: true})
	if p, err := s.Prepare(t.Context(), w.request(unsigned(t))); p != nil || code(err) != seal.CodeSealTimestamp {
		t.Errorf("%v", err)
	}
	// An authority that is no anchor of the sealer's verifier is as good as none.
	tsa := w.authority()
	s = seal.NewSealer(seal.SealerConfig{RequireTimestamp: true, Timestamps: stamper(func(_ context.Context, sig []byte) ([]byte, error) { return w.stamp(tsa, sig, signedAt), nil })})
	if out, err := w.seal(s, w.request(unsigned(t))); out != nil || code(err) != seal.CodeSealTimestamp {
		t.Errorf("without anchors: %v", err)
	}
}

func TestACallerThatGivesUpGetsNoDocument(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	s := seal.NewSealer(seal.SealerConfig{Verifier: seal.NewVerifier(w.everybody()), Timestamps: stamper(func(context.Context, []byte) ([]byte, error) {
		cancel()
		return nil, errors.New("too slow")
	})})
	p, err := s.Prepare(ctx, w.request(unsigned(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Sign(ctx, &keySigner{key: w.signer.key}); err != nil {
		t.Fatal(err)
	}
	if out, err := p.Finish(ctx); out != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// unsigned is the blank package without a word of signatures.
func unsigned(t testing.TB) []byte {
	d := blank()
	d.edit(t, "OFD.xml", "<ofd:Signatures>/Doc_0/Signs/Signatures.xml</ofd:Signatures>", "")
	return zipOf(t, d.files...)
}
