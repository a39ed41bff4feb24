# The certification authorities (role "ca"): sign certificates, revocation lists
# into files (`sealgate keys crl`), and the heads of the ledger in which that is
# recorded. Publishing over HTTP is the role "revocation", which issues no
# certificate. The root's key is used in a ceremony only; "ca-*" are the
# authorities below it.

path "sealgate/sign/x509/ca-*"            { capabilities = ["update", "patch"] }
path "sealgate/sign/revocation/ca-*"      { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-ca" { capabilities = ["update", "patch"] }
path "sealgate/keys/ca-*"                 { capabilities = ["read"] }
path "sealgate/keys/ledger-ca"            { capabilities = ["read"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
