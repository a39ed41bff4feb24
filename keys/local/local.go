// Package local hosts keys/engine in this process over a folder of encrypted
// files: the keystore of a first run, a demo and a small office.
//
//	keystore/header.json       KDF parameters and the wrapped master key, once per slot
//	keystore/index             which files there are, with a counter; encrypted
//	keystore/keys/<id>.key     one entry each: a key, remembered answers, a secret
//	keystore/lock              held by the one process that uses the store
//
// A random 256-bit master key encrypts everything (AES-256-GCM under subkeys
// by HKDF-SHA-256, the file's whole head as associated data). Each slot wraps
// it under a passphrase through Argon2id (RFC 9106), so that a passphrase can
// be changed without touching a key. The index carries the digest of every
// file and a counter, so that a file that was removed, renamed, swapped, added
// or put back from yesterday is found; that all of the folder was put back is
// found only by whoever remembers Counter.
//
// What it refuses to do: it does not read a passphrase from arguments or the
// environment, follow links, read files that others may open, guess at a
// damaged file, or hand out a private key. It is no cryptographic module: keys
// are in this process's memory while it is unlocked, and Go cannot promise that
// copies are wiped. Banner says so to the user; Info.Software to programs.
//
//	ks, err := local.Open(dir, local.Options{})      // locked
//	defer ks.Close()
//	pass, err := local.PassphraseFromFile(credential)
//	err = ks.Unlock(ctx, pass)
//	sig, err := ks.Key("seal-rs").Sign(ctx, request)
package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/engine"
)

// Banner is what a program shows its user while keys are kept here.
const Banner = "软件密钥：密钥由本程序保存在加密文件中，仅供试用，不得用于具有法律效力的印章。\n" +
	"Software keys: kept by this program in encrypted files, for trials, not for legal seals."

// Options set a keystore up. The zero value is safe.
type Options struct {
	// Engine configures the engine inside. Software is always set.
	Engine engine.Config
	// KDF are the parameters of new slots; zero is DefaultKDF().
	KDF KDF
	// MinCounter is the lowest Counter that is accepted when the store is
	// unlocked: what somebody outside remembered. A lower one is ErrStore.
	MinCounter uint64
}

// Keystore is one folder of keys, used by one process at a time. It begins
// locked; while it is locked every use of a key is ErrLocked. It is safe for
// concurrent use.
type Keystore struct {
	dir     string
	options Options
	lock    *durable.Lock

	unlocking sync.Mutex // one attempt at a time
	failures  int        // wrong passphrases in a row

	session atomic.Pointer[session] // nil while locked
}

// session is what there is only while the store is unlocked.
type session struct {
	files   *files
	engine  *engine.Engine
	secrets sync.Mutex // held while a secret is made
}

