package local

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
	"golang.org/x/crypto/argon2"
)

const (
	headerFile    = "header.json"
	headerVersion = 1
	maxHeader     = 16 << 10
	maxSlots      = 4

	masterSize = 32
	idSize     = 16
	saltSize   = 16
	nonceSize  = 12
	tagSize    = 16

	aeadName = "aes-256-gcm"
	kdfName  = "argon2id"
)

// KDF are the parameters of Argon2id (RFC 9106).
type KDF struct {
	Time    uint32 // passes
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultKDF takes about 0.7 s of two server cores and 128 MiB.
func DefaultKDF() KDF { return KDF{Time: 3, Memory: 128 << 10, Threads: 2} }

// CheapKDF takes a fraction of a millisecond and is for tests: it protects
// nothing.
func CheapKDF() KDF { return KDF{Time: 1, Memory: 64, Threads: 1} }

// check bounds the parameters before any work is done with them, so that a
// changed header cannot make the process run out of memory or time.
func (k KDF) check() error {
	if k.Time < 1 || k.Time > 16 || k.Threads < 1 || k.Threads > 16 || k.Memory < 8*uint32(k.Threads) || k.Memory > 1<<20 {
		return fmt.Errorf("%w: KDF parameters out of bounds", keys.ErrStore)
	}
	return nil
}

// header is header.json: one line of JSON, members in this order, no white
// space, a line feed. Any other form of the same content is refused.
type header struct {
	V     int    `json:"v"`
	ID    []byte `json:"id"`
	AEAD  string `json:"aead"`
	Slots []slot `json:"slots"`
	MAC   []byte `json:"mac"` // HMAC-SHA-256 of the rest under a subkey of the master key
}

// slot wraps the master key under one passphrase.
type slot struct {
	Label   string `json:"label"`
	KDF     string `json:"kdf"`
	Time    uint32 `json:"t"`
	Memory  uint32 `json:"m_kib"`
	Threads uint8  `json:"p"`
	Salt    []byte `json:"salt"`
	Nonce   []byte `json:"nonce"`
	Wrapped []byte `json:"wrapped"`
}

func (s slot) kdf() KDF { return KDF{s.Time, s.Memory, s.Threads} }

func (h *header) marshal() ([]byte, error) {
	data, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("encode keystore header: %w", err)
	}
	return append(data, '\n'), nil
}

// parseHeader reads header.json strictly and checks every bound. It does not
// need the master key; checkMAC does the rest.
func parseHeader(data []byte) (*header, error) {
	bad := func(what string) error { return fmt.Errorf("%w: header: %s", keys.ErrStore, what) }
	if len(data) > maxHeader {
		return nil, bad("too long")
	}
	var h header
	if err := json.Unmarshal(data, &h); err != nil {
		return nil, bad("not readable")
	}
	if h.V != headerVersion {
		return nil, bad(fmt.Sprintf("form %d, this program knows %d", h.V, headerVersion))
	}
	if len(h.ID) != idSize || h.AEAD != aeadName || len(h.MAC) != sha256.Size || len(h.Slots) == 0 || len(h.Slots) > maxSlots {
		return nil, bad("members out of bounds")
	}
	for i, s := range h.Slots {
		if s.KDF != kdfName || len(s.Salt) != saltSize || len(s.Nonce) != nonceSize || len(s.Wrapped) != masterSize+tagSize ||
			!soundLabel(s.Label) || h.find(s.Label) != i {
			return nil, bad("slot out of bounds")
		}
		if err := s.kdf().check(); err != nil {
			return nil, err
		}
	}
	again, err := h.marshal()
	if err != nil || !bytes.Equal(again, data) {
		return nil, bad("not in its one form")
	}
	return &h, nil
}

func readHeader(dir string) (*header, error) {
	data, err := durable.ReadPrivate(filepath.Join(dir, headerFile), maxHeader)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("no keystore in %s: %w", dir, err)
	case err != nil:
		return nil, access(err)
	}
	return parseHeader(data)
}

