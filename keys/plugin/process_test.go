package plugin_test

import (
	"crypto/sha256"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/helper/pluginutil"
	"github.com/hashicorp/vault/sdk/logical"
	sdk "github.com/hashicorp/vault/sdk/plugin"

	"github.com/sealgate/sealgate/internal/testenv"
	"github.com/sealgate/sealgate/keys/plugin"
)

// The program is started and asked as Vault does when it mounts it. What it
// answers decides which entries Vault seal-wraps; a Vault without that (the
// community edition) asks as well.
func TestTheProcessTellsVaultToSealWrapPrivateKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), plugin.Name)
	cmd := exec.Command("go", "build", "-trimpath", "-o", path, "./cmd/sealgate-vault-plugin")
	cmd.Dir, cmd.Env = testenv.Root(t), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	runner := &pluginutil.PluginRunner{Name: plugin.Name, Type: consts.PluginTypeSecrets, Command: path, Sha256: sum[:]}
	quiet := hclog.New(&hclog.LoggerOptions{Output: io.Discard})
	b, err := sdk.NewPluginClient(t.Context(), &logical.StaticSystemView{}, runner, quiet, true)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Cleanup(t.Context())
	if err := b.Setup(t.Context(), &logical.BackendConfig{Logger: quiet, System: &logical.StaticSystemView{}, StorageView: &logical.InmemStorage{}}); err != nil {
		t.Fatal(err)
	}
	p := b.SpecialPaths()
	if p == nil || !slices.Equal(p.SealWrapStorage, []string{"keys/"}) || len(p.Unauthenticated)+len(p.LocalStorage)+len(p.Root) != 0 {
		t.Errorf("%+v", p)
	}
	if b.Type() != logical.TypeLogical {
		t.Errorf("type %v", b.Type())
	}
}
