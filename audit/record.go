package audit

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// Type says what a record is about. CallIntent, CallOutcome, SealIntent and
// SealOutcome are whole types; of the families grant, policy, key, stop and
// admin any word behind the dot is one (grant.approve, key.rotate).
type Type string

// Types that this project writes in more than one place.
const (
	CallIntent  Type = "call.intent"
	CallOutcome Type = "call.outcome"
	SealIntent  Type = "seal.intent"
	SealOutcome Type = "seal.outcome"

	// AdminRefused counts the refusals of one second that happened before the
	// caller was identified; see Refusals.
	AdminRefused Type = "admin.refused"
	// AdminRecovered notes that Open met the end of a crashed process and
	// discarded a tail that was never acknowledged: its size in bytes.
	AdminRecovered Type = "admin.recovered"
)

// Check returns an error unless t is a type of the ledger.
func (t Type) Check() error {
	switch t {
	case CallIntent, CallOutcome, SealIntent, SealOutcome:
		return nil
	}
	family, word, _ := strings.Cut(string(t), ".")
	switch family {
	case "grant", "policy", "key", "stop", "admin":
		if len(word) > 0 && len(word) <= 48 && word[0] >= 'a' && word[0] <= 'z' && only(word, "abcdefghijklmnopqrstuvwxyz0123456789-_") {
			return nil
		}
	}
	return fmt.Errorf("type is none of the ledger's")
}

// Outcome is how it ended, or what was decided.
type Outcome string

// The outcomes. An intent is Allowed; a refusal is Denied; what was done is OK,
// Failed, or Aborted when the other side went away.
const (
	Allowed Outcome = "allowed"
	Denied  Outcome = "denied"
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	Aborted Outcome = "aborted"
)

// Number is an integer 0 <= n < 2^53 that may be absent. The zero value is
// absent; N(0) is zero.
type Number struct {
	n   int64
	set bool
}

// N returns a number that is present.
func N(n int64) Number { return Number{n, true} }

// Value returns the number, and whether it is present.
func (n Number) Value() (int64, bool) { return n.n, n.set }

// Record is one line of the ledger (design contract: audit record, version 1).
// Fields that are empty are left out of the canonical form. V is always 1.
//
// Seq, Time and Node are set by the ledger: what a caller puts there is
// ignored by Append, so that nobody can back-date a record.
type Record struct {
	Seq  uint64    // index of the record and of its leaf, from 0
	Time time.Time // when Append was called, by this node's clock; Seq orders, Time does not
	Node string    // the process that wrote it

	Type      Type
	RequestID string // joins an intent and its outcome
	Actor     Actor
	Object    Object
	Outcome   Outcome
	Code      string // SG-…, or a code of a verification report
	Decision  Decision
	Key       KeyUse // of a seal.* record: whose signature it is about
	Five      Five

	// Subject holds what SubjectIndex made of the identifiers seen, at most
	// MaxSubjects; SubjectMore counts those beyond.
	Subject     []string
	SubjectMore Number

	Fields   Fields
	Rows     Number
	Bytes    Number
	Upstream Upstream
	Ms       Number // duration in milliseconds
	BodySM3  []byte // SM3 of the body as sent to the caller; 32 bytes or none

	// Counts holds the refusals of one second by code (AdminRefused), sorted by
	// code without repetition, at most MaxCounts.
	Counts []Count
}

// Actor is who did it.
type Actor struct {
	Kind       string // system, person or service
	ID         string
	Department string
}

// Object is what it was done to.
type Object struct{ Kind, ID string }

// KeyUse names the key behind a record. Software marks a key that a program
// keeps, not Vault or a certified module: what it signs has no legal force.
type KeyUse struct {
	Name     string
	Software bool
	Version  Number
}

// Decision names the policy decision behind a record.
type Decision struct {
	ID       string
	Revision string
	Cached   bool
}

// Five holds the five elements of a call for personal data (五要素).
type Five struct{ Org, Operator, Item, Biz, Purpose string }

// Fields lists field paths of an answer: shown as they are, shown masked; and
// counts those that were dropped.
type Fields struct {
	Shown, Masked []string
	Dropped       Number
}

// Upstream is how the provider answered.
type Upstream struct{ Status, Ms Number }

// Count is a number of refusals with one code.
type Count struct {
	Code string
	N    int64
}

// Limits on values, in bytes of UTF-8 or in entries.
const (
	maxName   = 128
	maxValue  = 512
	maxPaths  = 2000
	MaxCounts = 64
)

