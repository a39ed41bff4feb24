package gm

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/emmansun/gmsm/sm2"
	"github.com/emmansun/gmsm/smx509"
	"golang.org/x/crypto/cryptobyte"
	casn1 "golang.org/x/crypto/cryptobyte/asn1"
)

// MaxSignatureSize is the longest DER SM2 signature in bytes: two 33-byte
// INTEGERs inside a SEQUENCE.
const MaxSignatureSize = 72

var (
	// ErrSignature says that a signature does not belong to this key and message.
	ErrSignature = errors.New("SM2 signature does not verify")
	// ErrSignatureForm says that a signature is not the one DER form of
	// GM/T 0009: SEQUENCE of two minimal INTEGERs in 1..n-1, nothing behind.
	ErrSignatureForm = errors.New("SM2 signature is not canonical DER")
	// ErrKey says that bytes are not a valid SM2 key.
	ErrKey = errors.New("not a valid SM2 key")
)

// defaultID is the user identity of GM/T 0009-2023 section 7.
const defaultID = "1234567812345678"

var order = sm2.P256().Params().N

// PublicKey is a point on the SM2 curve, checked when it was made. It is
// immutable and safe for concurrent use. The zero value is not usable.
type PublicKey struct {
	key   *ecdsa.PublicKey
	point [65]byte
}

// NewPublicKey reads an uncompressed point: 0x04, 32 bytes X, 32 bytes Y.
func NewPublicKey(point []byte) (*PublicKey, error) {
	if len(point) != 65 || point[0] != 4 {
		return nil, fmt.Errorf("%w: want 65 bytes beginning 04", ErrKey)
	}
	k, err := sm2.NewPublicKey(point)
	if err != nil {
		return nil, fmt.Errorf("%w: the point is not on the curve", ErrKey)
	}
	p := &PublicKey{key: k}
	copy(p.point[:], point)
	return p, nil
}

// ParseSPKI reads a DER SubjectPublicKeyInfo (algorithm ecPublicKey with the
// SM2 curve). Any other algorithm or curve is refused.
func ParseSPKI(der []byte) (*PublicKey, error) {
	in := cryptobyte.String(der)
	var spki, alg cryptobyte.String
	var oid, curve = OIDECPublicKey[:0:0], OIDSM2[:0:0]
	var bits []byte
	if !in.ReadASN1(&spki, casn1.SEQUENCE) || !in.Empty() ||
		!spki.ReadASN1(&alg, casn1.SEQUENCE) ||
		!alg.ReadASN1ObjectIdentifier(&oid) || !alg.ReadASN1ObjectIdentifier(&curve) || !alg.Empty() ||
		!spki.ReadASN1BitStringAsBytes(&bits) || !spki.Empty() {
		return nil, fmt.Errorf("%w: SubjectPublicKeyInfo is malformed", ErrKey)
	}
	if !oid.Equal(OIDECPublicKey) || !curve.Equal(OIDSM2) {
		return nil, fmt.Errorf("%w: algorithm %v on curve %v, want SM2", ErrKey, oid, curve)
	}
	return NewPublicKey(bits)
}

// ParsePublicKeyPEM reads the first PEM block, a PUBLIC KEY.
func ParsePublicKeyPEM(data []byte) (*PublicKey, error) {
	b, _ := pem.Decode(data)
	if b == nil || b.Type != "PUBLIC KEY" {
		return nil, fmt.Errorf("%w: no PEM block PUBLIC KEY", ErrKey)
	}
	return ParseSPKI(b.Bytes)
}

// Point returns the uncompressed point, 65 bytes beginning 04.
func (p *PublicKey) Point() []byte { return append([]byte(nil), p.point[:]...) }

// SPKI returns the DER SubjectPublicKeyInfo.
func (p *PublicKey) SPKI() []byte {
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(OIDECPublicKey)
			b.AddASN1ObjectIdentifier(OIDSM2)
		})
		b.AddASN1BitString(p.point[:])
	})
	return b.BytesOrPanic() // fixed shape: cannot fail
}

// PEM returns the key as a PEM block PUBLIC KEY.
func (p *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: p.SPKI()})
}

// Fingerprint is the SM3 digest of SPKI.
func (p *PublicKey) Fingerprint() [DigestSize]byte { return SM3(p.SPKI()) }

// Equal reports whether both are the same point.
func (p *PublicKey) Equal(q *PublicKey) bool { return p != nil && q != nil && p.point == q.point }

// Verify checks an SM2 signature over message: e = SM3(ZA || message) with the
// default user identity (GB/T 32918.2, GM/T 0009). sig must be canonical DER.
// It returns nil, ErrSignatureForm or ErrSignature.
func (p *PublicKey) Verify(message, sig []byte) error {
	if err := CheckSignature(sig); err != nil {
		return err
	}
	if !sm2.VerifyASN1WithSM2(p.key, nil, message, sig) {
		return ErrSignature
	}
	return nil
}

// Encrypt encrypts plaintext to the key (GB/T 32918.4), DER with C1, C3, C2.
func (p *PublicKey) Encrypt(plaintext []byte) ([]byte, error) {
	return sm2.EncryptASN1(rand.Reader, p.key, plaintext)
}

// CheckSignature returns ErrSignatureForm unless sig is SEQUENCE{r, s} in
// canonical DER with r and s in 1..n-1 and r+s != n.
func CheckSignature(sig []byte) error {
	if len(sig) > MaxSignatureSize {
		return ErrSignatureForm
	}
	in := cryptobyte.String(sig)
	var seq cryptobyte.String
	r, s := new(big.Int), new(big.Int)
	if !in.ReadASN1(&seq, casn1.SEQUENCE) || !in.Empty() ||
		!seq.ReadASN1Integer(r) || !seq.ReadASN1Integer(s) || !seq.Empty() {
		return ErrSignatureForm
	}
	if r.Sign() <= 0 || s.Sign() <= 0 || r.Cmp(order) >= 0 || s.Cmp(order) >= 0 ||
		new(big.Int).Add(r, s).Cmp(order) == 0 {
		return ErrSignatureForm
	}
	return nil
}