// soundLabel: labels have the form of key names.
func soundLabel(label string) bool {
	_, err := keys.ParseName(label)
	return err == nil
}

func (h *header) find(label string) int {
	return slices.IndexFunc(h.Slots, func(s slot) bool { return s.Label == label })
}

// aad is what a slot's wrapping is bound to: the store and the slot's own
// parameters.
func (h *header) aad(s slot) []byte {
	b := []byte("sealgate keystore slot 1\x00")
	b = append(b, h.ID...)
	for _, text := range []string{h.AEAD, s.Label, s.KDF} {
		b = append(b, byte(len(text)))
		b = append(b, text...)
	}
	b = binary.BigEndian.AppendUint32(b, s.Time)
	b = binary.BigEndian.AppendUint32(b, s.Memory)
	b = append(b, s.Threads)
	return append(b, s.Salt...)
}

func (s slot) wrapper(passphrase []byte) (cipher.AEAD, error) {
	kek := argon2.IDKey(passphrase, s.Salt, s.Time, s.Memory, s.Threads, 32)
	defer clear(kek)
	return newGCM(kek)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (h *header) addSlot(label string, passphrase []byte, k KDF, master []byte) error {
	if !soundLabel(label) {
		return fmt.Errorf("%w: slot label %.80q", keys.ErrName, label)
	}
	if h.find(label) >= 0 {
		return fmt.Errorf("%w: a slot %s", keys.ErrExists, label)
	}
	if len(h.Slots) == maxSlots {
		return fmt.Errorf("%w: a keystore has at most %d slots", keys.ErrPassphrase, maxSlots)
	}
	if err := k.check(); err != nil {
		return err
	}
	s := slot{Label: label, KDF: kdfName, Time: k.Time, Memory: k.Memory, Threads: k.Threads,
		Salt: make([]byte, saltSize), Nonce: make([]byte, nonceSize)}
	rand.Read(s.Salt) // never fails (crypto/rand)
	rand.Read(s.Nonce)
	gcm, err := s.wrapper(passphrase)
	if err != nil {
		return err
	}
	s.Wrapped = gcm.Seal(nil, s.Nonce, master, h.aad(s))
	h.Slots = append(h.Slots, s)
	return nil
}

func (h *header) removeSlot(label string) error {
	i := h.find(label)
	if i < 0 {
		return fmt.Errorf("%w: no slot %.40q", keys.ErrPassphrase, label)
	}
	if len(h.Slots) == 1 {
		return fmt.Errorf("%w: the last slot stays", keys.ErrPassphrase)
	}
	h.Slots = slices.Delete(h.Slots, i, i+1)
	return nil
}

// unwrap tries the passphrase on every slot.
func (h *header) unwrap(passphrase []byte) ([]byte, error) {
	for _, s := range h.Slots {
		gcm, err := s.wrapper(passphrase)
		if err != nil {
			return nil, err
		}
		if master, err := gcm.Open(nil, s.Nonce, s.Wrapped, h.aad(s)); err == nil {
			return master, nil
		}
	}
	return nil, keys.ErrPassphrase
}

func (h *header) mac(master []byte) []byte {
	key, err := hkdf.Key(sha256.New, master, h.ID, "sealgate keystore header 1", 32)
	if err != nil {
		return nil // 32 bytes can always be derived; nil equals no MAC
	}
	defer clear(key)
	bare := *h
	bare.MAC = nil
	data, err := bare.marshal()
	if err != nil {
		return nil
	}
	m := hmac.New(sha256.New, key)
	m.Write(data)
	return m.Sum(nil)
}

// authenticate puts the MAC of the present content into the header.
func (h *header) authenticate(master []byte) { h.MAC = h.mac(master) }

func (h *header) checkMAC(master []byte) error {
	if m := h.mac(master); len(m) == 0 || !hmac.Equal(m, h.MAC) {
		return fmt.Errorf("%w: the header was changed", keys.ErrStore)
	}
	return nil
}
