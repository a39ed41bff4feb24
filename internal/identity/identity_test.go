package identity

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/internal/testenv"
)

type systemMap map[catalog.SystemID]*catalog.System

func (m systemMap) System(id catalog.SystemID) *catalog.System { return m[id] }

func (m systemMap) SystemByCertificate(sum [32]byte) *catalog.System {
	for _, s := range m {
		for _, c := range s.Certificates {
			if c == sum {
				return s
			}
		}
	}
	return nil
}

type secretMap map[string][]byte

func (m secretMap) Secret(_ context.Context, ref string) ([]byte, error) {
	if k, ok := m[ref]; ok {
		return k, nil
	}
	return nil, errors.New("store is down")
}

var testTime = time.UnixMilli(1764000000000)

const hmacKey = "synthetic-hmac-key-0123456789abcdef"

// world is a verifier with two systems: "a" has SM2 and HMAC keys, "b" has an
// SM2 key of its own.
type world struct {
	*Verifier
	systems   systemMap
	sessions  *Sessions
	sm2, sm2b *gm.PrivateKey
}

func newWorld(t testing.TB, nonces Nonces) *world {
	t.Helper()
	w := &world{sessions: NewSessions()}
	for _, k := range []**gm.PrivateKey{&w.sm2, &w.sm2b} {
		key, err := gm.GenerateKey()
		if err != nil {
			t.Fatal(err)
		}
		*k = key
	}
	w.systems = systemMap{
		"a": {ID: "a", Key: w.sm2.Public(), HMACKeyRef: "local:a", Status: catalog.Active, Certificates: [][32]byte{{1}}},
		"b": {ID: "b", Key: w.sm2b.Public(), Status: catalog.Active},
		"s": {ID: "s", Key: w.sm2.Public(), Status: catalog.Suspended},
		"x": {ID: "x", HMACKeyRef: "local:missing", Status: catalog.Active},
		"y": {ID: "y", HMACKeyRef: "local:short", Status: catalog.Active},
	}
	if nonces == nil {
		nonces = NewMemoryNonces(1000, func() time.Time { return testTime })
	}
	w.Verifier = NewVerifier(nonces, secretMap{"local:a": []byte(hmacKey), "local:short": []byte("short")}, w.sessions)
	return w
}

