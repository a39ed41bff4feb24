package trust

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Limits of the search for a path. Others are hostile: whoever sends a
// document chooses the intermediates that come with it.
const (
	maxDepth  = 8  // certificates of a path, leaf and anchor included
	maxChecks = 48 // signatures verified in one search
	maxCached = 4096

	maxCachedLeaf = 8 << 10 // bytes
)

// Anchor is a certificate that is believed because it was configured.
type Anchor struct {
	Cert  *gm.Certificate
	Roles Role
}

// Anchors is a set of anchors with a cache of verified chains. It is safe for
// concurrent use. A nil *Anchors trusts nothing.
type Anchors struct {
	bySubject map[string][]Anchor
	byRaw     map[string]Role
	revoked   RevocationSource

	mu    sync.RWMutex
	cache map[cacheKey][]*gm.Certificate
}

// cacheKey holds the whole certificate, not a digest of it: a map of strings
// compares them exactly and costs less than hashing with SM3.
type cacheKey struct {
	role Role
	raw  string
}

// New returns a set of anchors. A malformed certificate is refused.
func New(list ...Anchor) (*Anchors, error) {
	a := &Anchors{bySubject: make(map[string][]Anchor), byRaw: make(map[string]Role), cache: make(map[cacheKey][]*gm.Certificate)}
	for _, x := range list {
		switch {
		case x.Cert == nil:
			return nil, fmt.Errorf("%w: no certificate", ErrAnchors)
		case x.Cert.FormError != nil:
			return nil, fmt.Errorf("%w: %w", ErrAnchors, x.Cert.FormError)
		}
		subject := string(x.Cert.RawSubject)
		a.bySubject[subject] = append(a.bySubject[subject], x)
		a.byRaw[string(x.Cert.Raw)] |= x.Roles
	}
	return a, nil
}

// WithRevocation returns the same anchors with a revocation source. The cache
// is not shared.
func (a *Anchors) WithRevocation(source RevocationSource) *Anchors {
	return &Anchors{bySubject: a.bySubject, byRaw: a.byRaw, revoked: source, cache: make(map[cacheKey][]*gm.Certificate)}
}

// Len returns how many different certificates are anchors.
func (a *Anchors) Len() int {
	if a == nil {
		return 0
	}
	return len(a.byRaw)
}

// Check says whether cert may be believed in a role at a time. others are
// certificates that may serve as intermediates; they are believed in nothing.
// cert itself may be an anchor. Signatures of a chain that once held are not
// verified again; dates, usage and revocation are judged anew on every call.
func (a *Anchors) Check(cert *gm.Certificate, others []*gm.Certificate, role Role, at time.Time) Verdict {
	var own []Problem // of the leaf, wherever its path leads
	if p, ok := CheckDates(cert, at); !ok {
		own = append(own, p)
	}
	if p, ok := CheckUsage(cert, role); !ok {
		own = append(own, p)
	}
	if a == nil || len(a.byRaw) == 0 {
		return a.noPath(cert, own, "no trust anchor is configured")
	}
	if chain := a.cached(cert, role); chain != nil {
		if v := a.judge(chain, nil, own, at); v.Outcome == Trusted {
			return v
		} // another path may hold at this time
	}
	s := search{anchors: a, others: others, role: role}
	s.extend([]*gm.Certificate{cert}, nil)
	if len(s.found) == 0 {
		return a.noPath(cert, own, fmt.Sprintf("nothing leads from %s to a configured %s anchor", name(cert), role))
	}
	var best Verdict
	for i, p := range s.found {
		v := a.judge(p.chain, p.problems, own, at)
		if len(p.problems) == 0 {
			a.remember(cert, role, p.chain)
		}
		if v.Outcome == Trusted {
			return v
		}
		if i == 0 || len(v.Problems) < len(best.Problems) {
			best = v
		}
	}
	return best
}

func (a *Anchors) noPath(cert *gm.Certificate, own []Problem, why string) Verdict {
	v := Verdict{Problems: append(own, Problem{NoPath, cert, why})}
	if a != nil && a.revoked != nil {
		v.Revocation = Revocation{State: CannotAnswer, Detail: "whose revocations to ask about is not known without a path to an anchor"}
	}
	if len(own) > 0 {
		v.Outcome = Refused
	}
	return v
}

