package trust

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of what a Revocations holds.
const (
	maxHeld     = 256 << 20 // bytes of everything
	keptPerList = 4         // newest lists of one issuer and scope, newest answers about one certificate
)

// ErrRevocation says that data is neither a revocation list, nor an OCSP
// response, nor a seal status list, or that there is too much of it.
var ErrRevocation = errors.New("revocation data cannot be used")

// RevocationConfig sets a Revocations up. The zero value is safe.
type RevocationConfig struct {
	// Grace is how long after its nextUpdate a list or an answer still counts
	// as evidence that something is not revoked. 0: not at all. That something
	// is revoked counts for ever.
	Grace time.Duration
	// MaxAge is how long after its thisUpdate it counts so at most, whatever
	// its nextUpdate and Grace say: a publisher that calls a list good until
	// 2099 does not decide how old our knowledge may be. 0: no limit.
	MaxAge time.Duration
}

// Revocations answers from revocation lists (RFC 5280), OCSP responses (RFC
// 6960) and seal status lists that it was given. It is a RevocationSource, and
// answers about seals too. It opens no connection and has no clock: whoever has
// both gives it newer data with Add.
//
// What it is given need not be genuine. Data are verified with the issuer of
// the certificate in question, when that is asked for; what does not verify
// answers nothing.
//
// It answers three ways. IsRevoked: some genuine list or answer, however old,
// says so. NotRevoked: none does, and one speaks about the time in question,
// that is, it was issued after that time, or was still fresh then
// (RevocationConfig), and the certificate had not ended when it was issued (ended ones leave
// the lists). CannotAnswer otherwise. It is safe for concurrent use.
type Revocations struct {
	grace, maxAge time.Duration

	mu      sync.RWMutex
	size    int
	lists   map[string][]*heldList   // by the issuer's DER name, newest first
	answers map[string][]*heldAnswer // by serial number, newest first
	seals   map[string][]*SealStatusList
}

// NewRevocations returns an empty Revocations, which can answer nothing.
func NewRevocations(c RevocationConfig) *Revocations {
	return &Revocations{grace: max(c.Grace, 0), maxAge: max(c.MaxAge, 0), lists: map[string][]*heldList{}, answers: map[string][]*heldAnswer{}, seals: map[string][]*SealStatusList{}}
}

// LoadRevocations reads files and folders. In a folder, files .crl, .pem, .der,
// .ocsp, .ors and .json are read and must be revocation data; others are left
// alone. A folder without one is an error, so that a typing mistake does not go
// unnoticed.
func LoadRevocations(c RevocationConfig, paths ...string) (*Revocations, error) {
	r := NewRevocations(c)
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrRevocation, err)
		}
		files := []string{p}
		if info.IsDir() {
			if files, err = revocationFiles(p); err != nil {
				return nil, fmt.Errorf("%w: %w", ErrRevocation, err)
			}
		}
		for _, f := range files {
			data, err := readRevocationFile(f)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", ErrRevocation, err)
			}
			if err := r.Add(data); err != nil {
				return nil, fmt.Errorf("%s: %w", f, err)
			}
		}
	}
	return r, nil
}

func revocationFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []string
	for _, e := range entries {
		kinds := []string{".crl", ".pem", ".der", ".ocsp", ".ors", ".json"}
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains(kinds, strings.ToLower(filepath.Ext(e.Name()))) {
			continue
		}
		files = append(files, filepath.Join(dir, e.Name()))
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no revocation data (.crl, .pem, .der, .ocsp, .ors, .json) in %s", dir)
	}
	return files, nil
}

func readRevocationFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, 2*gm.MaxRevocationListSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > 2*gm.MaxRevocationListSize {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, 2*gm.MaxRevocationListSize)
	}
	return data, nil
}

// Add takes a revocation list (DER or PEM), an OCSP response (DER) or a seal
// status list (JSON), told apart by their content. The error wraps
// ErrRevocation; nothing was taken then.
func (r *Revocations) Add(data []byte) error {
	if trimmed := bytes.TrimSpace(data); bytes.HasPrefix(trimmed, []byte("{")) {
		l, err := ParseSealStatusList(trimmed)
		if err != nil {
			return err
		}
		return r.addSeals(l)
	}
	list, err := gm.ReadRevocationList(data)
	if err == nil {
		return r.addList(list)
	}
	answer, ocspErr := gm.ParseOCSPResponse(data)
	if ocspErr == nil {
		return r.addAnswer(answer)
	}
	if errors.As(ocspErr, new(gm.OCSPError)) {
		err = ocspErr
	}
	return fmt.Errorf("%w: %w", ErrRevocation, err)
}

// hold counts what is kept. The caller holds the lock.
func (r *Revocations) hold(n int) error {
	if r.size+n > maxHeld {
		return fmt.Errorf("%w: more than %d bytes in all", ErrRevocation, maxHeld)
	}
	r.size += n
	return nil
}

// Status implements RevocationSource.
func (r *Revocations) Status(cert, issuer *gm.Certificate, at time.Time) Revocation {
	r.mu.RLock()
	lists, answers := r.lists[string(issuer.RawSubject)], r.answers[cert.Serial.String()]
	r.mu.RUnlock()
	best := Revocation{State: CannotAnswer, Detail: fmt.Sprintf("no revocation list and no OCSP answer of the issuer of %s is at hand", name(cert))}
	consider := func(x Revocation) {
		if x.State == IsRevoked && best.State != IsRevoked || x.State == NotRevoked && best.State == CannotAnswer ||
			x.State == CannotAnswer && best.State == CannotAnswer && x.Detail != "" {
			best = x
		}
	}
	r.askLists(lists, cert, issuer, at, consider)
	r.askAnswers(answers, cert, issuer, at, consider)
	return best
}

// freshUntil is the end of the times about which something is evidence that
// was issued at this and lasts until next. There is no beginning: something
// issued later knows all the better.
func (r *Revocations) freshUntil(this, next time.Time) time.Time {
	end := next.Add(r.grace)
	if oldest := this.Add(r.maxAge); r.maxAge > 0 && oldest.Before(end) {
		return oldest
	}
	return end
}

// verdicts remembers under which certificates something that is held verifies,
// and which certificate signed it.
type verdicts struct {
	mu   sync.Mutex
	seen map[string]verdict
}

type verdict struct {
	by  *gm.Certificate
	err error
}

// check returns what verify said the first time for those who are asked with.
func (v *verdicts) check(verify func() (*gm.Certificate, error), with ...*gm.Certificate) (*gm.Certificate, error) {
	var key string
	for _, c := range with {
		if c != nil {
			key += string(c.Raw) + "|"
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	known, ok := v.seen[key]
	if !ok {
		known.by, known.err = verify()
		if v.seen == nil || len(v.seen) >= 16 {
			v.seen = map[string]verdict{}
		}
		v.seen[key] = known
	}
	return known.by, known.err
}

// reasonHold is certificateHold: the one revocation that can be taken back.
const reasonHold = 6

// Harmless reports whether a revocation says that the key was in good hands
// until then (RFC 3161 section 4.1): changed affiliation, superseded, cessation
// of operation. What was signed before stays believable. No reason, or an
// unspecified one, is not harmless.
func (r Revocation) Harmless() bool { return r.Reason >= 3 && r.Reason <= 5 }

var _ RevocationSource = (*Revocations)(nil)
