package engine

import (
	"context"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/sealgate/sealgate/policy"
)

// Allows asks the stable stage's rules themselves about an input, of which
// nothing need be there: no cache, no grant found by Go before. It is for those
// who test a policy (policy/bundle); calls are decided by Decide. Rules that
// fail allow nothing: then err says why.
func (e *Engine) Allows(ctx context.Context, input map[string]any) (bool, error) {
	v, err := ast.InterfaceToValue(input)
	if err != nil {
		return false, fmt.Errorf("policy input: %w", err)
	}
	in, ok := v.(ast.Object)
	if !ok {
		return false, fmt.Errorf("policy input is a %s", ast.ValueName(v))
	}
	r := e.newRun(ctx, &Request{Interface: &policy.Interface{}, Grant: &policy.Grant{}}, "")
	defer r.stop()
	answer, err := r.eval(&e.stable.decide, in)
	if err != nil {
		return false, err
	}
	return boolean(answer, "allow")
}
