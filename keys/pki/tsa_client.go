package pki

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/trust"
)

// ErrTimestampRefused says that an authority answered, and refused.
var ErrTimestampRefused = errors.New("the timestamp authority refuses")

// TSAClientConfig configures a client. URLs is needed.
type TSAClientConfig struct {
	// URLs are authorities of equal standing: the next one is asked when one
	// fails. http is allowed, for a token is signed; what it stamps is a digest.
	URLs []string
	// Policy asks for one policy and takes no other; nil takes any.
	Policy asn1.ObjectIdentifier
	// Anchors, when set, judge every token before it is returned. A sealer
	// judges it again with its own.
	Anchors *trust.Anchors
	Timeout time.Duration    // of one authority (5 s)
	Client  *http.Client     // nil: one without proxy and redirects
	Now     func() time.Time // time.Now; for judging with Anchors
}

// TSAClient has signature values stamped by authorities of RFC 3161 over HTTP,
// ours or others'. It is a seal.Timestamper and safe for concurrent use.
type TSAClient struct{ cfg TSAClientConfig }

// NewTSAClient returns a client.
func NewTSAClient(c TSAClientConfig) (*TSAClient, error) {
	if len(c.URLs) == 0 {
		return nil, errors.New("timestamp client: no authority")
	}
	for _, u := range c.URLs {
		if req, err := http.NewRequest(http.MethodPost, u, nil); err != nil || req.URL.Host == "" {
			return nil, fmt.Errorf("timestamp client: %q is no address", u)
		}
	}
	if c.Timeout <= 0 {
		c.Timeout = 5 * time.Second
	}
	if c.Client == nil {
		c.Client = newClient(c.Timeout)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return &TSAClient{cfg: c}, nil
}

// Stamp returns a DER token over the SM3 of sigValue, from the first authority
// that gives one that fits the request.
func (c *TSAClient) Stamp(ctx context.Context, sigValue []byte) ([]byte, error) {
	var errs []error
	for _, u := range c.cfg.URLs {
		token, err := c.ask(ctx, u, sigValue)
		if err == nil {
			return token, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", u, err))
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(errs...)
}

func (c *TSAClient) ask(ctx context.Context, address string, sigValue []byte) ([]byte, error) {
	q, err := newQuery(sigValue, c.cfg.Policy)
	if err != nil {
		return nil, err
	}
	der, err := q.Marshal()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(der))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", queryMediaType)
	req.Header.Set("Accept", replyMediaType)
	body, err := exchange(ctx, c.cfg.Client, req, gm.MaxTimestampToken, replyMediaType)
	if err != nil {
		return nil, err
	}
	token, err := readReply(body, q)
	if err != nil {
		return nil, err
	}
	if c.cfg.Anchors != nil {
		if v := c.cfg.Anchors.CheckTimestamp(token, [][]byte{sigValue}, c.cfg.Now()); v.Outcome != trust.Trusted {
			return nil, fmt.Errorf("timestamp %v: %s", v.Problems[0].Reason, v.Problems[0].Detail)
		}
	}
	return token, nil
}

// newQuery asks for a stamp over sigValue with a fresh nonce and the
// authority's certificate.
func newQuery(sigValue []byte, policy asn1.ObjectIdentifier) (*gm.TimestampRequest, error) {
	nonce := make([]byte, 8)
	if _, err := rand.Read(nonce); err != nil {
		return nil, fmt.Errorf("draw nonce: %w", err)
	}
	nonce[0] = nonce[0]&0x7f | 0x40 // positive, always 64 bits
	imprint := gm.SM3(sigValue)
	return &gm.TimestampRequest{HashOID: gm.OIDSM3, Imprint: imprint[:], Policy: policy, Nonce: new(big.Int).SetBytes(nonce), CertReq: true}, nil
}

// readReply returns the token of a response when it is the answer to q. Its
// signature is not judged here.
func readReply(der []byte, q *gm.TimestampRequest) ([]byte, error) {
	r, err := gm.ParseTimestampResponse(der)
	if err != nil {
		return nil, err
	}
	if r.Token == nil {
		return nil, fmt.Errorf("%w: status %d, failure %d: %.200q", ErrTimestampRefused, r.Status, r.Failure, r.Text)
	}
	t, err := gm.ParseTimestampToken(r.Token)
	if err != nil {
		return nil, err
	}
	i := t.Info
	switch {
	case !gm.IsSM3(i.HashOID) || !bytes.Equal(i.Imprint, q.Imprint):
		return nil, fmt.Errorf("%w: the token stamps something else", gm.ErrTimestamp)
	case i.Nonce == nil || i.Nonce.Cmp(q.Nonce) != 0:
		return nil, fmt.Errorf("%w: the token answers another request", gm.ErrTimestamp)
	case q.Policy != nil && !i.Policy.Equal(q.Policy):
		return nil, fmt.Errorf("%w: the token is of policy %v", gm.ErrTimestamp, i.Policy)
	}
	return r.Token, nil
}
