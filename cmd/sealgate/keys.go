package main

import (
	"context"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/local"
)

// runKeys manages the keys of the store that a configuration names.
func runKeys(ctx context.Context, e env, args []string) error {
	return act(ctx, e, "keys", args,
		action{"create", keysCreate}, action{"list", keysList}, action{"public", keysPublic}, action{"csr", keysCSR}, action{"install-cert", keysInstall},
		action{"rotate", keysRotate}, action{"disable", keysDisable}, action{"destroy", keysDestroy}, action{"ceremony", keysCeremony}, action{"migrate", keysMigrate}, action{"secret", keysSecret}, action{"tls", keysTLS},
		action{"revoke", keysRevoke}, action{"unhold", keysUnhold}, action{"revoked", keysRevoked}, action{"crl", keysCRL})
}

// operandsOf parses args and wants that many operands; when what ends in "..."
// there may be more.
func operandsOf(fs *flag.FlagSet, args []string, atLeast int, what string) ([]string, error) {
	operands, err := parse(fs, args)
	if err != nil {
		return nil, err
	}
	hint := strings.TrimSpace("sealgate " + fs.Name() + " -config FILE " + what)
	if len(operands) < atLeast {
		return nil, usage(errors.New("缺少 missing "+what), hint)
	}
	if len(operands) > atLeast && !strings.HasSuffix(what, "...") {
		return nil, usage(fmt.Errorf("多余的参数 unexpected operand %q", operands[atLeast]), hint)
	}
	return operands, nil
}

// nameOf parses args, whose one operand is the name of a key.
func nameOf(fs *flag.FlagSet, args []string, what string) (keys.Name, error) {
	operands, err := operandsOf(fs, args, 1, what)
	if err != nil {
		return "", err
	}
	return keyName(operands[0])
}

// withKeystore runs f on the keystore of a configuration file. An act that
// changes keys (change not empty) is recorded as "key."+change of object in the
// ledger before it happens; by then everything that was typed has been judged.
func withKeystore(ctx context.Context, e env, configPath, change, object string, f func(ks keyService) error) (err error) {
	c, err := loadConfig(configPath)
	if err != nil {
		return err
	}
	ks, err := openKeys(ctx, c.Keys, change == "create", newLog(e.stderr))
	if err != nil {
		return err
	}
	s := &site{config: c, keys: ks}
	defer func() { err = errors.Join(err, s.close()) }()
	if change != "" {
		if err := recordKeyChange(ctx, e, s, change, object); err != nil {
			return err
		}
	}
	return f(ks)
}

// recordKeyChange writes the intent of an act on a key.
func recordKeyChange(ctx context.Context, e env, s *site, change, name string) error {
	return recordAct(ctx, e, s, audit.Record{Type: audit.Type("key." + change), Actor: audit.Actor{Kind: "service", ID: s.config.Node},
		Object: audit.Object{Kind: "key", ID: name}, Outcome: audit.Allowed})
}

// recordAct writes a record and closes the ledger again. Only before the
// checkpoint key exists is there no ledger to write to; that is said aloud.
func recordAct(ctx context.Context, e env, s *site, record audit.Record) error {
	checkpoint, err := keys.ParseName(or2(s.config.Audit.CheckpointKey, "checkpoint"))
	if err != nil {
		return usage(err)
	}
	if info, err := s.keys.Info(ctx, checkpoint); errors.Is(err, keys.ErrNotFound) || err == nil && info.Live == 0 {
		fmt.Fprintf(e.stderr, "hint: 未记账：检查点密钥 %s 尚未就绪 not recorded: there is no checkpoint key yet\n", checkpoint)
		return nil
	} else if err != nil {
		return keyError(err)
	}
	if err := s.openLedger(ctx); err != nil {
		return err
	}
	if _, err := s.ledger.Append(ctx, record); err != nil {
		return undecided(err, "账本不可写，什么都没有做 the ledger cannot be written: nothing was done")
	}
	// Closed before the act: the last checkpoint is signed by the key as it is,
	// also when the act is on that very key.
	err = s.ledger.Close()
	s.ledger = nil
	if err != nil {
		return undecided(err)
	}
	return nil
}

