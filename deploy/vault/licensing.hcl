# The licence service (role "licensing"): signs the status lists of e-licences.
# Sealing a licence is the sealer's work.

path "sealgate/sign/statuslist/licence-*" { capabilities = ["update", "patch"] }
path "sealgate/keys/licence-*"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
