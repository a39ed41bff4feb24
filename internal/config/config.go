// Package config reads Sealgate's YAML: the process configuration (File) and,
// for gateway/catalog and others, any structure of Go (Decode).
//
// It reads one plain subset of YAML and refuses the rest with the line, the
// column and, for an unknown key, the nearest known one: duplicate keys,
// anchors, aliases, merge keys, tags, directives, several documents, keys that
// are not plain strings, numbers in other than plain decimal form, and a value
// of another type than the field's (a department's region "220000" is text and
// must be quoted; YAML would make a number of it). A key without a value is
// refused too: it is either a mistake or wants to be left out.
//
// Limits: MaxSize bytes, MaxDepth levels. Nothing is expanded: no environment
// variables, no includes, no secrets in line (they are named by reference).
//
//	var f Fragment                       // struct with yaml tags
//	err := config.Decode(data, &f)       // *config.Error: line 3, column 5: unknown key "listne" (nearest: "listen")
//	file, err := config.Load("sealgate.yaml")
//	problems := file.Check(time.Now())
package config

import (
	"fmt"
	"os"
	"strings"
)

const (
	// MaxSize is the largest document in bytes.
	MaxSize = 8 << 20
	// MaxDepth is the deepest nesting of mappings and sequences.
	MaxDepth = 64

	maxProblems = 50 // that one Decode reports
)

// Code is the stable code of every Error.
const Code = "SG-CONFIG-INVALID"

// Pos is a place in a document; both count from 1. The zero Pos is unknown.
type Pos struct {
	Line, Column int
}

// Error says what is wrong with a document and where. It fits one line.
type Error struct {
	File    string // as it was named; empty when the bytes had no name
	Line    int    // from 1; 0 when the document as a whole is meant
	Column  int    // from 1
	Key     string // the unknown or duplicate key, else empty
	Nearest string // the known key nearest to Key, else empty
	Message string
	More    []*Error // further problems of the document, in its order, at most 49
}

// Error names file:line:column first, as editors understand it.
func (e *Error) Error() string {
	var b strings.Builder
	switch {
	case e.File != "" && e.Line > 0:
		fmt.Fprintf(&b, "%s:%d:%d: ", e.File, e.Line, e.Column)
	case e.File != "":
		b.WriteString(e.File + ": ")
	case e.Line > 0:
		fmt.Fprintf(&b, "line %d, column %d: ", e.Line, e.Column)
	}
	b.WriteString(e.Message)
	if e.Nearest != "" {
		fmt.Fprintf(&b, " (nearest: %q)", e.Nearest)
	}
	return b.String()
}

// Code returns the stable code for problem documents.
func (e *Error) Code() string { return Code }

func errorAt(p Pos, format string, args ...any) *Error {
	return &Error{Line: p.Line, Column: p.Column, Message: oneLine(fmt.Sprintf(format, args...))}
}

// Decode parses data strictly into v, a non-nil pointer to a struct with yaml
// tags. v is unspecified after an error. The error is always an *Error.
func Decode(data []byte, v any) error {
	doc, err := Parse(data)
	if err != nil {
		return err
	}
	return doc.Decode(v)
}

// ReadFile reads a document of at most MaxSize bytes; its errors name the file.
func ReadFile(path string) (*Document, error) {
	data, err := readLimited(path, MaxSize)
	if err != nil {
		return nil, &Error{File: path, Message: err.Error()}
	}
	doc, err := Parse(data)
	if err != nil {
		return nil, named(err, path)
	}
	doc.file = path
	return doc, nil
}

func named(err error, path string) error {
	if e, ok := err.(*Error); ok && e.File == "" {
		e.File = path
	}
	return err
}

func readLimited(path string, limit int64) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, cause(err)
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("is not a regular file")
	case st.Size() > limit:
		return nil, fmt.Errorf("has %d bytes, more than %d are refused", st.Size(), limit)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, cause(err)
	}
	return data, nil
}

// cause drops the path from a file error: the Error names it already.
func cause(err error) error {
	if pe, ok := err.(*os.PathError); ok {
		return pe.Err
	}
	return err
}

// oneLine keeps an error in one line of printable text, whatever it quotes.
func oneLine(s string) string {
	const limit = 300
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f || r == 0x2028 || r == 0x2029 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > limit {
		s = strings.ToValidUTF8(s[:limit], "") + "…"
	}
	return s
}
