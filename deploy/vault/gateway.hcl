# The data gateway (role "gateway"): signs the heads of its own ledger, and
# nothing else. Whoever takes the gateway over can forge no seal. It reads its
# own symmetric secrets (callers' HMAC keys, pseudonyms, subject index) at
# vault:secret/sealgate/gateway/…#…: no other secrets, no list of them, no
# metadata, and it changes none. (Former versions: README.md section 5.)

path "sealgate/sign/checkpoint/ledger-gateway" { capabilities = ["update", "patch"] }
path "sealgate/keys/ledger-gateway"            { capabilities = ["read"] }
path "secret/data/sealgate/gateway/*"          { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
