package testenv

// UnsealKey is the one share of the server's unseal key, for tests that type it
// as a custodian does.
func (v *Vault) UnsealKey() string { return v.unsealKey }