// signed makes the server's view of a request that the client side signed.
func signed(t testing.TB, c Credential, e Elements, at time.Time, body string) Request {
	t.Helper()
	req, err := http.NewRequest("POST", "https://gw.example:8443/pop/v1/persons?idType=111&id=220102199003070013", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := Sign(req, []byte(body), c, e, at); err != nil {
		t.Fatal(err)
	}
	return Request{Method: req.Method, Host: req.URL.Host, Path: req.URL.EscapedPath(), Query: req.URL.RawQuery, Header: req.Header, Body: []byte(body)}
}

var elements = Elements{Purpose: "失业保险金审核", Item: "11220000013544541J3000117002011", Biz: "BJ202611240001", Org: "11220000013544541J", Operator: "张三"}

func codeOf(err error) string {
	var c interface{ Code() string }
	if errors.As(err, &c) {
		return c.Code()
	}
	return fmt.Sprint(err)
}

func TestVectorsOfTheCorpusMatchExactly(t *testing.T) {
	data, err := os.ReadFile(testenv.Corpus(t, "sg1-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		HMACKey string `json:"hmac_key_utf8"`
		Private string `json:"sm2_private_key_hex"`
		Public  string `json:"sm2_public_key_hex"`
		Vectors []struct {
			Name, Method, Host, Path, Query, Body, Canonical string
			Headers                                          map[string]string
			HMAC                                             string `json:"hmac_sm3"`
			SM2                                              string `json:"sm2_example"`
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	point, _ := hex.DecodeString(file.Public)
	pub, err := gm.NewPublicKey(point)
	if err != nil {
		t.Fatal(err)
	}
	if len(file.Vectors) == 0 {
		t.Fatal("no vectors")
	}
	for _, v := range file.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			h := http.Header{}
			for k, val := range v.Headers {
				if val != "" {
					h.Set(k, val)
				}
			}
			r := Request{Method: v.Method, Host: v.Host, Path: v.Path, Query: v.Query, Header: h, Body: []byte(v.Body)}
			h.Set(HeaderSign, v.HMAC)
			c, err := parse(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := c.text.Canonical(); got != v.Canonical {
				t.Errorf("canonical text\ngot  %q\nwant %q", got, v.Canonical)
			}
			if got, err := (Credential{App: "x", HMAC: []byte(file.HMACKey)}).sign([]byte(v.Canonical)); err != nil || got != v.HMAC {
				t.Errorf("hmac: got %s, want %s", got, v.HMAC)
			}
			if Digest([]byte(v.Body)) != v.Headers["x-sg-digest"] {
				t.Errorf("digest: got %s", Digest([]byte(v.Body)))
			}
			for sign, sys := range map[string]*catalog.System{
				v.HMAC: {ID: c.system, HMACKeyRef: "k", Status: catalog.Active},
				v.SM2:  {ID: c.system, Key: pub, Status: catalog.Active},
			} {
				h.Set(HeaderSign, sign)
				verifier := NewVerifier(NewMemoryNonces(10, nil), secretMap{"k": []byte(file.HMACKey)}, nil)
				if _, err := verifier.Verify(context.Background(), systemMap{c.system: sys}, r, c.time); err != nil {
					t.Errorf("%s: %v", sign[:4], err)
				}
			}
		})
	}
}

func TestSignedRequestIsIdentifiedOnceAndNeverAgain(t *testing.T) {
	w := newWorld(t, nil)
	for auth, c := range map[Auth]Credential{AuthSM2: {App: "a", SM2: w.sm2}, AuthHMAC: {App: "a", HMAC: []byte(hmacKey)}} {
		r := signed(t, c, elements, testTime, `{"a":1}`)
		caller, err := w.Verify(context.Background(), w.systems, r, testTime)
		if err != nil {
			t.Fatalf("%s: %v", auth, err)
		}
		if caller.System.ID != "a" || caller.Auth != auth || caller.Elements != elements || !caller.Time.Equal(testTime) {
			t.Errorf("got %+v", caller)
		}
		if _, err := w.Verify(context.Background(), w.systems, r, testTime); codeOf(err) != "SG-AUTHN-REPLAY" {
			t.Errorf("%s: the second time: %v", auth, err)
		}
	}
}

func TestEveryFlippedByteOfASignedPartIsRefused(t *testing.T) {
	for _, kind := range []string{"sm2", "hmac"} {
		w := newWorld(t, nil)
		c := Credential{App: "a", SM2: w.sm2}
		if kind == "hmac" {
			c = Credential{App: "a", HMAC: []byte(hmacKey)}
		}
		good := signed(t, c, elements, testTime, `{"idCard":"220102199003070013"}`)
		n := 0
		try := func(what string, i int, r Request) {
			n++
			if caller, err := w.Verify(context.Background(), w.systems, r, testTime); err == nil {
				t.Errorf("%s: byte %d of %s was flipped and %s was identified", kind, i, what, caller.System.ID)
			}
		}
		flip := func(s string, i int) string { b := []byte(s); b[i] ^= 1; return string(b) }
		for i := range good.Method {
			r := good
			r.Method = flip(r.Method, i)
			try("method", i, r)
		}
		for i := range good.Host {
			r := good
			r.Host = flip(r.Host, i)
			try("host", i, r)
		}
		for i := range good.Path {
			r := good
			r.Path = flip(r.Path, i)
			try("path", i, r)
		}
		for i := range good.Query {
			r := good
			r.Query = flip(r.Query, i)
			try("query", i, r)
		}
		for i := range good.Body {
			r := good
			r.Body = []byte(flip(string(r.Body), i))
			try("body", i, r)
		}
		for name := range good.Header {
			v := good.Header.Get(name)
			for i := range v {
				r := good
				r.Header = good.Header.Clone()
				r.Header.Set(name, flip(v, i))
				try(name, i, r)
			}
			r := good
			r.Header = good.Header.Clone()
			r.Header.Del(name)
			try(name+" (removed)", 0, r)
		}
		for name, value := range map[string]string{HeaderBiz: "", HeaderItem: "other"} {
			r := good
			r.Header = good.Header.Clone()
			r.Header.Set(name, value)
			try(name, 0, r)
		}
		if n < 380 {
			t.Errorf("only %d variants", n)
		}
		if _, err := w.Verify(context.Background(), w.systems, good, testTime); err != nil {
			t.Errorf("%s: the unchanged request was refused afterwards: %v", kind, err)
		}
	}
}

func TestWrongFormIs400AndComesFirst(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct{ name, header, value string }{
		{"time with 12 digits", HeaderTime, "176400000000"}, {"time with 14 digits", HeaderTime, "17640000000000"}, {"time with leading zero", HeaderTime, "0764000000000"},
		{"time with sign", HeaderTime, "+764000000000"}, {"time in seconds", HeaderTime, "1764000000"}, {"no time", HeaderTime, ""},
		{"nonce too short", HeaderNonce, "AAECAwQFBgcICQoLDA0OD"}, {"nonce with padding", HeaderNonce, "AAECAwQFBgcICQoLDA0ODw=="}, {"nonce not canonical", HeaderNonce, "AAECAwQFBgcICQoLDA0ODx"}, {"nonce in standard alphabet", HeaderNonce, "++ECAwQFBgcICQoLDA0ODw"}, {"no nonce", HeaderNonce, ""},
		{"digest of another algorithm", HeaderDigest, "sha-256=GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis="}, {"digest in capitals", HeaderDigest, "SM3=GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis="}, {"digest without padding", HeaderDigest, "sm3=GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqis"},
		{"digest not canonical", HeaderDigest, "sm3=GrIdg1XPoX+OYRlIMegajyK+yMco/vt0ftA161CCqit="}, {"no digest", HeaderDigest, ""},
		{"space inside", HeaderPurpose, "a b"}, {"non-ASCII", HeaderPurpose, "审核"}, {"LF", HeaderPurpose, "a\nb"}, {"broken encoding", HeaderPurpose, "%E5%A4"}, {"half an encoding", HeaderPurpose, "a%4"}, {"not hex", HeaderPurpose, "%zz"}, {"control character", HeaderPurpose, "%0A"}, {"not NFC", HeaderPurpose, "e%CC%81"}, {"too long", HeaderPurpose, strings.Repeat("a", 257)},
		{"app with bad characters", HeaderApp, "a/b"}, {"app with short key id", HeaderApp, "a#b"}, {"app with two signs", HeaderApp, "a#12345678#9"},
		{"sign without algorithm", HeaderSign, "MEQCIH7ukFe05KBe"}, {"sign of another algorithm", HeaderSign, "rsa=AAAA"}, {"mac too short", HeaderSign, "hmac-sm3=AAAA"}, {"sm2 not DER", HeaderSign, "sm2=AAAA"}, {"sm2 url alphabet", HeaderSign, "sm2=-_-_"},
	} {
		r := signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime, "")
		r.Header.Del(c.header)
		if c.value != "" {
			r.Header.Set(c.header, c.value)
		}
		_, err := w.Verify(context.Background(), w.systems, r, testTime)
		p, known := problem.FromError(err, "r")
		if !known || p.Status != 400 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	r := signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime, "")
	r.Header[httpName(HeaderNonce)] = append(r.Header[httpName(HeaderNonce)], r.Header.Get(HeaderNonce))
	if _, err := w.Verify(context.Background(), w.systems, r, testTime); codeOf(err) != "SG-HTTP-SIGN-FORM" {
		t.Errorf("a repeated header: %v", err)
	}
	// The form of a value that comes late is checked before the system is looked up.
	r = signed(t, Credential{App: "nobody", SM2: w.sm2}, elements, testTime, "")
	r.Header.Set(HeaderDigest, "x")
	if _, err := w.Verify(context.Background(), w.systems, r, testTime); codeOf(err) != "SG-HTTP-SIGN-FORM" {
		t.Errorf("order: %v", err)
	}
}

// httpName is the canonical form that net/http keeps a name in.
func httpName(name string) string { return http.CanonicalHeaderKey(name) }

func TestRefusalsComeInTheStatedOrder(t *testing.T) {
	late := testTime.Add(-Window - time.Millisecond)
	for _, c := range []struct {
		name string
		r    func(w *world) Request
		want string
	}{
		{"nothing at all", func(*world) Request { return Request{Method: "GET", Host: "h", Path: "/", Header: http.Header{}} }, "SG-AUTHN-MISSING"},
		{"no signature", func(w *world) Request {
			r := signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime, "")
			r.Header.Del(HeaderSign)
			return r
		}, "SG-AUTHN-MISSING"},
		{"unknown system, also late and wrong", func(w *world) Request {
			r := signed(t, Credential{App: "nobody", SM2: w.sm2b}, elements, late, "x")
			r.Body = []byte("y")
			return r
		}, "SG-AUTHN-APP"},
		{"suspended system", func(w *world) Request { return signed(t, Credential{App: "s", SM2: w.sm2}, elements, testTime, "") }, "SG-AUTHN-APP"},
		{"no key of this kind", func(w *world) Request {
			return signed(t, Credential{App: "b", HMAC: []byte(hmacKey)}, elements, testTime, "")
		}, "SG-AUTHN-APP"},
		{"late, also wrong digest", func(w *world) Request {
			r := signed(t, Credential{App: "a", SM2: w.sm2}, elements, late, "x")
			r.Body = []byte("y")
			return r
		}, "SG-AUTHN-TIME"},
		{"early", func(w *world) Request {
			return signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime.Add(Window+time.Millisecond), "")
		}, "SG-AUTHN-TIME"},
		{"wrong digest, also wrong signature", func(w *world) Request {
			r := signed(t, Credential{App: "a", SM2: w.sm2b}, elements, testTime, "x")
			r.Body = []byte("y")
			return r
		}, "SG-AUTHN-DIGEST"},
		{"another system's key", func(w *world) Request { return signed(t, Credential{App: "a", SM2: w.sm2b}, elements, testTime, "") }, "SG-AUTHN-SIGNATURE"},
		{"another HMAC key", func(w *world) Request {
			return signed(t, Credential{App: "a", HMAC: []byte("another-key-another-key")}, elements, testTime, "")
		}, "SG-AUTHN-SIGNATURE"},
		{"secret cannot be had", func(w *world) Request {
			return signed(t, Credential{App: "x", HMAC: []byte(hmacKey)}, elements, testTime, "")
		}, "SG-STOP-SECRETS"},
		{"secret too short", func(w *world) Request {
			return signed(t, Credential{App: "y", HMAC: []byte("short")}, elements, testTime, "")
		}, "SG-STOP-SECRETS"},
		{"unknown session", func(w *world) Request {
			return signed(t, Credential{App: "a#abcdefgh", HMAC: []byte(hmacKey)}, elements, testTime, "")
		}, "SG-AUTHN-SESSION"},
		{"just in time", func(w *world) Request {
			return signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime.Add(-Window), "")
		}, ""},
	} {
		w := newWorld(t, nil)
		_, err := w.Verify(context.Background(), w.systems, c.r(w), testTime)
		if c.want == "" && err != nil || c.want != "" && codeOf(err) != c.want {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

func TestRefusedRequestsUseUpNoNonce(t *testing.T) {
	count := &countingNonces{}
	w := newWorld(t, count)
	r := signed(t, Credential{App: "a", SM2: w.sm2b}, elements, testTime, "")
	if _, err := w.Verify(context.Background(), w.systems, r, testTime); err == nil {
		t.Fatal("identified")
	}
	if count.n != 0 {
		t.Error("a stranger filled the nonce store")
	}
}

type countingNonces struct {
	n   int
	err error
}

func (c *countingNonces) Use(context.Context, string, string, time.Time) error { c.n++; return c.err }

func TestNonceStoreThatCannotAnswerRefusesTheCall(t *testing.T) {
	for _, failure := range []error{errors.New("disk I/O error"), context.DeadlineExceeded, ErrNoncesFull} {
		w := newWorld(t, &countingNonces{err: failure})
		_, err := w.Verify(context.Background(), w.systems, signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime, ""), testTime)
		if codeOf(err) != "SG-STOP-NONCES" || !errors.Is(err, failure) {
			t.Errorf("got %v", err)
		}
	}
}

func TestClientCertificateIdentifiesItsSystemOnly(t *testing.T) {
	cert := &Certificate{SHA256: [32]byte{1}, Serial: "2a", NotAfter: testTime.Add(time.Hour)}
	base := func(w *world, sign bool, app string) Request {
		r := signed(t, Credential{App: "a", SM2: w.sm2}, elements, testTime, "")
		if !sign {
			r.Header.Del(HeaderSign)
		}
		r.Header.Del(HeaderApp)
		if app != "" {
			r.Header.Set(HeaderApp, app)
		}
		r.Certificate = cert
		return r
	}
	for _, c := range []struct {
		name string
		r    func(w *world) Request
		want string
	}{
		{"certificate alone", func(w *world) Request { return base(w, false, "") }, ""},
		{"with its app", func(w *world) Request { return base(w, false, "a") }, ""},
		{"with app and signature", func(w *world) Request { return base(w, true, "a") }, ""},
		{"with a wrong signature", func(w *world) Request {
			r := signed(t, Credential{App: "a", SM2: w.sm2b}, elements, testTime, "")
			r.Certificate = cert
			return r
		}, "SG-AUTHN-SIGNATURE"},
		{"with another app", func(w *world) Request { return base(w, false, "b") }, "SG-AUTHN-CERTIFICATE"},
		{"not registered, unsigned", func(w *world) Request {
			r := base(w, false, "a")
			r.Certificate = &Certificate{SHA256: [32]byte{9}}
			return r
		}, "SG-AUTHN-CERTIFICATE"},
		{"not registered, signed", func(w *world) Request {
			r := base(w, true, "a")
			r.Certificate = &Certificate{SHA256: [32]byte{9}}
			return r
		}, ""},
		{"expired since the handshake", func(w *world) Request {
			r := base(w, false, "a")
			r.Certificate = &Certificate{SHA256: [32]byte{1}, NotAfter: testTime.Add(-time.Second)}
			return r
		}, "SG-AUTHN-CERTIFICATE"},
		{"without nonce", func(w *world) Request {
			r := base(w, false, "a")
			r.Header.Del(HeaderNonce)
			return r
		}, "SG-HTTP-SIGN-FORM"},
		{"with wrong digest", func(w *world) Request {
			r := base(w, false, "a")
			r.Body = []byte("x")
			return r
		}, "SG-AUTHN-DIGEST"},
	} {
		w := newWorld(t, nil)
		r := c.r(w)
		caller, err := w.Verify(context.Background(), w.systems, r, testTime)
		if c.want == "" && err != nil || c.want != "" && codeOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if c.name == "certificate alone" && err == nil {
			if caller.Auth != AuthMTLS || caller.CertSerial != "2a" || caller.System.ID != "a" {
				t.Errorf("got %+v", caller)
			}
			if _, err := w.Verify(context.Background(), w.systems, r, testTime); codeOf(err) != "SG-AUTHN-REPLAY" {
				t.Errorf("the nonce does not count with mTLS: %v", err)
			}
		}
	}
}

func TestSessionKeySignsUntilItEnds(t *testing.T) {
	w := newWorld(t, nil)
	ctx := context.Background()
	caller, err := w.Verify(ctx, w.systems, signed(t, Credential{App: "a", SM2: w.sm2}, Elements{}, testTime, ""), testTime)
	if err != nil {
		t.Fatal(err)
	}
	s, err := w.sessions.Issue(caller, testTime)
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := base64.StdEncoding.DecodeString(s.Key)
	key, err := w.sm2.Decrypt(raw)
	if err != nil || len(key) != 32 {
		t.Fatalf("session key: %v", err)
	}
	cred := Credential{App: "a#" + s.KeyID, HMAC: key}
	got, err := w.Verify(ctx, w.systems, signed(t, cred, elements, testTime, "x"), testTime)
	if err != nil || got.Auth != AuthSession || got.System.ID != "a" {
		t.Fatalf("got %+v %v", got, err)
	}
	if _, err := w.sessions.Issue(got, testTime); codeOf(err) != "SG-AUTHN-SESSION" {
		t.Error("a session key begot another")
	}
	end := testTime.Add(SessionLife)
	if _, err := w.Verify(ctx, w.systems, signed(t, cred, elements, end, ""), end); codeOf(err) != "SG-AUTHN-SESSION" {
		t.Errorf("after its hour: %v", err)
	}
	other := Credential{App: "b#" + s.KeyID, HMAC: key}
	if _, err := w.Verify(ctx, w.systems, signed(t, other, elements, testTime, ""), testTime); codeOf(err) != "SG-AUTHN-SESSION" {
		t.Errorf("under another system: %v", err)
	}
	w.systems["a"].Key = w.sm2b.Public()
	if _, err := w.Verify(ctx, w.systems, signed(t, cred, elements, testTime, ""), testTime); codeOf(err) != "SG-AUTHN-SESSION" {
		t.Errorf("after the system's key was replaced: %v", err)
	}
	w.systems["a"].Key = w.sm2.Public()
	for range sessionsPer {
		if _, err := w.sessions.Issue(caller, testTime); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Verify(ctx, w.systems, signed(t, cred, elements, testTime, ""), testTime); codeOf(err) != "SG-AUTHN-SESSION" {
		t.Errorf("the oldest key did not go: %v", err)
	}
	if len(w.sessions.keys) != sessionsPer {
		t.Errorf("%d keys are kept", len(w.sessions.keys))
	}
}

func TestMemoryNoncesForgetsOnlyWhatEndedAndRefusesWhenFull(t *testing.T) {
	now := testTime
	m := NewMemoryNonces(3, func() time.Time { return now })
	ctx := context.Background()
	use := func(app, nonce string) error { return m.Use(ctx, app, nonce, now.Add(NonceLife)) }
	for _, n := range []string{"1", "2"} {
		if err := use("a", n); err != nil {
			t.Fatal(err)
		}
	}
	if err := use("b", "1"); err != nil {
		t.Errorf("nonces of two systems are mixed: %v", err)
	}
	if err := use("a", "1"); !errors.Is(err, ErrReplayed) {
		t.Errorf("got %v", err)
	}
	if err := use("a", "3"); !errors.Is(err, ErrNoncesFull) {
		t.Errorf("got %v", err)
	}
	now = now.Add(NonceLife)
	if err := use("a", "1"); !errors.Is(err, ErrReplayed) {
		t.Errorf("forgotten too early: %v", err)
	}
	now = now.Add(time.Millisecond)
	if err := use("a", "3"); err != nil {
		t.Errorf("no room came back: %v", err)
	}
	big := NewMemoryNonces(1<<20, func() time.Time { return now })
	for i := range 5000 {
		now = now.Add(NonceLife)
		if err := big.Use(ctx, "a", fmt.Sprint(i), now.Add(time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if len(big.used) > 2 || len(big.queue)-big.head > 2 || len(big.queue) > 4096 {
		t.Errorf("memory grows: %d %d", len(big.used), len(big.queue))
	}
}

func TestSignRefusesWhatCannotBeSigned(t *testing.T) {
	key, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req, _ := http.NewRequest("GET", "https://gw.example/a", nil)
	for name, c := range map[string]Credential{"no key": {App: "a"}, "two keys": {App: "a", SM2: key, HMAC: []byte("x")}} {
		if Sign(req, nil, c, Elements{}, testTime) == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	semi, _ := http.NewRequest("GET", "https://gw.example/a", nil)
	semi.URL.RawQuery = "a;b"
	if Sign(semi, nil, Credential{App: "a", SM2: key}, Elements{}, testTime) == nil {
		t.Error("a semicolon was signed")
	}
	if s := fmt.Sprintf("%v %+v %#v", Credential{App: "a", HMAC: []byte("secret")}, Credential{App: "a", HMAC: []byte("secret")}, Credential{App: "a", HMAC: []byte("secret")}); strings.Contains(s, "secret") || strings.Contains(s, "115") {
		t.Errorf("the key is printed: %s", s)
	}
}

// FuzzElement: what is encoded comes back, and nothing that decodes has a
// second meaning.
func FuzzElement(f *testing.F) {
	for _, s := range []string{"张三", "op-7", "a%b", "", "é", "a b", "\x00", "%E5%BC%A0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		enc := EncodeElement(s)
		for _, c := range []byte(enc) {
			if c < 0x21 || c > 0x7e {
				t.Fatalf("%q encodes to %q", s, enc)
			}
		}
		if dec, ok := decodeElement(enc); ok && dec != s {
			t.Fatalf("%q comes back as %q", s, dec)
		}
		if dec, ok := decodeElement(s); ok {
			if again, ok := decodeElement(EncodeElement(dec)); !ok || again != dec {
				t.Fatalf("%q decodes to %q, which does not stand", s, dec)
			}
		}
	})
}

// FuzzParse: no header value panics the parser; what is accepted yields 14
// lines from which every part can be read back.
func FuzzParse(f *testing.F) {
	w := newWorld(f, nil)
	r := signed(f, Credential{App: "a", HMAC: []byte(hmacKey)}, elements, testTime, "x")
	f.Add(r.Method, r.Host, r.Path, r.Query, "a", "1764000000000", "AAECAwQFBgcICQoLDA0ODw", Digest(nil), "p", r.Header.Get(HeaderSign))
	f.Fuzz(func(t *testing.T, method, host, path, query, app, at, nonce, digest, purpose, sign string) {
		h := http.Header{}
		for k, v := range map[string]string{HeaderApp: app, HeaderTime: at, HeaderNonce: nonce, HeaderDigest: digest, HeaderPurpose: purpose, HeaderSign: sign} {
			h.Set(k, v)
		}
		req := Request{Method: method, Host: host, Path: path, Query: query, Header: h}
		c, err := parse(req)
		if err != nil {
			if p, known := problem.FromError(err, ""); !known || p.Status != 400 && p.Status != 401 {
				t.Fatalf("refusal without a code: %v", err)
			}
			return
		}
		lines := strings.Split(c.text.Canonical(), "\n")
		if len(lines) != 14 || lines[0] != "SG1" || lines[1] != method || lines[3] != path || len(lines[4]) != len(query) {
			t.Fatalf("%q", lines)
		}
		if _, err := w.Verify(context.Background(), w.systems, req, c.time); err == nil && sign != r.Header.Get(HeaderSign) {
			t.Fatalf("a signature was forged: %q", lines)
		}
	})
}

func TestNamesAreLookedUpInTheSpellingOfNetHTTP(t *testing.T) {
	for i, name := range []string{HeaderApp, HeaderTime, HeaderNonce, HeaderDigest, HeaderPurpose, HeaderItem, HeaderBiz, HeaderOrg, HeaderOperator, HeaderSign} {
		if netNames[i] != http.CanonicalHeaderKey(name) {
			t.Errorf("%s is looked up as %s", name, netNames[i])
		}
	}
}
