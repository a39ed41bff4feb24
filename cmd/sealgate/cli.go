package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// Exit codes of the contract.
const (
	exitOK        = 0
	exitNo        = 1 // invalid, denied, broken
	exitUsage     = 2 // usage, configuration or malformed input
	exitUndecided = 3 // indeterminate, or a dependency is down
)

// env is what a subcommand may touch of the process.
type env struct {
	stdin          io.Reader
	stdout, stderr io.Writer
}

// command is one subcommand.
type command struct {
	name   string
	usage  string // after "sealgate "
	zh, en string // one line each
	run    func(ctx context.Context, e env, args []string) error
}

// commands lists the subcommands in the order of the help text.
func commands() []command {
	return []command{
		{"demo", "demo [-dir DIR] [-tour] [-doc FILE] [-addr HOST:PORT]", "在本机演示全部功能", "everything on loopback with sample data", runDemo},
		{"serve", "serve -config FILE", "按配置文件运行各角色", "run the roles named in the file", runServe},
		{"seal", "seal -seal NAME [-page N -at X,Y] [-config FILE|-server URL] IN -o OUT", "给 OFD 文件盖章", "seal an OFD document", runSeal},
		{"verify", "verify [-trust DIR|FILE] [-at TIME] [-strict] [-json] FILE...", "验证电子印章与签名", "verify seals and signatures", runVerify},
		{"inspect", "inspect [-json] FILE", "查看文件结构，不作判断", "show structures, no judgement", runInspect},
		{"call", "call [-config FILE] [-purpose … -item … -biz … -org … -operator …] [-data FILE] METHOD URL", "以业务系统身份签名并调用接口", "sign and send a call as a department system", runCall},
		{"keys", "keys create|list|csr|install-cert|rotate|disable|destroy -config FILE …", "管理密钥", "manage keys", runKeys},
		{"seals", "seals make|list -config FILE …", "制作与查看印章", "make and list seals", runSeals},
		{"audit", "audit verify|query|prove|head -dir DIR …", "核验与查询审计账本", "verify and query the ledger", runAudit},
		{"config", "config check -config FILE", "检查配置文件", "check a configuration file", runConfig},
		{"version", "version [-json]", "显示版本", "show the version", runVersion},
	}
}

// run is the whole program with its edges passed in.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := env{stdin, stdout, stderr}
	if len(args) == 0 || args[0] == "help" || args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
		help(stdout)
		if len(args) == 0 {
			return exitUsage
		}
		return exitOK
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, e, args[1:])
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintf(stdout, "用法 usage: sealgate %s\n%s / %s\n", c.usage, c.zh, c.en)
			return exitOK
		}
		return report(stderr, c, err)
	}
	fmt.Fprintf(stderr, "sealgate: 没有子命令 unknown subcommand %q\nhint: 运行 sealgate help 查看全部子命令 run sealgate help\n", args[0])
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, "sealgate 数据共享网关与电子印章一体机 / secure data gateway and e-seal appliance\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  sealgate %s\n        %s / %s\n", c.usage, c.zh, c.en)
	}
	fmt.Fprint(w, "\n退出码 exit codes: 0 完成或有效 done; 1 无效或被拒绝 no; 2 用法或输入错误 usage; 3 无法确定 undecided\n")
}

// exitError is an error that ends the program with its own exit code. A nil
// err ends it silently: the answer is already on stdout.
type exitError struct {
	code  int
	err   error
	hints []string
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// no, usage and undecided give an error its exit code and its hints.
func no(err error, hints ...string) error        { return &exitError{exitNo, err, hints} }
func usage(err error, hints ...string) error     { return &exitError{exitUsage, err, hints} }
func undecided(err error, hints ...string) error { return &exitError{exitUndecided, err, hints} }

// silently ends with code when the result was already printed.
func silently(code int) error {
	if code == exitOK {
		return nil
	}
	return &exitError{code: code}
}

func report(stderr io.Writer, c command, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitUsage
	var hints []string
	if x, ok := errors.AsType[*exitError](err); ok {
		if x.err == nil {
			return x.code
		}
		code, hints = x.code, x.hints
	}
	fmt.Fprintf(stderr, "sealgate %s: %s\n", c.name, oneLine(err.Error()))
	for _, h := range hints {
		fmt.Fprintf(stderr, "hint: %s\n", oneLine(h))
	}
	return code
}

// oneLine keeps an error on one line and free of control characters.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == '\t' {
			return ' '
		}
		if r < 0x20 || r == 0x7f {
			return -1
		}
		return r
	}, s)
}

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
					return nil, err
				}
				return nil, usage(err, "sealgate "+strings.Fields(fs.Name())[0]+" -h")
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
		return flag.ErrHelp
	}
	for _, a := range actions {
		if a.name == args[0] {
			return a.run(ctx, e, args[1:])
		}
	}
	return usage(fmt.Errorf("没有动作 unknown action %q", args[0]), hint)
}
