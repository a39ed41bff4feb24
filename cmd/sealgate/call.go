package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
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
	path := fs.String("config", "call.yaml", "configuration of the calling system")
	var el identity.Elements
	fs.StringVar(&el.Purpose, "purpose", "", "purpose of use 用途")
	fs.StringVar(&el.Item, "item", "", "service item code 事项编码")
	fs.StringVar(&el.Biz, "biz", "", "case number 办件编号")
	fs.StringVar(&el.Org, "org", "", "organisation (USCC) 机构")
	fs.StringVar(&el.Operator, "operator", "", "operator or device 人员")
	data := fs.String("data", "", "file with the request body, - for stdin")
	contentType := fs.String("type", "application/json", "content type of the body")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 2 {
		return usage(errors.New("需要方法和地址 want METHOD URL"), "sealgate call -config FILE GET https://HOST/PATH")
	}
	c, err := loadCallConfig(*path)
	if err != nil {
		return usage(err, "sealgate demo 会写出示例 writes one: demo/callers/rs-benefit.yaml")
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
	var body []byte
	switch *data {
	case "":
	case "-":
		body, err = io.ReadAll(io.LimitReader(e.stdin, maxCallBody+1))
	default:
		body, err = os.ReadFile(*data)
	}
	if err != nil {
		return usage(err)
	}
	if len(body) > maxCallBody {
		return usage(fmt.Errorf("请求体超过 body longer than %d bytes", maxCallBody))
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, strings.ToUpper(operands[0]), operands[1], bytes.NewReader(body))
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
		return undecided(err, "网关是否在运行？ is the gateway running?")
	}
	defer resp.Body.Close()
	return printAnswer(e, resp)
}

func printAnswer(e env, resp *http.Response) error {
	if resp.StatusCode/100 == 2 {
		if _, err := io.Copy(e.stdout, resp.Body); err != nil {
			return undecided(fmt.Errorf("应答中断 the answer broke off: %w", err))
		}
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return undecided(err)
	}
	fmt.Fprintf(e.stderr, "%s\n", bytes.TrimSpace(text))
	resp.Body = io.NopCloser(bytes.NewReader(text))
	return refusalOf(resp)
}

// refusalOf turns a problem document into an error: 5xx is "could not decide",
// anything else "no".
func refusalOf(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	if err != nil {
		return undecided(err)
	}
	var p struct {
		Code     string `json:"code"`
		DetailZH string `json:"detail_zh"`
		Detail   string `json:"detail"`
		Hint     string `json:"hint"`
		HintZH   string `json:"hint_zh"`
		Reasons  []struct {
			ZH    string `json:"zh"`
			EN    string `json:"en"`
			FixZH string `json:"fix_zh"`
			FixEN string `json:"fix_en"`
		} `json:"reasons"`
	}
	if err := json.Unmarshal(text, &p); err != nil || p.Code == "" {
		p.Detail = "应答不是问题文档 the answer is no problem document"
	}
	var hints []string
	for _, r := range p.Reasons {
		hints = append(hints, strings.TrimSpace(r.ZH+" "+r.EN+"；"+r.FixZH+" "+r.FixEN))
	}
	if p.Hint != "" && len(hints) == 0 {
		hints = append(hints, strings.TrimSpace(p.HintZH+" "+p.Hint))
	}
	refusal := fmt.Errorf("%d %s: %s %s", resp.StatusCode, p.Code, p.DetailZH, p.Detail)
	if resp.StatusCode >= 500 {
		return undecided(refusal, hints...)
	}
	return no(refusal, hints...)
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
		cred.SM2, err = gm.ParsePrivateKeyPEM(text)
		return cred, err
	}
	text, err := durable.ReadPrivate(c.HMACKey, maxSecretFile)
	if err != nil {
		return cred, err
	}
	cred.HMAC, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(cred.HMAC) < 16 {
		return cred, fmt.Errorf("%s: want at least 16 bytes in base64", c.HMACKey)
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
			return nil, fmt.Errorf("%s: no PEM certificate", c.CA)
		}
	}
	return &http.Client{
		Transport:     &http.Transport{TLSClientConfig: t, ForceAttemptHTTP2: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}
