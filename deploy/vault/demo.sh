#!/usr/bin/env bash
# Starts a real Vault with Raft storage on loopback, loads the plugin, writes the
# policies, and runs Sealgate's tour with all signing keys in Vault.
# 在本机启动真实的 Vault（Raft 存储），装入插件，写入策略，把全部签名密钥放在 Vault 中走完演示。
#
#   make vault-demo            (needs bin/vault: make vault)
#
# Arguments are handed on to `sealgate demo`. The test of this script sets
# SEALGATE_VAULT_PORT, SEALGATE (the program) and SEALGATE_VAULT_PLUGIN (a plugin
# that was built already).
#
# Everything lies in a temporary folder and ends with the script. One unseal key
# and a root token in a shell variable are for trials only; deploy/vault/README.md
# says how an installation is set up.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
port=${SEALGATE_VAULT_PORT:-18200}
server=
cleanup() {
	[ -z "$server" ] || { kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; }
	rm -rf "$dir"
}
trap cleanup EXIT
command -v openssl >/dev/null || { echo "缺少 openssl / there is no openssl" >&2; exit 2; }
[ -x bin/vault ] || { echo "bin/vault 不存在：make vault / there is no bin/vault: make vault" >&2; exit 2; }

mkdir -m 700 "$dir/raft" "$dir/plugins"
if [ -n "${SEALGATE_VAULT_PLUGIN:-}" ]; then
	cp "$SEALGATE_VAULT_PLUGIN" "$dir/plugins/sealgate-vault-plugin"
else
	CGO_ENABLED=0 go build -trimpath -o "$dir/plugins/sealgate-vault-plugin" ./cmd/sealgate-vault-plugin
fi
cat >"$dir/vault.hcl" <<EOF
storage "raft" { path = "$dir/raft"  node_id = "n1" }
listener "tcp" { address = "127.0.0.1:$port"  cluster_address = "127.0.0.1:$((port + 1))"  tls_disable = true }
api_addr = "http://127.0.0.1:$port"
cluster_addr = "https://127.0.0.1:$((port + 1))"
disable_mlock = true
plugin_directory = "$dir/plugins"
log_level = "warn"
EOF
bin/vault server -config "$dir/vault.hcl" >"$dir/vault.log" 2>&1 &
server=$!
export VAULT_ADDR=http://127.0.0.1:$port HOME=$dir
await() { # await TEXT STATUS...: wait until `vault status` ends with one of these codes
	local what=$1 try code
	shift
	for try in $(seq 300); do
		code=0
		bin/vault status >/dev/null 2>&1 || code=$?
		case " $* " in *" $code "*) return ;; esac
		sleep 0.1
	done
	echo "Vault: $what?" >&2
	tail -n 5 "$dir/vault.log" >&2
	exit 3
}
await "not listening" 2
bin/vault operator init -key-shares=1 -key-threshold=1 >"$dir/init"
bin/vault operator unseal "$(sed -n 's/^Unseal Key 1: //p' "$dir/init")" >/dev/null
VAULT_TOKEN=$(sed -n 's/^Initial Root Token: //p' "$dir/init")
export VAULT_TOKEN
rm "$dir/init"
await "still sealed" 0
for try in $(seq 300); do bin/vault secrets list >/dev/null 2>&1 && break || sleep 0.1; done

bin/vault plugin register -sha256="$(sha256sum "$dir/plugins/sealgate-vault-plugin" | cut -d ' ' -f 1)" secret sealgate-vault-plugin
bin/vault secrets enable -path=sealgate -plugin-name=sealgate-vault-plugin plugin

# The service: the shipped policies of the roles that the demo runs in one
# process, with the demo's names of keys.
{
	sed -e 's/seal-\*/demo-seal/g; s/ledger-sealer/checkpoint/g' deploy/vault/sealer.hcl
	sed -e '/^path "sealgate.*tsa-/!d; s/tsa-\*/tsa/g' deploy/vault/tsa.hcl
	grep '^path "secret/' deploy/vault/gateway.hcl
} | bin/vault policy write sealer -
# The ceremony makes keys and certificates, and the seal maker the seal. Neither
# seals a document.
bin/vault policy write ceremony deploy/vault/ceremony.hcl
# (Of the maker's policy the signing only: in one token the more exact path wins,
# and "keys/maker: read" would take "keys/+: update" away.)
grep '^path "sealgate/sign/sealinfo' deploy/vault/maker.hcl | sed -e 's/maker-\*/maker/g' | bin/vault policy write maker -
bin/vault policy write secretadmin deploy/vault/secretadmin.hcl
bin/vault auth enable approle
bin/vault write auth/approle/role/sealer token_policies=sealer token_no_default_policy=true token_period=1h >/dev/null
umask 077
bin/vault write -f -field=secret_id auth/approle/role/sealer/secret-id >"$dir/secret-id"
bin/vault token create -policy=ceremony -policy=maker -no-default-policy -period=1h -field=token >"$dir/ceremony-token"
# Symmetric secrets: written by who may write and not read them.
bin/vault secrets enable -path=secret -version=2 kv
mkdir "$dir/secrets"
admin=$(bin/vault token create -policy=secretadmin -no-default-policy -ttl=5m -field=token)
for try in $(seq 100); do bin/vault read secret/config >/dev/null 2>&1 && break || sleep 0.1; done
bin/vault write secret/config max_versions=1 >/dev/null
for name in pseudonym subject-index rs-benefit scjg-register; do
	openssl rand -base64 32 >"$dir/secrets/$name.hmac"
	VAULT_TOKEN=$admin bin/vault kv put -mount=secret "sealgate/gateway/$name" key=- <"$dir/secrets/$name.hmac" >/dev/null
done
cat >"$dir/service.yaml" <<EOF
addresses: ["$VAULT_ADDR"]
role_id: "$(bin/vault read -field=role_id auth/approle/role/sealer/role-id)"
secret_id: secret-id
EOF
cat >"$dir/ceremony.yaml" <<EOF
addresses: ["$VAULT_ADDR"]
token: ceremony-token
EOF
unset VAULT_TOKEN
"${SEALGATE:-bin/sealgate}" demo -tour -vault "$dir/service.yaml" -ceremony "$dir/ceremony.yaml" -secrets "$dir/secrets" "$@"
