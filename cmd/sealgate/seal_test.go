package main

import "testing"

func TestTokenIsReadFromTheServicesFileOrACallersOwn(t *testing.T) {
	for text, want := range map[string]string{
		"secret\n":        "secret",
		"office secret\n": "secret",
		"# of the office\n\noffice secret a,b\nother x\n": "secret",
		"":       "",
		"# none": "",
	} {
		if got := firstToken(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
