# The timestamp authority (role "tsa"): signs timestamps, and the heads of its
# own ledger.

path "sealgate/sign/tst/tsa-*"             { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-tsa" { capabilities = ["update", "patch"] }
path "sealgate/keys/tsa-*"                 { capabilities = ["read"] }
path "sealgate/keys/ledger-tsa"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
