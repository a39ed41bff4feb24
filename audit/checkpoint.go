package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// ErrCheckpoint says that bytes are not a canonical checkpoint, or that its
// signature is wrong.
var ErrCheckpoint = errors.New("not a valid checkpoint")

// Signer signs the checkpoints of one ledger. The argument is the canonical
// JSON of a Checkpoint (ParseCheckpoint reads it back), never a digest: an
// implementation parses it and signs nothing else, so that the right to sign
// checkpoints is not a right to sign. The signature is SM2 over these bytes
// with the default user identity, in DER. SignCheckpoint may be called again
// for the same tree after an error, with a later time. It returns soon after
// ctx ends: Close waits for it.
type Signer interface {
	SignCheckpoint(ctx context.Context, checkpoint []byte) (sig []byte, err error)
}

// Checkpoint states that the ledger Log had Size records with the tree Root at
// Time.
type Checkpoint struct {
	Log  string
	Size uint64
	Root [gm.DigestSize]byte
	Time time.Time
}

const maxCheckpoint = 1 << 10 // bytes, also of the signed form

// Canonical returns the JSON that is signed:
//
//	{"log":"…","root":"base64","size":n,"time":"…","v":1}
func (c Checkpoint) Canonical() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCheckpoint, err)
	}
	return c.append(nil), nil
}

func (c Checkpoint) check() error {
	if err := checkLog(c.Log); err != nil {
		return err
	}
	if c.Size > maxInteger {
		return errors.New("size is not in 0..2^53-1")
	}
	return checkTime("time", c.Time)
}

// checkLog wants a ledger's name: 1..64 of A-Z a-z 0-9 . _ - : /
func checkLog(name string) error {
	if name == "" || len(name) > 64 ||
		!only(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-:/") {
		return errors.New("the ledger's name is not 1..64 of A-Z a-z 0-9 . _ - : /")
	}
	return nil
}

func (c Checkpoint) append(b []byte) []byte {
	b = append(b, '{')
	b = appendText(b, "log", c.Log)
	b = appendBytes(b, "root", c.Root[:])
	b = strconv.AppendUint(appendMember(b, "size"), c.Size, 10)
	b = appendTime(b, "time", c.Time)
	return append(b, `,"v":1}`...)
}

// ParseCheckpoint reads the canonical JSON of one checkpoint, and nothing else:
// what it accepts is byte for byte what Canonical makes. Errors are
// ErrCheckpoint.
func ParseCheckpoint(data []byte) (Checkpoint, error) {
	in, err := readerOf(data)
	if err != nil {
		return Checkpoint{}, err
	}
	c := readCheckpoint(in)
	in.end()
	if err := endCheckpoint(in, data, c.append(nil)); err != nil {
		return Checkpoint{}, err
	}
	return c, nil
}

func readerOf(data []byte) (*reader, error) {
	if len(data) > maxCheckpoint {
		return nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", ErrCheckpoint, len(data), maxCheckpoint)
	}
	return &reader{in: data}, nil
}

func endCheckpoint(in *reader, data, again []byte) error {
	switch {
	case in.err != nil:
		return fmt.Errorf("%w: %w", ErrCheckpoint, in.err)
	case !bytes.Equal(again, data):
		return fmt.Errorf("%w: not in canonical form", ErrCheckpoint)
	}
	return nil
}

func readCheckpoint(in *reader) (c Checkpoint) {
	in.open()
	c.Log = in.required("log")
	if root := in.bytes("root"); len(root) != gm.DigestSize {
		in.fail("root has %d bytes", len(root))
	} else {
		copy(c.Root[:], root)
	}
	c.Size = uint64(in.requiredInteger("size"))
	c.Time = in.time("time")
	readVersion(in)
	in.close()
	if in.err == nil {
		in.err = c.check()
	}
	return c
}

// SignedCheckpoint is a checkpoint with its SM2 signature: what a witness keeps.
type SignedCheckpoint struct {
	Checkpoint
	Key [gm.DigestSize]byte // SM3 of the signing key's SubjectPublicKeyInfo
	Sig []byte              // DER
}

// Marshal returns the form on disk and wire:
//
//	{"checkpoint":{…},"key":"base64","sig":"base64"}
func (s *SignedCheckpoint) Marshal() []byte {
	b := append([]byte(nil), `{"checkpoint":`...)
	b = s.Checkpoint.append(b)
	b = appendBytes(b, "key", s.Key[:])
	b = appendBytes(b, "sig", s.Sig)
	return append(b, '}')
}

// ParseSignedCheckpoint reads what Marshal makes, and nothing else. It does not
// verify the signature. Errors are ErrCheckpoint.
func ParseSignedCheckpoint(data []byte) (*SignedCheckpoint, error) {
	in, err := readerOf(data)
	if err != nil {
		return nil, err
	}
	s := readSigned(in)
	in.end()
	if err := endCheckpoint(in, data, s.Marshal()); err != nil {
		return nil, err
	}
	return s, nil
}

func readSigned(in *reader) *SignedCheckpoint {
	s := new(SignedCheckpoint)
	in.open()
	if !in.member("checkpoint") {
		in.fail("member checkpoint is missing")
	}
	s.Checkpoint = readCheckpoint(in)
	if key := in.bytes("key"); len(key) != gm.DigestSize {
		in.fail("key has %d bytes", len(key))
	} else {
		copy(s.Key[:], key)
	}
	s.Sig = in.bytes("sig")
	in.close()
	if in.err == nil {
		in.err = gm.CheckSignature(s.Sig)
	}
	return s
}

// Verify checks the signature under the one of keys that the checkpoint names.
// It returns nil or an error that is ErrCheckpoint.
func (s *SignedCheckpoint) Verify(keys ...*gm.PublicKey) error {
	for _, k := range keys {
		if k.Fingerprint() != s.Key {
			continue
		}
		if err := k.Verify(s.Checkpoint.append(nil), s.Sig); err != nil {
			return fmt.Errorf("%w: checkpoint of %d records: %w", ErrCheckpoint, s.Size, err)
		}
		return nil
	}
	return fmt.Errorf("%w: checkpoint of %d records is signed by a key that is not trusted here", ErrCheckpoint, s.Size)
}

// signCheckpoint asks signer for a signature and checks it before it is used:
// a signer with a wrong key, or a fault in it, is found here.
func signCheckpoint(ctx context.Context, signer Signer, key *gm.PublicKey, c Checkpoint) (*SignedCheckpoint, error) {
	text, err := c.Canonical()
	if err != nil {
		return nil, err
	}
	sig, err := ask(ctx, signer, text)
	if err != nil {
		return nil, fmt.Errorf("sign checkpoint of %d records: %w", c.Size, err)
	}
	s := &SignedCheckpoint{Checkpoint: c, Key: key.Fingerprint(), Sig: sig}
	if err := s.Verify(key); err != nil {
		return nil, fmt.Errorf("signer's answer: %w", err)
	}
	return s, nil
}

// ask calls the signer. One that panics is one that is away: what calls go
// through this process must not end with it. The panic's value may hold
// anything and is not passed on.
func ask(ctx context.Context, signer Signer, text []byte) (sig []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			sig, err = nil, fmt.Errorf("the signer panicked (%T)", p)
		}
	}()
	return signer.SignCheckpoint(ctx, text)
}
