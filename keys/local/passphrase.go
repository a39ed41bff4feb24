package local

import (
	"bytes"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys"
)

const (
	minPassphrase = 12
	maxPassphrase = 1024
)

// checkPassphrase applies to new passphrases.
func checkPassphrase(p []byte) error {
	if len(p) < minPassphrase || len(p) > maxPassphrase || bytes.ContainsAny(p, "\x00\r\n") {
		return keys.ErrWeak
	}
	return nil
}

// PassphraseFromFile reads a passphrase from a file of this user that nobody
// else may read, such as a systemd credential. One line feed at the end is
// not part of it. The caller wipes the result.
func PassphraseFromFile(path string) ([]byte, error) {
	data, err := durable.ReadPrivate(path, maxPassphrase+2)
	if err != nil {
		return nil, access(err)
	}
	return trimPassphrase(data, filepath.Base(path))
}

// PassphraseFromFD reads a passphrase from an open file descriptor, such as a
// pipe that a supervisor filled, to its end, and closes it. The caller wipes
// the result.
func PassphraseFromFD(fd uintptr) ([]byte, error) {
	what := fmt.Sprintf("file descriptor %d", fd)
	f := os.NewFile(fd, what)
	if f == nil {
		return nil, fmt.Errorf("keystore: %s is not open", what)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxPassphrase+2))
	if err != nil {
		return nil, fmt.Errorf("keystore: read passphrase: %w", err)
	}
	return trimPassphrase(data, what)
}

func trimPassphrase(data []byte, what string) ([]byte, error) {
	p := bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r"))
	if err := checkPassphrase(p); err != nil {
		clear(data)
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return p, nil
}

// NewRecoveryCode draws a code of 160 random bits for a slot of its own, to be
// printed and put into an envelope: four groups of eight letters and digits.
func NewRecoveryCode() []byte {
	var b [20]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	defer clear(b[:])
	text := base32.StdEncoding.AppendEncode(nil, b[:])
	return bytes.Join([][]byte{text[:8], text[8:16], text[16:24], text[24:]}, []byte("-"))
}
