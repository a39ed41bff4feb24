package engine

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// stableBuiltins is what rules of the stable stage may use: pure functions of
// their arguments whose cost is bounded by them. An allow-list, so that a
// built-in that a new OPA adds is refused until somebody has read what it does.
// Not among them: network, clock, randomness, runtime, tracing, tokens,
// certificates, unbounded ranges, and walk.
func stableBuiltins() []string {
	return []string{
		"eq", "assign", "equal", "neq", "lt", "lte", "gt", "gte", "internal.member_2", "internal.member_3",
		"plus", "minus", "mul", "div", "rem", "round", "ceil", "floor", "abs",
		"and", "or", "intersection", "union", "count", "sum", "product", "max", "min", "sort",
		"array.concat", "array.flatten", "array.slice", "array.reverse",
		"object.get", "object.keys", "object.remove", "object.filter", "object.subset", "object.union", "object.union_n",
		"concat", "contains", "startswith", "endswith", "strings.any_prefix_match", "strings.any_suffix_match", "strings.count",
		"format_int", "indexof", "indexof_n", "lower", "upper", "replace", "strings.replace_n", "split", "sprintf", "internal.template_string",
		"substring", "strings.reverse", "trim", "trim_left", "trim_prefix", "trim_right", "trim_space", "trim_suffix",
		"regex.match", "regex.is_valid", "regex.replace", "regex.split",
		"is_array", "is_boolean", "is_null", "is_number", "is_object", "is_set", "is_string", "type_name", "to_number",
	}
}

// callBuiltins adds what computes on a time that is given; never the clock.
func callBuiltins() []string {
	return append(stableBuiltins(), "time.parse_rfc3339_ns", "time.date", "time.clock", "time.weekday", "time.add_date", "time.diff")
}

func capabilities(names []string, extra []*topdown.Builtin) *ast.Capabilities {
	all := ast.CapabilitiesForThisVersion()
	all.AllowNet = []string{}
	all.Builtins = slices.DeleteFunc(slices.Clone(all.Builtins), func(b *ast.Builtin) bool { return !slices.Contains(names, b.Name) })
	for _, b := range extra {
		all.Builtins = append(all.Builtins, b.Decl)
	}
	return all
}
