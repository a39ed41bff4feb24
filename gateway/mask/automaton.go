package mask

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/sealgate/sealgate/policy"
)

const noRule = -1

// pattern is one path of the plan: that of a rule, or (rule == noRule) that of
// a declared kind.
type pattern struct {
	segments policy.Path
	rule     int
	kind     string
}

// state is a place in a document as far as the plan can tell places apart. All
// patterns are followed at once (a subset construction), so that one lookup per
// member finds every rule that bears on it.
type state struct {
	named   map[string]*state // members that some path names
	other   *state            // any other member; nil: no path leads there
	element *state            // any element of an array

	rule   int                // the rule that holds here, or noRule
	action policy.FieldAction // of that rule; conflicts are already resolved
	kind   string             // declared, or ""
	see    string             // the identifier kind to report, or ""

	grants  bool // a path that passes something on leads further down
	rejects bool // reject holds here or further down
	sees    bool // an identifier is declared here or further down
}

// member returns the state of the member whose raw (quoted) name is given.
// Names with escapes are unescaped first; buf is scratch space for that.
func (s *state) member(raw jsontext.Value, buf []byte) (*state, []byte) {
	if s == nil {
		return nil, buf
	}
	if len(s.named) > 0 && len(raw) >= 2 {
		name := raw[1 : len(raw)-1]
		if bytes.IndexByte(name, '\\') >= 0 {
			var err error
			if buf, err = jsontext.AppendUnquote(buf[:0], raw); err != nil {
				return nil, buf // cannot happen after the decoder's check; nil grants nothing
			}
			name = buf
		}
		if next, ok := s.named[string(name)]; ok {
			return next, buf
		}
	}
	return s.other, buf
}

type compiler struct {
	rules    []rule
	patterns []pattern
	states   map[string]*state
}

func (c *compiler) all() []int {
	all := make([]int, len(c.patterns))
	for i := range all {
		all[i] = i
	}
	return all
}

// build returns the state reached after depth segments with the patterns alive.
func (c *compiler) build(depth int, alive []int) (*state, error) {
	key := binary.AppendUvarint(nil, uint64(depth))
	for _, i := range alive {
		key = binary.AppendUvarint(key, uint64(i))
	}
	if s, ok := c.states[string(key)]; ok {
		return s, nil
	}
	if len(c.states) == maxStates {
		return nil, fail(CodePlan, "too many combinations of `*` in the paths (more than %d states)", maxStates)
	}
	s := &state{rule: noRule}
	c.states[string(key)] = s

	var here, stars, elements []int
	named := map[string][]int{}
	for _, i := range alive {
		segments := c.patterns[i].segments
		switch {
		case len(segments) == depth:
			here = append(here, i)
		case segments[depth].Kind == policy.AnyElement:
			elements = append(elements, i)
		case segments[depth].Kind == policy.AnyMember:
			stars = append(stars, i)
		default:
			named[segments[depth].Name] = append(named[segments[depth].Name], i)
		}
	}
	c.resolve(s, here)

	step := func(alive []int) (*state, error) {
		if len(alive) == 0 {
			return nil, nil
		}
		next, err := c.build(depth+1, alive)
		if err == nil {
			s.grants = s.grants || next.grants || next.rule != noRule && passes(next.action)
			s.rejects = s.rejects || next.rejects
			s.sees = s.sees || next.sees
		}
		return next, err
	}
	var err error
	if s.element, err = step(elements); err != nil {
		return nil, err
	}
	if s.other, err = step(stars); err != nil {
		return nil, err
	}
	if len(named) > 0 {
		s.named = make(map[string]*state, len(named))
	}
	for name, exact := range named {
		if s.named[name], err = step(slices.Sorted(slices.Values(slices.Concat(exact, stars)))); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// passes reports whether something of a field under the action reaches the caller.
func passes(a policy.FieldAction) bool {
	return a.Kind != policy.Drop && a.Kind != policy.Reject
}

// resolve decides which rule and which kind hold where the patterns of here end.
func (c *compiler) resolve(s *state, here []int) {
	var rules, kinds []int
	for _, i := range here {
		if c.patterns[i].rule == noRule {
			kinds = append(kinds, i)
		} else {
			rules = append(rules, i)
		}
	}
	kinds = c.mostExact(kinds)
	for n, i := range kinds {
		switch kind := c.patterns[i].kind; {
		case n == 0:
			s.kind = kind
		case s.kind != kind:
			s.kind = "" // ambiguous: masked as an unknown kind
		}
		if IsIdentifier(c.patterns[i].kind) && s.see == "" {
			s.see = c.patterns[i].kind
			s.sees = true
		}
	}
	for _, i := range c.mostExact(rules) {
		next := c.patterns[i].rule
		if s.rule == noRule {
			s.rule, s.action = next, c.rules[next].action
			continue
		}
		a := c.rules[next].action
		switch have, want := restriction(s.action), restriction(a); {
		case want > have:
			s.rule, s.action = next, a
		case want == have && a != s.action:
			// Two masks, and nobody can say which hides more: hide the whole value.
			s.action = policy.FieldAction{Kind: policy.Mask}
			s.kind = ""
		}
	}
	s.rejects = s.rule != noRule && s.action.Kind == policy.Reject
}

func restriction(a policy.FieldAction) int {
	switch a.Kind {
	case policy.Reject:
		return 3
	case policy.Drop:
		return 2
	case policy.Show:
		return 0
	}
	return 1
}

// mostExact removes every pattern that another beats.
func (c *compiler) mostExact(list []int) (out []int) {
	for _, i := range list {
		if !slices.ContainsFunc(list, func(j int) bool { return beats(c.patterns[j].segments, c.patterns[i].segments) }) {
			out = append(out, i)
		}
	}
	return out
}

// beats reports whether p names a member in at least one place where q has `*`,
// and never the other way round. Both match the same place, so that they differ
// in nothing else.
func beats(p, q policy.Path) bool {
	better := false
	for i := range p {
		switch {
		case p[i].Kind == q[i].Kind:
		case p[i].Kind == policy.Member:
			better = true
		default:
			return false
		}
	}
	return better
}
