package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/testenv"
)

func certificateIn(ts *testscript.TestScript, file string) *gm.Certificate {
	c, err := firstCertificate(ts.MkAbs(file))
	ts.Check(err)
	return c
}

// serial CERT NAME: sets NAME to the serial number of a certificate.
func cmdSerial(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[1], certificateIn(ts, args[0]).SerialHex())
}

// download returns what a URL holds.
func download(ts *testscript.TestScript, address string) []byte {
	resp, err := http.Get(address)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if resp.StatusCode != http.StatusOK {
		ts.Fatalf("%s: %d %s", address, resp.StatusCode, body)
	}
	return body
}

// [!] listed URL CA SERIAL FILE: waits until the list there, which CA signed,
// names the certificate (or does not), and writes it to FILE.
func cmdListed(ts *testscript.TestScript, neg bool, args []string) {
	ca := certificateIn(ts, args[1])
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		data := download(ts, args[0])
		l, err := gm.ParseRevocationList(data, ca)
		ts.Check(err)
		found := false
		for _, e := range l.Revoked {
			found = found || e.Serial.Text(16) == args[2]
		}
		if found != neg {
			ts.Check(os.WriteFile(ts.MkAbs(args[3]), data, 0o644))
			return
		}
	}
	ts.Fatalf("%s: listed is not %v", args[0], !neg)
}

// newer URL CA OLD FILE: waits until the list there has a higher number than the
// one in OLD, names all that it names, and writes it to FILE.
func cmdNewer(ts *testscript.TestScript, _ bool, args []string) {
	ca := certificateIn(ts, args[1])
	old, err := gm.ParseRevocationList([]byte(ts.ReadFile(args[2])), ca)
	ts.Check(err)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		data := download(ts, args[0])
		l, err := gm.ParseRevocationList(data, ca)
		ts.Check(err)
		switch l.Number.Cmp(old.Number) {
		case -1:
			ts.Fatalf("%s: number %v after %v", args[0], l.Number, old.Number)
		case 1:
			if len(l.Revoked) < len(old.Revoked) {
				ts.Fatalf("%s: %d entries after %d", args[0], len(l.Revoked), len(old.Revoked))
			}
			ts.Check(os.WriteFile(ts.MkAbs(args[3]), data, 0o644))
			return
		}
	}
	ts.Fatalf("%s: no newer list", args[0])
}

// ocsp URL CA CERT good|revoked|unknown|later FILE: asks a responder by POST and
// by GET (RFC 6960 appendix A.1), wants the answer to be that at last, and writes
// it to FILE; later is tryLater, with nothing to write.
func cmdOCSP(ts *testscript.TestScript, _ bool, args []string) {
	ca, cert := certificateIn(ts, args[1]), certificateIn(ts, args[2])
	der, err := (&gm.OCSPRequest{Certs: []gm.CertID{gm.NewCertID(ca, cert.Serial)}}).Marshal()
	ts.Check(err)
	text := base64.StdEncoding.EncodeToString(der)
	ask := func(resp *http.Response, err error) ([]byte, string) {
		ts.Check(err)
		defer resp.Body.Close()
		data, err := io.ReadAll(resp.Body)
		ts.Check(err)
		if resp.StatusCode != http.StatusOK {
			ts.Fatalf("%s: %d %s", args[0], resp.StatusCode, data)
		}
		answer, err := gm.ParseOCSPResponse(data)
		if err != nil {
			return data, map[bool]string{true: "later"}[bytes.Equal(data, gm.OCSPRefusal(gm.OCSPTryLater))]
		}
		_, err = answer.VerifyFor(ca)
		ts.Check(err)
		return data, map[gm.CertState]string{gm.CertGood: "good", gm.CertRevoked: "revoked", gm.CertUnknown: "unknown"}[answer.Data.Statuses[0].State]
	}
	for _, how := range []func() (*http.Response, error){
		func() (*http.Response, error) {
			return http.Post(args[0], "application/ocsp-request", bytes.NewReader(der))
		},
		func() (*http.Response, error) { return http.Get(args[0] + "/" + url.QueryEscape(text)) },
		func() (*http.Response, error) { return http.Get(args[0] + "/" + text) },
	} {
		var data []byte
		state := ""
		for end := time.Now().Add(patience); state != args[3] && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			data, state = ask(how())
		}
		if state != args[3] {
			ts.Fatalf("%s: %q, want %s", args[0], state, args[3])
		}
		ts.Check(os.WriteFile(ts.MkAbs(args[4]), data, 0o644))
	}
}

