package config

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxIndent is the farthest column at which a block construct may begin. It
// bounds the recursion of the parser, which has no limit of its own.
const maxIndent = 2 * MaxDepth

// MaxKeys is the largest number of keys of one block mapping. The parser needs
// time in the square of it and stack in proportion to it.
const MaxKeys = 10_000

// Document is a parsed document that was found to be inside the subset. It
// keeps positions, so that a judgement made after decoding (a dangling
// reference, a duplicate id) can still name its line.
type Document struct {
	file string
	root ast.Node
}

// Parse reads one document. The error is always an *Error.
func Parse(data []byte) (doc *Document, err error) {
	if len(data) > MaxSize {
		return nil, &Error{Message: fmt.Sprintf("document has %d bytes, more than %d are refused", len(data), MaxSize)}
	}
	if err := checkText(data); err != nil {
		return nil, err
	}
	// The parser is a third party's; a panic in it is a refusal, not a crash.
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, &Error{Message: "not a YAML document that can be read"}
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	file, perr := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates: checked below, with our words
	if perr != nil {
		return nil, syntaxError(perr)
	}
	if len(file.Docs) > 1 {
		return nil, errorAt(posOf(file.Docs[1]), "more than one document in a file")
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return nil, &Error{Message: "document is empty"}
	}
	root := file.Docs[0].Body
	if _, ok := root.(*ast.CommentGroupNode); ok {
		return nil, &Error{Message: "document is empty"}
	}
	if err := checkTree(root, 1); err != nil {
		return nil, err
	}
	return &Document{root: root}, nil
}

// At returns where the value at path begins: member names as string, indexes
// as int. Of a path that does not exist it returns the place of the longest
// part that does.
func (d *Document) At(path ...any) Pos {
	n := d.root
	for _, step := range path {
		var next ast.Node
		switch s := step.(type) {
		case string:
			if m, ok := n.(*ast.MappingNode); ok {
				for _, kv := range m.Values {
					if k, _, ok := keyOf(kv); ok && k == s {
						next = kv.Value
						break
					}
				}
			}
		case int:
			if q, ok := n.(*ast.SequenceNode); ok && s >= 0 && s < len(q.Values) {
				next = q.Values[s]
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return posOf(n)
}

// Errorf makes an Error at p with the document's file name.
func (d *Document) Errorf(p Pos, format string, args ...any) *Error {
	e := errorAt(p, format, args...)
	e.File = d.file
	return e
}

// checkText refuses what is not clean UTF-8 text.
func checkText(data []byte) error {
	line, start := 1, 0
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			return errorAt(Pos{line, i - start + 1}, "not valid UTF-8")
		case r == '\n':
			line, start = line+1, i+1
		case r == '\r' && bytes.HasPrefix(data[i:], []byte("\r\n")), r == '\t':
		case r < 0x20, r == 0x7f, r == 0x85, r == 0x2028, r == 0x2029, r == 0xfeff:
			return errorAt(Pos{line, i - start + 1}, "control character U+%04X", r)
		}
		i += n
	}
	return nil
}

// checkTokens bounds nesting before the recursive parser sees the document and
// refuses the constructs that are outside the subset.
func checkTokens(tokens token.Tokens) error {
	flow := 0
	var keys [maxIndent + 1]int // of the open block mapping at each column
	for _, t := range tokens {
		p := Pos{}
		if t.Position != nil {
			p = Pos{t.Position.Line, t.Position.Column}
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			if flow++; flow > MaxDepth {
				return errorAt(p, "nested deeper than %d levels", MaxDepth)
			}
		case token.SequenceEndType, token.MappingEndType:
			if flow > 0 {
				flow--
			}
		case token.SequenceEntryType:
			if flow > 0 {
				break
			}
			if p.Column > maxIndent {
				return errorAt(p, "indented further than %d columns", maxIndent)
			}
			clear(keys[max(0, p.Column)+1:])
		case token.MappingValueType:
			if flow > 0 || t.Prev == nil || t.Prev.Position == nil {
				break
			}
			column := max(0, t.Prev.Position.Column)
			if column > maxIndent {
				return errorAt(p, "indented further than %d columns", maxIndent)
			}
			if keys[column]++; keys[column] > MaxKeys {
				return errorAt(p, "more than %d keys in one mapping", MaxKeys)
			}
			clear(keys[column+1:])
		case token.MappingKeyType:
			return errorAt(p, "explicit keys (?) are refused")
		case token.AnchorType:
			return errorAt(p, "anchors (&) are refused")
		case token.AliasType:
			return errorAt(p, "aliases (*) are refused")
		case token.MergeKeyType:
			return errorAt(p, "merge keys (<<) are refused")
		case token.TagType:
			return errorAt(p, "tags (!) are refused")
		case token.DirectiveType:
			return errorAt(p, "directives (%%) are refused")
		case token.InvalidType:
			return errorAt(p, "%s", firstOf(t.Error, "syntax error"))
		}
	}
	return nil
}

// checkTree refuses depth, duplicate keys and keys that are not strings
// anywhere in the document.
func checkTree(n ast.Node, depth int) error {
	if depth > MaxDepth {
		return errorAt(posOf(n), "nested deeper than %d levels", MaxDepth)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		seen := make(map[string]int, len(n.Values))
		for _, kv := range n.Values {
			k, p, ok := keyOf(kv)
			if !ok {
				return errorAt(p, "a key must be text")
			}
			if first, dup := seen[k]; dup {
				e := errorAt(p, "duplicate key %q, first on line %d", k, first)
				e.Key = k
				return e
			}
			seen[k] = p.Line
			if err := checkTree(kv.Value, depth+1); err != nil {
				return err
			}
		}
	case *ast.SequenceNode:
		for _, v := range n.Values {
			if err := checkTree(v, depth+1); err != nil {
				return err
			}
		}
	case *ast.StringNode, *ast.LiteralNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.InfinityNode, *ast.NanNode:
	case nil:
		return &Error{Message: "a value is missing"}
	default:
		return errorAt(posOf(n), "this YAML construct is refused")
	}
	return nil
}

// keyOf returns a mapping entry's key. A bare 123, true or null is not text.
func keyOf(kv *ast.MappingValueNode) (key string, p Pos, ok bool) {
	p = posOf(kv.Key)
	s, ok := kv.Key.(*ast.StringNode)
	if !ok {
		return "", p, false
	}
	return s.Value, p, true
}

func posOf(n ast.Node) Pos {
	if n == nil {
		return Pos{}
	}
	// A mapping's own token is its first ':'; its first key is what a reader calls the place.
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 && m.Values[0].Key != nil {
		return posOf(m.Values[0].Key)
	}
	t := n.GetToken()
	if t == nil || t.Position == nil {
		return Pos{}
	}
	return Pos{t.Position.Line, t.Position.Column}
}

// syntaxError keeps the first line of the parser's message; the rest quotes
// the file, which may hold what belongs in no log.
func syntaxError(err error) *Error {
	var y yaml.Error
	if errors.As(err, &y) {
		p := Pos{}
		if t := y.GetToken(); t != nil && t.Position != nil {
			p = Pos{t.Position.Line, t.Position.Column}
		}
		first, _, _ := strings.Cut(y.GetMessage(), "\n")
		return errorAt(p, "%s", firstOf(first, "syntax error"))
	}
	return &Error{Message: "syntax error"}
}

func firstOf(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
