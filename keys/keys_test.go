package keys_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

func TestNamesOutsideTheAlphabetAreRefused(t *testing.T) {
	for _, good := range []string{"a", "0", "seal-rs", "a-", strings.Repeat("a", 63)} {
		if n, err := keys.ParseName(good); err != nil || string(n) != good {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "-a", "A", "a/b", "a.b", "..", "章", "a b", "a\x00", strings.Repeat("a", 64)} {
		if _, err := keys.ParseName(bad); !errors.Is(err, keys.ErrName) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The right to publish revocation is the smaller half of x509, and of no other.
func TestEveryPurposeSignsExactlyOneTypeAndNoTwoShareOne(t *testing.T) {
	seen := map[keys.Type]keys.Purpose{}
	for _, p := range keys.Purposes() {
		if q, err := keys.ParsePurpose(string(p)); err != nil || q != p {
			t.Errorf("%s: %v", p, err)
		}
		n := 0
		for _, ty := range keys.Types() {
			if ty == keys.TypeRevocation {
				if p.Allows(ty) != p.Allows(keys.TypeX509) {
					t.Errorf("%s and revocation", p)
				}
				continue
			}
			if p.Allows(ty) {
				n++
				if other, ok := seen[ty]; ok {
					t.Errorf("%s and %s both sign %s", p, other, ty)
				}
				seen[ty] = p
			}
		}
		if n != 1 {
			t.Errorf("%s signs %d types", p, n)
		}
	}
	if keys.Purpose("").Allows("") || keys.Purpose("tls").Signs() != "" {
		t.Error("an unknown purpose signs something")
	}
	if _, err := keys.ParsePurpose("tls"); !errors.Is(err, keys.ErrPurpose) {
		t.Error("there is no purpose tls")
	}
	if _, err := keys.ParseType("raw"); !errors.Is(err, keys.ErrType) {
		t.Error("there is no type raw")
	}
}

func TestEveryErrorHasItsOwnCode(t *testing.T) {
	seen := map[string]bool{}
	for _, e := range keys.Errors() {
		if !strings.HasPrefix(e.Code(), "SG-KEY-") || seen[e.Code()] || e.Error() == "" {
			t.Errorf("%q %q", e.Code(), e.Error())
		}
		seen[e.Code()] = true
	}
}

// faulty answers with what it is told to.
type faulty struct{ answer keys.Signature }

func (f faulty) Info(context.Context) (keys.Info, error) { return keys.Info{}, nil }
func (f faulty) Sign(context.Context, keys.Request) (keys.Signature, error) {
	return f.answer, nil
}
func (f faulty) SignBatch(context.Context, []keys.Request) ([]keys.Result, error) { return nil, nil }

func TestPinnedWithholdsAWrongSignature(t *testing.T) {
	good, _ := gm.GenerateKey()
	other, _ := gm.GenerateKey()
	msg := []byte("structure")
	right, _ := good.Sign(msg)
	wrong, _ := other.Sign(msg)
	info := keys.Info{Live: 1, Versions: []keys.Version{{Number: 1, State: keys.Live, Public: good.Public()}}}
	fp, ofp := good.Public().Fingerprint(), other.Public().Fingerprint()
	for name, c := range map[string]struct {
		s  keys.Signature
		ok bool
	}{
		"right":             {keys.Signature{Value: right, KeyVersion: 1, Fingerprint: fp}, true},
		"other key":         {keys.Signature{Value: wrong, KeyVersion: 1, Fingerprint: fp}, false},
		"other fingerprint": {keys.Signature{Value: right, KeyVersion: 1, Fingerprint: ofp}, false},
		"other version":     {keys.Signature{Value: right, KeyVersion: 2, Fingerprint: fp}, false},
		"nothing":           {keys.Signature{KeyVersion: 1, Fingerprint: fp}, false},
	} {
		p, err := keys.Pin(faulty{c.s}, info, 1)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := p.SignTBS(context.Background(), msg)
		if (err == nil) != c.ok || (!c.ok && (sig != nil || !errors.Is(err, keys.ErrFault))) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := keys.Pin(faulty{}, info, 2); !errors.Is(err, keys.ErrVersion) {
		t.Error("an unknown version was pinned")
	}
}
