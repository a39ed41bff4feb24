package mask

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Window is how much of a body is checked before its first byte is sent. A body
// that fits is checked whole.
const Window = 64 << 10

// chunk is how much may pile up before it is handed on or let go.
const chunk = 16 << 10

// Stats is what the audit record says of a masked answer: paths and counts,
// never values.
type Stats struct {
	Shown   []string // paths as written in the plan that passed a value unchanged, sorted
	Masked  []string // paths whose value was masked, sorted
	Dropped int      // members and elements left out, each counted once with all that is in it
	Rows    int      // elements of the outermost arrays; without an array 1 when anything was granted and present
	In      int64    // bytes read from the upstream
	Bytes   int64    // bytes written to the caller
}

// Sizer is an optional interface of Apply's destination. SetSize is called once,
// before the one Write, when the whole answer is known to be good; a gateway
// sends a Content-Length then. Long answers are written without it.
type Sizer interface{ SetSize(n int64) }

// Apply reads one JSON value from src and writes what the plan shows of it to
// dst. On an error nothing more is written: withhold the answer when
// (*Error).Withheld() reports true, else break the connection. Stats count what
// was seen until then.
//
// Nothing is written before the first [Window] bytes, or the whole of a shorter
// body, were found good; a plan that holds a reject rule waits for the end of
// any body. Memory is bounded by Window, the longest single string or number,
// and with a reject rule by Options.MaxBytes.
func (p *Plan) Apply(dst io.Writer, src io.Reader) (Stats, error) {
	s := p.pool.Get().(*scratch)
	w := &walker{plan: p, dst: dst, scratch: s, seen: make([]touch, len(p.rules))}
	w.win = window{src: src, limit: p.opts.MaxBytes, buf: s.window[:0]}
	err := w.run()
	stats := w.stats()
	if err != nil {
		e := w.classify(err) // while the decoder is still ours
		e.Sent = stats.Bytes
		err = e
	}
	s.keep(w)
	p.pool.Put(s)
	return stats, err
}

// scratch is the memory that one Apply leaves to the next.
type scratch struct {
	window, out []byte
	name, text  []byte // unescaped member name, unescaped or masked value
	decoder     jsontext.Decoder
}

