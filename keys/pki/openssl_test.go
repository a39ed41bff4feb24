package pki_test

import (
	"bytes"
	"crypto/x509/pkix"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys/trust"
)

// distid is the default identity of GM/T 0009: OpenSSL 3 has none of its own.
const distid = "distid:1234567812345678"

// second is a second opinion: the openssl command in a folder of its own.
type second struct {
	t   *testing.T
	dir string
}

func openssl(t *testing.T) *second {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		testenv.Missing(t, "no openssl in PATH")
	}
	return &second{t, t.TempDir()}
}

func (o *second) run(args ...string) (string, error) {
	c := exec.Command("openssl", args...)
	c.Dir = o.dir
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (o *second) must(args ...string) string {
	o.t.Helper()
	out, err := o.run(args...)
	if err != nil {
		o.t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

func (o *second) write(name string, data []byte) string {
	o.t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), data, 0o600); err != nil {
		o.t.Fatal(err)
	}
	return name
}

func (o *second) read(name string) []byte { return mustRead(o.t, filepath.Join(o.dir, name)) }

// verifies says what openssl thinks of a raw signature over a message.
func (o *second) verifies(key *gm.PublicKey, message, sig []byte) bool {
	_, err := o.run("dgst", "-sm3", "-verify", o.write("pub.pem", key.PEM()), "-sigopt", distid, "-signature", o.write("sig", sig), o.write("message", message))
	return err == nil
}

func TestOpenSSLAcceptsWhatOurCASigns(t *testing.T) {
	o := openssl(t)
	p := publish(t)
	if err := p.book.Revoke(gm.RevokedEntry{Serial: p.issued.Serial, At: p.clock.Now(), Reason: 1, Invalid: p.clock.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	ca := p.root.Certificate()
	list, err := p.crls(t).Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	answer, err := ask(t, p.responder(t, nil), question(t, []byte("nonce"), gm.NewCertID(ca, p.issued.Serial)))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2][]byte{
		"certificate":     {p.issued.RawTBS, p.issued.Signature},
		"revocation list": {list.RawTBS, list.Signature},
		"OCSP answer":     {answer.RawData, answer.Signature},
	} {
		if !o.verifies(ca.PublicKey, c[0], c[1]) {
			t.Errorf("%s: openssl does not verify it", name)
		}
		bad := bytes.Clone(c[0])
		bad[len(bad)-1] ^= 1
		if o.verifies(ca.PublicKey, bad, c[1]) {
			t.Errorf("%s: openssl verifies something else too", name)
		}
	}
	text := o.must("crl", "-inform", "DER", "-in", o.write("our.crl", list.Raw), "-noout", "-text")
	for _, want := range []string{"SM2-with-SM3", "Key Compromise", "Invalidity Date", strings.ToUpper(p.issued.SerialHex())} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl crl does not read %q:\n%s", want, text)
		}
	}
	out := o.must("ocsp", "-respin", o.write("our.ocsp", answer.Raw), "-noverify", "-text")
	for _, want := range []string{"OCSP Response Status: successful", "Cert Status: revoked", "keyCompromise"} {
		if !strings.Contains(out, want) {
			t.Errorf("openssl ocsp does not read %q:\n%s", want, out)
		}
	}
}

func TestOpenSSLReadsOurTimestamp(t *testing.T) {
	o := openssl(t)
	s := stamps(t, nil)
	o.must("ts", "-query", "-data", o.write("data", []byte("value")), "-sm3", "-cert", "-out", "query.tsq")
	reply := s.tsa.Respond(t.Context(), o.read("query.tsq"))
	text := o.must("ts", "-reply", "-in", o.write("reply.tsr", reply), "-text")
	for _, want := range []string{"Status: Granted", "Hash Algorithm: sm3", "Policy OID: 1.3.6.1.4.1.99999.1", "Accuracy: 0x01 seconds", "Nonce: 0x", "TSA: DirName:"} {
		if !strings.Contains(text, want) {
			t.Errorf("openssl ts does not read %q:\n%s", want, text)
		}
	}
	token, err := gm.ParseTimestampToken(reply)
	if err != nil {
		t.Fatal(err)
	}
	// It cannot verify one: ts -verify has no way to name the identity. The raw
	// signature over the attributes it can.
	c := token.Signed.Certificates[0]
	if !o.verifies(c.PublicKey, token.Signed.SignedMessage(token.Signed.Content), token.Signed.Signature) {
		t.Error("openssl does not verify the token's signature")
	}
	refused := s.tsa.Respond(t.Context(), []byte("rubbish"))
	if out := o.must("ts", "-reply", "-in", o.write("no.tsr", refused), "-text"); !strings.Contains(out, "Status: Rejected") || !strings.Contains(out, "badDataFormat") && !strings.Contains(out, "data submitted has the wrong format") {
		t.Errorf("a refusal:\n%s", out)
	}
}

