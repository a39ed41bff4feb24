package vault

import (
	"encoding/base64"
	"errors"
	"fmt"
	"testing"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/keys"
	"github.com/sealgate/sealgate/keys/wire"
)

// Whatever Vault or somebody in its place answers, each item ends with either
// a signature of allowed length or an error, never both, never neither.
func FuzzSigningAnswersGiveASignatureOrAnErrorForEachItem(f *testing.F) {
	fp := base64.StdEncoding.EncodeToString(make([]byte, gm.DigestSize))
	packed := wire.Pack([][]byte{{0x30, 6, 2, 1, 1, 2, 1, 1}, nil})[0]
	f.Add(fmt.Appendf(nil, `{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q,"errors":["1 SG-KEY-ITEM: no"]}}`, packed, fp))
	f.Add(fmt.Appendf(nil, `{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q,"hints":"AAAA","errors":[]}}`, packed, fp))
	f.Add([]byte(`{"data":{"signatures":["AAA="],"key_version":1,"errors":["0 x","1 SG-KEY-FAULT: y"]}}`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		out, err := parseSignatures(body, 1, 2)
		if err != nil {
			if out != nil {
				t.Fatal("results beside an error")
			}
			return
		}
		if len(out) != 2 {
			t.Fatalf("%d results for 2 items", len(out))
		}
		for _, r := range out {
			n := len(r.Signature.Value)
			if (n == 0) == (r.Err == nil) || n > maxSignature || r.Err == nil && r.Signature.KeyVersion != 1 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func TestAnswersThatLeaveAnItemOpenAreFaults(t *testing.T) {
	fp := base64.StdEncoding.EncodeToString(make([]byte, gm.DigestSize))
	sig := []byte{0x30, 6, 2, 1, 1, 2, 1, 1}
	good := wire.Pack([][]byte{sig, sig})[0]
	for name, body := range map[string]string{
		"fewer":            fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q}}`, wire.Pack([][]byte{sig})[0], fp),
		"more":             fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q}}`, wire.Pack([][]byte{sig, sig, sig})[0], fp),
		"too long":         fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q}}`, wire.Pack([][]byte{sig, make([]byte, maxSignature+1)})[0], fp),
		"another version":  fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":2,"fingerprint":%q}}`, good, fp),
		"no fingerprint":   fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1}}`, good),
		"empty, no error":  fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q}}`, wire.Pack([][]byte{sig, nil})[0], fp),
		"signed and error": fmt.Sprintf(`{"data":{"signatures":[%q],"key_version":1,"fingerprint":%q,"errors":["0 SG-KEY-ITEM: x"]}}`, good, fp),
	} {
		if out, err := parseSignatures([]byte(body), 1, 2); !errors.Is(err, keys.ErrFault) || out != nil {
			t.Errorf("%s: %v %v", name, out, err)
		}
	}
}
