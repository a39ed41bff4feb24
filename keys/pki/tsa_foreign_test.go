package pki_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys/pki"
	"github.com/sealgate/sealgate/keys/trust"
)

const foreignTSA = `[tsa]
default_tsa = t
[t]
serial = serial
signer_cert = tsa.crt
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = sm3
ess_cert_id_alg = sha256
`

// An authority somewhere else, which openssl plays: it answers our request,
// stamps our SM3 imprint, and signs with RSA or ECDSA. No SM2 anchor can vouch
// for that; the client, the verdict and so the sealer refuse it.
func TestATokenThatIsNotSignedWithSM2IsRefused(t *testing.T) {
	s := stamps(t, nil)
	value := []byte("signature value")
	for name, algorithm := range map[string][]string{
		"RSA":   {"-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"},
		"ECDSA": {"-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"},
	} {
		o := openssl(t)
		o.write("tsa.cnf", []byte(foreignTSA))
		o.write("serial", []byte("01\n"))
		o.must(append([]string{"genpkey", "-out", "tsa.key"}, algorithm...)...)
		o.must("req", "-x509", "-new", "-key", "tsa.key", "-sha256", "-days", "100", "-subj", "/CN=Foreign TSA", "-out", "tsa.crt",
			"-addext", "extendedKeyUsage=critical,timeStamping", "-addext", "keyUsage=critical,digitalSignature")
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			o.write("query.tsq", body)
			if out, err := o.run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq", "-sha256", "-out", "reply.tsr"); err != nil {
				t.Errorf("%s: openssl ts: %s", name, out)
			}
			w.Header().Set("Content-Type", "application/timestamp-reply")
			w.Write(o.read("reply.tsr"))
		}))
		c, err := pki.NewTSAClient(pki.TSAClientConfig{URLs: []string{server.URL}, Anchors: s.anchors, Now: s.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		token, err := c.Stamp(t.Context(), value)
		if token != nil || err == nil {
			t.Errorf("%s: a token", name)
		}
		server.Close()
		// It is a sound answer in all but this, so that this is what is refused.
		reply := o.read("reply.tsr")
		if _, err := gm.ParseTimestampToken(reply); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		v := s.anchors.CheckTimestamp(reply, [][]byte{value}, s.clock.Now())
		if v.Outcome == trust.Trusted || v.Candidate != 0 || len(v.Problems) != 1 || v.Problems[0].Reason != trust.TimestampSignature ||
			!strings.Contains(v.Problems[0].Detail, "not signed with SM2") {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
