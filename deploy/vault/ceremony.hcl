# A key ceremony (`sealgate keys ceremony`): makes keys, has them certified by
# the authorities of the plan, issues the root's revocation list into a file
# (`sealgate keys crl`), and nothing else. It seals no document, signs no
# timestamp and no policy, and rotates, disables and destroys no key. Held by a
# token that is made for the day and revoked at its end (README.md section 6).

path "sealgate/keys/"                             { capabilities = ["list"] }
path "sealgate/keys/+"                            { capabilities = ["read", "update"] }
path "sealgate/keys/+/csr"                        { capabilities = ["update"] }
path "sealgate/keys/+/certificate"                { capabilities = ["update"] }
path "sealgate/sign/x509/*"                       { capabilities = ["update", "patch"] }
path "sealgate/sign/revocation/root"              { capabilities = ["update", "patch"] }
path "sealgate/sign/checkpoint/ledger-ceremony"   { capabilities = ["update", "patch"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
