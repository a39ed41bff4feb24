package catalog

import (
	"iter"
	"maps"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/internal/gm"
	"github.com/sealgate/sealgate/policy"
)

// Snapshot is one state of the catalogue: complete, checked, indexed, and never
// changed after it was built. All it returns is shared; callers must not change
// it. Pointers out of one snapshot identify an object for as long as anybody
// holds them, so caches may use them as keys.
type Snapshot struct {
	file     File // in order of ids
	revision string
	warnings []Warning

	departments  map[DepartmentID]*Department
	systems      map[SystemID]*System
	certificates map[[32]byte]*System
	interfaces   map[InterfaceID]*Interface
	items        map[ItemCode]*Item
	scenarios    map[ScenarioID]*Scenario
	grants       map[GrantID]*Grant
	routes       routeTree

	byCall    map[callKey][]*Grant // latest end first
	byPair    map[pairKey][]*Grant // all of a system's grants for an interface
	itemViews map[itemKey]*policy.Item
	fits      map[itemKey]*policy.Scenario
}

type callKey struct {
	system SystemID
	iface  InterfaceID
	item   ItemCode
}

type pairKey struct {
	system SystemID
	iface  InterfaceID
}

type itemKey struct {
	iface InterfaceID
	item  ItemCode
}

func newSnapshot(f File) *Snapshot {
	return &Snapshot{
		departments:  make(map[DepartmentID]*Department, len(f.Departments)),
		systems:      make(map[SystemID]*System, len(f.Systems)),
		certificates: make(map[[32]byte]*System),
		interfaces:   make(map[InterfaceID]*Interface, len(f.Interfaces)),
		items:        make(map[ItemCode]*Item, len(f.Items)),
		scenarios:    make(map[ScenarioID]*Scenario, len(f.Scenarios)),
		grants:       make(map[GrantID]*Grant, len(f.Grants)),
		byCall:       make(map[callKey][]*Grant, len(f.Grants)),
		byPair:       make(map[pairKey][]*Grant, len(f.Grants)),
		itemViews:    make(map[itemKey]*policy.Item),
		fits:         make(map[itemKey]*policy.Scenario),
	}
}

// System is a business system with what identifies it.
type System struct {
	ID           SystemID
	Name         string
	Department   *Department
	Key          *gm.PublicKey // of its SM2 request signatures; nil: it has none
	HMACKeyRef   string        // names its HMAC-SM3 key; empty: it has none
	Certificates [][32]byte    // SHA-256 of its TLS client certificates
	CIDRs        []netip.Prefix
	Status       string
}

// Usable reports whether the system may be identified at all.
func (s *System) Usable() bool { return s != nil && s.Status == Active }

// CallsFrom reports whether the system may call from ip.
func (s *System) CallsFrom(ip netip.Addr) bool { return within(s.CIDRs, ip) }

// Caller is the system as policies see it.
func (s *System) Caller(zone, auth, certSerial string) policy.Caller {
	d := s.Department
	return policy.Caller{System: string(s.ID), Department: string(d.ID), USCC: d.USCC, Region: d.Region, Level: d.Level,
		Zone: zone, Auth: auth, CertSerial: certSerial}
}

// Interface is a published API with everything about it compiled.
type Interface struct {
	ID               InterfaceID
	Name             string
	Provider         *Department
	Base             string
	Share            string
	Status           string
	Route            RouteEntry
	Upstream         Upstream
	MaxRequestBytes  int64 // 0: a request body is refused
	MaxResponseBytes int64
	ResponseType     string                  // "json"
	NumbersAsText    bool                    // masked numbers become masked strings, else null
	Fields           map[string]policy.Field // by path
	Kinds            map[string]string       // path to kind, as gateway/mask compiles it
	Elements         bool                    // has a field of grade 3 or 4: calls must carry the five elements

	views map[string]*policy.Interface // by method
	entry InterfaceEntry
}

// Offered reports whether anybody may know of the interface: it is published
// and its share class is not none.
func (i *Interface) Offered() bool { return i.Status == Published && i.Share != NoShare }

// View is the interface as policies see a call with method; nil when the
// interface has no such method.
func (i *Interface) View(method string) *policy.Interface { return i.views[method] }

// Item is a service item with the fields that it needs of each interface.
type Item struct {
	Code       ItemCode
	Name       string
	Department *Department
	Needs      map[InterfaceID][]string
}

