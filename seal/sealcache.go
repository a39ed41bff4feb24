package seal

import (
	"sync"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/seal/ses"
)

// sealCache remembers seals whose maker's signature was found good. An office
// applies the same few seals all day, and the signature over a seal, picture
// included, is the dearest of a verification that does not depend on the
// document. The key is the whole seal, byte for byte: certificate, signed part
// and signature. Only good ones are kept, so a hostile file cannot fill it with
// anything but seals that some maker signed.
type sealCache struct {
	mu   sync.RWMutex
	good map[string]struct{}
}

const (
	maxCachedSeals = 64
	maxCachedSeal  = 256 << 10 // bytes; larger seals are verified each time
)

// verifyMaker verifies the maker's signature of a seal (step 15). maker is the
// certificate inside the seal. Whether the maker is trusted, and when the seal
// is valid, is not asked here and never cached.
func (v *Verifier) verifyMaker(maker *gm.Certificate, s *ses.Seal) error {
	c := &v.seals
	c.mu.RLock()
	_, known := c.good[string(s.Raw)]
	c.mu.RUnlock()
	if known {
		return nil
	}
	if err := maker.PublicKey.Verify(s.MakerMessage(), s.Signature); err != nil {
		return err
	}
	if len(s.Raw) > maxCachedSeal {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.good == nil || len(c.good) >= maxCachedSeals {
		c.good = make(map[string]struct{})
	}
	c.good[string(s.Raw)] = struct{}{}
	return nil
}
