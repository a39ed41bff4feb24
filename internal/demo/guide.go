package demo

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	_ "embed"
)

//go:embed guide.tmpl
var guideText string

// Guide prints the addresses and, for each kind of user, commands to copy.
func (s *Site) Guide(w io.Writer) error {
	t, err := template.New("guide").Parse(guideText)
	if err != nil {
		return err
	}
	c := Calls()[0]
	x, y := SealCentre()
	return t.Execute(w, struct {
		*Site
		Program, Dir, System, Target, Item, Purpose, OtherItem string
		X, Y                                                   float64
		PID                                                    int
	}{s, program(), relative(s.Dir), c.System, c.Target, c.Item, c.Purpose, ItemFood(), x, y - 60, os.Getpid()})
}

// program is how this program was called, so that commands can be copied.
func program() string {
	if filepath.Base(os.Args[0]) == os.Args[0] {
		return os.Args[0]
	}
	return relative(os.Args[0])
}

// relative shortens a path below the working folder.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rel, err := filepath.Rel(wd, abs)
	if err != nil || strings.HasPrefix(rel, "..") {
		return path
	}
	return rel
}