// Scenario is a need agreed beforehand.
type Scenario struct {
	ID        ScenarioID
	Name      string
	Interface *Interface
	Items     []ItemCode
	Fields    []string
}

// Revision is the SM3 of the catalogue's content in hex. It does not depend on
// comments, layout, or the order of entries in the file.
func (s *Snapshot) Revision() string { return s.revision }

// Warnings lists what is legal but deserves a look.
func (s *Snapshot) Warnings() []Warning { return slices.Clone(s.warnings) }

// Department returns a department, or nil.
func (s *Snapshot) Department(id DepartmentID) *Department { return s.departments[id] }

// System returns a system, or nil.
func (s *Snapshot) System(id SystemID) *System { return s.systems[id] }

// SystemByCertificate returns the system that owns the TLS client certificate
// with this SHA-256 over its DER, or nil.
func (s *Snapshot) SystemByCertificate(sha256 [32]byte) *System { return s.certificates[sha256] }

// Interface returns an interface, or nil.
func (s *Snapshot) Interface(id InterfaceID) *Interface { return s.interfaces[id] }

// Item returns a service item, or nil.
func (s *Snapshot) Item(code ItemCode) *Item { return s.items[code] }

// Scenario returns a scenario, or nil.
func (s *Snapshot) Scenario(id ScenarioID) *Scenario { return s.scenarios[id] }

// GrantByID returns a grant, or nil.
func (s *Snapshot) GrantByID(id GrantID) *Grant { return s.grants[id] }

// Grant returns the grant for calls of system to iface for item (empty: none
// named) at the given time. Of several it is the one whose term holds at; when
// none does, the one that ends last, so that a refusal can say what is wrong
// with it. It returns nil when there is none at all.
func (s *Snapshot) Grant(system SystemID, iface InterfaceID, item ItemCode, at time.Time) *Grant {
	list := s.byCall[callKey{system, iface, item}]
	for _, g := range list {
		if g.Status == Active && g.InTerm(at) {
			return g
		}
	}
	if len(list) > 0 {
		return list[0]
	}
	return nil
}

// GrantsOf returns every grant of system for iface, in order of their ids.
func (s *Snapshot) GrantsOf(system SystemID, iface InterfaceID) []*Grant {
	return s.byPair[pairKey{system, iface}]
}

// ItemView is the item as policies see it in a call of iface: with the fields
// that it needs there. It is nil for an empty code and for an item that
// neither needs nor is granted anything of iface.
func (s *Snapshot) ItemView(code ItemCode, iface InterfaceID) *policy.Item {
	return s.itemViews[itemKey{iface, code}]
}

// ScenarioView is the scenario that a call of iface for item fits, or nil.
func (s *Snapshot) ScenarioView(code ItemCode, iface InterfaceID) *policy.Scenario {
	return s.fits[itemKey{iface, code}]
}

// Systems yields all systems, in no order.
func (s *Snapshot) Systems() iter.Seq[*System] { return maps.Values(s.systems) }

// Interfaces yields all interfaces, in no order.
func (s *Snapshot) Interfaces() iter.Seq[*Interface] { return maps.Values(s.interfaces) }

// Items yields all service items, in no order.
func (s *Snapshot) Items() iter.Seq[*Item] { return maps.Values(s.items) }

// Grants yields all grants, in no order.
func (s *Snapshot) Grants() iter.Seq[*Grant] { return maps.Values(s.grants) }

// Holder holds the snapshot that serves now. Its zero value holds an empty one,
// which knows nobody and offers nothing.
type Holder struct {
	current atomic.Pointer[Snapshot]
}

// NewHolder returns a holder of s.
func NewHolder(s *Snapshot) *Holder {
	h := &Holder{}
	h.current.Store(s)
	return h
}

// Current returns the serving snapshot, never nil. A call uses one snapshot
// from beginning to end.
func (h *Holder) Current() *Snapshot {
	if s := h.current.Load(); s != nil {
		return s
	}
	return &Snapshot{}
}

// Replace makes s serve and returns what served before, nil at first.
func (h *Holder) Replace(s *Snapshot) *Snapshot { return h.current.Swap(s) }

func within(nets []netip.Prefix, ip netip.Addr) bool {
	if len(nets) == 0 {
		return true
	}
	ip = ip.Unmap()
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(ip) })
}
