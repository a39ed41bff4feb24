package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// patience is how long a script waits for a process: long, because test
// machines are loaded; a failure is told at once when the process has ended.
const patience = 90 * time.Second

type processes struct{} // key of a script's map of processes

// process is a program that a script runs beside it.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu  sync.Mutex
	out bytes.Buffer // stdout and stderr
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

func startProcess(ts *testscript.TestScript, name string, args []string) (*process, error) {
	// The path is the script's own: the registered program comes first on it.
	path := args[0]
	for _, dir := range strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator)) {
		if _, err := os.Stat(dir + "/" + args[0]); err == nil {
			path = dir + "/" + args[0]
			break
		}
	}
	p := &process{cmd: exec.Command(path, args[1:]...), done: make(chan struct{})}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = ts.MkAbs("."), p, p
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	ts.Defer(func() {
		p.cmd.Process.Kill()
		<-p.done
		if all := p.text(); all != "" {
			ts.Logf("[%s]\n%s", name, all)
		}
	})
	return p, nil
}

// await waits until the process has printed what the pattern describes.
func (p *process) await(pattern string) error {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	deadline := time.After(patience)
	for !re.MatchString(p.text()) {
		select {
		case <-p.done:
			if re.MatchString(p.text()) {
				return nil
			}
			return fmt.Errorf("it ended without printing %q: %s", pattern, p.text())
		case <-deadline:
			return fmt.Errorf("it did not print %q: %s", pattern, p.text())
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

func (p *process) stop(sig os.Signal, code int) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		return errors.New("it does not stop")
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		return fmt.Errorf("exit %d, want %d", got, code)
	}
	return nil
}

func running(ts *testscript.TestScript, name string) *process {
	p := ts.Value(processes{}).(map[string]*process)[name]
	if p == nil {
		ts.Fatalf("no process %s", name)
	}
	return p
}

func signalOf(ts *testscript.TestScript, name string) os.Signal {
	s := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}[name]
	if s == nil {
		ts.Fatalf("no signal %s", name)
	}
	return s
}

// start NAME PROGRAM ARG...: starts a process.
func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	p, err := startProcess(ts, args[0], args[1:])
	ts.Check(err)
	ts.Value(processes{}).(map[string]*process)[args[0]] = p
}

// await NAME PATTERN: waits until it has printed that.
func cmdAwait(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(running(ts, args[0]).await(args[1]))
}

// silent NAME PATTERN: it has printed nothing that the pattern describes.
func cmdSilent(ts *testscript.TestScript, _ bool, args []string) {
	if text := running(ts, args[0]).text(); regexp.MustCompile(args[1]).MatchString(text) {
		ts.Fatalf("%s printed %q: %s", args[0], args[1], text)
	}
}

// appears FILE: waits until the file is there.
func cmdAppears(ts *testscript.TestScript, _ bool, args []string) {
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s does not appear", args[0])
		}
	}
}

// send NAME SIGNAL.
func cmdSend(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(running(ts, args[0]).cmd.Process.Signal(signalOf(ts, args[1])))
}

// end NAME SIGNAL: signals it and wants exit code 0, and nothing of Go's
// internals or of the demo's secrets in all that it printed.
func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	p := running(ts, args[0])
	ts.Check(p.stop(signalOf(ts, args[1]), 0))
	if complaint := manners(1, p.text(), "", secretsOf(ts)); complaint != "" {
		ts.Fatalf("%s: %s", args[0], complaint)
	}
}

// addresses FILE: sets GATEWAY, SEALER, TSA and ADMIN from a configuration.
func cmdAddresses(ts *testscript.TestScript, _ bool, args []string) {
	section := ""
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if m := regexp.MustCompile(`^([a-z]+):`).FindStringSubmatch(line); m != nil {
			section = m[1]
		}
		if m := regexp.MustCompile(`listen: "127\.0\.0\.1:([0-9]+)"`).FindStringSubmatch(line); m != nil {
			base := "http://127.0.0.1:"
			if section == "gateway" {
				base = "https://localhost:"
			}
			ts.Setenv(strings.ToUpper(section), base+m[1])
			ts.Setenv(strings.ToUpper(section)+"_PORT", m[1])
		}
	}
}
