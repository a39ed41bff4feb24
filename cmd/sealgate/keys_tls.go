package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/keys/pki"
)

// Files of a TLS authority's folder.
const (
	tlsCACert = "ca.pem"
	tlsCAKey  = "ca.key"
)

// tlsBackdate is how long before its making a TLS certificate begins, for peers
// whose clocks are behind.
const tlsBackdate = 5 * time.Minute

var tlsName = regexp.MustCompile(`^[A-Za-z0-9*:][A-Za-z0-9.:_-]{0,252}$`)

// keysTLS makes certificates for TLS and mTLS: ECDSA, from an authority of their
// own, which is a folder with a certificate and a key. It is made when it is not
// there yet. Nothing of it vouches for seals, so no key engine and no ledger
// has to do with it; keep the folder off the servers.
func keysTLS(_ context.Context, e env, args []string) error {
	fl := newFlags("keys tls")
	ca := fl.String("ca", "", "`DIR` TLS CA 的目录，没有时新建 folder of the TLS authority; made when it is not there")
	name := fl.String("name", "", "`TEXT` 新建 CA 的名称 name of an authority that is made")
	years := fl.Int("years", 10, "`N` 新建 CA 的年限 term of an authority that is made, in years")
	days := fl.Int("days", 397, "`N` 证书的天数 term of the certificate in days")
	client := fl.Bool("client", false, "客户端证书 a client certificate, for mTLS")
	out := fl.String("o", "", "`BASE` 写入 BASE.pem 和 BASE.key where to write")
	names, err := operandsOf(fl, args, 1, "NAME...")
	if err != nil {
		return err
	}
	hint := "sealgate keys tls -ca DIR -o BASE NAME..."
	for _, n := range names {
		if !tlsName.MatchString(n) {
			return usage(fmt.Errorf("%q 不是主机名或地址 is no host name or address", n), hint)
		}
	}
	switch {
	case *ca == "" || *out == "":
		return usage(errors.New("缺少 missing -ca DIR or -o BASE"), hint)
	case *client && len(names) != 1:
		return usage(errors.New("客户端证书只有一个名称 a client certificate has one name"), hint)
	case *days < 1 || *days > 825 || *years < 1 || *years > 30:
		return usage(errors.New("-days 应为 want 1 … 825, -years 1 … 30"))
	}
	for _, f := range []string{*out + ".pem", *out + ".key"} {
		if err := absent(f); err != nil {
			return err
		}
	}
	now := time.Now().Truncate(time.Second)
	authority, err := tlsAuthority(e, *ca, *name, now, now.AddDate(*years, 0, 0))
	if err != nil {
		return err
	}
	from, until := now.Add(-tlsBackdate), now.AddDate(0, 0, *days)
	var cert, key []byte
	if *client {
		cert, key, err = authority.Client(names[0], from, until)
	} else {
		cert, key, err = authority.Server(names, from, until)
	}
	if err != nil {
		return undecided(err)
	}
	defer clear(key)
	block, _ := pem.Decode(cert)
	issued, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return undecided(err)
	}
	if err := durable.Create(*out+".key", key, durable.Private); err != nil {
		return undecided(err)
	}
	if err := durable.Create(*out+".pem", cert, 0o644); err != nil {
		return undecided(err)
	}
	// The catalogue names a client certificate by this.
	fmt.Fprintf(e.stdout, "%s  %s  SHA-256 %x\n", *out+".pem", issued.NotAfter.UTC().Format(time.RFC3339), sha256.Sum256(issued.Raw))
	return nil
}

// tlsAuthority reads the authority in a folder, or makes it.
func tlsAuthority(e env, dir, name string, now, until time.Time) (*pki.TLSAuthority, error) {
	cert, err := os.ReadFile(filepath.Join(dir, tlsCACert))
	if err == nil {
		key, err := durable.ReadPrivate(filepath.Join(dir, tlsCAKey), 64<<10)
		if err != nil {
			return nil, usage(err)
		}
		defer clear(key)
		a, err := pki.LoadTLSAuthority(cert, key)
		if err != nil {
			return nil, usage(fmt.Errorf("%s: %w", dir, err))
		}
		return a, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, usage(err)
	}
	if name == "" {
		return nil, usage(fmt.Errorf("%s: 没有 TLS CA holds no TLS authority", dir), "-name 新建一个 makes one")
	}
	a, err := pki.NewTLSAuthority(name, now.Add(-tlsBackdate), until)
	if err != nil {
		return nil, undecided(err)
	}
	key, err := a.KeyPEM()
	if err != nil {
		return nil, undecided(err)
	}
	defer clear(key)
	if err := durable.MkdirAll(dir, durable.PrivateDir); err != nil {
		return nil, usage(err)
	}
	// The key first: a folder with a certificate is complete.
	if err := durable.Create(filepath.Join(dir, tlsCAKey), key, durable.Private); err != nil {
		return nil, usage(err, "目录中已有另一个 CA 的私钥？ is there the key of another authority?")
	}
	if err := durable.Create(filepath.Join(dir, tlsCACert), a.CertificatePEM(), 0o644); err != nil {
		return nil, usage(err)
	}
	fmt.Fprintf(e.stderr, "hint: 新建了 TLS CA made a TLS authority: %s；私钥未加密，离线保管 its key is not encrypted: keep it offline\n", filepath.Join(dir, tlsCACert))
	return a, nil
}
