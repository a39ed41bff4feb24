package local

import (
	"context"
	"crypto/x509/pkix"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
)

// Key returns the named key; see engine.Engine. While the store is locked its
// methods are ErrLocked.
func (k *Keystore) Key(name keys.Name) keys.Key { return handle{k, name} }

type handle struct {
	store *Keystore
	name  keys.Name
}

func (h handle) Info(ctx context.Context) (keys.Info, error) { return h.store.Info(ctx, h.name) }

func (h handle) Sign(ctx context.Context, r keys.Request) (keys.Signature, error) {
	s, err := h.store.unlocked()
	if err != nil {
		return keys.Signature{}, err
	}
	return s.engine.Key(h.name).Sign(ctx, r)
}

func (h handle) SignBatch(ctx context.Context, rs []keys.Request) ([]keys.Result, error) {
	s, err := h.store.unlocked()
	if err != nil {
		return nil, err
	}
	return s.engine.Key(h.name).SignBatch(ctx, rs)
}

// Create makes a key; see engine.Engine.Create.
func (k *Keystore) Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.Create(ctx, name, purpose) })
}

// Info tells what is publicly known of a key; see engine.Engine.Info.
func (k *Keystore) Info(ctx context.Context, name keys.Name) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.Info(ctx, name) })
}

// List returns the names of all keys; see engine.Engine.List.
func (k *Keystore) List(ctx context.Context) ([]keys.Name, error) {
	return with(k, func(e *engine.Engine) ([]keys.Name, error) { return e.List(ctx) })
}

// Rotate gives a key a new version; see engine.Engine.Rotate.
func (k *Keystore) Rotate(ctx context.Context, name keys.Name) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.Rotate(ctx, name) })
}

// Disable stops a key for good; see engine.Engine.Disable.
func (k *Keystore) Disable(ctx context.Context, name keys.Name) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.Disable(ctx, name) })
}

// Destroy erases a disabled key; see engine.Engine.Destroy.
func (k *Keystore) Destroy(ctx context.Context, name keys.Name) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.Destroy(ctx, name) })
}

// CSR returns a certificate request; see engine.Engine.CSR.
func (k *Keystore) CSR(ctx context.Context, name keys.Name, version int, subject pkix.Name) (*gm.Request, error) {
	return with(k, func(e *engine.Engine) (*gm.Request, error) { return e.CSR(ctx, name, version, subject) })
}

// InstallCertificate gives a version its certificate; see
// engine.Engine.InstallCertificate.
func (k *Keystore) InstallCertificate(ctx context.Context, name keys.Name, version int, certs []*gm.Certificate) (keys.Info, error) {
	return with(k, func(e *engine.Engine) (keys.Info, error) { return e.InstallCertificate(ctx, name, version, certs) })
}

func with[T any](k *Keystore, f func(*engine.Engine) (T, error)) (T, error) {
	s, err := k.unlocked()
	if err != nil {
		var zero T
		return zero, err
	}
	return f(s.engine)
}
