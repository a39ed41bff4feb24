# The second person for the destruction of a key that has been disabled for the
# waiting time. Not the person who holds keyadmin. Signs with no key but that of
# the ledger in which `sealgate keys destroy` records the act.

path "sealgate/keys/"          { capabilities = ["list"] }
path "sealgate/keys/+"         { capabilities = ["read"] }
path "sealgate/keys/+/destroy" { capabilities = ["update"] }
path "sealgate/sign/*"         { capabilities = ["deny"] }

# The more exact path wins over the one above.
path "sealgate/sign/checkpoint/ledger-destroyer" { capabilities = ["update", "patch"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
