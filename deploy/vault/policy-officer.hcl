# An officer who signs policy bundles (role or person). Each officer has a key,
# and this policy names one: copy it for each.

path "sealgate/sign/bundle/officer-a" { capabilities = ["update", "patch"] }
path "sealgate/keys/officer-a"        { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
