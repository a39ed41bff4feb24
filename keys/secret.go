package keys

import (
	"bytes"
	"encoding/base64"
	"fmt"
)

// Bounds of a symmetric secret in bytes. HMAC-SM3 gains nothing from more than
// one block.
const (
	MinSecret = 16
	MaxSecret = 64
)

// ParseSecret reads a symmetric secret as it stands in a file or in a field of
// Vault: MinSecret to MaxSecret bytes in base64 (RFC 4648 section 4, padded,
// canonical) on one line, whose line feed may be there. The error is ErrSecret
// and holds nothing of the text.
func ParseSecret(text []byte) ([]byte, error) {
	line := bytes.TrimSuffix(text, []byte("\n"))
	// The decoder would skip line breaks.
	if len(line) <= base64.StdEncoding.EncodedLen(MaxSecret) && !bytes.ContainsAny(line, "\r\n") {
		secret := make([]byte, base64.StdEncoding.DecodedLen(len(line)))
		n, err := base64.StdEncoding.Strict().Decode(secret, line)
		if err == nil && n >= MinSecret && n <= MaxSecret {
			return secret[:n], nil
		}
		clear(secret)
	}
	return nil, fmt.Errorf("%w: want %d to %d bytes in base64 on one line", ErrSecret, MinSecret, MaxSecret)
}
