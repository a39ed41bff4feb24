package wire_test

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/keytest"
	"github.com/sealgate/sealgate/keys/wire"
)

func TestPackedListsComeBackWhateverTheirSize(t *testing.T) {
	for _, sizes := range [][]int{nil, {0}, {1}, {0, 0, 0}, {127, 128, 129}, {16384}, {3 << 20}, {wire.MaxChunk * 3 / 4}, {wire.MaxChunk*3/4 + 1, 5}} {
		var items [][]byte
		for i, n := range sizes {
			items = append(items, bytes.Repeat([]byte{byte(i + 1)}, n))
		}
		chunks := wire.Pack(items)
		for _, c := range chunks {
			if len(c) > wire.MaxChunk {
				t.Errorf("%v: a piece of %d bytes", sizes, len(c))
			}
		}
		got, err := wire.Unpack(chunks, len(items)+1, 4<<20)
		if err != nil || !slices.EqualFunc(got, items, bytes.Equal) {
			t.Errorf("%v: %v", sizes, err)
		}
	}
}

func TestWhatItemsShareTravelsOnce(t *testing.T) {
	seal := bytes.Repeat([]byte("picture "), 4<<10)
	var items [][]byte
	for i := range 16 {
		items = append(items, fmt.Appendf(nil, "begin %s digest-%02d, time %02d end", seal, i, 60-i))
	}
	items = append(items, items[0], items[0][:7], nil, items[0])
	chunks := wire.Pack(items)
	if n := len(strings.Join(chunks, "")); n > 3*len(seal) {
		t.Errorf("%d bytes for %d items of %d", n, len(items), len(seal))
	}
	got, err := wire.Unpack(chunks, len(items), 1<<20)
	if err != nil || !slices.EqualFunc(got, items, bytes.Equal) {
		t.Errorf("%v", err)
	}
	got[0][6] ^= 1 // each has memory of its own
	if !bytes.Equal(got[16], items[0]) {
		t.Error("items share memory")
	}
}

func TestAShortListThatWouldBecomeHugeIsRefused(t *testing.T) {
	item := make([]byte, wire.MaxList/8)
	eight := wire.Pack(slices.Repeat([][]byte{item}, 8))
	if _, err := wire.Unpack(eight, 256, 4<<20); err != nil {
		t.Errorf("as much as is allowed: %v", err)
	}
	nine := wire.Pack(slices.Repeat([][]byte{item}, 9))
	if _, err := wire.Unpack(nine, 256, 4<<20); !errors.Is(err, wire.ErrForm) {
		t.Errorf("%d bytes of text for more than %d: %v", len(strings.Join(nine, "")), wire.MaxList, err)
	}
}

