// Command sealgate-vault-plugin is the secrets engine that HashiCorp Vault
// loads to hold Sealgate's SM2 keys; see keys/plugin. Vault starts it, no
// person does: `vault plugin register`, `vault secrets enable`
// (deploy/vault/README.md).
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/hashicorp/vault/sdk/plugin"

	sealgate "github.com/sealgate/sealgate/keys/plugin"
)

func main() {
	// A batch makes much short-lived garbage over a heap of a few megabytes.
	debug.SetGCPercent(400)
	if err := plugin.ServeMultiplex(&plugin.ServeOpts{BackendFactoryFunc: sealgate.Factory}); err != nil {
		fmt.Fprintln(os.Stderr, "sealgate-vault-plugin:", err)
		os.Exit(1)
	}
}
