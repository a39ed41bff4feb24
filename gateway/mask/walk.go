package mask

import (
	"bytes"
	"io"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sealgate/sealgate/policy"
)

// walker is one Apply. It reads tokens from dec and decides for byte ranges of
// the input: those before pos have been passed on to out or left out; those from
// pos on are undecided, and passing them on is only done by pass.
//
// Invariant: pass(offset) is called only with offsets at which everything before
// was granted, replaced or left out.
type walker struct {
	plan *Plan
	dst  io.Writer
	win  window
	dec  *jsontext.Decoder
	*scratch

	pos  int64
	out  []byte
	sent int64

	seen    []touch // by rule
	dropped int
	rows    int
	arrays  int  // how many arrays enclose the value that is being walked
	anyRows bool // an array was reached
}

// touch tells what happened under a rule.
type touch struct{ shown, masked bool }

func (w *walker) stats() Stats {
	s := Stats{Dropped: w.dropped, Rows: w.rows, In: w.win.end(), Bytes: w.sent}
	for i, t := range w.seen {
		if t.shown {
			s.Shown = append(s.Shown, w.plan.rules[i].path)
		}
		if t.masked {
			s.Masked = append(s.Masked, w.plan.rules[i].path)
		}
	}
	if !w.anyRows && len(s.Shown)+len(s.Masked) > 0 {
		s.Rows = 1
	}
	return s // rules are sorted by path
}

// pass hands the input up to offset on.
func (w *walker) pass(offset int64) {
	w.out = append(w.out, w.win.slice(w.pos, offset)...)
	w.skip(offset)
}

// skip leaves the input up to offset out.
func (w *walker) skip(offset int64) {
	w.pos = offset
	w.win.forget(offset)
}

// settle is called where everything read so far has been granted: it keeps the
// memory small and the caller supplied.
func (w *walker) settle() error {
	if now := w.dec.InputOffset(); now-w.pos >= chunk {
		w.pass(now)
	}
	if len(w.out) >= 2*chunk && w.dec.InputOffset() >= Window && !w.plan.withhold {
		return w.send()
	}
	return nil
}

// verdict is what happens to a value.
type verdict uint8

const (
	drop      verdict = iota
	container         // an object or array on the way to a granted field: stays, its members are judged one by one
	show
	replace
	reject
)

// judge decides for the next value. shown is the rule that shows a subtree
// around it, or noRule; the rule returned is the one that holds.
func (w *walker) judge(s *state, shown int) (verdict, int) {
	if s != nil && s.rule != noRule {
		switch s.action.Kind {
		case policy.Show:
			return show, s.rule
		case policy.Drop:
			return drop, s.rule
		case policy.Reject:
			return reject, s.rule
		}
		return replace, s.rule
	}
	if shown != noRule {
		return show, shown
	}
	if kind := w.dec.PeekKind(); s != nil && s.grants && (kind == '{' || kind == '[') {
		return container, noRule
	}
	return drop, noRule
}

// top walks the one value of the body. No path names it, so it is a container
// that stays, or a scalar of which nothing may be told.
func (w *walker) top() error {
	switch w.dec.PeekKind() {
	case '{':
		return w.object(w.plan.root, noRule)
	case '[':
		return w.array(w.plan.root, noRule)
	}
	raw, err := w.dec.ReadValue() // of an invalid body this is the error
	if err != nil {
		return err
	}
	w.pass(w.dec.InputOffset() - int64(len(raw)))
	w.out = append(w.out, "null"...)
	w.dropped++
	w.skip(w.dec.InputOffset())
	return nil
}

// open reads the opening bracket of an object or array.
func (w *walker) open() error {
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	if w.dec.StackDepth() > w.plan.opts.MaxDepth {
		return fail(CodeDepth, "nested deeper than %d", w.plan.opts.MaxDepth)
	}
	return nil
}

