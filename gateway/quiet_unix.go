//go:build unix

package gateway

import (
	"net"

	"golang.org/x/sys/unix"
)

// quiet reports whether nothing waits to be read on c: no bytes, no end, no
// error. It reads nothing and does not block.
func quiet(c net.Conn) bool {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return true
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	clean := false
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, rerr := unix.Recvfrom(int(fd), b[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		clean = rerr == unix.EAGAIN || rerr == unix.EWOULDBLOCK
	})
	return err == nil && clean
}
