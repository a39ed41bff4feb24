// Package keytest is the contract that every backend of signing keys must
// pass, and the storages that such a backend is tested over. Only tests import
// it.
//
//	func TestContract(t *testing.T) {
//		keytest.Run(t, keytest.Options{Open: func(t *testing.T, clock *keytest.Clock) keytest.Backend { … }})
//	}
package keytest

import (
	"context"
	"crypto/x509/pkix"
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Backend is what a host of keys/engine offers to those who manage keys.
type Backend interface {
	Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error)
	Info(ctx context.Context, name keys.Name) (keys.Info, error)
	List(ctx context.Context) ([]keys.Name, error)
	Rotate(ctx context.Context, name keys.Name) (keys.Info, error)
	Disable(ctx context.Context, name keys.Name) (keys.Info, error)
	Destroy(ctx context.Context, name keys.Name) (keys.Info, error)
	CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error)
	InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error)
	Key(name keys.Name) keys.Key
}

// Options say how to get at the backend under test.
type Options struct {
	// Open returns an empty backend that lives as long as the test and tells
	// its time by clock.
	Open func(t *testing.T, clock *Clock) Backend
	// Reopen closes the backend and opens it again over the same storage, as a
	// restart does. nil: tests of restarts are skipped.
	Reopen func(t *testing.T, b Backend) Backend
	// RealTime says that the backend tells the time by itself.
	RealTime bool
	// DestroyWait and ClockWindow are those of the backend.
	DestroyWait, ClockWindow time.Duration
}

// Run runs the whole contract as subtests.
func Run(t *testing.T, o Options) {
	for _, c := range []struct {
		name string
		test func(*env)
	}{
		{"a key is born with its purpose and its name is used once", testBirth},
		{"a certificate-bound version signs only with its certificate", testGoesLive},
		{"a certificate that does not fit is not installed", testUnfitCertificates},
		{"a new version signs when its certificate is there and the old one stops", testRotation},
		{"a disabled key signs nothing and is destroyed only after the wait", testDeath},
		{"a certificate request is signed by its own version", testCSR},
		{"keys survive a restart", testRestart},
		{"every purpose signs its own type and no other", testPurposes},
		{"malformed requests are refused", testRequests},
		{"a seal key signs a sound TBS and refuses all others", testTBS},
		{"a maker key signs a sound seal and refuses all others", testSealInfo},
		{"a checkpoint key signs a sound checkpoint and refuses all others", testCheckpoint},
		{"a timestamp key signs the time and nothing else", testTimestamps},
		{"a CA signs its root, then certificates within its rights", testCertificates},
		{"a CA signs revocation lists of its own", testRevocationLists},
		{"a CA answers about its own certificates", testOCSP},
		{"a licence key signs sound status lists", testStatusLists},
		{"a policy officer signs his own statements about bundles", testStatements},
		{"a batch answers in order and item by item", testBatch},
		{"the same id gives the same answer for a day", testIdempotency},
		{"one id used concurrently is answered once", testConcurrentID},
		{"signing stops when disable has returned", testDisableRace},
	} {
		t.Run(c.name, func(t *testing.T) {
			clock := NewClock()
			if o.RealTime {
				clock = &Clock{}
			}
			e := &env{T: t, options: o, clock: clock, outside: NewOutside(t, clock), ctx: t.Context()}
			e.b = o.Open(t, clock)
			c.test(e)
		})
	}
}

// env is what one subtest works with.
type env struct {
	*testing.T
	ctx     context.Context
	options Options
	clock   *Clock
	outside *Outside
	b       Backend
}

// must ends the test on an error.
func must[T any](e *env) func(v T, err error) T {
	return func(v T, err error) T {
		e.Helper()
		if err != nil {
			e.Fatal(err)
		}
		return v
	}
}

// refused checks that err is the wanted refusal and that nothing was signed.
func (e *env) refused(what string, want error, s keys.Signature, err error) {
	e.Helper()
	if !errors.Is(err, want) {
		e.Errorf("%s: got %v, want %v", what, err, want)
	}
	if len(s.Value) != 0 {
		e.Errorf("%s: a signature came with the refusal", what)
	}
	var coded interface{ Code() string }
	if err != nil && !errors.As(err, &coded) {
		e.Errorf("%s: the error has no code", what)
	}
}

// create makes a key and, when its purpose needs one, installs a certificate
// of the outside CA.
func (e *env) create(name keys.Name, p keys.Purpose) keys.Info {
	e.Helper()
	info := must[keys.Info](e)(e.b.Create(e.ctx, name, p))
	if p.CertificateBound() {
		info = e.install(name, info)
	}
	return info
}

// install certifies the newest version with the usages of its purpose.
func (e *env) install(name keys.Name, info keys.Info) keys.Info {
	e.Helper()
	v := must[keys.Version](e)(info.Newest())
	c := e.outside.CertifyAs(templateFor(info.Purpose), v.Public)
	return must[keys.Info](e)(e.b.InstallCertificate(e.ctx, name, v.Number, []*gm.Certificate{c, e.outside.Root}))
}

func templateFor(p keys.Purpose) gm.Template {
	t := gm.Template{Subject: pkix.Name{CommonName: "Key for " + string(p)}, KeyUsage: gm.KeyUsageDigitalSignature | gm.KeyUsageContentCommitment}
	switch p {
	case keys.CA:
		t.IsCA, t.MaxPathLen, t.KeyUsage = true, 0, gm.KeyUsageCertSign|gm.KeyUsageCRLSign
	case keys.TSA:
		t.TimeStamping = true
	}
	return t
}

func (e *env) sign(name keys.Name, t keys.Type, version int, item []byte) (keys.Signature, error) {
	return e.b.Key(name).Sign(e.ctx, keys.Request{Type: t, Item: item, KeyVersion: version})
}

// verified checks an answer against the live version of info.
func (e *env) verified(info keys.Info, item []byte, s keys.Signature, err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
	v := must[keys.Version](e)(info.Version(s.KeyVersion))
	if s.Fingerprint != v.Fingerprint() {
		e.Error("the fingerprint is of another key")
	}
	message := must[[]byte](e)(info.Purpose.Signs().Message(item))
	if err := v.Public.Verify(message, s.Value); err != nil {
		e.Error(err)
	}
}
