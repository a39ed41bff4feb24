package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"
	"unicode"

	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/problem"
)

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

// report prints an error in one line, then its hints, and returns the exit
// code. What the problem table knows of the error's code is said too. An error that nobody gave a code is one of the system's: undecided.
func report(stderr io.Writer, c command, err error) int {
	if err == nil {
		return exitOK
	}
	code := exitUndecided
	var hints []string
	if x, ok := errors.AsType[*exitError](err); ok {
		if x.err == nil {
			return x.code
		}
		code, hints = x.code, x.hints
	}
	text := say(err)
	if p, known := problem.FromError(err, ""); known {
		if !strings.ContainsFunc(text, chinese) {
			text = p.TitleZH + " " + text
		}
		if len(hints) == 0 && p.Hint != "" {
			hints = append(hints, p.HintZH+" "+p.Hint)
		}
	}
	if !strings.ContainsFunc(text, chinese) {
		text = map[int]string{exitNo: "不通过 no: ", exitUsage: "输入有误 input: ", exitUndecided: "无法完成 not done: "}[code] + text
	}
	fmt.Fprintf(stderr, "sealgate %s: %s\n", c.name, oneLine(text))
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

func chinese(r rune) bool { return unicode.Is(unicode.Han, r) }

// say puts an error into the words of the program's users: what Go says of its
// own calls is left out, what the operating system says is in Chinese too.
func say(err error) string {
	text := err.Error()
	cut := func(long error, short string) { text = strings.Replace(text, long.Error(), short, 1) }
	if e, ok := errors.AsType[*url.Error](err); ok {
		cause := e.Err.Error()
		if errors.Is(e.Err, io.EOF) {
			cause = "对方关闭了连接 the other side closed the connection"
		}
		if c, ok := errors.AsType[*tls.CertificateVerificationError](e.Err); ok {
			cause = "不信任对方的 TLS 证书 its TLS certificate is not trusted: " + strings.TrimPrefix(c.Err.Error(), "x509: ")
		}
		cut(e, host(e.URL)+": "+cause)
	}
	if e, ok := errors.AsType[*net.OpError](err); ok {
		if s, ok := errors.AsType[syscall.Errno](e.Err); ok {
			cut(e, s.Error())
		}
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		cut(e, e.Path+": "+e.Err.Error())
	}
	for _, w := range words {
		en := w.err.Error()
		if strings.Contains(text, en) && !strings.Contains(text, w.zh) {
			return strings.Replace(text, en, w.zh+" "+en, 1)
		}
	}
	return text
}

// words are the system's errors that people meet.
var words = []struct {
	err error
	zh  string
}{
	{syscall.ENOENT, "没有这个文件或目录"},
	{syscall.EACCES, "没有权限"},
	{syscall.EPERM, "不允许"},
	{syscall.EROFS, "文件系统只读"},
	{syscall.ENOTDIR, "路径中有一段不是目录"},
	{syscall.EISDIR, "是目录"},
	{syscall.ENOSPC, "磁盘已满"},
	{syscall.EDQUOT, "磁盘配额已满"},
	{syscall.ENAMETOOLONG, "文件名过长"},
	{syscall.EADDRINUSE, "地址已被占用"},
	{syscall.EADDRNOTAVAIL, "本机没有这个地址"},
	{syscall.ECONNREFUSED, "连接被拒绝"},
	{syscall.ECONNRESET, "连接被重置"},
	{context.DeadlineExceeded, "超时"},
	{durable.ErrNotPrivate, "权限过宽（文件 chmod 600，目录 chmod 700）"},
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return "网络 network"
	}
	return u.Host
}
