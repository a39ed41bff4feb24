# The publisher of revocation (role "revocation"): signs revocation lists and
# OCSP answers with the keys of the authorities, the status list of seals, and
# the heads of its own ledger. sign/revocation is not sign/x509: whoever steals
# this token issues no certificate.

path "sealgate/sign/revocation/ca-*"              { capabilities = ["update", "patch"] }
path "sealgate/sign/statuslist/licence-*"         { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-revocation" { capabilities = ["update", "patch"] }
path "sealgate/keys/ca-*"                         { capabilities = ["read"] }
path "sealgate/keys/licence-*"                    { capabilities = ["read"] }
path "sealgate/keys/ledger-revocation"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
