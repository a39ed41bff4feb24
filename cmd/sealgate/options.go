package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/sealgate/sealgate/internal/config"
)

// newFlags returns a flag set that reports errors instead of printing them.
func newFlags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	return fs
}

// parse reads options that may stand before or after operands; "--" ends them.
func parse(fs *flag.FlagSet, args []string) (operands []string, err error) {
	for len(args) > 0 {
		if args[0] == "--" {
			return append(operands, args[1:]...), nil
		}
		if len(args[0]) > 1 && args[0][0] == '-' {
			if err := fs.Parse(args); err != nil {
				if errors.Is(err, flag.ErrHelp) {
					return nil, &helpError{fs: fs}
				}
				return nil, optionError(fs, err)
			}
			// flag stops at the first operand or behind "--".
			rest := fs.Args()
			if consumed := len(args) - len(rest); consumed > 0 && args[consumed-1] == "--" {
				return append(operands, rest...), nil
			}
			args = rest
			continue
		}
		operands, args = append(operands, args[0]), args[1:]
	}
	return operands, nil
}

// action is the second word of a subcommand, as in `sealgate keys list`.
type action struct {
	name string
	run  func(ctx context.Context, e env, args []string) error
}

// act runs the action that args begins with.
func act(ctx context.Context, e env, command string, args []string, actions ...action) error {
	var names []string
	for _, a := range actions {
		names = append(names, a.name)
	}
	hint := "sealgate " + command + " " + strings.Join(names, "|")
	switch {
	case len(args) == 0:
		return usage(errors.New("缺少动作 missing action"), hint)
	case args[0] == "-h" || args[0] == "-help" || args[0] == "--help":
		return &helpError{}
	}
	for _, a := range actions {
		if a.name == args[0] {
			return a.run(ctx, e, args[1:])
		}
	}
	return usage(fmt.Errorf("没有动作 unknown action %q", args[0]), hint)
}

// helpError ends a subcommand whose user asked for help.
type helpError struct{ fs *flag.FlagSet } // nil: the action was not named

func (*helpError) Error() string { return "help" }

func (h *helpError) print(w io.Writer, c command) {
	fmt.Fprintf(w, "用法 usage: sealgate %s\n%s / %s\n", c.usage, c.zh, c.en)
	if h.fs == nil {
		return
	}
	h.fs.VisitAll(func(f *flag.Flag) {
		value, text := flag.UnquoteUsage(f)
		if rest, ok := strings.CutPrefix(text, value+" "); ok {
			text = rest
		} else {
			value = ""
		}
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "0" {
			text += " (" + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  %-22s %s\n", strings.TrimSpace("-"+f.Name+" "+value), text)
	})
}

// optionError says what is wrong with an option in both languages.
func optionError(fs *flag.FlagSet, err error) error {
	hint := "sealgate help " + fs.Name()
	text := err.Error()
	for _, w := range []struct{ en, zh string }{
		{"flag provided but not defined: ", "没有选项 unknown option "},
		{"flag needs an argument: ", "选项缺少值 option needs a value: "},
		{"bad flag syntax: ", "选项写法不对 malformed option "},
	} {
		if rest, ok := strings.CutPrefix(text, w.en); ok {
			var known []string
			fs.VisitAll(func(f *flag.Flag) { known = append(known, f.Name) })
			if n := config.Nearest(strings.TrimLeft(rest, "-"), known); n != "" && n != strings.TrimLeft(rest, "-") {
				hint = "最接近 nearest: -" + n
			}
			return usage(errors.New(w.zh+rest), hint)
		}
	}
	// invalid value "x" for flag -page: parse error
	text = strings.NewReplacer("invalid value ", "", "invalid boolean value ", "", " for flag ", " 不能用于选项 is no value for option ",
		" for -", " 不能用于选项 is no value for option -", ": parse error", "", ": value out of range", "").Replace(text)
	return usage(errors.New(text), hint)
}
