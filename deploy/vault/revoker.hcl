# A person who revokes (`sealgate keys revoke`): writes into the books of the
# authorities, which are files, and signs the heads of the ledger in which that
# is recorded. He signs no list: the publisher does.

path "sealgate/sign/checkpoint/ledger-revoker" { capabilities = ["update", "patch"] }
path "sealgate/keys/ca-*"                      { capabilities = ["read"] }
path "sealgate/keys/ledger-revoker"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
