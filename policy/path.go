package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a field path.
const (
	MaxPathBytes    = 1024
	MaxPathSegments = 64
)

// SegmentKind tells what one step of a path matches.
type SegmentKind uint8

// Member is a named member, AnyMember any member of an object (`*`), AnyElement
// any element of an array (`[*]`).
const (
	Member SegmentKind = iota
	AnyMember
	AnyElement
)

// Segment is one step of a path.
type Segment struct {
	Kind SegmentKind
	Name string
}

// Path is a parsed field path such as `data.list[*].idCard`, `*.name`,
// `[*].x` (root array) or `data["a.b"]`.
type Path []Segment

// ParsePath reads a path. Member names that hold `.`, `[` or `*` are written in
// brackets and double quotes, with `\"` and `\\` as the only escapes.
func ParsePath(s string) (Path, error) {
	bad := func(why string) (Path, error) { return nil, fmt.Errorf("field path %.60q: %s", s, why) }
	if s == "" {
		return bad("empty")
	}
	if len(s) > MaxPathBytes || !utf8.ValidString(s) {
		return bad("longer than 1024 bytes, or not UTF-8")
	}
	var p Path
	rest := s
	for rest != "" {
		if len(p) == MaxPathSegments {
			return bad("more than 64 segments")
		}
		switch {
		case strings.HasPrefix(rest, "[*]"):
			p, rest = append(p, Segment{Kind: AnyElement}), rest[3:]
		case strings.HasPrefix(rest, `["`):
			name, tail, ok := quotedName(rest[2:])
			if !ok {
				return bad(`want ["name"]`)
			}
			p, rest = append(p, Segment{Kind: Member, Name: name}), tail
		default:
			if len(p) > 0 {
				if rest[0] != '.' {
					return bad("want a dot between members")
				}
				rest = rest[1:]
			}
			end := strings.IndexAny(rest, ".[")
			if end < 0 {
				end = len(rest)
			}
			name := rest[:end]
			switch {
			case name == "*":
				p = append(p, Segment{Kind: AnyMember})
			case name == "" || strings.ContainsAny(name, `*]"`):
				return bad("an empty member name, or one that needs quotes")
			default:
				p = append(p, Segment{Kind: Member, Name: name})
			}
			rest = rest[end:]
		}
	}
	return p, nil
}

func quotedName(s string) (name, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", "", false
			}
			b.WriteByte(s[i])
		case '"':
			if strings.HasPrefix(s[i:], `"]`) {
				return b.String(), s[i+2:], true
			}
			return "", "", false
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

// String writes the path in its one canonical form.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Kind == AnyElement:
			b.WriteString("[*]")
			continue
		case s.Kind == Member && (s.Name == "" || strings.ContainsAny(s.Name, `.[]*"\`)):
			b.WriteString(`["` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.Name) + `"]`)
			continue
		}
		if i > 0 {
			b.WriteByte('.')
		}
		if s.Kind == AnyMember {
			b.WriteByte('*')
		} else {
			b.WriteString(s.Name)
		}
	}
	return b.String()
}
