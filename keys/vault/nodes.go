package vault

import (
	"net/url"
	"slices"
	"sync/atomic"
)

// nodes is the list of configured addresses and which one to ask first.
//
// Only one node of a cluster is active. A standby that is asked to do something
// either redirects (307) or forwards, as the request says. We ask it to
// redirect, for two reasons: the active node is then asked directly from there
// on, and a redirect means for certain that nothing was done. A standby that
// forwards answers with the same redirect when it has lost the active node on
// the way, and that one may have done its work. So forwarding is asked for only
// where the active node cannot be reached otherwise: its address is not
// configured.
type nodes struct {
	list  []string
	first atomic.Int32
	relay atomic.Bool // the current node is to forward
}

func (n *nodes) current() string { return n.list[int(n.first.Load())%len(n.list)] }

// relayed reports whether a standby is to forward what it is asked.
func (n *nodes) relayed() bool { return n.relay.Load() }

// next turns to the node after failed, unless somebody already did.
func (n *nodes) next(failed string) {
	i := slices.Index(n.list, failed)
	if n.first.CompareAndSwap(int32(i), int32((i+1)%len(n.list))) && len(n.list) > 1 {
		n.relay.Store(false)
	}
}

// follow turns to the node that a redirect names, when it is configured.
func (n *nodes) follow(location string) bool {
	u, err := url.Parse(location)
	if err != nil {
		return false
	}
	i := slices.Index(n.list, u.Scheme+"://"+u.Host)
	if i < 0 {
		return false
	}
	if n.first.Swap(int32(i)) != int32(i) {
		n.relay.Store(false)
	}
	return true
}

// askToForward makes the current node forward from now on. It reports whether
// that is new.
func (n *nodes) askToForward() bool { return n.relay.CompareAndSwap(false, true) }
