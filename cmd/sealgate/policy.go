package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/policy"
	"github.com/sealgate/sealgate/policy/bundle"
	"github.com/sealgate/sealgate/policy/engine"
)

// runPolicy makes, signs and activates policy bundles.
func runPolicy(ctx context.Context, e env, args []string) error {
	return act(ctx, e, "policy", args, action{"check", policyCheck}, action{"build", policyBuild}, action{"sign", policySign},
		action{"approve", policyApprove}, action{"activate", policyActivate}, action{"show", policyShow})
}

var _ bundle.Signer = (*keys.Pinned)(nil)

// one wants exactly one operand.
func one(fs *flag.FlagSet, args []string, what string) (string, error) {
	operands, err := parse(fs, args)
	if err != nil {
		return "", err
	}
	if len(operands) != 1 {
		return "", usage(errors.New("需要且只需要一个 want exactly one "+what), "sealgate "+fs.Name()+" … "+what)
	}
	return operands[0], nil
}

// policyError gives a refusal its exit code: what cannot be read or compiled is
// malformed input, what two officers have not agreed on is a refusal.
func policyError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.As(err, new(*bundle.Error)) && strings.ContainsFunc(err.Error(), chinese):
		p, _ := problem.FromError(err, "") // an officer's name does not say in Chinese what is wrong
		err = fmt.Errorf("%s %w", p.TitleZH, err)
	}
	switch {
	case errors.As(err, new(*engine.InvalidError)):
		return invalid(err)
	case errors.Is(err, bundle.ErrFormat), errors.Is(err, os.ErrNotExist), errors.Is(err, os.ErrPermission):
		return usage(err)
	case errors.As(err, new(*bundle.Error)):
		return no(err)
	case errors.As(err, new(*keys.Error)):
		return keyError(err)
	}
	return undecided(err)
}

func openBundle(path string) (*bundle.Bundle, []byte, error) {
	file, err := bundle.Read(path)
	if err != nil {
		return nil, nil, policyError(err)
	}
	b, err := bundle.Open(file)
	return b, file, policyError(err)
}

// policyCheck compiles rules and runs the self-checks. With -config a bundle's
// officers are judged too.
func policyCheck(ctx context.Context, e env, args []string) error {
	fs := newFlags("policy check")
	cfg := fs.String("config", "", "`FILE` 配置文件，据此核对签名 configuration file: also judge the officers")
	path, err := one(fs, args, "DIR|FILE.sgb")
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	info, err := os.Stat(path)
	if err != nil {
		return usage(err)
	}
	var b *bundle.Bundle
	if info.IsDir() {
		if *cfg != "" {
			return usage(errors.New("目录没有签名 a folder has no signatures: -config 用于 is for FILE.sgb"))
		}
		b, err = bundle.Build(path, bundle.Next{Name: "check"}, time.Now())
		err = policyError(err)
	} else {
		b, _, err = openBundle(path)
	}
	if err != nil {
		return err
	}
	rules, err := bundle.Try(ctx, b, compiler(log))
	if err != nil {
		return policyError(err)
	}
	if *cfg != "" {
		c, err := loadConfig(*cfg)
		if err != nil {
			return err
		}
		if c.Gateway == nil || c.Gateway.Policy.Bundle == "" {
			return usage(errors.New("配置没有 the configuration has no gateway.policy.bundle"))
		}
		fetched, err := fetchOnce(ctx, c, newLog(e.stderr))
		if err != nil {
			return err
		}
		anchors, err := officers(c, fetched)
		if err != nil {
			return err
		}
		if err := b.Verify(anchors, bundle.Times{Now: time.Now()}); err != nil {
			return policyError(err)
		}
	}
	if ok, why := rules.Cacheable(); !ok {
		fmt.Fprintf(e.stderr, "hint: 判定不缓存 decisions are not cached: %s\n", why)
	}
	fmt.Fprintf(e.stdout, "%s: 正确 ok, %d 个文件 files\n", path, len(b.Manifest.Files))
	return nil
}

