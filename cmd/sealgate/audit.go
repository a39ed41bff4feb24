package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/gm"
)

// runAudit reads ledgers; it never writes to one and needs no lock.
func runAudit(ctx context.Context, e env, args []string) error {
	return act(ctx, e, "audit", args,
		action{"verify", auditVerify}, action{"query", auditQuery}, action{"prove", auditProve}, action{"head", auditHead})
}

func auditFlags(name string) (*flag.FlagSet, *string) {
	fs := newFlags("audit " + name)
	return fs, fs.String("dir", "", "`DIR` 账本目录 the ledger's folder")
}

func needDir(dir string, operands []string) error {
	if dir == "" {
		return usage(errors.New("缺少 missing -dir DIR"), "目录见配置文件 the folder stands in the configuration: audit.dir")
	}
	if len(operands) > 0 {
		return usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[0]))
	}
	if info, err := os.Stat(dir); err != nil {
		return usage(err)
	} else if !info.IsDir() {
		return usage(fmt.Errorf("%s 不是目录 is no folder", dir))
	}
	return nil
}

func auditVerify(_ context.Context, e env, args []string) error {
	fs, dir := auditFlags("verify")
	pub := fs.String("pub", "", "`FILE` 账本签名者的全部公钥或证书 PEM public keys or certificates of the ledger's signer, all that it ever had")
	checkpoint := fs.String("checkpoint", "", "`FILE` 另行保存的检查点 a signed checkpoint that was kept elsewhere")
	asJSON := fs.Bool("json", false, "输出 JSON one JSON object")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if err := needDir(*dir, operands); err != nil {
		return err
	}
	var options audit.VerifyOptions
	if *pub != "" {
		if options.PublicKeys, err = readPublicKeys(*pub); err != nil {
			return usage(err)
		}
	}
	if *checkpoint != "" {
		if options.Checkpoint, err = readCheckpoint(*checkpoint); err != nil {
			return usage(err)
		}
	}
	report, err := audit.Verify(*dir, options)
	if err != nil {
		return undecided(err)
	}
	if *asJSON {
		if err := json.NewEncoder(e.stdout).Encode(report); err != nil {
			return undecided(err)
		}
	} else if report.OK {
		fmt.Fprintf(e.stdout, "完整 complete: %d 条记录 records, 根 root %x\n", report.Size, report.Root)
		if !report.SignaturesChecked {
			fmt.Fprintln(e.stdout, "注意 note: 没有核对检查点签名（用 -pub 给出公钥） no checkpoint signature was checked: give the signer's key with -pub")
		}
		if n := report.Size - report.Signed; n > 0 {
			fmt.Fprintf(e.stdout, "注意 note: 最后 %d 条记录尚无检查点 the last %d records are not yet covered by a checkpoint\n", n, n)
		}
	} else {
		fmt.Fprintf(e.stdout, "不完整 not complete: 自第 %d 条记录起 from record %d: %s\n", report.FirstBad, report.FirstBad, report.Why)
	}
	if !report.OK {
		return silently(exitNo)
	}
	return nil
}

