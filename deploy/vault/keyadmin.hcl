# The administrator of keys: a person. Makes, rotates and disables keys, moves
# certificates in and requests out. May sign with no key but that of the ledger
# in which `sealgate keys` records these acts, and may not destroy one: that
# takes a second person (destroyer.hcl) and the waiting time.

path "sealgate/keys/"              { capabilities = ["list"] }
path "sealgate/keys/+"             { capabilities = ["read", "update"] }
path "sealgate/keys/+/rotate"      { capabilities = ["update"] }
path "sealgate/keys/+/disable"     { capabilities = ["update"] }
path "sealgate/keys/+/csr"         { capabilities = ["update"] }
path "sealgate/keys/+/certificate" { capabilities = ["update"] }
path "sealgate/keys/+/destroy"     { capabilities = ["deny"] }
path "sealgate/sign/*"             { capabilities = ["deny"] }

# The more exact path wins over the one above.
path "sealgate/sign/checkpoint/ledger-keyadmin" { capabilities = ["update", "patch"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
