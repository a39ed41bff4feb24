package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys/local"
)

// TestMain registers the program, so that scripts run it as a process of its own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"sealgate": main})
}

// TestScripts runs testdata/script: every subcommand, every exit code.
func TestScripts(t *testing.T) {
	runScripts(t, testscript.Params{Dir: "testdata/script"}, nil)
}

// TestCorpusScripts runs testdata/corpus: the program on real files.
func TestCorpusScripts(t *testing.T) {
	corpus := testenv.Corpus(t, "ofd")
	runScripts(t, testscript.Params{Dir: "testdata/corpus"}, func(env *testscript.Env) { env.Setenv("CORPUS", corpus) })
}

// runScripts runs the scripts that p names, with the commands of this package,
// those of p, and whatever setup adds to their environment.
func runScripts(t *testing.T, p testscript.Params, setup func(*testscript.Env)) {
	prepared := &preparedDemo{t: t, folder: filepath.Join(t.TempDir(), "demo")}
	p.RequireExplicitExec, p.RequireUniqueNames, p.Deadline = true, true, time.Now().Add(2*patience)
	p.Setup = func(env *testscript.Env) error {
		env.Values[processes{}] = map[string]*process{}
		if setup != nil {
			setup(env)
		}
		return nil
	}
	commands := map[string]func(*testscript.TestScript, bool, []string){
		"exits": cmdExits, "start": cmdStart, "await": cmdAwait, "silent": cmdSilent, "appears": cmdAppears, "send": cmdSend, "end": cmdEnd,
		"newdemo": prepared.cmd, "cheapen": cmdCheapen, "addresses": cmdAddresses,
		"flip": cmdFlip, "edit": cmdEdit, "rezip": cmdRezip, "entry": cmdEntry, "issue": cmdIssue, "private": cmdPrivate,
		"jsonlines": cmdJSONLines, "paper": cmdPaper, "fetch": cmdFetch, "revision": cmdRevision,
	}
	maps.Copy(commands, map[string]func(*testscript.TestScript, bool, []string){
		"serial": cmdSerial, "listed": cmdListed, "newer": cmdNewer, "ocsp": cmdOCSP, "judges": cmdJudges, "opensslcrl": cmdOpenSSLCRL, "opensslocsp": cmdOpenSSLOCSP,
		"fill": cmdFill, "listening": cmdListening, "answers": cmdAnswers,
	})
	maps.Copy(commands, p.Cmds)
	p.Cmds = commands
	testscript.Run(t, p)
}

// stderrLine is what may stand on stderr: one line for an error, hints, the
// problem document of a refused call, log lines, the banner of software keys,
// what the persons of a ceremony are asked.
var stderrLine = regexp.MustCompile(`^(sealgate( [a-z]+)?: .+|hint: .+|\{"type":"urn:sealgate:.+\}|time=.+|软件密钥.*|Software keys.*|已停止 stopped|.+: 请输入.+:)$`)

// exits CODE sealgate ARG...: runs the program, wants that exit code, and
// checks what every run promises: errors in one line each, in both languages,
// and no secret of the demo in sight.
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v: exit %d, want %d", args[1:], got, want)
	}
	stdout, stderr := ts.ReadFile("stdout"), ts.ReadFile("stderr")
	if complaint := manners(got, stdout, stderr, secretsOf(ts)); complaint != "" {
		ts.Fatalf("%v: %s", args[1:], complaint)
	}
}

// manners returns what is wrong with a run's output, or "".
func manners(code int, stdout, stderr string, secrets []string) string {
	said := false
	for line := range strings.Lines(stderr) {
		line = strings.TrimSuffix(line, "\n")
		if !stderrLine.MatchString(line) {
			return fmt.Sprintf("stderr holds %q", line)
		}
		if strings.HasPrefix(line, "sealgate") {
			if said && !strings.HasPrefix(line, "sealgate verify: ") {
				return fmt.Sprintf("a second error line: %q", line)
			}
			said = true
			_, text, _ := strings.Cut(line, ": ")
			if !strings.ContainsFunc(text, chinese) || !regexp.MustCompile(`[a-z]{2}`).MatchString(text) {
				return fmt.Sprintf("not in both languages: %q", line)
			}
		}
	}
	if code != 0 && !said && stdout == "" {
		return "it failed and said nothing"
	}
	if code == 0 && said {
		return "it succeeded with an error line"
	}
	for _, internal := range []string{"goroutine ", "panic", "runtime error", ".go:", "%!", "<nil>", "0xc0"} {
		if strings.Contains(stdout+stderr, internal) {
			return fmt.Sprintf("the output holds %q", internal)
		}
	}
	for _, s := range secrets {
		if strings.Contains(stdout+stderr, s) {
			return "the output holds a secret"
		}
	}
	return ""
}