// theirs is a CA that openssl made, and what it signed.
func theirs(t *testing.T, o *second) (ca, leaf *gm.Certificate) {
	t.Helper()
	for _, k := range []string{"ca", "leaf"} {
		o.must("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:SM2", "-out", k+".key")
	}
	o.must("req", "-x509", "-new", "-key", "ca.key", "-sm3", "-days", "3650", "-out", "ca.crt", "-subj", "/C=CN/CN=OpenSSL CA", "-sigopt", distid,
		"-addext", "keyUsage=critical,keyCertSign,cRLSign")
	o.must("req", "-new", "-key", "leaf.key", "-sm3", "-out", "leaf.csr", "-subj", "/C=CN/O=吉林/CN=Leaf", "-utf8", "-sigopt", distid)
	o.write("leaf.cnf", []byte("keyUsage=critical,digitalSignature,nonRepudiation\nextendedKeyUsage=critical,timeStamping\n"))
	o.must("x509", "-req", "-in", "leaf.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-sm3", "-days", "365", "-set_serial", "0x1234", "-out", "leaf.crt",
		"-extfile", "leaf.cnf", "-sigopt", distid, "-vfyopt", distid)
	parse := func(name string) *gm.Certificate {
		certs, err := gm.ParseCertificates(o.read(name))
		if err != nil || len(certs) != 1 || certs[0].FormError != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return certs[0]
	}
	return parse("ca.crt"), parse("leaf.crt")
}

