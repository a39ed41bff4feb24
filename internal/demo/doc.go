// Package demo is the sample world of `sealgate demo`: departments that call,
// departments that provide, their upstream servers, the catalogue and the
// persons and enterprises the answers are about.
//
// Everything in it is invented, and made so that it cannot be anybody's:
// identity numbers carry region codes that were never issued in one (those of
// whole cities, ending in 00), organisation codes begin with MADEM, mobile
// numbers are of 1380000, bank cards of 622202100000. Check digits are valid,
// because masks, detectors and validators are part of what is shown. The same
// build gives the same data: no clock and no random number is read.
//
// The package refuses to be more than a sample: its servers answer on whatever
// listener they are given and check nobody, as a provider behind the gateway
// that trusts the gateway alone.
//
//	handlers := demo.Upstreams()                       // by provider id
//	yaml, err := demo.Catalogue(demo.CatalogueParams{…}) // loads with gateway/catalog
//	for _, call := range demo.Calls() { … }            // requests that show something
package demo
