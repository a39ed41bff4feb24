package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/sealgate/sealgate/internal/config"
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
		{"verify", "verify [-trust DIR|FILE] [-revoked DIR|FILE] [-at TIME] [-strict] [-json] FILE...", "验证电子印章与签名", "verify seals and signatures", runVerify},
		{"inspect", "inspect [-json] FILE", "查看文件结构，不作判断", "show structures, no judgement", runInspect},
		{"call", "call [-config FILE] [-purpose … -item … -biz … -org … -operator …] [-data FILE] METHOD URL", "以业务系统身份签名并调用接口", "sign and send a call as a department system", runCall},
		{"keys", "keys create|list|public|csr|install-cert|rotate|disable|destroy|ceremony|migrate|secret|tls|revoke|unhold|revoked|crl -config FILE …", "管理密钥", "manage keys", runKeys},
		{"seals", "seals make|list|suspend|restore|cancel -config FILE …", "制作、查看、停用印章", "make, list and stop seals", runSeals},
		{"policy", "policy check|build|sign|approve|activate|show …", "制作、签署与启用策略包", "build, sign and activate policy bundles", runPolicy},
		{"audit", "audit verify|query|prove|head -dir DIR …", "核验与查询审计账本", "verify and query the ledger", runAudit},
		{"config", "config check -config FILE", "检查配置文件", "check a configuration file", runConfig},
		{"version", "version [-json]", "显示版本", "show the version", runVersion},
	}
}

// run is the whole program with its edges passed in.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := env{stdin, stdout, stderr}
	if len(args) == 0 {
		help(stdout)
		return exitUsage
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		if len(args) == 1 || strings.HasPrefix(args[1], "-") {
			help(stdout)
			return exitOK
		}
		args = append(args[1:len(args):len(args)], "-h")
	case "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		err := c.run(ctx, e, args[1:])
		if h, ok := errors.AsType[*helpError](err); ok {
			h.print(stdout, c)
			return exitOK
		}
		if err != nil && ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = undecided(errors.New("已中断 interrupted"))
		}
		return report(stderr, c, err)
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	hint := "运行 sealgate help 查看全部子命令 run sealgate help"
	if n := config.Nearest(args[0], names); n != "" {
		hint = "最接近 nearest: sealgate " + n
	}
	fmt.Fprintf(stderr, "sealgate: 没有子命令 unknown subcommand %s\nhint: %s\n", oneLine(fmt.Sprintf("%q", args[0])), hint)
	return exitUsage
}

func help(w io.Writer) {
	fmt.Fprint(w, "sealgate 数据共享网关与电子印章一体机 / secure data gateway and e-seal appliance\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  sealgate %s\n        %s / %s\n", c.usage, c.zh, c.en)
	}
	fmt.Fprint(w, "\n一个子命令的选项 options of one: sealgate help SUBCOMMAND\n退出码 exit codes: 0 完成或有效 done; 1 无效或被拒绝 no; 2 用法或输入错误 usage; 3 无法确定 undecided\n")
}
