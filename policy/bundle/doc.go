// Package bundle makes, signs and judges policy bundles: the rules of a gateway
// in one file (NAME.sgb) that two officers signed. A release says "this is what
// I made", an approval "I have read it and it may go into force"; a bundle needs
// both, by two people.
//
// Which function do you want?
//
//   - Build reads a folder of rules; (*Bundle).Sign adds an officer's release or
//     approval; (*Bundle).Marshal writes the file.
//   - Open reads a file and believes nothing of it but that its parts fit each
//     other; (*Bundle).Verify judges the officers.
//   - Try compiles the rules and asks them what every policy must deny.
//   - An Activator does all of it in order, records the outcome, and hands out
//     the compiled rules only when everything held.
//
// What it refuses to do: it activates nothing that is unsigned, signed by one
// officer, or by one person under two names; nothing that is older than what was
// activated before, or beside it; nothing that does not compile under the lint,
// or that allows what must be denied; and nothing that could not be recorded. It
// evaluates nothing itself (policy/engine does) and holds no key.
//
//	b, err := bundle.Build("rules/", bundle.Next{Name: "gateway"}, now)
//	b, err = b.Sign(ctx, policy.Release, officerA, chainA, now)
//	b, err = b.Sign(ctx, policy.Approve, officerB, chainB, now)
//	rules, b, err := activator.Activate(ctx, file)
//
// The forms are described in docs/policy-bundles.md; why two officers and why
// this file, in docs/adr/0008.
package bundle
