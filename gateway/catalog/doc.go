// Package catalog holds what the platform has agreed: departments, their
// systems, the published interfaces, the service items and what data they need,
// scenarios, and grants. A catalogue file (YAML) becomes one immutable,
// indexed Snapshot; a change is a new Snapshot that replaces the old one at
// once (Holder).
//
// The package answers the questions that come before any policy, in Go and by
// key: which interface does this request mean (Match), which grant covers this
// system, interface and item (Grant), and is that grant usable now, from here
// (Authorise). It refuses what it cannot find. It knows nothing of Rego, of
// HTTP, or of how fields are masked; it parses and checks what those need
// (field actions, kinds, policy views) once, when the catalogue is loaded.
//
// A catalogue with anything wrong in it is refused as a whole, with every
// problem named by line: unknown keys, duplicate ids, dangling references, a
// granted field that the interface lacks, routes of which two could match the
// same request. Half a catalogue never serves.
//
//	snap, err := catalog.Load(data)          // *InvalidError names each line
//	holder := catalog.NewHolder(snap)
//	...
//	m, ok := holder.Current().Match(host, method, path)
//	grant, refusal := snap.Authorise(ctx, catalog.Question{…}, quotas)
//
// Sources: 吉政发〔2019〕4号 (share classes, scenarios), 国发〔2016〕51号 (purpose of
// use), GB/T 2260 (regions), GB 32100 (USCC), GB/T 39554.1 (item codes);
// contract: docs/architecture.md, "catalogue file".
package catalog
