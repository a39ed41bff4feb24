package identity

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/gateway/catalog"
	"github.com/sealgate/sealgate/internal/gm"
)

const (
	// SessionLife is how long a session key is good.
	SessionLife = time.Hour
	// sessionsPer bounds the live keys of one system; the oldest goes first.
	sessionsPer = 16
)

// Sessions issues and keeps session keys, in this process's memory. A key ends
// with its hour, and at once when its system is suspended or gets another SM2
// key.
type Sessions struct {
	mu   sync.Mutex
	keys map[string]session            // by key id
	of   map[catalog.SystemID][]string // key ids, oldest first
}

type session struct {
	system  catalog.SystemID
	holder  [gm.DigestSize]byte // fingerprint of the system's key when it was issued
	key     []byte
	expires time.Time
}

// NewSessions returns an empty set.
func NewSessions() *Sessions {
	return &Sessions{keys: map[string]session{}, of: map[catalog.SystemID][]string{}}
}

// Session is what a caller gets: the key is encrypted to its SM2 key
// (ASN.1, C1C3C2), in base64.
type Session struct {
	KeyID   string    `json:"key_id"`
	Key     string    `json:"key"`
	Expires time.Time `json:"expires"`
}

// Issue makes a session key for a caller that was identified by SM2 at the
// time at. Any other caller is refused: a session key must not beget another.
func (s *Sessions) Issue(c *Caller, at time.Time) (Session, error) {
	if c.Auth != AuthSM2 || c.System.Key == nil {
		return Session{}, &Error{code: "SG-AUTHN-SESSION", zh: "会话密钥只能用 SM2 签名申请", en: "a session key is issued on an SM2 signature only"}
	}
	secret := make([]byte, 32+12)
	if _, err := rand.Read(secret); err != nil {
		return Session{}, fmt.Errorf("issue session key: %w", err)
	}
	key, id := secret[:32:32], base64.RawURLEncoding.EncodeToString(secret[32:])
	sealed, err := c.System.Key.Encrypt(key)
	if err != nil {
		return Session{}, errors.New("issue session key: encryption refused")
	}
	expires := at.Add(SessionLife).UTC().Truncate(time.Second)
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.of[c.System.ID]
	for len(own) >= sessionsPer {
		delete(s.keys, own[0])
		own = own[1:]
	}
	s.keys[id] = session{c.System.ID, c.System.Key.Fingerprint(), key, expires}
	s.of[c.System.ID] = append(own[:len(own):len(own)], id)
	return Session{KeyID: id, Key: base64.StdEncoding.EncodeToString(sealed), Expires: expires}, nil
}

// key returns a live session key of the system. It works on a nil *Sessions.
func (s *Sessions) key(id string, system *catalog.System, at time.Time) ([]byte, bool) {
	if s == nil || system.Key == nil {
		return nil, false
	}
	s.mu.Lock()
	k, ok := s.keys[id]
	s.mu.Unlock()
	if !ok || k.system != system.ID || k.holder != system.Key.Fingerprint() || !at.Before(k.expires) {
		return nil, false
	}
	return k.key, true
}
