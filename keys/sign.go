package keys

import (
	"context"
	"fmt"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of signing requests.
const (
	MaxItemSize = 4 << 20 // one Item, bytes
	MaxBatch    = 256     // requests in one batch
	MaxID       = 128     // Request.ID, bytes
)

// Message returns the bytes of an item that the signature covers: all of it,
// except for a timestamp, whose item carries the TSTInfo beside the signed
// attributes so that the engine can read what it signs (see gm.TSTItem). It is
// what verifies a Signature: public.Verify(message, signature.Value).
func (t Type) Message(item []byte) ([]byte, error) {
	if t != TypeTST {
		return item, nil
	}
	_, attrs, err := gm.SplitTSTItem(item)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrItem, err)
	}
	return attrs, nil
}

// Request asks for one signature.
type Request struct {
	Type Type
	// Item is the whole structure to be signed, in its canonical form. It is
	// parsed by the engine; what does not parse is not signed.
	Item []byte
	// KeyVersion is the version that signs: always named, never "the latest",
	// because Item usually carries that version's certificate.
	KeyVersion int
	// ID is the idempotency id: up to MaxID bytes 0x21..0x7E, or empty for
	// none. For 24 h the same ID with the same request gives the same
	// Signature; with another request it gives ErrIdempotency.
	ID string
}

// Check checks the form of a request, whatever key it is for: ErrType for a
// type that does not exist, ErrRequest for the rest.
func (r Request) Check() error {
	if _, err := ParseType(string(r.Type)); err != nil {
		return err
	}
	if r.KeyVersion < 1 {
		return fmt.Errorf("%w: no key version is named", ErrRequest)
	}
	if len(r.Item) == 0 || len(r.Item) > MaxItemSize {
		return fmt.Errorf("%w: an item has 1 to %d bytes, not %d", ErrRequest, MaxItemSize, len(r.Item))
	}
	if len(r.ID) > MaxID {
		return fmt.Errorf("%w: an id has at most %d bytes", ErrRequest, MaxID)
	}
	for i := range len(r.ID) {
		if r.ID[i] < 0x21 || r.ID[i] > 0x7e {
			return fmt.Errorf("%w: an id has only bytes 0x21 to 0x7E", ErrRequest)
		}
	}
	return nil
}

// Signature is the answer to one Request.
type Signature struct {
	Value       []byte              // DER SEQUENCE{r, s}, at most 72 bytes
	KeyVersion  int                 // the version that signed
	Fingerprint [gm.DigestSize]byte // SM3 of that version's SubjectPublicKeyInfo
	// Hint makes the verification of many signatures fast (gm.Verifier). It is
	// public, proves nothing, and may be the zero value, which is none.
	Hint gm.Hint
}

// Result is one answer of a batch: Signature is valid only when Err is nil.
type Result struct {
	Signature Signature
	Err       error
}

// Key is one key as those see it who need its signatures. All methods are safe
// for concurrent use.
//
// Which of these could become a signing oracle, and why none does:
//
//   - Info returns public facts only.
//   - Sign and SignBatch take bytes and return a signature over them; that is
//     the shape of an oracle. They are none because the bytes are the whole
//     structure, not a digest: the engine parses it strictly, refuses any
//     type but the one of the key's purpose, checks that the structure names
//     this key's certificate and the present time, and hashes it itself. The
//     structures of different types cannot be confused: checkpoints, status
//     lists and statements about bundles are JSON with {"log", {"issued" and
//     {"act" at their beginning; TBS_Sign begins with a small INTEGER followed
//     by a seal, eSealInfo with the header "ES", certificates with [0].
//
// There is deliberately no method that signs a digest, takes a user identity,
// decrypts, exports, imports or backs up.
type Key interface {
	// Info reads the key's public facts; ErrNotFound when there is no such key.
	Info(ctx context.Context) (Info, error)

	// Sign signs one structure. On any error there is no signature, with one
	// exception every remote caller must expect: when the error is a time-out
	// or a lost connection the engine may have signed. Such a request is
	// repeated only under its ID.
	Sign(ctx context.Context, r Request) (Signature, error)

	// SignBatch signs 1 to MaxBatch structures. Results stand in the order of
	// the requests and fail one by one; the error is not nil only when the
	// batch as a whole was refused, and then no result is returned. Two
	// requests of one batch may not carry the same ID.
	SignBatch(ctx context.Context, rs []Request) ([]Result, error)
}

