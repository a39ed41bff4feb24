package audit

import (
	"bytes"
	"errors"
	"iter"
	"strings"
	"time"
)

// Filter selects records. The zero value selects all; what is set must hold
// together.
type Filter struct {
	From, To  time.Time // From <= time < To; zero: open
	FromSeq   uint64    // seq >= FromSeq
	Type      string    // a type, or a family such as "grant." with the dot
	RequestID string
	Actor     string // actor.id
	Object    string // object.id
	Code      string
	Subject   string // a token of SubjectIndex
	Limit     int    // at most so many; 0: all
}

// Entry is one record as it stands in the ledger.
type Entry struct {
	Record
	Raw []byte // its canonical JSON
}

// errStop ends a scan early.
var errStop = errors.New("stop")

// Query yields the records of the ledger in dir that f selects, in the order of
// seq, reading as it goes: one segment is in memory at a time. It works beside
// a running writer. It checks what it reads (checksums, order, form) but not the
// tree; an error is yielded last, with a zero Entry.
func Query(dir string, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		if err := f.run(&disk{dir: dir}, yield); err != nil && !errors.Is(err, errStop) {
			yield(Entry{}, err)
		}
	}
}

func (f *Filter) run(d *disk, yield func(Entry, error) bool) error {
	names, err := d.segments()
	if err != nil {
		return err
	}
	for len(names) > 1 && firstOf(names[1]) <= f.FromSeq {
		names = names[1:]
	}
	if len(names) == 0 {
		return errors.New("there is no ledger in the folder")
	}
	needles := f.needles()
	found := 0
	s := &scanner{read: d.read}
	s.onRecord = func(seq uint64, leaf []byte) error {
		raw := leaf[1:]
		if seq < f.FromSeq {
			return nil
		}
		for _, n := range needles {
			if !bytes.Contains(raw, n) {
				return nil
			}
		}
		r, err := ParseRecord(raw)
		if err != nil || r.Seq != seq {
			return brokenAt(seq, "not a record, or not this one")
		}
		if !f.match(&r) {
			return nil
		}
		if !yield(Entry{r, bytes.Clone(raw)}, nil) {
			return errStop
		}
		if found++; found == f.Limit {
			return errStop
		}
		return nil
	}
	return s.scan(names)
}

// needles returns what the canonical form of a selected record must contain:
// one look at the bytes spares most records the parse.
func (f *Filter) needles() (out [][]byte) {
	for _, m := range []struct{ name, value string }{
		{"request_id", f.RequestID}, {"id", f.Actor}, {"id", f.Object}, {"code", f.Code},
	} {
		if m.value != "" {
			out = append(out, appendText([]byte{'{'}, m.name, m.value)[1:])
		}
	}
	if f.Subject != "" {
		out = append(out, appendString(nil, f.Subject))
	}
	if f.Type != "" {
		out = append(out, []byte(`"type":"`+f.Type))
	}
	return out
}

func (f *Filter) match(r *Record) bool {
	if !f.From.IsZero() && r.Time.Before(f.From) || !f.To.IsZero() && !r.Time.Before(f.To) {
		return false
	}
	if f.Type != "" && string(r.Type) != f.Type && !(strings.HasSuffix(f.Type, ".") && strings.HasPrefix(string(r.Type), f.Type)) {
		return false
	}
	if f.Subject != "" {
		has := false
		for _, s := range r.Subject {
			has = has || s == f.Subject
		}
		if !has {
			return false
		}
	}
	return (f.RequestID == "" || r.RequestID == f.RequestID) && (f.Actor == "" || r.Actor.ID == f.Actor) &&
		(f.Object == "" || r.Object.ID == f.Object) && (f.Code == "" || r.Code == f.Code)
}