// judges URL TOKENS FILE PATTERN: what a service says of a document, at last.
func cmdJudges(ts *testscript.TestScript, _ bool, args []string) {
	token, document := strings.Fields(ts.ReadFile(args[1]))[1], ts.ReadFile(args[2])
	var last []byte
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(document))
		ts.Check(err)
		req.Header.Set("Content-Type", "application/ofd")
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		ts.Check(err)
		last, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if resp.StatusCode == http.StatusOK && regexp.MustCompile(args[3]).Match(last) {
			return
		}
	}
	ts.Fatalf("%s: %s", args[0], last)
}

// openssl runs the real one in the script's folder.
func runOpenSSL(ts *testscript.TestScript, args ...string) (string, error) {
	c := exec.Command("openssl", args...)
	c.Dir = ts.MkAbs(".")
	out, err := c.CombinedOutput()
	return string(out), err
}

// opensslSays wants the patterns in what OpenSSL prints, and that it verifies the
// signature over the part that is signed, and nothing but that.
func opensslSays(ts *testscript.TestScript, ca *gm.Certificate, signed, sig []byte, want []string, args ...string) {
	out, err := runOpenSSL(ts, args...)
	if err != nil {
		ts.Fatalf("openssl %v: %v\n%s", args, err, out)
	}
	for _, w := range want {
		if !strings.Contains(out, w) {
			ts.Fatalf("openssl does not read %q:\n%s", w, out)
		}
	}
	dir := ts.MkAbs("openssl")
	ts.Check(os.MkdirAll(dir, 0o755))
	bad := bytes.Clone(signed)
	bad[len(bad)-1] ^= 1
	for name, data := range map[string][]byte{"pub.pem": ca.PublicKey.PEM(), "sig": sig, "signed": signed, "bad": bad} {
		ts.Check(os.WriteFile(filepath.Join(dir, name), data, 0o644))
	}
	for name, want := range map[string]bool{"signed": true, "bad": false} {
		out, err := runOpenSSL(ts, "dgst", "-sm3", "-verify", "openssl/pub.pem", "-sigopt", "distid:1234567812345678", "-signature", "openssl/sig", "openssl/"+name)
		if (err == nil) != want {
			ts.Fatalf("openssl verifies %s: %v, want %v\n%s", name, err == nil, want, out)
		}
	}
}

// opensslcrl FILE CA TEXT...
func cmdOpenSSLCRL(ts *testscript.TestScript, _ bool, args []string) {
	ca := certificateIn(ts, args[1])
	l, err := gm.ParseRevocationList([]byte(ts.ReadFile(args[0])), ca)
	ts.Check(err)
	opensslSays(ts, ca, l.RawTBS, l.Signature, args[2:], "crl", "-inform", "DER", "-in", args[0], "-noout", "-text")
}

// opensslocsp FILE CA TEXT...
func cmdOpenSSLOCSP(ts *testscript.TestScript, _ bool, args []string) {
	a, err := gm.ParseOCSPResponse([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	opensslSays(ts, certificateIn(ts, args[1]), a.RawData, a.Signature, args[2:], "ocsp", "-respin", args[0], "-resp_text", "-noverify")
}

// What the handbook tells people to type is what the script runs.
func TestTheCommandsOfTheHandbookAreThoseOfTheScript(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(testenv.Root(t), "docs", "handbook", "revocation.md"))
	if err != nil {
		t.Fatal(err)
	}
	script, err := os.ReadFile(filepath.Join("testdata", "script", "revocation.txt"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "sealgate ") {
			continue
		}
		n++
		if !regexp.MustCompile(`(?m)^exits [0-9] ` + regexp.QuoteMeta(line) + `$`).Match(script) {
			t.Errorf("the script does not run %q", line)
		}
	}
	if n < 7 {
		t.Errorf("only %d commands found", n)
	}
}