// check judges everything but Seq, Time and Node.
func (r *Record) check() error {
	if err := r.Type.Check(); err != nil {
		return err
	}
	switch r.Outcome {
	case "", Allowed, Denied, OK, Failed, Aborted:
	default:
		return fmt.Errorf("outcome is none of allowed, denied, ok, failed, aborted")
	}
	if family, _, _ := strings.Cut(string(r.Type), "."); family == "call" || family == "seal" {
		switch {
		case r.RequestID == "":
			return fmt.Errorf("%s without request_id", r.Type)
		case r.Outcome == "":
			return fmt.Errorf("%s without outcome", r.Type)
		}
	}
	if r.Key != (KeyUse{}) && r.Key.Name == "" {
		return fmt.Errorf("key without name")
	}
	if r.Code != "" {
		if err := checkCode(r.Code); err != nil {
			return err
		}
	}
	if err := r.checkParties(); err != nil {
		return err
	}
	for _, f := range []struct {
		name  string
		value string
		max   int
	}{
		{"request_id", r.RequestID, maxName},
		{"key.name", r.Key.Name, maxName},
		{"decision.id", r.Decision.ID, maxName}, {"decision.revision", r.Decision.Revision, maxName},
		{"five.org", r.Five.Org, maxValue}, {"five.operator", r.Five.Operator, maxValue}, {"five.item", r.Five.Item, maxValue},
		{"five.biz", r.Five.Biz, maxValue}, {"five.purpose", r.Five.Purpose, maxValue},
	} {
		if err := checkOptional(f.name, f.value, f.max); err != nil {
			return err
		}
	}
	for _, f := range []struct {
		name  string
		value Number
	}{
		{"key.version", r.Key.Version}, {"subject_more", r.SubjectMore}, {"rows", r.Rows}, {"bytes", r.Bytes}, {"ms", r.Ms},
		{"upstream.status", r.Upstream.Status}, {"upstream.ms", r.Upstream.Ms}, {"fields.dropped", r.Fields.Dropped},
	} {
		if err := checkNumber(f.name, f.value); err != nil {
			return err
		}
	}
	return r.checkLists()
}

func (r *Record) checkParties() error {
	if r.Actor != (Actor{}) {
		switch r.Actor.Kind {
		case "system", "person", "service":
		default:
			return fmt.Errorf("actor.kind is none of system, person, service")
		}
		if err := checkText("actor.id", r.Actor.ID, maxValue); err != nil {
			return err
		}
		if err := checkOptional("actor.department", r.Actor.Department, maxValue); err != nil {
			return err
		}
	}
	if r.Object != (Object{}) {
		if err := checkText("object.kind", r.Object.Kind, maxName); err != nil {
			return err
		}
		return checkText("object.id", r.Object.ID, maxValue)
	}
	return nil
}

func (r *Record) checkLists() error {
	if len(r.BodySM3) != 0 && len(r.BodySM3) != gm.DigestSize {
		return fmt.Errorf("body_sm3 has %d bytes", len(r.BodySM3))
	}
	if len(r.Subject) > MaxSubjects {
		return fmt.Errorf("subject has more than %d values", MaxSubjects)
	}
	for _, s := range r.Subject {
		if !isDigest(s) {
			return fmt.Errorf("subject holds a value that is not the base64 of 32 bytes")
		}
	}
	if err := checkPaths("fields.shown", r.Fields.Shown); err != nil {
		return err
	}
	if err := checkPaths("fields.masked", r.Fields.Masked); err != nil {
		return err
	}
	if len(r.Counts) > MaxCounts {
		return fmt.Errorf("counts has more than %d codes", MaxCounts)
	}
	last := ""
	for _, c := range r.Counts {
		if err := checkCode(c.Code); err != nil || c.Code <= last {
			return fmt.Errorf("counts is not sorted, or holds what is no code")
		}
		if c.N < 0 || c.N > maxInteger {
			return fmt.Errorf("counts holds a number outside 0..2^53-1")
		}
		last = c.Code
	}
	return nil
}

func checkCode(code string) error {
	if code == "" || len(code) > 64 || !only(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") {
		return fmt.Errorf("code is not 1..64 of A-Z 0-9 - _")
	}
	return nil
}

func checkPaths(name string, paths []string) error {
	if len(paths) > maxPaths {
		return fmt.Errorf("%s has more than %d values", name, maxPaths)
	}
	for _, p := range paths {
		if err := checkText(name, p, maxValue); err != nil {
			return err
		}
	}
	return nil
}

// isDigest reports whether s is the canonical base64 of 32 bytes.
func isDigest(s string) bool {
	var raw [gm.DigestSize + 1]byte
	if len(s) != base64.StdEncoding.EncodedLen(gm.DigestSize) {
		return false
	}
	n, err := base64.StdEncoding.Strict().Decode(raw[:], []byte(s))
	return err == nil && n == gm.DigestSize
}

func only(s, alphabet string) bool { return strings.Trim(s, alphabet) == "" }
