package local

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/sealgate/sealgate/keys"
)

// A file of the store is an envelope:
//
//	magic "SGKS", form 1, AEAD 1 (AES-256-GCM), kind, 0          8 bytes
//	keystore id                                                 16
//	file id (of the index: zeros)                               16
//	generation: the index counter at which it was written        8, big-endian
//	length of the path, path                                     2 + n
//	nonce                                                       12
//	ciphertext and tag                                        rest
//
// Everything before the ciphertext is associated data, so that a file cannot be
// renamed, swapped, or carried into another store. Its subkey is derived from
// the master key with kind, file id and generation. A file id is drawn for each
// writing, so the subkey of an entry encrypts once; the subkey of an index
// encrypts again only when writing it failed before, under another random nonce.
const (
	envelopeMagic = "SGKS\x01\x01"
	kindEntry     = 1
	kindIndex     = 2

	maxPath     = 200
	maxEntry    = 2 << 20
	maxEnvelope = 8 + idSize + idSize + 8 + 2 + maxPath + nonceSize + maxIndex + tagSize
	maxIndex    = 8 << 20
)

type envelope struct {
	kind       byte
	file       [idSize]byte
	generation uint64
	path       string
}

// head returns the associated data up to the nonce.
func (e envelope) head(store []byte) []byte {
	b := append([]byte(envelopeMagic), e.kind, 0)
	b = append(b, store...)
	b = append(b, e.file[:]...)
	b = binary.BigEndian.AppendUint64(b, e.generation)
	b = binary.BigEndian.AppendUint16(b, uint16(len(e.path)))
	return append(b, e.path...)
}

func (e envelope) aead(master, store []byte) (cipher.AEAD, error) {
	info := append([]byte("sealgate keystore file 1\x00"), e.kind)
	info = append(info, e.file[:]...)
	info = binary.BigEndian.AppendUint64(info, e.generation)
	key, err := hkdf.Key(sha256.New, master, store, string(info), 32)
	if err != nil {
		return nil, err
	}
	defer clear(key)
	return newGCM(key)
}

// seal encrypts plain into an envelope of the store.
func (e envelope) seal(master, store, plain []byte) ([]byte, error) {
	if len(e.path) > maxPath {
		return nil, fmt.Errorf("%w: a path of %d bytes", keys.ErrStore, len(e.path))
	}
	gcm, err := e.aead(master, store)
	if err != nil {
		return nil, err
	}
	out := e.head(store)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce) // never fails (crypto/rand)
	out = append(out, nonce...)
	return gcm.Seal(out, nonce, plain, out), nil
}

// parseEnvelope reads the head of a file and returns it with its length, the
// nonce included. It trusts nothing and needs no key.
func parseEnvelope(data []byte) (e envelope, store []byte, length int, err error) {
	const fixed = 8 + idSize + idSize + 8 + 2
	bad := func(what string) (envelope, []byte, int, error) {
		return envelope{}, nil, 0, fmt.Errorf("%w: file: %s", keys.ErrStore, what)
	}
	if len(data) < fixed || len(data) > maxEnvelope || !bytes.HasPrefix(data, []byte(envelopeMagic)) {
		return bad("not of this store")
	}
	e.kind = data[6]
	if (e.kind != kindEntry && e.kind != kindIndex) || data[7] != 0 {
		return bad("unknown kind")
	}
	store = data[8 : 8+idSize]
	copy(e.file[:], data[8+idSize:])
	e.generation = binary.BigEndian.Uint64(data[8+2*idSize:])
	n := int(binary.BigEndian.Uint16(data[fixed-2:]))
	if n > maxPath || len(data) < fixed+n+nonceSize+tagSize {
		return bad("cut off")
	}
	e.path = string(data[fixed : fixed+n])
	return e, store, fixed + n + nonceSize, nil
}

// openEnvelope decrypts data, which must be exactly the file that want
// describes.
func openEnvelope(data, master, store []byte, want envelope) ([]byte, error) {
	e, id, n, err := parseEnvelope(data)
	if err != nil {
		return nil, err
	}
	if e != want || !bytes.Equal(id, store) {
		return nil, fmt.Errorf("%w: a file is in another's place", keys.ErrStore)
	}
	gcm, err := e.aead(master, store)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, data[n-nonceSize:n], data[n:], data[:n])
	if err != nil {
		return nil, fmt.Errorf("%w: a file was changed", keys.ErrStore)
	}
	return plain, nil
}
