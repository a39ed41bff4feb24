# The auditor: reads which keys there are and what state they are in.

path "sealgate/keys/"  { capabilities = ["list"] }
path "sealgate/keys/+" { capabilities = ["read"] }
path "sealgate/sign/*" { capabilities = ["deny"] }
path "sys/audit"       { capabilities = ["read", "sudo"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
