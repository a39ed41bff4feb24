package testenv

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
)

// portsTaken counts the ports that FreePort has tried in this process.
var portsTaken atomic.Int64

// Ports for servers whose address must be known before they listen. They lie
// below those that systems give to outgoing connections, any of which could
// take a port between its choice and its use.
const (
	firstPort = 20000
	ports     = 12000
)

// FreePort returns an address on loopback on which nobody listens, each time
// another one.
func FreePort(t testing.TB) string {
	t.Helper()
	for range ports {
		port := firstPort + (int64(os.Getpid())*97+portsTaken.Add(1))%ports
		addr := net.JoinHostPort("127.0.0.1", strconv.FormatInt(port, 10))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
