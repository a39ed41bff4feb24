package server

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/internal/problem"
)

// Tokens are the bearer tokens that may seal. Only their SM3 digests are kept.
type Tokens struct{ entries []token }

type token struct {
	name   string
	digest [gm.DigestSize]byte
	seals  []string // nil: every seal
}

const maxTokenFile = 1 << 20

var (
	tokenName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	// The alphabet is that of RFC 6750 section 2.1. 32 characters hold at least
	// 128 random bits even in hexadecimal.
	tokenText = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{32,128}=*$`)
)

// LoadTokens reads the token file: a line for each token,
//
//	NAME TOKEN [SEAL,SEAL…]
//
// separated by single spaces; without the third word the token may use every
// seal. Empty lines and lines that begin with # are left out. A file that
// others than its owner may read or write is refused.
func LoadTokens(file string) (*Tokens, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxTokenFile {
		return nil, fmt.Errorf("token file %s: not a regular file of at most %d bytes", file, maxTokenFile)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("token file %s: mode %04o lets others read it; want 0600", file, info.Mode().Perm())
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("token file: %w", err)
	}
	t, err := ParseTokens(data)
	if err != nil {
		return nil, fmt.Errorf("token file %s: %w", file, err)
	}
	return t, nil
}

// ParseTokens reads the content of a token file. Its errors name the line and
// nothing of what stands there.
func ParseTokens(data []byte) (*Tokens, error) {
	t := &Tokens{}
	number := 0
	for line := range bytes.Lines(data) {
		number++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" || text[0] == '#' {
			continue
		}
		words := strings.Split(text, " ")
		if len(words) < 2 || len(words) > 3 || !tokenName.MatchString(words[0]) || !tokenText.MatchString(words[1]) {
			return nil, fmt.Errorf("line %d: want NAME TOKEN [SEAL,SEAL…], the token of 32 to 128 characters", number)
		}
		entry := token{name: words[0], digest: gm.SM3([]byte(words[1]))}
		if len(words) == 3 {
			entry.seals = strings.Split(words[2], ",")
			for _, s := range entry.seals {
				if !sealName.MatchString(s) {
					return nil, fmt.Errorf("line %d: the third word is a list of seal names separated by commas", number)
				}
			}
		}
		for _, e := range t.entries {
			if e.name == entry.name || e.digest == entry.digest {
				return nil, fmt.Errorf("line %d: the name or the token of another line again", number)
			}
		}
		t.entries = append(t.entries, entry)
	}
	return t, nil
}

// identify returns the token of the request. Digests are compared in constant
// time and all of them, so that neither the tokens nor their order can be felt
// out by the clock.
func (t *Tokens) identify(r *http.Request) (token, error) {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return token{}, problem.Coded("SG-AUTHN-TOKEN")
	}
	scheme, credentials, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") || !tokenText.MatchString(credentials) {
		return token{}, problem.Coded("SG-AUTHN-TOKEN")
	}
	digest := gm.SM3([]byte(credentials))
	found := -1
	for i, e := range t.entries {
		if gm.Equal(e.digest[:], digest[:]) {
			found = i
		}
	}
	if found < 0 {
		return token{}, problem.Coded("SG-AUTHN-TOKEN")
	}
	return t.entries[found], nil
}

// allows says whether the token may use the seal.
func (t token) allows(seal string) bool { return t.seals == nil || contains(t.seals, seal) }