func policyBuild(ctx context.Context, e env, args []string) error {
	fs := newFlags("policy build")
	name := fs.String("name", "", "`NAME` 策略系列名，首个策略包需要 name of the line; for its first bundle")
	previous := fs.String("previous", "", "`FILE` 上一个策略包 the bundle before this one")
	out := fs.String("o", "", "`FILE` 输出文件 output file (.sgb)")
	dir, err := one(fs, args, "DIR")
	if err != nil {
		return err
	}
	if *out == "" || (*name == "") == (*previous == "") {
		return usage(errors.New("缺少 missing -o FILE, 或 -name 与 -previous 恰好取一 or exactly one of -name and -previous"),
			"sealgate policy build -name gateway DIR -o gateway-1.sgb", "sealgate policy build -previous gateway-1.sgb DIR -o gateway-2.sgb")
	}
	if err := writable(*out); err != nil {
		return usage(err)
	}
	next := bundle.Next{Name: *name}
	if *previous != "" {
		if next.Previous, _, err = openBundle(*previous); err != nil {
			return err
		}
	}
	b, err := bundle.Build(dir, next, time.Now())
	if err != nil {
		return policyError(err)
	}
	if _, err := bundle.Try(ctx, b, compiler(slog.New(slog.DiscardHandler))); err != nil {
		return policyError(err)
	}
	return writeBundle(e, b, *out)
}

// writeBundle writes the file and says its line.
func writeBundle(e env, b *bundle.Bundle, out string) error {
	data, err := b.Marshal()
	if err != nil {
		return policyError(err)
	}
	if err := durable.WriteFile(out, data, 0o644); err != nil {
		return undecided(err)
	}
	fmt.Fprintf(e.stdout, "%s: %s\n", out, summary(b))
	return nil
}

// summary is one line: name, number, revision, what is signed.
func summary(b *bundle.Bundle) string {
	revision, err := b.Manifest.Revision()
	if err != nil {
		return err.Error() // of a bundle that was opened: does not happen
	}
	state := "未签名 unsigned"
	switch len(b.Signatures) {
	case 1:
		state = "已发布 released"
	case 2:
		state = "已审批 approved"
	}
	return fmt.Sprintf("%s 第 %d 号 number %d, %s, 修订 revision %s", b.Manifest.Name, b.Manifest.Sequence, b.Manifest.Sequence, state, revision)
}

func policySign(ctx context.Context, e env, args []string) error {
	fs := newFlags("policy sign")
	return officerSigns(ctx, e, fs, args, policy.Release)
}

func policyApprove(ctx context.Context, e env, args []string) error {
	fs := newFlags("policy approve")
	return officerSigns(ctx, e, fs, args, policy.Approve)
}

// officerSigns adds an officer's signature with a key of the configuration's
// key store. An approver names the revision that he has read, so that the file
// cannot be exchanged between reading and signing.
func officerSigns(ctx context.Context, e env, fs *flag.FlagSet, args []string, act policy.Act) (err error) {
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file; its key store holds the officer's key")
	key := fs.String("key", "", "`KEY` 策略管理员密钥 the officer's key")
	out := fs.String("o", "", "`FILE` 输出文件 output file; the same file when left out")
	var revision *string
	if act == policy.Approve {
		revision = fs.String("revision", "", "`HEX` 审阅过的修订号 the revision that you have read")
	}
	path, err := one(fs, args, "FILE.sgb")
	if err != nil {
		return err
	}
	if *out == "" {
		*out = path
	}
	switch {
	case *key == "":
		return usage(errors.New("缺少 missing -key KEY"))
	case revision != nil && len(*revision) != 2*gm.DigestSize:
		return usage(fmt.Errorf("-revision: 应为 want %d 位 digits", 2*gm.DigestSize), "sealgate policy show "+path)
	}
	if err := writable(*out); err != nil {
		return usage(err)
	}
	b, _, err := openBundle(path)
	if err != nil {
		return err
	}
	if have, err := b.Manifest.Revision(); err != nil {
		return policyError(err)
	} else if revision != nil && !strings.EqualFold(have, *revision) {
		return no(fmt.Errorf("这不是您审阅的策略包 this is not the bundle that you have read: %s", have))
	}
	if _, err := bundle.Try(ctx, b, compiler(slog.New(slog.DiscardHandler))); err != nil {
		return policyError(err) // nobody signs what could never go into force
	}
	c, err := loadConfig(*cfg)
	if err != nil {
		return err
	}
	ks, err := openKeys(ctx, c.Keys, false, newLog(e.stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ks.Close()) }()
	officer, err := pinnedLive(ctx, ks, *key)
	if err != nil {
		return err
	}
	showBanner(e.stderr, c)
	certs := append([]*gm.Certificate{officer.Certificate()}, officer.Version().Chain...)
	if b, err = b.Sign(ctx, act, officer.WithID(rand.Text()), certs, time.Now()); err != nil {
		return policyError(err)
	}
	return writeBundle(e, b, *out)
}

