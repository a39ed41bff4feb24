package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testenv"
)

var sweepCount = flag.Int("sweep", 5, "damaged variants of each file in TestDamagedFiles; some hundred are a thorough run")

// damagedCase is a file that a subcommand reads, and what the subcommand may
// answer when the file is damaged.
type damagedCase struct {
	name  string
	file  string   // below the demo's folder; the damaged variant takes its place
	args  []string // FILE is the path of the variant, DEMO of the demo's folder, OUT of an output file
	codes []int
	text  bool // damage lines rather than bytes
}

func damagedCases() []damagedCase {
	const config = "DEMO/sealgate.yaml"
	anyVerdict, readable := []int{exitOK, exitNo, exitUndecided}, []int{exitOK, exitUsage}
	nobody := "https://127.0.0.1:1/pop"
	return []damagedCase{
		{"verify an OFD", "permit-sealed.ofd", []string{"verify", "-json", "-trust", "DEMO/trust", "FILE"}, anyVerdict, false},
		{"verify an OFD strictly", "permit-sealed.ofd", []string{"verify", "-strict", "FILE"}, []int{exitNo, exitUndecided}, false},
		{"verify a seal", "seal.esl", []string{"verify", "-json", "-trust", "DEMO/trust", "FILE"}, anyVerdict, false},
		{"verify with an anchor", "trust/maker/maker-ca.cer", []string{"verify", "-trust", "FILE", "DEMO/permit-sealed.ofd"}, []int{exitUsage, exitUndecided}, true},
		{"inspect an OFD", "permit-sealed.ofd", []string{"inspect", "-json", "FILE"}, readable, false},
		{"inspect a seal", "seal.esl", []string{"inspect", "FILE"}, readable, false},
		{"seal an OFD", "permit.ofd", []string{"seal", "-seal", "demo-seal", "-at", "60,60", "-config", config, "FILE", "-o", "OUT"}, []int{exitOK, exitNo, exitUsage}, false},
		{"seal a sealed OFD", "permit-sealed.ofd", []string{"seal", "-seal", "demo-seal", "-at", "60,60", "-config", config, "FILE", "-o", "OUT"}, []int{exitOK, exitNo, exitUsage}, false},
		{"make a seal with a picture", "seal.png", []string{"seals", "make", "-config", config, "-id", "NEW", "-title", "某局", "-key", "demo-seal", "-picture", "FILE", "-o", "OUT", "NEW"}, []int{exitUsage}, false},
		{"install a certificate", "trust/signer/signer-ca.cer", []string{"keys", "install-cert", "-config", config, "demo-seal", "FILE"}, []int{exitNo, exitUsage}, true},
		{"check a configuration", "sealgate.yaml", []string{"config", "check", "FILE"}, readable, true},
		{"check a catalogue", "catalogue.yaml", []string{"config", "check", config}, readable, true},
		{"check tokens", "tokens", []string{"config", "check", config}, readable, true},
		{"call with a configuration", "callers/rs-benefit.yaml", []string{"call", "-config", "FILE", "GET", nobody}, []int{exitUsage, exitUndecided}, true},
		{"call with a key", "callers/rs-benefit.pem", []string{"call", "-config", "DEMO/callers/rs-benefit.yaml", "GET", nobody}, []int{exitUsage, exitUndecided}, true},
		{"call with an HMAC key", "callers/rs-benefit.hmac", []string{"call", "-config", "DEMO/hmac.yaml", "GET", nobody}, []int{exitUsage, exitUndecided}, true},
		{"call with an authority", "tls/ca.pem", []string{"call", "-config", "DEMO/callers/rs-benefit.yaml", "GET", nobody}, []int{exitUsage, exitUndecided}, true},
		{"verify a ledger", "audit/00000000000000000000.seg", []string{"audit", "verify", "-json", "-dir", "DEMO/audit", "-pub", "DEMO/ledger.pem"}, []int{exitOK, exitNo}, false},
		{"query a ledger", "audit/00000000000000000000.seg", []string{"audit", "query", "-dir", "DEMO/audit"}, anyVerdict, false},
		{"prove a record", "audit/00000000000000000000.seg", []string{"audit", "prove", "-dir", "DEMO/audit", "1"}, anyVerdict, false},
		{"the head of a ledger", "audit/00000000000000000000.seg", []string{"audit", "head", "-dir", "DEMO/audit"}, anyVerdict, false},
		{"write to a ledger", "audit/00000000000000000000.seg", []string{"seal", "-seal", "demo-seal", "-at", "60,60", "-config", config, "DEMO/permit.ofd", "-o", "OUT"}, anyVerdict, false},
		{"verify a ledger with a key", "ledger.pem", []string{"audit", "verify", "-dir", "DEMO/audit", "-pub", "FILE"}, []int{exitOK, exitNo, exitUsage}, true},
		{"verify a ledger with a checkpoint", "head.json", []string{"audit", "verify", "-dir", "DEMO/audit", "-checkpoint", "FILE"}, []int{exitOK, exitNo, exitUsage}, true},
		{"prove from a checkpoint", "head.json", []string{"audit", "prove", "-dir", "DEMO/audit", "-from", "FILE"}, []int{exitOK, exitNo, exitUsage}, true},
		{"open a keystore", "keys/header.json", []string{"keys", "list", "-config", config}, []int{exitOK, exitNo, exitUsage}, true},
		{"open the state", "state.db", []string{"seals", "list", "-config", config}, anyVerdict, false},
		{"a passphrase", "unlock", []string{"keys", "list", "-config", config}, []int{exitOK, exitNo, exitUsage}, true},
	}
}