// readPublicKeys reads PEM public keys and certificates, several when the
// ledger's key was rotated, or one certificate in DER.
func readPublicKeys(path string) (keys []*gm.PublicKey, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	for rest := data; ; {
		var b *pem.Block
		if b, rest = pem.Decode(rest); b == nil {
			break
		}
		switch b.Type {
		case "PUBLIC KEY":
			key, err := gm.ParseSPKI(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			keys = append(keys, key)
		case "CERTIFICATE":
			cert, err := gm.ParseCertificate(b.Bytes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
			keys = append(keys, cert.PublicKey)
		default:
			return nil, fmt.Errorf("%s: 含有 holds a PEM block %.40q", path, b.Type)
		}
	}
	if len(keys) > 0 {
		return keys, nil
	}
	cert, err := gm.ParseCertificate(data)
	if err != nil {
		return nil, fmt.Errorf("%s: 既不是公钥也不是证书 neither a public key nor a certificate: %w", path, err)
	}
	return []*gm.PublicKey{cert.PublicKey}, nil
}

// readCheckpoint reads what `audit head` printed; a line feed may end it.
func readCheckpoint(path string) (*audit.SignedCheckpoint, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := audit.ParseSignedCheckpoint(bytes.TrimRight(data, "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("%s: 不是检查点 %w", path, err)
	}
	return c, nil
}

func auditQuery(ctx context.Context, e env, args []string) error {
	fs, dir := auditFlags("query")
	var f audit.Filter
	from := fs.String("from", "", "`TIME` 起始时间 first time, RFC 3339")
	to := fs.String("to", "", "`TIME` 结束时间（不含） end, exclusive, RFC 3339")
	fs.StringVar(&f.Type, "type", "", "`TYPE` 类型 a type such as call.outcome, or a family such as call.")
	fs.StringVar(&f.RequestID, "request", "", "`ID` 请求编号 request id")
	fs.StringVar(&f.Actor, "actor", "", "`ID` 行为人 actor id")
	fs.StringVar(&f.Object, "object", "", "`ID` 对象 object id")
	fs.StringVar(&f.Code, "code", "", "`CODE` 代码 code, SG-…")
	fs.StringVar(&f.Subject, "subject", "", "`TOKEN` 主体索引值 token of the subject index")
	fs.IntVar(&f.Limit, "limit", 0, "`N` 最多条数 at most so many records")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if err := needDir(*dir, operands); err != nil {
		return err
	}
	for _, b := range []struct {
		option, text string
		into         *time.Time
	}{{"-from", *from, &f.From}, {"-to", *to, &f.To}} {
		if b.text != "" {
			if *b.into, err = parseAt(b.option, b.text); err != nil {
				return err
			}
		}
	}
	for entry, err := range audit.Query(*dir, f) {
		if err != nil {
			if errors.Is(err, audit.ErrBroken) {
				return no(err, "sealgate audit verify -dir DIR")
			}
			return undecided(err)
		}
		if _, err := fmt.Fprintf(e.stdout, "%s\n", entry.Raw); err != nil {
			return undecided(err)
		}
		if ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

func auditProve(_ context.Context, e env, args []string) error {
	fs, dir := auditFlags("prove")
	from := fs.String("from", "", "`FILE` 另行保存的检查点：证明账本由它延续 a kept checkpoint: prove that the ledger continues it")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if *from != "" {
		if err := needDir(*dir, operands); err != nil {
			return err
		}
		kept, err := readCheckpoint(*from)
		if err != nil {
			return usage(err)
		}
		proof, err := audit.ProveConsistency(*dir, kept)
		return printProof(e, proof, err)
	}
	if len(operands) != 1 {
		return usage(errors.New("需要一个记录序号 want one record number"), "sealgate audit prove -dir DIR SEQ", "sealgate audit prove -dir DIR -from CHECKPOINT")
	}
	seq, err := strconv.ParseUint(operands[0], 10, 53)
	if err != nil {
		return usage(fmt.Errorf("记录序号 record number %q: 不是数字 not a number", operands[0]))
	}
	if err := needDir(*dir, nil); err != nil {
		return err
	}
	proof, err := audit.Prove(*dir, seq)
	return printProof(e, proof, err)
}

func printProof(e env, proof interface{ Marshal() []byte }, err error) error {
	switch {
	case errors.Is(err, audit.ErrNotCovered):
		return undecided(err, "稍后再试 try again in a second: 检查点尚未签发 the checkpoint is not signed yet")
	case errors.Is(err, audit.ErrNoRecord):
		return no(fmt.Errorf("没有这条记录 %w", err), "sealgate audit head -dir DIR")
	case errors.Is(err, audit.ErrBroken), errors.Is(err, audit.ErrProof):
		return no(err, "sealgate audit verify -dir DIR")
	case err != nil:
		return undecided(err)
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", proof.Marshal())
	return err
}

func auditHead(_ context.Context, e env, args []string) error {
	fs, dir := auditFlags("head")
	operands, err := parse(fs, args)
	if err != nil {
		return err
	}
	if err := needDir(*dir, operands); err != nil {
		return err
	}
	head, err := audit.ReadHead(*dir)
	if err != nil {
		if errors.Is(err, audit.ErrBroken) {
			return no(err, "sealgate audit verify -dir DIR")
		}
		return undecided(err)
	}
	if head.Signed == nil {
		return undecided(errors.New("尚无检查点 no checkpoint yet"))
	}
	_, err = fmt.Fprintf(e.stdout, "%s\n", head.Signed.Marshal())
	return err
}
