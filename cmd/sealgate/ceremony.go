package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys/local"
	"github.com/sealgate/sealgate/keys/pki"
)

// confirmDigits is how much of the plan's digest each person types.
const confirmDigits = 16

// keysCeremony makes every key and certificate of one reviewed plan. Each person
// present confirms by typing the beginning of the digest of the plan that he
// reviewed: nobody can confirm a plan that he has not computed.
func keysCeremony(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys ceremony")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	out := fs.String("o", "", "`DIR` 证书与仪式记录写入的新目录 new folder for certificates, books and transcript")
	digest := fs.Bool("digest", false, "只显示计划摘要 show the plan's digest and do nothing")
	plan := func(path string) (*pki.Plan, error) {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, usage(err)
		}
		p, err := pki.ParsePlan(text)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", path, err))
		}
		return p, nil
	}
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(operands) != 1 || *out == "" && !*digest {
		return usage(errors.New("缺少 missing PLAN or -o DIR"), "sealgate keys ceremony -config FILE PLAN.yaml -o DIR", "sealgate keys ceremony -digest PLAN.yaml")
	}
	p, err := plan(operands[0])
	if err != nil {
		return err
	}
	if *digest {
		_, err := fmt.Fprintln(e.stdout, p.Digest())
		return err
	}
	if err := absent(*out); err != nil {
		return err
	}
	return withKeystore(ctx, e, *cfg, "create", filepath.Base(operands[0]), func(ks keyService) error {
		if _, embedded := ks.(*local.Keystore); embedded {
			fmt.Fprintln(e.stderr, local.Banner)
		}
		if err := durable.Mkdir(*out, durable.PrivateDir); err != nil {
			return usage(err)
		}
		in := bufio.NewReader(io.LimitReader(e.stdin, 64<<10))
		result, err := p.Run(ctx, ks, pki.RunOptions{Books: *out, Now: time.Now, Confirm: func(_ context.Context, person, digest string) error {
			return confirm(e, in, person, digest)
		}})
		if errors.Is(err, pki.ErrNotConfirmed) {
			return no(errors.Join(err, os.Remove(*out)), "没有制作任何密钥 no key was made")
		}
		// What was made before an error is on record too, as not complete.
		if werr := result.WriteFiles(*out); werr != nil {
			return undecided(errors.Join(err, werr))
		}
		if err != nil {
			fmt.Fprintf(e.stderr, "hint: 已做的部分记于 what was made is on record in %s；排除原因后用同一方案和新的 -o 继续 go on with the same plan and a new -o\n", filepath.Clean(*out))
			return keyError(err)
		}
		fmt.Fprintf(e.stdout, "仪式完成 done: %d 把密钥 keys, %s\n", len(result.Order), filepath.Clean(*out))
		return nil
	})
}

func confirm(e env, in *bufio.Reader, person, digest string) error {
	fmt.Fprintf(e.stderr, "%s: 请输入您审阅的计划摘要的前 %d 位 type the first %d digits of the digest of the plan that you reviewed:\n", oneLine(person), confirmDigits, confirmDigits)
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	typed := strings.ToLower(strings.TrimSpace(line))
	if len(typed) < confirmDigits || !strings.HasPrefix(digest, typed) {
		return errors.New("没有确认这份计划 did not confirm this plan")
	}
	return nil
}
