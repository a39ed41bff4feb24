package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Create makes a key with its first version. The purpose is fixed for ever.
// For a certificate-bound purpose version 1 is pending until its certificate
// is installed; for the others it is live. A name that is or was in use gives
// ErrExists. After another error the key may exist: ask Info.
func (e *Engine) Create(ctx context.Context, name keys.Name, purpose keys.Purpose) (keys.Info, error) {
	if _, err := keys.ParsePurpose(string(purpose)); err != nil {
		return keys.Info{}, err
	}
	l := e.lock(name)
	l.Lock()
	defer l.Unlock()
	switch _, err := e.load(ctx, name); {
	case err == nil:
		return keys.Info{}, fmt.Errorf("%w: %s", keys.ErrExists, name)
	case !errors.Is(err, keys.ErrNotFound):
		return keys.Info{}, err
	}
	r := &record{Name: name, Purpose: purpose, State: keys.Active, Created: e.config.Now().UTC()}
	if err := e.addVersion(r); err != nil {
		return keys.Info{}, err
	}
	if err := e.save(ctx, r); err != nil {
		return keys.Info{}, err
	}
	return r.info(e.config), nil
}

// addVersion gives r, which is not shared, a new version.
func (e *Engine) addVersion(r *record) error {
	if len(r.Versions) == maxVersions {
		return fmt.Errorf("%w: key %s has %d versions, make a new key", keys.ErrVersion, r.Name, maxVersions)
	}
	k, err := gm.GenerateKey()
	if err != nil {
		return err
	}
	v := &version{private: k, Version: keys.Version{Number: len(r.Versions) + 1, State: keys.Pending,
		Created: e.config.Now().UTC(), Public: k.Public()}}
	r.Versions = append(r.Versions, v)
	if !r.Purpose.CertificateBound() {
		r.goLive(v)
	}
	return nil
}

// goLive makes v the live version and retires the one before it for good: its
// private half is erased, for nothing may ever be signed with it again.
func (r *record) goLive(v *version) {
	for _, old := range r.Versions {
		if old.State == keys.Live && old != v {
			old.State, old.private = keys.Retired, nil
		}
	}
	v.State = keys.Live
}

// Info returns what is publicly known of a key.
func (e *Engine) Info(ctx context.Context, name keys.Name) (keys.Info, error) {
	l := e.lock(name)
	l.RLock()
	defer l.RUnlock()
	r, err := e.load(ctx, name)
	if err != nil {
		return keys.Info{}, err
	}
	return r.info(e.config), nil
}

// List returns the names of all keys, destroyed ones included, sorted.
func (e *Engine) List(ctx context.Context) ([]keys.Name, error) {
	segments, err := e.storage.List(ctx, KeyPrefix)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	out := make([]keys.Name, 0, len(segments))
	for _, s := range segments {
		n, err := keys.ParseName(s)
		if err != nil {
			return nil, fmt.Errorf("%w: an entry is called %.80q", keys.ErrStore, s)
		}
		out = append(out, n)
	}
	slices.Sort(out)
	return out, nil
}

// Rotate gives a key a new version. For a certificate-bound purpose the new
// version is pending and the old one goes on signing until the new certificate
// is installed; while one is pending, Rotate returns it and makes no other.
// For the other purposes the new version is live at once.
func (e *Engine) Rotate(ctx context.Context, name keys.Name) (keys.Info, error) {
	return e.change(ctx, name, func(r *record) error {
		if err := active(r); err != nil {
			return err
		}
		if r.Versions[len(r.Versions)-1].State == keys.Pending {
			return errUnchanged
		}
		return e.addVersion(r)
	})
}

// Disable stops a key: it signs nothing any more, and its waiting time towards
// Destroy begins. There is no way back; a disabled key is replaced, not
// revived. Disabling a disabled key changes nothing.
func (e *Engine) Disable(ctx context.Context, name keys.Name) (keys.Info, error) {
	return e.change(ctx, name, func(r *record) error {
		if r.State != keys.Active {
			return errUnchanged
		}
		r.State, r.DisabledAt = keys.Disabled, e.config.Now().UTC()
		return nil
	})
}

// Destroy erases the private halves of a key that has been disabled for the
// waiting time; earlier it returns ErrWait. Name, public keys and certificates
// stay, so that old signatures can be explained and the name is not used
// again. Destroying a destroyed key changes nothing.
func (e *Engine) Destroy(ctx context.Context, name keys.Name) (keys.Info, error) {
	return e.change(ctx, name, func(r *record) error {
		switch r.State {
		case keys.Destroyed:
			return errUnchanged
		case keys.Active:
			return fmt.Errorf("%w: disable key %s first", keys.ErrWait, r.Name)
		}
		if from := r.DisabledAt.Add(e.config.DestroyWait); e.config.Now().Before(from) {
			return fmt.Errorf("%w: key %s not before %s", keys.ErrWait, r.Name, from.Format("2006-01-02T15:04:05Z07:00"))
		}
		r.State = keys.Destroyed
		for _, v := range r.Versions {
			v.private = nil
		}
		return nil
	})
}

// errUnchanged tells change that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// change applies f to a copy of the key and writes it.
func (e *Engine) change(ctx context.Context, name keys.Name, f func(*record) error) (keys.Info, error) {
	l := e.lock(name)
	l.Lock()
	defer l.Unlock()
	old, err := e.load(ctx, name)
	if err != nil {
		return keys.Info{}, err
	}
	r := old.clone()
	switch err := f(r); {
	case errors.Is(err, errUnchanged):
		return old.info(e.config), nil
	case err != nil:
		return keys.Info{}, err
	}
	if err := e.save(ctx, r); err != nil {
		return keys.Info{}, err
	}
	return r.info(e.config), nil
}

func active(r *record) error {
	if r.State != keys.Active {
		return fmt.Errorf("%w: %s is %s", keys.ErrDisabled, r.Name, r.State)
	}
	return nil
}