// secretsOf returns what lies in a demo's folder, or in the script's own under
// the names of tokens and secrets, and must never be printed.
func secretsOf(ts *testscript.TestScript) []string {
	var out []string
	demo := ts.MkAbs("demo")
	files := []string{filepath.Join(demo, "unlock"), filepath.Join(demo, "tokens"), filepath.Join(demo, "tls", "server.key")}
	for _, pattern := range []string{filepath.Join(demo, "callers", "*"), ts.MkAbs("*.token"), ts.MkAbs("*.secret")} {
		found, _ := filepath.Glob(pattern)
		files = append(files, found...)
	}
	for _, f := range files {
		if strings.HasSuffix(f, ".pub") || strings.HasSuffix(f, ".yaml") {
			continue
		}
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, word := range strings.Fields(string(text)) {
			if len(word) >= 16 && !strings.HasPrefix(word, "---") {
				out = append(out, word)
			}
		}
	}
	return out
}

// preparedDemo is a demo folder that is made once and copied into each script
// that needs keys, a seal, a sealed permit and a ledger.
type preparedDemo struct {
	t      *testing.T
	folder string
	once   sync.Once
	err    error
}

// newdemo: puts a stopped demo into the folder demo of the script, with ports of
// its own, for scripts run side by side.
func (p *preparedDemo) cmd(ts *testscript.TestScript, _ bool, _ []string) {
	p.once.Do(func() { p.err = p.make(ts) })
	ts.Check(p.err)
	ts.Check(copyTree(ts.MkAbs("demo"), p.folder))
	path := ts.MkAbs("demo/sealgate.yaml")
	text, err := os.ReadFile(path)
	ts.Check(err)
	moved := map[string]string{}
	text = regexp.MustCompile(`127\.0\.0\.1:[0-9]+`).ReplaceAllFunc(text, func(addr []byte) []byte {
		if moved[string(addr)] == "" {
			moved[string(addr)] = testenv.FreePort(p.t)
		}
		return []byte(moved[string(addr)])
	})
	ts.Check(os.WriteFile(path, text, 0o600))
}

func (p *preparedDemo) make(ts *testscript.TestScript) error {
	proc, err := startProcess(ts, "prepare", []string{"sealgate", "demo", "-dir", p.folder, "-addr", "127.0.0.1:0"})
	if err != nil {
		return err
	}
	if err := proc.await("Ctrl-C"); err != nil {
		return err
	}
	if err := proc.stop(os.Interrupt, 0); err != nil {
		return err
	}
	return cheapen(filepath.Join(p.folder, "keys"), filepath.Join(p.folder, "unlock"))
}

// cheapen KEYS PASSPHRASE: makes the passphrase cheap to try, so that scripts
// that open the keystore many times are quick.
func cmdCheapen(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(cheapen(ts.MkAbs(args[0]), ts.MkAbs(args[1])))
}

func cheapen(dir, file string) error {
	passphrase, err := local.PassphraseFromFile(file)
	if err != nil {
		return err
	}
	ks, err := local.Open(dir, local.Options{KDF: local.CheapKDF()})
	if err != nil {
		return err
	}
	return errors.Join(ks.ChangePassphrase(passphrase, "passphrase", passphrase), ks.Close())
}

func copyTree(dst, src string) error {
	return filepath.WalkDir(src, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, path)
		if err != nil {
			return err
		}
		to := filepath.Join(dst, rel)
		if d.IsDir() {
			return os.Mkdir(to, info.Mode().Perm())
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, info.Mode().Perm())
	})
}
