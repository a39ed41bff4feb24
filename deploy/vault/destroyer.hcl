# The second person for the destruction of a key that has been disabled for the
# waiting time. Not the person who holds keyadmin.

path "sealgate/keys/"          { capabilities = ["list"] }
path "sealgate/keys/+"         { capabilities = ["read"] }
path "sealgate/keys/+/destroy" { capabilities = ["update"] }
path "sealgate/sign/*"         { capabilities = ["deny"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