// Create makes a keystore in dir, which must not hold one yet, with one slot
// for passphrase, and returns it unlocked.
func Create(ctx context.Context, dir string, passphrase []byte, o Options) (*Keystore, error) {
	if err := checkPassphrase(passphrase); err != nil {
		return nil, err
	}
	if err := durable.PrivateDirectory(dir); err != nil {
		return nil, access(err)
	}
	k, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	if err := k.create(passphrase); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	if err := k.Unlock(ctx, passphrase); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func (k *Keystore) create(passphrase []byte) error {
	switch _, err := readHeader(k.dir); {
	case err == nil:
		return fmt.Errorf("%w: a keystore in %s", keys.ErrExists, k.dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := durable.PrivateDirectory(filepath.Join(k.dir, "keys")); err != nil {
		return access(err)
	}
	master := make([]byte, masterSize)
	defer clear(master)
	h := header{V: headerVersion, ID: make([]byte, idSize), AEAD: aeadName}
	rand.Read(master) // never fails (crypto/rand)
	rand.Read(h.ID)
	if err := h.addSlot("passphrase", passphrase, k.options.KDF, master); err != nil {
		return err
	}
	h.authenticate(master)
	// The header is written last: where there is one, there is a keystore.
	f := newFiles(k.dir, h.ID, master)
	defer f.close()
	if err := f.writeIndex(index{Counter: 1, Entries: map[string]indexEntry{}}); err != nil {
		return err
	}
	data, err := h.marshal()
	if err != nil {
		return err
	}
	if err := durable.Create(filepath.Join(k.dir, headerFile), data, durable.Private); err != nil {
		return fmt.Errorf("write keystore header: %w", err)
	}
	return nil
}

// Open opens the keystore in dir, locked. ErrBusy says that another process,
// or another Keystore of this one, has it open.
func Open(dir string, o Options) (*Keystore, error) {
	k, err := open(dir, o)
	if err != nil {
		return nil, err
	}
	if _, err := readHeader(dir); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

func open(dir string, o Options) (*Keystore, error) {
	if err := checkDirectory(dir); err != nil {
		return nil, err
	}
	lock, err := durable.TryLock(filepath.Join(dir, "lock"))
	if errors.Is(err, durable.ErrLocked) {
		return nil, fmt.Errorf("%w: %s", keys.ErrBusy, dir)
	}
	if err != nil {
		return nil, access(err)
	}
	o.Engine.Software = true
	if o.KDF == (KDF{}) {
		o.KDF = DefaultKDF()
	}
	return &Keystore{dir: dir, options: o, lock: lock}, nil
}

// Close locks the keystore and lets other processes open it. It is called once.
func (k *Keystore) Close() error {
	k.unlocking.Lock() // an Unlock under way ends first
	defer k.unlocking.Unlock()
	k.Lock()
	return k.lock.Release()
}

// Unlock opens the store with a passphrase of any slot. After n wrong ones in a
// row the next attempt begins with a pause of 250 ms times 2^n, at most 30 s;
// ctx can cut it short. Unlock of an unlocked store checks the passphrase.
func (k *Keystore) Unlock(ctx context.Context, passphrase []byte) error {
	k.unlocking.Lock()
	defer k.unlocking.Unlock()
	h, master, err := k.attempt(ctx, passphrase)
	if err != nil {
		return err
	}
	defer clear(master)
	if !k.Locked() {
		return nil
	}
	f := newFiles(k.dir, h.ID, master)
	if err := f.start(k.options.MinCounter); err != nil {
		f.close()
		return err
	}
	k.session.Store(&session{files: f, engine: engine.New(f, k.options.Engine)})
	return nil
}

// attempt tries a passphrase, behind the pause that earlier wrong ones earned.
// k.unlocking is held. The caller wipes the master key.
func (k *Keystore) attempt(ctx context.Context, passphrase []byte) (*header, []byte, error) {
	if k.failures > 0 {
		pause := time.NewTimer(min(250*time.Millisecond<<min(k.failures, 10), 30*time.Second))
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	h, master, err := k.openHeader(passphrase)
	switch {
	case err == nil:
		k.failures = 0
	case errors.Is(err, keys.ErrPassphrase):
		k.failures++
	}
	return h, master, err
}

// openHeader reads the header and opens it with a passphrase. The caller wipes
// the master key.
func (k *Keystore) openHeader(passphrase []byte) (*header, []byte, error) {
	h, err := readHeader(k.dir)
	if err != nil {
		return nil, nil, err
	}
	master, err := h.unwrap(passphrase)
	if err != nil {
		return nil, nil, err
	}
	if err := h.checkMAC(master); err != nil {
		clear(master)
		return nil, nil, err
	}
	return h, master, nil
}

// Lock forgets the master key and every parsed key. A signature that is being
// made is finished; every later use is ErrLocked.
func (k *Keystore) Lock() {
	if s := k.session.Swap(nil); s != nil {
		s.files.close()
		s.engine.InvalidateAll()
	}
}

// Locked reports whether the store is locked. A service whose keystore is
// locked is not ready.
func (k *Keystore) Locked() bool { return k.session.Load() == nil }

// Ready reports whether signatures can be had now: keys.ErrLocked when not.
func (k *Keystore) Ready(context.Context) error {
	_, err := k.unlocked()
	return err
}

// Counter is the number of the last change. Kept outside, such as in the audit
// ledger, it betrays a folder that was put back from an older copy.
func (k *Keystore) Counter() (uint64, error) {
	s, err := k.unlocked()
	if err != nil {
		return 0, err
	}
	return s.files.counter()
}

// AddPassphrase adds a slot called label for another passphrase, such as a
// recovery code; passphrase is one that opens the store.
func (k *Keystore) AddPassphrase(passphrase []byte, label string, added []byte) error {
	if err := checkPassphrase(added); err != nil {
		return err
	}
	return k.changeHeader(passphrase, func(h *header, master []byte) error {
		return h.addSlot(label, added, k.options.KDF, master)
	})
}

// RemovePassphrase removes the slot called label, but never the last one. The
// master key stays the same: whoever knows the passphrase and kept a copy of
// header.json still has it. After a passphrase was lost to somebody, make a new
// keystore and new keys.
func (k *Keystore) RemovePassphrase(passphrase []byte, label string) error {
	return k.changeHeader(passphrase, func(h *header, _ []byte) error { return h.removeSlot(label) })
}

// ChangePassphrase replaces the passphrase of the slot called label in one
// step. The keys are not touched.
func (k *Keystore) ChangePassphrase(passphrase []byte, label string, next []byte) error {
	if err := checkPassphrase(next); err != nil {
		return err
	}
	return k.changeHeader(passphrase, func(h *header, master []byte) error {
		i := h.find(label)
		if i < 0 {
			return fmt.Errorf("%w: no slot %.40q", keys.ErrPassphrase, label)
		}
		h.Slots = append(h.Slots[:i], h.Slots[i+1:]...)
		return h.addSlot(label, next, k.options.KDF, master)
	})
}

func (k *Keystore) changeHeader(passphrase []byte, f func(*header, []byte) error) error {
	k.unlocking.Lock()
	defer k.unlocking.Unlock()
	h, master, err := k.attempt(context.Background(), passphrase)
	if err != nil {
		return err
	}
	defer clear(master)
	if err := f(h, master); err != nil {
		return err
	}
	h.authenticate(master)
	data, err := h.marshal()
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(k.dir, headerFile), data, durable.Private); err != nil {
		return fmt.Errorf("write keystore header: %w", err)
	}
	return nil
}

func (k *Keystore) unlocked() (*session, error) {
	if s := k.session.Load(); s != nil {
		return s, nil
	}
	return nil, keys.ErrLocked
}

// access turns a refusal of durable into ErrAccess.
func access(err error) error {
	if errors.Is(err, durable.ErrNotPrivate) {
		return fmt.Errorf("%w: %w", keys.ErrAccess, err)
	}
	return fmt.Errorf("keystore: %w", err)
}
