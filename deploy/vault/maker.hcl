# The seal maker (制章人, role "maker"): signs new seals. It applies none.

path "sealgate/sign/sealinfo/maker-*"        { capabilities = ["update", "patch"] }
path "sealgate/keys/maker-*"                 { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
