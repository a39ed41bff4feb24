package pki

import (
	"context"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
)

// Media types of RFC 3161 section 3.4.
const (
	queryMediaType = "application/timestamp-query"
	replyMediaType = "application/timestamp-reply"
)

// TSAConfig configures a timestamp authority. Key and Policy are needed.
type TSAConfig struct {
	// Key is of purpose tsa; its certificate has the one critical extended usage
	// timeStamping. A new version of it is taken up by itself.
	Key keys.Key
	// Policy identifies the rules under which the authority works.
	Policy asn1.ObjectIdentifier
	// Accuracy is stated in every token (1 s, at most 1 min): how far the clock
	// may be off.
	Accuracy time.Duration
	// Signings bounds how many tokens are made at once (16); beyond it requests
	// wait up to Wait (2 s) and are then refused.
	Signings int
	Wait     time.Duration
	// OnStamp is told of every token before it is handed out, for the audit
	// record. An error keeps the token back.
	OnStamp func(ctx context.Context, serial *big.Int, imprint []byte, at time.Time) error
	Now     func() time.Time // time.Now
	Log     *slog.Logger     // nil discards
}

// TSAServer is a timestamp authority (RFC 3161, GM/T 0033) over SM2 and SM3. It is an
// http.Handler for application/timestamp-query, and a Timestamper for a sealer
// in the same process. Serial numbers are 127 random bits. It refuses when its
// clock has gone back, and the key engine refuses a time that is not its own.
// It is safe for concurrent use.
type TSAServer struct {
	cfg     TSAConfig
	signing chan struct{}

	mu     sync.Mutex
	pinned *keys.Pinned
	last   time.Time // the latest time that was stamped
}

// clockBack is how far the clock may go back between two tokens before the
// authority stops: time-keeping daemons correct by milliseconds.
const clockBack = time.Second

// NewTSA returns an authority whose key is there and fits.
func NewTSA(ctx context.Context, c TSAConfig) (*TSAServer, error) {
	if c.Key == nil || len(c.Policy) < 3 {
		return nil, errors.New("timestamp authority: a key and a policy are needed")
	}
	if c.Accuracy == 0 {
		c.Accuracy = time.Second
	}
	if c.Accuracy < 0 || c.Accuracy > time.Minute {
		return nil, fmt.Errorf("timestamp authority: an accuracy of %v says nothing", c.Accuracy)
	}
	if c.Signings <= 0 {
		c.Signings = 16
	}
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &TSAServer{cfg: c, signing: make(chan struct{}, c.Signings)}
	_, err := t.key(ctx, nil)
	return t, err
}

// key returns the pinned live version; it pins anew when the one at hand is the
// one that failed.
func (t *TSAServer) key(ctx context.Context, failed *keys.Pinned) (*keys.Pinned, error) {
	t.mu.Lock()
	p := t.pinned
	t.mu.Unlock()
	if p != failed {
		return p, nil
	}
	p, err := keys.PinLive(ctx, t.cfg.Key)
	if err != nil {
		return nil, err
	}
	if c := p.Certificate(); c == nil || !c.TimeStamping {
		return nil, fmt.Errorf("timestamp authority: %w: not one for timestamps", keys.ErrCertificate)
	}
	t.mu.Lock()
	t.pinned = p
	t.mu.Unlock()
	return p, nil
}

// refusal is why a request is refused, in the words of RFC 3161.
type refusal struct {
	failure int
	text    string
}

func (r *refusal) Error() string { return r.text }

// Respond answers a DER TimeStampReq with a DER TimeStampResp. It always has an
// answer; a refusal says why.
func (t *TSAServer) Respond(ctx context.Context, request []byte) []byte {
	r := gm.TimestampResponse{Status: gm.TimestampGranted, Failure: gm.TimestampNoFailure}
	var err error
	if r.Token, err = t.respond(ctx, request); err != nil {
		no := &refusal{gm.TimestampSystemFailure, "the timestamp authority cannot sign at present"}
		if !errors.As(err, &no) {
			t.cfg.Log.ErrorContext(ctx, "timestamp not signed", "error", err)
		}
		r = gm.TimestampResponse{Status: gm.TimestampRejection, Failure: no.failure, Text: no.text}
	}
	der, err := r.Marshal()
	if err != nil { // a token that was parsed: cannot happen
		t.cfg.Log.ErrorContext(ctx, "timestamp response not written", "error", err)
		return nil
	}
	return der
}

