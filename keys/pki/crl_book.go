package pki

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
)

const (
	maxBook     = 64 << 20 // bytes of a book file
	lockRetries = 100      // times 20 ms
)

// What a Book refuses.
var (
	ErrBook      = errors.New("the book of a CA cannot be used")
	ErrNotIssued = errors.New("the CA did not issue a certificate with this serial number")
	ErrRevoked   = errors.New("the certificate is revoked already")
)

// Book is the memory of one CA in one file: which certificates it issued, which
// of them it revoked, and the number of its last revocation list. Every change
// is on the disk when its method returns. Several processes may use one book:
// changes are made under a lock and re-read by everybody. Nothing is ever taken
// out of it but a hold. It holds names and dates, nothing secret.
type Book struct {
	path string
	ca   string // fingerprint of the CA's certificate

	mu   sync.Mutex
	seen fs.FileInfo // of the file when it was read
	data bookData
	by   map[string]int // index of Certificates by serial
}

type bookData struct {
	V            int         `json:"v"`
	CA           string      `json:"ca"`
	ListNumber   int64       `json:"list_number"`
	Revision     int64       `json:"revision"` // grows with every revocation and release
	Certificates []bookEntry `json:"certificates"`
}

type bookEntry struct {
	Serial    string     `json:"serial"` // hexadecimal
	Subject   string     `json:"subject"`
	NotAfter  time.Time  `json:"not_after"`
	RevokedAt *time.Time `json:"revoked_at,omitempty"`
	Reason    int        `json:"reason,omitempty"`
	Invalid   *time.Time `json:"invalid,omitempty"`
}

// OpenBook opens the book of a CA, or begins one when there is no file.
func OpenBook(path string, ca *gm.Certificate) (*Book, error) {
	fp := ca.Fingerprint()
	b := &Book{path: path, ca: hex.EncodeToString(fp[:])}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b, b.refresh()
}

// OpenOldBook opens a book that must be there: where one was kept, a missing
// file is a mistake and not the memory of a CA that revoked nothing.
func OpenOldBook(path string, ca *gm.Certificate) (*Book, error) {
	b, err := OpenBook(path, ca)
	if err == nil && b.seen == nil {
		return nil, b.bad("there is no such file")
	}
	return b, err
}

// Begin writes the book's file when there is none, so that a CA that issued
// nothing has one too.
func (b *Book) Begin() error {
	return b.change(func(*bookData) error { return nil })
}

func (b *Book) bad(what any) error { return fmt.Errorf("%w: %s: %v", ErrBook, b.path, what) }

// refresh reads the file when it is not the one that was read last.
func (b *Book) refresh() error {
	info, err := os.Stat(b.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if b.seen != nil {
			return b.bad("the file is gone")
		}
		b.data, b.by = bookData{V: 1, CA: b.ca}, map[string]int{}
		return nil
	case err != nil:
		return b.bad(err)
	case b.seen != nil && os.SameFile(info, b.seen) && info.ModTime().Equal(b.seen.ModTime()) && info.Size() == b.seen.Size():
		return nil
	case info.Size() > maxBook:
		return b.bad("too long")
	}
	raw, err := durable.ReadPrivate(b.path, maxBook)
	if err != nil {
		return b.bad(err)
	}
	var d bookData
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		return b.bad(err)
	}
	if d.V != 1 || d.CA != b.ca {
		return b.bad("of another CA or another form")
	}
	by := make(map[string]int, len(d.Certificates))
	for i, e := range d.Certificates {
		if _, ok := new(big.Int).SetString(e.Serial, 16); !ok || by[e.Serial] != 0 {
			return b.bad("serial numbers")
		}
		by[e.Serial] = i + 1
	}
	b.data, b.by, b.seen = d, by, info
	return nil
}

// change re-reads the book under the lock, changes it and writes it.
func (b *Book) change(f func(*bookData) error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	var lock *durable.Lock
	var err error
	for range lockRetries {
		if lock, err = durable.TryLock(b.path + ".lock"); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return b.bad(err)
	}
	defer lock.Release()
	if err := b.refresh(); err != nil {
		return err
	}
	d := b.data
	d.Certificates = slices.Clone(d.Certificates)
	if err := f(&d); err != nil {
		return err
	}
	raw, err := json.MarshalIndent(d, "", " ")
	if err != nil {
		return b.bad(err)
	}
	if len(raw) >= maxBook {
		return b.bad("too long")
	}
	if err := durable.WriteFile(b.path, append(raw, '\n'), durable.Private); err != nil {
		return b.bad(err)
	}
	return b.refresh()
}

// Issued enters a certificate. The same again changes nothing.
func (b *Book) Issued(c *gm.Certificate) error {
	return b.change(func(d *bookData) error {
		if b.by[c.SerialHex()] == 0 {
			d.Certificates = append(d.Certificates, bookEntry{Serial: c.SerialHex(), Subject: c.Subject.String(), NotAfter: c.NotAfter})
		}
		return nil
	})
}

