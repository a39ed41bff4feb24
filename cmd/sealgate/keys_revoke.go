package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/audit"
	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/pki"
)

// reasonWords are those of RFC 5280 section 5.3.1, by number; "" is no reason
// that anybody gives.
var reasonWords = [...]string{"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
	"certificateHold", "", "", "privilegeWithdrawn", "aACompromise"}

const holdReason = 6

func reasonWord(n int) string {
	if n >= 0 && n < len(reasonWords) && reasonWords[n] != "" {
		return reasonWords[n]
	}
	return fmt.Sprintf("reason-%d", n)
}

// bookkeeping is a CA's book in the hands of a person. The CA's key is not
// needed to write into it, only the key of the person's own ledger.
type bookkeeping struct {
	*site
	env  env
	name string
	ca   *gm.Certificate
	book *pki.Book
}

// withBook runs f on the book of the CA called issuer. The key store is opened
// when the CA's certificate is not in a file, and by record.
func withBook(ctx context.Context, e env, configPath, issuer string, f func(*bookkeeping) error) (err error) {
	c, err := loadConfig(configPath)
	if err != nil {
		return err
	}
	a, err := authorityOf(c, issuer)
	if err != nil {
		return err
	}
	b := &bookkeeping{site: &site{config: c, log: newLog(e.stderr)}, env: e, name: a.Key}
	defer func() { err = errors.Join(err, b.close()) }()
	if a.Certificate != "" {
		b.ca, err = firstCertificate(a.Certificate)
		if err != nil {
			return usage(err)
		}
	} else if b.ca, err = b.certificateOf(ctx, a.Key); err != nil {
		return err
	}
	if b.book, err = openBook(a, b.ca); err != nil {
		return err
	}
	return f(b)
}

// authorityOf finds a CA in the configuration; with one CA its name may be left out.
func authorityOf(c *config.File, issuer string) (config.RevocationAuthority, error) {
	if c.Revocation == nil {
		return config.RevocationAuthority{}, usage(errors.New("配置没有 the configuration has no section revocation"), "revocation: {dir: DIR, authorities: [{key: ca-…, book: FILE}]}")
	}
	var names []string
	for _, a := range c.Revocation.Authorities {
		if a.Key == issuer || issuer == "" && len(c.Revocation.Authorities) == 1 {
			return a, nil
		}
		names = append(names, a.Key)
	}
	return config.RevocationAuthority{}, usage(fmt.Errorf("没有这个签发者 no such issuer %q", issuer), "-issuer "+strings.Join(names, "|"))
}

func (b *bookkeeping) open(ctx context.Context) (err error) {
	if b.keys == nil {
		b.keys, err = openKeys(ctx, b.config.Keys, false, b.log)
	}
	return err
}

func (b *bookkeeping) certificateOf(ctx context.Context, name string) (*gm.Certificate, error) {
	if err := b.open(ctx); err != nil {
		return nil, err
	}
	n, err := keys.ParseName(name)
	if err != nil {
		return nil, keyError(err)
	}
	ca, err := pki.Open(ctx, b.keys.Key(n))
	if err != nil {
		return nil, keyError(err)
	}
	return ca.Certificate(), nil
}

// record writes the intent of an act on a certificate of this CA, before it.
func (b *bookkeeping) record(ctx context.Context, change, what string) error {
	if err := b.open(ctx); err != nil {
		return err
	}
	return recordAct(ctx, b.env, b.site, audit.Record{Type: audit.Type("key." + change), Actor: audit.Actor{Kind: "service", ID: b.config.Node},
		Object: audit.Object{Kind: "certificate", ID: b.name + "/" + what}, Outcome: audit.Allowed})
}

// certificateArgs are the flags that name a certificate.
type certificateArgs struct{ issuer, serial, cert string }

func (a *certificateArgs) flags(fs *flag.FlagSet) {
	fs.StringVar(&a.issuer, "issuer", "", "`KEY` 签发者密钥名 name of the CA's key")
	fs.StringVar(&a.serial, "serial", "", "`HEX` 证书序列号 serial number of the certificate")
}