// keep takes the walker's memory back, without the personal data in it.
func (s *scratch) keep(w *walker) {
	const most = 4 * Window
	s.decoder.Reset(eof{})
	if !w.win.whole { // it has a buffer of its own, as large as the longest token
		s.decoder = jsontext.Decoder{}
	}
	tidy := func(b []byte) []byte {
		if cap(b) > most {
			return nil
		}
		clear(b[:cap(b)])
		return b[:0]
	}
	s.window, s.out = tidy(w.win.buf), tidy(w.out)
	s.name, s.text = tidy(s.name), tidy(s.text)
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

// window holds the input that has been read and not yet been dealt with, so
// that the walk can pass on the input's own bytes. It is the decoder's reader.
type window struct {
	src    io.Reader
	limit  int64
	buf    []byte
	base   int64 // offset in the input of buf[0]
	served int64 // offset up to which the decoder has read
	whole  bool  // everything is in buf, and the decoder reads it there: it must not move
	err    error // what ended the reading; io.EOF for a clean end
}

func (w *window) end() int64 { return w.base + int64(len(w.buf)) }

// more reads once from the source. It returns an error when nothing was read.
func (w *window) more() error {
	for empty := 0; w.err == nil; {
		if cap(w.buf)-len(w.buf) < 4<<10 {
			w.buf = append(make([]byte, 0, 2*cap(w.buf)+Window+1), w.buf...)
		}
		n, err := w.src.Read(w.buf[len(w.buf):cap(w.buf)])
		w.buf = w.buf[:len(w.buf)+n]
		switch {
		case w.end() > w.limit:
			w.err = fail(CodeSize, "the body is longer than %d bytes", w.limit)
			return w.err
		case err != nil:
			w.err = err
		case n == 0:
			if empty++; empty == 100 {
				w.err = io.ErrNoProgress
			}
		}
		if n > 0 {
			return nil
		}
	}
	return w.err
}

// fill reads until more than n bytes are there. It reports whether the source
// ended before, cleanly.
func (w *window) fill(n int) (whole bool, err error) {
	for len(w.buf) <= n {
		if err := w.more(); err == io.EOF {
			return true, nil
		} else if err != nil {
			return false, err
		}
	}
	return false, nil
}

// Read gives the decoder the next bytes; they stay in the window.
func (w *window) Read(p []byte) (int, error) {
	if w.served == w.end() {
		if err := w.more(); err != nil {
			return 0, err
		}
	}
	n := copy(p, w.buf[w.served-w.base:])
	w.served += int64(n)
	return n, nil
}

// slice returns the input from offset from up to offset to.
func (w *window) slice(from, to int64) []byte { return w.buf[from-w.base : to-w.base] }

// forget lets go of the input before offset, once that is worth the copying.
func (w *window) forget(offset int64) {
	if n := offset - w.base; !w.whole && n >= chunk && n >= int64(len(w.buf))/2 {
		w.buf = w.buf[:copy(w.buf, w.buf[n:])]
		w.base = offset
	}
}

// run walks the whole input.
func (w *walker) run() error {
	whole, err := w.win.fill(Window)
	if err != nil {
		return err
	}
	if err := checkEncoding(w.win.buf); err != nil {
		return err
	}
	w.dec, w.out = &w.scratch.decoder, w.scratch.out[:0]
	if w.win.whole = whole; whole {
		w.dec.Reset(bytes.NewBuffer(w.win.buf)) // no copy: the decoder reads the window itself
	} else {
		w.dec.Reset(&w.win)
	}
	if err := w.top(); err != nil {
		return err
	}
	if _, err := w.dec.ReadToken(); err == nil {
		return fail(CodeSyntax, "data after the JSON value")
	} else if err != io.EOF {
		return err
	}
	w.pass(w.win.end())
	if s, ok := w.dst.(Sizer); ok && w.sent == 0 {
		s.SetSize(int64(len(w.out)))
	}
	if len(w.out) == 0 {
		return nil // it has all gone
	}
	return w.send()
}

// checkEncoding refuses what is not UTF-8 without a byte order mark. Anything
// else that is not UTF-8 is found by the decoder.
func checkEncoding(head []byte) error {
	switch {
	case bytes.HasPrefix(head, []byte("\xEF\xBB\xBF")), bytes.HasPrefix(head, []byte("\xFE\xFF")), bytes.HasPrefix(head, []byte("\xFF\xFE")):
		return fail(CodeUTF8, "the body begins with a byte order mark")
	case bytes.IndexByte(head[:min(4, len(head))], 0) >= 0:
		return fail(CodeUTF8, "the body is not UTF-8 but looks like UTF-16 or UTF-32")
	}
	return nil
}

// send hands the masked bytes to the caller.
func (w *walker) send() error {
	n, err := w.dst.Write(w.out)
	w.sent += int64(n)
	if err == nil && n < len(w.out) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &Error{what: "the caller cannot be written to", err: err}
	}
	w.out = w.out[:0]
	return nil
}

// classify turns what ended the walk into an *Error. The decoder's own text may
// quote the input, so only its kind is used.
func (w *walker) classify(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Offset == 0 && w.dec != nil && e.code != CodeSize && !e.ClientGone() {
			e.Offset = w.dec.InputOffset()
		}
		return e
	}
	if w.win.err != nil && w.win.err != io.EOF {
		return &Error{code: CodeUpstream, what: "the upstream's body broke off", err: w.win.err, Offset: w.win.end()}
	}
	e := fail(CodeSyntax, "the body is not one JSON value")
	if syntactic, ok := errors.AsType[*jsontext.SyntacticError](err); ok {
		e.Offset = syntactic.ByteOffset
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			e.code, e.what = CodeDuplicate, "two members of an object have the same name"
		case w.invalidUTF8At(syntactic.ByteOffset), syntactic.Err != nil && strings.Contains(syntactic.Err.Error(), "invalid UTF-8"):
			e.code, e.what = CodeUTF8, "the body is not valid UTF-8"
		}
	}
	return e
}

func (w *walker) invalidUTF8At(offset int64) bool {
	if offset < w.win.base || offset >= w.win.end() {
		return false
	}
	rest := w.win.buf[offset-w.win.base:]
	r, size := utf8.DecodeRune(rest)
	return r == utf8.RuneError && size == 1 && utf8.FullRune(rest)
}