// Revoke enters a revocation (RFC 5280 section 5.3.1; reason 6 is a hold). A
// hold may be followed by a revocation for good; nothing else is changed again.
func (b *Book) Revoke(r gm.RevokedEntry) error {
	if r.Reason < 0 || r.Reason > 10 || r.Reason == 7 || r.Reason == 8 || r.At.IsZero() {
		return b.bad("reason or time of a revocation")
	}
	return b.change(func(d *bookData) error {
		i := b.by[fmt.Sprintf("%x", r.Serial)]
		if i == 0 {
			return fmt.Errorf("%w: %x", ErrNotIssued, r.Serial)
		}
		e := &d.Certificates[i-1]
		if e.RevokedAt != nil && (e.Reason != reasonHold || r.Reason == reasonHold) {
			return fmt.Errorf("%w: %x", ErrRevoked, r.Serial)
		}
		at := r.At.UTC().Truncate(time.Second)
		if e.RevokedAt != nil && e.RevokedAt.Before(at) {
			at = *e.RevokedAt // it has not been good since
		}
		e.RevokedAt, e.Reason, e.Invalid = &at, r.Reason, nil
		if !r.Invalid.IsZero() {
			invalid := r.Invalid.UTC().Truncate(time.Second)
			e.Invalid = &invalid
		}
		d.Revision++
		return nil
	})
}

// reasonHold is certificateHold.
const reasonHold = 6

// Release ends a hold.
func (b *Book) Release(serial *big.Int) error {
	return b.change(func(d *bookData) error {
		i := b.by[fmt.Sprintf("%x", serial)]
		if i == 0 || d.Certificates[i-1].RevokedAt == nil {
			return fmt.Errorf("%w: %x is not held", ErrNotIssued, serial)
		}
		e := &d.Certificates[i-1]
		if e.Reason != reasonHold {
			return fmt.Errorf("%w: %x", ErrRevoked, serial)
		}
		e.RevokedAt, e.Reason, e.Invalid = nil, 0, nil
		d.Revision++
		return nil
	})
}

// Entry is one certificate in a book.
type Entry struct {
	Serial   *big.Int
	Subject  string
	NotAfter time.Time        // zero: not known
	Revoked  *gm.RevokedEntry // nil: it is not
}

// Entries returns every certificate of the book in the order of issuing.
func (b *Book) Entries() ([]Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(); err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(b.data.Certificates))
	for _, e := range b.data.Certificates {
		serial, _ := new(big.Int).SetString(e.Serial, 16) // refresh read it
		x := Entry{Serial: serial, Subject: e.Subject, NotAfter: e.NotAfter}
		if e.RevokedAt != nil {
			r := e.revocation()
			x.Revoked = &r
		}
		out = append(out, x)
	}
	return out, nil
}

// Revoked returns everything that is revoked, and the book's revision, which
// grows with every change of that.
func (b *Book) Revoked() ([]gm.RevokedEntry, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(); err != nil {
		return nil, 0, err
	}
	var out []gm.RevokedEntry
	for _, e := range b.data.Certificates {
		if e.RevokedAt != nil {
			out = append(out, e.revocation())
		}
	}
	return out, b.data.Revision, nil
}

func (e bookEntry) revocation() gm.RevokedEntry {
	serial, _ := new(big.Int).SetString(e.Serial, 16) // refresh read it
	r := gm.RevokedEntry{Serial: serial, At: *e.RevokedAt, Reason: e.Reason}
	if e.Invalid != nil {
		r.Invalid = *e.Invalid
	}
	return r
}

// State says whether a certificate was issued and, if so, its revocation, nil
// when there is none; and the book's revision.
func (b *Book) State(serial *big.Int) (issued bool, revoked *gm.RevokedEntry, revision int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(); err != nil {
		return false, nil, 0, err
	}
	i := b.by[fmt.Sprintf("%x", serial)]
	if i == 0 {
		return false, nil, b.data.Revision, nil
	}
	if e := b.data.Certificates[i-1]; e.RevokedAt != nil {
		r := e.revocation()
		revoked = &r
	}
	return true, revoked, b.data.Revision, nil
}

// LastNumber returns the number of the last revocation list, 0 before the first.
func (b *Book) LastNumber() (*big.Int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := b.refresh()
	return big.NewInt(b.data.ListNumber), err
}

// Restore brings a book that was put back from a backup up to a list that was
// issued after the backup was made: its number and everything that it names are
// entered. What is entered already stays as it is, unless the list knows worse.
// The list is the CA's own, which the caller has verified.
func (b *Book) Restore(l *gm.RevocationList) error {
	if l.Number == nil || !l.Number.IsInt64() {
		return b.bad("the list has no usable number")
	}
	return b.change(func(d *bookData) error {
		by := maps.Clone(b.by)
		for _, r := range l.Revoked {
			serial := fmt.Sprintf("%x", r.Serial)
			i := by[serial]
			if i == 0 {
				d.Certificates = append(d.Certificates, bookEntry{Serial: serial, Subject: "restored from list " + l.Number.String()})
				i = len(d.Certificates)
				by[serial] = i
			}
			e := &d.Certificates[i-1]
			if e.RevokedAt != nil && (e.Reason != reasonHold || r.Reason == reasonHold) {
				continue
			}
			e.RevokedAt, e.Reason, e.Invalid = &r.At, r.Reason, nil
			if !r.Invalid.IsZero() {
				e.Invalid = &r.Invalid
			}
		}
		d.ListNumber = max(d.ListNumber, l.Number.Int64())
		d.Revision += 1 << 20 // none that the book had in the time that it lost
		return nil
	})
}

// NextNumber takes the number of the next revocation list; no number is given
// out twice.
func (b *Book) NextNumber() (*big.Int, error) {
	var n int64
	err := b.change(func(d *bookData) error {
		d.ListNumber++
		n = d.ListNumber
		return nil
	})
	return big.NewInt(n), err
}