// which returns the certificate's serial number; the certificate too, when it was
// given as a file, which must be one that this CA signed.
func (a certificateArgs) which(ca *gm.Certificate) (*big.Int, *gm.Certificate, error) {
	if a.cert == "" {
		serial, ok := new(big.Int).SetString(strings.ToLower(strings.ReplaceAll(a.serial, ":", "")), 16)
		if !ok || serial.Sign() <= 0 {
			return nil, nil, usage(fmt.Errorf("-serial %q 不是十六进制序列号 is no serial number in hexadecimal", a.serial))
		}
		return serial, nil, nil
	}
	c, err := firstCertificate(a.cert)
	if err != nil {
		return nil, nil, usage(err)
	}
	if err := c.CheckSignedBy(ca.PublicKey); err != nil || string(c.RawIssuer) != string(ca.RawSubject) {
		return nil, nil, no(fmt.Errorf("%s 不是这个 CA 签发的 was not issued by this CA", a.cert))
	}
	return c.Serial, c, nil
}

// keysRevoke enters a revocation into the book. One person can do it: whoever
// may stop something needs nobody's leave.
func keysRevoke(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys revoke")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	var a certificateArgs
	a.flags(fs)
	fs.StringVar(&a.cert, "cert", "", "`FILE` 证书文件，代替 -serial；簿中没有的也可吊销 the certificate instead of -serial, also one that the book does not know")
	listFile := fs.String("list", "", "`FILE` 已签发的吊销列表，其中各项补记入簿 a list of this CA: everything on it is entered, for a book from a backup")
	reason := fs.String("reason", "", "`WORD` 原因 reason of RFC 5280")
	at := fs.String("at", "", "`TIME` 自何时起不可信（早于现在）since when it is not to be believed, when that was before now (RFC 3339)")
	if _, err := operandsOf(fs, args, 0, ""); err != nil {
		return err
	}
	given := 0
	for _, s := range []string{a.serial, a.cert, *listFile} {
		if s != "" {
			given++
		}
	}
	if given != 1 || *listFile != "" && (*reason != "" || *at != "") {
		return usage(errors.New("需要 -serial、-cert、-list 之一 want exactly one of -serial, -cert and -list"),
			"sealgate keys revoke -config FILE -issuer KEY -serial HEX -reason keyCompromise")
	}
	if *listFile != "" {
		return withBook(ctx, e, *cfg, a.issuer, func(b *bookkeeping) error { return b.restore(ctx, *listFile) })
	}
	n := slices.Index(reasonWords[:], *reason)
	if n < 0 || *reason == "" {
		return usage(fmt.Errorf("-reason %q", *reason), "-reason "+strings.Join(slices.DeleteFunc(slices.Clone(reasonWords[:]), func(s string) bool { return s == "" }), "|"))
	}
	now := time.Now()
	since, err := parseAt("-at", *at)
	if err != nil {
		return err
	}
	if since.After(now) {
		if *at != "" {
			return usage(fmt.Errorf("-at %s 在将来 lies in the future", *at))
		}
		since = now
	}
	return withBook(ctx, e, *cfg, a.issuer, func(b *bookkeeping) error {
		serial, cert, err := a.which(b.ca)
		if err != nil {
			return err
		}
		r := gm.RevokedEntry{Serial: serial, At: now, Reason: n}
		if *at != "" {
			r.Invalid = since
		}
		return b.revoke(ctx, r, cert)
	})
}