func (t *TSAServer) respond(ctx context.Context, request []byte) ([]byte, error) {
	q, err := gm.ParseTimestampRequest(request)
	switch {
	case err != nil:
		return nil, &refusal{gm.TimestampBadDataFormat, "not a TimeStampReq"}
	case q.HasExtensions:
		return nil, &refusal{gm.TimestampUnacceptedExtension, "extensions are not accepted"}
	case !q.HashOID.Equal(gm.OIDSM3):
		return nil, &refusal{gm.TimestampBadAlgorithm, "the imprint must be SM3 (1.2.156.10197.1.401)"}
	case len(q.Imprint) != gm.DigestSize:
		return nil, &refusal{gm.TimestampBadDataFormat, "the imprint is not 32 bytes"}
	case q.Policy != nil && !q.Policy.Equal(t.cfg.Policy):
		return nil, &refusal{gm.TimestampUnacceptedPolicy, "the policy here is " + t.cfg.Policy.String()}
	}
	timer := time.NewTimer(t.cfg.Wait)
	defer timer.Stop()
	select {
	case t.signing <- struct{}{}:
		defer func() { <-t.signing }()
	case <-timer.C:
		return nil, &refusal{gm.TimestampSystemFailure, "too busy, try again"}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	p, err := t.key(ctx, nil)
	if err != nil {
		return nil, err
	}
	token, err := t.token(ctx, p, q)
	if errors.Is(err, keys.ErrVersion) || errors.Is(err, keys.ErrExpired) { // rotated
		if p, err = t.key(ctx, p); err == nil {
			token, err = t.token(ctx, p, q)
		}
	}
	return token, err
}

func (t *TSAServer) token(ctx context.Context, p *keys.Pinned, q *gm.TimestampRequest) ([]byte, error) {
	serial := make([]byte, 16)
	if _, err := rand.Read(serial); err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	serial[0] = serial[0]&0x7f | 0x40
	now, err := t.now()
	if err != nil {
		return nil, err
	}
	cert := p.Certificate()
	i := &gm.TSTInfo{Policy: t.cfg.Policy, HashOID: gm.OIDSM3, Imprint: q.Imprint, Serial: new(big.Int).SetBytes(serial), Time: now,
		Accuracy: t.cfg.Accuracy, Nonce: q.Nonce, TSA: gm.DirectoryName(cert.RawSubject)}
	certs := append([]*gm.Certificate{cert}, p.Version().Chain...)
	token, err := gm.CreateTimestampToken(i, certs, q.CertReq, func(info, attrs []byte) ([]byte, error) { return p.SignTST(ctx, info, attrs) })
	if err != nil {
		return nil, err
	}
	if t.cfg.OnStamp != nil {
		if err := t.cfg.OnStamp(ctx, i.Serial, q.Imprint, now); err != nil {
			return nil, fmt.Errorf("record timestamp: %w", err)
		}
	}
	return token, nil
}

// now reads the clock, in milliseconds. A clock that went back makes the
// authority stop until it has caught up: two tokens must not contradict each
// other.
func (t *TSAServer) now() (time.Time, error) {
	now := t.cfg.Now().UTC().Truncate(time.Millisecond)
	t.mu.Lock()
	defer t.mu.Unlock()
	if now.Before(t.last.Add(-clockBack)) {
		return now, &refusal{gm.TimestampTimeNotAvailable, "the clock of the authority went back"}
	}
	if now.After(t.last) {
		t.last = now
	}
	return now, nil
}

// Stamp stamps a signature value without a network: the seal.Timestamper of a
// sealer in the same process.
func (t *TSAServer) Stamp(ctx context.Context, sigValue []byte) ([]byte, error) {
	q, err := newQuery(sigValue, t.cfg.Policy)
	if err != nil {
		return nil, err
	}
	der, err := q.Marshal()
	if err != nil {
		return nil, err
	}
	return readReply(t.Respond(ctx, der), q)
}

// ServeHTTP answers POST application/timestamp-query.
func (t *TSAServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		refuseMethod(w, "POST")
		return
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); strings.TrimSpace(media) != queryMediaType {
		http.Error(w, "want "+queryMediaType, http.StatusUnsupportedMediaType)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, gm.MaxTimestampRequest))
	if err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			http.Error(w, "request too long", http.StatusRequestEntityTooLarge)
		}
		return
	}
	h := w.Header()
	h.Set("Content-Type", replyMediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.Write(t.Respond(r.Context(), body)) // an error means that the client has gone
}
