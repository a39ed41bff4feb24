// Command devserver is HashiCorp Vault v1.21.2, built from its Go modules for
// Sealgate's tests and trials. It is a module of its own, so that nothing of it
// enters the product's module graph or bill of materials. Vault is under the
// Business Source Licence 1.1: operators supply their own server.
//
// Build it with `make vault`: the build tag `minimal` leaves out what the tests
// do not use (and storage "file": use raft).
package main

import (
	"os"

	"github.com/hashicorp/vault/command"
)

func main() { os.Exit(command.Run(os.Args[1:])) }
