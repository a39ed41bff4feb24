// Package engine decides calls by evaluating Rego with OPA, embedded. It is,
// with policy/bundle, the only importer of OPA, so that the evaluator can be
// replaced here.
//
// A decision has two stages. The stable stage, package sealgate.authz, sees only
// what stays the same for this caller, grant, interface, item, zone and purpose;
// its positive answer is cached. The per-call stage, package sealgate.call, sees
// arguments, time and counters, is optional, and is never cached. Reasons are
// asked only after a deny, so that an allowed call does not pay for them.
//
// What it refuses to do, each with a code of its own:
//
//   - to allow on anything but exactly one boolean true (SG-POLICY-RESULT),
//   - to go on after a built-in error or a panic (SG-POLICY-ERROR), or after the
//     budget of 50 ms (SG-POLICY-TIMEOUT),
//   - to let a policy loosen a grant (SG-POLICY-ACTIONS) or impose a duty that
//     nobody fulfils (SG-POLICY-OBLIGATION),
//   - to compile a policy (SG-POLICY-INVALID) that reaches outside its input
//     (network, clock, randomness, runtime), that allows by the absence of a
//     deny, that reads data which is not there, or that scans data: OPA fails
//     open on a missing document or an erring rule in a deny-style policy.
//
// An Engine is one revision of the policy and immutable; a new policy is a new
// Engine, swapped by the owner of the pointer.
//
//	e, err := engine.New(ctx, engine.Config{Modules: rego.Modules()})
//	d := e.Decide(ctx, engine.Request{Caller: c, Interface: i, Grant: g, …})
//	if !d.Allow { refuse(d.Code, d.Reasons) }
package engine
