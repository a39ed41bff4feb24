# The seal service (role "sealer"): seals documents, and signs the heads of its
# own ledger. It reads the public facts of the keys it uses. It makes no keys,
# lists none, and signs neither seals, certificates nor policies.

path "sealgate/sign/tbs/seal-*"               { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-sealer" { capabilities = ["update", "patch"] }
path "sealgate/keys/seal-*"                   { capabilities = ["read"] }
path "sealgate/keys/ledger-sealer"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
