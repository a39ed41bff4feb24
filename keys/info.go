package keys

import (
	"time"

	"github.com/sealgate/sealgate/internal/gm"
)

// State is where a key, or one version of it, stands in its life.
type State string

// States of a key: active -> disabled -> destroyed, never back. States of a
// version: pending -> live -> retired.
const (
	Active    State = "active"    // key: signs with its live version
	Disabled  State = "disabled"  // key: signs nothing; the waiting time runs
	Destroyed State = "destroyed" // key: private halves erased; name, public keys and certificates stay

	Pending State = "pending" // version: waits for its certificate; signs only its own request (and, a CA, its own root certificate)
	Live    State = "live"    // version: the one that signs
	Retired State = "retired" // version: verifies only; its private half is erased
)

// Info is what may be known of a key: nothing in it is secret.
type Info struct {
	Name     Name
	Purpose  Purpose
	State    State
	Software bool // kept by this program rather than by Vault or a module: not for legal seals

	Created    time.Time
	DisabledAt time.Time // zero while active
	// DestroyFrom is when Destroy begins to be allowed; zero while active.
	DestroyFrom time.Time

	// Live is the number of the live version, 0 when there is none.
	Live     int
	Versions []Version // ascending, numbers 1..n
}

// Version is one generation of a key. Its key pair never changes, and once its
// certificate is installed that never changes either.
type Version struct {
	Number      int
	State       State
	Created     time.Time
	Public      *gm.PublicKey
	Certificate *gm.Certificate   // nil until installed
	Chain       []*gm.Certificate // issuer first; may be empty
}

// Fingerprint is the SM3 digest of the version's SubjectPublicKeyInfo.
func (v Version) Fingerprint() [gm.DigestSize]byte { return v.Public.Fingerprint() }

// Version returns version n, or ErrVersion.
func (i Info) Version(n int) (Version, error) {
	if n < 1 || n > len(i.Versions) {
		return Version{}, ErrVersion
	}
	return i.Versions[n-1], nil
}

// LiveVersion returns the live version, or ErrVersion when there is none.
func (i Info) LiveVersion() (Version, error) { return i.Version(i.Live) }

// Newest returns the version made last; it is pending when its certificate is
// awaited.
func (i Info) Newest() (Version, error) { return i.Version(len(i.Versions)) }
