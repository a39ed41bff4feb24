package bundle

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sealgate/sealgate/policy"
)

// Evaluator is compiled rules. *engine.Engine satisfies it. It must be safe for
// concurrent use.
type Evaluator interface {
	// Allows asks the rules of the stable stage themselves, without a cache and
	// without the checks that stand in front of them, whether they allow an
	// input; the input has the form of policy.Input, or less. Rules that fail
	// allow nothing: then the answer is false and err may say why.
	Allows(ctx context.Context, input map[string]any) (bool, error)
	// Revision is the name under which the rules decide.
	Revision() string
}

// Compile turns rule files and tables into an Evaluator that decides under the
// name revision, or says why not: rules that do not compile or break the lint.
type Compile[E Evaluator] func(ctx context.Context, modules map[string]string, data map[string]any, revision string) (E, error)

// Try compiles the rules of a bundle and asks them what every policy must deny.
// Errors are of compile, ErrFormat or ErrSelfCheck.
func Try[E Evaluator](ctx context.Context, b *Bundle, compile Compile[E]) (E, error) {
	var none E
	modules, data, err := b.Rules()
	if err != nil {
		return none, err
	}
	revision, err := b.Manifest.Revision()
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	rules, err := compile(ctx, modules, data, revision)
	if err != nil {
		return none, err
	}
	for _, c := range mustDeny() {
		input, err := c.input()
		if err != nil {
			return none, err
		}
		if allowed, _ := rules.Allows(ctx, input); allowed { // to fail is to deny
			return none, refuse(ErrSelfCheck, "%s", c.what)
		}
	}
	return rules, nil
}

type denial struct {
	what   string
	change func(*policy.Input) // nil: the input is {}
}

func (d denial) input() (map[string]any, error) {
	if d.change == nil {
		return map[string]any{}, nil
	}
	in := soundInput()
	d.change(&in)
	text, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	var out map[string]any
	return out, json.Unmarshal(text, &out)
}

// mustDeny lists what no policy allows. Go refuses some of it before a policy
// is asked (gateway/catalog), and a policy must not rely on that.
func mustDeny() []denial {
	return []denial{
		{"an empty input", nil},
		{"an input without any value", func(in *policy.Input) { *in = policy.Input{} }},
		{"a call without a grant", func(in *policy.Input) { in.Grant = nil }},
		{"a grant of nothing", func(in *policy.Input) { in.Grant = &policy.Grant{ID: in.Grant.ID} }},
		{"a grant that is not active", func(in *policy.Input) { in.Grant.Status = "suspended" }},
		{"a purpose that the grant does not name", func(in *policy.Input) { in.Purpose = "sealgate-self-check" }},
		{"a call without a purpose", func(in *policy.Input) { in.Purpose = "" }},
		{"a service item that the grant does not name", func(in *policy.Input) { in.Item.Code = "sealgate-self-check" }},
		{"a zone that the grant does not name", func(in *policy.Input) { in.Caller.Zone = "internet" }},
		{"an interface that is not published", func(in *policy.Input) { in.Interface.Status = "withdrawn" }},
		{"an interface that is not shared", func(in *policy.Input) { in.Interface.Share = "none" }},
	}
}

// soundInput is a call that the shipped rules allow.
func soundInput() policy.Input {
	const item, purpose = "11220000000000000X3000117002011", "自检"
	fields := map[string]string{"data.name": "mask"}
	return policy.Input{
		Caller: policy.Caller{System: "self-check", Department: "self-check", USCC: "11220000000000000X", Region: "220000", Level: "province", Zone: "extranet", Auth: "sm2"},
		Interface: policy.Interface{ID: "self.check", Provider: "self-check", Base: "population", Share: "authorised", Method: "GET", Status: "published",
			Fields: map[string]policy.Field{"data.name": {Grade: 3, Kind: "name"}}},
		Grant: &policy.Grant{ID: "self-check", Items: []string{item}, Purposes: []string{purpose}, Fields: fields, Zones: []string{"extranet"},
			Regions: []string{"000000"}, CIDRs: []string{}, NotAfter: "2099-12-31", Status: "active", Quota: map[string]int64{}},
		Item: &policy.Item{Code: item, Fields: []string{"data.name"}}, Purpose: purpose,
	}
}
