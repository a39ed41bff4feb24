package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/identity"
)

// Limits of `sealgate call`.
const (
	callTimeout   = 60 * time.Second
	maxCallBody   = 16 << 20
	maxProblem    = 64 << 10
	maxSecretFile = 64 << 10
)

// callConfig is the configuration of a calling system. Relative paths are
// relative to the file's folder.
type callConfig struct {
	// App is the system's id in the catalogue.
	App string `yaml:"app"`
	// SM2Key is a PEM file with the system's private key, mode 0600.
	SM2Key string `yaml:"sm2_key"`
	// HMACKey is a file with the system's HMAC key in base64, mode 0600. Exactly one of the two is set.
	HMACKey string `yaml:"hmac_key"`
	// CA is a PEM file with the authority of the gateway's TLS certificate; the system's authorities when left out.
	CA string `yaml:"ca"`
	// Defaults of the five elements.
	Purpose  string `yaml:"purpose"`
	Item     string `yaml:"item"`
	Biz      string `yaml:"biz"`
	Org      string `yaml:"org"`
	Operator string `yaml:"operator"`
}

// runCall signs and sends one call as a department's system would. The body
// of the answer goes to stdout, a problem document to stderr.
func runCall(ctx context.Context, e env, args []string) error {
	fs := newFlags("call")
	path := fs.String("config", "call.yaml", "`FILE` 调用系统的配置 configuration of the calling system")
	var el identity.Elements
	fs.StringVar(&el.Purpose, "purpose", "", "`TEXT` 用途 purpose of use")
	fs.StringVar(&el.Item, "item", "", "`CODE` 事项编码 service item code")
	fs.StringVar(&el.Biz, "biz", "", "`ID` 办件编号 case number")
	fs.StringVar(&el.Org, "org", "", "`USCC` 机构 organisation")
	fs.StringVar(&el.Operator, "operator", "", "`TEXT` 操作人 operator or device")
	data := fs.String("data", "", "`FILE` 请求体，- 为标准输入 request body, - for stdin")
	contentType := fs.String("type", "application/json", "`TYPE` 请求体类型 content type of the body")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 2 {
		return usage(errors.New("需要方法和地址 want METHOD URL"), "sealgate call -config FILE GET https://HOST/PATH")
	}
	method := strings.ToUpper(operands[0])
	if strings.ContainsFunc(method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		return usage(fmt.Errorf("%q 不是方法 is no method", operands[0]), "GET, POST, PUT, PATCH, DELETE")
	}
	target, err := serviceURL(operands[1])
	if err != nil {
		return usage(err, "sealgate call -config FILE GET https://HOST/PATH")
	}
	c, err := loadCallConfig(*path)
	if err != nil {
		return invalid(err)
	}
	for _, d := range []struct {
		into *string
		from string
	}{{&el.Purpose, c.Purpose}, {&el.Item, c.Item}, {&el.Biz, c.Biz}, {&el.Org, c.Org}, {&el.Operator, c.Operator}} {
		if *d.into == "" {
			*d.into = d.from
		}
	}
	cred, err := c.credential()
	if err != nil {
		return usage(err)
	}
	client, err := c.client()
	if err != nil {
		return usage(err)
	}
	body, err := readBody(e.stdin, *data)
	if err != nil {
		return usage(err)
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, target.String(), bytes.NewReader(body))
	if err != nil {
		return usage(err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", *contentType)
	} else {
		req.Body, req.ContentLength = http.NoBody, 0
	}
	if err := identity.Sign(req, body, cred, el, time.Now()); err != nil {
		return usage(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return unreachable(err, "网关是否在运行？ is the gateway running?", "ca")
	}
	defer resp.Body.Close()
	return printAnswer(e, resp)
}

func readBody(stdin io.Reader, name string) ([]byte, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		stdin = f
	}
	body, err := io.ReadAll(io.LimitReader(stdin, maxCallBody+1))
	if err == nil && len(body) > maxCallBody {
		err = fmt.Errorf("请求体超过 body longer than %d bytes", maxCallBody)
	}
	return body, err
}

func printAnswer(e env, resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		out := &lineEnd{w: e.stdout}
		if _, err := io.Copy(out, resp.Body); err != nil {
			return undecided(fmt.Errorf("应答中断 the answer broke off: %w", err))
		}
		return out.finish()
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return undecided(err)
	}
	r := readRefusal(resp.StatusCode, text)
	if r.code != "" {
		fmt.Fprintf(e.stderr, "%s\n", oneLine(strings.TrimSpace(string(text))))
	}
	if r.undecided() {
		return undecided(r, r.hints...)
	}
	return no(r, r.hints...)
}

// lineEnd ends what goes to a terminal with a line feed; a file or a pipe gets
// the bytes as they are.
type lineEnd struct {
	w    io.Writer
	last byte
}

func (l *lineEnd) Write(p []byte) (int, error) {
	if len(p) > 0 {
		l.last = p[len(p)-1]
	}
	return l.w.Write(p)
}

func (l *lineEnd) finish() error {
	f, ok := l.w.(*os.File)
	if !ok || l.last == '\n' {
		return nil
	}
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return nil // no terminal
	}
	_, err := fmt.Fprintln(l.w)
	return err
}

func loadCallConfig(path string) (*callConfig, error) {
	doc, err := config.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var c callConfig
	if err := doc.Decode(&c); err != nil {
		return nil, err
	}
	if c.App == "" || (c.SM2Key == "") == (c.HMACKey == "") {
		return nil, fmt.Errorf("%s: 需要 app 以及 sm2_key 与 hmac_key 之一 want app and exactly one of sm2_key and hmac_key", path)
	}
	for _, p := range []*string{&c.SM2Key, &c.HMACKey, &c.CA} {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(filepath.Dir(path), *p)
		}
	}
	return &c, nil
}

func (c *callConfig) credential() (identity.Credential, error) {
	cred := identity.Credential{App: c.App}
	if c.SM2Key != "" {
		text, err := durable.ReadPrivate(c.SM2Key, maxSecretFile)
		if err != nil {
			return cred, err
		}
		if cred.SM2, err = gm.ParsePrivateKeyPEM(text); err != nil {
			return cred, fmt.Errorf("%s: 不是 SM2 私钥 %w", c.SM2Key, err)
		}
		return cred, nil
	}
	text, err := durable.ReadPrivate(c.HMACKey, maxSecretFile)
	if err != nil {
		return cred, err
	}
	cred.HMAC, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(cred.HMAC) < 16 {
		return cred, fmt.Errorf("%s: 不是 base64 密钥 want at least 16 bytes in base64", c.HMACKey)
	}
	return cred, nil
}

func (c *callConfig) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: 没有 PEM 证书 no PEM certificate", c.CA)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