// Pinned is one version of a key, held together with its public half. Every
// signature is checked against that before it is handed on, so that a faulty
// or exchanged engine is noticed. It satisfies the one-method signers that the
// audit ledger, the sealer and the seal maker declare.
type Pinned struct {
	key         Key
	version     Version
	verifier    *gm.Verifier
	fingerprint [gm.DigestSize]byte
	id          string
}

// Pin fixes version n of the key that info describes.
func Pin(key Key, info Info, n int) (*Pinned, error) {
	v, err := info.Version(n)
	if err != nil {
		return nil, fmt.Errorf("pin key %s: %w", info.Name, err)
	}
	return &Pinned{key: key, version: v, verifier: gm.NewVerifier(v.Public), fingerprint: v.Fingerprint()}, nil
}

// PinLive reads the key's Info and fixes its live version.
func PinLive(ctx context.Context, key Key) (*Pinned, error) {
	info, err := key.Info(ctx)
	if err != nil {
		return nil, err
	}
	return Pin(key, info, info.Live)
}

// WithID returns a copy whose next signature carries the idempotency id. Use
// one copy for one structure.
func (p *Pinned) WithID(id string) *Pinned {
	q := *p
	q.id = id
	return &q
}

// Version returns the pinned version.
func (p *Pinned) Version() Version { return p.version }

// Public returns the pinned version's public key.
func (p *Pinned) Public() *gm.PublicKey { return p.version.Public }

// Certificate returns the pinned version's certificate, nil when it has none.
func (p *Pinned) Certificate() *gm.Certificate { return p.version.Certificate }

// SignTBS signs a DER TBS_Sign (GB/T 38540).
func (p *Pinned) SignTBS(ctx context.Context, tbs []byte) ([]byte, error) {
	return p.sign(ctx, TypeTBS, tbs)
}

// SignSealInfo signs a DER eSealInfo (GB/T 38540).
func (p *Pinned) SignSealInfo(ctx context.Context, info []byte) ([]byte, error) {
	return p.sign(ctx, TypeSealInfo, info)
}

// SignCheckpoint signs the canonical JSON of a ledger checkpoint.
func (p *Pinned) SignCheckpoint(ctx context.Context, checkpoint []byte) ([]byte, error) {
	return p.sign(ctx, TypeCheckpoint, checkpoint)
}

// SignTST signs a timestamp: the DER SET OF signed attributes that names the
// digest of the DER TSTInfo.
func (p *Pinned) SignTST(ctx context.Context, info, attrs []byte) ([]byte, error) {
	item, err := gm.TSTItem(info, attrs)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrItem, err)
	}
	return p.sign(ctx, TypeTST, item)
}

// SignBundle signs the canonical JSON of an officer's statement about a policy
// bundle.
func (p *Pinned) SignBundle(ctx context.Context, statement []byte) ([]byte, error) {
	return p.sign(ctx, TypeBundle, statement)
}

// SignStatusList signs the canonical JSON of a status list.
func (p *Pinned) SignStatusList(ctx context.Context, list []byte) ([]byte, error) {
	return p.sign(ctx, TypeStatusList, list)
}

// X509 returns the function with which gm.CreateCertificate has its structures
// signed.
func (p *Pinned) X509(ctx context.Context) gm.SignFunc {
	return func(tbs []byte) ([]byte, error) { return p.sign(ctx, TypeX509, tbs) }
}

// Revocation returns the function with which gm.CreateList and
// gm.CreateOCSPResponse have their structures signed. It asks for less than X509
// does: certificates are not signed through it.
func (p *Pinned) Revocation(ctx context.Context) gm.SignFunc {
	return func(tbs []byte) ([]byte, error) { return p.sign(ctx, TypeRevocation, tbs) }
}

func (p *Pinned) sign(ctx context.Context, t Type, item []byte) ([]byte, error) {
	s, err := p.key.Sign(ctx, Request{Type: t, Item: item, KeyVersion: p.version.Number, ID: p.id})
	if err != nil {
		return nil, err
	}
	if s.KeyVersion != p.version.Number || s.Fingerprint != p.fingerprint {
		return nil, fmt.Errorf("%w: another key or version answered", ErrFault)
	}
	message, err := t.Message(item)
	if err != nil {
		return nil, err
	}
	if err := p.verifier.Verify(message, s.Value); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFault, err)
	}
	return s.Value, nil
}
