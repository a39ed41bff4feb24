# The seal maker (制章人, `sealgate seals make`): signs new seals, and the heads
# of the ledger in which that is recorded. It applies none; of the keys of seals
# it reads the certificates, which a seal lists.

path "sealgate/sign/sealinfo/maker-*"        { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-maker" { capabilities = ["update", "patch"] }
path "sealgate/keys/maker-*"                 { capabilities = ["read"] }
path "sealgate/keys/seal-*"                  { capabilities = ["read"] }
path "sealgate/keys/ledger-maker"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
