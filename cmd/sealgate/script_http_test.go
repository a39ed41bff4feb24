package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// answers STATUS URL PATTERN: what a URL answers to GET, at last: readiness is
// remembered for a moment.
func cmdAnswers(ts *testscript.TestScript, _ bool, args []string) {
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		resp, err := http.Get(args[1])
		ts.Check(err)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		ts.Check(err)
		if strconv.Itoa(resp.StatusCode) == args[0] && regexp.MustCompile(args[2]).Match(body) {
			return
		}
		last = fmt.Sprintf("%d %s", resp.StatusCode, body)
	}
	ts.Fatalf("%s: %s", args[1], last)
}

// refuses STATUS URL TOKENS FILE PATTERN: what a service answers at once to a
// document that the first token of TOKENS sends; the pattern is for header and
// body.
func cmdRefuses(ts *testscript.TestScript, _ bool, args []string) {
	token := strings.Fields(ts.ReadFile(args[2]))[1]
	req, err := http.NewRequest(http.MethodPost, args[1], strings.NewReader(ts.ReadFile(args[3])))
	ts.Check(err)
	req.Header.Set("Content-Type", "application/ofd")
	req.Header.Set("Authorization", "Bearer "+token)
	from := time.Now()
	resp, err := http.DefaultClient.Do(req)
	ts.Check(err)
	took := time.Since(from)
	defer resp.Body.Close()
	var all bytes.Buffer
	ts.Check(resp.Header.Write(&all))
	_, err = io.Copy(&all, resp.Body)
	ts.Check(err)
	if strconv.Itoa(resp.StatusCode) != args[0] || !regexp.MustCompile(args[4]).Match(all.Bytes()) {
		ts.Fatalf("%s: %d %s", args[1], resp.StatusCode, all.Bytes())
	}
	if took > 5*time.Second {
		ts.Fatalf("%s: refused after %v", args[1], took)
	}
}