func keyName(s string) (keys.Name, error) {
	name, err := keys.ParseName(s)
	if err != nil {
		return "", usage(err)
	}
	return name, nil
}

func keysCreate(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys create")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	purpose := fs.String("purpose", "", "`PURPOSE` 密钥用途，不可更改 what the key is for; fixed for ever")
	name, err := nameOf(fs, args, "-purpose PURPOSE NAME")
	if err != nil {
		return err
	}
	p, err := keys.ParsePurpose(*purpose)
	if err != nil {
		var all []string
		for _, p := range keys.Purposes() {
			all = append(all, string(p))
		}
		return usage(fmt.Errorf("用途 purpose %q: %w", *purpose, err), "-purpose "+strings.Join(all, "|"))
	}
	return withKeystore(ctx, e, *cfg, "create", string(name), func(ks keyService) error {
		info, err := ks.Create(ctx, name, p)
		if err != nil {
			return keyError(err)
		}
		if info.Software {
			fmt.Fprintln(e.stderr, local.Banner)
		}
		printKey(e, info)
		if info.Live == 0 {
			fmt.Fprintf(e.stderr, "hint: 此用途需要证书 this purpose needs a certificate: sealgate keys csr -config FILE -subject CN=… %s\n", name)
		}
		return nil
	})
}

func keysList(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys list")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	asJSON := fs.Bool("json", false, "每行一个 JSON one JSON object a line")
	if _, err := operandsOf(fs, args, 0, ""); err != nil {
		return err
	}
	return withKeystore(ctx, e, *cfg, "", "", func(ks keyService) error {
		names, err := ks.List(ctx)
		if err != nil {
			return keyError(err)
		}
		for _, n := range names {
			info, err := ks.Info(ctx, n)
			if err != nil {
				return keyError(err)
			}
			if *asJSON {
				if err := json.NewEncoder(e.stdout).Encode(keyJSON(info)); err != nil {
					return err
				}
				continue
			}
			printKey(e, info)
		}
		return nil
	})
}

type versionJSON struct {
	Number      int    `json:"number"`
	Fingerprint string `json:"fingerprint"`
	Certificate string `json:"certificate,omitempty"` // serial number, hexadecimal
	NotAfter    string `json:"not_after,omitempty"`
}

type keyInfoJSON struct {
	Name     string        `json:"name"`
	Purpose  string        `json:"purpose"`
	State    string        `json:"state"`
	Software bool          `json:"software"`
	Live     int           `json:"live"`
	Versions []versionJSON `json:"versions"`
}

func keyJSON(info keys.Info) keyInfoJSON {
	out := keyInfoJSON{Name: string(info.Name), Purpose: string(info.Purpose), State: string(info.State), Software: info.Software, Live: info.Live, Versions: []versionJSON{}}
	for _, v := range info.Versions {
		fp := v.Public.Fingerprint()
		j := versionJSON{Number: v.Number, Fingerprint: fmt.Sprintf("%x", fp)}
		if c := v.Certificate; c != nil {
			j.Certificate, j.NotAfter = c.SerialHex(), c.NotAfter.UTC().Format(time.RFC3339)
		}
		out.Versions = append(out.Versions, j)
	}
	return out
}

func printKey(e env, info keys.Info) {
	live := "待装证书 awaits its certificate"
	if info.Live > 0 {
		live = fmt.Sprintf("第 %d 版 version %d", info.Live, info.Live)
	}
	fmt.Fprintf(e.stdout, "%-24s %-11s %-9s %s\n", info.Name, info.Purpose, info.State, live)
}

func keysCSR(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys csr")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	subject := fs.String("subject", "", "`SUBJECT` 证书主体 subject such as C=CN,O=…,CN=…")
	out := fs.String("o", "", "`FILE` 输出文件 output file; stdout when left out")
	name, err := nameOf(fs, args, "-subject CN=… NAME")
	if err != nil {
		return err
	}
	dn, err := parseSubject(*subject)
	if err != nil {
		return usage(err, "-subject C=CN,O=省政务服务局,CN=签章人")
	}
	return withKeystore(ctx, e, *cfg, "", "", func(ks keyService) error {
		info, err := ks.Info(ctx, name)
		if err != nil {
			return keyError(err)
		}
		v, err := info.Newest()
		if err != nil {
			return keyError(err)
		}
		req, err := ks.CSR(ctx, name, v.Number, dn)
		if err != nil {
			return keyError(err)
		}
		if *out == "" {
			_, err = e.stdout.Write(req.PEM())
			return err
		}
		if err := durable.WriteFile(*out, req.PEM(), 0o644); err != nil {
			return usage(err)
		}
		return nil
	})
}

