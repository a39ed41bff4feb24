package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/keys/trust"
	"github.com/sealgate/sealgate/seal"
)

// maxDocument bounds a document that is read into memory, in bytes.
const maxDocument = 512 << 20

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// runVerify judges files offline: no key, no network, no configuration.
func runVerify(ctx context.Context, e env, args []string) error {
	fs := newFlags("verify")
	var anchors list
	fs.Var(&anchors, "trust", "`FILE|DIR` 信任锚（PEM 或 DER），可多次 trust anchors, may be repeated")
	var revoked list
	fs.Var(&revoked, "revoked", "`FILE|DIR` 吊销列表、OCSP 应答、印章状态列表，可多次 CRLs, OCSP answers, seal status lists, may be repeated")
	maxAge := fs.Duration("max-age", 0, "`DURATION` 吊销信息的最大年龄 how old -revoked may be and still say that something is not revoked, such as 72h")
	at := fs.String("at", "", "`TIME` 按此时间判断 judge as if now were this time (RFC 3339)")
	strict := fs.Bool("strict", false, "严格：未受保护即无效 what is not protected makes a file invalid")
	asJSON := fs.Bool("json", false, "每行一个 JSON one JSON object a line")
	files, err := parse(fs, args)
	if err != nil {
		return err
	}
	if *maxAge < 0 {
		return usage(errors.New("-max-age 不能为负 must not be negative"))
	}
	if len(files) == 0 {
		return usage(errors.New("缺少文件 missing file"), "sealgate verify -trust DIR FILE...")
	}
	now, err := parseAt("-at", *at)
	if err != nil {
		return err
	}
	judges, err := judge(anchors, revoked, trust.RevocationConfig{MaxAge: *maxAge})
	if err != nil {
		return err
	}
	verifier := seal.NewVerifier(judges)
	var worst int
	for i, name := range files {
		data, err := readDocument(name)
		if err != nil {
			fmt.Fprintf(e.stderr, "sealgate verify: %s\n", oneLine(say(err)))
			worst = exitUsage
			continue
		}
		report := verifier.Verify(ctx, name, data, seal.Options{At: now, Strict: *strict})
		if err := printReport(e.stdout, report, *asJSON, i > 0); err != nil {
			return undecided(err)
		}
		worst = worse(worst, exitOf(report.Indication))
	}
	return silently(worst)
}

// freshness is what a configuration says about the age of revocation data.
func freshness(c *config.File) trust.RevocationConfig {
	return trust.RevocationConfig{Grace: time.Duration(c.Freshness.Grace), MaxAge: time.Duration(c.Freshness.MaxAge)}
}

// judge reads what a verifier believes: anchors, and what was revoked.
func judge(anchors, revoked []string, fresh trust.RevocationConfig) (c seal.VerifierConfig, err error) {
	if len(anchors) > 0 {
		if c.Trust, err = trust.Load(anchors...); err != nil {
			return c, usage(fmt.Errorf("信任锚不可读 %w", err), "-trust 指向 PEM 或 DER 证书文件或其目录 names certificates or a folder of them")
		}
	}
	if len(revoked) == 0 {
		return c, nil
	}
	source, err := trust.LoadRevocations(fresh, revoked...)
	if err != nil {
		return c, usage(fmt.Errorf("吊销信息不可读 %w", err), "-revoked 指向吊销列表、OCSP 应答或印章状态列表 names revocation lists, OCSP answers or seal status lists")
	}
	if c.Trust == nil {
		return c, usage(errors.New("-revoked 需要 needs -trust"))
	}
	c.Trust, c.SealStatus = c.Trust.WithRevocation(source), source
	return c, nil
}

func printReport(w io.Writer, r *seal.Report, asJSON, separate bool) error {
	if asJSON {
		line, err := r.JSON()
		if err != nil {
			return err
		}
		_, err = w.Write(append(line, '\n'))
		return err
	}
	if separate {
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return seal.ReportText(w, r)
}

func exitOf(i seal.Indication) int {
	switch i {
	case seal.Valid:
		return exitOK
	case seal.Invalid:
		return exitNo
	}
	return exitUndecided
}

// worse orders exit codes for several files: 2, else 1, else 3, else 0.
func worse(a, b int) int {
	rank := func(c int) int { return strings.IndexByte("\x00\x03\x01\x02", byte(c)) }
	if rank(b) > rank(a) {
		return b
	}
	return a
}

func parseAt(option, s string) (time.Time, error) {
	if s == "" {
		return time.Now(), nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return t, usage(fmt.Errorf("%s %q 不是 RFC 3339 时间 is not an RFC 3339 time", option, s), option+" 2026-11-24T08:00:00+08:00")
	}
	return t, nil
}

// readDocument reads a regular file of at most maxDocument bytes.
func readDocument(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s 是目录 is a folder", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDocument+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxDocument {
		return nil, fmt.Errorf("%s 超过 longer than %d bytes", name, maxDocument)
	}
	return data, nil
}
