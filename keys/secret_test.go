package keys_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/keys"
)

func TestASecretIsSixteenToSixtyFourBytesInCanonicalBase64OnOneLine(t *testing.T) {
	of := func(n int) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, n)) }
	for n, good := range map[int]bool{0: false, 15: false, 16: true, 17: true, 32: true, 64: true, 65: false, 96: false, 4096: false} {
		for _, end := range []string{"", "\n"} {
			got, err := keys.ParseSecret([]byte(of(n) + end))
			if good != (err == nil) || good && len(got) != n || !good && (got != nil || !errors.Is(err, keys.ErrSecret)) {
				t.Errorf("%d bytes, end %q: %x %v", n, end, got, err)
			}
		}
	}
	for name, text := range map[string]string{
		"two line feeds": of(32) + "\n\n", "a line break inside": of(32)[:20] + "\n" + of(32)[20:], "CRLF": of(32) + "\r\n", "space": " " + of(32),
		"no padding": strings.TrimRight(of(32), "="), "URL alphabet": strings.Repeat("_", 44), "stray bits": strings.Repeat("A", 22) + "B=",
		"a passphrase": "correct horse battery staple",
	} {
		got, err := keys.ParseSecret([]byte(text))
		if got != nil || !errors.Is(err, keys.ErrSecret) || strings.Contains(err.Error(), strings.TrimSpace(text)) {
			t.Errorf("%s: %x %v", name, got, err)
		}
	}
}

// There is one way to write a secret: what is accepted encodes to the same line.
func FuzzParseSecret(f *testing.F) {
	f.Add([]byte("AAECAwQFBgcICQoLDA0ODw==\n"))
	f.Add([]byte("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))
	f.Fuzz(func(t *testing.T, text []byte) {
		secret, err := keys.ParseSecret(text)
		if err != nil {
			if secret != nil || !errors.Is(err, keys.ErrSecret) {
				t.Fatalf("%x %v", secret, err)
			}
			return
		}
		if len(secret) < keys.MinSecret || len(secret) > keys.MaxSecret || base64.StdEncoding.EncodeToString(secret) != strings.TrimSuffix(string(text), "\n") {
			t.Fatalf("%q became %x", text, secret)
		}
	})
}