// TestDamagedFiles damages every kind of file that the program reads, and wants
// of each subcommand: no panic, an exit code of the contract, an error in one
// line, no output file unless all went well.
func TestDamagedFiles(t *testing.T) {
	site := filepath.Join(t.TempDir(), "demo")
	makeDemo(t, site)
	for i, c := range damagedCases() {
		t.Run(c.name, func(t *testing.T) {
			demo := filepath.Join(t.TempDir(), "demo")
			if err := copyTree(demo, site); err != nil {
				t.Fatal(err)
			}
			c.sweep(t, demo, filepath.Join(demo, filepath.FromSlash(c.file)), uint64(i))
		})
	}
}

// TestDamagedRealFiles does so with what other vendors' programs have made.
func TestDamagedRealFiles(t *testing.T) {
	for _, folder := range []string{"sealed", "minted", "seals"} {
		files, err := filepath.Glob(filepath.Join(testenv.Corpus(t, "ofd/"+folder), "*.[oe][fs][dl]"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no files in %s: %v", folder, err)
		}
		for i, path := range files {
			good, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			demo := filepath.Join(t.TempDir(), "demo")
			file := filepath.Join(demo, filepath.Base(path))
			if err := errors.Join(os.Mkdir(demo, 0o700), os.WriteFile(file, good, 0o600)); err != nil {
				t.Fatal(err)
			}
			damagedCase{args: []string{"verify", "-json", "FILE"}, codes: []int{exitNo, exitUndecided}}.sweep(t, demo, file, uint64(i))
			if err := os.WriteFile(file, good, 0o600); err != nil {
				t.Fatal(err)
			}
			damagedCase{args: []string{"inspect", "FILE"}, codes: []int{exitOK, exitUsage}}.sweep(t, demo, file, uint64(i))
		}
	}
}

// sweep damages the file again and again and runs the subcommand on it.
func (c damagedCase) sweep(t *testing.T, demo, file string, seed uint64) {
	t.Helper()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for n := range *sweepCount {
		bad := damage(rand.New(rand.NewPCG(seed, uint64(n))), good, c.text)
		if err := os.WriteFile(file, bad, 0); err != nil {
			t.Fatal(err)
		}
		c.try(t, demo, file, n)
		if t.Failed() {
			keep := filepath.Join(os.TempDir(), "damaged-"+filepath.Base(file))
			os.WriteFile(keep, bad, 0o600)
			t.Fatalf("variant %d is kept as %s", n, keep)
		}
	}
}

func (c damagedCase) try(t *testing.T, demo, file string, n int) {
	t.Helper()
	out := filepath.Join(filepath.Dir(demo), "out")
	os.Remove(out)
	args := slices.Clone(c.args)
	for i, a := range args {
		args[i] = strings.NewReplacer("FILE", file, "DEMO", demo, "OUT", out, "NEW", fmt.Sprintf("new-%d", n)).Replace(a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	code := run(ctx, args, strings.NewReader(""), &stdout, &stderr)
	if ctx.Err() != nil {
		t.Errorf("%v took a minute", args)
	}
	if !slices.Contains(c.codes, code) {
		t.Errorf("%v: exit %d, want one of %v\n%s%s", args, code, c.codes, &stdout, &stderr)
	}
	if complaint := manners(code, stdout.String(), stderr.String(), nil); complaint != "" {
		t.Errorf("%v: exit %d: %s", args, code, complaint)
	}
	if code != exitOK {
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: exit %d and an output file", args, code)
		}
		if litter, _ := filepath.Glob(filepath.Join(filepath.Dir(out), "*.tmp")); len(litter) > 0 {
			t.Errorf("%v left %v", args, litter)
		}
	}
	if slices.Contains(args, "-json") && code != exitUsage {
		for line := range strings.Lines(stdout.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%v printed %q", args, line)
			}
		}
	}
}

// makeDemo runs a demo until it is ready and adds what the cases need.
func makeDemo(t *testing.T, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	in, out := io.Pipe()
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		done <- run(ctx, []string{"demo", "-dir", dir, "-addr", "127.0.0.1:0"}, nil, out, &stderr)
		out.Close()
	}()
	var printed strings.Builder
	for buffer := make([]byte, 4096); ; {
		n, err := in.Read(buffer)
		printed.Write(buffer[:n])
		if strings.Contains(printed.String(), "Ctrl-C") {
			cancel()
		}
		if err != nil {
			break
		}
	}
	if code := <-done; code != exitOK {
		t.Fatalf("demo: exit %d\n%s", code, &stderr)
	}
	path := func(name string) string { return filepath.Join(dir, name) }
	if err := cheapen(path("keys"), path("unlock")); err != nil {
		t.Fatal(err)
	}
	// No timestamp authority runs in this test.
	config, err := os.ReadFile(path("sealgate.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var head bytes.Buffer
	if code := run(context.Background(), []string{"audit", "head", "-dir", path("audit")}, nil, &head, &stderr); code != exitOK {
		t.Fatalf("audit head: exit %d\n%s", code, &stderr)
	}
	for name, text := range map[string]string{
		"sealgate.yaml": strings.Replace(string(config), "  timestamps:", "  #timestamps:", 1),
		"head.json":     head.String(),
		"hmac.yaml":     "app: rs-benefit\nhmac_key: callers/rs-benefit.hmac\nca: tls/ca.pem\n",
	} {
		if err := os.WriteFile(path(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// damage returns a damaged copy: bytes or lines of it or, of a zip, of one
// entry inside a zip that is sound.
func damage(r *rand.Rand, good []byte, text bool) []byte {
	if files, err := zip.NewReader(bytes.NewReader(good), int64(len(good))); err == nil && r.IntN(3) > 0 {
		if packed := repack(r, files); packed != nil {
			return packed
		}
	}
	if text && r.IntN(3) > 0 {
		return damageLines(r, good)
	}
	return damageBytes(r, good)
}

func damageBytes(r *rand.Rand, good []byte) []byte {
	b := slices.Clone(good)
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			return []byte{byte(r.Uint32())}
		}
		at := r.IntN(len(b))
		end := min(len(b), at+1+r.IntN(64))
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b = b[:at]
		case 2:
			b = slices.Delete(b, at, end)
		case 3:
			b = slices.Insert(b, at, slices.Clone(b[at:end])...)
		case 4:
			for i := at; i < end; i++ {
				b[i] = byte(r.Uint32())
			}
		case 5:
			for i := at; i < min(end, at+4); i++ {
				b[i] = 0xff // lengths and counts
			}
		case 6:
			b = append(b, b[at:end]...)
		}
	}
	return b
}

func damageLines(r *rand.Rand, good []byte) []byte {
	lines := strings.SplitAfter(string(good), "\n")
	at, other := r.IntN(len(lines)), r.IntN(len(lines))
	switch r.IntN(7) {
	case 0:
		lines = slices.Delete(lines, at, at+1)
	case 1:
		lines = slices.Insert(lines, at, lines[other])
	case 2:
		lines[at], lines[other] = lines[other], lines[at]
	case 3:
		lines[at] = "  " + lines[at]
	case 4:
		lines[at] = strings.Replace(lines[at], ":", ": [{&a !!x", 1)
	case 5:
		lines[at] = strings.Repeat(strings.TrimSuffix(lines[at], "\n"), 2000) + "\n"
	case 6:
		lines[at] = "\x1b[31m\u202e" + lines[at]
	}
	return []byte(strings.Join(lines, ""))
}

func repack(r *rand.Rand, files *zip.Reader) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	victim := r.IntN(len(files.File))
	for i, f := range files.File {
		in, err := f.Open()
		if err != nil {
			return nil
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return nil
		}
		if i == victim {
			content = damageBytes(r, content)
		}
		e, err := w.Create(f.Name)
		if err != nil {
			return nil
		}
		if _, err := e.Write(content); err != nil {
			return nil
		}
	}
	if w.Close() != nil {
		return nil
	}
	return out.Bytes()
}
