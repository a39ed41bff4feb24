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

// MaxList is the most bytes that the items of one packed list have together.
const MaxList = 8 << 20

// Pack writes items as one list, each as what it does not share with the one
// before it: three uvarints, which are the lengths of the beginning and of the
// end it shares and of the middle that is its own, and that middle. The whole is
// in standard base64, cut into pieces of at most MaxChunk.
//
// A list of strings or of objects would say the same. It would also be taken
// apart and put together again by every JSON decoder on the way (Vault's HTTP
// side, its audit devices, four times around the plugin's pipe), which costs
// more than the signatures do. What one batch signs is much alike: checkpoints
// of one ledger, or structures that hold the whole of one seal, picture
// included, and differ in a digest and a time.
func Pack(items [][]byte) []string {
	var raw, before []byte
	for _, b := range items {
		n := min(len(before), len(b))
		head := 0
		for head < n && before[head] == b[head] {
			head++
		}
		tail := 0
		for tail < n-head && before[len(before)-1-tail] == b[len(b)-1-tail] {
			tail++
		}
		own := b[head : len(b)-tail]
		for _, n := range []int{head, tail, len(own)} {
			raw = binary.AppendUvarint(raw, uint64(n))
		}
		raw = append(raw, own...)
		before = b
	}
	text := base64.StdEncoding.EncodeToString(raw)
	chunks := make([]string, 0, len(text)/MaxChunk+1)
	for len(text) > MaxChunk {
		chunks, text = append(chunks, text[:MaxChunk]), text[MaxChunk:]
	}
	return append(chunks, text)
}

// Unpack reads what Pack wrote: at most limit items of at most size bytes, and
// of MaxList bytes together.
func Unpack(chunks []string, limit, size int) ([][]byte, error) {
	text := strings.Join(chunks, "")
	if len(text) > base64.StdEncoding.EncodedLen(min(MaxList, limit*size)+limit*3*binary.MaxVarintLen32) {
		return nil, fmt.Errorf("%w: list too long", ErrForm)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: list is not base64", ErrForm)
	}
	var items [][]byte
	var before []byte
	for total := 0; len(raw) > 0; {
		var lengths [3]int // head, tail, own
		for i := range lengths {
			n, used := binary.Uvarint(raw)
			if used <= 0 || n > uint64(size) {
				return nil, fmt.Errorf("%w: list", ErrForm)
			}
			lengths[i], raw = int(n), raw[used:]
		}
		head, tail, own := lengths[0], lengths[1], lengths[2]
		n := head + tail + own
		if total += n; head+tail > len(before) || own > len(raw) || n > size || total > MaxList || len(items) == limit {
			return nil, fmt.Errorf("%w: list", ErrForm)
		}
		item := append(append(append(make([]byte, 0, n), before[:head]...), raw[:own]...), before[len(before)-tail:]...)
		items, before, raw = append(items, item), item, raw[own:]
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