type fileLine struct {
	Path string `json:"path"`
	Size int64  `json:"size"`
	SM3  string `json:"sm3"`
}

type officerLine struct {
	Act     string `json:"act"`
	At      string `json:"at"`
	Officer string `json:"officer"`
	Subject string `json:"subject"`
	Serial  string `json:"serial"`
}

type bundleLine struct {
	Name       string        `json:"name"`
	Sequence   uint64        `json:"sequence"`
	Revision   string        `json:"revision"`
	Previous   string        `json:"previous"` // revision of the bundle before, or empty
	Created    string        `json:"created"`
	Files      []fileLine    `json:"files"`
	Signatures []officerLine `json:"signatures"`
}

// policyShow prints what is in a bundle, or one of its files. It judges nothing.
func policyShow(_ context.Context, e env, args []string) error {
	fs := newFlags("policy show")
	asJSON := fs.Bool("json", false, "输出一个 JSON 对象 one JSON object")
	file := fs.String("file", "", "`PATH` 输出其中一个文件的内容 print one of its files")
	path, err := one(fs, args, "FILE.sgb")
	if err != nil {
		return err
	}
	b, _, err := openBundle(path)
	if err != nil {
		return err
	}
	if *file != "" {
		content, ok := b.Content(*file)
		if !ok {
			return usage(fmt.Errorf("策略包中没有 the bundle has no %q", *file), "sealgate policy show "+path)
		}
		_, err := e.stdout.Write(content)
		return err
	}
	revision, err := b.Manifest.Revision()
	if err != nil {
		return policyError(err)
	}
	m := b.Manifest
	line := bundleLine{Name: m.Name, Sequence: m.Sequence, Revision: revision, Created: m.Created.UTC().Format(time.RFC3339), Files: []fileLine{}, Signatures: []officerLine{}}
	if m.Sequence > 1 {
		line.Previous = hex.EncodeToString(m.Previous[:])
	}
	for _, f := range m.Files {
		line.Files = append(line.Files, fileLine{f.Path, f.Size, hex.EncodeToString(f.SM3[:])})
	}
	for _, s := range b.Signatures {
		line.Signatures = append(line.Signatures, officerLine{string(s.Act), s.At.UTC().Format(time.RFC3339), s.Officer, s.Certificates[0].Subject.String(), s.Certificates[0].SerialHex()})
	}
	if *asJSON {
		return json.NewEncoder(e.stdout).Encode(line)
	}
	fmt.Fprintf(e.stdout, "%s\n", summary(b))
	fmt.Fprintf(e.stdout, "制作 created    %s\n前一个 previous %s\n", line.Created, or2(line.Previous, "无 none"))
	for _, f := range line.Files {
		fmt.Fprintf(e.stdout, "  %-40s %8d  %s\n", f.Path, f.Size, f.SM3)
	}
	acts := map[string]string{"release": "发布 release", "approve": "审批 approve"}
	for _, s := range line.Signatures {
		fmt.Fprintf(e.stdout, "%s  %s  %s  证书 certificate %s\n", acts[s.Act], s.At, oneLine(s.Subject), s.Serial)
	}
	fmt.Fprintln(e.stdout, "签名未核对 signatures were not judged: sealgate policy check -config FILE")
	return nil
}
