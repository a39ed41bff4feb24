// Package rego holds the rules that Sealgate ships: authz.rego and reasons.rego
// of the stable stage, and examples of a per-call stage under example/, with
// their tests beside them. There is no Go here but this file; policy/engine
// evaluates the rules.
//
//	e, err := engine.New(ctx, engine.Config{Modules: rego.Modules()})
//
// The rules refuse by default and allow by one rule; package comments in the
// .rego files say how to write more of them.
package rego

import (
	"embed"
	"io/fs"
)

//go:embed *.rego example/*.rego
var files embed.FS

// Files returns every shipped file: rules, tests and examples.
func Files() fs.FS { return files }

// Modules returns the rules that are active by default, file name to source;
// no tests and no examples.
func Modules() map[string]string {
	m := make(map[string]string, 2)
	for _, name := range []string{"authz.rego", "reasons.rego"} {
		src, err := files.ReadFile(name)
		if err != nil {
			panic("policy/rego: " + name + " is not embedded: " + err.Error())
		}
		m[name] = string(src)
	}
	return m
}