// judge adds what depends on the time to a path that was found.
func (a *Anchors) judge(chain []*gm.Certificate, broken, own []Problem, at time.Time) Verdict {
	v := Verdict{Chain: chain, Problems: append(slices.Clone(own), broken...)}
	for _, c := range chain[1:] {
		if p, ok := CheckDates(c, at); !ok {
			v.Problems = append(v.Problems, p)
		}
	}
	if a.revoked != nil {
		v.Revocation = Revocation{State: NotRevoked}
		for i, c := range chain[:len(chain)-1] { // an anchor is revoked by taking it away
			r := Revocation{State: CannotAnswer, Detail: "the path is broken"}
			if len(broken) == 0 {
				r = a.revoked.Status(c, chain[i+1], at)
			}
			switch {
			case r.State == IsRevoked:
				if v.Revocation.State != IsRevoked {
					v.Revocation = r
				}
				v.Problems = append(v.Problems, Problem{Revoked, c, fmt.Sprintf("certificate %s was revoked %s", name(c), stamp(r.At))})
			case r.State != NotRevoked && v.Revocation.State == NotRevoked:
				v.Revocation = Revocation{State: CannotAnswer, Detail: r.Detail}
			}
		}
	}
	v.Outcome = Refused
	if len(v.Problems) == 0 {
		v.Outcome = Trusted
	}
	return v
}

func (a *Anchors) cached(c *gm.Certificate, role Role) []*gm.Certificate {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.cache[cacheKey{role, string(c.Raw)}]
}

// remember keeps a chain whose signatures hold. Malformed and oversized leaves
// are looked up each time: of those a sender can make as many as he likes, or
// fill the memory with few.
func (a *Anchors) remember(c *gm.Certificate, role Role, chain []*gm.Certificate) {
	if c.FormError != nil || len(c.Raw) > maxCachedLeaf {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.cache) >= maxCached {
		clear(a.cache)
	}
	a.cache[cacheKey{role, string(c.Raw)}] = chain
}

// search walks from a leaf towards the anchors, depth first.
type search struct {
	anchors *Anchors
	others  []*gm.Certificate
	role    Role
	checks  int
	found   []path
}

// path leads to an anchor; problems are those that no time can heal.
type path struct {
	chain    []*gm.Certificate
	problems []Problem
}

func (s *search) extend(chain []*gm.Certificate, problems []Problem) {
	last := chain[len(chain)-1]
	if s.anchors.byRaw[string(last.Raw)]&s.role != 0 {
		s.found = append(s.found, path{slices.Clone(chain), slices.Clone(problems)})
		return
	}
	if len(chain) == maxDepth {
		return
	}
	for _, x := range s.anchors.bySubject[string(last.RawIssuer)] {
		if x.Roles&s.role != 0 {
			s.try(chain, x.Cert, problems)
		}
	}
	for _, c := range s.others {
		if bytes.Equal(c.RawSubject, last.RawIssuer) {
			s.try(chain, c, problems)
		}
	}
}

// try goes on through issuer. A wrong signature or a rule that issuer breaks
// does not end the walk: only if it reaches an anchor is there a path that can
// be called broken.
func (s *search) try(chain []*gm.Certificate, issuer *gm.Certificate, problems []Problem) {
	last := chain[len(chain)-1]
	if issuer.FormError != nil || slices.ContainsFunc(chain, issuer.Equal) {
		return
	}
	if len(last.AuthorityKeyID) > 0 && len(issuer.SubjectKeyID) > 0 && !bytes.Equal(last.AuthorityKeyID, issuer.SubjectKeyID) {
		return // another key of the same name
	}
	if s.checks++; s.checks > maxChecks {
		return
	}
	problems = slices.Clone(problems)
	if err := last.CheckSignedBy(issuer.PublicKey); err != nil {
		problems = append(problems, Problem{BadSignature, last, fmt.Sprintf("the key of %s does not verify %s", name(issuer), name(last))})
	}
	if p, ok := checkIssuer(issuer, chain); !ok {
		problems = append(problems, p)
	}
	s.extend(append(chain[:len(chain):len(chain)], issuer), problems)
}

// checkIssuer judges issuer as the issuer of the last certificate of chain.
func checkIssuer(issuer *gm.Certificate, chain []*gm.Certificate) (Problem, bool) {
	below := 0 // intermediates under issuer, self-issued ones not counted
	for _, c := range chain[1:] {
		if !bytes.Equal(c.RawIssuer, c.RawSubject) {
			below++
		}
	}
	switch {
	case len(issuer.Critical) > 0:
		return Problem{BadExtension, issuer, fmt.Sprintf("certificate %s has the unknown critical extension %v", name(issuer), issuer.Critical[0])}, false
	case !issuer.IsCA:
		return Problem{BadIssuer, issuer, fmt.Sprintf("certificate %s is no CA", name(issuer))}, false
	case issuer.KeyUsage != 0 && issuer.KeyUsage&gm.KeyUsageCertSign == 0:
		return Problem{BadIssuer, issuer, fmt.Sprintf("certificate %s may not sign certificates", name(issuer))}, false
	case issuer.MaxPathLen >= 0 && below > issuer.MaxPathLen:
		return Problem{BadIssuer, issuer, fmt.Sprintf("certificate %s allows %d intermediates, there are %d", name(issuer), issuer.MaxPathLen, below)}, false
	}
	return Problem{}, true
}