// object walks an object that stays.
func (w *walker) object(s *state, shown int) error {
	if err := w.open(); err != nil {
		return err
	}
	list := members{w: w, last: w.dec.InputOffset()}
	for w.dec.PeekKind() != '}' {
		raw, err := w.dec.ReadValue() // the name; at an invalid token the error
		if err != nil {
			return err
		}
		var next *state
		next, w.name = s.member(raw, w.name)
		if err := list.next(next, shown); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// array walks an array that stays.
func (w *walker) array(s *state, shown int) error {
	if err := w.open(); err != nil {
		return err
	}
	w.arrays++
	defer func() { w.arrays-- }()
	w.anyRows = true
	var element *state
	if s != nil {
		element = s.element
	}
	list := members{w: w, last: w.dec.InputOffset()}
	for w.dec.PeekKind() != ']' {
		if w.arrays == 1 {
			w.rows++
		}
		if err := list.next(element, shown); err != nil {
			return err
		}
	}
	_, err := w.dec.ReadToken()
	return err
}

// members follows the members or elements of one container that stays, and
// takes care that the commas between those that are kept are right: a member
// that is left out goes with the comma before it, and the first one kept loses
// the comma that stood before it.
type members struct {
	w    *walker
	last int64 // where the previous member, or the opening bracket, ended
	left bool  // a member was left out
	kept bool  // a member was kept
}

// next walks the value of the next member; an object's name has been read.
func (m *members) next(s *state, shown int) error {
	w := m.w
	v, rule := w.judge(s, shown)
	if v == drop {
		w.pass(m.last)
		if err := w.discard(s); err != nil {
			return err
		}
		w.dropped++
		m.left = true
		m.last = w.dec.InputOffset()
		return nil
	}
	if m.left && !m.kept {
		if err := w.dropComma(); err != nil {
			return err
		}
	}
	m.kept = true
	if err := w.value(v, s, rule); err != nil {
		return err
	}
	m.last = w.dec.InputOffset()
	return w.settle()
}

// dropComma leaves out the comma that stands next in the undecided input.
func (w *walker) dropComma() error {
	w.dec.PeekKind() // an array's comma may not have been read yet
	rest := w.win.buf[w.pos-w.win.base:]
	i := bytes.IndexByte(rest, ',')
	if i < 0 || len(bytes.TrimLeft(rest[:i], " \t\r\n")) > 0 {
		_, err := w.dec.ReadValue() // the input ends or is invalid here
		if err == nil {
			err = fail(CodeSyntax, "no comma where one must be")
		}
		return err
	}
	w.skip(w.pos + int64(i) + 1)
	return nil
}

// value walks a value that is not left out.
func (w *walker) value(v verdict, s *state, rule int) error {
	kind := w.dec.PeekKind()
	switch v {
	case reject:
		return fail(CodeRejected, "a field that withholds the whole answer is present")
	case replace:
		return w.replace(s, rule)
	case container:
		rule = noRule
	case show:
		w.seen[rule].shown = true
	}
	switch {
	case kind == '{' && s == nil && w.arrays > 0, kind == '[' && s == nil && w.arrays > 0:
		return w.skim(w.settle)
	case kind == '{':
		return w.object(s, rule)
	case kind == '[':
		return w.array(s, rule)
	}
	raw, err := w.dec.ReadValue()
	if err == nil {
		w.look(s, raw)
	}
	return err
}

// skim reads a container of which no part needs a decision; after is called
// now and then.
func (w *walker) skim(after func() error) error {
	depth := w.dec.StackDepth()
	for {
		if _, err := w.dec.ReadToken(); err != nil {
			return err
		}
		switch now := w.dec.StackDepth(); {
		case now > w.plan.opts.MaxDepth:
			return fail(CodeDepth, "nested deeper than %d", w.plan.opts.MaxDepth)
		case now <= depth:
			return after()
		}
		if w.dec.InputOffset()-w.pos >= chunk {
			if err := after(); err != nil {
				return err
			}
		}
	}
}

// discard reads a value and leaves it out. Reject rules and declared
// identifiers inside it still count.
func (w *walker) discard(s *state) error {
	done := func() error { w.skip(w.dec.InputOffset()); return nil }
	kind := w.dec.PeekKind()
	if s != nil && s.rule != noRule && s.action.Kind == policy.Reject {
		return fail(CodeRejected, "a field that withholds the whole answer is present")
	}
	if kind != '{' && kind != '[' {
		raw, err := w.dec.ReadValue()
		if err != nil {
			return err
		}
		w.look(s, raw)
		return done()
	}
	if s == nil || !s.rejects && (!s.sees || w.plan.observe == nil) {
		return w.skim(done)
	}
	if err := w.open(); err != nil {
		return err
	}
	for end := closing(kind); w.dec.PeekKind() != end; {
		next := s.element
		if kind == '{' {
			raw, err := w.dec.ReadValue()
			if err != nil {
				return err
			}
			next, w.name = s.member(raw, w.name)
		}
		if err := w.discard(next); err != nil {
			return err
		}
	}
	if _, err := w.dec.ReadToken(); err != nil {
		return err
	}
	return done()
}

func closing(open jsontext.Kind) jsontext.Kind {
	if open == '{' {
		return '}'
	}
	return ']'
}

// look reports a scalar at a path that is declared as an identifier.
func (w *walker) look(s *state, raw jsontext.Value) {
	if s == nil || s.see == "" || w.plan.observe == nil {
		return
	}
	if text, ok := w.scalar(raw); ok {
		w.plan.observe(s.see, text)
	}
}

// scalar returns the text of a string (unescaped) or of a number.
func (w *walker) scalar(raw jsontext.Value) (text []byte, ok bool) {
	switch raw.Kind() {
	case '0':
		return raw, true
	case '"':
		if inner := raw[1 : len(raw)-1]; bytes.IndexByte(inner, '\\') < 0 {
			return inner, true
		}
		var err error
		w.text, err = jsontext.AppendUnquote(w.text[:0], raw)
		return w.text, err == nil
	}
	return nil, false
}

// replace reads a value under a mask and writes what stands for it.
func (w *walker) replace(s *state, rule int) error {
	if kind := w.dec.PeekKind(); kind == '{' || kind == '[' {
		w.seen[rule].masked = true
		return w.replaceContainer(s)
	}
	raw, err := w.dec.ReadValue()
	if err != nil {
		return err
	}
	w.look(s, raw)
	end := w.dec.InputOffset()
	text, ok := w.scalar(raw)
	if raw.Kind() == '0' && !w.plan.opts.NumbersAsStrings {
		ok = false
	}
	w.pass(end - int64(len(raw)))
	w.skip(end)
	if !ok {
		w.seen[rule].masked = true
		w.out = append(w.out, "null"...)
		return nil
	}
	if s.action.Kind == policy.Fixed {
		w.seen[rule].masked = true
		w.out = append(w.out, w.plan.rules[rule].fixed...)
		return nil
	}
	start := len(w.out)
	w.out = w.mask(w.out, s, text)
	if len(text) > 0 && bytes.Equal(w.out[start:], text) {
		// The mask hides nothing of this kind, as with an enterprise's USCC.
		w.seen[rule].shown = true
		w.out = append(w.out[:start], raw...)
		return nil
	}
	w.seen[rule].masked = true
	w.text = append(w.text[:0], w.out[start:]...)
	if w.out, err = jsontext.AppendQuote(w.out[:start], w.text); err != nil {
		w.out = append(w.out[:start], `"`+hidden+`"`...)
	}
	return nil
}

// mask appends the masked text of one value.
func (w *walker) mask(dst []byte, s *state, text []byte) []byte {
	switch a := s.action; a.Kind {
	case policy.Mask:
		return appendByKind(dst, s.kind, text)
	case policy.Keep:
		return appendKept(dst, text, a.N, a.M)
	case policy.Last:
		return appendKept(dst, text, 0, a.N)
	case policy.Pseudonym:
		return appendPseudonym(dst, w.plan.opts.PseudonymKey, s.kind, text)
	}
	return append(dst, hidden...)
}

// replaceContainer writes null for an object or array.
func (w *walker) replaceContainer(s *state) error {
	// Everything before the bracket is granted; white space may stand between.
	from := w.dec.InputOffset()
	rest := w.win.buf[from-w.win.base:]
	at := from + int64(bytes.IndexAny(rest, "{["))
	w.pass(at)
	w.out = append(w.out, "null"...)
	w.skip(at)
	// discard moves pos to the end of the value.
	inner := *s
	inner.rule = noRule
	return w.discard(&inner)
}