// revoke enters r; cert, when it is not nil, is entered as issued first.
func (b *bookkeeping) revoke(ctx context.Context, r gm.RevokedEntry, cert *gm.Certificate) error {
	issued, already, _, err := b.book.State(r.Serial)
	switch {
	case err != nil:
		return usage(err)
	case !issued && cert == nil:
		return no(fmt.Errorf("簿中没有这个序列号 %x: %w", r.Serial, pki.ErrNotIssued), "sealgate keys revoked -all -config FILE", "证书在手：-cert FILE with the certificate at hand: -cert FILE")
	case already != nil && (already.Reason != holdReason || r.Reason == holdReason):
		return no(fmt.Errorf("已于 %s 吊销 %w (%s)", day(already.At), pki.ErrRevoked, reasonWord(already.Reason)))
	}
	change := "revoke"
	if r.Reason == holdReason {
		change = "hold"
	}
	if err := b.record(ctx, change, fmt.Sprintf("%x", r.Serial)); err != nil {
		return err
	}
	if cert != nil {
		if err := b.book.Issued(cert); err != nil {
			return undecided(err)
		}
	}
	if err := b.book.Revoke(r); err != nil {
		return undecided(err)
	}
	fmt.Fprintf(b.env.stdout, "%s %x 已吊销 revoked %s\n", b.name, r.Serial, reasonWord(r.Reason))
	fmt.Fprintf(b.env.stderr, "hint: 运行中的 revocation 角色 5 秒内签发新列表 a running role revocation issues a new list within 5 s; 没有该角色时 without one: sealgate keys crl -config FILE -issuer %s -o FILE\n", b.name)
	return nil
}

// restore enters what a list says into a book that was put back from a backup.
func (b *bookkeeping) restore(ctx context.Context, path string) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return usage(err)
	}
	l, err := gm.ParseRevocationList(data, b.ca)
	if err == nil && l.Number == nil {
		err = errors.New("没有编号 it has no number")
	}
	if err != nil {
		return no(fmt.Errorf("%s: %w", path, err))
	}
	if err := b.record(ctx, "revoke", "list-"+l.Number.String()); err != nil {
		return err
	}
	if err := b.book.Restore(l); err != nil {
		return undecided(err)
	}
	fmt.Fprintf(b.env.stdout, "%s 列表 list %v: %d 项已在簿中 entries are in the book\n", b.name, l.Number, len(l.Revoked))
	return nil
}

// keysUnhold ends a hold. Nothing else can be taken back.
func keysUnhold(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys unhold")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	var a certificateArgs
	a.flags(fs)
	if _, err := operandsOf(fs, args, 0, ""); err != nil {
		return err
	}
	return withBook(ctx, e, *cfg, a.issuer, func(b *bookkeeping) error {
		serial, _, err := a.which(b.ca)
		if err != nil {
			return err
		}
		_, held, _, err := b.book.State(serial)
		switch {
		case err != nil:
			return usage(err)
		case held == nil || held.Reason != holdReason:
			return no(fmt.Errorf("%x 不是暂停状态，吊销不能撤回 is not on hold; a revocation is not taken back", serial))
		}
		if err := b.record(ctx, "unhold", fmt.Sprintf("%x", serial)); err != nil {
			return err
		}
		if err := b.book.Release(serial); err != nil {
			return undecided(err)
		}
		fmt.Fprintf(e.stdout, "%s %x 已恢复 no longer on hold\n", b.name, serial)
		return nil
	})
}

type revokedJSON struct {
	Issuer    string `json:"issuer"`
	Serial    string `json:"serial"`
	Subject   string `json:"subject"`
	NotAfter  string `json:"not_after,omitempty"`
	RevokedAt string `json:"revoked_at,omitempty"`
	Since     string `json:"since,omitempty"` // when it stopped being good
	Reason    string `json:"reason,omitempty"`
}

// keysRevoked lists what the books say. It needs no key when the certificates of
// the CAs are in files.
func keysRevoked(ctx context.Context, e env, args []string) error {
	fs := newFlags("keys revoked")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	issuer := fs.String("issuer", "", "`KEY` 只列这个签发者 of this CA only")
	all := fs.Bool("all", false, "也列未吊销的 also what is not revoked")
	asJSON := fs.Bool("json", false, "每行一个 JSON one JSON object a line")
	if _, err := operandsOf(fs, args, 0, ""); err != nil {
		return err
	}
	names := []string{*issuer}
	if *issuer == "" {
		c, err := loadConfig(*cfg)
		if err != nil {
			return err
		}
		if c.Revocation != nil {
			names = nil
			for _, a := range c.Revocation.Authorities {
				names = append(names, a.Key)
			}
		}
	}
	for _, n := range names {
		if err := withBook(ctx, e, *cfg, n, func(b *bookkeeping) error { return b.list(*all, *asJSON) }); err != nil {
			return err
		}
	}
	return nil
}

