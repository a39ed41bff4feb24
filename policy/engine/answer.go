package engine

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/sealgate/sealgate/internal/problem"
	"github.com/sealgate/sealgate/policy"
)

// Limits of reasons.
const (
	maxReasons     = 20
	maxReasonBytes = 1000
)

// only returns the one value of a rule: exactly one, neither undefined nor
// several.
func only(answer topdown.QueryResult, rule string) (ast.Value, error) {
	t, ok := answer[ast.Var(rule)]
	if !ok {
		return nil, fmt.Errorf("%w: no %s", errResult, rule)
	}
	values, ok := t.Value.(*ast.Array)
	if !ok || values.Len() != 1 {
		return nil, fmt.Errorf("%w: %s is undefined", errResult, rule)
	}
	return values.Elem(0).Value, nil
}

func boolean(answer topdown.QueryResult, rule string) (bool, error) {
	v, err := only(answer, rule)
	if err != nil {
		return false, err
	}
	b, ok := v.(ast.Boolean)
	if !ok {
		return false, fmt.Errorf("%w: %s is a %s", errResult, rule, ast.ValueName(v))
	}
	return bool(b), nil
}

// tighten applies the policy's field actions to the grant's. The grant's map is
// returned itself when nothing changes, and never written to.
func tighten(answer topdown.QueryResult, granted map[string]policy.FieldAction) (map[string]policy.FieldAction, error) {
	v, err := only(answer, "actions")
	if err != nil {
		return nil, err
	}
	o, ok := v.(ast.Object)
	if !ok {
		return nil, fmt.Errorf("%w: actions is a %s", errResult, ast.ValueName(v))
	}
	if o.Len() == 0 {
		return granted, nil
	}
	out := maps.Clone(granted)
	err = o.Iter(func(k, v *ast.Term) error {
		path, okPath := k.Value.(ast.String)
		text, okText := v.Value.(ast.String)
		if !okPath || !okText {
			return fmt.Errorf("%w: want an object of text", errActions)
		}
		was, ok := granted[string(path)]
		if !ok {
			return fmt.Errorf("%w: %q is not a path of the grant", errActions, path)
		}
		a, err := policy.ParseAction(string(text))
		if err != nil {
			return fmt.Errorf("%w: %w", errActions, err)
		}
		if !a.Tightens(was) {
			return fmt.Errorf("%w: %q from %s to %s", errActions, path, was, a)
		}
		out[string(path)] = a
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

func obligations(answer topdown.QueryResult) ([]policy.Obligation, error) {
	v, err := only(answer, "obligations")
	if err != nil {
		return nil, err
	}
	s, ok := v.(ast.Set)
	if !ok {
		return nil, fmt.Errorf("%w: obligations is a %s", errResult, ast.ValueName(v))
	}
	known := []policy.Obligation{policy.NotifyProvider, policy.LogParams, policy.Watermark}
	var out []policy.Obligation
	for _, t := range s.Slice() {
		text, ok := t.Value.(ast.String)
		if !ok || !slices.Contains(known, policy.Obligation(text)) {
			return nil, fmt.Errorf("%w: %.60s", errObligation, t.String())
		}
		out = append(out, policy.Obligation(text))
	}
	return out, nil
}

// readReasons copies the policy's reasons unchanged, in order of their codes,
// or fails when one of them is not of the contracted form.
func readReasons(answer topdown.QueryResult) ([]policy.Reason, error) {
	v, err := only(answer, "reasons")
	if err != nil {
		return nil, err
	}
	s, ok := v.(ast.Set)
	if !ok || s.Len() > maxReasons {
		return nil, fmt.Errorf("want a set of at most %d reasons", maxReasons)
	}
	var out []policy.Reason
	for _, t := range s.Slice() {
		r, err := readReason(t)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

func readReason(t *ast.Term) (policy.Reason, error) {
	var r policy.Reason
	o, ok := t.Value.(ast.Object)
	if !ok {
		return r, fmt.Errorf("a reason is a %s", ast.ValueName(t.Value))
	}
	into := map[string]*string{"code": &r.Code, "zh": &r.ZH, "en": &r.EN, "fix_zh": &r.FixZH, "fix_en": &r.FixEN}
	err := o.Iter(func(k, v *ast.Term) error {
		name, _ := k.Value.(ast.String)
		text, isText := v.Value.(ast.String)
		field, known := into[string(name)]
		if !known || !isText || len(text) > maxReasonBytes || !utf8.ValidString(string(text)) {
			return fmt.Errorf("member %.60s of a reason: want code, zh, en, fix_zh and fix_en as text of at most %d bytes", k, maxReasonBytes)
		}
		*field = string(text)
		return nil
	})
	switch {
	case err != nil:
		return r, err
	case !reasonCode(r.Code):
		return r, fmt.Errorf("code %.60q of a reason is not SG-AUTHZ-…", r.Code)
	case r.ZH == "" || r.EN == "":
		return r, fmt.Errorf("reason %s lacks zh or en", r.Code)
	}
	return r, nil
}

func reasonCode(s string) bool {
	ok, err := regexp.MatchString(`^SG-AUTHZ-[A-Z0-9]+(-[A-Z0-9]+)*$`, s)
	return ok && err == nil && len(s) <= 64
}

// refusalCode is the problem code of a policy's deny: that of its first reason
// when the problem table has it as a 403, else the general one. A policy can
// give reasons of its own making but no other status.
func refusalCode(reasons []policy.Reason) string {
	if len(reasons) > 0 {
		if e, ok := problem.Lookup(reasons[0].Code); ok && e.Status == 403 {
			return reasons[0].Code
		}
	}
	return "SG-AUTHZ-DENIED"
}

func nothingLeft(actions map[string]policy.FieldAction) bool {
	for _, a := range actions {
		if a.Kind != policy.Drop && a.Kind != "" {
			return false
		}
	}
	return true
}

func nothingToShow() policy.Reason {
	return policy.Reason{Code: "SG-AUTHZ-FIELDS", ZH: "授权字段与事项所需字段没有交集，没有可返回的字段",
		EN:    "none of the granted fields may be shown for this service item",
		FixZH: "请核对事项与数据资源的关联关系，或申请事项所需的字段", FixEN: "check which fields the item needs, and apply for those"}
}
