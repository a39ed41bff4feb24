package server

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTokenFileWithAMistakeIsRefusedWithItsLineAndNothingElse(t *testing.T) {
	for name, c := range map[string]struct{ content, line string }{
		"short token":    {"office abc\n", "line 1"},
		"no token":       {"# x\noffice\n", "line 2"},
		"two spaces":     {"office  " + officeToken + "\n", "line 1"},
		"bad name":       {"of/fice " + officeToken + "\n", "line 1"},
		"bad seal":       {"office " + officeToken + " a,,b\n", "line 1"},
		"four words":     {"office " + officeToken + " a b\n", "line 1"},
		"name again":     {"office " + officeToken + "\noffice " + limitedToken + "\n", "line 2"},
		"token again":    {"office " + officeToken + "\nother " + officeToken + "\n", "line 2"},
		"strange letter": {"office " + officeToken + "é\n", "line 1"},
	} {
		_, err := ParseTokens([]byte(c.content))
		if err == nil || !strings.Contains(err.Error(), c.line) || strings.Contains(err.Error(), officeToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTokenFileThatOthersMayReadIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(tokenFile), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadTokens(file); err == nil || !strings.Contains(err.Error(), "0600") {
		t.Errorf("mode 0644: %v", err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	tokens, err := LoadTokens(file)
	if err != nil || len(tokens.entries) != 2 {
		t.Errorf("%v, %v", tokens, err)
	}
	if _, err := LoadTokens(filepath.Dir(file)); err == nil {
		t.Error("a folder was read")
	}
}

func FuzzParseTokens(f *testing.F) {
	f.Add(tokenFile)
	f.Add("a " + officeToken + " b\r\n")
	f.Fuzz(func(t *testing.T, content string) {
		tokens, err := ParseTokens([]byte(content))
		if err != nil {
			return
		}
		names := map[string]bool{}
		for _, e := range tokens.entries {
			if names[e.name] || e.seals != nil && e.allows("") {
				t.Fatalf("%+v", e)
			}
			names[e.name] = true
		}
	})
}
