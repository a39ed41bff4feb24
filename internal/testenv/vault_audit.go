package testenv

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// EnableAudit makes Vault write an audit log, with the engine at mount tuned as
// deploy/vault/README.md says, and returns its path. The log ends with the test.
func (v *Vault) EnableAudit(t testing.TB, mount string) string {
	t.Helper()
	file := filepath.Join(v.dir, "audit.log")
	v.Must(t, http.MethodPut, "sys/audit/file", map[string]any{"type": "file", "options": map[string]string{"file_path": file}})
	t.Cleanup(func() { v.Must(t, http.MethodDelete, "sys/audit/file", nil) })
	v.Must(t, http.MethodPost, "sys/mounts/"+mount+"/tune", auditTuning(t))
	return file
}

var (
	tuneCommand = regexp.MustCompile(`(?m)^vault secrets tune((?:.*\\\n)*.*)$`)
	tuneOption  = regexp.MustCompile(`-(audit-non-hmac-(?:request|response)-keys)=(\S+)`)
)

// auditTuning is what the command of deploy/vault/README.md sets: the fields
// that may be read in the audit log. Everything else is there as an HMAC.
func auditTuning(t testing.TB) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(Root(t), "deploy", "vault", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, command := range tuneCommand.FindAllString(string(text), -1) {
		for _, m := range tuneOption.FindAllStringSubmatch(command, -1) {
			option := strings.ReplaceAll(m[1], "-", "_")
			out[option] = append(out[option], m[2])
		}
	}
	if len(out) != 2 {
		t.Fatalf("deploy/vault/README.md tunes %v", out)
	}
	return out
}
