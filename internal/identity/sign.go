package identity

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Credential is what a system signs with: exactly one of SM2 and HMAC. With a
// session key App is "app#key_id" and HMAC the session key.
type Credential struct {
	App  string
	SM2  *gm.PrivateKey
	HMAC []byte
}

// String keeps the keys out of logs.
func (c Credential) String() string { return "identity.Credential(" + c.App + ", redacted)" }

// GoString keeps the keys out of %#v.
func (c Credential) GoString() string { return c.String() }

// Sign puts the X-SG-* headers on a client's request: a fresh nonce, the time
// at, the digest of body, the elements and the signature. body must be what
// the request will send. Nothing that is signed may be changed afterwards.
func Sign(req *http.Request, body []byte, c Credential, e Elements, at time.Time) error {
	if (c.SM2 == nil) == (len(c.HMAC) == 0) {
		return errors.New("sign request: want exactly one of an SM2 key and an HMAC key")
	}
	nonce := make([]byte, 16)
	if _, err := rand.Read(nonce); err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	t := Text{
		Method: req.Method, Host: req.Host, Path: req.URL.EscapedPath(), Query: req.URL.RawQuery,
		App: c.App, Time: strconv.FormatInt(at.UnixMilli(), 10), Nonce: base64.RawURLEncoding.EncodeToString(nonce), Digest: Digest(body),
		Purpose: EncodeElement(e.Purpose), Item: EncodeElement(e.Item), Biz: EncodeElement(e.Biz), Org: EncodeElement(e.Org), Operator: EncodeElement(e.Operator),
	}
	if t.Method == "" {
		t.Method = http.MethodGet
	}
	if t.Host == "" {
		t.Host = req.URL.Host
	}
	if t.Path == "" {
		t.Path = "/"
	}
	if err := t.check(); err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	sign, err := c.sign([]byte(t.Canonical()))
	if err != nil {
		return fmt.Errorf("sign request: %w", err)
	}
	for _, h := range [...][2]string{{HeaderApp, t.App}, {HeaderTime, t.Time}, {HeaderNonce, t.Nonce}, {HeaderDigest, t.Digest},
		{HeaderPurpose, t.Purpose}, {HeaderItem, t.Item}, {HeaderBiz, t.Biz}, {HeaderOrg, t.Org}, {HeaderOperator, t.Operator}, {HeaderSign, sign}} {
		req.Header.Del(h[0])
		if h[1] != "" {
			req.Header.Set(h[0], h[1])
		}
	}
	return nil
}

func (c Credential) sign(text []byte) (string, error) {
	if c.SM2 != nil {
		sig, err := c.SM2.Sign(text)
		if err != nil {
			return "", err
		}
		return "sm2=" + base64.StdEncoding.EncodeToString(sig), nil
	}
	mac := gm.HMACSM3(c.HMAC, text)
	return "hmac-sm3=" + base64.StdEncoding.EncodeToString(mac[:]), nil
}

// Digest is the value of X-SG-Digest for a body; nil is the empty string.
func Digest(body []byte) string {
	d := gm.SM3(body)
	return "sm3=" + base64.StdEncoding.EncodeToString(d[:])
}
