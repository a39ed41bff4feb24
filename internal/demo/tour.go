package demo

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/identity"
)

// Tour runs the whole story against a running demo, from the outside: signed
// calls, the seal service's API, files, the ledger on disk. It prints each step
// and returns an error as soon as one does not hold.
type Tour struct {
	Site     *Site
	Document []byte // a further OFD to be sealed; may be nil
	Out      io.Writer

	client *http.Client
	keys   map[string]*gm.PrivateKey
	step   int
	calls  int // identified calls sent so far: each must stand in the ledger
}

// Run runs the tour.
func (t *Tour) Run(ctx context.Context) error {
	if err := t.prepare(); err != nil {
		return err
	}
	for _, chapter := range []struct {
		zh, en string
		run    func(context.Context) error
	}{
		{"甲 部门与数源", "a. departments and providers", t.world},
		{"乙 授权的调用", "b. calls that are answered", t.answered},
		{"丙 被拒绝的调用", "c. calls that are refused", t.refused},
		{"丁 制章、用印与验证", "d. a seal is made, applied and verified", t.sealing},
		{"戊 审计账本", "e. the ledger", t.ledger},
	} {
		fmt.Fprintf(t.Out, "\n%s / %s\n", chapter.zh, chapter.en)
		if err := chapter.run(ctx); err != nil {
			fmt.Fprintf(t.Out, "  ✗ %v\n", err)
			return err
		}
	}
	fmt.Fprintf(t.Out, "\n全部 %d 步成立 all %d steps held\n", t.step, t.step)
	return nil
}

func (t *Tour) prepare() error {
	ca, err := os.ReadFile(t.Site.Path("tls", "ca.pem"))
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return errors.New("no certificate in tls/ca.pem")
	}
	t.client = &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	t.keys = map[string]*gm.PrivateKey{}
	for _, id := range Systems() {
		text, err := os.ReadFile(t.Site.Path("callers", id+".pem"))
		if err != nil {
			return err
		}
		if t.keys[id], err = gm.ParsePrivateKeyPEM(text); err != nil {
			return err
		}
	}
	return nil
}

// held prints a step that held.
func (t *Tour) held(zh, en string) {
	t.step++
	fmt.Fprintf(t.Out, "  ✓ %2d %s / %s\n", t.step, zh, en)
}

func (t *Tour) world(ctx context.Context) error {
	bases := map[string]bool{}
	for _, c := range Calls() {
		if c.Denied == "" {
			bases[c.Interface] = true
		}
	}
	for _, id := range Providers() {
		_, err := t.fetch(ctx, t.Site.Options.Upstreams[id]+"/")
		if err != nil {
			return fmt.Errorf("upstream of %s: %w", id, err)
		}
	}
	t.held(fmt.Sprintf("%d 个业务系统，%d 个数源部门，%d 个服务接口", len(Systems()), len(Providers()), len(bases)),
		fmt.Sprintf("%d systems, %d providers, %d interfaces", len(Systems()), len(Providers()), len(bases)))
	body, err := t.fetch(ctx, t.Site.AdminURL()+"/readyz")
	if err != nil || !bytes.Contains(body, []byte("ready")) {
		return fmt.Errorf("gateway is not ready: %s %w", body, err)
	}
	t.held("网关就绪", "the gateway is ready")
	return nil
}

// fetch gets an unsigned page; any answer will do.
func (t *Tour) fetch(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return io.ReadAll(io.LimitReader(resp.Body, 8<<20))
}

// request signs the sample call c.
func (t *Tour) request(ctx context.Context, c Call) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Site.GatewayURL()+c.Target, nil)
	if err != nil {
		return nil, err
	}
	el := identity.Elements{Purpose: c.Purpose, Item: c.Item, Biz: "BJ" + time.Now().Format("20060102") + "0001", Org: c.Org, Operator: "演示窗口01"}
	return req, identity.Sign(req, nil, identity.Credential{App: c.System, SM2: t.keys[c.System]}, el, time.Now())
}

// reply is what came back.
type reply struct {
	status  int
	header  http.Header
	body    []byte
	problem struct {
		Code      string `json:"code"`
		RequestID string `json:"request_id"`
		Detail    string `json:"detail"`
		DetailZH  string `json:"detail_zh"`
		Hint      string `json:"hint"`
		Reasons   []struct {
			Code string `json:"code"`
			ZH   string `json:"zh"`
		} `json:"reasons"`
	}
}

func (t *Tour) send(req *http.Request) (*reply, error) {
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	a := &reply{status: resp.StatusCode, header: resp.Header}
	if a.body, err = io.ReadAll(io.LimitReader(resp.Body, 64<<20)); err != nil {
		return nil, err
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json") {
		if err := json.Unmarshal(a.body, &a.problem); err != nil {
			return nil, fmt.Errorf("problem document: %w", err)
		}
	}
	return a, nil
}

func (t *Tour) call(ctx context.Context, c Call) (*reply, error) {
	req, err := t.request(ctx, c)
	if err != nil {
		return nil, err
	}
	t.calls++
	return t.send(req)
}

