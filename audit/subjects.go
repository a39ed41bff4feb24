package audit

import (
	"strings"
	"unicode"

	"github.com/sealgate/sealgate/internal/gm"
	"golang.org/x/text/unicode/norm"
)

// MaxSubjects is how many identifiers one record indexes.
const MaxSubjects = 1000

// SubjectIndex turns identifiers of persons and enterprises into keyed hashes,
// so that an auditor who holds the index key finds every record about a person
// and nobody else learns who a record is about. It is immutable.
type SubjectIndex struct{ key []byte }

// NewSubjectIndex returns an index under key, which should be 32 random bytes
// and stay the same for as long as records are to be found.
func NewSubjectIndex(key []byte) *SubjectIndex {
	return &SubjectIndex{append([]byte(nil), key...)}
}

// Token returns the base64 of HMAC-SM3(key, kind || 0x00 || normalised value).
// kind is the field's kind in the catalogue: resident_id, uscc, mobile…
func (x *SubjectIndex) Token(kind, value string) string {
	h := gm.HMACSM3(x.key, []byte(kind), []byte{0}, []byte(NormaliseSubject(kind, value)))
	return base64Std(h[:])
}

// NormaliseSubject gives one spelling to an identifier, so that the index finds
// it again however a provider or an auditor writes it: compatibility forms are
// folded (full-width digits to ASCII), white space, hyphens, middle dots and
// invisible characters go, letters become capital (of an e-mail address small,
// and its hyphens stay), a mobile number loses +86 or 0086.
func NormaliseSubject(kind, value string) string {
	email := kind == "email"
	value = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Cf, r):
			return -1
		case !email && (r == '-' || r == '·'):
			return -1
		}
		return r
	}, norm.NFKC.String(value))
	if email {
		return strings.ToLower(value)
	}
	value = strings.ToUpper(value)
	if kind == "mobile" {
		for _, prefix := range []string{"+86", "0086", "86"} {
			if rest, ok := strings.CutPrefix(value, prefix); ok && len(rest) == 11 {
				return rest
			}
		}
	}
	return value
}

// Subjects gathers the identifiers seen in one answer, each once, in the order
// of their first appearance. It is for one goroutine.
type Subjects struct {
	index *SubjectIndex
	seen  map[string]struct{}
	list  []string
	more  int64
}

// Collect returns an empty set over the index.
func (x *SubjectIndex) Collect() *Subjects { return &Subjects{index: x} }

// Add notes an identifier. Beyond MaxSubjects different ones it only counts:
// then each sighting counts, since telling repetitions apart would need the room
// that the limit saves.
func (s *Subjects) Add(kind, value string) {
	token := s.index.Token(kind, value)
	if _, ok := s.seen[token]; ok {
		return
	}
	if len(s.list) == MaxSubjects {
		s.more++
		return
	}
	if s.seen == nil {
		s.seen = make(map[string]struct{})
	}
	s.seen[token] = struct{}{}
	s.list = append(s.list, token)
}

// Into sets Subject and SubjectMore of r.
func (s *Subjects) Into(r *Record) {
	r.Subject, r.SubjectMore = s.list, Number{}
	if s.more > 0 {
		r.SubjectMore = N(s.more)
	}
}
