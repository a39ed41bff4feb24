// Package ofd reads and extends OFD packages (GB/T 33190-2016): a strict zip
// and XML reader over bytes in memory, the package model (documents, pages,
// signatures and every file that they reach), SM3 digests of entries, what a
// set of signatures leaves unprotected, and the embedding of a new signature
// into a package whose other bytes stay as they are.
//
// It judges form, never trust: certificates, seals and signature values are
// bytes to it. Every departure from the rules is returned as a [Problem], all
// of them, so that a verdict can list them; nothing is repaired, guessed or
// read in two ways. In particular it refuses: names that two readers could
// take for different files, entries that overlap or hide between others,
// compression bombs, DOCTYPE declarations, encodings other than UTF-8, and
// paths that leave the package. It never follows a link outside the bytes
// that it was given and never writes to a file system.
//
// Reading:
//
//	p, problems := ofd.Open(data)
//	if p == nil { … }                      // no package: problems say why
//	for _, s := range p.Signatures() {
//		problems = append(problems, s.Problems...)
//		problems = append(problems, p.CheckReferences(s)...)
//	}
//	gaps := p.Uncovered(p.Covered(p.Signatures()...))
//
// Sealing:
//
//	plan, err := p.PlanSignature(ofd.SignatureRequest{…})
//	dataHash := gm.SM3(plan.SignatureXML())
//	out, err := plan.Embed(signedValue)    // the new package's bytes
package ofd