func (t *Tour) answered(ctx context.Context) error {
	for _, c := range Calls() {
		if c.Denied != "" {
			continue
		}
		a, err := t.call(ctx, c)
		if err != nil {
			return err
		}
		if a.status != http.StatusOK {
			return fmt.Errorf("%s: %d %s", c.EN, a.status, a.body)
		}
		for _, h := range []string{"X-SG-Request-Id", "X-SG-Decision", "X-SG-Policy-Revision"} {
			if a.header.Get(h) == "" {
				return fmt.Errorf("%s: no header %s", c.EN, h)
			}
		}
		if err := t.looks(ctx, c, a.body); err != nil {
			return fmt.Errorf("%s: %w", c.EN, err)
		}
		t.held(c.ZH, c.EN)
	}
	return nil
}

// looks checks an answer against what the call may see, and what is clear in
// it against the upstream's own bytes.
func (t *Tour) looks(ctx context.Context, c Call, body []byte) error {
	raw, err := t.upstream(ctx, c)
	if err != nil {
		return err
	}
	for _, want := range c.Sees {
		if !bytes.Contains(body, []byte(want)) {
			return fmt.Errorf("%q is missing in %s", want, body)
		}
		// Between two tokens a dropped member may have stood; each token must
		// be the upstream's own, byte for byte.
		for token := range strings.SplitSeq(want, ",") {
			if !strings.Contains(token, "*") && !bytes.Contains(raw, []byte(token)) {
				return fmt.Errorf("%q is not what the upstream sent", token)
			}
		}
	}
	for _, lack := range c.Lacks {
		if bytes.Contains(body, []byte(lack)) {
			return fmt.Errorf("%q should not be in the answer", lack)
		}
		if !bytes.Contains(raw, []byte(lack)) {
			return fmt.Errorf("%q is not in the upstream's answer either: the step shows nothing", lack)
		}
	}
	return nil
}

func (t *Tour) refused(ctx context.Context) error {
	for _, c := range Calls() {
		if c.Denied == "" {
			continue
		}
		a, err := t.call(ctx, c)
		if err != nil {
			return err
		}
		if err := t.refusal(a, c.Denied); err != nil {
			return fmt.Errorf("%s: %w", c.EN, err)
		}
		t.held(fmt.Sprintf("%s：%d %s", c.ZH, a.status, a.problem.Code), c.EN)
	}
	good := Calls()[0]

	first, err := t.request(ctx, good)
	if err != nil {
		return err
	}
	again := first.Clone(ctx)
	t.calls++
	if a, err := t.send(first); err != nil || a.status != http.StatusOK {
		return fmt.Errorf("first use of a nonce: %v %w", a, err)
	}
	if err := t.sendRefused(again, "SG-AUTHN-REPLAY", "重放同一随机数", "the same nonce again"); err != nil {
		return err
	}

	flipped, err := t.request(ctx, good)
	if err != nil {
		return err
	}
	sign := flipped.Header.Get(identity.HeaderOrg)
	flipped.Header.Set(identity.HeaderOrg, sign[:len(sign)-1]+string(sign[len(sign)-1]^1))
	if err := t.sendRefused(flipped, "SG-AUTHN-SIGNATURE", "签名内容改动一个字节", "one byte of what was signed is changed"); err != nil {
		return err
	}

	unknown := good
	unknown.Target = "/pop/v1/no-such-interface"
	a, err := t.call(ctx, unknown)
	if err != nil {
		return err
	}
	if err := t.refusal(a, "SG-ROUTE-NOT-FOUND"); err != nil {
		return err
	}
	t.held(fmt.Sprintf("未知路由：%d %s", a.status, a.problem.Code), "an unknown route")
	return nil
}

func (t *Tour) sendRefused(req *http.Request, code, zh, en string) error {
	a, err := t.send(req)
	if err != nil {
		return err
	}
	if err := t.refusal(a, code); err != nil {
		return fmt.Errorf("%s: %w", en, err)
	}
	t.held(fmt.Sprintf("%s：%d %s", zh, a.status, code), en)
	return nil
}

// refusal checks a problem document: its code, and words in both languages.
func (t *Tour) refusal(a *reply, code string) error {
	p := a.problem
	switch {
	case a.status < 400 || p.Code != code:
		return fmt.Errorf("want %s, got %d %s %s", code, a.status, p.Code, p.Detail)
	case p.RequestID == "" || p.RequestID != a.header.Get("X-SG-Request-Id"):
		return fmt.Errorf("%s without its request id", code)
	case p.Detail == "" || p.DetailZH == "" || p.Hint == "":
		return fmt.Errorf("%s without words or a way out", code)
	}
	return nil
}

// upstream gets the provider's own answer to a call, past the gateway.
func (t *Tour) upstream(ctx context.Context, c Call) ([]byte, error) {
	url, err := t.upstreamURL(c)
	if err != nil {
		return nil, err
	}
	return t.fetch(ctx, url)
}