// SignatureFromRaw wraps a raw r||s of exactly 64 bytes, as one platform writes
// it, into DER. The result may still fail CheckSignature.
func SignatureFromRaw(raw []byte) ([]byte, error) {
	if len(raw) != 64 {
		return nil, ErrSignatureForm
	}
	var b cryptobyte.Builder
	b.AddASN1(casn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[:32]))
		b.AddASN1BigInt(new(big.Int).SetBytes(raw[32:]))
	})
	return b.Bytes()
}

// PrivateKey is an SM2 private key. Only keys/local, keys/plugin and callers'
// own tools hold one; everything else asks for typed signatures.
type PrivateKey struct {
	key    *sm2.PrivateKey
	public *PublicKey
	signer *signer
}

// GenerateKey makes a key from the operating system's random source.
func GenerateKey() (*PrivateKey, error) {
	k, err := sm2.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("generate SM2 key: %w", err)
	}
	return newPrivateKey(k)
}

// NewPrivateKey reads the 32-byte big-endian scalar d, 1 <= d <= n-2.
func NewPrivateKey(d []byte) (*PrivateKey, error) {
	k, err := sm2.NewPrivateKey(d)
	if err != nil {
		return nil, fmt.Errorf("%w: private scalar out of range", ErrKey) // the cause could echo the key
	}
	return newPrivateKey(k)
}

func newPrivateKey(k *sm2.PrivateKey) (*PrivateKey, error) {
	pub, err := fromECDSA(&k.PublicKey)
	if err != nil {
		return nil, err
	}
	s, err := newSigner(k)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{key: k, public: pub, signer: s}, nil
}

// ParsePrivateKeyPEM reads an unencrypted PKCS#8 PRIVATE KEY, or an EC PRIVATE
// KEY, over the SM2 curve.
func ParsePrivateKeyPEM(data []byte) (*PrivateKey, error) {
	b, _ := pem.Decode(data)
	if b == nil {
		return nil, fmt.Errorf("%w: no PEM block", ErrKey)
	}
	var key any
	var err error
	switch b.Type {
	case "PRIVATE KEY":
		key, err = smx509.ParsePKCS8PrivateKey(b.Bytes)
	case "EC PRIVATE KEY", "SM2 PRIVATE KEY":
		key, err = smx509.ParseSM2PrivateKey(b.Bytes)
	default:
		return nil, fmt.Errorf("%w: PEM block is not a PRIVATE KEY", ErrKey)
	}
	k, ok := key.(*sm2.PrivateKey)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: PEM block holds no SM2 key", ErrKey)
	}
	return newPrivateKey(k)
}

// MarshalPEM returns the key as an unencrypted PKCS#8 PRIVATE KEY.
func (k *PrivateKey) MarshalPEM() ([]byte, error) {
	der, err := smx509.MarshalPKCS8PrivateKey(k.key)
	if err != nil {
		return nil, fmt.Errorf("marshal SM2 key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// Bytes returns the 32-byte scalar. The caller wipes it after use.
func (k *PrivateKey) Bytes() []byte { return k.key.D.FillBytes(make([]byte, 32)) }

// Public returns the public half.
func (k *PrivateKey) Public() *PublicKey { return k.public }

// Sign signs message: e = SM3(ZA || message), default user identity, hedged
// nonce, constant time. The result is canonical DER of at most MaxSignatureSize
// bytes. The empty message is refused.
func (k *PrivateKey) Sign(message []byte) ([]byte, error) {
	sig, _, err := k.signer.sign(message)
	return sig, err
}

// SignHinted is Sign, with the hint that makes Verifier.VerifyBatch fast.
func (k *PrivateKey) SignHinted(message []byte) (sig []byte, hint Hint, err error) {
	return k.signer.sign(message)
}

// Decrypt decrypts what Encrypt made.
func (k *PrivateKey) Decrypt(ciphertext []byte) ([]byte, error) {
	out, err := k.key.Decrypt(rand.Reader, ciphertext, nil)
	if err != nil {
		return nil, errors.New("SM2 ciphertext does not decrypt")
	}
	return out, nil
}

// String keeps the scalar out of logs.
func (k *PrivateKey) String() string { return "gm.PrivateKey(redacted)" }

// GoString keeps the scalar out of %#v.
func (k *PrivateKey) GoString() string { return k.String() }

func fromECDSA(k *ecdsa.PublicKey) (*PublicKey, error) {
	if !sm2.IsSM2PublicKey(k) {
		return nil, fmt.Errorf("%w: not on the SM2 curve", ErrKey)
	}
	e, err := sm2.PublicKeyToECDH(k)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrKey, err)
	}
	return NewPublicKey(e.Bytes())
}

// messageSigner lets gmsm's certificate writers sign through a function that
// receives the whole to-be-signed structure, as a key engine wants it.
type messageSigner struct {
	public *PublicKey
	sign   func(tbs []byte) ([]byte, error)
}

func (m messageSigner) Public() crypto.PublicKey { return m.public.key }

func (m messageSigner) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if _, ok := opts.(*sm2.SM2SignerOption); !ok {
		return nil, errors.New("refusing to sign a bare digest")
	}
	return m.sign(message)
}

var _ crypto.Signer = messageSigner{}
