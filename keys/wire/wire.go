// Package wire is what travels between keys/vault and keys/plugin: the form of
// a key's Info, of a packed batch and of a refusal inside Vault's JSON. Both
// ends share it so that neither links the other.
//
// It refuses to be lenient: a list that does not end where it should, a
// version out of order or a certificate that cannot be read is an error, and a
// refusal whose code is not one of keys.Errors stays an unknown error.
//
//	text := wire.ErrorText(err)   // in the plugin: "SG-KEY-CLOCK: the time …"
//	err = wire.ParseError(text)   // in the client: errors.Is(err, keys.ErrClock)
package wire

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/keys"
)

// MaxChunk is the longest piece of base64 text of a packed list, in bytes.
// Vault refuses JSON strings above 1 MiB since 1.21, so a list travels in
// pieces of 512 KiB.
const MaxChunk = 512 << 10

// ErrForm says that a list or an Info is not in the form of this package.
var ErrForm = errors.New("malformed answer of the key service")

// Pack writes items as one list: each is its length as a uvarint and its
// bytes; the whole in standard base64, cut into pieces of at most MaxChunk.
//
// A list of strings or of objects would say the same. It would also be taken
// apart and put together again by every JSON decoder on the way (Vault's HTTP
// side, its audit devices, four times around the plugin's pipe), which costs
// more than the signatures do.
func Pack(items [][]byte) []string {
	n := 0
	for _, b := range items {
		n += len(b) + 4
	}
	raw := make([]byte, 0, n)
	for _, b := range items {
		raw = binary.AppendUvarint(raw, uint64(len(b)))
		raw = append(raw, b...)
	}
	text := base64.StdEncoding.EncodeToString(raw)
	chunks := make([]string, 0, len(text)/MaxChunk+1)
	for len(text) > MaxChunk {
		chunks, text = append(chunks, text[:MaxChunk]), text[MaxChunk:]
	}
	return append(chunks, text)
}

// Unpack reads what Pack wrote: at most limit items of at most size bytes. The
// items share memory.
func Unpack(chunks []string, limit, size int) ([][]byte, error) {
	text := strings.Join(chunks, "")
	if len(text) > base64.StdEncoding.EncodedLen(limit*(size+binary.MaxVarintLen32)) {
		return nil, fmt.Errorf("%w: list too long", ErrForm)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: list is not base64", ErrForm)
	}
	var items [][]byte
	for len(raw) > 0 {
		n, used := binary.Uvarint(raw)
		if used <= 0 || n > uint64(size) || n > uint64(len(raw)-used) || len(items) == limit {
			return nil, fmt.Errorf("%w: list", ErrForm)
		}
		end := used + int(n)
		items = append(items, raw[used:end:end])
		raw = raw[end:]
	}
	return items, nil
}

// ErrorText is a refusal as text, its code first, or "" for an error that has
// no code of keys.Errors and is therefore a fault, not a refusal.
func ErrorText(err error) string {
	if e, ok := errors.AsType[*keys.Error](err); ok {
		return e.Code() + ": " + err.Error()
	}
	return ""
}

// ParseError reads what ErrorText wrote, also inside the list that Vault makes
// of an error that comes with a status. A text without a known code gives nil.
func ParseError(text string) error {
	text = strings.TrimSpace(strings.TrimPrefix(text, "1 error occurred:\n\t* "))
	code, detail, ok := strings.Cut(text, ": ")
	if !ok {
		return nil
	}
	for _, e := range keys.Errors() {
		if e.Code() == code {
			return &Refusal{sentinel: e, text: detail}
		}
	}
	return nil
}

// Refusal is a refusal that was made at the other end.
type Refusal struct {
	sentinel *keys.Error
	text     string
}

// Error returns the text of the other end.
func (r *Refusal) Error() string { return r.text }

// Unwrap returns the one of keys.Errors that it is.
func (r *Refusal) Unwrap() error { return r.sentinel }

// Code returns the code of that.
func (r *Refusal) Code() string { return r.sentinel.Code() }
