package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/seal"
	"github.com/sealgate/sealgate/seal/ofd"
	"github.com/sealgate/sealgate/seal/server"
	"golang.org/x/sys/unix"
)

// sealTimeout bounds one request to a seal service.
const sealTimeout = 60 * time.Second

type sealArgs struct {
	seal, config, server, token, ca, in, out string
	page                                     int
	x, y                                     float64
}

// runSeal seals one OFD, with the keys of a configuration or through a running
// seal service. It writes the output file only when all went well.
func runSeal(ctx context.Context, e env, args []string) error {
	a, err := parseSealArgs(args)
	if err != nil {
		return err
	}
	document, err := readDocument(a.in)
	if err != nil {
		return usage(err)
	}
	if err := writable(a.out); err != nil {
		return usage(err)
	}
	var sealed []byte
	if a.server != "" {
		sealed, err = a.remote(ctx, document)
	} else {
		sealed, err = a.local(ctx, e, document)
	}
	if err != nil {
		return err
	}
	if err := durable.WriteFile(a.out, sealed, 0o644); err != nil {
		return undecided(err)
	}
	fmt.Fprintf(e.stdout, "已盖章 sealed: %s (%d 字节 bytes)\n", a.out, len(sealed))
	return nil
}

func parseSealArgs(args []string) (*sealArgs, error) {
	const example = "sealgate seal -seal NAME -page 1 -at 138,241.5 -config FILE in.ofd -o out.ofd"
	a := &sealArgs{}
	fs := newFlags("seal")
	fs.StringVar(&a.seal, "seal", "", "`NAME` 印章名称 name of the seal")
	fs.IntVar(&a.page, "page", 1, "`N` 页码 page number from 1")
	at := fs.String("at", "", "`X,Y` 印章中心，距页面左上角的毫米数 the seal's centre in mm from the page's top left corner")
	fs.StringVar(&a.config, "config", "", "`FILE` 配置文件 configuration file")
	fs.StringVar(&a.server, "server", "", "`URL` 印章服务地址 base URL of a seal service")
	fs.StringVar(&a.token, "token", "", "`FILE` 与 -server 同用：令牌文件 with -server: file that holds the bearer token")
	fs.StringVar(&a.ca, "ca", "", "`FILE` 与 -server 同用：其 TLS 证书的签发者 with -server: PEM file with the authority of its TLS certificate")
	fs.StringVar(&a.out, "o", "", "`FILE` 输出文件 output file")
	operands, err := parse(fs, args)
	switch {
	case err != nil:
		return nil, err
	case len(operands) != 1 || a.out == "" || a.seal == "" || *at == "":
		return nil, usage(errors.New("缺少 missing -seal, -at, IN or -o OUT"), example)
	case (a.config == "") == (a.server == ""):
		return nil, usage(errors.New("需要 -config 与 -server 之一 want exactly one of -config and -server"), example)
	case a.page < 1:
		return nil, usage(fmt.Errorf("-page %d: 页码从 1 开始 pages count from 1", a.page))
	case a.server != "" && a.token == "":
		return nil, usage(errors.New("-server 需要 needs -token FILE"))
	}
	a.in = operands[0]
	xy := placeText.FindStringSubmatch(*at)
	if xy == nil {
		return nil, usage(fmt.Errorf("-at %q: 需要毫米坐标，至多三位小数 want millimetres X,Y with at most three decimals", *at), example)
	}
	a.x, _ = strconv.ParseFloat(xy[1], 64) // the pattern is a number
	a.y, _ = strconv.ParseFloat(xy[2], 64)
	return a, nil
}

// placeText is the form of -at, as the seal service has it.
var placeText = regexp.MustCompile(`^([0-9]{1,4}(?:\.[0-9]{1,3})?),([0-9]{1,4}(?:\.[0-9]{1,3})?)$`)

// writable refuses an output file that cannot be written, before anything is
// sealed and recorded for it.
func writable(out string) error {
	if info, err := os.Stat(out); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("-o %s: 不是普通文件 is no regular file", out)
	}
	dir, err := os.Stat(filepath.Dir(out))
	if err != nil {
		return err
	}
	if !dir.IsDir() {
		return fmt.Errorf("-o %s: 所在不是目录 does not lie in a folder", out)
	}
	if err := unix.Access(filepath.Dir(out), unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("-o %s: %w", out, err)
	}
	return nil
}