func TestWeAcceptWhatOpenSSLSigns(t *testing.T) {
	o := openssl(t)
	ca, leaf := theirs(t, o)
	req, err := gm.ParseRequest(o.read("leaf.csr"))
	if err != nil || !req.PublicKey.Equal(leaf.PublicKey) || len(req.Subject.Organization) != 1 || req.Subject.Organization[0] != "吉林" {
		t.Errorf("request: %+v %v", req, err)
	}
	anchors, err := trust.New(trust.Anchor{Cert: ca, Roles: trust.Signer | trust.TSA})
	if err != nil {
		t.Fatal(err)
	}
	now := leaf.NotBefore.Add(time.Minute)
	for _, role := range []trust.Role{trust.Signer, trust.TSA} {
		if v := anchors.Check(leaf, nil, role, now); v.Outcome != trust.Trusted {
			t.Errorf("chain as %v: %v", role, v.Problems)
		}
	}
	message := []byte("消息 message")
	o.must("dgst", "-sm3", "-sign", "leaf.key", "-sigopt", distid, "-out", "sig", o.write("m", message))
	if err := leaf.PublicKey.Verify(message, o.read("sig")); err != nil {
		t.Errorf("raw signature: %v", err)
	}
	key, err := gm.ParsePrivateKeyPEM(o.read("leaf.key"))
	if err != nil || !key.Public().Equal(leaf.PublicKey) {
		t.Fatalf("private key: %v", err)
	}

	o.write("ca.cnf", []byte("[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sm3\ndefault_crl_days=7\ncrl_extensions=x\ncertificate=ca.crt\nprivate_key=ca.key\n[x]\nauthorityKeyIdentifier=keyid\n"))
	o.write("index.txt", []byte("V\t"+leaf.NotAfter.Format("060102150405Z")+"\t\t1234\tunknown\t/C=CN/O=\\xE5\\x90\\x89\\xE6\\x9E\\x97/CN=Leaf\n"))
	o.write("number", []byte("01\n"))
	state := func(file string) trust.Revocation {
		held := trust.NewRevocations(trust.RevocationConfig{})
		if err := held.Add(o.read(file)); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		return held.Status(leaf, ca, time.Now())
	}
	o.must("ca", "-config", "ca.cnf", "-gencrl", "-out", "empty.crl", "-sigopt", distid)
	if r := state("empty.crl"); r.State != trust.NotRevoked {
		t.Errorf("empty list: %+v", r)
	}
	answer := func(file string) {
		o.must("ocsp", "-issuer", "ca.crt", "-cert", "leaf.crt", "-reqout", "q")
		o.must("ocsp", "-index", "index.txt", "-CA", "ca.crt", "-rsigner", "ca.crt", "-rkey", "ca.key", "-rmd", "sm3", "-rsigopt", distid, "-reqin", "q", "-respout", file, "-ndays", "1")
	}
	answer("good.ocsp")
	if r := state("good.ocsp"); r.State != trust.NotRevoked {
		t.Errorf("OCSP good: %+v", r)
	}
	o.must("ca", "-config", "ca.cnf", "-revoke", "leaf.crt", "-crl_reason", "keyCompromise")
	o.must("ca", "-config", "ca.cnf", "-gencrl", "-out", "full.crl", "-sigopt", distid)
	if r := state("full.crl"); r.State != trust.IsRevoked || r.Reason != 1 {
		t.Errorf("list: %+v", r)
	}
	answer("revoked.ocsp")
	if r := state("revoked.ocsp"); r.State != trust.IsRevoked || r.Reason != 1 {
		t.Errorf("OCSP revoked: %+v", r)
	}
	if _, err := gm.ParseRevocationList(o.read("full.crl"), leaf); err == nil {
		t.Error("the list passes under another certificate")
	}
}

// Where openssl is asked without the identity, its signature is over another
// hash, and nobody here accepts it.
func TestASignatureWithoutTheIdentityIsRefused(t *testing.T) {
	o := openssl(t)
	_, leaf := theirs(t, o)
	o.must("dgst", "-sm3", "-sign", "leaf.key", "-out", "sig", o.write("m", []byte("m")))
	if err := leaf.PublicKey.Verify([]byte("m"), o.read("sig")); err == nil {
		t.Error("a signature over another ZA verifies")
	}
	o.must("req", "-new", "-key", "leaf.key", "-sm3", "-out", "bare.csr", "-subj", "/CN=x")
	if _, err := gm.ParseRequest(o.read("bare.csr")); err == nil {
		t.Error("a request over another ZA is accepted")
	}
}

// OpenSSL's requests are answered by our responder, and it reads the answers.
func TestOurResponderAnswersOpenSSL(t *testing.T) {
	o := openssl(t)
	p := publish(t)
	ca := p.root.Certificate()
	o.write("ca.crt", ca.PEM())
	o.must("ocsp", "-issuer", "ca.crt", "-cert", o.write("leaf.crt", p.issued.PEM()), "-reqout", "q") // by SHA-1, with a nonce
	r, err := ask(t, p.responder(t, nil), o.read("q"))
	if err != nil || r.Data.Statuses[0].State != gm.CertGood || len(r.Data.Nonce) == 0 {
		t.Fatalf("%+v %v", r, err)
	}
	out := o.must("ocsp", "-issuer", "ca.crt", "-cert", "leaf.crt", "-reqin", "q", "-respin", o.write("a", r.Raw), "-noverify", "-no_nonce", "-validity_period", "999999999")
	if !strings.Contains(out, "leaf.crt: good") {
		t.Errorf("openssl reads the answer as:\n%s", out)
	}
	k, err := gm.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	req, err := gm.CreateRequest(pkix.Name{CommonName: "x"}, k.Public(), k.Sign)
	if err != nil {
		t.Fatal(err)
	}
	o.must("req", "-verify", "-noout", "-vfyopt", distid, "-in", o.write("r.csr", req.PEM()))
}