func (b *bookkeeping) list(all, asJSON bool) error {
	entries, err := b.book.Entries()
	if err != nil {
		return usage(err)
	}
	stamp := func(t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return t.UTC().Format(time.RFC3339)
	}
	for _, x := range entries {
		if x.Revoked == nil && !all {
			continue
		}
		j := revokedJSON{Issuer: b.name, Serial: fmt.Sprintf("%x", x.Serial), Subject: x.Subject, NotAfter: stamp(x.NotAfter)}
		if r := x.Revoked; r != nil {
			j.RevokedAt, j.Since, j.Reason = stamp(r.At), stamp(r.Since()), reasonWord(r.Reason)
		}
		if asJSON {
			if err := json.NewEncoder(b.env.stdout).Encode(j); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(b.env.stdout, "%-16s %-40s %-20s %-20s %s\n", j.Issuer, j.Serial, or2(j.Since, "-"), or2(j.Reason, "-"), j.Subject)
	}
	return nil
}

// keysCRL issues one list into a file, for a CA whose key is not on line.
func keysCRL(ctx context.Context, e env, args []string) (err error) {
	fs := newFlags("keys crl")
	cfg := fs.String("config", "", "`FILE` 配置文件 configuration file")
	issuer := fs.String("issuer", "", "`KEY` 签发者密钥名 name of the CA's key")
	out := fs.String("o", "", "`FILE` 输出文件（DER）output file, DER")
	if _, err := operandsOf(fs, args, 0, ""); err != nil {
		return err
	}
	if *out == "" {
		return usage(errors.New("缺少 missing -o FILE"), "sealgate keys crl -config FILE -issuer KEY -o FILE")
	}
	if err := writable(*out); err != nil {
		return usage(err)
	}
	c, err := loadConfig(*cfg)
	if err != nil {
		return err
	}
	a, err := authorityOf(c, *issuer)
	if err != nil {
		return err
	}
	s := &site{config: c, log: newLog(e.stderr)}
	defer func() { err = errors.Join(err, s.close()) }()
	if s.keys, err = openKeys(ctx, c.Keys, false, s.log); err != nil {
		return err
	}
	ca, book, err := openAuthority(ctx, s.keys, a)
	if err != nil {
		return err
	}
	if err := durable.PrivateDirectory(c.Revocation.Dir); err != nil {
		return usage(fmt.Errorf("revocation.dir: %w", err))
	}
	l, err := pki.IssueList(ctx, pki.CRLConfig{CA: ca, Book: book, Life: time.Duration(a.Life), Interval: time.Duration(a.Renew),
		Keep: lastList(c.Revocation.Dir, a.Key, ca.Certificate()),
		OnIssue: func(ctx context.Context, l *gm.RevocationList) error {
			return recordAct(ctx, e, s, listRecord(c.Node, a.Key, l))
		}})
	switch {
	case errors.Is(err, pki.ErrBackwards):
		return no(err, fmt.Sprintf("sealgate keys revoke -config FILE -issuer %s -list %s", a.Key, lastList(c.Revocation.Dir, a.Key, ca.Certificate())))
	case err != nil:
		return keyError(err)
	}
	if err := durable.WriteFile(*out, l.Raw, 0o644); err != nil {
		return undecided(err)
	}
	fmt.Fprintf(e.stdout, "%s: %s 第 %v 号吊销列表，%d 项，至 list %v, %d entries, until %s\n", *out, a.Key, l.Number, len(l.Revoked), l.Number, len(l.Revoked), l.NextUpdate.Format(time.RFC3339))
	return nil
}
