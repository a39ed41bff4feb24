package vault

import "net/http"

// Through makes a configuration's requests go through rt instead of a network
// of its own.
func (c *Config) Through(rt http.RoundTripper) { c.transport = rt }
