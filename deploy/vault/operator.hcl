# The operator of Vault: keeps it running, backs it up, loads new versions of
# the plugin. Uses no key, changes no policy, and does not remount the engine.
# (Unsealing needs no token; it needs the custodians' key shares.)

path "sys/health"                                 { capabilities = ["read"] }
path "sys/storage/raft/snapshot"                  { capabilities = ["read"] }
path "sys/storage/raft/configuration"             { capabilities = ["read"] }
path "sys/storage/raft/autopilot/state"           { capabilities = ["read"] }
path "sys/plugins/catalog/secret/sealgate"        { capabilities = ["read", "update", "sudo"] }
path "sys/plugins/reload/secret/sealgate"         { capabilities = ["update", "sudo"] }
path "sys/seal"                                   { capabilities = ["update", "sudo"] }
path "sys/step-down"                              { capabilities = ["update", "sudo"] }
path "sealgate/*"                                 { capabilities = ["deny"] }

# Its token has no default policy (token_no_default_policy), so what it may do
# with itself stands here.
path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self"  { capabilities = ["update"] }
path "auth/token/revoke-self" { capabilities = ["update"] }
