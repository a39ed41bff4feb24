package gm

import (
	"crypto/x509/pkix"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
)

// OpenSSL 3 is the second opinion on every vector it can express. What it
// cannot: what our rule refuses and it accepts (flag Policy), and signature
// files of more than 72 bytes, of which its command line reads only the first 72.
func TestOpenSSLAgreesOnTheVectors(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		testenv.Missing(t, "no openssl command")
	}
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	accepts := func(args ...string) bool { return exec.Command(openssl, args...).Run() == nil }
	ca := (&generator{t: t}).key(4) // the vectors' CA; of itself a vector holds only the leaf
	issuer, err := CreateCertificate(Template{Serial: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<32, 0),
		KeyUsage: KeyUsageCertSign, IsCA: true, MaxPathLen: 1}, nil, ca.Public(), ca.Sign)
	if err != nil {
		t.Fatal(err)
	}
	root := write("root.pem", issuer.PEM())
	asked := 0
	for _, g := range readVectors(t).TestGroups {
		for _, c := range g.Tests {
			if len(c.Sig) > 2*MaxSignatureSize || slices.Contains(c.Flags, "Policy") || c.Flags[0] == "Encoding" && g.Type == "SM2PublicKey" {
				continue
			}
			msg := write("msg", unhex(t, c.Msg))
			var ok bool
			switch g.Type {
			case "SM2Verify":
				pub, sig := write("pub.pem", []byte(g.PEM)), write("sig", unhex(t, c.Sig))
				ok = accepts("dgst", "-sm3", "-verify", pub, "-sigopt", "distid:1234567812345678", "-signature", sig, msg)
			case "SM2PublicKey":
				ok = accepts("pkey", "-pubin", "-inform", "DER", "-pubcheck", "-noout", "-in", msg)
			case "SM2Certificate":
				ok = accepts("verify", "-trusted", root, "-no_check_time", "-vfyopt", "distid:1234567812345678", msg)
			}
			asked++
			if want := c.Result == "valid"; ok != want {
				t.Errorf("tc %d (%s): openssl says %v, label %s", c.TcID, c.Comment, ok, c.Result)
			}
		}
	}
	t.Logf("%d vectors", asked)
}
