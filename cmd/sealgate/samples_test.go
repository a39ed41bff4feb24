package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/testenv"
)

// TestSamplesOfTheDocumentsSignCalls runs what docs/samples gives to the
// departments, each in its own language, against a running gateway.
func TestSamplesOfTheDocumentsSignCalls(t *testing.T) {
	var scripts []string
	for _, sample := range []struct {
		name  string
		tools []string
	}{
		{"openssl", []string{"bash", "openssl", "curl"}},
		{"python", []string{"python3", "openssl", "curl"}},
		{"java", []string{"java", "curl"}},
	} {
		absent := ""
		for _, tool := range sample.tools {
			if _, err := exec.LookPath(tool); err != nil {
				absent = tool
			}
		}
		if absent == "" {
			scripts = append(scripts, filepath.Join("testdata", "samples", sample.name+".txt"))
			continue
		}
		t.Run(sample.name, func(t *testing.T) {
			testenv.Missing(t, "no "+absent)
		})
	}
	if len(scripts) == 0 {
		return
	}
	samples := filepath.Join(testenv.Root(t), "docs", "samples")
	runScripts(t, testscript.Params{Files: scripts}, func(env *testscript.Env) {
		env.Setenv("SAMPLES", samples)
		env.Setenv("HOME", os.Getenv("HOME")) // where version managers of python and java look
	})
}