// local seals with the keystore of a configuration. The same records are
// written as by the seal service: intent before any key is asked, outcome after.
func (a *sealArgs) local(ctx context.Context, e env, document []byte) (_ []byte, err error) {
	c, err := loadConfig(a.config)
	if err != nil {
		return nil, err
	}
	s, err := openSite(ctx, c, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	showBanner(e.stderr, c)
	defer func() { err = errors.Join(err, s.close()) }()
	s.refresh(ctx)
	cabinet, err := openCabinet(ctx, s, seal.NewVerifier(s.judge))
	if err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, undecided(err)
	}
	sum := gm.SM3(document)
	record := audit.Record{Type: audit.SealOutcome, RequestID: hex.EncodeToString(id), Actor: audit.Actor{Kind: "service", ID: c.Node},
		Object: audit.Object{Kind: "seal", ID: a.seal}, Bytes: audit.N(int64(len(document))), BodySM3: sum[:]}
	prepared, err := cabinet.Prepare(ctx, server.Request{ID: record.RequestID, Caller: c.Node, Document: document, Seal: a.seal, Page: a.page, X: a.x, Y: a.y})
	if err != nil {
		record.Outcome, record.Code = audit.Denied, codeOf(err)
		_, appendErr := s.ledger.Append(ctx, record)
		return nil, sealError(errors.Join(err, appendErr))
	}
	record.Key = prepared.Key()
	intent := record
	intent.Type, intent.Outcome = audit.SealIntent, audit.Allowed
	if _, err := s.ledger.Append(ctx, intent); err != nil {
		return nil, undecided(err, "账本不可写，未盖章 the ledger cannot be written: nothing was sealed")
	}
	sealed, err := prepared.Apply(ctx)
	record.Outcome = audit.OK
	if err != nil {
		record.Outcome, record.Code = audit.Failed, codeOf(err)
	} else {
		sum := gm.SM3(sealed)
		record.Bytes, record.BodySM3 = audit.N(int64(len(sealed))), sum[:]
	}
	// The outcome is recorded also when the caller has given up.
	if _, appendErr := s.ledger.Append(context.WithoutCancel(ctx), record); appendErr != nil {
		return nil, undecided(errors.Join(err, appendErr), "结果未能记录，文件未写出 the outcome could not be recorded: no file was written")
	}
	if err != nil {
		return nil, sealError(err)
	}
	return sealed, nil
}

func codeOf(err error) string {
	if c, ok := errors.AsType[interface {
		error
		Code() string
	}](err); ok {
		return c.Code()
	}
	return "SG-INTERNAL"
}

// sealError says a refusal in both languages.
func sealError(err error) error {
	code := codeOf(err)
	text := err
	if p, ok := errors.AsType[interface {
		error
		Public() (zh, en string)
	}](err); ok {
		zh, en := p.Public()
		text = fmt.Errorf("%s %s", zh, en)
	}
	var hints []string
	if e, ok := problem.Lookup(code); ok {
		hints = append(hints, e.HintZH+" "+e.Hint)
	}
	if !strings.HasPrefix(text.Error(), code) {
		text = fmt.Errorf("%s: %w", code, text)
	}
	return sealRefusal(code, text, hints)
}

// sealRefusal tells a malformed document or request from a refusal, and both
// from something that is needed and does not answer.
func sealRefusal(code string, err error, hints []string) error {
	switch code {
	case seal.CodeSealDocument, "SG-SEAL-TOO-LARGE", "SG-SEAL-REQUEST":
		return usage(err, hints...)
	}
	if e, ok := problem.Lookup(code); ok && e.Status >= 500 { // keys, timestamps, the ledger
		return undecided(err, hints...)
	}
	return no(err, hints...)
}

// remote asks a running seal service.
func (a *sealArgs) remote(ctx context.Context, document []byte) ([]byte, error) {
	text, err := durable.ReadPrivate(a.token, maxSecretFile)
	if err != nil {
		return nil, usage(err)
	}
	token := firstToken(string(text))
	if token == "" {
		return nil, usage(fmt.Errorf("%s: 没有令牌 no token", a.token))
	}
	base, err := serviceURL(a.server)
	if err != nil {
		return nil, usage(fmt.Errorf("-server %w", err))
	}
	base = base.JoinPath("api", "v1", "seal")
	base.RawQuery = "seal=" + url.QueryEscape(a.seal) + "&page=" + strconv.Itoa(a.page) + "&at=" +
		strconv.FormatFloat(a.x, 'f', -1, 64) + "," + strconv.FormatFloat(a.y, 'f', -1, 64)
	ctx, cancel := context.WithTimeout(ctx, sealTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, base.String(), bytes.NewReader(document))
	if err != nil {
		return nil, usage(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/ofd")
	client, err := a.client()
	if err != nil {
		return nil, usage(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, unreachable(err, "印章服务是否在运行？ is the seal service running?", "-ca")
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, undecided(err)
	}
	if resp.StatusCode != http.StatusOK {
		r := readRefusal(resp.StatusCode, body)
		if r.id != "" {
			r.hints = append(r.hints, "请求编号 request id: "+r.id)
		}
		if r.undecided() {
			return nil, undecided(r, r.hints...)
		}
		return nil, sealRefusal(r.code, r, r.hints)
	}
	// A page of some other server is not to be written as a sealed document.
	if p, _ := ofd.Open(body); p == nil || len(p.Signatures()) == 0 {
		return nil, undecided(errors.New("应答不是已盖章的文件 the answer is no sealed document"), "-server 是否指向印章服务？ does -server name a seal service?")
	}
	return body, nil
}

// firstToken returns the first token of a file: of the service's own, where a
// line is NAME TOKEN [SEALS] and may be a comment, or of a caller's, which holds
// the token alone.
func firstToken(text string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case len(words) == 1:
			return words[0]
		default:
			return words[1]
		}
	}
	return ""
}

func (a *sealArgs) client() (*http.Client, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.ca != "" {
		text, err := os.ReadFile(filepath.Clean(a.ca))
		if err != nil {
			return nil, err
		}
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s: 没有 PEM 证书 no PEM certificate", a.ca)
		}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: t},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, nil
}
