# The certification authorities (role "ca"): sign certificates and revocation
# lists. The root's key is used in the ceremony only and has a policy of its
# own when it is needed; "ca-*" are the authorities below it.

path "sealgate/sign/x509/ca-*" { capabilities = ["update", "patch"] }
path "sealgate/keys/ca-*"      { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
