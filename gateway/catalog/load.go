package catalog

import (
	"cmp"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/internal/config"
	"github.com/sealgate/sealgate/internal/gm"
)

// maxProblems bounds how many problems one load reports.
const maxProblems = 50

// InvalidError lists what is wrong with a catalogue, in the file's order.
type InvalidError struct {
	Problems []*config.Error // at least one, at most 50
}

// Error is one line: the first problem, and how many follow.
func (e *InvalidError) Error() string {
	s := "catalogue: " + e.Problems[0].Error()
	if n := len(e.Problems) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// Unwrap gives the problems to errors.As.
func (e *InvalidError) Unwrap() []error {
	all := make([]error, len(e.Problems))
	for i, p := range e.Problems {
		all[i] = p
	}
	return all
}

// Code returns the stable code for problem documents.
func (e *InvalidError) Code() string { return config.Code }

// Warning is something in a valid catalogue that a person should look at.
type Warning struct {
	Line    int // 0 when the catalogue did not come from a file
	Message string
}

// Load reads a catalogue file of at most config.MaxSize bytes. The error is
// always an *InvalidError; nothing of an invalid catalogue is usable.
func Load(data []byte) (*Snapshot, error) {
	doc, err := config.Parse(data)
	if err != nil {
		return nil, invalid(err)
	}
	return LoadDocument(doc)
}

// LoadDocument is Load for a document that config.ReadFile has read; the
// problems then name the file.
func LoadDocument(doc *config.Document) (*Snapshot, error) {
	var f File
	if err := doc.Decode(&f); err != nil {
		return nil, invalid(err)
	}
	return build(f, doc)
}

// New builds a snapshot from a catalogue that did not come from a file; its
// problems have no lines. The snapshot shares f, which must not change any more.
func New(f File) (*Snapshot, error) { return build(f, nil) }

func invalid(err error) error {
	e, ok := err.(*config.Error)
	if !ok {
		e = &config.Error{Message: err.Error()}
	}
	return &InvalidError{Problems: append([]*config.Error{e}, e.More...)}
}

func build(f File, doc *config.Document) (*Snapshot, error) {
	b := &builder{doc: doc, file: f, snap: newSnapshot(f)}
	b.departments()
	b.systems()
	b.interfaces()
	b.items()
	b.scenarios()
	b.grants()
	if len(b.problems) > 0 {
		return nil, &InvalidError{Problems: b.problems}
	}
	b.snap.file = sorted(f)
	content, err := json.Marshal(b.snap.file)
	if err != nil {
		return nil, invalid(err)
	}
	sum := gm.SM3(content)
	b.snap.revision = hex.EncodeToString(sum[:])
	return b.snap, nil
}

// builder fills one snapshot. Its methods go on after a problem, so that a
// person sees all of them at once.
type builder struct {
	doc      *config.Document // nil: problems have no lines
	file     File
	snap     *Snapshot
	problems []*config.Error
}

// at is a path into the file: "grants", 3, "fields", "data.name".
type at []any

func (p at) to(steps ...any) at { return append(slices.Clone(p), steps...) }

// fail records a problem at path and returns false, for use in conditions.
func (b *builder) fail(path at, format string, args ...any) bool {
	b.failNear(path, "", format, args...)
	return false
}

func (b *builder) failNear(path at, nearest, format string, args ...any) {
	if len(b.problems) >= maxProblems {
		return
	}
	e := &config.Error{Message: fmt.Sprintf(format, args...)}
	if b.doc != nil {
		e = b.doc.Errorf(b.doc.At(path...), "%s", e.Message)
	}
	e.Nearest = nearest
	b.problems = append(b.problems, e)
}

func (b *builder) warn(path at, format string, args ...any) {
	w := Warning{Message: fmt.Sprintf(format, args...)}
	if b.doc != nil {
		w.Line = b.doc.At(path...).Line
	}
	b.snap.warnings = append(b.snap.warnings, w)
}

// sorted returns a copy whose top-level lists are in order of their ids, so
// that the revision does not depend on the order of a file.
func sorted(f File) File {
	return File{
		Departments: sortBy(f.Departments, func(e Department) DepartmentID { return e.ID }),
		Systems:     sortBy(f.Systems, func(e SystemEntry) SystemID { return e.ID }),
		Interfaces:  sortBy(f.Interfaces, func(e InterfaceEntry) InterfaceID { return e.ID }),
		Items:       sortBy(f.Items, func(e ItemEntry) ItemCode { return e.Code }),
		Scenarios:   sortBy(f.Scenarios, func(e ScenarioEntry) ScenarioID { return e.ID }),
		Grants:      sortBy(f.Grants, func(e GrantEntry) GrantID { return e.ID }),
	}
}

func sortBy[E any, K cmp.Ordered](list []E, key func(E) K) []E {
	return slices.SortedFunc(slices.Values(list), func(a, b E) int { return cmp.Compare(key(a), key(b)) })
}

// find looks a reference up and names the nearest id when it dangles.
func find[K ~string, V any](b *builder, in map[K]V, id K, path at, what string) (V, bool) {
	v, ok := in[id]
	if !ok {
		b.failNear(path, nearest(id, in), "%s %q is not in the catalogue", what, id)
	}
	return v, ok
}

func nearest[K ~string, V any](id K, in map[K]V) string {
	known := make([]string, 0, len(in))
	for k := range in {
		known = append(known, string(k))
	}
	slices.Sort(known)
	return config.Nearest(string(id), known)
}
