// Package testenv finds what tests need outside the checkout and starts whole
// systems for them. Only tests import it.
//
// A test that needs something absent skips with one line on a developer's
// machine and fails when CI=true, so that a green run cannot hide it.
package testenv

import (
	"os"
	"path/filepath"
	"testing"
)

// Corpus returns the path of sub inside the corpus of real files. The corpus
// stands beside the checkout (../shared/corpus) or where SEALGATE_CORPUS says;
// SEALGATE_CORPUS=none skips, also with CI=true, for builds elsewhere.
func Corpus(t testing.TB, sub string) string {
	t.Helper()
	dir := os.Getenv("SEALGATE_CORPUS")
	switch dir {
	case "none":
		t.Skip("corpus tests are switched off (SEALGATE_CORPUS=none)")
	case "":
		dir = filepath.Join(Root(t), "..", "shared", "corpus")
	}
	path := filepath.Join(dir, filepath.FromSlash(sub))
	if _, err := os.Stat(path); err != nil {
		Missing(t, "no corpus at "+path+" (set SEALGATE_CORPUS)")
	}
	return path
}

// Missing skips the test with one line, or fails it when CI=true.
func Missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// Root returns the checkout's top folder: the nearest one up that holds go.mod.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		up := filepath.Dir(dir)
		if up == dir {
			t.Fatal("no go.mod above the test's folder")
		}
		dir = up
	}
}
