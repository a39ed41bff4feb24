package vault

import (
	"net/http"
	"time"
)

// Through makes a configuration's requests go through rt instead of a network
// of its own.
func (c *Config) Through(rt http.RoundTripper) { c.transport = rt }

// Clocks makes a configuration read the host's clocks from f.
func (c *Config) Clocks(f func() (wall time.Time, mono time.Duration)) {
	c.clock = func() reading {
		wall, mono := f()
		return reading{wall, mono}
	}
}

// WatchEvery is the period of a client's own looks.
const WatchEvery = watchEvery

// HTTPClient is what a client of this configuration speaks through.
func HTTPClient(c Config) (*http.Client, error) { return c.client() }
