# The administrator of symmetric secrets: a person. Writes new versions of the
# secrets of Sealgate's processes (KV engine, version 2, at "secret"), deletes
# and destroys them. Reads none: what was written is only ever read by the
# process it is for. Uses no key.

path "secret/data/sealgate/*"     { capabilities = ["create", "update", "delete"] }
path "secret/delete/sealgate/*"   { capabilities = ["update"] }
path "secret/destroy/sealgate/*"  { capabilities = ["update"] }
path "secret/metadata/sealgate/*" { capabilities = ["read", "list"] }
path "sealgate/*"                 { capabilities = ["deny"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
