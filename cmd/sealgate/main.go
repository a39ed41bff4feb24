// Command sealgate is the one program that people run: the data gateway, the
// seal service, the offline verifier and the tools around them. Each subcommand
// has a file of its own; the behaviour lives in the packages they call.
//
// Exit codes: 0 done or verified; 1 the answer is no; 2 usage, configuration or
// malformed input; 3 could not decide. Results go to stdout, the rest to stderr.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the program at once
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
