package main

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/policy/bundle"
)

// fetch STATUS URL: asks an operator's page and wants that status; the body is
// the script's next stdout.
func cmdFetch(ts *testscript.TestScript, _ bool, args []string) {
	client := &http.Client{Timeout: patience}
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(args[1])
		if err != nil && time.Now().Before(deadline) {
			continue
		}
		ts.Check(err)
		body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		ts.Check(err)
		ts.Check(resp.Body.Close())
		if strconv.Itoa(resp.StatusCode) != args[0] {
			ts.Fatalf("%s: %d, want %s: %s", args[1], resp.StatusCode, args[0], body)
		}
		_, err = ts.Stdout().Write(body)
		ts.Check(err)
		return
	}
}

// revision FILE: sets REVISION from a policy bundle.
func cmdRevision(ts *testscript.TestScript, _ bool, args []string) {
	b, err := bundle.Open([]byte(ts.ReadFile(args[0])))
	ts.Check(err)
	revision, err := b.Manifest.Revision()
	ts.Check(err)
	ts.Setenv("REVISION", revision)
}