func TestUnpackRefusesListsBeyondItsLimits(t *testing.T) {
	three := wire.Pack([][]byte{{1}, {2, 2}, {3}})
	if _, err := wire.Unpack(three, 2, 10); !errors.Is(err, wire.ErrForm) {
		t.Errorf("three where two are allowed: %v", err)
	}
	if _, err := wire.Unpack(three, 3, 1); !errors.Is(err, wire.ErrForm) {
		t.Errorf("two bytes where one is allowed: %v", err)
	}
	for _, raw := range [][]byte{{1}, {0, 0}, {0, 0, 1}, {0, 0, 2, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1, 9, 1, 1, 0}, {0x80}, {0, 0, 0x80},
		{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, {0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}} {
		if got, err := wire.Unpack([]string{base64.StdEncoding.EncodeToString(raw)}, 8, 1<<20); !errors.Is(err, wire.ErrForm) {
			t.Errorf("%x: %v %v", raw, got, err)
		}
	}
	if _, err := wire.Unpack([]string{string(make([]byte, 1<<20))}, 1, 10); !errors.Is(err, wire.ErrForm) {
		t.Errorf("long text: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(wire.Pack([][]byte{{1, 2}, nil, {3}})[0])
	f.Add("gA==")
	f.Add(wire.Pack([][]byte{[]byte("abcdef"), []byte("abXdef"), []byte("abdef"), []byte("ab")})[0])
	f.Fuzz(func(t *testing.T, text string) {
		var parts [][]byte
		if text != "" {
			parts = bytes.Split([]byte(text), []byte{text[0]})
		}
		if back, err := wire.Unpack(wire.Pack(parts), len(parts), len(text)); err != nil || !slices.EqualFunc(back, parts, bytes.Equal) {
			t.Fatalf("%q: %v", parts, err)
		}
		items, err := wire.Unpack([]string{text}, 16, 64)
		if err != nil {
			return
		}
		again, err := wire.Unpack(wire.Pack(items), 16, 64)
		if err != nil || !slices.EqualFunc(again, items, bytes.Equal) {
			t.Fatalf("%v", err)
		}
	})
}

func TestEveryRefusalKeepsItsCodeAndText(t *testing.T) {
	for _, e := range keys.Errors() {
		err := fmt.Errorf("install: %w: detail: more", e)
		for _, text := range []string{wire.ErrorText(err), "1 error occurred:\n\t* " + wire.ErrorText(err) + "\n\n"} {
			got := wire.ParseError(text)
			if !errors.Is(got, e) || got.Error() != err.Error() {
				t.Errorf("%s: %v", e.Code(), got)
			}
			var coded interface{ Code() string }
			if !errors.As(got, &coded) || coded.Code() != e.Code() {
				t.Errorf("%s: code", e.Code())
			}
		}
	}
	if wire.ErrorText(errors.New("disk on fire")) != "" {
		t.Error("a fault has become a refusal")
	}
	for _, text := range []string{"", "permission denied", "SG-KEY-NONE: x", "SG-KEY-CLOCK"} {
		if err := wire.ParseError(text); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func sample(t testing.TB) keys.Info {
	t.Helper()
	clock := keytest.NewClock()
	out := keytest.NewOutside(t, clock)
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	k2, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return keys.Info{Name: "seal-rs", Purpose: keys.Seal, State: keys.Disabled, Created: clock.Now(), DisabledAt: clock.Now().Add(time.Hour),
		DestroyFrom: clock.Now().Add(2 * time.Hour), Live: 1, Versions: []keys.Version{
			{Number: 1, State: keys.Live, Created: clock.Now(), Public: k.Public(), Certificate: out.Certify(k.Public()), Chain: []*gm.Certificate{out.Root}},
			{Number: 2, State: keys.Pending, Created: clock.Now(), Public: k2.Public()},
		}}
}

func TestInfoComesBackThroughJSON(t *testing.T) {
	want := sample(t)
	m, err := wire.FromInfo(want).Map()
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var w wire.Info
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	got, err := w.Info()
	if err != nil {
		t.Fatal(err)
	}
	same := cmp.Options{cmp.Comparer(func(a, b *gm.PublicKey) bool { return a.Equal(b) }),
		cmp.Comparer(func(a, b *gm.Certificate) bool { return a == b || a.Equal(b) })}
	if diff := cmp.Diff(want, got, same); diff != "" {
		t.Error(diff)
	}
}

func TestAnInfoThatContradictsItselfIsRefused(t *testing.T) {
	info := sample(t)
	for name, change := range map[string]func(*wire.Info){
		"name":                    func(i *wire.Info) { i.Name = "Up" },
		"purpose":                 func(i *wire.Info) { i.Purpose = "tls" },
		"state":                   func(i *wire.Info) { i.State = "" },
		"no versions":             func(i *wire.Info) { i.Versions, i.Live = nil, 0 },
		"live is another":         func(i *wire.Info) { i.Live = 2 },
		"live is none":            func(i *wire.Info) { i.Live = 0 },
		"live is beyond":          func(i *wire.Info) { i.Live = 3 },
		"numbers out of order":    func(i *wire.Info) { i.Versions[1].Number = 3 },
		"version state":           func(i *wire.Info) { i.Versions[1].State = "active" },
		"fingerprint":             func(i *wire.Info) { i.Versions[0].Fingerprint[0] ^= 1 },
		"public key":              func(i *wire.Info) { i.Versions[0].PublicKey = "x" },
		"certificate of another":  func(i *wire.Info) { i.Versions[1].Certificate = i.Versions[0].Certificate },
		"two certificates in one": func(i *wire.Info) { i.Versions[0].Certificate += i.Versions[0].Certificate },
		"rubbish in the chain":    func(i *wire.Info) { i.Versions[0].Chain = []string{"x"} },
	} {
		w := wire.FromInfo(info)
		change(&w)
		if _, err := w.Info(); !errors.Is(err, wire.ErrForm) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASubjectThatCannotTravelIsRefusedNotCut(t *testing.T) {
	n := pkix.Name{CommonName: "章", SerialNumber: "1", Country: []string{"CN"}, Province: []string{"吉林"}, Locality: []string{"长春"},
		Organization: []string{"省厅"}, OrganizationalUnit: []string{"处"}, StreetAddress: []string{"街"}, PostalCode: []string{"130000"}}
	s, err := wire.FromName(n)
	if err != nil || s.Name().String() != n.String() {
		t.Errorf("%v %v", s, err)
	}
	n.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{1, 2, 3}, Value: "x"}}
	if _, err := wire.FromName(n); !errors.Is(err, keys.ErrRequest) {
		t.Error(err)
	}
}

// What can be read comes back the same when it is written and read again.
func FuzzInfo(f *testing.F) {
	m, err := wire.FromInfo(sample(f)).Map()
	if err != nil {
		f.Fatal(err)
	}
	data, err := json.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"name":"a","purpose":"seal","state":"active","live":0,"versions":[{}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var w wire.Info
		if json.Unmarshal(data, &w) != nil {
			return
		}
		info, err := w.Info()
		if err != nil {
			return
		}
		again, err := wire.FromInfo(info).Info()
		if err != nil || again.Name != info.Name || len(again.Versions) != len(info.Versions) || again.Live != info.Live {
			t.Fatalf("%+v %v", again, err)
		}
	})
}