func keysInstall(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys install-cert")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	operands, err := operandsOf(fs, args, 2, "NAME CERT...")
	if err != nil {
		return err
	}
	name, err := keyName(operands[0])
	if err != nil {
		return err
	}
	var certs []*gm.Certificate
	for _, path := range operands[1:] {
		data, err := os.ReadFile(path)
		if err != nil {
			return usage(err)
		}
		more, err := gm.ParseCertificates(data)
		if err != nil {
			return usage(fmt.Errorf("%s: %w", path, err))
		}
		certs = append(certs, more...)
	}
	return withKeystore(ctx, e, *cfg, "certificate", string(name), func(ks keyService) error {
		info, err := ks.Info(ctx, name)
		if err != nil {
			return keyError(err)
		}
		v, err := info.Newest()
		if err != nil {
			return keyError(err)
		}
		if info, err = ks.InstallCertificate(ctx, name, v.Number, certs); err != nil {
			return keyError(err)
		}
		printKey(e, info)
		return nil
	})
}

// keysAct is an act on one key that takes nothing but its name.
func keysAct(ctx context.Context, e env, args []string, action, change string, f func(keyService, keys.Name) (keys.Info, error)) error {
	fs := newFlags("keys " + action)
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	name, err := nameOf(fs, args, "NAME")
	if err != nil {
		return err
	}
	return withKeystore(ctx, e, *cfg, change, string(name), func(ks keyService) error {
		info, err := f(ks, name)
		if err != nil {
			return keyError(err)
		}
		printKey(e, info)
		return nil
	})
}

func keysRotate(ctx context.Context, e env, args []string) error {
	return keysAct(ctx, e, args, "rotate", "rotate", func(ks keyService, n keys.Name) (keys.Info, error) { return ks.Rotate(ctx, n) })
}

func keysDisable(ctx context.Context, e env, args []string) error {
	return keysAct(ctx, e, args, "disable", "disable", func(ks keyService, n keys.Name) (keys.Info, error) { return ks.Disable(ctx, n) })
}

func keysDestroy(ctx context.Context, e env, args []string) error {
	return keysAct(ctx, e, args, "destroy", "destroy", func(ks keyService, n keys.Name) (keys.Info, error) { return ks.Destroy(ctx, n) })
}

// parseSubject reads C=CN,O=…,CN=…; a backslash escapes a comma.
func parseSubject(s string) (pkix.Name, error) {
	var n pkix.Name
	if s == "" {
		return n, errors.New("缺少 missing -subject")
	}
	var parts []string
	var part strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			part.WriteByte(s[i])
		case s[i] == ',':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(s[i])
		}
	}
	parts = append(parts, part.String())
	for _, p := range parts {
		kind, value, ok := strings.Cut(strings.TrimSpace(p), "=")
		if !ok || value == "" {
			return n, fmt.Errorf("主体 subject: %q 不是 is not TYPE=VALUE", p)
		}
		switch strings.ToUpper(kind) {
		case "C":
			n.Country = append(n.Country, value)
		case "ST":
			n.Province = append(n.Province, value)
		case "L":
			n.Locality = append(n.Locality, value)
		case "O":
			n.Organization = append(n.Organization, value)
		case "OU":
			n.OrganizationalUnit = append(n.OrganizationalUnit, value)
		case "CN":
			n.CommonName = value
		default:
			return n, fmt.Errorf("主体 subject: 类型 type %q: want C, ST, L, O, OU or CN", kind)
		}
	}
	if n.CommonName == "" {
		return n, errors.New("主体 subject: 缺少 missing CN")
	}
	return n, nil
}
